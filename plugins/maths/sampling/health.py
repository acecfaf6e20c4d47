"""When Langevin chains may be believed: rules, and the words for those that a row breaks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field

from runner.parameters import Real


class Health(BaseModel):
    """When a chain may be believed. Every rule that fails is named in the column `reason`.

    The rules of loss and accuracy hold a chain against chance, and are not asked where the loss is
    squared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    max_loss: Real = Field(
        0.5, gt=0, description="largest mean loss along the chain, as a share of chance ln(classes)"
    )
    min_accuracy: Real = Field(
        0.5, ge=0, le=1,
        description="least mean accuracy, as a share of the way from chance to the centre's",
    )  # fmt: skip
    max_disagreement: Real = Field(
        0.5, gt=0,
        description="largest difference of the two halves, as a share of the llc; one within two "
        "of its standard errors is no disagreement",
    )  # fmt: skip
    max_error: Real = Field(
        0.5, gt=0, description="largest standard error, as a share of the llc: chains must agree"
    )
    min_reach: Real = Field(
        0.2, ge=0,
        description="least mean of localiser * displacement^2 (1 in equilibrium); below, the chain "
        "has hardly moved. Not asked where localisation = 0",
    )  # fmt: skip
    max_reach: Real = Field(
        1.5, gt=0,
        description="largest of the same: 1 / (1 - e k / 4) at step e and stiffness k; above, the "
        "steps are too long for the localiser",
    )  # fmt: skip

    def reasons(self, row: Mapping[str, float], classes: int | None) -> list[str]:
        """Return the rules of health that a row breaks, in words with values; [] if none.

        `classes` is None where there is no chance to hold loss and accuracy against.
        """
        llc = row["llc"]
        if not math.isfinite(llc) or math.isnan(row["drift"]):
            return ["loss or weights not finite"]
        apart = abs(row["llc_first_half"] - row["llc_second_half"])
        noise = 2 * 2 * row["llc_se"]  # a half has half the draws, so their difference 2 errors
        moved = row["localisation"] == 0 or row["reach"] >= self.min_reach
        rules = [
            (llc > 0, f"llc {llc:.3g} not positive"),
            *(self._against_chance(row, classes) if classes else ()),
            (
                apart <= max(self.max_disagreement * abs(llc), noise),
                f"halves {row['llc_first_half']:.3g} and {row['llc_second_half']:.3g} disagree",
            ),
            (
                row["llc_se"] <= self.max_error * abs(llc),
                f"standard error {row['llc_se']:.3g} too large for {llc:.3g}",
            ),
            (moved and row["drift"] > 0, f"hardly moved: reach {row['reach']:.2g}"),
            (row["reach"] <= self.max_reach, f"beyond its localiser: reach {row['reach']:.3g}"),
        ]
        return [words for holds, words in rules if not holds]

    def _against_chance(self, row: Mapping[str, float], classes: int) -> Iterator[tuple[bool, str]]:
        chance = 1 / classes
        least = chance + self.min_accuracy * (row["accuracy_at_center"] - chance)
        most = self.max_loss * math.log(classes)
        yield row["mean_loss"] <= most, f"loss {row['mean_loss']:.3g} above {most:.3g}"
        yield row["accuracy"] >= least, f"accuracy {row['accuracy']:.3g} below {least:.3g}"
