"""The tables of `fit_metrics` out of existing results: pictures without training."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from plugins.probes.fit_metrics import Fit, FitMetrics
from runner.parameters import InputFile, Obtained, Real
from runner.plugin import Probe
from runner.types import Table

MADE = "of specs/outlier_finetune.toml writes it"


class FitResults(Probe):
    """Read one cell of a baseline's and a fine-tuning's results, two pickles of nested dicts.

    `base` holds x_train, y_train, x_test, y_test, true_coef and, under `under`,
    [beta][seed][base_epoch]; `results` holds [beta][seed][scenario][epoch], as `nested` writes them
    in the study of outlier fine-tuning. The pickles are read by a reader that knows containers,
    numbers, text and NumPy's arrays, and runs nothing. Numbers and coefficients that a file does
    not hold are nan; predictions at the outliers no file holds.

    Reads:  the two files, which are hashed. Deterministic: takes no seed.
    Raises: RunnerError when a file holds anything else, or lacks a key or an array, naming what it
            has.
    Source: none.
    """

    columns: ClassVar[dict[str, str]] = FitMetrics.columns

    base: Annotated[InputFile, Obtained("[renderers.results_base] " + MADE)] = Field(
        description="path of results_base.pkl"
    )
    results: Annotated[InputFile, Obtained("[renderers.results_finetune] " + MADE)] = Field(
        description="path of results_finetune.pkl"
    )
    beta: Real = Field(description="first key of both")
    seed_label: int = Field(description="second key of both, a seed")
    scenario: str = Field(description="third key of results")
    epoch: int = Field(description="fourth key of results")
    base_epoch: int = Field(description="third key of base")
    under: str = Field("results_base", description="name of the nested dict in base; empty: top")

    def run(self) -> Fit:
        from plugins.maths.functions import fit_results as read

        names = self.base.path.name, self.results.path.name
        top = read.content(self.base.path, self.base.digest)
        tree = read.content(self.results.path, self.results.digest)
        inner = read.leaf(top, [self.under] if self.under else [], names[0])
        base = read.leaf(inner, [self.beta, self.seed_label, self.base_epoch], names[0])
        cell = [self.beta, self.seed_label, self.scenario, self.epoch]
        tuned = read.leaf(tree, cell, names[1])
        return Fit(
            Table(read.metrics(tuned, base)),
            Table(read.curves(tuned, base, top, names)),
            Table(read.spectrum(tuned, base, top, names[0])),
        )
