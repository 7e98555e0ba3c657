"""Arrays, GeoTIFFs, pictures and films of forecasts that are known; and that nothing is overwritten or left half done."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.fixtures.forecasts import DEGREES, FIRST_OF_MARCH, METRES, START, THIRTY, forecast

from framecast import files, writers
from framecast.calendars import caption
from framecast.data import DataConfig, FileSource
from framecast.errors import UsageError
from framecast.forecast import Forecast
from framecast.plotting import animation
from framecast.plotting.colours import RAIN_CLASSES
from framecast.plotting.frames import Figure, to_colours
from framecast.types import Grid

PICTURE = {"units": "grey level", "high": 255.0, "grid": Grid(variables=("grey",)), "dated": False}


def test_arrays_have_the_axes_of_the_input(tmp_path: Path) -> None:
    made = forecast(sequences=2, dims="tnhw")
    assert writers.write(tmp_path / "x.npy", made) == "axes tnhw, shape 3x2x6x9, dBZ"
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), made.values[:, 0, :, 0].swapaxes(0, 1))
    writers.write(tmp_path / "x.npz", made)
    found = np.load(tmp_path / "x.npz")
    assert (str(found["units"]), float(found["step_minutes"]), str(found["model"])) == ("dBZ", 5.0, "convlstm")
    np.testing.assert_array_equal(found["start_time"], made.times[:, 0])
    back = FileSource(DataConfig(source=str(tmp_path / "x.npz")))
    np.testing.assert_array_equal(back.read(1, 0, 3).frames, made.values[1, 0])
    assert back.read(1, 1, 2).time == START + np.timedelta64(1, "D") + np.timedelta64(5, "m")


def test_an_npz_names_the_units_of_each_channel(tmp_path: Path) -> None:
    grid = METRES.model_copy(update={"variables": ("t", "q"), "units": ("K", "kg kg-1"), "standard_names": ("", "")})
    made = forecast(channels=2, dims="tchw", grid=grid, units="1")
    assert writers.write(tmp_path / "x.npz", made).endswith("K, kg kg-1")
    found = np.load(tmp_path / "x.npz")
    assert (found["channel_names"].tolist(), found["channel_units"].tolist()) == (["t", "q"], ["K", "kg kg-1"])


@pytest.mark.parametrize("grid", [METRES, DEGREES], ids=["metres", "degrees, south first"])
def test_geotiffs_lie_where_the_input_lay(tmp_path: Path, grid: Grid) -> None:
    rasterio = pytest.importorskip("rasterio")
    made = forecast(grid=grid)
    writers.write(tmp_path / "x.tif", made)
    names = sorted(path.name for path in (tmp_path / "x.tif").iterdir())
    assert names == [f"20160928T15{minute:02}00.tif" for minute in (5, 10, 15)]
    with rasterio.open(tmp_path / "x.tif" / names[1]) as file:
        assert file.crs == rasterio.crs.CRS.from_user_input(grid.crs)
        assert np.isnan(file.nodata)
        assert (file.descriptions, file.units) == (("reflectivity",), ("dBZ",))
        tags = file.tags()
        assert tags["valid_time"] == "2016-09-28T15:10:00Z"
        assert tags["forecast_reference_time"] == "2016-09-28T15:00:00Z"
        assert (tags["lead_time"], tags["model"]) == ("10 minutes", "convlstm")
        assert file.transform.e < 0
        for row, column in ((0, 0), (1, 2), (5, 8)):
            place = file.index(grid.x[column], grid.y[row])
            np.testing.assert_array_equal(file.read(1)[place], made.values[0, 0, 1, 0, row, column])
    back = FileSource(DataConfig(source=str(tmp_path / "x.tif"), units="dBZ"))
    assert back.read(0, 0, 1).time == START
    np.testing.assert_allclose(back.grid.x, grid.x, rtol=0, atol=1e-6)


def test_geotiff_of_uneven_rows_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    gaussian = DEGREES.model_copy(update={"y": (50.0, 50.2, 50.5, 50.7, 51.0, 51.3)})
    with pytest.raises(UsageError, match=r"evenly spaced; write \.nc"):
        writers.write(tmp_path / "x.tif", forecast(grid=gaussian))
    assert not list(tmp_path.iterdir())


def test_what_no_geotiff_can_place_is_said_once_the_input_is_open(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    gaussian = DEGREES.model_copy(update={"y": (50.0, 50.2, 50.5, 50.7, 51.0, 51.3)})
    angles = METRES.model_copy(update={"axis_units": "rad"})
    paths = [tmp_path / "x.nc", tmp_path / "x.tif"]
    with pytest.raises(UsageError, match=r"evenly spaced; write \.nc"):
        writers.check_grid(paths, gaussian)
    with pytest.raises(UsageError, match=r"coordinates in rad, expected m or km.*write \.nc"):
        writers.check_grid(paths, angles)
    writers.check_grid(paths[:1], gaussian)
    for grid in (METRES, DEGREES, Grid()):
        writers.check_grid(paths, grid)


def test_degrees_that_a_file_calls_metres(tmp_path: Path) -> None:
    """ODIM on +proj=longlat."""
    rasterio = pytest.importorskip("rasterio")
    grid = METRES.model_copy(update={"y": DEGREES.y[::-1], "x": DEGREES.x, "crs": "+proj=longlat +datum=WGS84"})
    writers.write(tmp_path / "x.tif", forecast(grid=grid, frames=1))
    with rasterio.open(next((tmp_path / "x.tif").iterdir())) as file:
        np.testing.assert_allclose(file.xy(5, 8), (DEGREES.x[8], DEGREES.y[0]))


@pytest.mark.parametrize("unit", ["km", "kilometre", "kilometres", "kilometer", "kilometers", "Kilometers"])
def test_kilometres_become_the_metres_of_the_projection(tmp_path: Path, unit: str) -> None:
    rasterio = pytest.importorskip("rasterio")
    km = METRES.model_copy(
        update={"y": tuple(v / 1000 for v in METRES.y), "x": tuple(v / 1000 for v in METRES.x), "axis_units": unit}
    )
    writers.write(tmp_path / "x.tif", forecast(grid=km, frames=1))
    with rasterio.open(next((tmp_path / "x.tif").iterdir())) as file:
        np.testing.assert_allclose(file.xy(0, 0), (METRES.x[0], METRES.y[0]))


def test_pictures_of_pictures_are_their_values(tmp_path: Path) -> None:
    made = forecast(sequences=2, **PICTURE)
    made = replace(made, frames=made.frames.nan_to_num().round())
    said = writers.write(tmp_path / "x.png", made)
    assert said == "6 pictures, 8 bits for 0 to 255 grey level"
    path = tmp_path / "x.png" / "sequence_0001" / "frame_0003.png"
    with Image.open(path) as picture:
        assert picture.mode == "L"
        assert picture.text["lead_time"] == "15 minutes"
        np.testing.assert_array_equal(np.asarray(picture), made.values[1, 0, 2, 0])
    back = FileSource(DataConfig(source=str(tmp_path / "x.png")))
    np.testing.assert_array_equal(back.read(1, 0, 3).frames, made.values[1, 0])


def test_values_of_pictures_are_rounded(tmp_path: Path) -> None:
    made = forecast(frames=1, **PICTURE)
    values = np.linspace(0, 255, 54, dtype=np.float32).reshape(1, 1, 1, 1, 6, 9)
    writers.write(tmp_path / "x.png", replace(made, frames=torch.from_numpy(values)))
    with Image.open(tmp_path / "x.png" / "frame_0001.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), np.rint(values[0, 0, 0, 0]))


def pictures_of(path: Path, made: Forecast) -> list[np.ndarray]:
    """The forecast as a folder of PNGs, a film, or a strip."""
    if path.name == "strip.png":
        writers.write_all([], made, strip=path)
        return [np.asarray(Image.open(path))]
    writers.write(path, made)
    return [np.asarray(Image.open(one)) for one in sorted(path.iterdir())] if path.is_dir() else shown(path)


@pytest.mark.parametrize("name", ["x.png", "x.gif", "x.mp4", "strip.png"])
def test_north_is_up(tmp_path: Path, name: str) -> None:
    """Rows from the south, as ERA5 by some and most models have them, are drawn as the same rows from the north."""
    south = forecast(grid=DEGREES, units="K")
    north = replace(
        south,
        context=south.context.flip(-2),
        frames=south.frames.flip(-2),
        grid=DEGREES.model_copy(update={"y": DEGREES.y[::-1]}),
    )
    (tmp_path / "north").mkdir()
    found, expected = pictures_of(tmp_path / name, south), pictures_of(tmp_path / "north" / name, north)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    if name == "x.png":
        first = to_colours(south.values[0, 0, 0], south.spec)
        np.testing.assert_array_equal(found[0], first[::-1])


WIND = {"variables": ("u10", "v10", "t2m"), "units": ("m s-1", "m s-1", "m s-1"), "standard_names": ("", "", "")}


@pytest.mark.parametrize("channels", [2, 3])
def test_of_channels_that_are_no_colours_the_first_is_drawn_and_named(tmp_path: Path, channels: int) -> None:
    grid = METRES.model_copy(update={key: names[:channels] for key, names in WIND.items()})
    made = forecast(channels=channels, units="m s-1", grid=grid)
    text = f"u10, the first of {channels} channels"
    assert text in writers.write(tmp_path / "x.png", made)
    with Image.open(tmp_path / "x.png" / "20160928T151000.png") as picture:
        assert picture.text["channel"] == text
        only = made.values[0, 0, 1, :1]
        spec = made.spec.model_copy(update={"channels": 1})
        np.testing.assert_array_equal(np.asarray(picture), to_colours(only, spec))


def test_the_channel_stands_over_films_and_strips(tmp_path: Path, monkeypatch) -> None:
    seen: list[str] = []
    drawn = animation._label
    monkeypatch.setattr(animation, "_label", lambda picture, *lines: seen.append(lines[-1]) or drawn(picture, *lines))
    monkeypatch.setattr(Figure, "suptitle", lambda self, title, **_: seen.append(title))
    made = forecast(channels=3, units="m s-1", grid=METRES.model_copy(update=WIND))
    writers.write_all([tmp_path / "x.gif"], made, strip=tmp_path / "x.png")
    when = "; frame 0: 2016-09-28 15:00:00 UTC, then every 5 min"
    assert seen == ["u10, the first of 3 channels"] * 5 + [f"u10, the first of 3 channels{when}"]
    assert len({picture.shape for picture in shown(tmp_path / "x.gif")}) == 1


def test_a_channel_of_units_of_its_own_has_a_range_of_its_own(tmp_path: Path) -> None:
    """Temperature beside wind: one range for both would leave it one colour."""
    grid = METRES.model_copy(update={**WIND, "units": ("K", "m s-1", "1")})
    made = forecast(channels=3, units="1", grid=grid, high=300.0)
    made.past_values[:, :, 0] = made.past_values[:, :, 0] / 30 + 280
    made.values[:, 0, :, 0] = made.values[:, 0, :, 0] / 30 + 280
    low, high = np.nanmin(made.values[:, 0, :, 0]), np.nanmax(made.values[:, 0, :, 0])
    said = writers.write(tmp_path / "x.png", replace(made, context=made.frames[:, 0, :2]))
    assert said == f"3 pictures, u10, the first of 3 channels, the colour scale of {low:g} to {high:g} K"
    pictures = [np.asarray(Image.open(path)) for path in (tmp_path / "x.png").iterdir()]
    assert len(np.unique(np.stack(pictures).reshape(-1, 3), axis=0)) > 50


def test_frames_of_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    made = forecast(step=0.04 / 60)
    for suffix in (".tif", ".png"):
        writers.write(tmp_path / f"x{suffix}", made)
        names = sorted(path.name for path in (tmp_path / f"x{suffix}").iterdir())
        assert names == [f"20160928T150500.{part:03}{suffix}" for part in (0, 40, 80)]
    writers.write(tmp_path / "y.png", forecast(step=1e-4 / 60))
    assert len(list((tmp_path / "y.png").iterdir())) == 3
    found = FileSource(DataConfig(source=str(tmp_path / "x.png"), times="%Y%m%dT%H%M%S.%f"))
    assert found.spec.step_minutes == pytest.approx(0.04 / 60)


def test_a_strip_tells_the_time_of_its_last_input() -> None:
    made = forecast()
    last = made.reference_times[0]
    said = caption("dbz, the first of 2 channels", last, made.spec.step_minutes)
    assert said == "dbz, the first of 2 channels; frame 0: 2016-09-28 15:00:00 UTC, then every 5 min"
    assert caption("", last, 5.0).startswith("frame 0: 2016")
    assert caption("", None, 5.0) == ""


def test_dates_are_those_of_the_calendar(tmp_path: Path, monkeypatch) -> None:
    rasterio = pytest.importorskip("rasterio")
    pytest.importorskip("cftime")
    made = forecast(grid=THIRTY, step=1440.0, first=FIRST_OF_MARCH)
    writers.write(tmp_path / "x.tif", made)
    names = sorted(path.name for path in (tmp_path / "x.tif").iterdir())
    assert names == ["20000230T000000.tif", "20000301T000000.tif", "20000302T000000.tif"]
    with rasterio.open(tmp_path / "x.tif" / names[0]) as file:
        tags = file.tags()
    assert (tags["valid_time"], tags["calendar"]) == ("2000-02-30T00:00:00Z", "360_day")
    assert tags["forecast_reference_time"] == "2000-02-29T00:00:00Z"
    writers.write(tmp_path / "x.npz", made)
    found = np.load(tmp_path / "x.npz")
    assert "start_time" not in found
    assert (found["start_date"].tolist(), str(found["calendar"])) == (["2000-02-30T00:00:00"], "360_day")
    seen: list[str] = []
    drawn = animation._label
    monkeypatch.setattr(animation, "_label", lambda picture, *lines: seen.append(lines[1]) or drawn(picture, *lines))
    writers.write(tmp_path / "x.gif", made)
    assert seen[1:4] == [f"2000-{day} 00:00:00 UTC" for day in ("02-29", "02-30", "03-01")]


def test_pictures_of_measurements_are_in_colours_and_say_so(tmp_path: Path) -> None:
    writers.write(tmp_path / "x.png", forecast())
    with Image.open(tmp_path / "x.png" / "20160928T151000.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (9, 6))
        assert picture.text["values"] == "the colour scale of 0 to 70 dBZ"
        assert picture.text["valid_time"] == "2016-09-28T15:10:00Z"
        assert len({tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3)}) <= len(RAIN_CLASSES["dBZ"]) + 2


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
@pytest.mark.parametrize(("kind", "bar"), [({}, True), ({"units": "K"}, True), (PICTURE, False)])
def test_films(tmp_path: Path, suffix: str, kind: dict, bar: bool) -> None:
    path = tmp_path / f"x{suffix}"
    assert writers.write(path, forecast(sequences=2, **kind), sequence=1) == "2 frames of input and 3 of forecast"
    pictures = shown(path)
    assert len(pictures) == 5
    panel = 9 * (256 // 9 + 1)
    assert (pictures[0].shape[1] > panel + 50) is bar
    assert all((one != other).any() for one, other in itertools.pairwise(pictures))
    if bar:  # between the panel and the bar all is white, in every row, as far as H.264 keeps it
        assert (pictures[0][:, panel + 2 : panel + 6] > 220).all()


def shown(path: Path) -> list[np.ndarray]:
    if path.suffix == ".gif":
        with Image.open(path) as film:
            frames = []
            for number in range(film.n_frames):
                film.seek(number)
                frames.append(np.asarray(film.convert("RGB")))
            return frames
    av = pytest.importorskip("av")
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_film_of_a_film_keeps_its_pace(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    writers.write(tmp_path / "x.mp4", forecast(step=0.04 / 60, **PICTURE))
    with av.open(str(tmp_path / "x.mp4")) as film:
        assert film.streams.video[0].average_rate == 25
        assert "convlstm" in film.metadata["comment"]


@pytest.mark.parametrize("suffix", list(writers.FORMATS))
def test_nothing_is_overwritten_and_nothing_is_left_half_done(tmp_path: Path, suffix: str, monkeypatch) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists"):
        writers.check([path])
    with pytest.raises(UsageError, match="exists"):
        writers.write(path, forecast())
    assert path.read_text() == "mine"
    path.unlink()

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "flush", full)
    with pytest.raises(OSError, match="No space"):
        writers.write(path, forecast())
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"suffix .mp3, expected one of .nc, .zarr"):
        writers.check([tmp_path / "x.mp3"])
    with pytest.raises(UsageError, match="not there"):
        writers.check([tmp_path / "new" / "x.nc"])
    with pytest.raises(UsageError, match="twice"):
        writers.check([tmp_path / "x.nc", tmp_path / "x.nc"])
    with pytest.raises(UsageError, match=r"\.png"):
        writers.check([tmp_path / "x.nc"], None, tmp_path / "x.jpg")
    writers.check([tmp_path / "x.nc"], tmp_path / "x.gif", tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "package"), [(".mp4", "av"), (".tif", "rasterio")])
def test_a_library_that_is_absent_is_missed_before_anything_is_computed(
    tmp_path: Path, monkeypatch, suffix: str, package: str
) -> None:
    for name in ("mp4", "gif", "geotiff"):
        monkeypatch.delitem(sys.modules, f"framecast.writers.{name}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"needs the package {package}"):
        writers.check([tmp_path / f"x{suffix}"])
    writers.check([tmp_path / "x.gif"])


@pytest.mark.parametrize("dims", ["ntchw", "tnhw"])
def test_members_stand_side_by_side_in_arrays(tmp_path: Path, dims: str) -> None:
    made = forecast(sequences=2, members=3, dims=dims)
    back = [dims.index(letter) for letter in "nthw"]
    assert writers.write(tmp_path / "x.npy", made).endswith(", 3 members, dBZ")
    members = np.load(tmp_path / "x.npy")
    assert members.ndim == 1 + len(dims)
    writers.write(tmp_path / "x.npz", made)
    found = np.load(tmp_path / "x.npz")
    np.testing.assert_array_equal(found["members"], members)
    for number in range(3):
        kept = members[number].transpose(*back, *([2] if "c" in dims else [])).reshape(2, 3, 6, 9)
        np.testing.assert_array_equal(kept, made.values[:, number, :, 0])
    again = FileSource(DataConfig(source=str(tmp_path / "x.npz")))
    np.testing.assert_array_equal(again.read(1, 0, 3).frames, made.mean().values[1, 0])
    assert "members" not in np.load(alone(tmp_path / "one.npz"))


def alone(path: Path) -> Path:
    writers.write(path, forecast())
    return path


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_members_are_numbered_in_the_names_of_files(tmp_path: Path, suffix: str) -> None:
    rasterio = pytest.importorskip("rasterio")
    made = forecast(members=2, frames=2)
    writers.write(tmp_path / f"x{suffix}", made)
    names = sorted(path.name for path in (tmp_path / f"x{suffix}").iterdir())
    expected = [f"20160928T15{minute}00_member_000{member}{suffix}" for minute in ("05", "10") for member in (1, 2)]
    assert names == expected
    last = tmp_path / f"x{suffix}" / names[-1]
    if suffix == ".png":
        with Image.open(last) as picture:
            assert picture.text["member"] == "2"
            np.testing.assert_array_equal(np.asarray(picture), to_colours(made.values[0, 1, 1], made.spec))
        return
    with rasterio.open(last) as file:
        assert file.tags()["member"] == "2"
        np.testing.assert_array_equal(file.read(1), made.values[0, 1, 1, 0])


def test_films_show_the_mean_of_the_members(tmp_path: Path) -> None:
    made = forecast(members=3)
    (tmp_path / "mean").mkdir()
    found, expected = pictures_of(tmp_path / "x.gif", made), pictures_of(tmp_path / "mean" / "x.gif", made.mean())
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    said = writers.write(tmp_path / "said.gif", made)
    assert said == "2 frames of input and 3 of forecast, the mean of 3 members"


def test_strips_show_the_mean_and_the_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, drawn = forecast(members=3), []
    monkeypatch.setattr(
        "framecast.plotting.frames.to_colours", lambda frame, spec: drawn.append(frame) or to_colours(frame, spec)
    )
    pictures_of(tmp_path / "strip.png", made)
    past, horizon = made.past_values.shape[1], made.values.shape[2]
    assert len(drawn) == past + 4 * horizon
    np.testing.assert_allclose(drawn[past], made.values[0, :, 0].mean(0), rtol=1e-5)
    np.testing.assert_array_equal(drawn[past + horizon], made.values[0, 0, 0])
    np.testing.assert_array_equal(drawn[-1], made.values[0, 2, -1])


def test_several_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"x{suffix}" for suffix in writers.FORMATS]
    said = writers.write_all(paths, forecast(), strip=tmp_path / "strip.png")
    assert list(said) == [str(path) for path in paths]
    assert all(path.exists() for path in (*paths, tmp_path / "strip.png"))
    assert oct((tmp_path / "x.zarr").stat().st_mode)[-3:] == "755"
