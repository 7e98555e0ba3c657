"""Section of a report: a player of input, truth, forecasts and their errors, of a few sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from framecast import files
from framecast.evaluation.scoreboard import Scoreboard
from framecast.evaluation.suite import EvaluationSuite
from framecast.maps.outlines import trace_map
from framecast.metrics import Scores, lead_mean
from framecast.plotting.chart import choose_time_unit
from framecast.plotting.frames import find_error_limit, to_colours, to_error_colours
from framecast.plotting.plume import Plume, take_plume
from framecast.plotting.view import PlotView, choose_view
from framecast.report.blocks import FilmStrip, Player, PlayerSequence, Section, Text
from framecast.report.colour_bars import draw_colour_bars, encode_image, is_light
from framecast.report.map_overlay import describe_map, draw_map
from framecast.types import FloatArray, FrameSpec, Grid

SIDES = (256, 192, 128, 96, 64, 48)
"""Longest side of a frame on the page, pixels; the first that fits is taken."""
BYTES = 5_500_000
"""Size of all film strips of a page, at most."""
STAMPS_BYTES = 2_500_000
"""Size of the film strips of members, at most."""
WIDEST = 16_000
"""Width of a film strip that browsers still draw, pixels."""
STAMPS, STAMPED = 6, 3
"""Members that a page shows beside truth, and in how many sequences."""
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
    grid: Grid = Grid()
    """Place of the frames."""
    stamps: FloatArray | None = None
    """(M, K, C, H, W), the first members of the first forecast; None for a single one."""
    plume: Plume | None = None
    """All its members at one pixel."""


class ChosenSequences(NamedTuple):
    """Sequences that a page shows, and their common view: north up, RGB or one channel."""

    sequences: list[ShownSequence]
    view: PlotView

    def only(self, name: str) -> ChosenSequences:
        """Keep one forecast of each sequence."""
        kept = [shown._replace(forecasts={name: shown.forecasts[name]}) for shown in self.sequences]
        return self._replace(sequences=kept)


def choose_sequences(
    suite: EvaluationSuite, scoreboard: Scoreboard, names: Sequence[str], count: int = 6, beside: Sequence[str] = ()
) -> ChosenSequences:
    """Choose the sequences of the best, the median and the worst forecast, then the first of those scored.

    Args:
        suite: forecasts and windows.
        scoreboard: their scores.
        names: forecasts that are shown; the mean of their scores decides which sequence is the best.
        count: number of sequences, at most.
        beside: forecasts that are shown, too.
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
    sequences = [
        _forecast_sequence(suite, [*names, *beside], scoreboard.windows[row], title, has_stamps=place < STAMPED)
        for place, (row, title) in enumerate(titles.items())
    ]
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
    limit = find_error_limit(
        [(forecast, shown.frames[context:]) for shown in chosen.sequences for forecast in shown.forecasts.values()],
        spec,
    )
    stride, samples = _fit_samples(chosen.sequences, spec, context, limit)
    samples, maps, about_maps = _add_maps(samples, chosen.sequences)
    horizon = len(chosen.sequences[0].frames) - context
    step = choose_time_unit(spec.step_minutes, spec.step_months) if spec.step_minutes else None
    player = Player(samples, spec.width / spec.height, 1 - context, horizon, step, draw_colour_bars(spec, limit), maps)
    size = [SHRUNK.format(f"{spec.width} x {spec.height}")] if stride > 1 else []
    has_missing = any(np.isnan(shown.frames).any() for shown in chosen.sequences)
    missing = ["Blue-grey: no data."] if has_missing else []
    channel = [f"Shown: {chosen.view.channel}."] if chosen.view.channel else []
    return Section(
        "frames", "Frames", [player, Text(" ".join([order, *channel, *missing, *size, *about_maps]), small=True)]
    )


def make_stamps(chosen: ChosenSequences, context: int) -> Player:
    """Player of truth, the mean and the first members, side by side.

    Args:
        chosen: the sequences; those without members are left out.
        context: J.
    """
    spec = chosen.view.spec
    stamped = [shown for shown in chosen.sequences if shown.stamps is not None]
    for side in SIDES:
        stride = _compute_stride(spec, side, len(stamped[0].frames))
        samples = [PlayerSequence(shown.title, _draw_stamps(shown, spec, context, stride)) for shown in stamped]
        if sum(map(_count_bytes, samples)) <= STAMPS_BYTES:
            break
    horizon = len(stamped[0].frames) - context
    step = choose_time_unit(spec.step_minutes, spec.step_months) if spec.step_minutes else None
    return Player(samples, spec.width / spec.height, 1, horizon, step, draw_colour_bars(spec))


