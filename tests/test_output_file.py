"""A file for libraries: its writes never fail while it is open, and the first failure is raised at the end."""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.full_disk import no_file_larger_than, run_in_fork

from framecast.output_file import open_output


def test_it_is_a_file(tmp_path: Path) -> None:
    with open_output(tmp_path / "x") as file:
        assert file.write(b"0123456789") == 10
        file.seek(4)
        assert file.read(2) == b"45"
        file.seek(-1, os.SEEK_END)
        file.write(b"ab")
        file.truncate(11)
        assert file.tell() == 11
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
    assert (tmp_path / "x").read_bytes() == b"012345678ab"


def test_the_library_may_close_it(tmp_path: Path) -> None:
    with open_output(tmp_path / "x") as file:
        file.write(b"all")
        file.close()
    assert (tmp_path / "x").read_bytes() == b"all"


def test_the_first_failure_is_raised_at_the_end(tmp_path: Path) -> None:
    ended = []

    def fill() -> None:
        with open_output(tmp_path / "x") as file:
            for _ in range(30):
                assert file.write(bytes(9000)) == 9000
            assert file.tell() == 270_000
            file.truncate(300_000)
            ended.append(True)
            raise KeyError("what follows from it")

    def fill_disk() -> None:
        with no_file_larger_than(100_000), pytest.raises(OSError, match="File too large") as failure:
            fill()
        assert failure.value.errno == errno.EFBIG
        assert ended
        assert (tmp_path / "x").stat().st_size == 100_000, "a part of a write is followed by the rest of it"

    run_in_fork(fill_disk)


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(KeyError), open_output(tmp_path / "x"):
        raise KeyError("x")


def test_what_only_the_flush_to_the_disk_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="quota"), open_output(tmp_path / "x") as file:
        file.write(b"x")


def test_arrays_and_pictures_are_written_by_it(tmp_path: Path) -> None:
    """numpy and Pillow write through a descriptor where there is one, and then lose the number or all of an error."""

    def fill() -> None:
        noise = np.random.default_rng(0).integers(0, 255, (300, 300), np.uint8)
        for save in (
            lambda file: np.save(file, noise),
            lambda file: Image.fromarray(noise).save(file, "GIF"),
            lambda file: Image.fromarray(noise).save(file, "PNG"),
        ):
            failing = pytest.raises(OSError, match="File too large")
            with no_file_larger_than(50_000), failing as failure, open_output(tmp_path / "x") as file:
                save(file)
            assert failure.value.errno == errno.EFBIG

    run_in_fork(fill)
