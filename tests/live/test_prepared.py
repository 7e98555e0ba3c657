"""What is done before a frame arrives, and after its forecast is announced: it changes no bit, no one waits for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures.live import Bench, drop, frame, tiny_model

from framecast.forecasting.forecaster import Forecaster
from framecast.live.publish import Publisher
from framecast.live.verification import Verification


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Forecaster]:
    """The model of each frame that a network takes."""
    models: list[Forecaster] = []
    original = Forecaster._take

    def take(self, *arguments):
        models.append(self)
        return original(self, *arguments)

    monkeypatch.setattr(Forecaster, "_take", take)
    return models


def prepare(watcher) -> int:
    count = 1
    while watcher.prepare():
        count += 1
    return count - 1


def make_pair(tmp_path: Path, **said) -> tuple[Bench, Bench]:
    (tmp_path / "prepared").mkdir()
    (tmp_path / "plain").mkdir()
    return Bench(tmp_path / "prepared", **said), Bench(tmp_path / "plain", **said)


def test_a_prepared_forecast_has_the_bits_of_another(tmp_path: Path, taken: list) -> None:
    prepared, plain = make_pair(tmp_path)
    one, other = prepared.watcher(), plain.watcher()
    for number in range(9):
        for bench in (prepared, plain):
            drop(bench.folder, number)
        taken.clear()
        one.look()
        assert len(taken) == (number >= 2), "from the third frame on the model forecasts: it takes the new one alone"
        other.look()
        np.testing.assert_array_equal(prepared.values(), plain.values())
        prepare(one)
    assert prepared.latest()["inputs"] == plain.latest()["inputs"]


def test_preparation_that_is_cut_short_serves_as_far_as_it_went(tmp_path: Path, taken: list) -> None:
    prepared, plain = make_pair(tmp_path)
    one, other = prepared.watcher(), plain.watcher()
    for number in range(7):
        for bench in (prepared, plain):
            drop(bench.folder, number)
        if number in (5, 6):
            taken.clear()
            one.look()
            other.look()
            assert [one.prepare(), one.prepare()] == [True, True], "two of five"
    assert taken.count(one._ladder.model) == 4 + 2, "those of the window that were not prepared, and two of the next"
    np.testing.assert_array_equal(prepared.values(), plain.values())


@pytest.mark.parametrize("change", ["revised", "gap", "model"])
def test_what_was_prepared_for_another_window_is_not_used(tmp_path: Path, change: str) -> None:
    prepared, plain = make_pair(tmp_path)
    one, other = prepared.watcher(), plain.watcher()
    for number in range(6):
        for bench in (prepared, plain):
            drop(bench.folder, number)
    one.look()
    assert prepare(one) == 5
    for bench, watcher in ((prepared, one), (plain, other)):
        if change == "revised":
            drop(bench.folder, 3, frame(3)[::-1].copy(), later=60)
        if change == "model":
            model = tiny_model()
            with torch.no_grad():
                for weight in model.network.parameters():
                    weight.mul_(0.5)
            watcher.swap(model)
        drop(bench.folder, 7 if change == "gap" else 6)
        watcher.look()
    assert prepared.latest()["reference_time"] == plain.latest()["reference_time"]
    np.testing.assert_array_equal(prepared.values(), plain.values())


def test_nothing_is_prepared_for_baselines_gaps_and_short_windows(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    watcher = bench.watcher()
    assert not watcher.prepare(), "no window yet"
    for number in (0, 1, 3, 4, 5):
        drop(bench.folder, number)
    watcher.look()
    assert not watcher.prepare(), "a gap is forecast when the window is whole"
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other", model="persistence")
    drop(other.folder, 0)
    watcher = other.watcher(fields={"step_minutes": 5.0})
    watcher.look()
    assert not watcher.prepare()


def test_the_forecast_is_announced_before_scores_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, seen = Bench(tmp_path), []
    watcher = bench.watcher(verify=True, formats=("npy", "strip"))
    for owner, name in ((Verification, "score"), (Verification, "remember"), (Publisher, "draw")):
        original = getattr(owner, name)

        def note(self, *arguments, _original=original, _name=name, **keywords):
            latest = bench.out / "latest.json"
            files = json.loads(latest.read_text())["files"] if latest.exists() else None
            seen.append((_name, *keywords.values(), files))
            return _original(self, *arguments, **keywords)

        monkeypatch.setattr(owner, name, note)
    drop(bench.folder, 0)
    watcher.look()
    names = ["20240501T120000Z.npy"]
    before, *after = seen
    assert before == ("remember", False, None)  # so that what was announced is scored, whatever dies then
    assert {name for name, *_ in after} == {"score", "remember", "draw"}
    assert all(files == names for *_, files in after)
    assert bench.latest()["files"] == [*names, "20240501T120000Z.png"]


def test_pictures_that_a_dead_watcher_did_not_draw_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    drop(bench.folder, 0)
    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "draw", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bench.watcher(formats=("npy", "strip")).look()
    forecast = (bench.out / "20240501T120000Z.npy").read_bytes()
    assert bench.latest()["files"] == ["20240501T120000Z.npy"]
    again = bench.watcher(formats=("npy", "strip"))
    again.look()
    assert bench.latest()["files"] == ["20240501T120000Z.npy", "20240501T120000Z.png"]
    assert (bench.out / "20240501T120000Z.npy").read_bytes() == forecast
    assert again.look().published is None


def test_pictures_that_fail_are_told_once_and_drawn_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    watcher = bench.watcher(formats=("npy", "strip"))
    drop(bench.folder, 0)
    original, failures = Publisher._write, [OSError("no space")] * 2

    def write(self, path, name, forecast):
        if name == "strip" and failures:
            raise failures.pop()
        return original(self, path, name, forecast)

    monkeypatch.setattr(Publisher, "_write", write)
    look = watcher.look()
    assert look.published is not None
    assert "after the forecast: no space; the forecast stays" in look.lines
    assert isinstance(look.failure, OSError)
    assert bench.latest()["files"] == ["20240501T120000Z.npy"]
    again = watcher.look()
    assert (again.lines, isinstance(again.failure, OSError)) == ([], True), "told once"
    assert watcher.look().failure is None
    assert bench.latest()["files"] == ["20240501T120000Z.npy", "20240501T120000Z.png"]
