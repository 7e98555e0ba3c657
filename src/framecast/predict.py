"""A file of frames in, a file of frames that nobody has seen yet out."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from framecast import atomic
from framecast.data import ArraySource
from framecast.domain import ANY, Frames, Plan, Room, plan
from framecast.errors import InputError, UsageError
from framecast.forecaster import Forecaster
from framecast.tiled import SEAM
from framecast.types import FrameSpec, Grid

SUFFIXES = (".npy", ".npz", ".zarr")


class Forecast(NamedTuple):
    """Of every sequence of a file."""

    context: NDArray[np.float32]
    """(N, J, C, H, W), the frames that were used, raw units; NaN where missing."""
    frames: NDArray[np.float32]
    """(N, K, C, H, W), raw units; NaN where no frame of the context was observed."""
    start_time: NDArray[np.datetime64] | None
    """(N,), valid time of the first predicted frame, where known."""
    dims: str
    """Axes of the input file, letters of n t c h w; the output has the same."""
    grid: Grid = Grid()
    """Where the pixels lie and what the channels are, for those who write the forecast."""
    plan: Plan | None = None
    """How it was computed."""
    seam: NDArray[np.float64] | None = None
    """(K,), root mean square of the differences between neighbouring tiles, raw units; None without tiles."""

    def computed(self) -> dict[str, Any]:
        """How it was computed and how tiles agree, plain values."""
        return {
            "computed": None if self.plan is None else self.plan.as_dict(),
            "seam_rms": None if self.seam is None else self.seam.tolist(),
        }

    def told(self, units: str) -> str:
        """The same in words."""
        seam = (
            ""
            if self.seam is None
            else f"; at the seams tiles differ by {self.seam[0]:.2g} to {self.seam.max():.2g} {units} (rms)"
        )
        return f"{self.plan}{seam}"


def forecast(
    forecaster: Forecaster,
    source: ArraySource,
    horizon: int,
    *,
    context: int | None = None,
    batch_size: int = 8,
    device: str = "cpu",
    room: Room = ANY,
    progress: Callable[[int], None] | None = None,
) -> Forecast:
    """Predict what follows each sequence of a source; where its times have gaps, what follows the last frame.

    Args:
        forecaster: the model.
        source: frames, raw units.
        horizon: K, frames to predict; any number.
        context: J, how many of the last frames are used; by default as many as in training, or all there are.
        batch_size: sequences at a time.
        device: where to compute.
        room: limit of memory, and tiles.
        progress: called with the number of sequences done.

    Raises:
        InputError: frames that the model was not made for, or too few of them.
    """
    check_values(forecaster.spec, source.spec)
    latest = source.latest
    shortest = min(source.lengths[n] for n in latest)
    used = min(forecaster.context or shortest, shortest) if context is None else context
    if not 1 <= used <= shortest:
        raise InputError(
            "context", got=f"{used} frames", expected=f"1 to {shortest}, the frames of the shortest sequence"
        )
    forecaster = forecaster.to(device)
    spec = source.spec
    shape = (spec.channels, spec.height, spec.width)
    bytes_of = _frames(math.prod(shape), len(latest), used, horizon) if device == "cpu" else Frames(0, 0)
    how = plan(forecaster, shape[1:], batch_size=min(batch_size, len(latest)), frames=bytes_of, room=room)
    model = how.of(forecaster)
    pasts = np.empty((len(latest), used, *shape), dtype=np.float32)
    futures = np.empty((len(latest), horizon, *shape), dtype=np.float32)
    times, seams = [], np.zeros((2, horizon))
    for first in range(0, len(latest), how.batch_size):
        numbers = latest[first : first + how.batch_size]
        here = slice(first, first + len(numbers))
        windows = [source.read(n, source.lengths[n] - used, source.lengths[n]) for n in numbers]
        pasts[here] = [window.frames for window in windows]
        valid = np.stack([w.valid if w.valid is not None else np.isfinite(w.frames) for w in windows])
        unknown = ~valid.any(1)
        past = zip(torch.from_numpy(pasts[here]).unbind(1), torch.from_numpy(valid).unbind(1), strict=True)
        for lead, ahead in enumerate(model.ahead(past, horizon)):
            futures[here, lead] = np.where(unknown, np.nan, ahead.frame.float().cpu().numpy())
            if SEAM in ahead.aux:
                seams[:, lead] += torch.stack(ahead.aux[SEAM]).cpu().numpy()
        times += [_after(window.time, used, spec) for window in windows]
        if progress is not None:
            progress(here.stop)
    seam = None if how.layout is None else np.sqrt(seams[0] / np.maximum(seams[1], 1))
    return Forecast(pasts, futures, _known(times), source.dims, source.grid, how, seam)


def check_values(model: FrameSpec, data: FrameSpec) -> None:
    """Whether data mean what a model was trained on.

    Raises:
        InputError: other channels, other units, or values on another scale.
    """
    if data.channels != model.channels:
        raise InputError(
            "data", got=f"{data.channels} channels", expected=f"{model.channels}, as the model was trained"
        )
    if "1" not in (data.units, model.units) and data.units != model.units:
        fix = "convert the values, or name their units with --units if the file is wrong"
        raise InputError(
            "data", got=f"units {data.units}", expected=f"{model.units}, as the model was trained", fix=fix
        )
    ratio = (data.high - data.low) / (model.high - model.low)
    apart = data.high < model.low or data.low > model.high
    # Where units are named and the same, a calm day's narrow range is no fault.
    same = data.units == model.units != "1"
    if apart or ratio > 10 or (ratio < 0.1 and not same):
        raise InputError(
            "data",
            got=f"values from {data.low:g} to {data.high:g}",
            expected=f"the model's scale, {model.low:g} to {model.high:g} {model.units}",
            fix=f"scale them, or say --range {model.low:g},{model.high:g} if they are on it",
        )


def write_forecast(path: Path, result: Forecast, spec: FrameSpec) -> tuple[str, tuple[int, ...]]:
    """Write a forecast as .npy, .npz or .zarr, with the axes of the input file.

    Args:
        path: a new file.
        result: what to write, float32; NaN is missing.
        spec: units and time step.

    Returns:
        the axes and the shape that were written.

    Raises:
        UsageError: the path exists, cannot be written to, or has another suffix.
    """
    array = _arranged(result.frames, result.dims)
    attributes: dict[str, Any] = {"dims": result.dims, "units": spec.units}
    if spec.step_minutes is not None:
        attributes["step_minutes"] = spec.step_minutes
    if path.suffix == ".zarr":
        _write_zarr(path, array, attributes, result.start_time)
    elif path.suffix == ".npz":
        arrays: dict[str, Any] = {"frames": array, **attributes}
        if result.start_time is not None:
            arrays["start_time"] = result.start_time
        atomic.write(path, lambda file: np.savez_compressed(file, **arrays))
    else:
        atomic.write(path, lambda file: np.save(file, array))
    return result.dims, array.shape


def check_new(out: Path, gif: Path | None, strip: Path | None) -> None:
    """Whether a forecast and its pictures can be written, before anything is computed.

    Raises:
        UsageError: a path exists, cannot be written to, or has another suffix.
    """
    for path, suffixes in ((out, SUFFIXES), (gif, (".gif",)), (strip, (".png",))):
        if path is None:
            continue
        if path.suffix not in suffixes:
            raise UsageError(str(path), got=f"suffix {path.suffix or 'none'}", expected=f"one of {', '.join(suffixes)}")
        atomic.new(path)


def draw_forecast(result: Forecast, spec: FrameSpec, sequence: int, *, gif: Path | None, strip: Path | None) -> None:
    """Draw one sequence with what is predicted to follow, as a GIF or a strip or both.

    Args:
        result: of all sequences.
        spec: units and value range.
        sequence: which one.
        gif: where to, or None.
        strip: where to, or None.
    """
    if gif is None and strip is None:
        return
    from framecast import plots

    context, frames = result.context[sequence], result.frames[sequence]
    if gif is not None:
        plots.gif(gif, context, frames, spec)
    if strip is not None:
        plots.strip(strip, context, frames, spec)


def _after(time: np.datetime64 | None, frames: int, spec: FrameSpec) -> np.datetime64 | None:
    if time is None or spec.step_minutes is None:
        return None
    return time + np.timedelta64(round(frames * spec.step_minutes * 60), "s")


def _frames(pixels: int, sequences: int, context: int, horizon: int) -> Frames:
    """All frames in and out; of a batch, what reading takes in double precision with its mask, and one frame in work."""
    return Frames(4 * pixels * sequences * (context + horizon), pixels * (20 * context + 24))


def _known(times: list[np.datetime64 | None]) -> NDArray[np.datetime64] | None:
    return np.array(times, dtype="datetime64[s]") if all(time is not None for time in times) else None


def _arranged(frames: NDArray[np.float32], dims: str) -> NDArray[np.float32]:
    """(N, K, C, H, W) with the axes of `dims`; an axis that is not among them has length 1."""
    absent = tuple(axis for axis, letter in enumerate("ntchw") if letter not in dims)
    present = [letter for letter in "ntchw" if letter in dims]
    return np.ascontiguousarray(frames.squeeze(absent).transpose([present.index(letter) for letter in dims]))


def _write_zarr(path: Path, array: NDArray[np.float32], attributes: dict[str, Any], times: NDArray[Any] | None) -> None:
    import zarr

    if times is not None:
        attributes["start_time"] = [str(time) for time in times]
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    out = zarr.create_array(
        temporary,
        shape=array.shape,
        chunks=(1, *array.shape[1:]),
        dtype="float32",
        compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()],
        fill_value=float("nan"),
        attributes=attributes,
        overwrite=True,
    )
    try:
        out[...] = array
        temporary.chmod(0o755)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
