"""No moment of one place is in two splits, however its grid is written; no frame of a copy of a part, nor of windows."""

from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image
from tests.data.windows.test_leakage import FIELD, STEP, contents, moments, opened, share_nothing

from framecast.data.sources.footprint import Footprint, are_one_grid, are_one_place, find_footprint
from framecast.data.windows.copies import digest_frame
from framecast.types import Grid

LAT, LON = 40 + 0.1 * np.arange(6), 5 + 0.1 * np.arange(7)


def write(path: Path, begin: int, lat: np.ndarray, lon: np.ndarray, *, minutes: int = 0) -> str:
    shift = np.timedelta64(minutes, "m")
    time = np.datetime64("2020-03-01T00:00", "ns") + shift + np.arange(begin, begin + 100) * STEP
    values = FIELD[begin : begin + 100, : len(lat), : len(lon)]
    data = xarray.Dataset(
        {"t": (("time", "lat", "lon"), values, {"units": "K"})}, {"time": time, "lat": lat, "lon": lon}
    )
    data.to_netcdf(path)
    return str(path)


OTHER_GRIDS = {
    "reversed": (LAT[::-1], LON, None),
    "float32": ((LAT + 4e-6).astype(np.float32), LON.astype(np.float32), None),
    "in part": (LAT + 0.3, LON + 0.4, None),
    "a smaller region": (LAT[1:4], LON[2:6], 3),
    "a coarser grid": (np.array([40.05, 40.25, 40.45]), np.array([5.05, 5.25, 5.45, 5.65]), 3),
    "longitudes around": (LAT, LON - 360, None),
}


@pytest.mark.parametrize("kind", OTHER_GRIDS)
@pytest.mark.parametrize("begins", [(0, 50), (50, 0)])
def test_grids_that_overlap_share_no_moment(tmp_path: Path, kind: str, begins: tuple[int, int]) -> None:
    lat, lon, crop = OTHER_GRIDS[kind]
    files = [write(tmp_path / "a.nc", begins[0], LAT, LON), write(tmp_path / "b.nc", begins[1], lat, lon)]
    dataset = opened(files, **({"crop": crop} if crop else {}))
    assert share_nothing(dataset, moments)
    assert any("left out, as other files hold them" in note for note in dataset.notes)


