"""Sums, means and maxima of CF grids: over one length of time, since the start of a run, across the files of a folder."""

import itertools
from pathlib import Path

import cftime
import netCDF4
import numpy as np
import pytest

from framecast.data import DataConfig, FileSource
from framecast.errors import InputError

HOURLY = np.random.default_rng(0).integers(0, 9, (24, 3, 4)).astype(np.float32)
SINCE = "hours since 2024-05-01 00:00:00"


def write(path: Path, edges: list, method: str | None = "time: sum", values: np.ndarray | None = None, **extra) -> Path:
    """Write what was combined between hours, by netCDF4; `run` is the start of the forecast, hours."""
    path.parent.mkdir(exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", len(edges)), ("nv", 2), ("y", 3), ("x", 4)):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.setncatts({"units": extra.get("units", SINCE), "bounds": "time_bnds", "standard_name": "time"})
        time[:] = [end for _, end in edges]
        file.createVariable("time_bnds", "f8", ("time", "nv"))[:] = edges
        rain = file.createVariable("rain", "f4", ("time", "y", "x"))
        rain.setncatts({"units": "kg m-2"} | ({} if method is None else {"cell_methods": method}))
        rain[:] = [HOURLY[int(a) : int(b)].sum(0) for a, b in edges] if values is None else values
        if "run" in extra:
            start = file.createVariable("forecast_reference_time", "f8", ())
            start.setncatts({"units": SINCE, "standard_name": "forecast_reference_time"})
            start[...] = extra["run"]
    return path


def source(path: Path, **options) -> FileSource:
    return FileSource(DataConfig(source=str(path), **{"range": (0, 9), **options}))


def read(found: FileSource, sequence: int = 0) -> np.ndarray:
    return found.read(sequence, 0, found.lengths[sequence]).frames[:, 0]


def steps(length: int, count: int, first: int = 0) -> np.ndarray:
    return HOURLY[first : first + length * count].reshape(count, length, 3, 4).sum(1)


def hours(first: int, last: int, step: int = 1) -> list[tuple[int, int]]:
    return [(hour, hour + step) for hour in range(first, last, step)]


MIXED = hours(0, 6) + hours(6, 24, 6)


def test_sums_of_1_and_6_hours_are_refused_and_chosen_by_name(tmp_path: Path):
    path = write(tmp_path / "a.nc", MIXED)
    with pytest.raises(InputError, match=r"sums over 1h, 6h in turn.* as in rain\[1h\], rain\[6h\]"):
        source(path)
    one, six = (source(path, variable=f"rain[{word}]") for word in ("1h", "6h"))
    np.testing.assert_array_equal(read(one), HOURLY[:6])
    np.testing.assert_array_equal(read(six), steps(6, 3, 6))
    assert six.frame_times(0)[0] == np.datetime64("2024-05-01T12", "ms")
    assert "times: each frame is the sum over the 6h up to its time" in six.notes
    with pytest.raises(InputError, match=r"interval: got 2h, expected one of 1h, 6h"):
        source(path, variable="rain[2h]")


def test_sums_that_end_together_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="sums over 1h, 6h that end together"):
        source(write(tmp_path / "a.nc", sorted(hours(0, 12) + hours(0, 12, 6), key=lambda edge: edge[1])))


def test_files_of_1_and_6_hours_are_refused_and_chosen_by_name(tmp_path: Path):
    write(tmp_path / "a" / "1.nc", hours(0, 6))
    write(tmp_path / "a" / "2.nc", hours(6, 24, 6))
    with pytest.raises(InputError, match="sums over 1h, 6h in turn"):
        source(tmp_path / "a")
    np.testing.assert_array_equal(read(source(tmp_path / "a", variable="rain[6h]")), steps(6, 3, 6))


@pytest.mark.parametrize("other", ["time: mean", "time: point", "area: mean time: maximum"])
def test_files_of_sums_and_of_something_else_are_refused(tmp_path: Path, other: str):
    write(tmp_path / "a" / "1.nc", hours(0, 6))
    write(tmp_path / "a" / "2.nc", hours(6, 12), other)
    kind = {"point": "instant"}.get(other.split()[-1], other.split()[-1])
    with pytest.raises(InputError, match=rf"got values that are the {kind} over time, expected .* sum .*, as in 1.nc"):
        source(tmp_path / "a")


def test_a_file_that_does_not_say_what_its_values_are_is_told(tmp_path: Path):
    write(tmp_path / "a" / "1.nc", hours(0, 6))
    write(tmp_path / "a" / "2.nc", hours(6, 12), None)
    assert any("2.nc does not say how its values are combined in time" in n for n in source(tmp_path / "a").notes)


def test_the_interval_in_cell_methods_counts_across_files(tmp_path: Path):
    write(tmp_path / "a" / "1.nc", hours(0, 6), "time: sum (interval: 1 hr)")
    write(tmp_path / "a" / "2.nc", hours(6, 12), "time: sum (interval: 6 hr)")
    with pytest.raises(InputError, match=r"got values that are the sum \(6 hr\) over time"):
        source(tmp_path / "a")


