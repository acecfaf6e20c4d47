"""The peers, each in the leanest form it has for many small cells: no interpreter started per cell.

Where a peer runs shell commands, the square is the shell's own arithmetic; where it runs Python
functions, they run in its process if it can do that. `floor` is no peer: a loop that makes each
result durable and does nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from store_peers.contestant import Contestant

FLOOR = """
import hashlib, json, os, pathlib
made = 0
for x in range({cells}):
    path = pathlib.Path("out", f"{{x}}.json")
    if path.exists():
        body = json.loads(path.read_bytes())
        assert hashlib.sha256(str(body["y"]).encode()).hexdigest() == body["sha256"]
        continue
    y = x * x
    body = {{"y": y, "sha256": hashlib.sha256(str(y).encode()).hexdigest()}}
    aside = path.with_suffix(".tmp")
    with aside.open("w") as stream:
        json.dump(body, stream)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(path)
    made += 1
print(made, "computed")
"""
JOBLIB = """
from joblib import Memory
memory, made = Memory("cache", verbose=0), 0

@memory.cache
def square(x):
    global made
    made += 1
    return {{"x": [x], "y": [x * x]}}

for x in range({cells}):
    assert square(x)["y"] == [x * x]
print(made, "computed")
"""
DOIT = """
from pathlib import Path
from doit.tools import config_changed

DOIT_CONFIG = {{"verbosity": 0, "backend": "sqlite3"}}

def square(x, targets):
    Path(targets[0]).write_text(str(x * x))

def task_square():
    for x in range({cells}):
        yield {{
            "name": str(x), "actions": [(square, [x])], "targets": [f"out/{{x}}"],
            "file_dep": ["dodo.py"], "uptodate": [config_changed(str(x))],
        }}
"""
SNAKEMAKE = """
rule all:
    input: expand("out/{{x}}", x=range({cells}))

rule square:
    output: "out/{{x}}"
    shell: "echo $(({{wildcards.x}} * {{wildcards.x}})) > {{output}}"
"""
DVC = """
stages:
  square:
    foreach: {values}
    do:
      cmd: echo $((${{item}} * ${{item}})) > out/${{item}}
      outs:
        - out/${{item}}
"""
REDUN = """
from redun import task

redun_namespace = "squares"

@task()
def square(x: int) -> int:
    return x * x

@task()
def main():
    return [square(x) for x in range({cells})]
"""
DVC_SETTINGS = "[core]\n    analytics = false\n    check_update = false\n    no_scm = true\n"


def _writer(name: str, text: str) -> Callable[[Path, int], None]:
    def lay(folder: Path, cells: int) -> None:
        (folder / "out").mkdir()
        (folder / name).write_text(text.format(cells=cells, values=list(range(cells))))
        if name == "dvc.yaml":  # what `dvc init --no-scm` leaves, with its calls home turned off
            (folder / ".dvc" / "tmp").mkdir(parents=True)
            (folder / ".dvc" / "config").write_text(DVC_SETTINGS)
            (folder / ".dvcignore").touch()

    return lay


def _counted(first: bool, cells: int) -> str:
    return rf"(?m)^{cells if first else 0} computed$"


def _doit_proof(first: bool, cells: int) -> str:
    mark = r"\. " if first else "--"
    return rf"(?m)^{mark} ?square:{cells - 1}$"


def _snakemake_proof(first: bool, cells: int) -> str:
    steps = rf"{cells + 1} of {cells + 1} steps \(100%\) done"
    return steps if first else "Nothing to be done"


def _dvc_proof(first: bool, cells: int) -> str:
    last = f"square@{cells - 1}'"
    return f"Running stage '{last}" if first else f"Stage '{last} didn't change, skipping"


def _redun_proof(first: bool, cells: int) -> str:
    ran, cached = (cells, 0) if first else (0, cells)
    return rf"squares\.square +0 +0 +0 +{cached} +{ran} +{cells}\b"


def contestants(folder: Path) -> list[Contestant]:
    """Return the floor and the peers that are installed in a virtual environment.

    Prints a line for each one that is not.
    """
    bin_ = folder / "bin"
    python = str(bin_ / "python")
    found = [
        Contestant(
            name="floor: bare loop",
            lay=_writer("floor.py", FLOOR),
            command=(
                python,
                "floor.py",
            ),
            proof=_counted,
            checks="digest of each result; no parameters, no code",
            durable="fsync for each cell",
        ),
        Contestant(
            name="joblib.Memory",
            lay=_writer("squares.py", JOBLIB),
            command=(
                python,
                "squares.py",
            ),
            proof=_counted,
            checks="arguments, the function's own text; result unpickled, not verified",
            durable="rename for each cell, no sync",
            package="joblib",
        ),
        Contestant(
            name="doit",
            lay=_writer("dodo.py", DOIT),
            command=(str(bin_ / "doit"),),
            proof=_doit_proof,
            checks="declared value; code file by mtime, then MD5; outputs exist",
            durable="no sync",
            package="doit",
        ),
        Contestant(
            name="snakemake",
            lay=_writer("Snakefile", SNAKEMAKE),
            command=(
                str(bin_ / "snakemake"),
                "--cores",
                "1",
            ),
            proof=_snakemake_proof,
            checks="rule's text and parameters; outputs exist, by mtime",
            durable="no sync",
            package="snakemake",
        ),
        Contestant(
            name="dvc",
            lay=_writer("dvc.yaml", DVC),
            command=(
                str(bin_ / "dvc"),
                "repro",
            ),
            proof=_dvc_proof,
            checks="command's text; MD5 of outputs, remembered by mtime, size and inode",
            durable="no sync of results; syncs its database",
            package="dvc",
        ),
        Contestant(
            name="redun",
            lay=_writer("squares.py", REDUN),
            command=(
                str(bin_ / "redun"),
                "run",
                "squares.py",
                "main",
            ),
            proof=_redun_proof,
            checks="arguments, the function's own text; result unpickled, not verified",
            durable="syncs its database",
            package="redun",
        ),
    ]
    return [one for one in found if not one.package or _installed(folder, one.package)]


def _installed(folder: Path, package: str) -> bool:
    found = any(folder.glob(f"lib/python*/site-packages/{package}"))
    if not found:
        print(f"left out: {package} is not installed in {folder}", flush=True)
    return found
