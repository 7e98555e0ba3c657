"""train.compile: the same training to rounding, and clear words where it cannot be."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from framecast.devices import Launch
from framecast.errors import UsageError
from framecast.nn.network import Network
from framecast.recipe.recipe import Recipe, read_run_recipe
from framecast.training.compilation import check_compile, compile_step
from framecast.training.start import new_fabric

OLD = Path(__file__).parents[1] / "fixtures" / "run_0_1_0" / "recipe.yaml"


def test_cuda_gets_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(Network, "compile", lambda self, **options: asked.append(options))
    network = Recipe().model.build(4, 8, 8)
    for device in ("cuda", "cpu"):
        compile_step(network, torch.device(device))
    assert [options["mode"] for options in asked] == ["reduce-overhead", "default"]
    assert all(options["fullgraph"] for options in asked)


@pytest.mark.parametrize(("device", "memory"), [("mps", "fast"), ("cpu", "low")])
def test_where_it_is_refused(device: str, memory: str) -> None:
    with pytest.raises(UsageError, match=r"train\.compile"):
        check_compile(device, memory)


def test_training_asks() -> None:
    recipe = Recipe.model_validate({"train": {"compile": True, "memory": "low"}})
    with pytest.raises(UsageError, match=r"train\.compile"):
        new_fabric(recipe, Launch("cpu"))


def test_it_decides_the_rounding_of_a_recipe() -> None:
    """A run is not resumed with another value; recipes from before the key have the digest that they had."""
    compiled = Recipe.model_validate({"train": {"compile": True}})
    assert compiled.digest != Recipe().digest
    assert compiled.identity()["train"].pop("compile") is True
    assert "compile" not in Recipe().identity()["train"]


def test_old_recipes_have_another_key() -> None:
    """They load without a word; who insisted on recordings of 0.1.0 is told once where they went."""
    assert "cuda_graphs" not in read_run_recipe(OLD).model_dump(mode="json", by_alias=True)["train"]
    with pytest.warns(UserWarning, match=r"train\.compile=true") as told:
        recipe = Recipe.model_validate({"train": {"cuda_graphs": "on"}})
    assert len(told) == 1
    assert recipe == Recipe()


PROGRAM = """
import torch
from framecast import kernels
from framecast.data import open_data, training_batches
from framecast.devices import Launch
from framecast.errors import UsageError
from framecast.nn.network import Network
from framecast.recipe.recipe import Recipe
from framecast.training.start import new_fabric
from framecast.training.state import TrainingState

kernels.set_precision("highest")

def train(compiled):
    train = {"steps": 4, "batch_size": 4, "accumulate": 2, "clip": 0.1, "ema": 0.9, "lr": 1e-2, "compile": compiled}
    recipe = Recipe.model_validate({
        "model": {"name": "convlstm", "hidden": [3], "kernel_size": 3}, "patch": 8, "context": 3, "horizon": 3,
        "train": train, "validate": {"sequences": 2}, "data": {"moving_mnist": {"size": 32, "digits": 1}}})
    data = open_data(recipe.data, context=3, horizon=3, seed=0)
    state = TrainingState(recipe, data, new_fabric(recipe, Launch("cpu")))
    batches = training_batches(data, seed=0, batch_size=2, accumulate=2)
    events = [state.iterate(next(batches)) for _ in range(3)]
    return [event["loss"] for event in events], state.validate()["sse"], state, next(batches)

eager, compiled = train(False), train(True)
torch.testing.assert_close(torch.tensor(compiled[0]), torch.tensor(eager[0]), rtol=1e-4, atol=0)
torch.testing.assert_close(compiled[1], eager[1], rtol=1e-3, atol=0)
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2, "without and with a gradient of the frame"
assert all(p.grad is not None and p.grad.stride() == p.stride() for p in compiled[2].parameters)
assert compiled[2].state()["network"].keys() == eager[2].state()["network"].keys()

forward = Network.forward
def reading(self, frame, state=None):
    print(frame.sum().item())
    return forward(self, frame, state)
Network.forward = reading
try:
    train(True)
except UsageError as error:
    print(error)
"""


@pytest.mark.slow
def test_it_trains_as_without() -> None:
    """In a process of its own: torch cannot compile the checks of signatures that the tests bring."""
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("train.compile: got ")
    assert "train.compile=false" in done.stdout
