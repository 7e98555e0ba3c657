"""Base that corrects another one by least squares: by lead time, weights of its fields, their means, its changes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import torch
from torch import Tensor

from framecast.bases.base import Base, BaseFields, find_motion, smooth

RADII = (1, 3, 7, 15)
"""Radii of the squares over which the base's forecast is averaged, pixels."""
MEAN_RADIUS = 7
"""Radius of the squares over which the mean of the context is averaged, pixels."""
OUTSIDE = (0, len(RADII) + 1, len(RADII) + 2, *range(2, len(RADII) + 1), len(RADII) + 3)
"""Numbers of the maps that count where the base does not know: its forecast, the means of the context, broad means, 1."""
CHUNK = 2**16
"""Pixels whose features are summed at a time, in double precision."""
RIDGE = 1e-5
"""Penalty of the squared weights, relative to the number of pixels: fields that say the same share a weight."""


class Fitted(Base):
    """Base that is a linear correction of another one, fitted to training data.

    Where the other base knows, the features are its forecast, means of it over several areas, the mean of the context and
    the changes; elsewhere the mean of the context and broad means of the forecast. Each lead time and channel has its own
    weights; between lead times, as for other time steps, they are interpolated, down to the other base itself at 0.

    Args:
        inner: the other base.
        channels: C.
        horizon: K, lead times that are fitted; beyond, the weights of the last one serve.
        floor: least value of a frame, network units; None for none.
    """

    weights: Tensor

    def __init__(self, inner: Base, channels: int, horizon: int, floor: float | None) -> None:
        super().__init__()
        self.inner, self.floor = inner, floor
        self.changes, self.tracks = inner.changes, inner.tracks
        self.features = 2 * (len(RADII) + 4) - 1 + inner.changes
        identity = torch.zeros(horizon + 1, channels, self.features)
        identity[:, :, 0] = 1.0
        # where the other base does not know, it gives the mean of the context, or what it gives everywhere
        identity[:, :, len(RADII) + 4] = 1.0
        self.register_buffer("weights", identity)

    def observe(self, frame: Tensor, seen: Tensor, state: Any, motion: Tensor | None = None) -> Any:
        """Let the other base observe."""
        return self.inner.observe(frame, seen, state, motion)

    def look_ahead(self, state: Any, pace: Tensor | None = None) -> Iterator[BaseFields]:
        """Correct the forecasts of the other base."""
        broad: tuple[Tensor, Tensor] | None = None
        for lead, fields in zip(count(1), self.inner.look_ahead(state), strict=False):
            if broad is None or broad[0] is not fields.mean:  # once for all lead times
                broad = fields.mean, smooth(fields.mean, MEAN_RADIUS)
            like = fields.forecast
            time = torch.full((len(like),), float(lead), device=like.device) if pace is None else lead * pace
            yield self.correct(fields, time, broad[1])

    def correct(self, fields: BaseFields, time: Tensor, broad: Tensor | None = None) -> BaseFields:
        """Correct the forecast of the other base.

        Args:
            fields: of the other base.
            time: (B,), lead time, steps of the training.
            broad: (B, C, H, W), means of the mean of the context, where they have been computed already.
        """
        broad = smooth(fields.mean, MEAN_RADIUS) if broad is None else broad
        frame = self._add_features(fields, broad, self._interpolate(time.to(fields.mean.dtype))[..., None, None])
        return fields._replace(forecast=frame if self.floor is None else frame.clamp_min(self.floor))

    def _add_features(self, fields: BaseFields, broad: Tensor, weights: Tensor) -> Tensor:
        """Add up the features of one lead time, (B, C, H, W), each by its weight, (B, C, F, 1, 1)."""
        maps = _list_maps(fields, broad)
        inside, outside, changes = weights.split((len(maps), len(OUTSIDE), self.changes), 2)
        known = _add_up([*maps, *fields.changes.unbind(1)], torch.cat([inside, changes], 2))
        return torch.where(fields.known, known, _add_up([maps[number] for number in OUTSIDE], outside))

    def _interpolate(self, time: Tensor) -> Tensor:
        """Interpolate the weights at lead times, steps of the training: (B, C, F)."""
        time = time.clamp(0, len(self.weights) - 1)
        below = time.floor().long().clamp_max(len(self.weights) - 2)
        share = (time - below)[:, None, None]
        return torch.lerp(self.weights[below], self.weights[below + 1], share.to(self.weights.dtype))

    def list_features(self, fields: BaseFields) -> Tensor:
        """List the features of one lead time, (B, C, F, H, W)."""
        known = fields.known.to(fields.forecast.dtype)
        maps = _list_maps(fields, smooth(fields.mean, MEAN_RADIUS))
        parts = [part * known for part in maps] + [maps[number] * (1 - known) for number in OUTSIDE]
        changes = (fields.changes * known[:, None]).unbind(1)
        return torch.stack([*parts, *changes], 2)

    @torch.no_grad()
    def fit(self, windows: Iterator[tuple[Tensor, Tensor, Tensor | None]], context: int) -> None:
        """Fit the weights.

        Args:
            windows: frames (B, J + K, C, H, W), network units, missing pixels filled; their mask, False where missing;
                and the motion at the newest N frames of the context, (B, N, 2, H, W), or None.
            context: J.
        """
        horizon, channels, size = len(self.weights) - 1, self.weights.shape[1], self.features
        normal = torch.zeros(horizon, channels, size, size, dtype=torch.float64)
        target = torch.zeros(horizon, channels, size, dtype=torch.float64)
        pixels = 0
        for frames, seen, motion in windows:
            state: Any = None
            for t in range(context):
                given = find_motion(motion, t - context)
                state = self.inner.observe(frames[:, t], seen[:, t], state, given)
            ahead = self.inner.look_ahead(state)
            for lead in range(horizon):
                features = self.list_features(next(ahead))
                truth, mask = frames[:, context + lead], seen[:, context + lead]
                for channel in range(channels):
                    known, values = mask[:, channel].flatten(), truth[:, channel].flatten()
                    columns = features[:, channel].transpose(0, 1).flatten(1)
                    for first in range(0, len(known), CHUNK):
                        part = slice(first, first + CHUNK)
                        chosen = columns[:, part][:, known[part]].double()
                        normal[lead, channel] += chosen @ chosen.T
                        target[lead, channel] += chosen @ values[part][known[part]].double()
                pixels += int(mask.sum())
        scale = max(1.0, pixels / (horizon * channels))
        # towards the other base, not towards zero: a feature that never varies keeps its weight
        start = self.weights[1:].double().cpu()
        ridge = RIDGE * scale * torch.eye(size, dtype=torch.float64)
        right = target - (normal @ start[..., None])[..., 0]
        change = torch.linalg.solve(normal + ridge, right[..., None])[..., 0]
        self.weights[1:] = (start + change).to(self.weights)


def _list_maps(fields: BaseFields, broad: Tensor) -> list[Tensor]:
    """List what is added up where the other base knows, (B, C, H, W) each; of these `OUTSIDE` elsewhere.

    Args:
        fields: of the other base.
        broad: (B, C, H, W), means of the mean of the context.
    """
    one = fields.mean.new_ones(()).expand_as(fields.mean)
    return [fields.forecast, *(smooth(fields.forecast, radius) for radius in RADII), fields.mean, broad, one]


def _add_up(maps: list[Tensor], weights: Tensor) -> Tensor:
    """Add up maps (B, C, H, W) by their weights (B, C, N, 1, 1), in place of a product that holds them all."""
    total = torch.zeros_like(maps[0])
    for values, weight in zip(maps, weights.unbind(2), strict=True):
        total.addcmul_(values, weight)
    return total
