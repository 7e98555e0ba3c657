"""Messages about files: they name the file and what it has, and advise only what can help."""

import errno
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import zarr
from PIL import Image

from framecast.data import DataConfig, FileSource
from framecast.data.formats.guards import as_input_error
from framecast.errors import InputError
from framecast.formatting import shorten

CUBE = np.random.default_rng(0).random((4, 6, 7), np.float32)


def message(path: Path, **said) -> str:
    with pytest.raises(InputError) as caught:
        FileSource(DataConfig(source=str(path), **said))
    return str(caught.value)


def netcdf(path: Path, *names: str) -> Path:
    with netCDF4.Dataset(path, "w") as data:
        for dim, size in zip(("time", "y", "x"), CUBE.shape, strict=True):
            data.createDimension(dim, size)
        for name in names:
            data.createVariable(name, "f4", ("time", "y", "x"))[:] = CUBE
    return path


def hdf5(path: Path, *names: str) -> Path:
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = CUBE
    return path


def store(path: Path, *names: str) -> Path:
    group = zarr.open_group(path, mode="w")
    for name in names:
        group.create_array(name, data=CUBE)
    return path


def npz(path: Path, *names: str) -> Path:
    np.savez(path, **dict.fromkeys(names, CUBE))
    return path


MAKERS = {"nc": netcdf, "h5": hdf5, "zarr": store, "npz": npz}


@pytest.mark.parametrize("suffix", MAKERS)
def test_several_arrays_are_listed_once(tmp_path: Path, suffix: str) -> None:
    path = MAKERS[suffix](tmp_path / f"a.{suffix}", "rain", "snow")
    text = message(path)
    assert (text.count("rain, snow"), "--var" in text) == (1, True)
    text = message(path, variable="hail")
    assert "got hail, expected one of rain, snow" in text
    for name in ("rain", "snow"):
        found = FileSource(DataConfig(source=str(path), variable=name))
        np.testing.assert_array_equal(found.read(0, 0, 4).frames[:, 0], CUBE)


@pytest.mark.parametrize("suffix", MAKERS)
def test_a_variable_is_not_asked_for_where_there_is_none(tmp_path: Path, suffix: str) -> None:
    text = message(MAKERS[suffix](tmp_path / f"a.{suffix}"))
    assert "--var" not in text
    assert "none; name" not in text


def test_frames_of_an_npz_are_told_beside_others(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", frames=CUBE, other=CUBE, x0=np.arange(3))
    notes = FileSource(DataConfig(source=str(tmp_path / "a.npz"))).notes
    assert "variable: frames; beside it lie other" in notes


def test_files_of_other_variables_say_which(tmp_path: Path) -> None:
    for name in ("rain", "snow"):
        netcdf(tmp_path / f"{name}.nc", name)
    text = message(tmp_path)
    assert "got variables snow, expected rain, as in rain.nc; put files of one kind into one folder, or name" in text
    for number, side in enumerate((8, 9)):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("L", (side, 8)).save(tmp_path / "pictures" / f"{number}.png")
    assert message(tmp_path / "pictures").endswith("put files of one kind into one folder")


@pytest.mark.parametrize("name", ["a.png", "a.nc", "a.h5", "a.npz", "a.npy", "a.grib2", "a.pgm", "a.mp4", "a.tif"])
def test_a_file_that_no_decoder_reads_is_called_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no such thing " * 50)
    text = message(tmp_path / name)
    assert name in text
    assert "'it'" not in text
    assert " it:" not in text


def fail(error: BaseException, **said) -> str:
    with pytest.raises(InputError) as caught, as_input_error("/data/rain.nc: time", "a file", **said):
        raise error
    return str(caught.value)


def test_only_a_decoder_says_damaged() -> None:
    damaged = "the file is damaged or of another kind"
    assert fail(RuntimeError("bad chunk in /data/rain.nc")).endswith(
        f"bad chunk in rain.nc, expected a file; {damaged}"
    )
    for number in (errno.EACCES, errno.ENOENT, errno.EIO, errno.EMFILE):
        assert damaged not in fail(OSError(number, "whatever"))
    assert "Permission denied, expected a file that can be read" in fail(PermissionError(errno.EACCES, "no"))
    for error in (MemoryError(), ImportError("libhdf5.so")):
        assert damaged not in fail(error)
    assert damaged not in fail(ValueError("calendar martian"), fix=None)


def test_texts_of_libraries_end_between_words() -> None:
    words = " ".join(f"word{number}" for number in range(100))
    text = fail(RuntimeError(words))
    assert text.split(" ...")[0].split()[-1] in words.split()
    assert shorten("a  b\nc") == "a b c"
    assert shorten("x" * 300, 50) == "x" * 47 + " ..."
    assert all(len(shorten(words, width)) <= width + 1 for width in range(10, 60))


def test_times_that_are_not_read_are_no_damage(tmp_path: Path) -> None:
    with netCDF4.Dataset(netcdf(tmp_path / "a.nc", "rain"), "a") as data:
        time = data.createVariable("time", "f8", ("time",))
        time.units, time.calendar = "hours since 2024-01-01", "martian"
        time[:] = np.arange(4)
    text = message(tmp_path / "a.nc")
    assert "martian" in text
    assert "damaged" not in text


def test_no_folder_for_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = hdf5(tmp_path / "a.h5", "rain")

    def refuse(*_, **__) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(h5py, "File", refuse)
    text = message(path)
    assert "Permission denied" in text
    assert "damaged" not in text
