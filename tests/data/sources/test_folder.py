"""Folders: hidden files at any depth, suffixes of any case, packed and misnamed files, arrays, reasons for no frames."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from framecast.data import DataConfig, FileSource
from framecast.data.formats import ARRAYS, READERS, file_kind
from framecast.errors import InputError

FRAMES = np.random.default_rng(0).integers(0, 255, (12, 8, 9), np.uint8)
JUNK = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(60)


def source(path: Path, **said) -> FileSource:
    return FileSource(DataConfig(source=str(path), **said))


def pictures(folder: Path, *, junk: bool = True) -> Path:
    """Pictures, as a Mac or a Windows leaves them with its own files beside."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(FRAMES, 1):
        Image.fromarray(frame).save(folder / f"{number}.png")
        if junk:
            (folder / f"._{number}.png").write_bytes(JUNK)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(JUNK)
    return folder


def refused(path: Path, words: str, **said) -> None:
    with pytest.raises(InputError, match=words):
        source(path, **said)


@pytest.mark.parametrize("kind", ["flat", "nested", "zip", "flat zip"])
def test_what_systems_leave_is_left_alone(tmp_path: Path, kind: str) -> None:
    names = {"flat": ["."], "nested": ["boxing", "running"], "zip": ["clip"], "flat zip": ["."]}[kind]
    root = tmp_path / "data"
    for name in names:
        pictures(root / name)
    if "zip" in kind:
        for folder in ("__MACOSX", "__MACOSX/clip", "@eaDir"):
            (root / folder).mkdir()
            for number in range(12):
                (root / folder / f"{number}.png").write_bytes(JUNK)
    found = source(root)
    assert found.lengths == [12] * len(names)
    np.testing.assert_array_equal(found.read(0, 0, 12).frames[:, 0], FRAMES)
    assert "left out" not in " ".join(found.notes)


def test_a_finder_does_not_change_the_data(tmp_path: Path) -> None:
    import zarr

    zarr.create_array(tmp_path / "a.zarr", data=FRAMES)
    zarr.create_array(tmp_path / "folder" / "a.zarr", data=FRAMES)
    before = source(tmp_path / "a.zarr").fingerprint()
    for name in (".DS_Store", "._zarr.json", "Thumbs.db"):
        (tmp_path / "a.zarr" / name).write_bytes(JUNK)
        (tmp_path / "a.zarr" / "c" / name).write_bytes(JUNK)
    assert source(tmp_path / "a.zarr").fingerprint() == before


def test_folders_beside_frames_are_told(tmp_path: Path) -> None:
    for name in (".", "clip1", "clip2"):
        pictures(tmp_path / "a" / name) if name != "." else pictures(tmp_path / "a", junk=False)
    assert "left out: the folders clip1, clip2, as frames lie beside them" in " ".join(source(tmp_path / "a").notes)


def test_why_a_folder_has_no_frames(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "got a folder without frames, expected a .npy")
    (tmp_path / "empty" / "a.raw").write_bytes(b"?")
    (tmp_path / "empty" / "b.nc.gz").write_bytes(gzip.compress(b"CDF\x01"))
    refused(tmp_path / "empty", r"suffix .raw, .nc.gz; among them b.nc.gz, which is packed with gzip.*with gunzip")
    pictures(tmp_path / "deep" / "train" / "clip")
    refused(tmp_path / "deep", "frames lie deeper, in train/clip: name that folder or the one above it")
    assert source(tmp_path / "deep" / "train").lengths == [12]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.dat", r"a.dat, which holds HDF5.*rename it to a.h5"),
        ("a", r"a, which holds HDF5.*rename it to a.h5"),
        ("a.png", r"a.png, which holds HDF5, expected pictures, as suffix .png says; rename it to a.h5"),
        ("A.NPY", r"A.NPY, which holds HDF5, expected arrays, as suffix .NPY says; rename it to A.h5"),
        ("a.grib2", r"rename it to a.h5"),
    ],
)
def test_a_wrong_suffix_is_named(tmp_path: Path, name: str, words: str) -> None:
    with h5py.File(tmp_path / name, "w") as file:
        file["rain"] = FRAMES
    refused(tmp_path / name, words)
    (tmp_path / name).rename(tmp_path / "right.h5")
    assert source(tmp_path / "right.h5").lengths == [12]


