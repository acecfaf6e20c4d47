"""Results of a fine-tuning study out of nested pickles, as the tables of `fit_metrics`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from plugins.maths.files.plain_pickle import loads
from runner.errors import RunnerError, listed

NUMBERS = (
    "train_rms_ft", "train_rms_ft_all", "test_rms_ft", "y_distortion_rms", "spectrum_error_ft",
    "local_fit_error", "global_damage_rms", "far_distortion_rms", "near_distortion_rms",
    "local_fit_floor",
)  # fmt: skip


@lru_cache(maxsize=4)
def content(path: Path, digest: str) -> Any:
    """Return what a pickle holds; nodes of one process that read the same file share it."""
    del digest  # tells two contents of one path apart
    try:
        return loads(path.read_bytes())
    except ValueError as error:
        raise RunnerError(f"{path.name}: {error}") from error


def leaf(tree: Any, keys: Sequence[Any], name: str) -> Any:
    """Return the part of nested dicts below some keys.

    Raises: RunnerError naming the key that is not there, and those that are.
    """
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            there = listed(map(str, tree)) if isinstance(tree, dict) else type(tree).__name__
            raise RunnerError(f"{name} has no {key!r}; it has {there}")
        tree = tree[key]
    return tree


def array(tree: Any, key: str, name: str) -> Any:
    """Return an array, flat and in double precision."""
    return np.asarray(leaf(tree, [key], name), float).ravel()


def metrics(tuned: Any, base: Any) -> dict[str, list[float]]:
    """Return the row of numbers; what a file does not hold is nan."""
    found = {name: float(tuned.get(name, np.nan)) for name in NUMBERS}
    near = found["near_distortion_rms"]
    found["far_near_ratio"] = found["far_distortion_rms"] / near if near > 0 else float("nan")
    for name in ("train_rms_base", "test_rms_base", "spectrum_error_base"):
        found[name] = float(base.get(name, np.nan))
    return {name: [value] for name, value in found.items()}


def curves(tuned: Any, base: Any, top: Any, names: tuple[str, str]) -> dict[str, Any]:
    """Return predictions at the test points, the training points and the outliers."""
    x = {part: array(top, f"x_{part}", names[0]) for part in ("test", "train")}
    y = {part: array(top, f"y_{part}", names[0]) for part in ("test", "train")}
    ft = {part: array(tuned, f"y_pred_{part}_ft", names[1])[: len(x[part])] for part in x}
    was = {part: array(base, f"y_pred_{part}_base", names[0])[: len(x[part])] for part in x}
    used = [array(tuned, f"{axis}_train_ft_scatter", names[1]) for axis in "xy"]
    kept = len(used[0]) > len(x["train"]) and bool(
        np.allclose(used[0][: len(x["train"])], x["train"])
    )
    added = slice(len(x["train"]) if kept else 0, None)
    count = len(used[0][added])
    gap = np.full(count, np.nan)  # no file holds predictions at the outliers
    joined = {
        "x": [x["test"], x["train"], used[0][added]], "y": [y["test"], y["train"], used[1][added]],
        "base": [was["test"], was["train"], gap], "ft": [ft["test"], ft["train"], gap],
    }  # fmt: skip
    found: dict[str, Any] = {name: np.concatenate(parts) for name, parts in joined.items()}
    sizes = {"test": len(x["test"]), "train": len(x["train"]), "appended": count}
    found["part"] = [part for part, size in sizes.items() for _ in range(size)]
    found["change"] = found["ft"] - found["base"]
    found["tuned_on"] = [part == "appended" or (part == "train" and kept) for part in found["part"]]
    return found


def spectrum(tuned: Any, base: Any, top: Any, name: str) -> dict[str, Any]:
    """Return the coefficients by order; those that a file does not hold are nan."""
    true = array(top, "true_coef", name)
    empty = np.full(len(true), np.nan)
    coefs = {
        "true": true,
        "base": np.asarray(base.get("pred_coef_base", empty), float),
        "ft": np.asarray(tuned.get("pred_coef_ft", empty), float),
    }
    return {
        "k": np.arange(len(true)),
        **{f"coef_{key}": value for key, value in coefs.items()},
        **{f"size_{key}": np.abs(value) for key, value in coefs.items()},
    }
