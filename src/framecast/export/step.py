"""One step of a forecaster as a function of tensors alone: raw frame and state in, prediction and state out.

The recurrence has no branch: a step without a frame is fed the newest prediction, and every state begins as zeros.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from framecast.errors import UsageError
from framecast.export.base_recurrence import BaseRecurrence, make_recurrence
from framecast.export.gate_maps import GateMaps, list_gates
from framecast.export.state_layout import PROBES, Multiple, Size, StateTensor, describe_size
from framecast.forecasting.forecaster import Forecaster
from framecast.nn.network import Network
from framecast.transforms.channels import channel_lows, to_unit
from framecast.transforms.missing import fill_missing
from framecast.transforms.patches import patchify

WHOLE = sys.maxsize, sys.maxsize
"""Size to which nothing is cropped."""


class ForecastStep(nn.Module):
    """Step of a forecaster as a pure function, which starts from zeros.

    Args:
        forecaster: the model, in single precision on the CPU.
        with_gates: whether the maps of its gates are outputs, too, after the state.

    Raises:
        UsageError: a network or a base that has no such form.
    """

    def __init__(self, forecaster: Forecaster, *, with_gates: bool = False) -> None:
        super().__init__()
        _check(forecaster)
        self.forecaster = forecaster
        self.network: Any = forecaster.network
        self.recurrence: BaseRecurrence | None = make_recurrence(forecaster)
        self.tracks_observed = forecaster.fill == "last" or forecaster.mask_channel
        channels = forecaster.spec.channels
        frame: tuple[Size, ...] = (channels, *self.frame_size)
        self.state: list[StateTensor] = []
        """Parts of the state, in order."""
        if self.tracks_observed:
            self.state += [StateTensor("observed_last", frame), StateTensor("observed_ever", frame)]
        if self.recurrence is not None:
            self.state += self.recurrence.describe(*self.frame_size)
        self._first_of_network = len(self.state)
        leaves, self._layout = tree_flatten(self.network.init_state(self._make_frame(1, 2, 2)))
        self._leaves = len(leaves)
        self.state += self._describe_network()
        self._maps = GateMaps(self.network)
        self.gates = list_gates(self.network, self._make_frame(1, 3, 5)) if with_gates else []
        """Names of the maps of gates that are outputs, in order."""

    @property
    def edge(self) -> int:
        """Rows and columns of a frame are multiples of so many pixels."""
        return self.forecaster.patch * int(self.network.stride)

    @property
    def frame_size(self) -> tuple[Multiple, Multiple]:
        """Height and width of a frame, pixels."""
        forecaster = self.forecaster
        if not forecaster.config.exports_one_size:
            return Multiple("rows", self.edge), Multiple("columns", self.edge)
        rows, columns = forecaster.cells(forecaster.spec.height, forecaster.spec.width)
        return Multiple(None, rows * forecaster.patch), Multiple(None, columns * forecaster.patch)

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs before the state."""
        forecaster = self.forecaster
        names = ["frame", "known"]
        names += ["covariates"] if forecaster.spec.covariates else []
        names += ["begins"] if forecaster.spin_up is not None else []
        return names + (["motion"] if self.recurrence is not None and self.recurrence.tracks else [])

    def _make_frame(self, batch: int, rows: int, columns: int) -> Tensor:
        """Make a frame as the network takes it, of the size in multiples of the smallest one."""
        stride, forecaster = self.network.stride, self.forecaster
        if forecaster.config.exports_one_size:
            rows, columns = (size // stride for size in forecaster.cells(forecaster.spec.height, forecaster.spec.width))
        return torch.zeros(batch, forecaster.input_channels, rows * stride, columns * stride)

    def _describe_network(self) -> list[StateTensor]:
        """Describe the state of the network, by how it grows with the frame."""
        probes = [tree_flatten(self.network.init_state(self._make_frame(2, *size)))[0] for size in PROBES]
        if any(leaf.any() for leaf in probes[0]):
            raise UsageError("export", got="a network whose state does not begin as zeros", expected="zeros")
        described = []
        for number, (small, large) in enumerate(zip(*probes, strict=True)):
            pairs = zip(small.shape[1:], large.shape[1:], strict=True)
            sizes = tuple(describe_size(first, second) for first, second in pairs)
            described.append(StateTensor(f"network_{number}", sizes))
        patches = self.forecaster.spec.channels * self.forecaster.patch**2
        rows, columns = (size.divide(self.forecaster.patch) for size in self.frame_size)
        return [*described, StateTensor("prediction", (patches, rows, columns))]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Advance by one step.

        Args:
            inputs: those of `inputs`, then the state. frame: (B, C, H, W), raw units, NaN where missing. known: (B,),
                whether there is a frame; without one the network's own prediction enters, and the frame may hold
                anything. covariates: (B, E, H, W), of the frame that is predicted, NaN where missing. begins: (1,),
                whether the network begins here, whatever came before. motion: (B, 2, H, W), at the frame.

        Returns:
            the predicted frame, (B, targets, H, W), raw units, and the new state; then the maps of gates, if asked for.
        """
        given = dict(zip(self.inputs, inputs, strict=False))
        state = list(inputs[len(given) :])
        frame, known = given["frame"], given["known"][:, None, None, None]
        seen = ~torch.isnan(frame) & known
        observed = self._observe(frame, seen, state[:2]) if self.tracks_observed else []
        units = self._to_units(frame, seen, observed)
        extra = self._encode_extra(given.get("covariates"), seen, known, observed)
        network = state[self._first_of_network :]
        if "begins" in given:
            network = [torch.where(given["begins"], 0, part) for part in network]
        entering = [torch.where(known, patchify(units[:, None], self.forecaster.patch)[:, 0], network[-1]), *extra]
        base, base_state = None, list[Tensor]()
        if self.recurrence is not None:
            before = state[2 if self.tracks_observed else 0 : self._first_of_network]
            base, base_state = self.recurrence.advance(units, seen, given["known"], given.get("motion"), before)
            entering.append(base.inputs)
        with self._maps.listen():
            advance = self.network.emit(torch.cat(entering, 1), tree_unflatten(network[:-1], self._layout))
        patches = advance.frame if base is None else self.network.base_head(advance.frame, base)
        after = [*observed, *base_state, *tree_flatten(advance.state)[0], patches]
        assert len(after) == len(self.state)
        frames = self.forecaster.decode(patches[:, None], WHOLE)[:, 0]
        # a copy: a tensor that is two outputs has one name only
        outputs = (frames, *(part.clone() for part in after))
        if not self.gates:
            return outputs
        maps = self._maps.compute()
        return (*outputs, torch.stack([maps[name] for name in self.gates], 1))

    def _observe(self, frame: Tensor, seen: Tensor, before: list[Tensor]) -> list[Tensor]:
        """Update the last observed values, and whether there were any, 1 or 0."""
        return [torch.where(seen, frame, before[0]), torch.where(seen, 1.0, before[1])]

    def _to_units(self, frame: Tensor, seen: Tensor, observed: list[Tensor]) -> Tensor:
        """Fill missing pixels, and convert to network units."""
        lows = channel_lows(frame, self.forecaster.spec)
        if self.forecaster.fill == "last":
            filled = torch.where(observed[1] > 0, observed[0], lows)
        else:
            filled = fill_missing(frame[:, None], seen[:, None], self.forecaster.fill, lows)[:, 0]
        return self.forecaster.normalize(filled[:, None])[:, 0]

    def _encode_extra(
        self, covariates: Tensor | None, seen: Tensor, known: Tensor, observed: list[Tensor]
    ) -> list[Tensor]:
        """Encode covariates and mask as patches, in one list entry; none for a network that has neither."""
        parts = []
        if covariates is not None and not self.forecaster.ignores_extra:
            scaled = to_unit(covariates, self.forecaster.spec.covariates)
            parts.append(torch.where(torch.isnan(scaled), 0, scaled))
        if self.forecaster.mask_channel and not self.forecaster.ignores_extra:
            mask = (known & seen) | (~known & (observed[1] > 0))
            parts.append(mask.all(1, keepdim=True).to(seen.device, torch.float32))
        return [patchify(torch.cat(parts, 1)[:, None], self.forecaster.patch)[:, 0]] if parts else []


def _check(forecaster: Forecaster) -> None:
    """Refuse networks that are no steps, with what to do."""
    if type(forecaster.network) is not Network:
        got = f"{type(forecaster.config).__name__}, a network of another kind"
        fix = "export a network that predicts step by step: framecast models lists them"
        raise UsageError("export", got=got, expected="a stack of cells with a head", fix=fix)