@pytest.mark.parametrize(("name", "program"), [("a.nc.gz", "gunzip"), ("A.NC.GZ", "gunzip"), ("a.npy.gz", "gunzip")])
def test_packed_files_say_how_to_unpack_them(tmp_path: Path, name: str, program: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"CDF\x01"))
    refused(tmp_path / name, f"packed with gzip, .*; unpack it first, with {program}")


def test_hdf4_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(100))
    refused(tmp_path / "a.hdf", "holds HDF4, expected HDF5, as suffix .hdf says; turn it into HDF5 with h4toh5")


@pytest.mark.parametrize(
    "suffix", [s for _, ss in [*((e.kind, e.suffixes) for e in READERS), *ARRAYS.items()] for s in ss]
)
def test_every_suffix_counts_in_any_case(suffix: str) -> None:
    kinds = {file_kind(Path(f"data{form}")) for form in (suffix, suffix.upper(), suffix.title())}
    assert len(kinds) == 1
    assert None not in kinds


def save(path: Path, frame: np.ndarray, **sides) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, frame)
    elif path.suffix == ".npz":
        np.savez(path, frames=frame, **sides)
    else:
        with h5py.File(path, "w") as file:
            file["rain"] = frame
            file["rain"].attrs.update(sides)


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
def test_arrays_in_a_folder_follow_one_another(tmp_path: Path, suffix: str) -> None:
    for number in (1, 2, 3, 5, 10):
        save(tmp_path / "counted" / f"f{number}.{suffix}", FRAMES[number])
        save(tmp_path / "timed" / f"20240501_{number:02}00.{suffix}", FRAMES[number])
    found = source(tmp_path / "counted")
    assert found.lengths == [3, 1, 1]
    np.testing.assert_array_equal(found.read(0, 0, 3).frames[:, 0], FRAMES[1:4])
    np.testing.assert_array_equal(found.read(2, 0, 1).frames[0, 0], FRAMES[10])
    timed = source(tmp_path / "timed")
    assert (timed.lengths, timed.spec.step_minutes) == ([3, 1, 1], 60)
    assert timed.read(1, 0, 1).time == np.datetime64("2024-05-01T05:00")


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
def test_films_of_arrays_in_a_folder_are_sequences(tmp_path: Path, suffix: str) -> None:
    for number, name in enumerate(("a", "b")):
        save(tmp_path / f"{name}.{suffix}", FRAMES[6 * number : 6 * number + 6])
    found = source(tmp_path)
    assert (found.lengths, list(found.groups)) == ([6, 6], [0, 1])
    np.testing.assert_array_equal(found.read(1, 1, 4).frames[:, 0], FRAMES[7:10])
    same = source(tmp_path, dims="thw")
    np.testing.assert_array_equal(same.read(1, 1, 4).frames, found.read(1, 1, 4).frames)


def test_attributes_of_arrays_in_a_folder_count(tmp_path: Path) -> None:
    for number in range(3):
        start = np.array("2024-05-01T12:00", "M8[s]") + np.timedelta64(20 * number, "m")
        sides = {"scale": 0.5, "offset": -32.0, "missing_code": 255, "units": "dBZ", "step_minutes": 10.0}
        frames = FRAMES[2 * number : 2 * number + 2].copy()
        frames[:, 0, 0] = 255
        save(tmp_path / "a" / f"{number}.npz", frames, dims="thw", start_time=start, **sides)
    found = source(tmp_path / "a")
    assert (found.lengths, found.spec.units, found.spec.step_minutes) == ([6], "dBZ", 10)
    expected = FRAMES[:6] * np.float32(0.5) - 32
    expected[:, 0, 0] = np.nan
    np.testing.assert_array_equal(found.read(0, 0, 6).frames[:, 0], expected)
    assert found.read(0, 3, 4).time == np.datetime64("2024-05-01T12:30")
    save(tmp_path / "a" / "3.npz", FRAMES[:2], dims="thw", scale=0.25, units="dBZ")
    refused(tmp_path / "a", "expected")


def test_arrays_that_do_not_fit_into_a_folder(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "colours" / f"{number}.npy", np.zeros((8, 9, 3), np.uint8))
        save(tmp_path / "many" / f"{number}.npy", np.zeros((4, 5, 8, 9), np.uint8))
    refused(tmp_path / "colours", r"shape \(8, 9, 3\), which may be one picture in colours")
    refused(tmp_path / "many", "4 sequences in one file of a folder, expected one sequence; name one file", dims="nthw")
    assert source(tmp_path / "many", dims="tchw", range=(0, 1)).spec.channels == 5
