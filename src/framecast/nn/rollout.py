"""Rollout of a network through time: the only time loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from framecast.devices import to_device
from framecast.errors import InputError
from framecast.kernels import checkpointed, rollout_scope
from framecast.nn.base_head import BaseStep
from framecast.nn.network import Advance, Aux, SequenceNetwork
from framecast.types import Frame, Frames, Known

_STREAM = 0xD21E
"""Key that keeps the noise apart from other random numbers of a seed."""


class Rollout(NamedTuple):
    """Predictions of a rollout, and the state after them."""

    frames: Frames
    """(B, S, C, H, W), predictions, the newest last. A network that feeds back gives S = steps, and frames[:, t] predicts
    frame t + 1; any other predicts only frames after the true ones. (B, M, S, C, H, W) for M members."""
    state: Advance
    """State to go on from, with true frames or without any."""
    aux: list[Aux]
    """Reports of the cells, one entry for each frame that entered or came out; empty unless collected."""


def rollout(
    network: SequenceNetwork,
    frames: Frames,
    steps: int,
    known: Known | None = None,
    state: Advance | None = None,
    *,
    extra: Tensor | None = None,
    drive: Tensor | None = None,
    base: Iterator[BaseStep] | None = None,
    aux: bool = False,
) -> Rollout:
    """Run a network through time: it observes true frames where known, and emits frames where there are none.

    A network that feeds back is given its own predictions there, neither detached nor clipped.

    Args:
        network: the network.
        frames: (B, T, C, H, W) true frames, network units; T may be 0 where a state is given, to go on with its forecast.
        steps: how many frames to predict, those of the context but the first included; any number, also beyond T.
        known: (B, steps), which steps are fed the true frame; step 0 always is. By default true while frames last,
            which is the rollout of a forecast. Values are checked on the CPU only. Only for a network that feeds back.
        state: after the frames before; None for the start of a sequence.
        extra: (B, steps, E, H, W), channels that each step gets after those of the frame and that are not predicted,
            network units.
        drive: (B, M, K, *drive_shape), noise of M members for the K steps from the last true frame on; None for none.
        base: one item for each step that predicts a frame, for a network that forecasts against a base.
        aux: whether to collect the reports of the cells.

    Raises:
        InputError: no frames or steps; `known`, `extra` or `drive` of another shape, or without meaning for this network.
    """
    _check(network, frames, steps, known, extra, state)
    _check_drive(network, frames, steps, drive)
    available = frames.shape[1]
    mask = None if known is None else to_device(known, frames.device)[:, :, None, None, None]
    last = Advance(None, None) if state is None else state
    predictions: list[Tensor] = []
    reports: list[Aux] = []
    with rollout_scope():
        for t in range(steps):
            if t < available:
                frame = frames[:, t]
                if t > 0 and mask is not None:  # no branch on its values: sequences differ, and the host would wait
                    assert last.frame is not None
                    frame = torch.where(mask[:, t], frame, last.frame)
                given = next(base) if base is not None and network.feeds_back else None
                entering = _append_inputs(frame, extra, given, t)
                last = _apply_base(network, checkpointed(network.observe, entering, last.state), given)
                reports += [last.aux] if aux else []
            # A network that predicts nothing while it observes emits its first frame right after the last true one.
            if t >= available or (t == available - 1 and last.frame is None):
                noise = None if drive is None else drive[:, :, t - max(available - 1, 0)].flatten(0, 1)
                given = None if base is None else next(base)
                newest = last.frame if network.feeds_back else None
                entering = _append_inputs(newest, extra, given, t)
                last = _apply_base(network, checkpointed(network.emit, entering, last.state, noise), given)
                reports += [last.aux] if aux else []
            predictions += [] if last.frame is None else [last.frame]
    return Rollout(_stack(predictions, drive), last, reports)


def _stack(predictions: list[Tensor], drive: Tensor | None) -> Tensor:
    """Stack the frames of a rollout, (B, S, C, H, W), of members (B, M, S, C, H, W)."""
    stacked = torch.stack(predictions, 1)
    return stacked if drive is None else stacked.unflatten(0, drive.shape[:2])


def observe(
    network: SequenceNetwork,
    frame: Frame,
    state: Advance | None = None,
    *,
    extra: Tensor | None = None,
    base: BaseStep | None = None,
) -> Advance:
    """Let a network take one true frame; only a network that feeds back predicts a frame by it.

    Args:
        network: the network.
        frame: (B, C, H, W), network units.
        state: after the frames before; None for the start of a sequence.
        extra: (B, E, H, W), channels after those of the frame, which are not predicted.
        base: of the step that predicts the next frame, for a network that feeds back and forecasts against a base.
    """
    entering = _append_inputs(frame, None if extra is None else extra[:, None], base, 0)
    with rollout_scope():
        return _apply_base(network, network.observe(entering, None if state is None else state.state), base)


def draw_noise(
    shape: tuple[int, ...], seeds: Sequence[tuple[int, ...]], leads: range, members: int, like: Tensor
) -> Tensor:
    """Draw standard normal noise, a pure function of seed, lead time and member: resuming and batching change nothing.

    Args:
        shape: of one step, see `SequenceNetwork.drive_shape`.
        seeds: B keys, one for each sequence: numbers, 0 or more.
        leads: the K lead times, 0 for the first predicted frame.
        members: M.
        like: of the dtype and device.

    Returns:
        (B, M, K, *shape).
    """

    def draw(seed: tuple[int, ...]) -> Tensor:
        keys = [[_STREAM, *seed, lead, member] for member in range(members) for lead in leads]
        return torch.from_numpy(np.stack([np.random.default_rng(key).standard_normal(shape) for key in keys]))

    distinct = {seed: draw(seed) for seed in set(seeds)}
    noise = torch.stack([distinct[seed] for seed in seeds]).unflatten(1, (members, len(leads)))
    return to_device(noise.to(like.dtype), like.device)


def _append_inputs(frame: Tensor | None, extra: Tensor | None, base: BaseStep | None, t: int) -> Any:
    """Append to a frame, where one enters, the channels of this step that are not predicted, and those of the base."""
    if frame is None:
        return None if extra is None else extra[:, t]
    if extra is None and base is None:
        return frame
    further = [*([] if extra is None else [extra[:, t]]), *([] if base is None else [base.inputs])]
    rows = [part.repeat_interleave(len(frame) // len(part), 0) if len(part) != len(frame) else part for part in further]
    return torch.cat([frame, *rows], 1)


def _apply_base(network: SequenceNetwork, last: Advance, base: BaseStep | None) -> Advance:
    """Combine the newest prediction with the base's forecast."""
    if base is None or last.frame is None:
        return last
    assert network.base_head is not None
    return last._replace(frame=network.base_head(last.frame, base))


