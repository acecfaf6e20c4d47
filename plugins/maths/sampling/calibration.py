"""Which step size and localisation of a sampler may be believed: healthy, stable, flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from plugins.maths.figures.views import check_columns, check_unique

VALUES = ("llc", "llc_se", "ess", "healthy", "step_size", "localisation")


@dataclass(frozen=True)
class Survey:
    """A sweep of P localisations by S step sizes, in ascending order, over R repeats.

    A repeat is one combination of the further axes (task, seed). What a table lacks is unhealthy.
    """

    steps: NDArray[np.float64]  # (S,) labels of the columns
    pulls: NDArray[np.float64]  # (P,) labels of the rows
    values: dict[str, NDArray[np.float64]]  # each (P, S, R)
    healthy: NDArray[np.bool_]  # (P, S) in every repeat

    @classmethod
    def of(cls, frame: pd.DataFrame, step: str, pull: str, repeats: Sequence[str]) -> Survey:
        """Lay a table with one row for each setting and repeat out as a survey.

        Raises: ValueError for a missing column, no rows, or two rows of one setting and repeat.
        """
        names = {name: name for name in VALUES} | {"step": step, "pull": pull}
        check_columns(frame, **names, **{f"repeats[{i}]": name for i, name in enumerate(repeats)})
        if frame.empty:
            raise ValueError("the table has no rows: there is nothing to recommend from")
        keys = [pull, step, *repeats]
        check_unique(frame, keys, "Name the columns that tell them apart as `repeats`.")
        indexed = frame.set_index(keys)[list(VALUES)].astype(np.float64)
        pulls, steps = (np.sort(frame[name].unique()) for name in (pull, step))
        others = list(dict.fromkeys(zip(*(frame[name] for name in repeats), strict=True))) or [()]
        cells = [(p, s, *other) for p in pulls for s in steps for other in others]
        full = indexed.reindex(pd.MultiIndex.from_tuples(cells, names=keys))
        shape = (len(pulls), len(steps), len(others))
        values = {name: full[name].to_numpy().reshape(shape) for name in VALUES}
        return cls(steps, pulls, values, (values["healthy"] == 1).all(2))

    def stable(self) -> NDArray[np.bool_]:
        """Return which settings are healthy, at the next smaller and larger step too, (P, S).

        The ends of the sweep have one neighbour and are not known to be stable.
        """
        well = self.healthy
        found = np.zeros_like(well)
        found[:, 1:-1] = well[:, 1:-1] & well[:, :-2] & well[:, 2:]
        return found

    def flat(self, tolerance: float) -> NDArray[np.bool_]:
        """Return which stable settings agree with both neighbours in the step, (P, S).

        Settings agree when no repeat's llc differs by more than `tolerance` combined errors.
        """
        llc, error = self.values["llc"], self.values["llc_se"]
        apart = np.abs(np.diff(llc, axis=1))
        combined = np.hypot(error[:, 1:], error[:, :-1])
        agree = np.all(apart <= tolerance * combined, axis=2)
        found = self.stable()
        found[:, 1:-1] &= agree[:, 1:] & agree[:, :-1]
        return found

    def choose(self, among: NDArray[np.bool_], prefer: NDArray[np.bool_]) -> tuple[int, int] | None:
        """Return the weakest localisation, and its largest step (a preferred one), or None."""
        if not among.any():
            return None
        row = int(np.nonzero(among.any(1))[0].min())
        columns = among[row] & prefer[row] if (among[row] & prefer[row]).any() else among[row]
        return row, int(np.nonzero(columns)[0].max())

    def at(self, name: str, place: tuple[int, int]) -> NDArray[np.float64]:
        """Return a column's values in all repeats at a setting, (R,)."""
        found: NDArray[np.float64] = self.values[name][place]
        return found


def recommendation(survey: Survey, tolerance: float) -> dict[str, Any]:
    """Return the recommended setting, how it came to be, and how the setting in use (1, 1) does.

    It is chosen among the stable settings, else among the healthy; without either it is nan.
    """
    stable, flat = survey.stable(), survey.flat(tolerance)
    place = survey.choose(stable, flat) or survey.choose(survey.healthy, flat)
    counts = (
        f"{survey.healthy.sum()} healthy, {stable.sum()} stable, {flat.sum()} flat of "
        f"{flat.size} settings"
    )
    if place is None:
        nothing = dict.fromkeys(
            ("step_size", "localisation", "step_factor", "localisation_factor"), np.nan
        )
        found = nothing | {"llc_least": np.nan, "llc_most": np.nan, "ess": np.nan}
        reason = f"none: no setting is healthy in every repeat ({counts})"
    else:
        llc = survey.at("llc", place)
        found = {
            "step_size": _rounded(survey.at("step_size", place)[0]),
            "localisation": _rounded(survey.at("localisation", place)[0]),
            "step_factor": float(survey.steps[place[1]]),
            "localisation_factor": float(survey.pulls[place[0]]),
            "llc_least": float(llc.min()),
            "llc_most": float(llc.max()),
            "ess": float(survey.at("ess", place).min()),
        }
        kind = "healthy, though none is stable"
        if stable[place]:
            kind = "stable and flat" if flat[place] else "stable, though not flat"
        reason = f"largest step at the weakest localisation that is {kind} ({counts})"
    used = np.outer(np.isclose(survey.pulls, 1.0), np.isclose(survey.steps, 1.0))
    return found | {
        "stable": bool(place and stable[place]),
        "flat": bool(place and flat[place]),
        "in_use_healthy": bool((used & survey.healthy).any()),
        "in_use_stable": bool((used & stable).any()),
        "in_use_flat": bool((used & flat).any()),
        "settings": int(flat.size),
        "healthy_settings": int(survey.healthy.sum()),
        "stable_settings": int(stable.sum()),
        "flat_settings": int(flat.sum()),
        "reason": reason,
    }


def _rounded(value: float) -> float:
    """Return a setting in two digits: a grid of factors of three knows no more."""
    return float(f"{value:.2g}")