@pytest.mark.parametrize("kind", ["sum", "mean"])
@pytest.mark.parametrize("place", ["one file", "a file for each lead time"])
def test_since_the_start_of_a_run(tmp_path: Path, kind: str, place: str):
    edges = [(0, end) for end in (0, 3, 6, 9, 12)]
    values = np.stack([HOURLY[:end].sum(0) / (max(end, 1) if kind == "mean" else 1) for _, end in edges])
    if place == "one file":
        write(tmp_path / "a" / "a.nc", edges, f"time: {kind}", values)
    else:
        for number, edge in enumerate(edges):
            write(
                tmp_path / "a" / f"fc_2024050100_f{edge[1]:03}.nc", [edge], f"time: {kind}", values[number : number + 1]
            )
    found = source(tmp_path / "a")
    np.testing.assert_allclose(read(found), steps(3, 4) / (3 if kind == "mean" else 1), rtol=1e-5)
    np.testing.assert_allclose(
        found.read(0, 2, 3).frames[:, 0], steps(3, 4)[2:3] / (3 if kind == "mean" else 1), rtol=1e-5
    )
    assert list(found.frame_times(0).astype("datetime64[h]").astype(int) % 24) == [3, 6, 9, 12]
    assert f"times: 3 of 4 frames are differences of successive {kind}s since an earlier start" in found.notes


def test_maxima_since_the_start_of_a_run_are_refused_and_chosen_by_name(tmp_path: Path):
    edges = [(0, end) for end in (3, 6, 9)]
    path = write(tmp_path / "a.nc", edges, "time: maximum", np.stack([HOURLY[:end].max(0) for _, end in edges]))
    with pytest.raises(
        InputError, match=r"maximums over 3h, 6h, 9h in turn.* as in rain\[3h\], rain\[6h\], rain\[9h\]"
    ):
        source(path)
    np.testing.assert_array_equal(read(source(path, variable="rain[6h]")), HOURLY[:6].max(0)[None])


@pytest.mark.parametrize("said", ["in the files", "in their names"])
def test_since_the_start_of_two_runs_in_one_folder(tmp_path: Path, said: str):
    for run in (0, 6):
        start = {"run": run} if said == "in the files" else {}
        for lead in (0, 3, 6, 9, 12):
            write(tmp_path / "a" / f"fc_20240501{run:02}_f{lead:03}.nc", [(run, run + lead)], **start)
    found = source(tmp_path / "a")
    assert found.lengths == [4, 4]
    np.testing.assert_array_equal(read(found, 0), steps(3, 4))
    np.testing.assert_array_equal(read(found, 1), steps(3, 4, 6))
    assert "runs: 2 forecasts, each a sequence of its own" in found.notes


def test_sums_of_one_folder_are_not_taken_off_those_of_another(tmp_path: Path):
    for folder, factor in (("a", 1), ("b", 10)):
        (tmp_path / folder).mkdir()
        edges = [(0, 3), (0, 6), (0, 9)]
        write(tmp_path / folder / "a.nc", edges, values=factor * np.stack([HOURLY[:end].sum(0) for _, end in edges]))
    found = source(tmp_path)
    np.testing.assert_array_equal(read(found, 1), 10 * steps(3, 3))


