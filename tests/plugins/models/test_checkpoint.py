"""Weights that go out to a file and come back in; files that hold more than weights are refused."""

import itertools
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from plugins.data.results_file import ResultsFile
from plugins.maths.files.plain_pickle import dumps
from plugins.models.checkpoint import Checkpoint
from plugins.models.mlp import Mlp
from plugins.models.resnet import Resnet
from plugins.renderers.weights import Weights
from runner import RunnerError, Seed
from runner.parameters import InputFile, file_digest

NET = Mlp(beta=4.0, hidden=(5,), inputs=1, outputs=1)
TRAINED = NET.initialise(Seed(1))
OLD = {"layers.0": "net.0", "layers.1": "net.2"}


def given(path: Path) -> InputFile:
    return InputFile(path, file_digest(path))


def checkpoint(path: Path, **parameters: Any) -> Checkpoint:
    return Checkpoint(file=given(path), **parameters)


def written(folder: Path, name: str, **parameters: Any) -> Path:
    path = folder / name
    files = Weights(path=name, **parameters).run(TRAINED)
    path.write_bytes(files.contents[path.suffix])
    return path


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_weights_come_back_to_the_bit_under_other_names(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, f"model{suffix}", rename=OLD, buffers=False)
    if suffix != ".safetensors":
        assert set(torch.load(path, weights_only=True)) == {
            f"net.{at}.{kind}" for at in (0, 2) for kind in ("weight", "bias")
        }
    found = checkpoint(path, rename={new: old for old, new in OLD.items()}).run(NET)
    assert found.architecture == NET
    assert all(torch.equal(found.weights[n], v) for n, v in TRAINED.weights.items())


def test_a_state_dict_may_lie_deeper_and_have_a_prefix(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in TRAINED.weights.items()}
    torch.save({"epoch": 3, "model": {"state": state}}, tmp_path / "a.ckpt")
    found = checkpoint(tmp_path / "a.ckpt", state_key="model.state", strip_prefix="module.")
    assert torch.equal(found.run(NET).weights["layers.1.bias"], TRAINED.weights["layers.1.bias"])
    with pytest.raises(RunnerError, match="has no 'models'"):
        checkpoint(tmp_path / "a.ckpt", state_key="models").run(NET)
    plain = {name: value.numpy() for name, value in TRAINED.weights.items()}
    (tmp_path / "a.pkl").write_bytes(dumps(plain))
    found = checkpoint(tmp_path / "a.pkl")
    assert torch.equal(found.run(NET).weights["layers.0.bias"], TRAINED.weights["layers.0.bias"])


def test_missing_odd_and_misshapen_tensors_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, "a.pth")
    with pytest.raises(RunnerError, match=r"a\.pth lacks layers\.2\.bias"):
        checkpoint(path).run(Mlp(hidden=(5, 5), inputs=1, outputs=1))
    with pytest.raises(RunnerError, match=r"layers\.0\.weight is \(5, 1\)"):
        checkpoint(path).run(Mlp(hidden=(6,), inputs=1, outputs=1))
    with pytest.raises(RunnerError, match=r"has activation\.beta"):
        checkpoint(path).run(Mlp(hidden=(5,), activation="relu", inputs=1, outputs=1))


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["a.pth", "a.pkl", "a.ckpt"])
def test_a_file_that_would_execute_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    trapped = {"layers.0.weight": Trap(tmp_path / "trap")}
    if name == "a.pkl":
        path.write_bytes(pickle.dumps(trapped))
    else:
        torch.save(trapped, path)
    with pytest.raises(RunnerError, match="cannot be read as plain weights"):
        checkpoint(path).run(NET)
    assert not (tmp_path / "trap").exists()


def results(folder: Path, **more: Any) -> Path:
    x = np.linspace(-6, 6, 17)
    found = {"x_train": x[:, None], "y_train": np.sin(x), "x_test": x / 2, "y_test": np.sin(x / 2)}
    path = folder / "results_base.pkl"
    path.write_bytes(pickle.dumps(found | more))
    return path


def test_existing_data_are_read_and_held_against_the_stated_function(tmp_path: Path) -> None:
    data = ResultsFile(file=given(results(tmp_path))).run()
    assert data["train"]["x"].shape == (17, 1)
    assert np.array_equal(data["test"]["y"], np.sin(data["test"]["x"][:, 0]))
    assert data.about["function"] == "sin"
    with pytest.raises(RunnerError, match=r"from cos\(x\)"):
        ResultsFile(file=given(results(tmp_path)), function="cos").run()
    with pytest.raises(RunnerError, match="has no 'x'"):
        ResultsFile(file=given(results(tmp_path)), names={"x_train": "x"}).run()


def test_results_that_would_execute_are_refused(tmp_path: Path) -> None:
    path = results(tmp_path, model=Trap(tmp_path / "trap"))
    with pytest.raises(RunnerError, match=r"names '.*mkdir'"):
        ResultsFile(file=given(path)).run()
    assert not (tmp_path / "trap").exists()


