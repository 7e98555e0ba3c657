"""The loop: whatever happens on the way, the last forecast is that of an undisturbed run, to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.full_disk import no_file_larger_than, run_in_fork
from tests.fixtures.live import SPEC, Bench, drop, frame, name_of, time_of

from framecast.errors import DiskFull, RunInUse, UsageError
from framecast.forecasting.filling.context_source import FrameWindow
from framecast.forecasting.filling.fill import fill_absent
from framecast.forecasting.predict import forecast_source
from framecast.live.loop import locked, run
from framecast.live.slots import name_time
from framecast.live.watcher import Look


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def expected(bench: Bench, numbers: range, *absent: int) -> np.ndarray:
    """Forecast of the six slots of these numbers, straight from the frames."""
    slots = [None if n in absent else frame(n)[None].astype(np.float32) for n in numbers]
    window = FrameWindow(slots, SPEC, np.array([time_of(n) for n in numbers]))
    return forecast_source(bench.model, fill_absent(bench.model, window).source, 3).values[0, 0]


def undisturbed(root: Path, *numbers: int) -> np.ndarray:
    root.mkdir()
    bench = Bench(root)
    for number in numbers:
        drop(bench.folder, number)
    bench.watcher().look()
    return bench.values()


def test_each_new_frame_gives_the_forecast_of_the_newest_window(bench: Bench) -> None:
    watcher = bench.watcher()
    for number in range(9):
        drop(bench.folder, number)
        look = watcher.look()
        assert look.published["reference_time"] == name_time(time_of(number))
        if number >= 5:
            np.testing.assert_array_equal(bench.values()[:, 0], expected(bench, range(number - 5, number + 1))[:, 0])
    assert bench.latest()["valid_times"][0] == "2024-05-01T12:45:00Z"
    assert [each["file"] for each in bench.latest()["frames"]] == [name_of(n) for n in range(3, 9)]
    assert bench.latest()["predictor"] == "tiny"
    assert watcher.look().published is None, "nothing is new"
    assert len(list(bench.out.glob("*.npy"))) == 9


def test_out_of_order_truncated_doubled_missing_and_restarted_it_ends_the_same(bench: Bench, tmp_path: Path) -> None:
    watcher = bench.watcher()
    for number in (0, 2, 1, 3):
        drop(bench.folder, number)
        watcher.look()
    half = (bench.folder / name_of(3)).read_bytes()
    (bench.folder / name_of(4)).write_bytes(half[: len(half) // 2])
    look = watcher.look()
    assert "unreadable" in look.lines[0]
    assert look.published is None, "half a file changes nothing"
    drop(bench.folder, 6)
    watcher.look()
    drop(bench.folder, 3, name="copy_202405011215.png")
    assert "the same again" in watcher.look().lines[0]
    watcher = bench.watcher()
    drop(bench.folder, 4)
    watcher.look()
    drop(bench.folder, 8)
    assert "new" in watcher.look().lines[0]
    drop(bench.folder, 7)
    assert "late" in watcher.look().lines[0]
    latest = bench.latest()
    assert (latest["reference_time"], latest["revision"]) == (name_time(time_of(8)), 1)
    assert latest["filled"] == latest["absent"] == [name_time(time_of(5))]
    np.testing.assert_array_equal(bench.values()[:, 0], expected(bench, range(3, 9), 5)[:, 0])
    np.testing.assert_array_equal(bench.values(), undisturbed(tmp_path / "other", 0, 1, 2, 3, 4, 6, 7, 8))


def test_after_a_restart_nothing_is_read_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        drop(bench.folder, number)
    bench.watcher().look()
    watcher = bench.watcher()
    read: list[str] = []
    original = watcher._intake._reader.read
    monkeypatch.setattr(
        watcher._intake._reader, "read", lambda path, choose: read.append(path.name) or original(path, choose)
    )
    assert watcher.look().published is None
    first = len(read)
    assert sorted(read) == [name_of(n) for n in range(8)], "the frames of the window, once, as they are in no memory"
    drop(bench.folder, 8)
    watcher.look()
    assert read[first:] == [name_of(8)]


def test_after_downtime_only_the_newest_forecast_is_issued(bench: Bench) -> None:
    for number in range(20):
        drop(bench.folder, number)
    bench.watcher().look()
    assert [path.name for path in bench.out.glob("*.npy")] == ["20240501T133500Z.npy"]


def test_a_revised_frame_gives_a_revision_and_overwrites_nothing(bench: Bench) -> None:
    watcher = bench.watcher()
    for number in range(6):
        drop(bench.folder, number)
    watcher.look()
    first = bench.values()
    drop(bench.folder, 5, frame(5)[::-1].copy(), later=60)
    assert "revised" in watcher.look().lines[0]
    assert bench.latest()["files"] == ["20240501T122500Z-r1.npy"]
    assert (bench.values() != first).any()
    np.testing.assert_array_equal(np.load(bench.out / "20240501T122500Z.npy"), first)


def test_of_two_files_of_one_time_the_last_that_changed_is_used_in_any_order(tmp_path: Path) -> None:
    results = []
    for order in ((0, 1), (1, 0)):
        root = tmp_path / f"{order[0]}"
        root.mkdir()
        bench = Bench(root)
        watcher = bench.watcher()
        for number in range(5):
            drop(bench.folder, number)
        for which in order:
            drop(bench.folder, 5, frame(5 + 3 * which), f"{'ab'[which]}_202405011225.png", later=which)
            look = watcher.look()
        assert "conflicting" in look.lines[0] or order == (0, 1)
        results.append(bench.values())
        assert bench.latest()["frames"][-1]["file"] == "b_202405011225.png"
    np.testing.assert_array_equal(*results)


def test_a_cold_start_goes_up_the_ladder_and_says_what_is_missing(bench: Bench) -> None:
    watcher, rungs = bench.watcher(), []
    for number in range(6):
        drop(bench.folder, number)
        look = watcher.look()
        rungs.append(bench.latest()["predictor"])
        if number < 5:
            assert f"{5 - number} of 6 frames of the window are absent" in "\n".join(look.lines)
    assert rungs == ["persistence", "extrapolation", "tiny", "tiny", "tiny", "tiny"]
    assert json.loads((bench.out / "status.json").read_text())["absent"] == []


def test_beyond_what_may_be_filled_extrapolation_stands_in_and_says_why(bench: Bench) -> None:
    for number in (0, 1, 4, 5):
        drop(bench.folder, number)
    bench.watcher(max_filled=1).look()
    latest = bench.latest()
    assert latest["predictor"] == "extrapolation"
    assert "2 of 6 frames are absent, at most 1 are filled" in latest["fallback"]
    bench.watcher(max_filled=2).look()
    assert bench.latest()["predictor"] == "tiny"
    assert bench.latest()["filled"] == [name_time(time_of(n)) for n in (2, 3)]


def test_a_model_that_fails_is_replaced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from framecast.errors import InputError

    def fail(*args: object, **said: object) -> None:
        raise InputError("frames", got="values that make the forecast NaN", expected="others")

    monkeypatch.setattr(type(bench.model), "ahead", fail)
    for number in range(6):
        drop(bench.folder, number)
    bench.watcher().look()
    assert bench.latest()["predictor"] == "extrapolation"
    assert "NaN" in bench.latest()["fallback"]


@pytest.mark.parametrize("level", [0, 7])
def test_dry_constant_and_calm_hours_are_ordinary(bench: Bench, level: int) -> None:
    for number in range(6):
        drop(
            bench.folder, number, np.full((24, 24), level, np.uint8) + (np.uint8(number % 2) if level else np.uint8(0))
        )
    bench.watcher().look()
    assert bench.latest()["predictor"] == "tiny"
    assert np.isfinite(bench.values()).all()


def test_a_frame_without_a_pixel_is_absent(bench: Bench, tmp_path: Path) -> None:
    for number in range(6):
        drop(bench.folder, number, np.full((24, 24), 255, np.uint8) if number == 3 else np.minimum(frame(number), 250))
    look = bench.watcher(fields={"missing": 255.0}).look()
    assert [line for line in look.lines if "empty" in line]
    assert bench.latest()["filled"] == [name_time(time_of(3))]
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other")
    for number in (0, 1, 2, 4, 5):
        drop(other.folder, number, np.minimum(frame(number), 250))
    other.watcher(fields={"missing": 255.0}).look()
    np.testing.assert_array_equal(bench.values(), other.values())


def test_frames_of_the_future_before_the_window_and_off_the_cadence_are_told(bench: Bench) -> None:
    for number in range(20, 26):
        drop(bench.folder, number)
    watcher = bench.watcher()
    watcher.look()
    drop(bench.folder, 60)
    drop(bench.folder, 3)
    drop(bench.folder, 25, name="rain_20240501140730.png")
    lines = "\n".join(watcher.look().lines)
    assert "future" in lines
    assert "lies before the window" in lines
    assert "14:07:30Z is too far from a slot" in lines
    assert bench.latest()["reference_time"] == name_time(time_of(25))
    bench.now = float(time_of(60).astype("datetime64[s]").astype(int))
    assert watcher.look().published["reference_time"] == name_time(time_of(60)), "its time has come"


def test_a_clock_that_jumps_back_stops_nothing(bench: Bench) -> None:
    watcher = bench.watcher()
    for number in range(8):
        drop(bench.folder, number)
        bench.now = float(time_of(number).astype("datetime64[s]").astype(int)) - (number > 4) * 1e7
        assert watcher.look().published["reference_time"] == name_time(time_of(number))
    bench.now += 1e9
    drop(bench.folder, 8)
    assert watcher.look().published["reference_time"] == name_time(time_of(8))


def test_only_what_the_watcher_wrote_is_removed(bench: Bench) -> None:
    watcher = bench.watcher(keep="10min", formats=("npy", "png"))
    bench.out.mkdir(exist_ok=True)
    (bench.out / "20240501T110000Z.npy").write_bytes(b"the user's")
    for number in range(6):
        drop(bench.folder, number)
        watcher.look()
    names = sorted(path.name for path in bench.out.iterdir() if path.name.startswith("2024"))
    kept = [f"20240501T12{minute}00Z{suffix}" for minute in (15, 20, 25) for suffix in (".npy", ".png")]
    assert names == ["20240501T110000Z.npy", *kept]


def test_a_full_disk_leaves_the_last_forecast(bench: Bench) -> None:
    for number in range(6):
        drop(bench.folder, number)
    watcher = bench.watcher()
    watcher.look()
    before = (bench.out / "latest.json").read_bytes()
    drop(bench.folder, 6)

    def write_with_no_room() -> None:
        with no_file_larger_than(4000), pytest.raises(DiskFull):
            watcher.look()

    run_in_fork(write_with_no_room)
    assert (bench.out / "latest.json").read_bytes() == before
    assert len(list(bench.out.glob("*.npy"))) == 1
    watcher = bench.watcher()
    assert watcher.look().published["reference_time"] == name_time(time_of(6))
    np.testing.assert_array_equal(bench.values()[:, 0], expected(bench, range(1, 7))[:, 0])


def test_rain_that_is_gone_at_once_is_a_fault_unless_it_stays_away(tmp_path: Path) -> None:
    bench = Bench(tmp_path, model="extrapolation")
    watcher = bench.watcher(fields={"units": "mm/h", "range": (0.0, 255.0), "step_minutes": 5.0})
    for number in range(8):
        drop(bench.folder, number)
        watcher.look()
    drop(bench.folder, 8, np.zeros((24, 24), np.uint8))
    lines = "\n".join(watcher.look().lines)
    assert "100 % of the wet pixels are gone at once" in lines
    assert bench.latest()["reference_time"] == name_time(time_of(7)), "no forecast begins with it"
    drop(bench.folder, 9, np.zeros((24, 24), np.uint8))
    watcher.look()
    assert bench.latest()["reference_time"] == name_time(time_of(9)), "twice in a row it is the weather"
    assert bench.latest()["absent"] == []


def test_frames_of_another_size_are_not_used(bench: Bench) -> None:
    for number in range(6):
        drop(bench.folder, number)
    watcher = bench.watcher()
    watcher.look()
    drop(bench.folder, 6, np.zeros((12, 12), np.uint8))
    lines = "\n".join(watcher.look().lines)
    assert "another size" in lines
    assert bench.latest()["reference_time"] == name_time(time_of(5))


def test_the_cadence_does_not_depend_on_what_has_arrived(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in (0, 2, 4, 6):  # every second one: the model knows better
        drop(bench.folder, number)
    bench.watcher().look()
    assert bench.latest()["step_minutes"] == 5
    (tmp_path / "base").mkdir()
    base = Bench(tmp_path / "base", model="persistence")
    with pytest.raises(UsageError, match="--step-minutes: got none"):
        base.watcher()
    for number in (0, 1, 2):
        drop(base.folder, number)
    base.watcher()
    for number in (0, 1, 2):
        (base.folder / name_of(number)).unlink()
        drop(base.folder, 10 + 3 * number)
    base.watcher().look()
    assert base.latest()["step_minutes"] == 5, "as at the first start"


def test_two_watchers_of_one_output_refuse_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(RunInUse, match="another watcher"), locked(tmp_path / "out"):
        pass


def test_files_that_vanish_after_a_restart_do_not_spoil_the_forecast(bench: Bench) -> None:
    for number in range(6):
        drop(bench.folder, number)
    bench.watcher().look()
    for number in range(4):
        (bench.folder / name_of(number)).unlink()
    assert bench.watcher().look().published is None, "a worse forecast of the same time is none"
    assert bench.latest()["predictor"] == "tiny"


def test_errors_of_a_look_are_told_once_and_the_loop_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        drop(bench.folder, number)
    watcher, told = bench.watcher(), []
    original, failures = watcher._place.list_files, [OSError("no route to host")] * 2

    def list_files(now: float, window: int) -> list:
        if failures:
            raise failures.pop()
        return original(now, window)

    class Stop(BaseException):
        pass

    def say(look: Look) -> None:
        told.append(look.lines)
        if len(told) > 3:
            raise Stop

    monkeypatch.setattr(watcher._place, "list_files", list_files)
    with pytest.raises(Stop):
        run(watcher, say, str, poll=0.0, settle=0.0)
    assert [len(lines) for lines in told[:2]] == [1, 0]
    assert "no route to host; the last forecast stays" in told[0][0]
    assert bench.latest()["reference_time"] == name_time(time_of(5))
