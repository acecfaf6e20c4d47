"""Weights as files of other programs: alone, or with what earlier files hold beside them."""

import io
import json
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from plugins.models.checkpoint import Checkpoint
from plugins.models.linear import Linear
from plugins.renderers.weights import Weights
from runner.parameters import InputFile, file_digest
from runner.types import Seed, Table

NET = Linear(inputs=4, outputs=2)
TRAINED = NET.initialise(Seed(1))
HISTORY = Table({"step": [0, 24, 48], "test_accuracy": [0.1, 0.7, 0.9]})
OLD = {"layers.0": "linear"}
SGD = {"sgd": {"lr": 0.01}}
WHOLE = {
    "state_key": "model_state_dict", "rename": OLD, "optimizer": SGD,
    "beside": {"epoch": 2, "test_accuracy": "last(test_accuracy)"},
}  # fmt: skip


def weights(**given: Any) -> Weights:
    return Weights.model_validate_json(json.dumps({"path": "a.pth"} | given), strict=True)


def content(**given: Any) -> Any:
    files = weights(**given).run(TRAINED, HISTORY)
    return torch.load(io.BytesIO(files.contents[".pth"]), weights_only=True)


def test_a_file_holds_what_the_earlier_ones_held() -> None:
    """S2.1: epoch, model_state_dict, optimizer_state_dict, test_accuracy."""
    found = content(**WHOLE)
    assert set(found) == {"epoch", "model_state_dict", "optimizer_state_dict", "test_accuracy"}
    assert (found["epoch"], found["test_accuracy"]) == (2, 0.9)
    assert set(found["model_state_dict"]) == {"linear.weight", "linear.bias"}
    module = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    optimizer.load_state_dict(found["optimizer_state_dict"])
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_a_whole_file_is_a_checkpoint_again(tmp_path: Any) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(weights(**WHOLE).run(TRAINED, HISTORY).contents[".pth"])
    file = InputFile(path, file_digest(path))
    back = {new: old for old, new in OLD.items()}
    found = Checkpoint(file=file, state_key="model_state_dict", rename=back).run(NET)
    assert all(torch.equal(found.weights[n], v) for n, v in TRAINED.weights.items())


def test_without_a_key_the_tensors_are_the_top() -> None:
    assert set(content()) == set(TRAINED.weights)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"beside": {"epoch": 2}}, "state_key is empty"),
        ({"state_key": "a", "path": "a.safetensors"}, "holds tensors alone"),
        ({"state_key": "a", "beside": {"a": 1}}, "stands in beside"),
        ({"state_key": "a", "optimizer": {"adam": {}}}, "has moments"),
        ({"state_key": "a", "optimizer": {"sgd": {"momentum": 0.9}}}, "has moments"),
        ({"state_key": "a", "beside": {"b": "last(loss)"}}, 'no column "loss"'),
        ({"state_key": "a", "beside": {"b": "step"}}, "has 3 values"),
    ],
)
def test_what_cannot_be_written_is_told(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        content(**given)


def test_a_picture_is_no_file_of_weights() -> None:
    with pytest.raises(ValidationError, match="must have a suffix out of"):
        weights(path="a.png")
