"""A small archive: two blobs of rain that drift, around the end of a month."""

import numpy as np
import pytest
import xarray


def make_rain(frames: int = 40, start: str = "2016-09-30T22:00") -> xarray.Dataset:
    y, x = np.mgrid[:20, :24]
    heavy = [8 * np.exp(-((x - 4 - 0.4 * t) ** 2 + (y - 11) ** 2) / 20) for t in range(frames)]
    light = [4 * np.exp(-((x - 18 + 0.2 * t) ** 2 + (y - 4) ** 2) / 15) for t in range(frames)]
    times = np.datetime64(start, "ns") + np.arange(frames) * np.timedelta64(5, "m")
    attributes = {"units": "mm/h", "standard_name": "rainfall_rate"}
    return xarray.Dataset(
        {"rain": (("time", "y", "x"), np.float32(heavy) + np.float32(light), attributes)},
        {"time": times, "y": np.arange(20) * 1000.0, "x": np.arange(24) * 1000.0},
    )


@pytest.fixture
def archive(tmp_path):
    make_rain().to_netcdf(tmp_path / "rain.nc")
    return tmp_path / "rain.nc"
