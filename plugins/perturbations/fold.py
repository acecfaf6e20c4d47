"""One fold of K: the rows of all splits dealt anew into train, val and test."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.errors import RunnerError, listed
from runner.plugin import Perturbation
from runner.types import Dataset, Seed


class Fold(Perturbation):
    """Deal the rows of some splits into K folds: `fold` is test, the next one val, the rest train.

    The deal depends on the seed alone, so that over all folds each row is tested once.

    Reads:  data: the splits `of`, with equal arrays.
    Gives:  splits train, val and test with those arrays; about as before.
    Raises: RunnerError when a split is missing, has other arrays, or there are too few rows.
    Source: Stone 1974, Cross-validatory choice and assessment of statistical predictions.
    """

    persist = False
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    folds: int = Field(5, ge=3, description="number of folds, K")
    fold: int = Field(0, ge=0, description="which fold is tested, from 0")
    of: tuple[str, ...] = Field(
        ("train", "val", "test"), min_length=1, description="splits whose rows are dealt"
    )

    def check_parameters(self) -> str | None:
        if self.fold >= self.folds:
            return f"fold = {self.fold} must be below folds = {self.folds}"
        return None

    def run(self, data: Dataset, seed: Seed) -> Dataset:
        import numpy as np

        if missing := [name for name in self.of if name not in data.splits]:
            raise RunnerError(f"fold: the data has no split {missing[0]!r}, {listed(data.splits)}")
        parts = [data.splits[name] for name in self.of]
        if any(set(part) != set(parts[0]) for part in parts):
            raise RunnerError("fold: the splits have different arrays; deal those that are alike")
        arrays = {k: np.concatenate([np.asarray(part[k]) for part in parts]) for k in parts[0]}
        rows = len(next(iter(arrays.values())))
        if rows < self.folds:
            raise RunnerError(f"fold: {rows} rows cannot be dealt into {self.folds} folds")
        order = seed.numpy("folds").permutation(rows)
        dealt = np.array_split(order, self.folds)
        val = (self.fold + 1) % self.folds
        rest = [part for at, part in enumerate(dealt) if at not in (self.fold, val)]
        chosen = {"train": np.concatenate(rest), "val": dealt[val], "test": dealt[self.fold]}
        splits = {n: {k: v[np.sort(at)] for k, v in arrays.items()} for n, at in chosen.items()}
        return Dataset(splits, data.about)
