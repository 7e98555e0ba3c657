"""Scores of forecasts whose truth has arrived, checked against sums by hand; and screening of frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.live import SPEC, Bench, drop, frame, time_of

from framecast.forecasting.baselines import Extrapolation
from framecast.live.reader import LiveFrame
from framecast.live.slots import Cadence
from framecast.live.window import screen_frames
from framecast.types import Grid


def skill(bench: Bench) -> dict:
    return json.loads((bench.out / "skill.json").read_text())


def test_scores_are_those_of_the_frames(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    watcher = bench.watcher(verify=True)
    made: dict[int, np.ndarray] = {}
    for number in range(9):
        drop(bench.folder, number)
        watcher.look()
        made[number] = bench.values()[:, 0]
    frames = np.stack([frame(n) for n in range(12)]).astype(np.float32)
    moved = {n: Extrapolation(SPEC).predict(frames[None, n - 5 : n + 1, None], 3)[0, :, 0] for n in (5, 6, 7)}
    found = skill(bench)
    assert [(each["lead_minutes"], each["forecasts"]) for each in found["leads"]] == [(5, 6), (10, 5), (15, 4)]
    # the model forecasts from its third frame on
    firsts = [2, 3, 4, 5, 6, 7]
    ours = np.mean([(made[n][0].clip(0, 255) - frames[n + 1]) ** 2 for n in firsts])
    last = np.mean([(frames[n] - frames[n + 1]) ** 2 for n in firsts])
    lead = found["leads"][0]
    assert lead["mse"]["forecast"] == pytest.approx(ours, rel=1e-5)
    assert lead["mse"]["persistence"] == pytest.approx(last, rel=1e-5)
    assert lead["mae"]["persistence"] == pytest.approx(
        np.mean([abs(frames[n] - frames[n + 1]) for n in firsts]), rel=1e-5
    )
    assert lead["skill"]["persistence"] == pytest.approx(1 - ours / last, rel=1e-5)
    assert 0 <= lead["better"]["extrapolation"] <= 1
    waiting = np.load(tmp_path / "out" / ".watch" / "waiting" / "20240501T123000Z.npz")
    np.testing.assert_allclose(waiting["extrapolation"][:, 0], moved[6], atol=1e-4)


def test_values_are_clipped_to_the_range_of_the_model(tmp_path: Path) -> None:
    bench = Bench(tmp_path, model="persistence")
    watcher = bench.watcher(verify=True, fields={"units": "dBZ", "range": (30.0, 100.0), "step_minutes": 5.0})
    for number in range(3):
        drop(bench.folder, number)
        watcher.look()
    frames = [frame(n).astype(np.float32).clip(30, 100) for n in range(3)]
    lead = skill(bench)["leads"][0]
    assert lead["mse"]["forecast"] == lead["mse"]["persistence"]
    expected = np.mean([(frames[n] - frames[n + 1]) ** 2 for n in (0, 1)])
    assert lead["mse"]["forecast"] == pytest.approx(expected, rel=1e-5)


def test_scores_go_on_after_a_restart_and_are_counted_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(8):
        drop(bench.folder, number)
        bench.watcher(verify=True).look()
    once = skill(bench)
    bench.watcher(verify=True).look()
    assert skill(bench) == once
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other")
    watcher = other.watcher(verify=True)
    for number in range(8):
        drop(other.folder, number)
        watcher.look()
    assert skill(other) == once
    waiting = [path.name for path in (bench.out / ".watch" / "waiting").iterdir()]
    assert sorted(waiting) == [f"20240501T12{minute}00Z.npz" for minute in (25, 30, 35)], (
        "those that lie behind are gone"
    )


def test_forecasts_of_a_fallback_are_not_the_models(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    watcher = bench.watcher(verify=True, max_filled=0)
    for number in range(5):
        drop(bench.folder, number)
        watcher.look()
    assert bench.latest()["predictor"] == "extrapolation"
    assert not (bench.out / "skill.json").exists()


def live(values: np.ndarray, units: str = "dBZ") -> LiveFrame:
    spec = SPEC.model_copy(update={"units": units, "high": 70.0})
    return LiveFrame(time_of(0), values.astype(np.float32)[None], "", spec, Grid(), False)


@pytest.mark.parametrize(("left", "is_refused"), [(0.0, True), (0.25, True), (0.35, False), (1.0, False)])
def test_most_of_the_rain_cannot_be_gone_at_once(left: float, is_refused: bool) -> None:
    wet = np.zeros((10, 10))
    wet[:4] = 30
    rest = np.where(np.arange(100).reshape(10, 10) < 40 * left, 30, 0)
    frames = {time_of(0): live(wet), time_of(1): live(rest)}
    assert bool(screen_frames(frames, Cadence(5.0))) == is_refused
    assert not screen_frames({at: one._replace(spec=SPEC) for at, one in frames.items()}, Cadence(5.0)), "only of rain"


def test_a_frame_with_hardly_a_pixel_is_refused() -> None:
    whole, rest = np.ones((10, 10)), np.full((10, 10), np.nan)
    rest[0, :5] = 1
    refused = screen_frames({time_of(0): live(whole), time_of(1): live(rest), time_of(2): live(whole)}, Cadence(5.0))
    assert refused == {time_of(1): "95 % of the pixels are missing that were there before"}
