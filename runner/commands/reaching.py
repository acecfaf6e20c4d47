"""What specs reach: the keys of all nodes of their plans, in the profiles that count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from runner.errors import SpecError, UsageError, listed
from runner.language.files import spec_files
from runner.language.layers import profile_names
from runner.registry import find_project
from runner.running.journey import Journey, Wish, prepare
from runner.telling.wording import problems

T = TypeVar("T")


def project_specs(start: Path) -> tuple[Path, ...]:
    """Return the folder of the specs of the project around a path, if it has one."""
    folder = find_project(start) / "specs"
    return (folder,) if folder.is_dir() else ()


def journeys(
    paths: Iterable[Path], profiles: Sequence[str], artifacts: Path | None
) -> Iterator[Journey]:
    """Yield the plan of each spec as it is, and in its profiles: those named, or else all of them.

    Raises: PluginError and UsageError where one cannot be planned, or no spec has a profile that
    was named.
    """
    files = spec_files(paths)
    there = {file: _told(file, partial(profile_names, file)) for file in files}
    known = {name for names in there.values() for name in names}
    if missing := [name for name in profiles if name not in known]:
        raise UsageError(f"no spec has the profile {listed(missing)} (there are: {listed(known)})")
    for file in files:
        for name in (None, *(name for name in there[file] if not profiles or name in profiles)):
            wish = Wish(file, name, artifacts=artifacts)
            yield _told(file, partial(prepare, wish))


def planned(paths: Iterable[Path], profile: str | None, artifacts: Path | None) -> list[Journey]:
    """Return the plan of each spec in one profile, or as it is.

    Raises: PluginError and UsageError where one cannot be planned.
    """
    wishes = [Wish(file, profile, artifacts=artifacts) for file in spec_files(paths)]
    return [_told(wish.path, partial(prepare, wish)) for wish in wishes]


def _told(file: Path, act: Callable[[], T]) -> T:
    """Do something with a spec; what is wrong with it is told as the message of one error."""
    try:
        return act()
    except SpecError as error:
        lines = "\n".join(problems(error, file))
        raise UsageError(f"what this spec reaches cannot be told\n{lines}") from error


def keys_reached(
    paths: Iterable[Path], profiles: Sequence[str], artifacts: Path | None
) -> frozenset[str]:
    """Return the keys of all nodes that specs reach; see `journeys`."""
    return frozenset(
        node.key
        for journey in journeys(paths, profiles, artifacts)
        for planned in journey.plan.steps.values()
        for node in planned.nodes.values()
    )
