"""Validate what a predictor is given: axes, channels, dtype, finite values, size of frames and covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.errors import InputError
from framecast.types import FrameSpec

Values = Tensor | NDArray[Any]
"""Frames, masks or covariates, in torch or in NumPy."""


def as_tensor(values: Values) -> Tensor:
    """Return the values as torch takes them, whatever the order of their bytes and axes in NumPy.

    Raises:
        InputError: no real numbers.
    """
    if isinstance(values, Tensor):
        return values
    if values.dtype.kind not in "fiub":
        raise InputError("frames", got=f"dtype {values.dtype}", expected="real numbers")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")))


def check_covariates(given: Values | None, frames: Tensor, times: int, spec: FrameSpec) -> Tensor | None:
    """Covariates of the right shape, or None where the model has none.

    Args:
        given: (B, times, E, H, W), or None.
        frames: (B, T, C, H, W).
        times: how many frames' covariates are needed.
        spec: of the model.

    Raises:
        InputError: another shape, or some for a model that has none.
    """
    names = ", ".join(channel.name for channel in spec.covariates)
    shape = (len(frames), times, len(spec.covariates), *frames.shape[-2:])
    if not names and given is None:
        return None
    if not names or given is None:
        got = "none" if given is None else "some"
        raise InputError("covariates", got=got, expected=f"{names}, shape {shape}" if names else "none, as trained")
    found = as_tensor(given)
    if found.shape != shape:
        raise InputError("covariates", got=f"shape {tuple(found.shape)}", expected=f"{shape}: {names}")
    return found


def check_frames(frames: Tensor, valid: Tensor | None, spec: FrameSpec) -> None:
    """Whether frames have the right axes and channels, and finite values where they are valid.

    Args:
        frames: (B, T, C, H, W), raw units.
        valid: (B, T, C, H, W), False where missing; or None.
        spec: of the model.

    Raises:
        InputError: they do not.
    """
    if frames.ndim != 5:
        raise InputError("frames", got=f"shape {tuple(frames.shape)}", expected="(batch, time, channel, height, width)")
    if frames.shape[1] < 1:
        raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
    if frames.shape[2] != spec.channels:
        raise InputError("frames", got=f"{frames.shape[2]} channels", expected=f"{spec.channels}, as trained")
    if valid is not None and valid.shape != frames.shape:
        raise InputError(
            "valid", got=f"shape {tuple(valid.shape)}", expected=f"that of the frames, {tuple(frames.shape)}"
        )
    observed = frames if valid is None else torch.where(valid.to(frames.device), frames, 0)
    if frames.is_floating_point() and not torch.isfinite(observed).all():
        bad = int((~torch.isfinite(observed)).sum())
        raise InputError(
            "frames", got=f"{bad} NaN or infinite pixels", expected="finite ones", fix="mark them in valid="
        )


def check_size(frames: Tensor, spec: FrameSpec) -> None:
    """Whether frames have the size that a network of one size was built for.

    Raises:
        InputError: another one.
    """
    if frames.shape[-2:] != (spec.height, spec.width):
        raise InputError(
            "frames",
            got="x".join(map(str, frames.shape[-2:])),
            expected=f"{spec.height}x{spec.width}: this network has parameters of the map's shape",
            fix="cut or resize the frames, or train a network without full peepholes and chw norms",
        )
