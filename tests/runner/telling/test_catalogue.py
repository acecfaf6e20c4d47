"""What plugins there are, and what one of them takes and gives."""

from __future__ import annotations

import pytest

from runner.errors import UsageError
from runner.plugin import FAMILIES
from runner.telling.catalogue import description, listing


def test_the_list_has_every_family_and_the_first_line_of_each_file(world) -> None:
    lines = listing(world.folder, None)
    assert [line for line in lines if not line.startswith(" ")] == list(FAMILIES)
    assert ["page", "A table as lines of text."] in [line.split(maxsplit=1) for line in lines]


def test_the_list_of_one_family_is_sorted_and_imports_nothing(world) -> None:
    world.plugin("probes/aaa", '"""A first probe.\n\nMore."""\nimport nothing_of_this_name\n')
    world.plugin("probes/bbb", "broken = (\n")
    world.plugin("probes/_hidden", '"""Not a plugin."""\n')
    family, *lines = listing(world.folder, "probes")
    assert family == "probes"
    names = [line.split()[0] for line in lines]
    assert names == sorted(names)
    assert lines[0].split(maxsplit=1) == ["aaa", "A first probe."]
    assert any(line.split()[:4] == ["bbb", "cannot", "be", "read:"] for line in lines)
    assert "_hidden" not in names


def test_a_projects_plugin_hides_the_built_in_one_of_its_name(world) -> None:
    world.plugin("probes/llc", '"""A probe of our own."""\n')
    lines = [line for line in listing(world.folder, "probes") if line.split()[0] == "llc"]
    assert [line.split(maxsplit=1)[1] for line in lines] == ["A probe of our own."]


def test_an_unknown_family_or_plugin_is_told_with_a_near_miss(world) -> None:
    with pytest.raises(UsageError, match='no family "probe"; did you mean "probes"'):
        listing(world.folder, "probe")
    with pytest.raises(UsageError, match='no plugin "vlaue"; did you mean "value"'):
        description(world.folder, "vlaue")
    with pytest.raises(UsageError, match='no plugin "models/value"'):
        description(world.folder, "models/value")


def test_a_name_in_two_families_is_shown_twice(world) -> None:
    world.plugin("models/value", (world.plugins / "models/line.py").read_text("utf-8"))
    lines = description(world.folder, "value")
    assert [line for line in lines if line.endswith("/value")] == ["models/value", "probes/value"]
    assert "models/value" not in description(world.folder, "probes/value")
