import pytest
import torch

from framecast import kernels
from framecast.models import MIM, MODELS, ConvLSTM, PredRNN, PredRNNPP
from framecast.models.cost import count_cost
from framecast.nn.rollout import rollout

FULL = (128,) * 4


@pytest.mark.parametrize(
    ("config", "giga"), [(ConvLSTM(hidden=FULL), 56.8), (PredRNN(hidden=FULL), 116.0), (PredRNNPP(hidden=FULL), 171.7)]
)
def test_multiply_adds_are_the_published_ones(config, giga: float) -> None:
    assert count_cost(config, 1, 64, 64, patch=4, frames=20).multiply_adds / 1e9 == pytest.approx(giga, abs=0.06)


@pytest.mark.parametrize("kind", MODELS.values(), ids=list(MODELS))
def test_each_step_costs_the_same(kind, monkeypatch: pytest.MonkeyPatch) -> None:
    size = {"patch": 4, "frames": 7}
    found = count_cost(kind(), 1, 16, 12, **size)
    monkeypatch.setattr("framecast.models.cost.COUNTED", 6)
    assert found == count_cost(kind(), 1, 16, 12, **size)


@pytest.mark.parametrize("config", [ConvLSTM(hidden=(4, 4)), PredRNN(hidden=(4, 4)), MIM(hidden=(4, 4))])
def test_memory_is_what_autograd_keeps(config) -> None:
    kept: dict[int, int] = {}
    network = config.build(16, 5, 4)
    owned = {p.data_ptr() for p in network.parameters()}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in owned:
            kept[tensor.data_ptr(), tensor.storage_offset()] = tensor.numel() * tensor.element_size()
        alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []
    kernels.set_precision("highest")  # the count is that of the direct kernels
    try:
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            rollout(network, torch.rand(1, 6, 16, 5, 4), 5)
    finally:
        kernels.set_precision("auto")
    assert count_cost(config, 1, 18, 15, patch=4, frames=6).training_bytes == pytest.approx(sum(kept.values()), rel=0.1)
