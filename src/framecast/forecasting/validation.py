"""Validation of a predictor's input: axes, channels, dtype, finite values, size of frames and covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.types import FrameSpec

Values = Tensor | NDArray[Any]
"""Frames, masks or covariates, in torch or in NumPy."""


def as_tensor(values: Values) -> Tensor:
    """Convert an array to a tensor; byte orders and strides that torch refuses are copied, a tensor is returned as it is.

    Raises:
        InputError: values that are no real numbers.
    """
    if isinstance(values, Tensor):
        return values
    if values.dtype.kind not in "fiub":
        raise InputError("frames", got=f"dtype {values.dtype}", expected="real numbers")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")))


def check_horizon(horizon: int) -> None:
    """Check that a forecast has a lead time.

    Raises:
        UsageError: a horizon below 1.
    """
    if horizon < 1:
        raise UsageError("horizon", got=horizon, expected="at least 1")


def check_covariates(covariates: Values | None, frames: Tensor, steps: int, spec: FrameSpec) -> Tensor | None:
    """Check the shape of covariates, and that they are given exactly where the model has any.

    Args:
        covariates: (B, steps, E, H, W), raw units, or None.
        frames: (B, T, C, H, W).
        steps: number of frames whose covariates are needed.
        spec: contract of the model.

    Returns:
        the covariates as a tensor; None for a model that has none.

    Raises:
        InputError: another shape, none for a model that needs them, or some for one that has none.
    """
    names = ", ".join(channel.name for channel in spec.covariates)
    shape = (len(frames), steps, len(spec.covariates), *frames.shape[-2:])
    if not names and covariates is None:
        return None
    if not names or covariates is None:
        got = "none" if covariates is None else "some"
        raise InputError("covariates", got=got, expected=f"{names}, shape {shape}" if names else "none, as trained")
    tensor = as_tensor(covariates)
    if tensor.shape != shape:
        raise InputError("covariates", got=f"shape {tuple(tensor.shape)}", expected=f"{shape}: {names}")
    return tensor


def check_frames(frames: Tensor, valid: Tensor | None, spec: FrameSpec) -> None:
    """Check the axes and channels of frames, and that values are finite where they are valid.

    Args:
        frames: (B, T, C, H, W), raw units.
        valid: (B, T, C, H, W), False where missing; or None.
        spec: contract of the model.

    Raises:
        InputError: other axes, no frame, another number of channels, a mask of another shape, or NaN where valid.
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
    check_finite(frames, valid)


def check_finite(frames: Tensor, valid: Tensor | None) -> None:
    """Check that the values of frames are finite where they are valid.

    Raises:
        InputError: NaN or infinity where valid.
    """
    observed = frames if valid is None else torch.where(valid.to(frames.device), frames, 0)
    if frames.is_floating_point() and not torch.isfinite(observed).all():
        bad = int((~torch.isfinite(observed)).sum())
        raise InputError(
            "frames", got=f"{bad} NaN or infinite pixels", expected="finite ones", fix="mark them in valid="
        )


def check_size(frames: Tensor, spec: FrameSpec) -> None:
    """Check that frames have the size for which a network of one size was built.

    Raises:
        InputError: another size.
    """
    if frames.shape[-2:] != (spec.height, spec.width):
        raise InputError(
            "frames",
            got="x".join(map(str, frames.shape[-2:])),
            expected=f"{spec.height}x{spec.width}: this network has parameters of the map's shape",
            fix="cut or resize the frames, or train a network without full peepholes and chw norms",
        )
