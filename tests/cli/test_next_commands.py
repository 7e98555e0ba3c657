"""What framecast prints as the next command runs as it is printed: quotes, spaces, networks of the user's own."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import xarray
from tests.fixtures.commands import framecast
from tests.fixtures.runs import overrides
from tests.forecasting.test_published_weights import checkpoint

OWN = """
from typing import Literal

from framecast.models import ConvLSTM, ModelConfig


class Mine(ModelConfig):
    name: Literal["mine"] = "mine"
    hidden: tuple[int, ...] = (2,)

    def build(self, channels, height, width, extra=0):
        return ConvLSTM(hidden=self.hidden, kernel_size=3).build(channels, height, width, extra)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space and a bracket in its name, in which is a network."""
    folder = tmp_path / "my work [1]"
    folder.mkdir()
    (folder / "mine_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def weather(path: Path) -> Path:
    time = np.datetime64("2020-01-01", "ns") + np.arange(60) * np.timedelta64(60, "m")
    fields = {name: np.random.default_rng(n).random((60, 8, 8), np.float32) for n, name in enumerate(("t", "f"))}
    data = xarray.Dataset({key: (("time", "y", "x"), values) for key, values in fields.items()}, {"time": time})
    data.to_netcdf(path)
    return path


def run_line(line: str, place: Path) -> None:
    words = [word for word in shlex.split(line) if word]
    assert words[0] == "framecast"
    framecast(*words[1:], *([] if words[1] == "resume" else ["--device", "cpu"]), cwd=place)


def printed_next(text: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith("next: "))
    return line.removeprefix("next: ").split("; ")


SHORT = [*overrides(context=2, horizon=2, patch=4, validate__sequences=1), "--device", "cpu", "--steps", 1]


@pytest.mark.parametrize("model", ["mine_net:Mine", "convlstm"])
@pytest.mark.parametrize("covariate", [False, True])
def test_after_a_training(place: Path, model: str, covariate: bool) -> None:
    path = weather(place / "a file.nc")
    said = [
        *SHORT,
        "--set",
        "model={name: convlstm, hidden: [2]}" if model == "convlstm" else f"model={{name: '{model}'}}",
    ]
    said += ["--set", "data.moving_mnist={}", "--var", "t,f" if covariate else "t", "--data", path]
    said += ["--set", "data.covariates=[f]"] if covariate else []
    done = framecast("train", model, *said, "--out", place / "a run", cwd=place)
    lines = printed_next(done.stdout)
    assert [shlex.split(line)[1] for line in lines] == ["evaluate", "predict"]
    for line in lines:
        run_line(line.replace("COVARIATES", "'a file.nc' --frames 0,50"), place)
    assert (place / "FUTURE.npy").exists()
    again = framecast("train", model, *said, "--out", place / "a run", cwd=place, code=2)
    resume = re.search(r"go on with: (.*); or choose", again.stderr)
    assert resume is not None
    run_line(resume[1], place)


def test_a_run_without_windows_to_score_proposes_no_scores(place: Path) -> None:
    path = weather(place / "a.nc")
    said = ["--var", "t", "--data", path, "--set", "data.fractions=[1,0,0]", "--set", "data.moving_mnist={}"]
    done = framecast("train", "convlstm", *SHORT, *said, "--out", place / "run", cwd=place)
    (line,) = printed_next(done.stdout)
    run_line(line, place)


def test_after_a_resumption(place: Path) -> None:
    said = [*SHORT, "--set", "model={name: 'mine_net:Mine'}"]
    framecast("train", "mine_net:Mine", *said, "--out", place / "run", cwd=place)
    done = framecast("resume", place / "run", "--class", "mine_net:Mine", cwd=place)
    evaluate, predict = printed_next(done.stdout)
    assert "FILE" in shlex.split(predict)
    assert shlex.split(predict)[shlex.split(predict).index("--class") + 1] == "mine_net:Mine"
    run_line(evaluate, place)


def test_of_an_inspection(place: Path) -> None:
    path = weather(place / "a file [2].nc")
    said = ["--var", "t", "--units", "mm per 5 min", "--missing", "-9999", "--range=-1,2", "--frames", "0,50"]
    done = framecast("inspect", path, *said, cwd=place)
    line = next(line for line in done.stdout.splitlines() if line.startswith("framecast train"))
    run_line(
        f"{line} --steps 1 --quiet --set validate.sequences=1 --set model.hidden=[2] --set train.batch_size=1", place
    )


def test_paths_that_begin_with_a_dash(place: Path) -> None:
    file, run = weather(place / "-x.nc"), Path("-run")
    words = ["--data", "./-x.nc", "--var", "t", *SHORT]
    done = framecast("train", "convlstm", "--out", "-run", *words, cwd=place)
    for line in printed_next(done.stdout):
        run_line(line, place)
    assert (place / "FUTURE.npy").exists()
    (place / "FUTURE.npy").unlink()
    told = framecast("train", "convlstm", "--out", "-run", *words, cwd=place, code=2).stderr
    run_line(re.search("go on with: (.*?);", told)[1], place)
    done = framecast("inspect", "--var", "t", "--", file.name, cwd=place)
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("framecast train"))
    assert "--data ./-x.nc" in line
    (place / run / "data.json").unlink()
    told = framecast("report", "./-run", cwd=place, code=3).stderr
    run_line(re.search("; (framecast resume .*) makes it again", told)[1], place)
    assert (place / run / "data.json").exists()
    told = framecast("resume", "./nothing", cwd=place, code=2).stderr
    assert "framecast train RECIPE --out nothing" in told


def test_after_a_conversion_that_finds_all_by_the_weights(place: Path) -> None:
    path = checkpoint(place, "official/predrnn_v2/ln0/rss")
    done = framecast("convert", path, "--out", place / "old [1]", cwd=place)
    assert "predrnn_v2" in (place / "old [1]" / "model.json").read_text()
    np.save(place / "FILE", np.random.default_rng(0).random((1, 10, 1, 16, 16), np.float32))
    (line,) = printed_next(done.stdout)
    run_line(line.replace("FILE", "FILE.npy --dims ntchw"), place)
    assert np.load(place / "FUTURE.npy").shape[1] == 10
    told = framecast("convert", path, "--model", "mim", "--out", place / "m", cwd=place, code=4).stderr
    assert "by its names it is a predrnn_v2" in told
    assert len(told.strip().splitlines()) == 1
