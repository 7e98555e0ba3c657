"""The only time loop."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from framecast.devices import to_device
from framecast.errors import InputError
from framecast.kernels import checkpointed, rollout_scope
from framecast.nn.network import Aux, Network, NetworkState
from framecast.types import Frames, Known


class Rollout(NamedTuple):
    """What a rollout gives."""

    frames: Frames
    """(B, steps, C, H, W); frames[:, t] predicts frame t + 1."""
    state: NetworkState
    """The state after the last step."""
    aux: list[Aux]
    """What the cells reported, one entry per step; empty unless asked for."""


def rollout(
    network: Network,
    frames: Frames,
    steps: int,
    known: Known | None = None,
    state: NetworkState | None = None,
    *,
    extra: Tensor | None = None,
    aux: bool = False,
) -> Rollout:
    """Run a network through time, feeding true frames where known and its own predictions elsewhere.

    Predictions that are fed back are neither detached nor clipped.

    Args:
        network: the network.
        frames: (B, T, C, H, W) true frames, network units.
        steps: how many frames to predict; any number, also beyond T.
        known: (B, steps), which steps are fed the true frame; step 0 always is. By default true while frames last,
            which is the rollout of a forecast: nothing of the future is needed. Its values are checked on the CPU
            only: to read them from a GPU would make the host wait.
        state: where to go on from; None for the start of a sequence.
        extra: (B, steps, E, H, W), channels that each step is given behind those of the frame and that are not
            predicted, network units.
        aux: whether to collect the cells' reports.

    Raises:
        InputError: no frames or steps, `known` or `extra` has another shape, or a frame is asked for that is not there.
    """
    _check(frames, steps, known, extra)
    available = frames.shape[1]
    mask = None if known is None else to_device(known, frames.device)[:, :, None, None, None]
    predictions: list[Tensor] = []
    reports: list[Aux] = []
    frame = frames[:, 0]
    with rollout_scope():
        for t in range(steps):
            if t > 0:
                frame = frames[:, t] if t < available and mask is None else predictions[-1]
                if t < available and mask is not None:
                    frame = torch.where(mask[:, t], frames[:, t], frame)
            prediction, state, report = checkpointed(network, _entering(frame, extra, t), state)
            predictions.append(prediction)
            if aux:
                reports.append(report)
    assert state is not None
    return Rollout(torch.stack(predictions, 1), state, reports)


def _entering(frame: Tensor, extra: Tensor | None, t: int) -> Tensor:
    return frame if extra is None else torch.cat([frame, extra[:, t]], 1)


def _check(frames: Tensor, steps: int, known: Tensor | None, extra: Tensor | None) -> None:
    batch, available = frames.shape[:2]
    if available < 1 or steps < 1:
        raise InputError("rollout", got=f"{available} frames, {steps} steps", expected="at least one of each")
    if extra is not None and extra.shape[:2] != (batch, steps):
        raise InputError("extra", got=f"{tuple(extra.shape[:2])}", expected=f"{(batch, steps)} (batch, steps)")
    if known is None:
        return
    if known.shape != (batch, steps):
        raise InputError("known", got=f"shape {tuple(known.shape)}", expected=f"{(batch, steps)} (batch, steps)")
    if known.device.type != "cpu":
        return
    if not known[:, 0].all():
        raise InputError("known", got="False at step 0", expected="True: there is no prediction before the first frame")
    if known[:, available:].any():
        raise InputError("known", got=f"True after frame {available}", expected="False where no true frame is given")
