"""Streams of a forecaster: one real frame at a time, with a state that is a value; and forecasts frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.forecasting.frame_codec import EncodedFrame, FrameCodec
from framecast.forecasting.validation import (
    as_frames,
    check_covariates,
    check_forecast,
    check_frames,
    check_horizon,
    check_size,
    check_state,
)
from framecast.models import ModelConfig
from framecast.nn.base_head import BaseStep
from framecast.nn.network import Advance, Aux
from framecast.nn.rollout import draw_noise, observe, rollout
from framecast.nn.tiled_network import TiledNetwork, check_tile
from framecast.transforms.missing import Observed


class RecentFrame(NamedTuple):
    """Observed frame of a stream, as the network takes it."""

    patches: Tensor
    """(B, 1, P*P*C, H', W'), network units."""
    extra: Tensor | None
    """(B, 1, P*P*E, H', W'), covariates and mask of the step from this frame on; None without any."""
    base: BaseStep | None
    """Forecast of the base for the next frame; None without one, or for a network that does not feed back."""


class StreamState(NamedTuple):
    """State of a forecaster within a stream. A value: keep it, copy it, branch from it."""

    network: Advance | None
    """State of the network, and its newest prediction; None while a network that runs over the newest frames has not."""
    observed: Observed | None
    """Observations so far; None where neither fill nor mask need them."""
    shape: tuple[int, ...]
    """(B, C, H, W) of the frames of the stream."""
    base: Any = None
    """State of the base; None without one."""
    recent: tuple[RecentFrame, ...] = ()
    """The newest frames, for a network that runs over so many only."""


class PredictedFrame(NamedTuple):
    """Prediction of one lead time."""

    frame: Tensor
    """(B, targets, H, W), raw units; (B, M, targets, H, W) of members."""
    aux: Aux
    """Report of the network's step, as of the seams of its tiles."""


def _remember(steps: Iterator[BaseStep], newest: list[BaseStep]) -> Iterator[BaseStep]:
    """Iterate over steps, and keep the newest one in a list."""
    for step in steps:
        newest[:] = [step]
        yield step


def _join(parts: list[Tensor | None]) -> Tensor | None:
    """Join parts along time; None where there are none."""
    known = [part for part in parts if part is not None]
    return torch.cat(known, 1) if known else None


