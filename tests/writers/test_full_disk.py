"""A disk that becomes full at any byte: every writer fails with one error and leaves nothing, or has written all."""

from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.forecasts import forecast
from tests.fixtures.full_disk import no_file_larger_than, run_in_fork

from framecast import writers
from framecast.errors import DiskFull

LIMITS = 9
"""Sizes of the largest file at which a disk becomes full."""
LIBRARIES = {".nc": "h5netcdf", ".tif": "rasterio", ".mp4": "av", ".zarr": "zarr"}


def largest_file(path: Path) -> int:
    return max(p.stat().st_size for p in (path, *path.rglob("*")) if p.is_file())


@pytest.mark.parametrize("suffix", list(writers.FORMATS))
def test_all_or_nothing(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if suffix in LIBRARIES:
        pytest.importorskip(LIBRARIES[suffix])
    made = forecast(frames=4, members=1 if suffix == ".gif" else 2)
    writers.write(tmp_path / f"whole{suffix}", made)
    size = largest_file(tmp_path / f"whole{suffix}")
    before = sorted(tmp_path.iterdir())

    def fill_disks() -> None:
        for limit in [0, 1, *np.linspace(2, size - 64, LIMITS, dtype=int).tolist()]:  # times take other bytes each time
            with no_file_larger_than(limit), pytest.raises(DiskFull, match=rf"x{suffix}: got File too large"):
                writers.write(tmp_path / f"x{suffix}", made)
            assert sorted(tmp_path.iterdir()) == before, limit

    run_in_fork(fill_disks)
    assert capfd.readouterr().err == "", "a library has printed what is said once"


def test_a_film_is_as_readable_as_one_that_ffmpeg_writes_itself(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    writers.write(tmp_path / "x.mp4", forecast(frames=4))
    with av.open(str(tmp_path / "x.mp4")) as film:
        assert len(list(film.decode(video=0))) == 6
