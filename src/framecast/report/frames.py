"""Section of a report: a player of input, truth, forecasts and their errors, of a few sequences."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from framecast import files
from framecast.evaluation.charts import choose_time_unit
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import EvaluationSuite
from framecast.metrics import Scores, lead_mean
from framecast.plotting.colours import colour_scale
from framecast.plotting.frames import to_colours, to_diverging_colours, to_error_colours
from framecast.plotting.view import PlotView, choose_view, is_rgb
from framecast.report.blocks import FilmStrip, Player, PlayerSequence, Section, Text
from framecast.types import FloatArray, FrameSpec

SIDES = (256, 192, 128, 96, 64, 48)
"""Longest side of a frame on the page, pixels; the first that fits is taken."""
BYTES = 5_500_000
"""Size of all film strips of a page, at most."""
WIDEST = 16_000
"""Width of a film strip that browsers still draw, pixels."""
SHRUNK = "Frames are shown smaller than they are: one of {} pixels."


class ShownSequence(NamedTuple):
    """One sequence with its forecasts, raw units, in the channels and rows of a `PlotView`."""

    number: int
    """Number in the split, from 1."""
    title: str
    frames: FloatArray
    """(J + K, C, H, W), NaN where missing."""
    forecasts: dict[str, FloatArray]
    """(K, C, H, W) by the name of the forecast."""


class ChosenSequences(NamedTuple):
    """Sequences that a page shows, and their common view: north up, RGB or one channel."""

    sequences: list[ShownSequence]
    view: PlotView


def choose_sequences(
    suite: EvaluationSuite, scoreboard: Scoreboard, names: Sequence[str], count: int = 6
) -> ChosenSequences:
    """Choose the sequences of the best, the median and the worst forecast, then the first of those scored.

    Args:
        suite: forecasts and windows.
        scoreboard: their scores.
        names: forecasts that are shown; the mean of their scores decides which sequence is the best.
        count: number of sequences, at most.
    """
    scores = np.mean([score_by_sequence(scoreboard.scores[name]) for name in names], axis=0)
    ranking = [int(row) for row in np.argsort(scores) if math.isfinite(scores[row])]
    ranking = ranking if scoreboard.metrics[0].better == "less" else ranking[::-1]
    titles: dict[int, str] = {}
    if ranking:
        for title, rank in {"best": 0, "median": len(ranking) // 2, "worst": -1}.items():
            titles.setdefault(ranking[rank], title)
    for row in range(min(count, scoreboard.sequences)):
        if len(titles) < count:
            titles.setdefault(row, "")
    sequences = [_forecast_sequence(suite, names, scoreboard.windows[row], title) for row, title in titles.items()]
    frames = [part for sequence in sequences for part in (sequence.frames, *sequence.forecasts.values())]
    view = choose_view(suite.dataset.spec, suite.dataset.grid, *frames)
    return ChosenSequences([_apply_view(sequence, view) for sequence in sequences], view)


def score_by_sequence(scores: Scores) -> NDArray[np.float64]:
    """Score each sequence by the first metric, mean over lead times, (N,); NaN where undefined."""
    metric, rows = next(iter(scores.by_sequence()))
    values = metric.close(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
    means: torch.Tensor = lead_mean(values, rows)
    return means.numpy()


def make_frames_section(chosen: ChosenSequences, context: int, order: str) -> Section:
    """Section with a player of the frames.

    Args:
        chosen: the sequences.
        context: J.
        order: by which metric the sequences are the best and the worst, in words.
    """
    spec = chosen.view.spec
    stride, samples = _fit_samples(chosen.sequences, spec, context)
    horizon = len(chosen.sequences[0].frames) - context
    step = choose_time_unit(spec.step_minutes, spec.step_months) if spec.step_minutes else None
    player = Player(samples, spec.width / spec.height, 1 - context, horizon, step, _draw_colour_bars(spec))
    size = [SHRUNK.format(f"{spec.width} x {spec.height}")] if stride > 1 else []
    channel = [f"Shown: {chosen.view.channel}."] if chosen.view.channel else []
    return Section("frames", "Frames", [player, Text(" ".join([order, *channel, *size]))])


def write_frames(folder: Path, chosen: ChosenSequences) -> None:
    """Write PNGs as the published trainers do: N/gt1.png .. gtT.png, the truth, N/pd11.png .. pdT.png, the forecast.

    Args:
        folder: a new folder; N is the number of the sequence, and with several forecasts N-NAME.
        chosen: the sequences.

    Raises:
        UsageError: the folder exists.
    """
    files.check_new(folder)
    with files.staged(folder, folder=True) as temporary:
        for sequence in chosen.sequences:
            for name, forecast in sequence.forecasts.items():
                number = str(sequence.number)
                subfolder = temporary / (number if len(sequence.forecasts) == 1 else f"{number}-{name}")
                subfolder.mkdir()
                context = len(sequence.frames) - len(forecast)
                _write_pngs(subfolder, "gt", 1, sequence.frames, chosen.view.spec)
                _write_pngs(subfolder, "pd", context + 1, forecast, chosen.view.spec)


def _write_pngs(folder: Path, prefix: str, first: int, frames: FloatArray, spec: FrameSpec) -> None:
    for number, frame in enumerate(frames, first):
        Image.fromarray(to_colours(frame, spec)).save(folder / f"{prefix}{number}.png")


def _forecast_sequence(suite: EvaluationSuite, names: Sequence[str], index: int, title: str) -> ShownSequence:
    forecasts = {}
    for name in names:
        window, forecast = suite.window(name, index)
        forecasts[name] = forecast.mean().values[0, 0]
    number = f"sequence {index + 1}"
    return ShownSequence(index + 1, f"{title} ({number})" if title else number, window.frames, forecasts)


def _apply_view(sequence: ShownSequence, view: PlotView) -> ShownSequence:
    forecasts = {name: view.of(forecast) for name, forecast in sequence.forecasts.items()}
    return sequence._replace(frames=view.of(sequence.frames), forecasts=forecasts)


def _fit_samples(sequences: Sequence[ShownSequence], spec: FrameSpec, context: int) -> tuple[int, list[PlayerSequence]]:
    """Film strips of the largest frames that fit into `BYTES`, and the stride by which these are thinned, pixels."""
    for side in SIDES:
        stride = _compute_stride(spec, side, len(sequences[0].frames))
        samples = [_draw_sample(sequence, spec, context, stride) for sequence in sequences]
        if sum(map(_count_bytes, samples)) <= BYTES:
            break
    while len(samples) > 1 and sum(map(_count_bytes, samples)) > BYTES:
        samples.pop()
    return stride, samples


def _count_bytes(sample: PlayerSequence) -> int:
    return sum(len(film.src) for column in sample.columns for film in column)


def _compute_stride(spec: FrameSpec, side: int, frames: int) -> int:
    return max(1, math.ceil(max(spec.height, spec.width) / min(side, max(1, WIDEST // frames))))


def _draw_sample(sequence: ShownSequence, spec: FrameSpec, context: int, stride: int) -> PlayerSequence:
    truth = [to_colours(frame, spec) for frame in sequence.frames]
    columns = [[_draw_film("truth", truth, 1 - context, "on the input and on what followed it", stride)]]
    for name, forecast in sequence.forecasts.items():
        pictures = [to_colours(frame, spec) for frame in forecast]
        errors = [to_error_colours(y, x, spec) for y, x in zip(forecast, sequence.frames[context:], strict=True)]
        films = [
            _draw_film(name, pictures, 1, "on the forecast", stride),
            _draw_film(f"error of {name}", errors, 1, "forecast less truth: blue too low, red too high", stride),
        ]
        columns += [films] if len(sequence.forecasts) > 1 else [[film] for film in films]
    return PlayerSequence(sequence.title, columns)


def _draw_film(name: str, frames: Sequence[NDArray[np.uint8]], first: int, about: str, stride: int) -> FilmStrip:
    # Thinned and not averaged, so that no colour appears that the scale does not have.
    strip = Image.fromarray(np.concatenate([frame[::stride, ::stride] for frame in frames], axis=1))
    last = first + len(frames) - 1
    alt = f"{name}: {len(frames)} frames from lead time {first} to {last}, {about}"
    return FilmStrip(name, _encode_image(strip), len(frames), first, alt)


def _draw_colour_bars(spec: FrameSpec) -> list[tuple[str, str, str, str]]:
    """Name, data URI, lower and upper end of each colour bar."""
    bars = []
    if not is_rgb(spec):
        scale = colour_scale(spec)
        values = scale.colormap(scale.norm(np.linspace(spec.low, spec.high, 256)))[None, :, :3]
        bar = Image.fromarray((255 * values).round().astype(np.uint8))
        bars.append((_add_units("value", spec), _encode_image(bar), f"{spec.low:g}", f"{spec.high:g}"))
    span = spec.high - spec.low
    ramp = Image.fromarray(to_diverging_colours(np.linspace(-1, 1, 256, dtype=np.float32)[None, None]))
    return [*bars, (_add_units("error", spec), _encode_image(ramp), f"{-span:g}", f"{span:g}")]


def _add_units(name: str, spec: FrameSpec) -> str:
    return name if spec.units == "1" else f"{name}, {spec.units}"


def _encode_image(image: Image.Image) -> str:
    """Data URI of a PNG; with a palette where its colours fit into one, which loses nothing and is smaller."""
    if image.getcolors(256) is not None:
        pixels = np.asarray(image).reshape(-1, 3)
        palette, codes = np.unique(pixels, axis=0, return_inverse=True)
        image = Image.fromarray(codes.reshape(image.size[::-1]).astype(np.uint8))
        image.putpalette(palette.ravel().tolist())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
