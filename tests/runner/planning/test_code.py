"""A digest follows what code computes: helpers and constants count, comments do not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runner.planning.code import CodeReader

PLUGIN = '''"""A probe."""
from pydantic import Field
from ..maths import outer

RATE = 0.5

class Probe:
    """Measures."""
    count: int = Field(3, ge=1, description="how many")

    def run(self):
        """Return it."""
        from lab.maths.lazy import value  # inside a function
        return outer.f(RATE) + value(self.count)
'''
FILES = {
    "__init__.py": "",
    "probes/__init__.py": "",
    "probes/p.py": PLUGIN,
    "probes/other.py": "X = 1\n",
    "maths/__init__.py": "",
    "maths/outer.py": "from .inner import CONSTANT\n\ndef f(x):\n    return CONSTANT * x\n",
    "maths/inner.py": "CONSTANT = 2.0\n",
    "maths/lazy.py": "import lab.maths.deep\n\ndef value(n):\n    return lab.maths.deep.D * n\n",
    "maths/deep.py": "D = 3\n",
    "maths/named.py": "N = 4\n",
    "maths/unread.py": "U = 5\n",
}


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


def reach(lab: Path, memo: Path | None = None, module: str = "lab.probes.p") -> dict[str, str]:
    reader = CodeReader({"lab": lab}, memo)
    found = reader.reach(module)
    reader.save()
    return found


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def test_it_reaches_helpers_absolute_relative_and_inside_functions(lab: Path) -> None:
    assert list(reach(lab)) == [
        "lab/__init__.py", "lab/maths/__init__.py", "lab/maths/deep.py", "lab/maths/inner.py",
        "lab/maths/lazy.py", "lab/maths/outer.py", "lab/probes/__init__.py", "lab/probes/p.py",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# inside a function", "# elsewhere"),
        ("  # inside a function", ""),
        ('"""Measures."""', '"""Measures a lot.\n\n    And more.\n    """'),
        ('        """Return it."""\n', ""),
        ('"""A probe."""\n', ""),
        ("RATE = 0.5", "RATE   =   (0.50)"),
        ("Field(3, ge=1,", "Field(\n        3,\n        ge=1,"),
        ('description="how many"', 'description="how very many"'),
        (', description="how many"', ""),
        ("\n\nclass", "\n\n\n\nclass"),
        ("    count: int", '    """What a field means."""\n    count: int'),
    ],
)
def test_what_computes_nothing_leaves_the_digest(lab: Path, old: str, new: str) -> None:
    before = reach(lab)
    edit(lab / "probes/p.py", old, new)
    assert reach(lab) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("probes/p.py", "RATE = 0.5", "RATE = 0.25"),
        ("probes/p.py", "ge=1", "ge=2"),
        ("probes/p.py", "Field(3", "Field(4"),
        ("probes/p.py", "outer.f(RATE) +", "outer.f(RATE) -"),
        ("probes/p.py", "RATE = 0.5", 'RATE = len("a text")'),
        ("maths/outer.py", "CONSTANT * x", "CONSTANT * x * x"),
        ("maths/inner.py", "2.0", "2.5"),
        ("maths/lazy.py", "D * n", "D / n"),
        ("maths/deep.py", "3", "4"),
        ("maths/__init__.py", "", "import math\n"),
    ],
)
def test_what_computes_changes_the_digest_of_its_file_alone(
    lab: Path, file: str, old: str, new: str
) -> None:
    before = reach(lab)
    edit(lab / file, old, new)
    after = reach(lab)
    assert [name for name in after if after[name] != before.get(name)] == [f"lab/{file}"]


def test_unrelated_files_do_not_count(lab: Path) -> None:
    before = reach(lab)
    (lab / "maths/unread.py").write_text("U = 6\n", "utf-8")
    (lab / "probes/other.py").write_text("X = 2\n", "utf-8")
    (lab / "maths/new.py").write_text("", "utf-8")
    assert reach(lab) == before


@pytest.mark.parametrize(
    "line",
    [
        "from lab.maths import named",
        "from lab.maths.named import N",
        "import lab.maths.named",
        "import lab.maths.named as n",
        "from ..maths import named",
        "from ..maths.named import N as M",
        "def g():\n    from ..maths import named",
        "if False:\n    import lab.maths.named",
        'MODULE = "lab.maths.named"',
        'modules = ("lab.maths.named",)',
        'from importlib import import_module\nm = import_module("lab.maths.named")',
        'class C:\n    modules = ("lab.maths.named",)',
    ],
)
def test_every_way_to_name_a_module_finds_it(lab: Path, line: str) -> None:
    (lab / "probes/p.py").write_text(line + "\n", "utf-8")
    before = reach(lab)
    (lab / "maths/named.py").write_text("N = 5\n", "utf-8")
    after = reach(lab)
    assert before["lab/maths/named.py"] != after["lab/maths/named.py"]


def test_text_with_the_same_words_is_not_a_module(lab: Path) -> None:
    (lab / "probes/p.py").write_text('X = "lab.maths.named is a module"\n', "utf-8")
    assert "lab/maths/named.py" not in reach(lab)


def test_modules_that_import_one_another_are_read_once(lab: Path) -> None:
    (lab / "maths/inner.py").write_text("from . import outer\nCONSTANT = 1\n", "utf-8")
    assert "lab/maths/inner.py" in reach(lab)


def test_a_keyword_named_description_counts_outside_of_a_field(lab: Path) -> None:
    (lab / "probes/p.py").write_text('X = f(description="one")\n', "utf-8")
    before = reach(lab)
    (lab / "probes/p.py").write_text('X = f(description="two")\n', "utf-8")
    assert reach(lab) != before


def test_a_file_with_a_syntax_error_is_known_by_its_bytes(lab: Path) -> None:
    (lab / "maths/inner.py").write_text("CONSTANT = (\n", "utf-8")
    before = reach(lab)
    (lab / "maths/inner.py").write_text("CONSTANT = [\n", "utf-8")
    assert reach(lab) != before


# -- the memo ------------------------------------------------------------------------------------


@pytest.fixture
def memo(tmp_path: Path) -> Path:
    return tmp_path / "code.json"


def age(lab: Path, seconds: int = 100) -> None:
    """Set every file's time of change back, so that the memo may trust it."""
    for file in lab.rglob("*.py"):
        moment = file.stat().st_mtime_ns - seconds * 10**9
        os.utime(file, ns=(moment, moment))


