"""Where does MotionRNN move its hidden states? The learnt offsets of each layer, as arrows over the newest given frame.

A pixel looks up its 3 x 3 neighbours at offsets: what it finds there comes to it, so that motion is the mean offset,
turned round. Offsets are pixels of a map of half the size of the hidden state's.

Wu et al.: MotionRNN, CVPR 2021, https://arxiv.org/abs/2103.02243.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from framecast import files
from framecast.analysis.trace import CellVisit, Counts, Floats, encode_input, list_fed_frames, trace
from framecast.data.windows.loader import Batch
from framecast.devices import to_float64
from framecast.errors import UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.plotting.arrows import MovingFrame, draw_motion
from framecast.types import FrameSpec, Grid

TAPS = 9
"""Neighbours of a pixel that are looked up."""


class MotionFields(NamedTuple):
    """Motion of the layers that move their hidden state, of one sequence."""

    layer: Counts
    """(L,), 1 at the bottom."""
    motion: Floats
    """(L, T-1, 2, H, W), to the right and down the rows, pixels of the frame per step."""
    trend: Floats
    """(L, T-1, 2, H, W), the part of it that is a running mean."""
    fed: NDArray[np.floating[Any]]
    """(T-1, C, H, W), the frame that each step is fed, raw units."""


def map_motion(forecaster: Forecaster, batch: Batch, context: int) -> MotionFields:
    """Map the motion through a forecast of the first sequence of a batch.

    Args:
        forecaster: the model.
        batch: windows, raw units.
        context: J, frames that a forecast is given.

    Raises:
        UsageError: a network that moves nothing.
    """
    fields: dict[int, list[Floats]] = {}

    def add_visit(visit: CellVisit) -> None:
        gates = visit.compute_gates()
        if "offset" in gates:
            both = torch.stack([gates["offset"][0], gates["trend"][0]])
            rows, columns = to_float64(both).unflatten(1, (2, TAPS)).mean(2).unbind(1)
            fields.setdefault(visit.layer, []).append(-torch.stack([columns, rows], 1).cpu().numpy())

    with torch.inference_mode():
        inputs = encode_input(forecaster, batch, context)
        result = trace(forecaster.network, inputs, add_visit)
        size = (batch.frames.shape[-2], batch.frames.shape[-1])
        fed = forecaster.decode(torch.stack(list_fed_frames(inputs, result), 1), size)[0].cpu().numpy()
    if not fields:
        raise UsageError("motion", got=type(forecaster.config).__name__, expected="motionrnn, whose cells move")
    edge = 2 * forecaster.patch
    grown = edge * np.stack([np.stack(steps) for steps in fields.values()])
    maps = grown.repeat(edge, -2).repeat(edge, -1)[..., : size[0], : size[1]]
    return MotionFields(np.array(list(fields), dtype=np.int64), maps[:, :, 0], maps[:, :, 1], fed)


def summarise(fields: MotionFields) -> dict[str, float]:
    """Root mean square of the motion of each layer, and of its trend, pixels per step."""
    rows = {}
    for layer, motion, trend in zip(fields.layer, fields.motion, fields.trend, strict=True):
        for name, values in (("motion", motion), ("trend", trend)):
            rows[f"{name}, layer {layer}, pixels per step"] = float(np.sqrt(np.square(values).sum(1).mean()))
    return rows


def draw(folder: Path, runs: Mapping[str, MotionFields], context: int) -> None:
    """Draw the newest given frame of each run once for each layer, with arrows of its motion."""
    for name, fields in runs.items():
        prefix = f"{name}-" if len(runs) > 1 else ""
        frame = fields.fed[context - 1]
        given = fields.fed[:context]
        low, high = float(given.min()), float(given.max())
        channels, height, width = frame.shape
        spec = FrameSpec(channels=channels, height=height, width=width, low=low, high=high if high > low else low + 1)
        moving = [
            MovingFrame(frame, motion[context - 1], f"{name}, layer {layer}, step {context}")
            for layer, motion in zip(fields.layer, fields.motion, strict=True)
        ]
        picture = draw_motion(moving, spec, Grid())
        files.write(folder / f"{prefix}motion.png", lambda file, picture=picture: file.write(picture))  # type: ignore[misc]