def _check(
    network: SequenceNetwork,
    frames: Tensor,
    steps: int,
    known: Tensor | None,
    extra: Tensor | None,
    state: Advance | None,
) -> None:
    batch, available = frames.shape[:2]
    if (available < 1 and state is None) or steps < 1:
        raise InputError("rollout", got=f"{available} frames, {steps} steps", expected="at least one of each")
    if steps < available and not network.feeds_back:
        expected = "steps for all frames: this network predicts none before it has observed them"
        raise InputError("rollout", got=f"{available} frames, {steps} steps", expected=expected)
    if known is not None and not network.feeds_back:
        expected = f"none: {type(network).__name__} is fed observed frames alone"
        raise InputError("known", got="some", expected=expected)
    for name, value in (("known", known), ("extra", extra)):
        if value is not None and value.shape[:2] != (batch, steps):
            raise InputError(name, got=f"{tuple(value.shape[:2])}", expected=f"{(batch, steps)} (batch, steps)")
    if known is None or known.device.type != "cpu":  # values on a GPU are not read: the host would wait
        return
    if not known[:, 0].all():
        raise InputError("known", got="False at step 0", expected="True: there is no prediction before the first frame")
    if known[:, available:].any():
        raise InputError("known", got=f"True after frame {available}", expected="False where no true frame is given")


def _check_drive(network: SequenceNetwork, frames: Tensor, steps: int, drive: Tensor | None) -> None:
    if drive is None:
        return
    shape = network.drive_shape(frames.shape[-2], frames.shape[-1])
    ahead = steps - max(frames.shape[1] - 1, 0)
    if shape is None:
        raise InputError("drive", got="noise", expected=f"none: {type(network).__name__} takes none")
    expected = (len(frames), drive.shape[1], ahead, *shape)
    if drive.shape != expected or not drive.shape[1]:
        raise InputError(
            "drive", got=f"shape {tuple(drive.shape)}", expected=f"{expected} (batch, members, steps, ...)"
        )
