"""Section: frames to look through, input, truth, predictions and their errors, of a few sequences."""

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
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import Array, EvaluationSuite
from framecast.metrics import Scores, lead_mean
from framecast.plotting.colours import colour_scale
from framecast.plotting.frames import to_colours, to_diverging_colours, to_error_colours
from framecast.plotting.view import PlotView, choose_view, is_rgb
from framecast.report.blocks import Film, FilmSample, Player, Section, Text
from framecast.report.lead_times import lead_time_unit
from framecast.types import FrameSpec

SIDES = (256, 192, 128, 96, 64, 48)
"""Longest side of a frame on the page, pixels; the first that fits."""
BYTES = 5_500_000
"""Of all films of a page."""
WIDEST = 16_000
"""Pixels of a film, which browsers still draw."""
SHRUNK = "Frames are shown smaller than they are: one of {} pixels."


class ShownSequence(NamedTuple):
    """One sequence with its forecasts, raw units, as it is seen."""

    number: int
    """In the split, from 1."""
    title: str
    frames: Array
    """(J + K, C, H, W), NaN where missing."""
    forecasts: dict[str, Array]
    """(K, C, H, W) each."""


class ChosenSequences(NamedTuple):
    """What is shown, and how it is seen: north up, and of many channels one."""

    sequences: list[ShownSequence]
    view: PlotView


