"""Data out of an existing results file, a pickle of arrays that another program wrote."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plugins.maths.functions.known import KnownFunction
from runner.errors import RunnerError, listed
from runner.parameters import InputFile, Obtained, Real
from runner.types import Dataset

MADE = "[renderers.results_base] of specs/outlier_finetune.toml writes one"


class ResultsFile(KnownFunction):
    """Read x_train, y_train, x_test and y_test of one variable from a pickle of plain values.

    The pickle is read by a reader that knows containers, numbers, text and NumPy's arrays, and
    runs nothing. The function that the file's numbers sample must be stated, since no file does:
    targets that differ from it are an error.

    Reads:  the file, which is hashed.
    Gives:  splits train and test; x (n, 1) and y (n,), float64; about as `function_1d`.
    Raises: RunnerError when the file holds anything else, lacks an array, or differs from the
            stated function.
    Source: none.
    """

    file: Annotated[InputFile, Obtained(MADE)] = Field(description="path of the .pkl file")
    names: dict[str, str] = Field(
        {}, description="x_train, y_train, x_test, y_test -> their names in the file"
    )
    tolerance: Real = Field(1e-5, ge=0, description="how far a target may lie from f, unit of y")

    def run(self) -> Dataset:
        import numpy as np

        from plugins.maths.files.plain_pickle import loads
        from plugins.maths.functions.functions import truth

        name = self.file.path.name
        try:
            found = loads(self.file.path.read_bytes())
        except ValueError as error:
            raise RunnerError(f"{name}: {error}") from error
        function, _ = truth(self.about)
        splits = {}
        for split in ("train", "test"):
            values = {}
            for axis in "xy":
                key = self.names.get(f"{axis}_{split}", f"{axis}_{split}")
                if not isinstance(found, dict) or key not in found:
                    there = listed(map(str, found)) if isinstance(found, dict) else "no dict"
                    raise RunnerError(f"{name} has no {key!r}, only {there}; see names")
                values[axis] = np.asarray(found[key], float).ravel()
            gap = np.abs(function(values["x"]) - values["y"]).max()
            if not gap <= self.tolerance:
                raise RunnerError(
                    f"{name}: y_{split} lies up to {gap:.3g} from {self.function}(x); state the "
                    "function that it samples, or raise tolerance"
                )
            splits[split] = {"x": values["x"][:, None], "y": values["y"]}
        return Dataset(splits, self.about)