def test_a_memo_gives_what_reading_gives(lab: Path, memo: Path) -> None:
    age(lab)
    plain = reach(lab)
    assert reach(lab, memo) == plain
    assert memo.is_file()
    assert reach(lab, memo) == plain


def test_a_remembered_file_is_not_parsed_again(
    lab: Path, memo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(lab)
    plain = reach(lab, memo)

    def refuse(*args: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(CodeReader, "_parse", refuse)
    assert reach(lab, memo) == plain


def test_a_change_in_a_helper_is_seen_although_the_plugin_is_remembered(
    lab: Path, memo: Path
) -> None:
    age(lab)
    before = reach(lab, memo)
    edit(lab / "maths/inner.py", "2.0", "3.0")  # as long as before
    assert reach(lab, memo) == reach(lab) != before


def test_a_change_right_after_the_memo_was_written_is_seen(lab: Path, memo: Path) -> None:
    """Clocks of file systems are coarse: equal size and time do not mean equal content."""
    for _ in range(20):
        stamp = (lab / "maths/inner.py").stat().st_mtime_ns
        before = reach(lab, memo)
        text = (lab / "maths/inner.py").read_text("utf-8")
        new = text.replace("2.0", "3.0") if "2.0" in text else text.replace("3.0", "2.0")
        (lab / "maths/inner.py").write_text(new, "utf-8")
        os.utime(lab / "maths/inner.py", ns=(stamp, stamp))
        assert reach(lab, memo) != before


def test_a_helper_that_appears_later_is_seen(lab: Path, memo: Path) -> None:
    (lab / "probes/p.py").write_text('modules = ("lab.maths.later",)\n', "utf-8")
    age(lab)
    before = reach(lab, memo)
    (lab / "maths/later.py").write_text("L = 1\n", "utf-8")
    after = reach(lab, memo)
    assert "lab/maths/later.py" not in before
    assert "lab/maths/later.py" in after


def test_a_memo_of_another_project_of_the_same_name_is_not_believed(
    lab: Path, memo: Path, tmp_path: Path
) -> None:
    age(lab)
    reach(lab, memo)
    other = tmp_path / "elsewhere" / "lab"
    for name, text in FILES.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text.replace("2.0", "9.0"), "utf-8")
        stamp = (lab / name).stat().st_mtime_ns
        os.utime(other / name, ns=(stamp, stamp))
    assert reach(other, memo) == reach(other)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe", b"null", b"[1, 2]", b'"text"', b"3", b'{"lab.probes.p": 3}'],
)
def test_a_damaged_memo_is_ignored_and_replaced(lab: Path, memo: Path, damage: bytes) -> None:
    age(lab)
    plain = reach(lab)
    memo.write_bytes(damage)
    assert reach(lab, memo) == plain
    assert isinstance(json.loads(memo.read_text("utf-8")), dict)


@pytest.mark.parametrize(
    ("position", "value"), [(3, 5), (3, None), (4, 7), (4, [None]), (4, "lab"), (3, ["x"])]
)
def test_a_foreign_entry_is_ignored(lab: Path, memo: Path, position: int, value: object) -> None:
    age(lab)
    plain = reach(lab, memo)
    held = json.loads(memo.read_text("utf-8"))

    def entries(node: object) -> list[list[object]]:
        if isinstance(node, list):
            return [node]
        return [e for v in node.values() for e in entries(v)] if isinstance(node, dict) else []

    changed = [e for e in entries(held) if len(e) == 5]
    assert changed
    for entry in changed:
        entry[position] = value
    memo.write_text(json.dumps(held), "utf-8")
    assert reach(lab, memo) == plain


def test_a_memo_that_cannot_be_written_is_no_failure(lab: Path, tmp_path: Path) -> None:
    folder = tmp_path / "memo"
    folder.mkdir()
    (folder / "code.json").mkdir()  # a folder where the file would go
    assert reach(lab, folder / "code.json") == reach(lab)
    assert [p.name for p in folder.iterdir()] == ["code.json"]
