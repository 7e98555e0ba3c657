"""Arrays, GeoTIFFs, pictures and films of forecasts that are known; and that nothing is overwritten or left half done."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.writers.forecasts import ABOUT, DEGREES, METRES, START, forecast

from framecast import atomic, writers
from framecast.colour_scales import RAIN_CLASSES
from framecast.data import ArraySource, DataConfig
from framecast.errors import UsageError
from framecast.types import Grid

PICTURE = {"units": "grey level", "high": 255.0, "grid": Grid(variables=("grey",)), "dated": False}


def test_arrays_have_the_axes_of_the_input(tmp_path: Path) -> None:
    made = forecast(sequences=2, dims="tnhw")
    assert writers.write(tmp_path / "x.npy", made, ABOUT) == "axes tnhw, shape 3x2x6x9, dBZ"
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), made.frames[:, :, 0].swapaxes(0, 1))
    writers.write(tmp_path / "x.npz", made, ABOUT)
    found = np.load(tmp_path / "x.npz")
    assert (str(found["units"]), float(found["step_minutes"]), str(found["model"])) == ("dBZ", 5.0, "convlstm")
    np.testing.assert_array_equal(found["start_time"], made.start_time)
    back = ArraySource(DataConfig(source=str(tmp_path / "x.npz")))
    np.testing.assert_array_equal(back.read(1, 0, 3).frames, made.frames[1])
    assert back.read(1, 1, 2).time == START + np.timedelta64(1, "D") + np.timedelta64(5, "m")


@pytest.mark.parametrize("grid", [METRES, DEGREES], ids=["metres", "degrees, south first"])
def test_geotiffs_lie_where_the_input_lay(tmp_path: Path, grid: Grid) -> None:
    rasterio = pytest.importorskip("rasterio")
    made = forecast(grid=grid)
    writers.write(tmp_path / "x.tif", made, ABOUT)
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
            np.testing.assert_array_equal(file.read(1)[place], made.frames[0, 1, 0, row, column])
    back = ArraySource(DataConfig(source=str(tmp_path / "x.tif"), units="dBZ"))
    assert back.read(0, 0, 1).time == START
    np.testing.assert_allclose(back.grid.x, grid.x, rtol=0, atol=1e-6)


def test_geotiff_of_uneven_rows_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("rasterio")
    gaussian = DEGREES.model_copy(update={"y": (50.0, 50.2, 50.5, 50.7, 51.0, 51.3)})
    with pytest.raises(UsageError, match=r"evenly spaced; write \.nc"):
        writers.write(tmp_path / "x.tif", forecast(grid=gaussian), ABOUT)
    assert not list(tmp_path.iterdir())


def test_kilometres_become_the_metres_of_the_projection(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    km = METRES.model_copy(
        update={"y": tuple(v / 1000 for v in METRES.y), "x": tuple(v / 1000 for v in METRES.x), "axis_units": "km"}
    )
    writers.write(tmp_path / "x.tif", forecast(grid=km, frames=1), ABOUT)
    with rasterio.open(next((tmp_path / "x.tif").iterdir())) as file:
        np.testing.assert_allclose(file.xy(0, 0), (METRES.x[0], METRES.y[0]))


def test_pictures_of_pictures_are_their_values(tmp_path: Path) -> None:
    made = forecast(sequences=2, **PICTURE)
    made = made._replace(frames=np.nan_to_num(made.frames).round())
    said = writers.write(tmp_path / "x.png", made, ABOUT)
    assert said == "6 pictures, 8 bits for 0 to 255 grey level"
    path = tmp_path / "x.png" / "sequence_0001" / "frame_0003.png"
    with Image.open(path) as picture:
        assert picture.mode == "L"
        assert picture.text["lead_time"] == "15 minutes"
        np.testing.assert_array_equal(np.asarray(picture), made.frames[1, 2, 0])
    back = ArraySource(DataConfig(source=str(tmp_path / "x.png")))
    np.testing.assert_array_equal(back.read(1, 0, 3).frames, made.frames[1])


def test_pictures_of_measurements_are_in_colours_and_say_so(tmp_path: Path) -> None:
    writers.write(tmp_path / "x.png", forecast(), ABOUT)
    with Image.open(tmp_path / "x.png" / "20160928T151000.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (9, 6))
        assert picture.text["values"] == "the colour scale of 0 to 70 dBZ"
        assert picture.text["valid_time"] == "2016-09-28T15:10:00Z"
        assert len({tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3)}) <= len(RAIN_CLASSES["dBZ"]) + 2


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
@pytest.mark.parametrize(("kind", "bar"), [({}, True), ({"units": "K"}, True), (PICTURE, False)])
def test_films(tmp_path: Path, suffix: str, kind: dict, bar: bool) -> None:
    path = tmp_path / f"x{suffix}"
    assert (
        writers.write(path, forecast(sequences=2, **kind), ABOUT, sequence=1) == "2 frames of input and 3 of forecast"
    )
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
    writers.write(tmp_path / "x.mp4", forecast(step=0.04 / 60, **PICTURE), ABOUT)
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
        writers.write(path, forecast(), ABOUT)
    assert path.read_text() == "mine"
    path.unlink()

    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "flush", full)
    with pytest.raises(OSError, match="No space"):
        writers.write(path, forecast(), ABOUT)
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


def test_several_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"x{suffix}" for suffix in writers.FORMATS]
    said = writers.write_all(paths, forecast(), ABOUT, strip=tmp_path / "strip.png")
    assert list(said) == [str(path) for path in paths]
    assert all(path.exists() for path in (*paths, tmp_path / "strip.png"))
    assert oct((tmp_path / "x.zarr").stat().st_mode)[-3:] == "755"
