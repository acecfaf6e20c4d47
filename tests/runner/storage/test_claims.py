"""A node is claimed by one process at a time, and what the dead claimed is free."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.storage import claims as module
from runner.storage.claims import Claims, place

ROOT = Path(__file__).parents[3]
HOLDER = """
import sys, time; from pathlib import Path; from runner.storage.claims import Claims
print(len(Claims(Path(sys.argv[1])).take(["k"])), flush=True); time.sleep(60)
"""


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Claims]:
    made = Claims(tmp_path)
    yield made
    made.close()


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed `k`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], text=True, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    with process.stdout as stream:
        assert stream.readline() == "1\n"
        yield process
    process.kill()
    process.wait()


def files(folder: Path) -> list[str]:
    return sorted(p.name for name in ("claims", "alive") for p in (folder / name).iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_a_claim_holds_against_others_until_it_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:  # as on file systems that have none
        monkeypatch.setattr(os, "link", no_links)
    one, two = Claims(tmp_path), Claims(tmp_path)
    assert one.take(["a", "b"]) == {"a", "b"}
    assert two.take(["b", "c"]) == {"c"}
    assert two.holder("a") == one.owner
    assert two.holder("d") is None
    one.give(["a", "b"])
    assert two.take(["a", "b"]) == {"a", "b"}
    two.give(["a", "b", "c"])
    one.close()
    two.close()
    assert files(tmp_path) == []


def no_links(*args: object) -> None:
    raise OSError(errno.EPERM, "no links here")


def test_a_living_process_keeps_its_claim_and_a_dead_one_loses_it(
    claims: Claims, holder: subprocess.Popen[str]
) -> None:
    assert claims.take(["k"]) == set()
    claims.clean()
    owner = claims.holder("k")
    assert owner is not None
    assert claims.told(owner).startswith(f"process {holder.pid} on ")
    holder.kill()
    holder.wait()
    assert claims.holder("k") is None
    assert claims.take(["k"]) == {"k"}


def test_what_the_dead_leave_is_cleaned(
    claims: Claims, holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    holder.kill()
    holder.wait()
    claims.clean()
    assert files(tmp_path) == []


def test_a_process_number_that_another_process_has_by_now_does_not_keep_a_claim(
    claims: Claims, tmp_path: Path
) -> None:
    claims.live()
    claim = tmp_path / "claims" / "k"
    claim.write_text(f"{place()}-{os.getpid()}-1-abc", "utf-8")
    assert claims.take(["k"]) == {"k"}


def elsewhere(folder: Path, name: str = "elsewhere-1-1-abc") -> Path:
    """Claim `k` as a process of another machine would; return its sign of life."""
    for part in ("claims", "alive"):
        (folder / part).mkdir(exist_ok=True)
    (folder / "claims" / "k").write_text(name, "utf-8")
    sign = folder / "alive" / name
    sign.touch()
    return sign


def test_an_owner_elsewhere_is_dead_when_it_has_been_silent_for_long(
    claims: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = elsewhere(tmp_path)
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert claims.take(["k"]) == set()
    now += module.SILENCE - 1
    assert claims.take(["k"]) == set()
    os.utime(sign, (5, 5))  # a clock that was set back still shows a change
    now += 2
    assert claims.take(["k"]) == set()
    now += module.SILENCE + 1
    assert claims.take(["k"]) == {"k"}


def test_a_sign_of_life_with_a_wild_date_means_nothing_by_itself(
    claims: Claims, tmp_path: Path
) -> None:
    for date in (0, 4_000_000_000):
        sign = elsewhere(tmp_path)
        os.utime(sign, (date, date))
        assert claims.take(["k"]) == set()


def test_an_owner_elsewhere_that_let_go_is_dead_at_once(claims: Claims, tmp_path: Path) -> None:
    elsewhere(tmp_path).unlink()
    assert claims.take(["k"]) == {"k"}


@pytest.mark.parametrize("text", ["", "garbage", "a-b"])
def test_a_claim_without_its_owners_name_is_respected_for_a_while_only(
    claims: Claims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    elsewhere(tmp_path)
    (tmp_path / "claims" / "k").write_text(text, "utf-8")
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    assert claims.take(["k"]) == set()
    now += module.TORN + 1
    assert claims.take(["k"]) == {"k"}


def test_two_who_bury_one_claim_do_not_bury_a_living_one(tmp_path: Path) -> None:
    """Whoever comes late puts back what it took away."""
    one, two = Claims(tmp_path), Claims(tmp_path)
    elsewhere(tmp_path).unlink()
    late = one.folder / "claims" / "k"
    assert two.take(["k"]) == {"k"}
    assert not one._bury(late, "elsewhere-1-1-abc")
    assert one.holder("k") == two.owner
    assert files(tmp_path) == sorted(["k", two.owner])
    two.give(["k"])
    two.close()


def test_who_removes_from_the_store_is_waited_for_not_for_ever(
    holder: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "claims" / "k").rename(tmp_path / "claims" / module.UPKEEP)
    monkeypatch.setattr(module, "REMOVING", 0.2)
    late = Claims(tmp_path)
    with pytest.raises(OSError, match=f"process {holder.pid} on .* is removing .*; run again"):
        late.live()
    holder.kill()
    holder.wait()
    assert late.take(["k"]) == {"k"}
    late.give(["k"])
    late.close()
    late.clean()
    assert files(tmp_path) == []


def test_a_sign_of_life_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.01)
    claims = Claims(tmp_path)
    claims.live()
    sign = tmp_path / "alive" / claims.owner
    os.utime(sign, (5, 5))
    for _ in range(500):
        if sign.stat().st_mtime > 10:
            break
        time.sleep(0.01)
    assert sign.stat().st_mtime > 10
    claims.close()
    assert not sign.exists()


def test_an_interrupt_while_claiming_gives_back_what_was_claimed(
    claims: Claims, tmp_path: Path
) -> None:
    def keys() -> Iterator[str]:
        yield "a"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        claims.take(keys())
    assert list((tmp_path / "claims").iterdir()) == []


def test_many_who_want_the_same_nodes_never_hold_one_together(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from runner.storage.claims import Claims\n"
        "folder = Path(sys.argv[1]); claims = Claims(folder); got = 0\n"
        "while got < 200:\n"
        "    for key in claims.take(['a', 'b', 'c']):\n"
        "        held = folder / f'held-{key}'\n"
        "        held.touch(exist_ok=False); held.unlink(); got += 1\n"
        "        claims.give([key])\n"
        "claims.close()\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, tmp_path], cwd=ROOT) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert files(tmp_path) == []
