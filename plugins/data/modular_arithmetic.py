"""Equations of modular arithmetic as token sequences, the data of the grokking studies."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.parameters import Real
from runner.plugin import Data
from runner.types import Dataset, Seed


class ModularArithmetic(Data):
    """All equations x op y (mod p) with x in 0..p-1 and y in 1..p-1, as tokens [x, op, y, =].

    y = 0 is left out for every operation, not for division alone, so that the four share their
    p (p - 1) pairs, and under one seed also their split. Tokens 0..p-1 are residues, p is "=" and
    p + 1 the operation; `classes` is the whole vocabulary, because the published network reads its
    answer off an untied head as wide as the vocabulary (two logits are never a target).

    Reads:  nothing but its parameters.
    Gives:  splits train and test; x (n, 4) int64 tokens, y (n,) int64 residues;
            about: vocabulary p + 2, length 4, classes p + 2, modulus p.
    Raises: nothing once the parameters are valid.
    Source: Power et al., Grokking (2022), table of operations in appendix A.1.
    """

    operation: Literal["add", "sub", "mul", "div"] = Field("add", description="x + - * / y mod p")
    modulus: int = Field(97, ge=3, le=4096, description="p; a prime where the operation is div")
    train_fraction: Real = Field(
        0.5, gt=0, lt=1, description="share of the pairs in the training split, rounded to a pair"
    )

    def check_parameters(self) -> str | None:
        p = self.modulus
        if self.operation == "div" and (factor := smallest_factor(p)) < p:
            return f"modulus = {p} must be a prime for division, but {factor} divides it"
        if not 0 < self.training_pairs < p * (p - 1):
            return (
                f"train_fraction = {self.train_fraction} leaves a split of {p * (p - 1)} pairs "
                "empty; choose one nearer to 0.5"
            )
        return None

    @property
    def training_pairs(self) -> int:
        """Number of rows in the training split."""
        return round(self.train_fraction * self.modulus * (self.modulus - 1))

    def run(self, seed: Seed) -> Dataset:
        import numpy as np

        p = self.modulus
        x, y = (axis.ravel() for axis in np.mgrid[0:p, 1:p])
        tokens = np.stack([x, np.full_like(x, p + 1), y, np.full_like(x, p)], axis=1)
        answers = {
            "add": lambda: x + y,
            "sub": lambda: x - y,
            "mul": lambda: x * y,
            # y^(p-2) is the inverse of y modulo a prime p (Fermat)
            "div": lambda: x * np.array([pow(int(one), p - 2, p) for one in range(p)])[y],
        }[self.operation]()
        order = seed.numpy("split").permutation(len(x))
        rows = {"train": order[: self.training_pairs], "test": order[self.training_pairs :]}
        splits = {
            name: {
                "x": tokens[chosen].astype(np.int64),
                "y": (answers[chosen] % p).astype(np.int64),
            }
            for name, chosen in rows.items()
        }
        about = {"vocabulary": p + 2, "length": 4, "classes": p + 2, "modulus": p}
        return Dataset(splits, about)


def smallest_factor(number: int) -> int:
    """Return the smallest divisor above 1 of a number >= 2; the number itself if it is prime."""
    return next((d for d in range(2, int(number**0.5) + 1) if number % d == 0), number)
