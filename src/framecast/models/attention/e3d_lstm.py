r"""E3D-LSTM: an ST-LSTM of pairs of frames, with a gate that recalls all past cells of its layer by attention.

All maps are of two frames; convolutions are 2 x k x k, LN norms over the whole of a result (if layer_norm):

    [i;g;r;o;i';g';f'] = LN(Wx*x)    [i;g;r;o] = LN(Wh*h)    [i';f';g';q] = LN(Wm*m)        summed by name
    recall = softmax(sigma(r) K^T) K, K = the last tau cells c             c' = LN(c + recall) + sigma(i) o tanh(g)
    m' = sigma(i') o tanh(g') + sigma(f' + 1) o tanh(q)                    o' = tanh(o + Wc*c' + Wn*m')
    h' = sigma(o') o tanh(W1x1*[c';m'])

x of the bottom layer is the frame before and the present one. The published codes hand on the m that came in, which is
therefore 0 for ever; `memory: updated` hands on m', as the paper says.

Wang et al.: Eidetic 3D LSTM: A Model for Video Prediction and Beyond, ICLR 2019,
https://openreview.net/forum?id=B1lKS2AqtX.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor, nn

from framecast.models.config import ConvConfig, Options, equal
from framecast.nn.cell import Cell, Memory, Step, zeros
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, pixel_head
from framecast.types import Hidden

Pair = Float[Tensor, "B N 2 H W"]
"""Maps of two frames."""
Variant = Literal["official", "openstl"]


class PairConv(nn.Module):
    """Convolution 2 x k x k of pairs of maps, as one of k x k of both maps' channels, and a norm of the result.

    "official" pads one zero map behind: the first result sees both maps, the second the second one alone. "openstl"
    does not pad, and copies its one result.

    Args:
        in_channels: N_in.
        out_channels: M.
        kernel_size: k, odd.
        variant: of the padding.
        norm: of (B, M, 2, H, W), or None.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, variant: Variant, norm: nn.Module | None
    ) -> None:
        super().__init__()
        self.variant = variant
        self.conv = GateConv(2 * in_channels, out_channels, kernel_size, bias=variant == "official")
        self.norm = nn.Identity() if norm is None else norm

    def forward(self, x: Pair) -> Tensor:
        """Compute (B, M, 2, H, W)."""
        if self.variant == "official":
            behind = torch.cat([x[:, :, 1:], torch.zeros_like(x[:, :, 1:])], 2)
            both = self.conv(torch.cat([x, behind]).flatten(1, 2))
            return self.norm(both.unflatten(0, (2, -1)).movedim(0, 2))
        return self.norm(self.conv(x.flatten(1, 2))[:, :, None].expand(-1, -1, 2, -1, -1))


class E3DState(NamedTuple):
    """State of a layer between two frames."""

    h: Tensor
    """(B, 2 N, H, W)."""
    past: tuple[Tensor, ...]
    """The last tau cells, (B, 2 N, H, W) each, the newest last."""
    seen: Tensor
    """(B, 1, 1, 1), how many of them are of a frame; one more is there, of zeros, from before the first frame."""
    before: tuple[Tensor, ...]
    """The frame before, (B, C, H, W), in the bottom layer; () above."""


