"""Tiles beside an oracle, and a client that knows RainViewer's interface only."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyproj
import pytest
import xarray
from PIL import Image
from tests.fixtures.served import make_client, make_service

from framecast.live.observed import list_observed
from framecast.serving.newest.colours import value_palette
from framecast.serving.newest.projection import MapProjection, sample, tile_extent
from framecast.types import FrameSpec, Grid


@pytest.fixture(scope="module")
def client(knmi: Path):
    with make_client(make_service("extrapolation", knmi, max_age=1e12)) as opened:
        while opened.get("/health").json()["status"] != "ok":
            pass
        yield opened


def picture(answer) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


def expected_values(folder: Path, zoom: int, x: int, y: int, size: int, lead: int) -> np.ndarray:
    """Values of a tile by rasterio's transform of web mercator, pyproj, and the nearest coordinate of the file."""
    (path,) = folder.glob("*.nc")
    with xarray.open_dataset(path) as file:
        data = next(values for name, values in file.data_vars.items() if "time" in values.dims and values.ndim == 3)
        values, rows, columns = data.values[lead], data[data.dims[1]].values, data[data.dims[2]].values
        crs = pyproj.CRS.from_cf(file[data.encoding.get("grid_mapping", "crs")].attrs)
    half = 20037508.342789244
    side = 2 * half / 2**zoom
    across = -half + side * (x + (np.arange(size) + 0.5) / size)
    down = half - side * (y + (np.arange(size) + 0.5) / size)
    east, north = pyproj.Transformer.from_crs("EPSG:3857", crs, always_xy=True).transform(*np.meshgrid(across, down))
    step_x, step_y = columns[1] - columns[0], rows[1] - rows[0]
    column, row = (east - columns[0]) / step_x, (north - rows[0]) / step_y
    inside = (column >= -0.5) & (column < len(columns) - 0.5) & (row >= -0.5) & (row < len(rows) - 0.5)
    found = values[
        np.rint(row).astype(int).clip(0, len(rows) - 1), np.rint(column).astype(int).clip(0, len(columns) - 1)
    ]
    near_edge = (np.abs(column % 1 - 0.5) < 1e-2) | (np.abs(row % 1 - 0.5) < 1e-2)  # which pixel is a matter of digits
    return np.where(inside, found, -999.0), near_edge


def find_tile(client, zoom: int) -> tuple[int, int]:
    """The tile in the middle of the map."""
    (south, west), (north, east) = client.get("/map.json").json()["bounds"]
    longitude, latitude = np.radians((west + east) / 2), np.radians((south + north) / 2)
    x = int((longitude / np.pi + 1) / 2 * 2**zoom)
    return x, int((1 - np.arcsinh(np.tan(latitude)) / np.pi) / 2 * 2**zoom)


@pytest.mark.parametrize(("zoom", "size"), [(5, 256), (7, 512), (9, 256)])
def test_tiles_show_the_values_of_the_file(client, knmi: Path, zoom: int, size: int) -> None:
    x, y = find_tile(client, zoom)
    maps = client.get("/public/weather-maps.json").json()
    shown = picture(client.get(f"{maps['radar']['nowcast'][1]['path']}/{size}/{zoom}/{x}/{y}/4/0_0.png"))
    values, near_edge = expected_values(knmi, zoom, x, y, size, lead=1)
    low, high = client.get("/latest").json()["value_range"]
    units = client.get("/latest").json()["units"]
    palette = value_palette(FrameSpec(channels=1, height=1, width=1, units=units, low=low, high=high))
    wanted = palette.find_entries(values.astype(np.float32), values != -999.0)
    same = np.asarray(shown) == wanted
    assert same[~near_edge].mean() > 0.9999
    assert len(np.unique(wanted)) > 3, "a tile on which something is"


def test_codes_are_dbz_plus_32(client, knmi: Path) -> None:
    frames = np.array([[-32.0, 0.0, 20.4, 95.0, 200.0, np.nan]], np.float32)
    from framecast.serving.newest.colours import dbz_codes

    spec = FrameSpec(channels=1, height=1, width=6, units="dBZ", high=70)
    codes = dbz_codes(frames, np.ones(frames.shape, bool), spec)
    assert codes[0, :, 0].tolist() == [0, 32, 52, 127, 127, 0]
    assert codes[0, :, 1].tolist() == [0, 255, 255, 255, 255, 0]


