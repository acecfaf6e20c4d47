"""The command `runner`."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command line; every error a user can cause ends as a message and an exit code."""
    for name in ("stdout", "stderr"):  # closed by whoever started us: say it to nobody
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    try:
        from runner.commands.cli import cli

        cli(prog_name="runner")
    except KeyboardInterrupt:  # before a command began
        sys.exit(130)
    finally:
        if "torch" not in sys.modules:  # whose compiler tells at length of what is not cleared away
            gc.freeze()  # the process ends: a last search for garbage takes a tenth of validate


if __name__ == "__main__":
    main()