class E3DLSTMCell(Cell):
    """E3D-LSTM cell. Maps of two frames are 2 N channels outside, channel by channel. The memory is (M,), of 2 N.

    Args:
        in_channels: channels of the frame, in the bottom layer; None above.
        hidden: N.
        kernel_size: k, odd.
        variant: of paddings, biases, norms and tokens.
        updated: whether m' leaves; else the m that came in.
        layer_norm: whether the convolutions' results are normalised.
        tau: cells that are recalled; from a sequence's frame tau on, fewer than in the published codes.
        size: (H, W), for the norms of "openstl".

    Note:
        The tokens of the attention are positions in "official"; "openstl" cuts the numbers of a map, channel by channel,
        into rows of N, which mixes positions and channels. Kept, as its weights are for that.
    """

    def __init__(
        self,
        in_channels: int | None,
        hidden: int,
        kernel_size: int,
        *,
        variant: Variant,
        updated: bool,
        layer_norm: bool,
        tau: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.in_channels, self.hidden, self.tau, self.variant, self.updated = in_channels, hidden, tau, variant, updated
        self.memory_channels = self.memory_channels_out = (2 * hidden,)

        def norm(channels: int) -> nn.Module:
            if variant == "openstl":
                return nn.LayerNorm([channels, 2, *size])
            return nn.GroupNorm(1, channels, eps=1e-12)

        def conv(entering: int, gates: int, *, normed: bool = layer_norm) -> PairConv:
            leaving = gates * hidden
            flavour = norm(leaving) if normed else None
            return PairConv(entering, leaving, kernel_size, variant=variant, norm=flavour)

        self.conv_x, self.conv_h, self.conv_m = conv(in_channels or hidden, 7), conv(hidden, 4), conv(hidden, 4)
        of_output = layer_norm and variant == "openstl"
        self.conv_c, self.conv_n = conv(hidden, 1, normed=of_output), conv(hidden, 1, normed=of_output)
        self.norm_c = norm(hidden)
        self.fusion = GateConv(2 * hidden, hidden, 1, bias=variant == "official")

    def init_state(self, batch: int, height: int, width: int, *, like: Tensor) -> E3DState:
        """Zeros, of which one cell is there to be recalled."""
        # each a tensor of its own: an export takes one tensor in two places for one input
        h, *past = (zeros(like, batch, 2 * self.hidden, height, width) for _ in range(self.tau + 1))
        before = () if self.in_channels is None else (zeros(like, batch, self.in_channels, height, width),)
        return E3DState(h, tuple(past), like.new_zeros(batch, 1, 1, 1), before)

    def _pair(self, maps: Hidden) -> Tensor:
        """Take two frames out of the channels, (B, N, 2, H, W)."""
        return maps.unflatten(1, (-1, 2))

    def _list_tokens(self, maps: Pair) -> Tensor:
        """List the tokens of a map, (B, 2 H W, N)."""
        if self.variant == "official":
            maps = maps.movedim(1, -1)
        return maps.flatten(1).unflatten(1, (-1, self.hidden))

    def _recall(self, r: Pair, state: E3DState) -> Tensor:
        """Recall past cells, (B, N, 2, H, W)."""
        keys = torch.stack([self._list_tokens(self._pair(cell)) for cell in state.past], 1)
        scores = torch.einsum("bqn,btkn->bqtk", self._list_tokens(r), keys)
        age = torch.arange(self.tau, 0, -1, device=r.device)[None, None, :, None]
        scores = scores.masked_fill(age > state.seen + 1, -torch.inf)
        weights = scores.flatten(2).softmax(2).unflatten(2, scores.shape[2:])
        found = torch.einsum("bqtk,btkn->bqn", weights, keys)
        if self.variant == "openstl":
            return found.reshape(r.shape)
        return found.unflatten(1, r.shape[2:]).movedim(-1, 1)

    def _compute(self, x: Hidden, memory: Memory, state: E3DState) -> dict[str, Tensor]:
        """Symbols of the equations, maps of two frames."""
        pair = torch.stack([state.before[0], x], 2) if state.before else self._pair(x)
        ih, gh, rh, oh = self.conv_h(self._pair(state.h)).chunk(4, 1)
        ix, gx, rx, ox, imx, gmx, fmx = self.conv_x(pair).chunk(7, 1)
        im, fm, gm, q = self.conv_m(self._pair(memory[0])).chunk(4, 1)
        i, g, r = torch.sigmoid(ix + ih), torch.tanh(gx + gh), torch.sigmoid(rx + rh)
        c = self.norm_c(self._pair(state.past[-1]) + self._recall(r, state)) + i * g
        im, gm, fm = torch.sigmoid(imx + im), torch.tanh(gmx + gm), torch.sigmoid(fmx + fm + 1)
        m = im * gm + fm * torch.tanh(q)
        o = torch.sigmoid(torch.tanh(ox + oh + self.conv_c(c) + self.conv_n(m)))
        # a 1 x 1 convolution of both frames, one below the other
        fused = self.fusion(torch.cat([c, m], 1).flatten(2, 3)).unflatten(2, (2, -1))
        return {
            "i": i,
            "g": g,
            "r": r,
            "im": im,
            "gm": gm,
            "fm": fm,
            "o": o,
            "c": c,
            "m": m,
            "h": o * torch.tanh(fused),
        }

    def forward(self, x: Hidden, memory: Memory, state: E3DState) -> Step:
        """One step of the recurrence."""
        values = {name: value.flatten(1, 2) for name, value in self._compute(x, memory, state).items()}
        seen = torch.clamp(state.seen + 1, max=self.tau - 1)
        new = E3DState(values["h"], (*state.past[1:], values["c"]), seen, (x,) if state.before else ())
        leaving = values["m"] if self.updated else memory[0]
        return Step(values["h"], (leaving,), new, {"o": values["o"]} if self.reports_output else {})

    def gates(self, x: Hidden, memory: Memory, state: E3DState) -> dict[str, Tensor]:
        """Symbols of the equations, o for sigma(o'), (B, 2 N, H, W); the primed gates are "im", "gm", "fm"."""
        values = {name: value.flatten(1, 2) for name, value in self._compute(x, memory, state).items()}
        return values if self.updated else {name: value for name, value in values.items() if name != "m"}


class E3DLSTM(ConvConfig):
    """Stacked E3D-LSTM cells; all layers are equally wide.

    `memory`: "updated", as in the paper, or "published", as in both codes, where it stays 0. `tau`: past cells that are
    recalled; cost grows with it and with the square of the map's positions. `variant`: "official" (TensorFlow, any size)
    or "openstl", for its weights: no biases, one size. `layer_norm`: of the convolutions' results; that of the cell is
    always there.
    """

    family, year = "attention", 2019
    small: ClassVar[Options] = {"hidden": (16, 16), "kernel_size": 3, "tau": 4}
    name: Literal["e3d_lstm"] = "e3d_lstm"
    memory: Literal["updated", "published"] = "updated"
    tau: Annotated[int, Field(ge=1, le=1000)] = 10
    variant: Variant = "official"
    layer_norm: bool = True

    _equal = field_validator("hidden")(equal)

    @property
    def fixed_size(self) -> bool:
        """True for OpenSTL's norms, which are maps."""
        return self.variant == "openstl"

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> Network:
        """Build the network; weights of "official" begin in Glorot's range, biases as zeros."""
        cells = [
            E3DLSTMCell(
                channels + extra if layer == 0 else None,
                n,
                self.kernel_size,
                variant=self.variant,
                updated=self.memory == "updated",
                layer_norm=self.layer_norm,
                tau=self.tau,
                size=(height, width),
            )
            for layer, n in enumerate(self.hidden)
        ]
        network = Network(cells, pixel_head(2 * self.hidden[-1], channels, bias=self.variant == "official"))
        if self.variant == "official":
            for part in network.modules():
                if isinstance(part, GateConv):
                    leaving, entering, taps = len(part.weight), part.weight.shape[1], part.weight.shape[2] ** 2
                    frames = 2 if part is network.head or taps > 1 else 1
                    part.reset_parameters((6 / (taps * (entering + frames * leaving))) ** 0.5)
        return network
