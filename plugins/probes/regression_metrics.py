"""How well a network predicts its targets, over whole splits and in the labels' units."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from plugins.probes.ridge import Regression
from plugins.probes.ridge import Ridge as _Ridge
from runner.errors import RunnerError, listed
from runner.parameters import Real
from runner.plugin import Probe
from runner.types import Circumstance, Dataset, Network, Seed, Table


class RegressionMetrics(Probe):
    """Compare a network's outputs with the targets of every split, in evaluation mode.

    Data with x and y is read as it is. Data of spectra (flux and error) is given to the network as
    the trainer `noisy` gives it in evaluation: with one noise for each row.

    Reads:  data: x (N, ...) and y (N,) or (N, T) of every split, or flux, error and `targets`;
            about targets, and their scaling.
    Raises: RunnerError when arrays are missing or outputs and targets differ in number.
    Source: the definitions.
    """

    columns: ClassVar[dict[str, str]] = _Ridge.columns

    targets: tuple[str, ...] = Field(("log_g",), description="of spectra alone: labels, in order")
    noise_level: Real = Field(1.0, ge=0, description="of spectra alone: factor on the error")
    predict: str = Field("test", description="split whose predictions are told")

    def run(self, model: Network, data: Dataset, seed: Seed, here: Circumstance) -> Regression:
        import torch

        from plugins.maths.spectra.regression import Predicted, tables, unscaled
        from plugins.maths.training.noisy_rows import NoisyRows

        network, about = model.module(here.device), dict(data.about)
        found = {}
        for name in data.splits:
            split = data[name]
            with torch.no_grad():
                if "x" in split.arrays and "y" in split.arrays:
                    x = torch.as_tensor(split["x"], device=here.device)
                    outputs = torch.cat([network(part).cpu() for part in x.split(1024)])
                    y = split["y"]
                elif "flux" in split.arrays:
                    rows = NoisyRows.of(split, name, self.targets, self.noise_level, seed)
                    device = torch.device(here.device)
                    pairs = [(network(x).cpu(), y.cpu()) for x, y in rows.to(device).kept()]
                    outputs, y = (torch.cat(parts) for parts in zip(*pairs, strict=True))
                    about |= {"targets": list(self.targets)}
                else:
                    raise RunnerError(
                        f"regression_metrics: split {name!r} has neither x and y nor flux and "
                        f"error, only {listed(split.arrays)}"
                    )
            guess, true = unscaled(outputs, about), unscaled(y, about)
            if guess.shape != true.shape:
                raise RunnerError(
                    f"regression_metrics: outputs {guess.shape} and targets {true.shape} of "
                    f"{name!r} differ; set the model's outputs"
                )
            found[name] = Predicted(true, guess)
        metrics, predictions = tables(found, about, self.predict)
        return Regression(Table(metrics), Table(predictions))
