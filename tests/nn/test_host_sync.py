"""How often the host would wait for a GPU: reads of a tensor's content, counted on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from framecast.data import open_data, training_batches
from framecast.devices import Launch, to_device
from framecast.evaluation.evaluate import evaluate
from framecast.forecasting.predictor import TensorPredictor
from framecast.metrics import select_metrics
from framecast.models import MIM, ConvLSTM, MemoryFlow, ModelConfig, PredRNN, PredRNNPP, PredRNNV2
from framecast.nn.rollout import rollout
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe, TrainConfig
from framecast.training.start import new_fabric
from framecast.training.state import TrainingState

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
HIDDEN = (4, 4)
NETWORKS: list[ModelConfig] = [
    ConvLSTM(hidden=HIDDEN, kernel_size=3, peephole="channel"),
    MemoryFlow(hidden=HIDDEN, kernel_size=3),
    PredRNN(hidden=HIDDEN, kernel_size=3),
    PredRNNV2(hidden=HIDDEN, kernel_size=3),
    PredRNNPP(hidden=HIDDEN, kernel_size=3),
    MIM(hidden=HIDDEN, kernel_size=3),
]
every_network = pytest.mark.parametrize("model", NETWORKS, ids=lambda model: model.name)
aten = torch.ops.aten
READS = {aten._local_scalar_dense.default, aten.item.default, aten.is_nonzero.default, aten.nonzero.default}
METHODS = {
    getattr(torch.Tensor, name)
    for name in ("item", "tolist", "__bool__", "__int__", "__float__", "__index__", "cpu", "numpy")
}


class _Ops(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.read: list[torch.dtype] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            self.read.append(args[0].dtype)
        return func(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    """Catches what does not reach the dispatcher on a CPU: tolist and numpy."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[torch.dtype] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in METHODS:
            self.read.append(args[0].dtype)
        return func(*args, **(kwargs or {}))


@contextmanager
def counted() -> Iterator[list[torch.dtype]]:
    """The dtypes of all tensors that the host reads; the longer list of the two ways to see them."""
    found: list[torch.dtype] = []
    with _Ops() as ops, _Methods() as methods:
        yield found
    found.extend(max(ops.read, methods.read, key=len))


@every_network
@pytest.mark.parametrize("training", [False, True])
def test_a_rollout_reads_nothing(model: ModelConfig, training: bool) -> None:
    network = model.build(2, 6, 7)
    frames = torch.rand(2, 5, 2, 6, 7)
    known = torch.ones(2, 6, dtype=torch.bool)
    known[:, 5:] = False
    with torch.set_grad_enabled(training):
        with counted() as reads:
            result = rollout(network, frames, 6)
            if training:
                result.frames.sum().backward()
        assert reads == []
        with counted() as reads:
            rollout(network, frames, 6, known)
        assert reads == [torch.bool] * 2, "of the mask on the CPU, before it goes anywhere"


def test_a_mask_on_a_device_is_not_read() -> None:
    network = ConvLSTM(hidden=(3,), kernel_size=3).build(2, 6, 7).to("meta")
    known = torch.zeros(2, 3, dtype=torch.bool, device="meta")
    assert rollout(network, torch.rand(2, 3, 2, 6, 7, device="meta"), 3, known).frames.is_meta


@every_network
def test_an_iteration_reads_the_loss_once(model: ModelConfig) -> None:
    loss = LossConfig(decoupling=0.1 if model.name == "predrnn_v2" else 0.0)
    train = TrainConfig(steps=4, batch_size=4, accumulate=2, clip=0.1, ema=0.9)
    data = {"moving_mnist": {"size": 32, "digits": 1}}
    said = Recipe.model_validate(
        {"model": model, "patch": 8, "context": 3, "horizon": 3, "train": train, "loss": loss, "data": data}
    )
    dataset = open_data(said.data, context=3, horizon=3, seed=0)
    trainer = TrainingState(said, dataset, new_fabric(said, Launch("cpu")))
    batches = training_batches(dataset, seed=0, batch_size=2, accumulate=2)
    trainer.iterate(next(batches))
    batch = next(batches)
    with counted() as reads:
        trainer.iterate(batch)
    assert [dtype for dtype in reads if dtype != torch.bool] == [torch.float32]


def test_scores_are_read_once_at_the_end() -> None:
    class Copy(TensorPredictor):
        def predict(self, frames: Any, horizon: int, valid: Any = None, covariates: Any = None) -> Any:
            return frames[:, -1:].expand(-1, horizon, -1, -1, -1)

    data = Recipe.model_validate({"data": {"moving_mnist": {"size": 32, "digits": 1}}}).data
    dataset = open_data(data, context=3, horizon=3, seed=0)
    names = select_metrics(["framecast", "sse"], spec=dataset.spec)
    found = []
    for limit in (2, 6):
        with counted() as reads:
            evaluate(Copy(), dataset, "val", names, context=3, horizon=3, batch_size=2, limit=limit)
        found.append([dtype for dtype in reads if dtype != torch.bool])
    assert found == [[], []]


def test_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(3)
    assert to_device(x, "cpu") is x
    assert to_device(x, torch.device("meta")).is_meta
    went: list[object] = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: went.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *a, **k: went.append((a, k)) or self)
    to_device(x, "cuda")
    assert went == ["pinned", ((torch.device("cuda"),), {"non_blocking": True})]