def choose_sequences(
    match: EvaluationSuite, board: Scoreboard, names: Sequence[str], count: int = 6
) -> ChosenSequences:
    """The best, the median and the worst forecast of those scored, then the first sequences as they come.

    Args:
        match: forecasts and windows.
        board: their scores.
        names: forecasts that are shown, and whose mean decides what is best.
        count: sequences at most.
    """
    scores = np.mean([score_by_sequence(board.scores[name]) for name in names], axis=0)
    known = [int(index) for index in np.argsort(scores) if math.isfinite(scores[index])]
    known = known if board.metrics[0].better == "less" else known[::-1]
    places = {"best": 0, "median": len(known) // 2, "worst": -1} if known else {}
    titles: dict[int, str] = {}
    for title, place in places.items():
        titles.setdefault(known[place], title)
    for row in range(min(count, board.sequences)):
        if len(titles) < count:
            titles.setdefault(row, "")
    found = [_shown(match, names, board.windows[row], title) for row, title in titles.items()]
    all_of_them = [part for one in found for part in (one.frames, *one.forecasts.values())]
    seen = choose_view(match.dataset.spec, match.dataset.grid, *all_of_them)
    return ChosenSequences([_seen(one, seen) for one in found], seen)


def score_by_sequence(scores: Scores) -> NDArray[np.float64]:
    """The first metric of each sequence, mean over lead times, (N,); NaN where undefined."""
    metric, rows = next(iter(scores.by_sequence()))
    values = metric.close(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
    found: torch.Tensor = lead_mean(values, rows)
    return found.numpy()


def frames_section(chosen: ChosenSequences, context: int, about: str) -> Section:
    """The player.

    Args:
        chosen: the sequences.
        context: J.
        about: what best and worst go by.
    """
    spec = chosen.view.spec
    thinned, samples = _fitted(chosen.sequences, spec, context)
    horizon = len(chosen.sequences[0].frames) - context
    step = lead_time_unit(spec.step_minutes) if spec.step_minutes else None
    player = Player(samples, spec.width / spec.height, 1 - context, horizon, step, _scales(spec))
    small = [SHRUNK.format(f"{spec.width} x {spec.height}")] if thinned > 1 else []
    channel = [f"Shown: {chosen.view.channel}."] if chosen.view.channel else []
    return Section("frames", "Frames", [player, Text(" ".join([about, *channel, *small]))])


def write_frames(folder: Path, chosen: ChosenSequences) -> None:
    """PNGs as the published trainers write them: N/gt1.png .. gtT.png, the truth, N/pd11.png .. pdT.png, the forecast.

    Args:
        folder: a new one; N is the number of the sequence, and with several forecasts N-NAME.
        chosen: the sequences.

    Raises:
        UsageError: the folder exists.
    """
    files.check_new(folder)
    for one in chosen.sequences:
        for name, forecast in one.forecasts.items():
            inside = folder / (str(one.number) if len(one.forecasts) == 1 else f"{one.number}-{name}")
            inside.mkdir(parents=True)
            begin = len(one.frames) - len(forecast)
            for kind, first, pictures in (("gt", 1, one.frames), ("pd", begin + 1, forecast)):
                for place, frame in enumerate(pictures):
                    Image.fromarray(to_colours(frame, chosen.view.spec)).save(inside / f"{kind}{first + place}.png")


def _shown(match: EvaluationSuite, names: Sequence[str], index: int, title: str) -> ShownSequence:
    forecasts = {}
    for name in names:
        window, forecasts[name] = match.window(name, index)
    said = f"sequence {index + 1}"
    return ShownSequence(index + 1, f"{title} ({said})" if title else said, window.frames, forecasts)


def _seen(one: ShownSequence, seen: PlotView) -> ShownSequence:
    forecasts = {name: seen.of(forecast) for name, forecast in one.forecasts.items()}
    return one._replace(frames=seen.of(one.frames), forecasts=forecasts)


def _fitted(shown: Sequence[ShownSequence], spec: FrameSpec, context: int) -> tuple[int, list[FilmSample]]:
    """The largest frames whose films fit: one of so many pixels is shown, and these films."""
    for side in SIDES:
        thinned = _thinned(spec, side, len(shown[0].frames))
        samples = [_sample(one, spec, context, thinned) for one in shown]
        if sum(map(_size, samples)) <= BYTES:
            break
    while len(samples) > 1 and sum(map(_size, samples)) > BYTES:
        samples.pop()
    return thinned, samples


def _size(sample: FilmSample) -> int:
    return sum(len(film.src) for column in sample.columns for film in column)


def _thinned(spec: FrameSpec, side: int, frames: int) -> int:
    return max(1, math.ceil(max(spec.height, spec.width) / min(side, max(1, WIDEST // frames))))


def _sample(one: ShownSequence, spec: FrameSpec, context: int, step: int) -> FilmSample:
    what = "on the input and on what followed it"
    truth = _film("truth", [to_colours(frame, spec) for frame in one.frames], 1 - context, what, step)
    columns = [[truth]]
    for name, forecast in one.forecasts.items():
        pictures = [to_colours(frame, spec) for frame in forecast]
        errors = [to_error_colours(y, x, spec) for y, x in zip(forecast, one.frames[context:], strict=True)]
        both = [
            _film(name, pictures, 1, "on the forecast", step),
            _film(f"error of {name}", errors, 1, "forecast less truth: blue too low, red too high", step),
        ]
        columns += [both] if len(one.forecasts) > 1 else [[film] for film in both]
    return FilmSample(one.title, columns)


def _film(name: str, pictures: Sequence[NDArray[np.uint8]], first: int, what: str, step: int) -> Film:
    # Thinned and not averaged, so that no colour appears that the scale does not have.
    picture = Image.fromarray(np.concatenate([picture[::step, ::step] for picture in pictures], axis=1))
    last = first + len(pictures) - 1
    alt = f"{name}: {len(pictures)} frames from lead time {first} to {last}, {what}"
    return Film(name, _uri(picture), len(pictures), first, alt)


def _scales(spec: FrameSpec) -> list[tuple[str, str, str, str]]:
    bars = []
    if not is_rgb(spec):
        scale = colour_scale(spec)
        values = scale.colormap(scale.norm(np.linspace(spec.low, spec.high, 256)))[None, :, :3]
        bar = Image.fromarray((255 * values).round().astype(np.uint8))
        bars.append((_unit("value", spec), _uri(bar), f"{spec.low:g}", f"{spec.high:g}"))
    span = spec.high - spec.low
    ramp = Image.fromarray(to_diverging_colours(np.linspace(-1, 1, 256, dtype=np.float32)[None, None]))
    return [*bars, (_unit("error", spec), _uri(ramp), f"{-span:g}", f"{span:g}")]


def _unit(what: str, spec: FrameSpec) -> str:
    return what if spec.units == "1" else f"{what}, {spec.units}"


def _uri(picture: Image.Image) -> str:
    """A PNG in a page; with a palette where its colours fit into one, which loses nothing and is smaller."""
    counted = picture.getcolors(256)
    if counted is not None:
        pixels = np.asarray(picture).reshape(-1, 3)
        found, codes = np.unique(pixels, axis=0, return_inverse=True)
        size = picture.size
        picture = Image.fromarray(codes.reshape(size[::-1]).astype(np.uint8))
        picture.putpalette(found.ravel().tolist())
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
