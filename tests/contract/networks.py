"""Every registered network, small, and every variant whose arithmetic differs."""

import torch
from tests.contract.examples import EXAMPLES
from torch import Tensor

from framecast.models import LSTM, MIM, MODELS, ConvLSTM, MemoryFlow, ModelConfig, PredRNN, PredRNNPP, PredRNNV2
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
}
assert {name.split("/")[0] for name in VARIANTS} == set(MODELS), "a registered network has no contract tests"

CHANNELS, HEIGHT, WIDTH = 3, 6, 7
ALL = VARIANTS | EXAMPLES
STRIDED = (8, 12)
"""Size of the frames of the examples."""


def network(name: str, dtype: torch.dtype = torch.float64) -> SequenceNetwork:
    """The network with random weights, peepholes and norms included, so that nothing is hidden by zeros and ones."""
    torch.manual_seed(hash_of(name))
    built = ALL[name].build(CHANNELS, *size_of(name))
    with torch.no_grad():
        for key, value in built.named_parameters():
            if "peephole" in key or "norm" in key:
                value.add_(torch.randn_like(value) * 0.3)
    return built.to(dtype)


def frames(batch: int = 3, time: int = 4, height: int = HEIGHT, width: int = WIDTH, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(batch * 100 + time)
    return torch.rand(batch, time, CHANNELS, height, width, generator=generator, dtype=torch.float64).to(dtype)


def hash_of(name: str) -> int:
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(name))


def size_of(name: str) -> tuple[int, int]:
    return STRIDED if name in EXAMPLES else (HEIGHT, WIDTH)


def frames_of(name: str, **options) -> Tensor:
    return frames(height=size_of(name)[0], width=size_of(name)[1], **options)