class Stream(FrameCodec):
    """Codec of frames with what runs its network in time: a part of `Forecaster`."""

    config: ModelConfig

    def ahead(
        self,
        past: Iterable[tuple[Tensor, Tensor | None]],
        horizon: int,
        covariates: Iterable[Tensor] | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
        state: StreamState | None = None,
    ) -> Iterator[PredictedFrame]:
        """Predict frame by frame, with one frame and the state in memory at a time; the values are those of `predict`.

        Args:
            past: J >= 1 frames, oldest first, each (B, C, H, W), raw units, with its mask, False where missing, or None.
            horizon: K, how many frames to predict.
            covariates: of the J + K frames, (B, E, H, W) each, raw units, NaN where missing; needed if the model has any.
            members: M, for a network that is driven by noise; None for the first member alone.
            seed: seed of the noise.
            state: that `take` returned for the frames before `past`; None where there are none.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        check_horizon(horizon)
        remaining = (frame[:, None] for frame in (() if covariates is None else covariates))
        next(remaining, None)  # those of the first frame: no step predicts it
        frames, mask, patches, run, first = torch.empty(0), None, torch.empty(0), None, None
        following: Tensor | None = None  # covariates of the next frame
        for frame, valid in past:
            frames, mask = frame[:, None], None if valid is None else valid[:, None]
            following = next(remaining, None)
            state, encoded, first = self._take(frames, mask, following, state)
            patches, run = encoded.patches, encoded.base
        last = None if state is None else state.network
        for newest in () if state is None else state.recent:
            last = self._observe(newest, last)
        if last is None or state is None or frames.ndim == 1:
            raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
        size, unknown = (frames.shape[-2], frames.shape[-1]), torch.zeros(len(frames), 1, dtype=torch.bool)
        leads = [] if first is None else [first]
        base = None if run is None else _remember(run.ahead, leads)
        for lead in range(horizon):
            noise = self._draw_noise(patches, range(lead, lead + 1), members, seed)
            # a network that steps predicts the first lead time as it observes the last frame; others begin here
            if lead > 0 or last.frame is None:
                following = next(remaining, None) if lead > 0 else following
                covariate = check_covariates(following, frames, 1, self.spec)
                # of the first lead time the mask is that of the last frame; then no frame is observed
                extra = self.extra(frames, mask, 1, covariate, state.observed, unknown if lead > 0 else None)
                with torch.inference_mode():
                    ahead = rollout(self.network, patches[:, :0], 1, state=last, extra=extra, drive=noise, base=base)
                    last = ahead.state
            frame = self._decode_newest(last, size, noise, members)
            yield PredictedFrame(self.match(frame, leads[0]) if self.matched and leads else frame, last.aux)

    def take(self, frame: Tensor, state: StreamState | None = None, valid: Tensor | None = None) -> StreamState:
        """Take one real frame of a past, and predict nothing yet: `ahead` goes on from the state, with the same bits.

        Args:
            frame: (B, C, H, W), raw units, of a model without covariates.
            state: after the frame before; None at the start.
            valid: (B, C, H, W), False where a pixel is missing.

        Raises:
            InputError: a frame that does not fit the model's contract.
        """
        return self._take(frame[:, None], None if valid is None else valid[:, None], None, state)[0]

    def _take(
        self, frames: Tensor, mask: Tensor | None, following: Tensor | None, state: StreamState | None
    ) -> tuple[StreamState, EncodedFrame, BaseStep | None]:
        """Take a frame (B, 1, C, H, W); return the state after it, the frame encoded, and the base's next frame."""
        encoded = self._encode_frame(frames, state, 1, mask, following)
        run, first = encoded.base, None
        if run is not None and self.network.feeds_back:
            with torch.inference_mode():
                first = next(run.ahead)
        newest = RecentFrame(encoded.patches, encoded.extra, first)
        last, recent = None, deque(() if state is None else state.recent, maxlen=self.spin_up or 0)
        if self.spin_up is None:
            last = self._observe(newest, None if state is None else state.network)
        recent.append(newest)
        shape, base = (len(frames), *frames.shape[2:]), None if run is None else run.state
        return StreamState(last, encoded.observed, shape, base, tuple(recent)), encoded, first

    def _observe(self, frame: RecentFrame, state: Advance | None) -> Advance:
        """Let the network observe a frame."""
        extra = None if frame.extra is None else frame.extra[:, 0]
        with torch.inference_mode():
            return observe(self.network, frame.patches[:, 0], state, extra=extra, base=frame.base)

    def _decode_newest(self, last: Advance, size: tuple[int, int], noise: Tensor | None, members: int | None) -> Tensor:
        """Decode the newest prediction to (B, targets, H, W), of members (B, M, targets, H, W)."""
        assert last.frame is not None
        # the network computes the M members as M times the batch
        frames = last.frame[:, None] if noise is None else last.frame[:, None].unflatten(0, noise.shape[:2])
        return check_forecast(self.decode_members(frames, size, noise, members).squeeze(-4), self.spec)

    def _draw_noise(self, patches: Tensor, leads: range, members: int | None, seed: int) -> Tensor | None:
        """Draw the noise of these lead times, (B, M, K, ...); None for a network that takes none."""
        shape = self.network.drive_shape(patches.shape[-2], patches.shape[-1])
        if shape is None and members is not None:
            raise UsageError("members", got=members, expected="none: this network takes no noise; leave it out")
        if members is not None and members < 1:
            raise UsageError("members", got=members, expected="at least 1")
        return None if shape is None else draw_noise(shape, [(seed,)] * len(patches), leads, members or 1, patches)

    def step(
        self,
        frame: Tensor,
        state: StreamState | None = None,
        valid: Tensor | None = None,
        covariates: Tensor | None = None,
        *,
        seed: int = 0,
    ) -> tuple[Tensor, StreamState]:
        """Observe one real frame of a stream, and predict the next.

        Args:
            frame: (B, C, H, W), raw units.
            state: state that the last `step` returned; None at the start.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, E, H, W), of the next frame, if the model has any.
            seed: seed of the noise.

        Returns:
            the prediction of the next frame (B, targets, H, W), raw units, and the state for the next `step`.

        Raises:
            InputError: frames that do not fit the model's contract.
        """
        following = None if covariates is None else covariates[:, None]
        frames, state = self._advance(frame, state, 1, valid, following, None, seed)
        return frames[:, 0], state

    def branch(
        self,
        frame: Tensor,
        state: StreamState | None,
        horizon: int,
        valid: Tensor | None = None,
        covariates: Tensor | None = None,
        *,
        members: int | None = None,
        seed: int = 0,
    ) -> Tensor:
        """Look ahead from the middle of a stream; `state` is a value, and the stream can go on from it.

        Args:
            frame: the newest real frame, (B, C, H, W), raw units.
            state: state that the `step` of the frame before returned; None if this frame is the first.
            horizon: K, how many frames to predict.
            valid: (B, C, H, W), False where a pixel is missing.
            covariates: (B, K, E, H, W), of the frames that are predicted, if the model has any.
            members: M, for a network that is driven by noise; None for the first member alone.
            seed: seed of the noise.

        Returns:
            (B, K, targets, H, W), raw units, of members (B, M, K, targets, H, W): `predict` of the whole stream.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon, or members of a network without noise.
        """
        return self._advance(frame, state, horizon, valid, covariates, members, seed)[0]

    def _advance(
        self,
        frame: Tensor,
        state: StreamState | None,
        horizon: int,
        valid: Tensor | None,
        covariates: Tensor | None,
        members: int | None,
        seed: int,
    ) -> tuple[Tensor, StreamState]:
        """Predict `horizon` frames from one real frame, and return the state after the last of them."""
        check_horizon(horizon)
        frame, valid = as_frames(frame, valid)
        mask = None if valid is None else valid[:, None]
        encoded = self._encode_frame(frame[:, None], state, horizon, mask, covariates)
        recent = () if state is None else state.recent
        with torch.inference_mode():
            noise = self._draw_noise(encoded.patches, range(horizon), members, seed)
            run, leads = encoded.base, list[BaseStep]()
            base = None if run is None else run.steps(of_context=self.network.feeds_back, leads=leads)
            result = rollout(
                self.network,
                torch.cat([*(past.patches for past in recent), encoded.patches], 1),
                len(recent) + horizon,
                state=None if state is None or self.spin_up else state.network,
                extra=_join([*(past.extra for past in recent), encoded.extra]),
                drive=noise,
                base=None if base is None else chain((past.base for past in recent if past.base), base),
            )
            predicted = result.frames[..., -horizon:, :, :, :]
            frames = self.decode_members(predicted, (frame.shape[-2], frame.shape[-1]), noise, members)
        first = leads[0] if leads and self.network.feeds_back else None
        newest = RecentFrame(encoded.patches, None if encoded.extra is None else encoded.extra[:, :1], first)
        kept = tuple(deque([*recent, newest], maxlen=(self.spin_up or 1) - 1))
        base_state = None if run is None else run.state
        after = StreamState(result.state, encoded.observed, tuple(frame.shape), base_state, kept)
        with torch.inference_mode():
            return self._finish(check_forecast(frames, self.spec), leads), after

    def _encode_frame(
        self, frames: Tensor, state: StreamState | None, steps: int, valid: Tensor | None, covariates: Tensor | None
    ) -> EncodedFrame:
        """Check and encode one real frame (B, 1, C, H, W), and the covariates and mask of the steps from it on."""
        self.check(frames, valid)
        if state is not None:
            check_state((len(frames), *frames.shape[2:]), state.shape)
        covariates = check_covariates(covariates, frames, steps, self.spec)
        before = None if state is None else state.observed
        with torch.inference_mode():
            patches, extra = self.encode(frames, valid, before), self.extra(frames, valid, steps, covariates, before)
            run = self.run_base(frames, valid, before, state=None if state is None else state.base)
            return EncodedFrame(patches, extra, self.track_observed(frames, valid, before), run)

    def check(self, frames: Tensor, valid: Tensor | None) -> None:
        """Refuse by an InputError frames, (B, T, C, H, W) in raw units, that do not fit the model's contract."""
        check_frames(frames, valid, self.spec)
        if self.config.fixed_size and isinstance(self.network, TiledNetwork):
            check_tile(self.network.layout.tile, self.cells(*frames.shape[-2:]))
        elif self.config.fixed_size:
            check_size(frames, self.spec)

    def _finish(self, frames: Tensor, leads: list[BaseStep]) -> Tensor:
        """Match frames (B, [M,] K, targets, H, W), raw units, to the base where that is asked for."""
        if not self.matched or not leads:
            return frames
        by_lead = zip(frames.unbind(-4), leads, strict=True)
        return torch.stack([self.match(frame, step) for frame, step in by_lead], -4)
