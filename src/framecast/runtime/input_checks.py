"""Checks of what an exported model is given: axes, channels, finite values, size, covariates."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framecast.errors import InputError
from framecast.runtime.description import Description
from framecast.runtime.units import Float32Array


class MergedFrames(NamedTuple):
    """Frames as the graph takes them."""

    frames: Float32Array
    """(B, J, C, H, W), raw units, NaN where missing."""
    known: NDArray[np.bool_] | None
    """(B, J), whether there is a frame; None where all are there."""
    axes: int
    """Number of axes that were given."""


def merge_missing(
    frames: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    about: Description,
    known: NDArray[np.bool_] | None = None,
) -> MergedFrames:
    """Check frames and mask, and merge them: NaN where missing.

    Raises:
        InputError: no real numbers, other axes or channels, a mask of another shape, values that are not finite where
            valid, or a first frame that is not there.
    """
    frames = np.asarray(frames)
    if frames.dtype.kind not in "fiub":
        raise InputError("frames", got=f"dtype {frames.dtype}", expected="an array of real numbers")
    channels, axes = int(about.spec["channels"]), frames.ndim
    if valid is not None and (valid.dtype != bool or valid.shape != frames.shape):
        got = f"{valid.dtype} of shape {valid.shape}"
        raise InputError("valid", got=got, expected=f"booleans of shape {frames.shape}")
    if axes == 3 and channels == 1:
        frames, valid = frames[:, None], None if valid is None else valid[:, None]
    if frames.ndim == 4:
        frames, valid = frames[None], None if valid is None else valid[None]
        known = None if known is None else np.asarray(known)[None]
    if frames.ndim != 5 or frames.shape[2] != channels or not frames.size:
        expected = f"(B, T, C, H, W) or (T, C, H, W), or (T, H, W) of one channel, with C = {channels}"
        raise InputError("frames", got=f"shape {frames.shape}", expected=expected)
    known = _check_known(known, frames)
    merged = frames.astype(np.float32)
    there = np.True_ if known is None else known[:, :, None, None, None]
    bad = ~np.isfinite(merged) & there if valid is None else ~np.isfinite(merged) & valid & there
    if bad.any():
        got, fix = f"{int(bad.sum())} NaN or infinite pixels", "mark them in valid="
        raise InputError("frames", got=got, expected="finite ones", fix=fix)
    missing = ~there if valid is None else ~(valid & there)
    return MergedFrames(np.where(missing, np.float32(np.nan), merged), known, axes)


def _check_known(known: Any, frames: NDArray[Any]) -> NDArray[np.bool_] | None:
    if known is None:
        return None
    known = np.asarray(known)
    if known.dtype != bool or known.shape != frames.shape[:2]:
        expected = f"booleans of shape {frames.shape[:2]}, one for each frame"
        raise InputError("known", got=f"{known.dtype} of shape {known.shape}", expected=expected)
    if not known[:, 0].all():
        expected = "True: there is no prediction before the first frame"
        raise InputError("known", got="False for a first frame", expected=expected)
    return known


def check_size(frames: Float32Array, about: Description) -> tuple[int, int]:
    """Check the size of frames (B, J, C, H, W), and return the rows and columns by which they are padded.

    Raises:
        InputError: another size than that of a network that takes one only, or one that cannot be padded.
    """
    height, width = frames.shape[-2:]
    down, right = -height % about.multiple, -width % about.multiple
    if about.height is not None and (height + down, width + right) != (about.height, about.width):
        expected = f"{about.spec['height']}x{about.spec['width']}: this network was exported for one size"
        fix = "cut or resize the frames, or export a network without them"
        raise InputError("frames", got=f"{height}x{width}", expected=expected, fix=fix)
    if not (down or right):
        return 0, 0
    reason = None
    if about.base["kind"] != "none":
        reason = f"the base {about.base['kind']} of this model looks at whole frames"
    elif about.fill == "mean" and np.isnan(frames).any():
        reason = "missing pixels take the mean of the frame"
    if reason is not None:
        expected = f"multiples of {about.multiple}: {reason}"
        raise InputError("frames", got=f"{height}x{width}", expected=expected, fix="cut them")
    return down, right


def check_covariates(
    covariates: NDArray[Any] | None, frames: Float32Array, horizon: int, about: Description, axes: int
) -> Float32Array | None:
    """Check that covariates are given exactly where the model has any, and their shape.

    Args:
        covariates: (B, J + K, E, H, W), or without B where the frames have none.
        frames: (B, J, C, H, W).
        horizon: K.
        about: of the model.
        axes: number of axes of the frames that were given.

    Raises:
        InputError: another shape, infinite values, none for a model that needs them, or some for one that has none.
    """
    names = ", ".join(str(channel["name"]) for channel in about.spec["covariates"])
    count = len(about.spec["covariates"])
    shape = (len(frames), frames.shape[1] + horizon, count, *frames.shape[-2:])
    if not names and covariates is None:
        return None
    if not names or covariates is None:
        got = "none" if covariates is None else "some"
        raise InputError("covariates", got=got, expected=f"{names}, shape {shape}" if names else "none, as trained")
    values = np.asarray(covariates, np.float32)
    values = values if axes == 5 else values[None]
    if values.shape != shape:
        raise InputError("covariates", got=f"shape {values.shape}", expected=f"{shape}: {names}")
    if np.isinf(values).any():
        raise InputError("covariates", got="infinite values", expected="finite ones, or NaN where missing")
    return values
