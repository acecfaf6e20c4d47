"""The settings of a sampler that a sweep of step size and localisation recommends."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from runner.parameters import Column, Real
from runner.plugin import Probe
from runner.types import Table


class Recommend(Probe):
    """Choose step size and localisation from a sweep of `llc` about the settings in use.

    A setting is stable when every repeat is healthy there and at the next smaller and larger step;
    it is flat when, besides, the llc moves between them by no more than `tolerance` combined
    standard errors. Of the stable settings the one with the weakest localisation, the nearest to
    the unlocalised definition, is recommended, and there the largest step, which mixes fastest, of
    the flat ones if there are any. Flatness does not come first, for a localisation that leaves
    the loss unfelt is flat everywhere. Where nothing is stable, the same choice is made among the
    healthy; `stable`, `flat` and `reason` say so. Neighbours that share their noise differ by less
    than their errors: `tolerance` is a generous bound.

    Reads:  table, one row of `llc` for each step, localisation and repeat of one sampler.
            Deterministic: takes no seed.
    Raises: ValueError for a missing column, no rows, or two rows of one setting and repeat.
    Source: none; a rule of this project. Lau et al., 2023 (arXiv 2308.12108), calibrate by eye.
    """

    columns: ClassVar[dict[str, str]] = {
        "step_size": "recommended step size, two digits, the sampler's unit; nan: none healthy",
        "localisation": "recommended localisation in two digits, the sampler's unit",
        "step_factor": "label of the recommended step in the sweep",
        "localisation_factor": "label of the recommended localisation in the sweep",
        "llc_least": "least llc among the repeats at the recommended setting",
        "llc_most": "largest llc among them",
        "ess": "least effective number of draws among them",
        "stable": "whether the recommended setting is stable, else it is healthy only",
        "flat": "whether it is flat",
        "in_use_healthy": "whether the setting in use, with both labels 1, is healthy",
        "in_use_stable": "whether it is stable",
        "in_use_flat": "whether it is flat",
        "settings": "settings tried, count",
        "healthy_settings": "settings that are healthy in every repeat, count",
        "stable_settings": "settings that are stable, count",
        "flat_settings": "settings that are flat, count",
        "reason": "what was chosen, among what",
    }

    step: Column = Field("step", description="column that labels the step sizes, ascending")
    pull: Column = Field("pull", description="column that labels the localisations, ascending")
    repeats: tuple[Column, ...] = Field(
        (), description="columns (task, seed) that tell the rows of one setting apart"
    )
    tolerance: Real = Field(
        2.0, gt=0, description="how far neighbouring steps may differ, combined standard errors"
    )

    def run(self, table: Table) -> Table:
        from plugins.maths.sampling.calibration import Survey, recommendation

        survey = Survey.of(table.frame, self.step, self.pull, self.repeats)
        row = recommendation(survey, self.tolerance)
        return Table({name: [row[name]] for name in self.columns})