def test_a_client_of_rainviewer_finds_its_way(client, knmi: Path) -> None:
    """As its published examples do: host + path + /size/z/x/y/colour/options.png, past first, then nowcast."""
    answer = client.get("/public/weather-maps.json")
    assert answer.headers["access-control-allow-origin"] == "*"
    maps = answer.json()
    assert set(maps) == {"version", "generated", "host", "radar", "satellite"}
    assert maps["version"] == "2.0"
    assert maps["satellite"] == {"infrared": []}
    past, nowcast = maps["radar"]["past"], maps["radar"]["nowcast"]
    assert len(past) == len(list_observed(knmi))
    times = [frame["time"] for frame in past + nowcast]
    assert times == sorted(times)
    assert all(isinstance(time, int) for time in (*times, maps["generated"]))
    assert past[-1]["time"] == 1282799400  # 05:10 UTC
    for frame in past + nowcast:
        for size, colour, options in ((256, 2, "1_1"), (512, 8, "0_0"), (256, 0, "1_0")):
            url = f"{maps['host']}{frame['path']}/{size}/6/32/21/{colour}/{options}.png"
            assert picture(client.get(url)).size == (size, size)
        assert picture(client.get(f"{maps['host']}{frame['path']}/256/6/52.1/5.3/1/1_1.png")).size == (256, 256)
        older = client.get(f"/v2/radar/{frame['time']}/256/6/32/21/2/1_1.png")
        assert older.content == client.get(f"{frame['path']}/256/6/32/21/2/1_1.png").content


def test_tiles_elsewhere_are_empty_and_wrong_ones_refused(client) -> None:
    path = client.get("/public/weather-maps.json").json()["radar"]["nowcast"][0]["path"]
    assert not np.asarray(picture(client.get(f"{path}/256/6/2/40/1/0_0.png"))).any()
    for wrong, status in (
        ("300/6/1/1/1/0_0", 422),
        ("256/6/64/1/1/0_0", 422),
        ("256/6/-1/1/1/0_0", 422),
        ("256/21/1/1/1/0_0", 422),
        ("256/6/1/1/1/2_0", 422),
        ("256/6/91.5/1.5/1/1_1", 422),
        ("256/6/nan/1/1/1_1", 422),
    ):
        assert client.get(f"{path}/{wrong}.png").status_code == status, wrong
    assert client.get("/v2/radar/19990101T000000Z+1/256/6/1/1/1/0_0.png").status_code == 404


def test_smooth_values_lie_between_and_keep_to_missing_ones() -> None:
    frame = np.array([[0.0, 10.0], [np.nan, 20.0]], np.float32)
    positions = np.array([[[0.5, 0.0, 1.0, 5.0]], [[0.0, 0.75, 0.5, 0.0]]], np.float32)
    values, inside = sample(frame, positions, smooth=True)
    np.testing.assert_array_equal(values[0, :3], [5.0, np.nan, 15.0])
    assert inside.tolist() == [[True, True, True, False]]


@pytest.mark.parametrize("is_south_up", [False, True])
def test_rows_from_the_south_are_turned(is_south_up: bool) -> None:
    y = tuple(range(50, 54)) if is_south_up else tuple(range(53, 49, -1))
    grid = Grid(y=y, x=tuple(range(4, 9)), axis_units="degrees")
    projection = MapProjection(grid, 4, 5)
    values = np.array(y, np.float32)[:, None].repeat(5, 1)
    row, column = projection.find_pixel(52.2, 6.4)
    assert (values[row, column], column) == (52.0, 2)
    assert projection.find_pixel(49.0, 6.0) is None
    shown, inside = sample(values, projection.find_positions(tile_extent(4, 8, 5, 256)))
    assert shown[inside].max() == 53.0
    first, last = (np.flatnonzero(inside.any(1))[end] for end in (0, -1))
    assert shown[first][inside[first]].max() > shown[last][inside[last]].max()
