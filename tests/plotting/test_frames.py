"""Figures are made of arrays, at the right size, with missing pixels shown."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image
from tests.fixtures.forecasts import forecast_of

from framecast.forecast import Forecast
from framecast.plotting import animation
from framecast.plotting.chart import Chart, ChartLine
from framecast.plotting.colours import RAIN_CLASSES
from framecast.plotting.frames import (
    MISSING,
    Figure,
    draw_loss_curve,
    draw_strip,
    draw_survey,
    find_error_limit,
    to_colours,
    to_diverging_colours,
    to_error_colours,
)
from framecast.plotting.scores import draw_charts
from framecast.types import FrameSpec, Grid

GREY = FrameSpec(channels=1, height=8, width=12, low=0.0, high=255.0, units="grey level")
RNG = np.random.default_rng(0)


def frames(time: int, channels: int = 1) -> np.ndarray:
    return (255 * RNG.random((time, channels, 8, 12))).astype(np.float32)


def drawn(context: int, horizon: int, spec: FrameSpec = GREY, starts: np.ndarray | None = None) -> Forecast:
    return forecast_of(frames(context)[None], frames(horizon)[None], spec, starts=starts)


def test_colours() -> None:
    frame = np.full((1, 8, 12), 127.5, np.float32)
    frame[0, 0, 0], frame[0, 0, 1], frame[0, 0, 2] = np.nan, 0, 999
    picture = to_colours(frame, GREY)
    assert picture.shape == (8, 12, 3)
    assert picture[0, 1].tolist() == [0, 0, 0]
    assert picture[0, 2].tolist() == [255, 255, 255]
    assert picture[0, 0].tolist() == [round(255 * value) for value in MISSING]
    assert abs(int(picture[3, 3, 0]) - 128) <= 1
    coloured = to_colours(frames(1, 3)[0], GREY.model_copy(update={"channels": 3, "units": "1"}))
    assert coloured.std() > 10


@pytest.mark.parametrize(("units", "high"), [("dBZ", 70.0), ("mm/h", 30.0)])
def test_rain_is_drawn_in_classes_ever_darker(units: str, high: float) -> None:
    spec = FrameSpec(channels=1, height=1, width=60, units=units, low=0.0, high=high)
    values = np.linspace(0, high, 60, dtype=np.float32)[None, None]
    light = to_colours(values, spec)[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) <= 0).all()
    edges = [edge for edge in RAIN_CLASSES[units] if edge < high]
    assert len(np.unique(light)) <= len(edges) + 1
    below, above = (to_colours(np.full((1, 1, 1), value, np.float32), spec) for value in (0, edges[0]))
    assert below[0, 0].tolist() == [240, 240, 240]
    assert not np.array_equal(below, above)


@pytest.mark.parametrize(("units", "wider"), [("dBZ", True), ("K", True), ("grey level", False)])
def test_strips_of_measurements_have_a_colour_bar(tmp_path: Path, units: str, wider: bool) -> None:
    spec = GREY.model_copy(update={"units": units})
    draw_strip(tmp_path / "strip.png", drawn(3, 3, spec), frames(3))
    with Image.open(tmp_path / "strip.png") as picture:
        assert (picture.size[0] > 450) is wider


@pytest.mark.parametrize("truth", [True, False])
def test_strip_and_film(tmp_path: Path, truth: bool) -> None:
    future = frames(5) if truth else None
    draw_strip(tmp_path / "strip.png", drawn(3, 5), future)
    animation.save_gif(tmp_path / "moving.gif", animation.draw_pictures(drawn(3, 5), future))
    with Image.open(tmp_path / "strip.png") as picture:
        assert picture.size[0] > 400
    with Image.open(tmp_path / "moving.gif") as film:
        assert film.n_frames == 8
        assert film.size[0] == 22 * 12 * (2 if truth else 1) + (animation.GAP if truth else 0)


@pytest.mark.parametrize(
    ("step", "words", "clocks"),
    [
        (None, ["-1", "0", "+1"], []),
        (5.0, ["-5 min", "0 min", "+5 min"], ["02:55", "03:00", "03:05"]),
        (60.0, ["-1 h", "0 h", "+1 h"], ["01:05", "02:05", "03:05"]),
    ],
)
def test_times_are_written_over_each_picture(
    monkeypatch, step: float | None, words: list[str], clocks: list[str]
) -> None:
    seen: list[tuple[str, ...]] = []
    labelled = animation._label
    monkeypatch.setattr(animation, "_label", lambda picture, *lines: seen.append(lines) or labelled(picture, *lines))
    spec = GREY.model_copy(update={"units": "dBZ", "step_minutes": step})
    made = list(animation.draw_pictures(drawn(2, 1, spec, np.array(["2020-01-01T03:05"], "M8[ms]"))))
    assert [lines[0].split(" ", 1)[1] for lines in seen] == words
    assert [lines[1] for lines in seen if step] == [f"2020-01-01 {clock}:00 UTC" for clock in clocks]
    assert len({picture.shape for picture in made}) == 1


def test_large_frames_are_thinned_and_narrow_ones_hold_their_text() -> None:
    spec = GREY.model_copy(update={"units": "K"})
    for shape, height in (((1, 1, 1050, 2100), 350), ((1, 1, 500, 4), 500)):
        past, none = np.zeros((1, *shape), np.float32), np.zeros((1, 0, *shape[1:]), np.float32)
        (picture,) = animation.draw_pictures(forecast_of(past, none, spec))
        assert picture.shape[0] == height + animation.LINE + 2
        assert picture.shape[1] <= animation.LARGE + animation.GAP + animation.BAR_WIDTH


def test_a_picture_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch) -> None:
    def full(figure: Figure, target, **_) -> None:
        half = b"half a picture"
        target.write(half) if hasattr(target, "write") else Path(target).write_bytes(half)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space"):
        draw_strip(tmp_path / "strip.png", drawn(3, 5))
    with pytest.raises(OSError, match="No space"):
        draw_charts(tmp_path / "scores.png", [Chart("t", "x", "y", [ChartLine("a", [0], [0.0], [0.0], [0.0])])])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("units", "is_rgb"), [("grey level", True), ("1", True), ("mm/h", False)])
def test_only_pictures_have_colours(units: str, is_rgb: bool) -> None:
    spec = GREY.model_copy(update={"channels": 3, "units": units})
    frame = frames(1, 3)[0]
    first = to_colours(frame[:1], spec.model_copy(update={"channels": 1}))
    assert np.array_equal(to_colours(frame, spec), first) is not is_rgb


def test_the_channel_stands_over_the_picture_of_inspect(tmp_path: Path, monkeypatch) -> None:
    said: list[str] = []
    for kind, name in ((Figure, "suptitle"), (Axes, "set_title"), (Axes, "set_xlabel"), (Axes, "set_ylabel")):
        monkeypatch.setattr(kind, name, lambda self, text, *_, **__: said.append(text))
    numbers = (np.arange(3.0), np.arange(2)), (np.arange(2.0), np.zeros(2))
    kelvin = GREY.model_copy(update={"units": "K"})
    draw_survey(
        tmp_path / "x.png", list(frames(2)), ["one", "two"], kelvin, *numbers, [], "t2m, the first of 2 channels", "1"
    )
    assert {"t2m, the first of 2 channels", "one", "two", "value, 1", "mean, 1"} < set(said)


def test_curves(tmp_path: Path) -> None:
    draw_loss_curve(tmp_path / "loss.png", [1, 2, 3], [3.0, 2.0, 1.0], {2: 5.0, 3: 4.0}, "sse")
    draw_loss_curve(tmp_path / "bare.png", [1, 2, 3], [3.0, 2.0, 1.0], {}, "sse")
    assert all((tmp_path / name).stat().st_size > 3000 for name in ("loss.png", "bare.png"))


@pytest.mark.parametrize("rows", [tuple(range(60, 48, -1)), tuple(range(49, 61))])
def test_coasts_are_drawn_over_frames_of_known_place(tmp_path: Path, rows: tuple[int, ...]) -> None:
    """Land's End is west of 5.5 W at 50 N, in either order of rows; without coordinates nothing is drawn."""
    spec = FrameSpec(channels=1, height=12, width=20, units="mm/h", high=30.0)
    grid = Grid(y=rows, x=tuple(range(-10, 10)), axis_units="degrees")
    nothing = np.zeros((1, 2, 1, 12, 20), np.float32)
    forecast = forecast_of(nothing, nothing, spec)
    plain, placed = (
        next(animation.draw_pictures(dataclasses.replace(forecast, grid=place))) for place in (Grid(), grid)
    )
    different = (plain != placed).any(-1)
    assert 100 < different.sum() < 0.2 * different.size
    top, side = 20, 13  # the height of the label, pixels of a panel for each of the frame
    land_end = different[top + 9 * side : top + 12 * side, 3 * side : 6 * side]
    ocean = different[top : top + 3 * side, :side]
    assert land_end.any()
    assert not ocean.any()


def test_errors_have_a_round_scale_of_their_own() -> None:
    spec = FrameSpec(channels=1, height=10, width=10, units="mm/h", high=50.0)
    truth = np.zeros((1, 1, 10, 10))
    for error, limit in ((0.7, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (30.0, 50.0), (0.0, 50.0)):
        assert find_error_limit([(truth + error, truth)], spec) == pytest.approx(limit)
    truth[0, 0, 0] = np.nan
    assert find_error_limit([(np.full_like(truth, 0.7), truth)], spec) == 1.0
    assert find_error_limit([], spec) == 50.0
    picture = to_error_colours(np.full((1, 10, 10), 1.0), np.zeros((1, 10, 10)), spec, 2.0)
    np.testing.assert_array_equal(picture[0, 0], to_diverging_colours(np.full((1, 1, 1), 0.5))[0, 0])
