"""Sizes of a model that a spec leaves open and its data states."""

from __future__ import annotations

from typing import TypeVar

from runner.errors import RunnerError
from runner.plugin import Model
from runner.types import Dataset

M = TypeVar("M", bound=Model)


def read_off(model: M, data: Dataset, **sources: str | tuple[str, ...]) -> M:
    """Return the model with each open size filled from the first of its names in `data.about`.

    Raises: RunnerError naming the model and the first size that the data does not state.
    """
    found = {}
    for size, names in sources.items():
        if getattr(model, size) is not None:
            continue
        wanted = (names,) if isinstance(names, str) else names
        known = [data.about[name] for name in wanted if name in data.about]
        if not known:
            name = type(model).__module__.rpartition(".")[2]
            raise RunnerError(
                f"{name}: {size} is open and the data does not state {wanted[0]!r}; "
                f"set {size} in the model's table"
            )
        found[size] = known[0]
    return type(model).model_validate({**model.model_dump(), **found})
