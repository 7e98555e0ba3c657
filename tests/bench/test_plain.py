"""The plain form is framecast's network: outputs, loss and every gradient."""

import pytest
import torch
from benchmarks import plain

from framecast.bench.implementations import switched
from framecast.bench.settings import Setting
from framecast.errors import UsageError
from framecast.models import MIM, ConvLSTM, PredRNN, PredRNNPP
from framecast.nn.rollout import rollout
from framecast.recipe.losses import LossConfig, reconstruction_loss

TINY = Setting(name="tiny", hidden=(4, 4, 4), kernel_size=3)
CHANNELS, SIZE, FRAMES, BETA = 3, (5, 4), 6, 0.3


@pytest.mark.parametrize("make", [plain.build, plain.checkpointed])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("model", ["convlstm", "predrnn", "predrnn_v2", "predrnn_pp", "mim"])
def test_plain_equals_framecast(model: str, dtype: torch.dtype, close: float, make) -> None:
    config = TINY.make_config(model)
    torch.manual_seed(7)
    network = config.build(CHANNELS, *SIZE).to(dtype)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "peephole" in name:
                parameter.normal_()
    opponent = make(config, CHANNELS, SIZE, decoupling=BETA).to(dtype)
    opponent.take_weights(network)
    frames = torch.rand(2, FRAMES, CHANNELS, *SIZE, dtype=dtype)
    known = torch.rand(2, FRAMES - 1) < 0.5
    known[:, 0] = True
    with switched("highest", "fast"):
        result = rollout(network, frames, FRAMES - 1, known, aux=True)
    loss = reconstruction_loss(LossConfig(), result.frames, frames, None, frames[:, 1:].numel())
    if network.regularizer is not None:
        loss = loss + BETA * network.regularizer(result.aux)
    loss.backward()
    mask = known[:, 1:, None, None, None].to(dtype).expand(-1, -1, CHANNELS, *SIZE)
    prediction, its_loss = opponent(frames, mask)
    its_loss.backward()
    torch.testing.assert_close(prediction, result.frames, rtol=close, atol=close)
    torch.testing.assert_close(its_loss, loss, rtol=close, atol=close)
    expected = {name: p.grad.flatten() for name, p in network.named_parameters()}
    found = opponent.gradients()
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        scale = float(expected[name].abs().max())
        assert scale > 0
        torch.testing.assert_close(gradient, expected[name], rtol=0, atol=close * scale, msg=name)


@pytest.mark.parametrize(
    "config",
    [
        ConvLSTM(hidden=(4, 4)),
        PredRNN(hidden=(4, 4), bias=True),
        MIM(hidden=(4, 4)),
        PredRNNPP(hidden=(4, 6), bias=False),
    ],
)
def test_a_network_that_was_not_published_so_is_refused(config) -> None:
    with pytest.raises(UsageError, match="plain form"):
        plain.build(config, CHANNELS, SIZE, decoupling=0.0)


def test_a_short_mask_means_that_the_frames_before_are_true() -> None:
    opponent = plain.build(TINY.make_config("predrnn"), CHANNELS, SIZE, decoupling=0.0)
    frames = torch.rand(1, FRAMES, CHANNELS, *SIZE)
    short = torch.zeros(1, 2, CHANNELS, *SIZE)
    whole = torch.cat([torch.ones(1, 2, CHANNELS, *SIZE), short], 1)
    torch.testing.assert_close(opponent(frames, short), opponent(frames, whole))
    assert not torch.allclose(opponent(frames, short)[0], opponent(frames, torch.ones_like(whole))[0])
