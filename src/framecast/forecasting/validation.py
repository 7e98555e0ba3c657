"""Validation of a predictor's input: axes, channels, dtype, finite values, size of frames and covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framecast.errors import InputError, UsageError
from framecast.types import FLOAT32_MAX, FrameSpec

Values = Tensor | NDArray[Any]
"""Frames, masks or covariates, in torch or in NumPy."""


def as_tensor(values: Values, name: str = "frames") -> Tensor:
    """Convert an array to a tensor; byte orders and strides that torch refuses are copied, a tensor is returned as it is.

    What a masked array masks becomes NaN.

    Args:
        values: array or tensor.
        name: the argument, for errors.

    Raises:
        InputError: values that are no real numbers.
    """
    if isinstance(values, Tensor) and not values.is_complex():
        return values
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        got = f"dtype {values.dtype}" if isinstance(values, np.ndarray | Tensor) else type(values).__name__
        raise InputError(name, got=got, expected="an array or a tensor of real numbers")
    if isinstance(values, np.ma.MaskedArray):
        is_masked = np.ma.is_masked(values)
        floats = values.astype(np.result_type(values.dtype, np.float32))
        values = np.ma.filled(floats, np.nan) if is_masked else values.data
    return torch.from_numpy(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("=")))


def as_frames(frames: Values, valid: Values | None) -> tuple[Tensor, Tensor | None]:
    """Convert frames and their mask to tensors; what a masked array masks is missing, whatever `valid` says.

    Args:
        frames: raw units, of any shape.
        valid: booleans of the same shape, False where a pixel is missing; None where none is.

    Raises:
        InputError: frames that are no real numbers, or a mask that is no booleans of their shape.
    """
    tensor = as_tensor(np.ma.filled(frames, 0) if isinstance(frames, np.ma.MaskedArray) else frames)
    mask = None if valid is None else as_tensor(valid, "valid")
    if mask is not None and mask.dtype != torch.bool:
        fix = "mark what was observed, as in valid=np.isfinite(frames)"
        raise InputError("valid", got=f"dtype {mask.dtype}", expected="booleans", fix=fix)
    if mask is not None and mask.shape != tensor.shape:
        expected = f"that of the frames, {tuple(tensor.shape)}"
        raise InputError("valid", got=f"shape {tuple(mask.shape)}", expected=expected)
    if isinstance(frames, np.ma.MaskedArray) and np.ma.is_masked(frames):
        observed = torch.from_numpy(~np.ma.getmaskarray(frames))
        mask = observed if mask is None else mask & observed.to(mask.device)
    return tensor, mask


def check_horizon(horizon: int) -> None:
    """Check that a forecast has a lead time.

    Raises:
        UsageError: a horizon below 1, or one that is no integer.
    """
    if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
        raise UsageError("horizon", got=horizon, expected="at least 1, a whole number of frames")


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
    tensor = as_tensor(covariates, "covariates")
    if tensor.shape != shape:
        raise InputError("covariates", got=f"shape {tuple(tensor.shape)}", expected=f"{shape}: {names}")
    if tensor.is_floating_point() and (tensor.abs() > FLOAT32_MAX).any():
        expected = f"at most {FLOAT32_MAX:.4g}, or NaN where missing"
        raise InputError("covariates", got="infinite or larger values", expected=expected)
    return tensor


def check_frames(frames: Tensor, valid: Tensor | None, spec: FrameSpec) -> None:
    """Check the axes and channels of frames, and that values are finite where they are valid.

    Args:
        frames: (B, T, C, H, W), raw units.
        valid: (B, T, C, H, W), False where missing; or None.
        spec: contract of the model.

    Raises:
        InputError: other axes, no frame, another number of channels, or values where valid that cannot be used.
    """
    if frames.ndim != 5:
        raise InputError("frames", got=f"shape {tuple(frames.shape)}", expected="(batch, time, channel, height, width)")
    if frames.shape[1] < 1:
        raise InputError("frames", got="no frame", expected="at least one", fix="give more of the past")
    if not frames.numel():
        raise InputError("frames", got=f"shape {tuple(frames.shape)}", expected="a size of 1 or more along each axis")
    if frames.shape[2] != spec.channels:
        raise InputError("frames", got=f"{frames.shape[2]} channels", expected=f"{spec.channels}, as trained")
    check_finite(frames, valid)


def check_finite(frames: Tensor, valid: Tensor | None) -> None:
    """Check that the values of frames are finite where they are valid, and stay so in single precision.

    Raises:
        InputError: NaN, infinity or a value beyond 3.4e38 where valid.
    """
    if not frames.is_floating_point() or not frames.numel():
        return
    observed = frames if valid is None else torch.where(valid.to(frames.device), frames, 0)
    bad = int((~torch.isfinite(observed)).sum())
    if bad:
        raise InputError(
            "frames", got=f"{bad} NaN or infinite pixels", expected="finite ones", fix="mark them in valid="
        )
    largest = float(observed.abs().max())
    if largest > FLOAT32_MAX:
        got, expected = f"values up to {largest:.4g}", f"at most {FLOAT32_MAX:.4g}, which single precision holds"
        raise InputError("frames", got=got, expected=expected, fix="mark those pixels in valid=")


def check_forecast(frames: Tensor, spec: FrameSpec) -> Tensor:
    """Return a forecast if it is finite: one value far beyond the range spoils all that a network computes from it.

    Args:
        frames: forecast of a network, raw units.
        spec: contract of the model.

    Raises:
        InputError: NaN or infinity.
    """
    if not torch.isfinite(frames).all():
        expected = f"frames on the model's scale, {spec.low:g} to {spec.high:g} {spec.units}".removesuffix(" 1")
        fix = "mark other values in valid=; if there are none, the model is of no use"
        raise InputError("frames", got="values that make the forecast NaN or infinite", expected=expected, fix=fix)
    return frames


def check_state(shape: tuple[int, ...], before: tuple[int, ...]) -> None:
    """Check that a frame continues the stream whose state is given.

    Args:
        shape: of the frame, (B, C, H, W).
        before: of the frames before.

    Raises:
        InputError: another shape.
    """
    if shape != before:
        got, fix = f"the state of a stream of frames {before}", "begin another stream with state=None"
        raise InputError("state", got=got, expected=f"that of frames {shape}", fix=fix)


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