HOLES = """
    title = "t"
    axes.beta = [1.0, 2.0]
    [models.net]
    use = "mlp"
    beta = "$beta"
    [models.base]
    use = "checkpoint"
    model = "@net"
    data = "@sine"
    file = "model_beta_{beta:.1f}.pth"
    [data.sine]
    use = "function_1d"
"""


def test_a_file_name_may_have_holes_and_a_missing_file_is_told(shared_world: Any) -> None:
    for beta in ("1.0", "2.0"):
        written(shared_world.folder, f"model_beta_{beta}.pth", buffers=False)
    plan = shared_world.plan(HOLES)
    names = [node.plugin.file.path.name for node in plan.steps["base"].nodes.values()]
    assert names == ["model_beta_1.0.pth", "model_beta_2.0.pth"]
    (shared_world.folder / "model_beta_2.0.pth").unlink()
    with pytest.raises(RunnerError, match=r'no such file "model_beta_2\.0\.pth"'):
        shared_world.plan(HOLES)


def test_a_step_varies_over_an_axis_that_only_a_file_name_names(shared_world: Any) -> None:
    """S0.3: files for each beta and seed, and no other parameter has a seed."""
    for beta, seed in itertools.product(("1.0", "2.0"), (7, 8)):
        written(shared_world.folder, f"model_beta_{beta}_seed_{seed}.pth", buffers=False)
    text = HOLES.replace("2.0]", "2.0]\n    axes.seed = [7, 8]").replace(".1f}", ".1f}_seed_{seed}")
    plan = shared_world.plan(text)
    names = [node.plugin.file.path.name for node in plan.steps["base"].nodes.values()]
    assert names == [f"model_beta_{b}_seed_{s}.pth" for b in ("1.0", "2.0") for s in (7, 8)]


def test_an_environment_variable_beside_a_hole_is_no_hole(
    shared_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shared_world.folder / "w").mkdir()
    for beta in ("1.0", "2.0"):
        written(shared_world.folder / "w", f"model_beta_{beta}.pth", buffers=False)
    monkeypatch.setenv("WEIGHTS", str(shared_world.folder / "w"))
    plan = shared_world.plan(HOLES.replace('"model_', '"${WEIGHTS}/model_'))
    names = [node.plugin.file.path.name for node in plan.steps["base"].nodes.values()]
    assert names == ["model_beta_1.0.pth", "model_beta_2.0.pth"]


def resnet_state(prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": value for name, value in RESNET.weights.items()}


SMALL = Resnet(depth=8, width=2, channels=3, outputs=10)
RESNET = SMALL.initialise(Seed(3))


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
def test_a_file_of_torch_save_may_be_called_pkl(tmp_path: Path, old: bool) -> None:
    """S3.1: `resnet20_cifar10.pkl`, names prefixed `module.` as DataParallel writes them."""
    path = tmp_path / "resnet20_cifar10.pkl"
    content = {"state_dict": resnet_state("module."), "best_prec1": 91.7}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    found = checkpoint(path, state_key="state_dict", strip_prefix="module.").run(SMALL)
    assert all(torch.equal(found.weights[n], v) for n, v in RESNET.weights.items())


def test_a_prefix_that_all_names_share_is_told_with_its_cure(tmp_path: Path) -> None:
    torch.save(resnet_state("module."), tmp_path / "a.pth")
    with pytest.raises(RunnerError, match=r"lacks .*set strip_prefix = 'module\.'"):
        checkpoint(tmp_path / "a.pth").run(SMALL)
    with pytest.raises(RunnerError, match="see rename"):
        checkpoint(tmp_path / "a.pth").run(Resnet(depth=14, width=2, channels=3, outputs=10))


def test_counters_may_be_missing_and_learned_buffers_may_not(tmp_path: Path) -> None:
    state = {n: v for n, v in resnet_state("").items() if "num_batches" not in n}
    torch.save(state, tmp_path / "a.pth")
    found = checkpoint(tmp_path / "a.pth").run(SMALL)
    assert torch.equal(found.weights["bn1.running_var"], RESNET.weights["bn1.running_var"])
    torch.save({n: v for n, v in state.items() if "running_mean" not in n}, tmp_path / "b.pth")
    with pytest.raises(RunnerError, match=r"b\.pth lacks bn1\.running_mean"):
        checkpoint(tmp_path / "b.pth").run(SMALL)


def test_a_file_of_torch_save_that_would_execute_is_refused_whatever_its_name(
    tmp_path: Path,
) -> None:
    torch.save({"conv1.weight": Trap(tmp_path / "trap")}, tmp_path / "a.pkl")
    with pytest.raises(RunnerError, match="cannot be read as plain weights"):
        checkpoint(tmp_path / "a.pkl").run(SMALL)
    assert not (tmp_path / "trap").exists()
