"""Training on spectra whose noise is drawn anew at every step: denoisers, and heads on encoders."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from plugins.maths.training.optimisers import Monitor
from plugins.trainers.supervised import MEANING, METRICS, Supervised
from runner.parameters import Real
from runner.plugin import Model
from runner.types import Circumstance, Dataset, Network, Seed, Trained

DENOISING = ("loss", "rmse", "rmse_noisy")
OURS = {
    "loss": "mean loss over the split, evaluation mode (mse: labels' unit squared; else nats)",
    "rmse": "mse: error of the labels; else of the posterior mean against the clean flux",
    "mae": MEANING["mae"],
    "r2": MEANING["r2"],
    "rmse_noisy": "error of the noisy flux against the clean flux (all losses but mse)",
    "label_r2": "1 - SS_res / SS_tot of the labels over the split (label_weight)",
}


class Noisy(Supervised):
    """Train as `supervised` does, on flux + noise_level * error * noise, the noise fresh each step.

    The network sees noisy flux and error, x (B, 2, L). For the loss mse it gives the labels
    `targets`. For the others it gives mean and variance of each pixel from all the others: E2
    (Gaussian) and E1 (Laplace) score the noisy flux and need no clean one; T1 scores the clean flux
    by a Laplace around the posterior mean, and is supervised. With `label_weight` the network,
    a `labelled_denoiser`, gives labels beside them, and its loss has a part of theirs.

    Noise of step s depends on the seed and s alone. Evaluation has one noise for each row, the
    same at every evaluation, and for equal seeds the same as in `encode`. Spectra may lie on disk:
    rows are read batch by batch.

    Reads:  splits `train` and `evaluate` of the data: flux and error (N, L), and the targets (N,).
    Raises: FloatingPointError naming the step at which a loss was not finite;
            RunnerError when a split or an array is missing.
    Source: Laine et al., High-Quality Self-Supervised Deep Image Denoising, NeurIPS 2019 (E2 and
            the posterior mean); the optimizers as in `supervised`.
    """

    columns: ClassVar[dict[str, str]] = {
        "step": "optimizer steps done",
        **{
            f"{split}_{metric}": f"{split}: {meaning}"
            for split in ("train", "val", "test")
            for metric, meaning in OURS.items()
        },
        "lr": "learning rate of the last update (in the row of step 0: of the first)",
    }

    loss: Literal["E2", "E1", "T1", "mse"] = Field(  # type: ignore[assignment]
        "E2", description="what is made small: see above; mse: of labels"
    )
    targets: tuple[str, ...] = Field(
        ("log_g",), min_length=1, description="labels, for mse and label_weight"
    )
    label_weight: Real = Field(
        0.0,
        ge=0,
        description="of the labels' mean squared error, in units of their training variance, "
        "beside E2, E1 or T1; 0: no labels",
    )
    noise_level: Real = Field(1.0, ge=0, description="factor on the error, in training and after")
    measured: int | None = Field(
        None, ge=1, description="training rows that the history measures; none: all"
    )
    best: Monitor = Field(
        Monitor(monitor="val_loss"), description="what makes a network `best` among the rows"
    )
    evaluate: tuple[str, ...] = Field(
        ("val",), description="further splits that are evaluated, never trained on"
    )

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the loss, as the history names them after the split."""
        return METRICS.get(self.loss, (*DENOISING, *["label_r2"] * bool(self.label_weight)))

    def check_parameters(self) -> str | None:
        if self.loss == "mse" and self.label_weight:
            return "label_weight goes beside E2, E1 or T1; loss = 'mse' is of labels alone"
        return super().check_parameters()

    def run(self, model: Model | Network, data: Dataset, seed: Seed, here: Circumstance) -> Trained:
        from plugins.maths.training.fitting import fit
        from plugins.maths.training.labelled_rows import LabelledRows
        from plugins.maths.training.noisy_rows import NoisyRows

        start = self.start(model, data, seed)
        if self.label_weight:
            labelled = LabelledRows.all_of(
                {name: data[name] for name in self.parts}, self.targets, self.noise_level,
                self.label_weight, seed, train=self.train, measured=self.measured,
            )  # fmt: skip
            return fit(self, start, labelled, seed, here)
        targets = self.targets if self.loss == "mse" else ()
        rows = {
            name: NoisyRows.of(
                data[name], name, targets, self.noise_level, seed,
                measured=self.measured if name == self.train else None,
            )
            for name in self.parts
        }  # fmt: skip
        return fit(self, start, rows, seed, here)
