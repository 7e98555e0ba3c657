"""Every registered network, small, and every variant whose arithmetic differs."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from tests.contract.examples import EXAMPLES
from torch import Tensor

from framecast.models import (
    E3DLSTM,
    LSTM,
    MAU,
    MIM,
    MODELS,
    TAU,
    ActionPredRNN,
    ConvGRU,
    ConvLSTM,
    MemoryFlow,
    ModelConfig,
    MotionRNN,
    PhyDNet,
    PredRNN,
    PredRNNPP,
    PredRNNV2,
    PredRNNV3,
    SimVP,
    SwinLSTMB,
    SwinLSTMD,
)
from framecast.nn.network import SequenceNetwork

HIDDEN = (4, 4, 4)
VARIANTS: dict[str, ModelConfig] = {
    "lstm": LSTM(hidden=(6, 5)),
    "convlstm": ConvLSTM(hidden=(4, 5, 6), kernel_size=3),
    "convlstm/channel": ConvLSTM(hidden=HIDDEN, kernel_size=3, peephole="channel"),
    "convlstm/full": ConvLSTM(hidden=HIDDEN, kernel_size=3, peephole="full", forget_bias=1.0),
    "convlstm/position": ConvLSTM(hidden=HIDDEN, kernel_size=3, layer_norm="position"),
    "convlstm/chw": ConvLSTM(hidden=HIDDEN, kernel_size=3, layer_norm="chw", bias=False),
    "memory_flow": MemoryFlow(hidden=HIDDEN, kernel_size=3),
    "predrnn": PredRNN(hidden=HIDDEN, kernel_size=3),
    "predrnn/bias": PredRNN(hidden=HIDDEN, kernel_size=3, bias=True, layer_norm="channel_affine"),
    "predrnn_v2": PredRNNV2(hidden=HIDDEN, kernel_size=3),
    "predrnn_pp": PredRNNPP(hidden=(6, 4, 5), kernel_size=3),
    "predrnn_pp/chw": PredRNNPP(hidden=HIDDEN, kernel_size=3, layer_norm="chw"),
    "predrnn_pp/official": PredRNNPP(hidden=HIDDEN, kernel_size=3, init="official", layer_norm="channel_affine"),
    "mim": MIM(hidden=HIDDEN, kernel_size=3),
    "mim/hidden": MIM(hidden=HIDDEN, kernel_size=3, difference="hidden"),
    "mim/openstl": MIM(hidden=HIDDEN, kernel_size=3, variant="openstl"),
    "predrnn_pp/causal": PredRNNPP(hidden=HIDDEN, kernel_size=3, highway=False),
    "mim/official": MIM(hidden=HIDDEN, kernel_size=3, init="official", layer_norm="channel_affine"),
    "action_predrnn": ActionPredRNN(hidden=HIDDEN, kernel_size=3),
    "action_predrnn/decoupling": ActionPredRNN(hidden=HIDDEN, kernel_size=3, decoupling=True, residual=False),
    "motionrnn": MotionRNN(hidden=HIDDEN, kernel_size=3),
    "motionrnn/mim": MotionRNN(hidden=HIDDEN, kernel_size=3, around="mim", stays="plain"),
    "motionrnn/convlstm": MotionRNN(hidden=(4, 4), kernel_size=3, around="convlstm", bias=True, trend=False),
    "motionrnn/plain": MotionRNN(hidden=(4, 4), kernel_size=3, highway=False),
    "mau": MAU(hidden=(4, 4), kernel_size=3, tau=3, residual=True, recall=True),
    "mau/chw": MAU(hidden=(4, 4), kernel_size=3, tau=2, shrink=2, layer_norm="chw"),
    "swinlstm_b": SwinLSTMB(hidden=4, depths=(2, 1), heads=(2, 1), window=2),
    "swinlstm_d": SwinLSTMD(hidden=4, depths_down=(3,), depths_up=(2,), heads=(2,), window=2),
    "predrnn_v3": PredRNNV3(hidden=(4, 4), heads=2),
    "predrnn_v3/chw": PredRNNV3(hidden=(4, 4), heads=1, shrink=2, layer_norm="chw"),
    "e3d_lstm": E3DLSTM(hidden=(3, 3), kernel_size=3, tau=3),
    "e3d_lstm/openstl": E3DLSTM(hidden=(3, 3), kernel_size=3, tau=2, variant="openstl"),
    "simvp": SimVP(frames=3, hidden=4, translator_hidden=8, layers=2, blocks=2),
    "simvp/incepu": SimVP(frames=3, hidden=8, translator_hidden=16, layers=4, blocks=2, translator="incepu"),
    "tau": TAU(frames=3, hidden=4, translator_hidden=16, layers=4, blocks=3),
    "phydnet": PhyDNet(hidden=(8, 6), shrink=2),
    "phydnet/physical": PhyDNet(branches="physical"),
    "convgru": ConvGRU(levels=2),
    "convgru/noise": ConvGRU(levels=2, noise=True),
}
assert {name.split("/")[0] for name in VARIANTS} == set(MODELS), "a registered network has no contract tests"

CHANNELS, HEIGHT, WIDTH = 3, 6, 7
ALL = VARIANTS | EXAMPLES
STRIDED = (8, 12)
"""Size of the frames of the examples, and of registered networks that make the map smaller."""
STACKS = {"lstm", "convlstm", "memory_flow", "predrnn", "predrnn_v2", "predrnn_pp", "mim"}
"""Networks of cells that take the frame as it is."""
SIZES = dict.fromkeys({*MODELS} - STACKS - {"e3d_lstm"}, STRIDED)
SIZES["swinlstm_d"] = (16, 24)


def listed(names: Iterable[str], *, all_slow: bool = False) -> list[Any]:
    """Names as parameters of a test; variants of the networks that take long, or all of these networks, are slow."""
    slow = {name for name in VARIANTS if name.split("/")[0] not in STACKS and (all_slow or "/" in name)}
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


def network(name: str, dtype: torch.dtype = torch.float64) -> SequenceNetwork:
    """The network with random weights, peepholes and norms included, so that nothing is hidden by zeros and ones."""
    torch.manual_seed(hash_of(name))
    return excited(ALL[name].build(CHANNELS, *size_of(name))).to(dtype).eval()


def excited(built: SequenceNetwork) -> SequenceNetwork:
    """The network with what begins as zeros and ones made random."""
    with torch.no_grad():
        for key, value in built.named_parameters():
            if "norm" in key or not value.any():
                value.add_(torch.randn_like(value) * 0.3)
            if ".squeeze." in key:  # so that a rectifier of few values lets some through
                value.abs_().add_(0.1)
    return built


def frames(batch: int = 3, time: int = 4, height: int = HEIGHT, width: int = WIDTH, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(batch * 100 + time)
    return torch.rand(batch, time, CHANNELS, height, width, generator=generator, dtype=torch.float64).to(dtype)


def hash_of(name: str) -> int:
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(name))


def size_of(name: str) -> tuple[int, int]:
    return STRIDED if name in EXAMPLES else SIZES.get(name.split("/")[0], (HEIGHT, WIDTH))


def frames_of(name: str, **options) -> Tensor:
    return frames(height=size_of(name)[0], width=size_of(name)[1], **options)
