"""The command `runner`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; every error a user can cause ends as a message and an exit code."""
    from runner.cli import cli

    cli(prog_name="runner")


if __name__ == "__main__":
    main()
