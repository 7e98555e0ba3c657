"""Publication that dies at each of its steps, and what the next process makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.fixtures.forecasts import forecast

import framecast.live.publish
from framecast.errors import UsageError
from framecast.live.publish import Publisher, check_formats

REFERENCE = np.datetime64("2016-09-28T15:10:00", "ms")


class Death(BaseException):
    pass


def publisher(out: Path) -> Publisher:
    return Publisher(out, ["npy", "zarr"], None)


@pytest.mark.parametrize("at", range(6))
def test_a_death_at_any_step_leaves_what_was_announced(tmp_path: Path, monkeypatch, at: int) -> None:
    publisher(tmp_path).publish(forecast(), REFERENCE, {"inputs": "1"})
    before = (tmp_path / "latest.json").read_text()
    steps = iter(range(100))

    def die_at(function):
        def call(*args, **said):
            if next(steps) == at:
                raise Death
            return function(*args, **said)

        return call

    with monkeypatch.context() as patched:
        for owner, name in ((framecast.live.publish, "write_json"), (framecast.live.publish.writers, "write")):
            patched.setattr(owner, name, die_at(getattr(owner, name)))
        patched.setattr(Publisher, "_remove", lambda *_: None)  # as one that is killed removes nothing
        try:
            publisher(tmp_path).publish(forecast(frames=2), REFERENCE + np.timedelta64(5, "m"), {"inputs": "2"})
        except Death:
            assert (tmp_path / "latest.json").read_text() == before
        else:
            assert at == 5, "there are five steps"
    again = publisher(tmp_path)
    announced = json.loads((tmp_path / "latest.json").read_text())
    assert announced["inputs"] == ("2" if at >= 4 else "1"), "what the list has is announced"
    names = {path.name for path in tmp_path.iterdir()} - {".watch", "latest.json"}
    assert names == {"20160928T151000Z.npy", "20160928T151000Z.zarr"} | ({*announced["files"]} if at >= 4 else set())
    latest = again.publish(forecast(frames=2), REFERENCE + np.timedelta64(5, "m"), {"inputs": "2"})
    assert latest["revision"] == (1 if at >= 4 else 0)


def test_names_have_time_revision_and_format(tmp_path: Path) -> None:
    out = Publisher(tmp_path, ["nc", "strip", "png"], None)
    assert out.publish(forecast(), REFERENCE, {})["files"] == ["20160928T151000Z.nc"], "pictures come later"
    assert out.draw(forecast())["files"] == [
        "20160928T151000Z.nc",
        "20160928T151000Z-strip.png",
        "20160928T151000Z.png",
    ]
    assert out.publish(forecast(), REFERENCE, {})["files"][0] == "20160928T151000Z-r1.nc"
    assert (tmp_path / "20160928T151000Z.png").is_dir()


@pytest.mark.parametrize("at", range(5))
def test_a_death_while_pictures_are_drawn_leaves_the_forecast(tmp_path: Path, monkeypatch, at: int) -> None:
    out = Publisher(tmp_path, ["strip", "npy", "png"], None)
    out.publish(forecast(), REFERENCE, {"inputs": "1"})
    before = (tmp_path / "latest.json").read_text()
    assert json.loads(before)["files"] == ["20160928T151000Z.npy"]
    steps = iter(range(100))

    def die_at(function):
        def call(*args, **said):
            if next(steps) == at:
                raise Death
            return function(*args, **said)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(framecast.live.publish, "write_json", die_at(framecast.live.publish.write_json))
        patched.setattr(Publisher, "_write", die_at(Publisher._write))
        patched.setattr(Publisher, "_remove", lambda *_: None)
        with pytest.raises(Death):
            out.draw(forecast())
    assert (tmp_path / "latest.json").read_text() == before
    Publisher(tmp_path, ["npy"], None)
    announced = json.loads((tmp_path / "latest.json").read_text())["files"]
    pictures = ["20160928T151000Z-strip.png", "20160928T151000Z.png"]
    assert announced == (["20160928T151000Z.npy"] if at < 4 else [pictures[0], "20160928T151000Z.npy", pictures[1]])
    assert {path.name for path in tmp_path.iterdir()} == {*announced, "latest.json", ".watch"}, "none is half there"


def test_only_pictures_are_announced_once_they_are_drawn(tmp_path: Path) -> None:
    out = Publisher(tmp_path, ["strip"], None)
    assert out.publish(forecast(), REFERENCE, {}) == out.draw(forecast())
    assert (tmp_path / "20160928T151000Z.png").is_file()


def test_what_is_the_users_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "20160928T151000Z.npy").write_text("mine")
    latest = publisher(tmp_path).publish(forecast(), REFERENCE, {})
    assert latest["files"] == ["20160928T151000Z-r1.npy", "20160928T151000Z-r1.zarr"]
    assert (tmp_path / "20160928T151000Z.npy").read_text() == "mine"


def test_a_format_with_a_typo_is_told() -> None:
    with pytest.raises(UsageError, match="did you mean strip"):
        check_formats(["nc", "stripp"])
    with pytest.raises(UsageError, match="each once"):
        check_formats(["nc", "nc"])
