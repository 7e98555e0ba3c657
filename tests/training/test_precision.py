"""What a dtype and a precision touch, and what not."""

import pytest
import torch

from framecast import kernels
from framecast.data import open_data, training_batches
from framecast.devices import Launch
from framecast.models import MIM, ConvLSTM, MemoryFlow, ModelConfig, PredRNN, PredRNNPP, PredRNNV2
from framecast.recipe.losses import LossConfig
from framecast.recipe.recipe import Recipe, TrainConfig
from framecast.training.start import new_fabric
from framecast.training.state import TrainingState

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
HIDDEN = (4, 4)
NETWORKS: list[ModelConfig] = [
    ConvLSTM(hidden=HIDDEN, kernel_size=3),
    MemoryFlow(hidden=HIDDEN, kernel_size=3),
    PredRNN(hidden=HIDDEN, kernel_size=3),
    PredRNNV2(hidden=HIDDEN, kernel_size=3),
    PredRNNPP(hidden=HIDDEN, kernel_size=3),
    MIM(hidden=HIDDEN, kernel_size=3),
]


@pytest.mark.parametrize("model", NETWORKS, ids=lambda model: model.name)
def test_bf16_is_for_the_network_only(model: ModelConfig) -> None:
    """Frames, which are the truth too, enter as they are, the pixel count is exact, and the loss is float32."""
    loss = LossConfig(decoupling=0.1 if model.name == "predrnn_v2" else 0.0)
    train = TrainConfig(steps=2, batch_size=2, dtype="bf16")
    data = {"moving_mnist": {"size": 32, "digits": 1}}
    said = Recipe.model_validate(
        {"model": model, "patch": 8, "context": 3, "horizon": 3, "train": train, "loss": loss, "data": data}
    )
    dataset = open_data(said.data, context=3, horizon=3, seed=0)
    trainer = TrainingState(said, dataset, new_fabric(said, Launch("cpu")))
    entered, regular = [], []
    trainer.objective.module.register_forward_pre_hook(lambda module, inputs: entered.append(inputs))
    trainer.objective.module.register_forward_hook(lambda module, inputs, loss: entered.append(loss))
    if model.name == "predrnn_v2":
        trainer.forecaster.network.regularizer.register_forward_hook(lambda *all: regular.append(all[-1].dtype))
    (batch,) = next(training_batches(dataset, seed=0, batch_size=2))
    trainer.iterate([batch])
    (frames, _, _, pixels, *_), loss = entered
    assert frames.dtype == pixels.dtype == loss.dtype == torch.float32
    assert torch.equal(frames, batch.frames)
    assert pixels.item() == 2 * 5 * 32 * 32
    assert all(dtype == torch.float32 for dtype in regular)
    assert all(p.dtype == torch.float32 for p in trainer.parameters)


def test_highest_forbids_tf32_and_high_allows_it() -> None:
    kernels.set_precision("high")
    try:
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        kernels.set_precision("highest")
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