@pytest.mark.parametrize(("method", "times"), [("time: sum", [11, 21, 32]), ("time: mean", [11, 21, 32])])
def test_dekads_are_one_length_and_said(tmp_path: Path, method: str, times: list):
    days = [(0, 10), (10, 20), (20, 31)]
    values = HOURLY[:3]
    path = write(tmp_path / "a.nc", days, method, values, units="days since 2024-05-01")
    found = source(path)
    np.testing.assert_array_equal(read(found), values)
    assert "times: the intervals are of 240h to 264h" in found.notes


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_months_are_one_length(tmp_path: Path, calendar: str):
    dates = [cftime.datetime(2001 + n // 12, n % 12 + 1, 1, calendar=calendar) for n in range(13)]
    days = cftime.date2num(dates, "days since 2001-01-01", calendar)
    path = write(
        tmp_path / "a.nc",
        list(itertools.pairwise(days)),
        values=HOURLY[:12],
        units="days since 2001-01-01",
    )
    with netCDF4.Dataset(path, "a") as file:
        file["time"].calendar = calendar
    found = source(path)
    assert (found.lengths, found.spec.step_months) == ([12], 1)
    assert not any("intervals are of" in note for note in found.notes)


def test_bounds_that_a_float32_rounds_are_one_length(tmp_path: Path):
    edges = np.float32(np.array(hours(0, 12)) / 24 + 1000)
    path = write(tmp_path / "a.nc", edges.tolist(), values=HOURLY[:12], units="days since 2021-08-05")
    assert source(path).lengths == [12]


def test_bounds_of_no_length_are_not_used(tmp_path: Path):
    found = source(write(tmp_path / "a.nc", [(hour, hour) for hour in range(6)], values=HOURLY[:6]))
    np.testing.assert_array_equal(read(found), HOURLY[:6])
    assert "times: the bounds of times have no length, and are not used" in found.notes


def test_climatologies_are_told(tmp_path: Path):
    path = write(tmp_path / "a.nc", hours(0, 12), "time: maximum within days time: mean over days", HOURLY[:12])
    with netCDF4.Dataset(path, "a") as file:
        file["time"].delncattr("bounds")
        file["time"].climatology = "time_bnds"
    assert any("time is of a climatology" in note for note in source(path).notes)


def test_a_run_by_its_name(tmp_path: Path):
    path = write(tmp_path / "a.nc", [*hours(0, 12, 3), *((0, end) for end in (6, 9))], run=0)
    with pytest.raises(InputError, match=r"that end together.* as in rain\[3h\], rain\[run\]"):
        source(path)
    np.testing.assert_array_equal(read(source(path, variable="rain[run]")), steps(3, 3))
    np.testing.assert_array_equal(read(source(path, variable="rain[3h]")), steps(3, 4))


def test_a_length_where_there_are_no_intervals(tmp_path: Path):
    with pytest.raises(InputError, match=r"interval: got 6h, where the file gives no intervals of time"):
        source(write(tmp_path / "a.nc", hours(0, 6), "time: point"), variable="rain[6h]")


@pytest.mark.parametrize("kind", ["bounds of lead times", "bounds of valid times"])
def test_since_the_start_of_several_runs_in_one_file(tmp_path: Path, kind: str):
    starts, leads = np.array([0.0, 6.0, 12.0]), np.array([3.0, 6.0, 9.0, 12.0])
    total = np.array([[HOURLY[int(a) : int(a + lead)].sum(0) for lead in leads] for a in starts])
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        for name, size in (("time", 3), ("step", 4), ("nv", 2), ("y", 3), ("x", 4)):
            file.createDimension(name, size)
        for name, values, said in (
            ("time", starts, {"units": SINCE, "standard_name": "forecast_reference_time"}),
            ("step", leads, {"units": "hours", "standard_name": "forecast_period"}),
        ):
            file.createVariable(name, "f8", (name,)).setncatts(said)
            file[name][:] = values
        valid = file.createVariable("valid_time", "f8", ("time", "step"))
        valid.setncatts({"units": SINCE, "standard_name": "time"})
        valid[:] = starts[:, None] + leads
        if kind == "bounds of lead times":
            file["step"].bounds = "bnds"
            file.createVariable("bnds", "f8", ("step", "nv"))[:] = [(0, lead) for lead in leads]
        else:
            valid.bounds = "bnds"
            file.createVariable("bnds", "f8", ("time", "step", "nv"))[:] = [[(a, a + b) for b in leads] for a in starts]
        rain = file.createVariable("rain", "f4", ("time", "step", "y", "x"))
        rain.setncatts({"units": "kg m-2", "cell_methods": "valid_time: sum"})
        rain[:] = total
    found = source(tmp_path / "a.nc")
    assert found.lengths == [4, 4, 4]
    for run in range(3):
        np.testing.assert_array_equal(read(found, run), np.diff(total[run], axis=0, prepend=0))
        np.testing.assert_array_equal(found.read(run, 2, 3).frames[0, 0], total[run, 2] - total[run, 1])
        assert found.frame_times(run)[0] == np.datetime64("2024-05-01T03", "ms") + np.timedelta64(6 * run, "h")


@pytest.mark.parametrize("order", ["rain,t", "t,rain"])
def test_variables_that_are_combined_in_different_ways(tmp_path: Path, order: str):
    """An instant is no sum since a start: what differences make of one would be wrong for the other."""
    for name, edges in (("since.nc", [(0, end) for end in (3, 6, 9)]), ("steps.nc", hours(0, 9, 3))):
        with netCDF4.Dataset(write(tmp_path / name, edges), "a") as file:
            file.createVariable("t", "f4", ("time", "y", "x")).cell_methods = "time: point"
            file["t"].units = "kg m-2"
            file["t"][:] = HOURLY[:3]
            file.createVariable("height", "f4", ("y", "x"))[:] = HOURLY[0]
    with pytest.raises(InputError, match=r"rain: sum.* of which some are since an earlier start"):
        source(tmp_path / "since.nc", variable=order)
    with pytest.raises(InputError, match=r"height: the same in all frames, of which some are since"):
        source(tmp_path / "since.nc", variable="rain,height")
    found = source(tmp_path / "steps.nc", variable=order)
    assert any("combined in different ways" in note for note in found.notes)
    np.testing.assert_array_equal(found.read(0, 0, 3).frames[:, order.split(",").index("t")], HOURLY[:3])