def _draw_stamps(shown: ShownSequence, spec: FrameSpec, context: int, stride: int) -> list[list[FilmStrip]]:
    """Draw truth, the mean and members, in as many columns as stand in two rows."""
    mean = next(iter(shown.forecasts.values()))
    named = {"truth": shown.frames[context:], "mean of all members": mean}
    named |= {f"member {number}": member for number, member in enumerate(shown.stamps, 1)}  # type: ignore[arg-type]
    films = [
        _draw_film(name, [to_colours(frame, spec) for frame in frames], 1, "on the forecast", stride, is_light(spec))
        for name, frames in named.items()
    ]
    half = -(-len(films) // 2)
    return [films[column::half] for column in range(half)]


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


def _forecast_sequence(
    suite: EvaluationSuite, names: Sequence[str], index: int, title: str, *, has_stamps: bool
) -> ShownSequence:
    forecasts, stamps, plume = {}, None, None
    for name in names:
        window, forecast = suite.window(name, index)
        forecasts[name] = forecast.mean().values[0, 0]
        if has_stamps and name == names[0] and forecast.members > 1:
            stamps = forecast.values[0, :STAMPS].copy()  # without the others
            plume = take_plume(forecast, truth=window.frames[suite.dataset.context :])
    number = f"sequence {index + 1}"
    title = f"{title} ({number})" if title else number
    return ShownSequence(index + 1, title, window.frames, forecasts, suite.find_place(index), stamps, plume)


def _apply_view(sequence: ShownSequence, view: PlotView) -> ShownSequence:
    forecasts = {name: view.of(forecast) for name, forecast in sequence.forecasts.items()}
    stamps = None if sequence.stamps is None else view.of(sequence.stamps)
    return sequence._replace(frames=view.of(sequence.frames), forecasts=forecasts, stamps=stamps)


def _fit_samples(
    sequences: Sequence[ShownSequence], spec: FrameSpec, context: int, limit: float
) -> tuple[int, list[PlayerSequence]]:
    """Film strips of the largest frames that fit into `BYTES`, and the stride by which these are thinned, pixels."""
    for side in SIDES:
        stride = _compute_stride(spec, side, len(sequences[0].frames))
        samples = [_draw_sample(sequence, spec, context, stride, limit) for sequence in sequences]
        if sum(map(_count_bytes, samples)) <= BYTES:
            break
    while len(samples) > 1 and sum(map(_count_bytes, samples)) > BYTES:
        samples.pop()
    return stride, samples


def _add_maps(
    samples: Sequence[PlayerSequence], sequences: Sequence[ShownSequence]
) -> tuple[list[PlayerSequence], list[Markup], list[str]]:
    """Give sequences the number of the map of their grid; the maps, each once, and what is said of them."""
    grids: list[Grid] = []
    numbers: list[int | None] = []
    maps, about = [], []
    for shown in sequences[: len(samples)]:
        lines = None if shown.grid in grids else trace_map(shown.grid)
        if lines is not None:
            maps.append(draw_map(lines, len(grids)))
            about.append(describe_map(lines))
            grids.append(shown.grid)
        numbers.append(grids.index(shown.grid) if shown.grid in grids else None)
    placed = [sample._replace(map=number) for sample, number in zip(samples, numbers, strict=True)]
    return placed, maps, list(dict.fromkeys(about))


def _count_bytes(sample: PlayerSequence) -> int:
    return sum(len(film.src) for column in sample.columns for film in column)


def _compute_stride(spec: FrameSpec, side: int, frames: int) -> int:
    return max(1, math.ceil(max(spec.height, spec.width) / min(side, max(1, WIDEST // frames))))


def _draw_sample(sequence: ShownSequence, spec: FrameSpec, context: int, stride: int, limit: float) -> PlayerSequence:
    truth = [to_colours(frame, spec) for frame in sequence.frames]
    about = "on the input and on what followed it"
    columns = [[_draw_film("truth", truth, 1 - context, about, stride, is_light(spec))]]
    for name, forecast in sequence.forecasts.items():
        pictures = [to_colours(frame, spec) for frame in forecast]
        errors = [to_error_colours(y, x, spec, limit) for y, x in zip(forecast, sequence.frames[context:], strict=True)]
        films = [
            _draw_film(name, pictures, 1, "on the forecast", stride, is_light(spec)),
            _draw_film(f"error of {name}", errors, 1, "forecast less truth: blue too low, red too high", stride, True),
        ]
        columns += [films] if len(sequence.forecasts) > 1 else [[film] for film in films]
    return PlayerSequence(sequence.title, columns)


def _draw_film(
    name: str, frames: Sequence[NDArray[np.uint8]], first: int, about: str, stride: int, is_light: bool
) -> FilmStrip:
    # Thinned and not averaged, so that no colour appears that the scale does not have.
    strip = Image.fromarray(np.concatenate([frame[::stride, ::stride] for frame in frames], axis=1))
    last = first + len(frames) - 1
    alt = f"{name}: {len(frames)} frames from lead time {first} to {last}, {about}"
    return FilmStrip(name, encode_image(strip), len(frames), first, alt, is_light)