def test_grids_that_touch_are_two_places(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.nc", 0, LAT, LON), write(tmp_path / "b.nc", 50, LAT + 0.6, LON)]
    assert not any("left out" in note for note in opened(files).notes)


def test_clocks_that_jitter_show_one_moment(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.nc", 0, LAT, LON), write(tmp_path / "b.nc", 50, LAT, LON, minutes=2)]
    dataset = opened(files)
    held = [{np.datetime64(text, "h") for text in moments(dataset, split)} for split in ("train", "val", "test")]
    assert not (held[0] & held[1] | held[0] & held[2] | held[1] & held[2])


def footprint(y: object, x: object, units: str, crs: str | None = None, **mapping: object) -> Footprint:
    axes = (tuple(np.asarray(axis, float).tolist()) for axis in (y, x))
    found = find_footprint(Grid(y=next(axes), x=next(axes), axis_units=units, crs=crs, mapping=mapping))
    assert found is not None
    return found


def test_places_in_several_projections() -> None:
    pyproj = pytest.importorskip("pyproj")
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:3035", always_xy=True).transform(5.3, 40.3)
    degrees = footprint(LAT, LON, "degrees", "EPSG:4326")
    metres = footprint(y + 1000.0 * np.arange(9), x + 1000.0 * np.arange(9), "m", "EPSG:3035")
    kilometres = footprint(y / 1000 + np.arange(9), x / 1000 + np.arange(9), "km", "EPSG:3035")
    far = footprint(y + 1000.0 * np.arange(9), x + 900_000 + 1000.0 * np.arange(9), "m", "EPSG:3035")
    assert are_one_place(degrees, metres)
    assert are_one_place(kilometres, metres)
    assert are_one_place(degrees, far) is False
    unknown = footprint(np.arange(9), np.arange(9), "1")
    assert are_one_place(degrees, unknown) is None
    assert are_one_place(unknown, unknown)
    rotated = footprint(
        LAT, LON, "degrees", grid_mapping_name="rotated_latitude_longitude", grid_north_pole_latitude=39.0
    )
    assert are_one_place(degrees, rotated) is not True  # the same numbers, another place


def test_files_of_one_series_may_differ_in_the_last_bits() -> None:
    north = Grid(y=(51.999949, 50.0), x=(5.0, 6.0), axis_units="degrees")
    assert are_one_grid(north, north.model_copy(update={"y": (51.999951, 50.0)}))  # one rounds down, one up
    tile = Grid(y=(5_500_001.0, 5_500_000.0), x=(1.0, 2.0), axis_units="m")
    assert not are_one_grid(tile, tile.model_copy(update={"y": (5_500_002.0, 5_500_001.0)}))  # a pixel further


PARTS = {
    "every other": slice(20, 120, 2),
    "a part": slice(40, 90),
    "every third of a part": slice(30, 120, 3),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("part", PARTS)
def test_copies_of_parts_share_no_frame(tmp_path: Path, part: str, first: bool) -> None:
    np.save(tmp_path / "a.npy", FIELD[:120])
    np.save(tmp_path / "b.npy", FIELD[:120][PARTS[part]])
    files = [str(tmp_path / f"{name}.npy") for name in ("ba" if first else "ab")]
    dataset = opened(files, dims="thw", fractions=[0.6, 0.2, 0.2])
    assert share_nothing(dataset, contents)
    assert any("left out, as other files hold them" in note for note in dataset.notes)


def test_a_copy_that_bridges_two_files(tmp_path: Path) -> None:
    for name, begin, end in (("a", 0, 60), ("b", 60, 120), ("c", 30, 90)):
        np.save(tmp_path / f"{name}.npy", FIELD[begin:end])
    dataset = opened([str(tmp_path / f"{name}.npy") for name in "abc"], dims="thw", fractions=[0.6, 0.4, 0])
    assert not contents(dataset, "train") & contents(dataset, "val")


def test_every_other_picture_of_another_folder(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (80, 6, 7), np.uint8)
    for folder, step in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        for t in range(0, 80, step):
            Image.fromarray(pictures[t]).save(tmp_path / folder / f"{t // step:03}.png")
    dataset = opened(str(tmp_path), fractions=[0.6, 0.2, 0.2])
    assert share_nothing(dataset, contents)


def test_a_copy_without_times_or_coordinates(tmp_path: Path) -> None:
    """One file knows its place and times, the other is an array of a part of it."""
    whole = write(tmp_path / "a.nc", 0, LAT, LON)
    np.savez(tmp_path / "b.npz", frames=FIELD[60:100], dims="thw", units="K", step_minutes=60.0)
    dataset = opened([{"path": str(tmp_path / "b.npz")}, {"path": whole}], fractions=[0.6, 0.2, 0.2])
    assert share_nothing(dataset, contents)


def test_sequences_that_were_cut_with_a_small_stride_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "cut.npy", np.stack([FIELD[at : at + 12] for at in range(0, 148, 4)]))
    np.save(tmp_path / "apart.npy", np.stack([FIELD[at : at + 12] for at in range(0, 148, 12)]))
    for name in ("cut", "apart"):
        said = " ".join(opened(str(tmp_path / f"{name}.npy"), dims="nthw", split_by="sequence").notes)
        assert ("frames or more of other splits' sequences: scores are too good" in said) == (name == "cut")


def test_a_digest_is_of_values() -> None:
    frame = np.random.default_rng(0).random((1, 90, 5), np.float32)
    assert digest_frame(frame) == digest_frame(frame.copy())
    assert digest_frame(frame) != digest_frame(frame[:, ::-1])
    assert digest_frame(frame * 0) is None
    assert digest_frame(np.where(frame > 0.5, np.float32(0.0), frame)) == digest_frame(
        np.where(frame > 0.5, np.float32(-0.0), frame)
    )
