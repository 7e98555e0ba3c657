"""The opponent: the direct, unfused form of each network. It does operation for operation what the published code does.

A convolution for each input, split into gates, sums, activations and products as separate operations, states in Python
lists, the mask as a picture, a loss that the forward pass returns. Nothing is slower on purpose: parameters that the
published classes own but never use are left out, gates keep framecast's order (which costs the same), and the
optimiser is the caller's, the same for all.

    ConvLSTM, PredRNN++, MIM        as in OpenSTL
    PredRNN, PredRNN-V2             as in predrnn-pytorch

Written from the equations; tests/bench/test_bench_plain.py shows that outputs, loss and gradients are framecast's.

Note:
    OpenSTL's MIM cuts the gradient of its memory S between frames and never resets S (two known faults). Here, as in
    framecast and in the official TensorFlow code, S is a state like the others.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from benchmarks.plain_cells import (
    FORGET_BIAS,
    CausalLSTMCell,
    ConvLSTMCell,
    Highway,
    MemoryModule,
    MIMBlock,
    STLSTMCell,
    conv,
)
from benchmarks.plain_network import Plain
from torch import Tensor, nn

from framecast.errors import UsageError
from framecast.models import MIM, ConvLSTM, ModelConfig, PredRNN, PredRNNPP, PredRNNV2


class PlainConvLSTM(Plain):
    """OpenSTL's ConvLSTM."""

    def build_cells(self, channels: int, kernel_size: int, size: tuple[int, int]) -> list[nn.Module]:
        """See the base class."""
        return [ConvLSTMCell(below, self.hidden, kernel_size) for below in self.widths(channels)]

    def start(self, frames: Tensor) -> dict[str, Any]:
        """See the base class."""
        return {"h": self.zeros(frames), "c": self.zeros(frames)}

    def step(self, x: Tensor, state: dict[str, Any], first: bool) -> Tensor:
        """See the base class."""
        h, c = state["h"], state["c"]
        for layer, cell in enumerate(self.cells):
            x = h[layer - 1] if layer else x
            h[layer], c[layer] = self.cell(cell, x, h[layer], c[layer])
        return h[-1]


class PlainPredRNN(Plain):
    """PredRNN of predrnn-pytorch."""

    def build_cells(self, channels: int, kernel_size: int, size: tuple[int, int]) -> list[nn.Module]:
        """See the base class."""
        return [STLSTMCell(below, self.hidden, kernel_size) for below in self.widths(channels)]

    def start(self, frames: Tensor) -> dict[str, Any]:
        """See the base class."""
        return {"h": self.zeros(frames), "c": self.zeros(frames), "m": self.zeros(frames)[0]}

    def step(self, x: Tensor, state: dict[str, Any], first: bool) -> Tensor:
        """See the base class."""
        h, c = state["h"], state["c"]
        for layer, cell in enumerate(self.cells):
            x = h[layer - 1] if layer else x
            h[layer], c[layer], state["m"], delta_c, delta_m = self.cell(cell, x, h[layer], c[layer], state["m"])
            self.note(state, delta_c, delta_m)
        return h[-1]

    def note(self, state: dict[str, Any], delta_c: Tensor, delta_m: Tensor) -> None:
        """Look at what the memories gained; PredRNN does not."""


class PlainPredRNNV2(PlainPredRNN):
    """PredRNN-V2 of predrnn-pytorch, whose forward pass always computes the decoupling loss, in inference too.

    Args:
        config: as for the base class.
        channels: as for the base class.
        size: as for the base class.
        decoupling: weight beta of the decoupling loss.
        recompute: as for the base class.
    """

    def __init__(
        self, config: Any, channels: int, size: tuple[int, int], *, decoupling: float, recompute: bool
    ) -> None:
        super().__init__(config, channels, size, recompute=recompute)
        self.decoupling = decoupling
        self.adapter = conv(self.hidden, self.hidden, 1)

    def theirs(self, name: str) -> tuple[str, slice]:
        """See the base class."""
        return name.replace("adapter", "regularizer.adapter"), slice(None)

    def start(self, frames: Tensor) -> dict[str, Any]:
        """See the base class."""
        return {**super().start(frames), "delta_c": [], "delta_m": []}

    def note(self, state: dict[str, Any], delta_c: Tensor, delta_m: Tensor) -> None:
        """Both increments through the adapter, each map of length one."""
        for name, delta in (("delta_c", delta_c), ("delta_m", delta_m)):
            state[name].append(F.normalize(self.adapter(delta).flatten(2), dim=2))

    def penalty(self, state: dict[str, Any]) -> Tensor:
        """The decoupling loss."""
        pairs = zip(state["delta_c"], state["delta_m"], strict=True)
        terms = [torch.mean(torch.abs(torch.cosine_similarity(u, v, dim=2))) for u, v in pairs]
        return self.decoupling * torch.mean(torch.stack(terms))


class PlainPredRNNPP(Plain):
    """OpenSTL's PredRNN++."""

    def __init__(self, config: Any, channels: int, size: tuple[int, int], *, recompute: bool) -> None:
        super().__init__(config, channels, size, recompute=recompute)
        self.highway = Highway(self.hidden, config.kernel_size)

    def theirs(self, name: str) -> tuple[str, slice]:
        """The highway is framecast's second cell."""
        part, _, rest = name.partition(".")
        if part == "highway":
            return f"cells.1.{rest}", slice(None)
        if part == "cells":
            layer, _, rest = rest.partition(".")
            return f"cells.{int(layer) + (layer != '0')}.{rest}", slice(None)
        return name, slice(None)

    def build_cells(self, channels: int, kernel_size: int, size: tuple[int, int]) -> list[nn.Module]:
        """See the base class."""
        return [CausalLSTMCell(below, self.hidden, kernel_size) for below in self.widths(channels)]

    def start(self, frames: Tensor) -> dict[str, Any]:
        """See the base class."""
        m, z = self.zeros(frames)[:2]
        return {"h": self.zeros(frames), "c": self.zeros(frames), "m": m, "z": z}

    def step(self, x: Tensor, state: dict[str, Any], first: bool) -> Tensor:
        """See the base class."""
        h, c = state["h"], state["c"]
        for layer, cell in enumerate(self.cells):
            if layer == 1:
                x = state["z"] = self.cell(self.highway, h[0], state["z"])
            elif layer:
                x = h[layer - 1]
            h[layer], c[layer], state["m"] = self.cell(cell, x, h[layer], c[layer], state["m"])
        return h[-1]


class PlainMIM(Plain):
    """OpenSTL's MIM. As there, MIM-N runs at the first frame too, and its result is thrown away."""

    def __init__(self, config: Any, channels: int, size: tuple[int, int], *, recompute: bool) -> None:
        super().__init__(config, channels, size, recompute=recompute)
        above = range(self.layers - 1)
        self.differences = nn.ModuleList([MemoryModule(self.hidden, config.kernel_size, size) for _ in above])

    def theirs(self, name: str) -> tuple[str, slice]:
        """MIM-N is part of framecast's block, and the three peepholes are one parameter."""
        rows = slice(0, 2) if name.endswith("peephole_if") else slice(2, 3) if name.endswith("peephole_o") else None
        name = name.replace("peephole_if", "peephole").replace("peephole_o", "peephole")
        if name.startswith("differences."):
            _, layer, rest = name.split(".", 2)
            name = f"cells.{int(layer) + 1}.mim_n.{rest}"
        if name.startswith("cells.0."):
            name = name.replace("cells.0.", "cells.0.cell.")
        return name, rows or slice(None)

    def build_cells(self, channels: int, kernel_size: int, size: tuple[int, int]) -> list[nn.Module]:
        """See the base class."""
        blocks = [MIMBlock(self.hidden, kernel_size, size) for _ in range(self.layers - 1)]
        return [STLSTMCell(channels, self.hidden, kernel_size), *blocks]

    def start(self, frames: Tensor) -> dict[str, Any]:
        """See the base class."""
        return {name: self.zeros(frames) for name in ("h", "c", "s", "d", "n")} | {"m": self.zeros(frames)[0]}

    def step(self, x: Tensor, state: dict[str, Any], first: bool) -> Tensor:
        """See the base class."""
        h, c, s, d, n = (state[name] for name in ("h", "c", "s", "d", "n"))
        old = h[0]
        h[0], c[0], state["m"], _, _ = self.cell(self.cells[0], x, h[0], c[0], state["m"])
        for layer in range(1, self.layers):
            difference = self.differences[layer - 1]
            if first:
                self.cell(difference, torch.zeros_like(h[layer - 1]), d[layer], n[layer])
            else:
                changed = h[0] - old if layer == 1 else d[layer - 1]
                d[layer], n[layer] = self.cell(difference, changed, d[layer], n[layer])
            h[layer], c[layer], state["m"], s[layer] = self.cell(
                self.cells[layer], h[layer - 1], d[layer], h[layer], c[layer], state["m"], s[layer]
            )
        return h[-1]


def build(
    config: ModelConfig, channels: int, size: tuple[int, int], *, decoupling: float, recompute: bool = False
) -> Plain:
    """The plain form of a network, for `framecast bench --opponent benchmarks.plain:build`.

    Args:
        config: framecast's description of the network.
        channels: of a patchified frame.
        size: (rows, columns) of the map.
        decoupling: weight of PredRNN-V2's decoupling loss.
        recompute: whether each cell is computed again in the backward pass.

    Raises:
        UsageError: a network, or an option of one, that the published code does not have.
    """
    options = config.model_dump()
    bare = options.get("layer_norm") is None and len(set(options["hidden"])) == 1
    if isinstance(config, ConvLSTM):
        bare = bare and config.peephole == "none" and not config.bias and config.forget_bias == 0
    else:
        bare = bare and options.get("forget_bias") == FORGET_BIAS and not options.get("bias")
    if isinstance(config, MIM):
        bare = bare and config.variant == "openstl" and config.difference == "cascade"
    kinds: dict[type[ModelConfig], Any] = {
        ConvLSTM: PlainConvLSTM,
        PredRNN: PlainPredRNN,
        PredRNNV2: partial(PlainPredRNNV2, decoupling=decoupling),
        PredRNNPP: PlainPredRNNPP,
        MIM: PlainMIM,
    }
    if type(config) not in kinds or not bare:
        raise UsageError(
            "plain form",
            got=repr(config),
            expected="a network as OpenSTL or predrnn-pytorch have it: equal layers, no biases, no norms",
        )
    return kinds[type(config)](config, channels, size, recompute=recompute)


def checkpointed(config: ModelConfig, channels: int, size: tuple[int, int], *, decoupling: float) -> Plain:
    """The same with every cell computed again in the backward pass: the fair opponent where memory counts."""
    return build(config, channels, size, decoupling=decoupling, recompute=True)
