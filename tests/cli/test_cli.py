"""The command line as a stranger meets it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures.commands import framecast

from framecast.cli import main
from framecast.data import DataConfig, FileSource

DATA = Path(__file__).parents[1] / "fixtures"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
TINY = [
    *("--set", "model.hidden=[4]", "--set", "model.kernel_size=3", "--set", "context=3", "--set", "horizon=4"),
    *("--set", "train.batch_size=2", "--set", "validate.every=4", "--set", "validate.sequences=2", "--set", "patch=8"),
]


def process(*words: object) -> subprocess.CompletedProcess:
    """The same as a process of its own."""
    said = [sys.executable, "-m", "framecast", *map(str, words)]
    return subprocess.run(said, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A tiny run on moving digits."""
    out = tmp_path_factory.mktemp("cli") / "run"
    words = ["--set", "data.moving_mnist={size: 32, digits: 1, test: 4}", "--steps", 4, "--device", "cpu", "--out", out]
    done = framecast("train", "convlstm", *TINY, *words)
    assert "training 4/4" in done.stderr
    assert "validation sse" in done.stderr
    assert "framecast evaluate" in done.stdout
    assert f"open {out / 'report.html'}" in done.stdout
    assert "Scores by lead time" in (out / "report.html").read_text()
    return out


@pytest.fixture(scope="module")
def radar(tmp_path_factory) -> Path:
    """A tiny run on real radar, with missing pixels."""
    out = tmp_path_factory.mktemp("cli") / "radar"
    words = ["--data", DATA / "fmi_140.npz", "--set", "patch=14", "--steps", 3, "--device", "cpu", "--out", out]
    framecast("train", "convlstm", *TINY, "--set", "context=10", "--set", "horizon=10", *words)
    return out


def test_help_is_quick_and_whole() -> None:
    text = process("--help").stdout
    commands = (
        "demo",
        "models",
        "train",
        "resume",
        "evaluate",
        "report",
        "compare",
        "race",
        "predict",
        "convert",
        "bench",
    )
    for word in (*commands, "data", "Exit codes"):
        assert word in text
    for command in (*commands, ["data", "moving-mnist"]):
        shown = framecast(*([command] if isinstance(command, str) else command), "--help").stdout
        assert "--help" in shown
    assert re.fullmatch(r"framecast \d+\.\d+\.\d+\n", framecast("--version").stdout)
    wrong = process("models", "predrn")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: ")


def test_help_and_import_load_nothing_heavy() -> None:
    code = (
        "import contextlib, io, sys, framecast, framecast.cli\n"
        "sys.argv = ['framecast', '--help']\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    framecast.cli.main()\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'xarray', 'lightning', 'lightning_fabric', 'sklearn', 'zarr'}\n"
        "heavy |= {'scipy', 'pysteps', 'cv2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, framecast as f; f.load; f.Recipe; f.open_data\nprint('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_models() -> None:
    listed = framecast("models").stdout
    for name in ("lstm", "convlstm", "memory_flow", "predrnn", "predrnn_v2", "predrnn_pp", "mim"):
        assert name in listed
    page = framecast("models", "predrnn", "--set", "hidden=[128,128,128,128]").stdout
    for word in ("Wco*c'", "NIPS 2017", "forget_bias: 1.0", "23,838,720", "116.0 G"):
        assert word in page
    cost = json.loads(framecast("models", "mim", "--json").stdout)["cost"]
    assert cost["parameters"] == 9_550_928
    assert "did you mean predrnn" in framecast("models", "predrn", code=2).stderr


@pytest.mark.parametrize("suffix", ["npy", "npz", "zarr"])
def test_frozen_digits_have_a_hash(tmp_path: Path, suffix: str) -> None:
    words = ("data", "moving-mnist", "--count", 3, "--length", 5, "--seed", 1, "--out")
    digest = json.loads(framecast(*words, tmp_path / f"digits.{suffix}", "--json").stdout)["sha256"]
    assert digest == json.loads(framecast(*words, tmp_path / "again.npz", "--json").stdout)["sha256"]
    assert "exists" in framecast(*words, tmp_path / f"digits.{suffix}", code=2).stderr


def test_a_picture_that_appears_meanwhile_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tmp_path / "mine.png"

    def slow(path: Path, *_: object) -> None:
        path.write_bytes(b"ours")
        wanted.write_bytes(b"theirs")

    monkeypatch.setattr("framecast.plotting.frames.draw_survey", slow)
    done = framecast("inspect", DATA / "knmi_140.npz", "--picture", wanted, code=2)
    assert "a path that exists" in done.stderr
    assert wanted.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [wanted]


def test_evaluate_stands_beside_the_baselines(run: Path) -> None:
    done = framecast("evaluate", run, "--quiet", "--metrics", "openstl,csi", "--thresholds", "127.5")
    names = "convlstm", "persistence", "mean", "blank", "sse_unclipped", "ssim_range2", "csi@127.5"
    for word in (*names, "4 sequences of split test", "mean over persistence"):
        assert word in done.stdout
    folder = run / "evaluations" / "test-1"
    scores = json.loads((folder / "scores.json").read_text())
    assert len(scores["scores"]["convlstm"]["psnr"]["by_lead"]) == 4
    assert scores["scores"]["persistence"]["fmae"]["better"] == "less"
    assert {path.name for path in folder.iterdir()} == {"scores.json", "scores.png", "strip.png", "forecast.gif"}
    framecast("evaluate", run, "--quiet", "--split", "val", "--limit", 2)
    framecast("evaluate", run, "--quiet", "--limit", 2)
    assert (run / "evaluations" / "test-2").is_dir()


def test_report_compare_and_race(run: Path, tmp_path: Path) -> None:
    words = ("report", run, "--limit", 2, "--quiet", "--pictures", tmp_path / "frames", "--baselines", "none", "--json")
    said = json.loads(framecast(*words).stdout)
    assert said["bytes"] == (run / "report.html").stat().st_size
    assert (tmp_path / "frames" / "1" / "pd4.png").is_file()
    digits = ("--set", "data.moving_mnist={size: 32, digits: 1, test: 4}")
    raced = ("race", "--models", "convlstm,predrnn", "--budget", "3steps", *TINY, *digits, "--device", "cpu")
    done = framecast(*raced, "--out", tmp_path / "race")
    for word in ("Same budget: 3 iterations of ", "Less convlstm-seed0", f"open {tmp_path / 'race' / 'compare.html'}"):
        assert word in done.stdout
    found = json.loads(
        framecast("compare", run, tmp_path / "race" / "predrnn-seed0", "--out", tmp_path / "c", "--json").stdout
    )
    assert found["budget"].startswith("Budgets differ")
    assert list(found["differences"]) == ["predrnn-seed0"]
    framecast("compare", run, tmp_path / "race" / "predrnn-seed0", "--out", tmp_path / "c", code=2)


@pytest.mark.usefixtures("undrawn")
def test_other_data_are_scored_whole(run: Path, tmp_path: Path) -> None:
    framecast("data", "moving-mnist", "--count", 5, "--length", 11, "--size", "32", "--out", tmp_path / "digits.npz")
    scores = json.loads(
        framecast("evaluate", run, "--data", tmp_path / "digits.npz", "--json", "--metrics", "sse, mae").stdout
    )
    assert (scores["split"], scores["sequences"]) == ("all", 10)  # 3 in, 4 out of 11: windows at 0 and 4
    assert (run / "evaluations" / "all-1").is_dir()


def test_predict_any_horizon_and_size(run: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 2, 45, 37), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    for wrong in (("--strip", "y.gif"), ("--sequence", 2)):
        framecast("predict", run, tmp_path / "x.npy", "--dims", "tnhw", "--out", tmp_path / "y.npy", *wrong, code=2)
        assert not (tmp_path / "y.npy").exists()
    for suffix in ("npy", "npz", "zarr"):
        out = tmp_path / f"future.{suffix}"
        pictures = ("--out", tmp_path / f"{suffix}.gif", "--strip", tmp_path / f"{suffix}.png")
        done = framecast("predict", run, tmp_path / "x.npy", "--dims", "tnhw", "--horizon", 9, "--out", out, *pictures)
        assert ("sequence 2, lead_time 9" if suffix == "zarr" else "axes tnhw, shape 9x2x45x37") in done.stdout
        assert all(picture.stat().st_size > 500 for picture in pictures[1::2])
    assert np.load(tmp_path / "future.npy").shape == (9, 2, 45, 37)
    back = FileSource(DataConfig(source=str(tmp_path / "future.npz")))
    assert (back.dims, back.spec.units, list(back.lengths)) == ("tnhw", "grey level", [9, 9])
    np.testing.assert_array_equal(back.read(1, 0, 9).frames[:, 0], np.load(tmp_path / "future.npy")[:, 1])


@pytest.mark.usefixtures("undrawn")
def test_radar_is_masked_from_the_file_to_the_score(radar: Path, tmp_path: Path) -> None:
    done = framecast("evaluate", radar, "--metrics", "mse,csi")
    assert "hold the code 255" in done.stdout
    assert "csi@15" in done.stdout
    out = tmp_path / "future.npz"
    framecast(
        "predict", radar, DATA / "fmi_140.npz", "--horizon", 3, "--out", out, "--strip", tmp_path / "s.png", "--quiet"
    )
    future, source = np.load(out), FileSource(DataConfig(source=str(DATA / "fmi_140.npz")))
    assert future["frames"].shape == (len(source.lengths), 3, 140, 140)
    assert str(future["units"]) == "dBZ"
    unseen = [~source.read(n, 10, 20).valid.any(0)[0] for n in range(len(source.lengths))]
    assert any(mask.any() for mask in unseen)
    for n, mask in enumerate(unseen):
        np.testing.assert_array_equal(np.isnan(future["frames"][n]).any(0), mask)
    step = np.timedelta64(5, "m")
    begins = np.load(DATA / "fmi_140.npz")["start_time"]
    np.testing.assert_array_equal(future["start_time"], begins + 20 * step)


@pytest.mark.usefixtures("undrawn")
def test_persistence_on_real_radar_scores_what_was_measured(tmp_path: Path) -> None:
    """The four tiles of the cut; the full 21 give 0.60 and 11.2e-3."""
    said = framecast(
        *("evaluate", "persistence", "--data", DATA / "fmi_140.npz", "--split", "val", "--metrics", "mse,csi"),
        *("--json", "--out", tmp_path / "scores"),
    )
    scores = json.loads(said.stdout)["scores"]["persistence"]
    x = np.load(DATA / "fmi_140.npz")
    tiles = x["frames"][x["split"] == "val"]
    ok = tiles != 255
    dbz = np.where(ok, tiles * 0.5 - 32, 0)
    scaled = np.clip(dbz, 0, 70) / 70
    error = np.where(ok[:, 10:], (scaled[:, 9:10] - scaled[:, 10:]) ** 2, 0)
    by_lead = error.sum((0, 2, 3)) / ok[:, 10:].sum((0, 2, 3))
    assert scores["mse"]["by_lead"] == pytest.approx(by_lead.tolist(), rel=1e-6)
    yes, seen = scaled[:, 9:10] >= 15 / 70, scaled[:, 10:] >= 15 / 70
    hit = (yes & seen & ok[:, 10:]).sum((0, 2, 3))
    miss, false = (~yes & seen & ok[:, 10:]).sum((0, 2, 3)), (yes & ~seen & ok[:, 10:]).sum((0, 2, 3))
    assert scores["csi@15"]["by_lead"] == pytest.approx((hit / (hit + miss + false)).tolist(), rel=1e-9)


@pytest.mark.usefixtures("undrawn")
def test_the_rows_are_chosen(run: Path, tmp_path: Path) -> None:
    words = ("evaluate", run, "--metrics", "mse", "--limit", 2, "--json")
    for baseline, rows in (("none", []), ("mean, extrapolation", ["mean", "extrapolation"])):
        scores = json.loads(framecast(*words, "--baselines", baseline).stdout)["scores"]
        assert list(scores) == ["convlstm", *rows]
    assert "did you mean persistence?" in framecast(*words, "--baselines", "persistance", code=2).stderr
    for wrong in (("--scales", "4.5"), ("--in-dbz",)):
        framecast(*words, *wrong, code=2)


def test_convert(tmp_path: Path) -> None:
    from framecast.models import PredRNN

    network = PredRNN(hidden=(4, 4)).build(4, 8, 8)
    names = {"cells": "cell_list", "fusion": "conv_last"}
    weights = {}
    for key, value in network.state_dict().items():
        parts = [names.get(part, part) for part in key.split(".")]
        if parts[0] == "cell_list" and parts[2] != "conv_last":
            parts.insert(3, "0")
        weights["conv_last.weight" if key == "head.weight" else ".".join(parts)] = value
    torch.save({"net_param": weights}, tmp_path / "old.ckpt")
    words = ("convert", tmp_path / "old.ckpt", "--source", "predrnn-pytorch", "--model", "predrnn", "--patch", 2)
    assert "hidden=(4, 4)" in framecast(*words, "--out", tmp_path / "new", "--range", "0,255").stdout
    np.save(tmp_path / "x.npy", np.zeros((1, 5, 16, 16), np.uint8))
    framecast("predict", tmp_path / "new", tmp_path / "x.npy", "--dims", "nthw", "--out", tmp_path / "y.npy", "--quiet")
    assert np.load(tmp_path / "y.npy").shape == (1, 10, 16, 16)
    assert "exists" in framecast(*words, "--out", tmp_path / "new", code=2).stderr


WRONG = {
    "no such recipe": (["train", "nothing.yaml"], 2, "no such file"),
    "unknown key": (["train", "predrnn", "--set", "train.lr_shedule=1"], 2, "did you mean lr_schedule"),
    "unknown section": (["train", "predrnn", "--set", "trian.lr=1"], 2, "did you mean --lr"),
    "wrong value": (["train", "predrnn", "--set", "train.lr=fast"], 2, "--lr"),
    "wrong set": (["train", "predrnn", "--set", "steps"], 2, "key.key=value"),
    "even kernel": (["train", "predrnn", "--set", "model.kernel_size=4"], 2, "odd"),
    "unequal widths": (["train", "predrnn", "--set", "model.hidden=[4,8]"], 2, "equal numbers"),
    "unknown model option": (["train", "predrnn", "--set", "model.hiden=[4]"], 2, "did you mean hidden"),
    "decoupling without memory": (["train", "convlstm", *TINY, "--set", "loss.decoupling=0.1"], 2, "predrnn_v2"),
    "no order": (
        ["train", "convlstm", *TINY, "--set", "validate.metric=bias", "--set", "validate.thresholds=[99]"],
        2,
        "a score of which less, or more, is better",
    ),
    "unknown metric": (["train", "convlstm", *TINY, "--set", "validate.metric=mes"], 2, "did you mean"),
    "no file": (["train", "predrnn", "--data", "absent.npy"], 3, "no such file"),
    "unreadable file": (["train", "predrnn", "--data", "noise.npy"], 3, "noise.npy"),
    "ambiguous axes": (["train", "predrnn", "--data", "four.npy"], 3, "dims"),
    "too few frames": (["train", "predrnn", "--data", "short.npy", "--dims", "nthw"], 3, "frames"),
    "constant values": (["train", "predrnn", "--data", "constant.npy", "--dims", "nthw"], 3, "differ"),
    "wrong device": (["train", "convlstm", *TINY, "--device", "tpu"], 2, "device"),
    "no run": (["resume", "absent"], 2, "recipe.yaml"),
    "no model": (["predict", "absent", "four.npy", "--out", "y.npy"], 4, "no such folder"),
    "unwritable": (["train", "convlstm", *TINY, "--out", "/proc/run"], 2, "/proc"),
    "out exists": (["predict", "absent", "four.npy", "--out", "four.npy"], 2, "exists"),
    "wrong suffix": (["predict", "absent", "four.npy", "--out", "y.mp3"], 2, "suffix"),
    "no folder": (["predict", "absent", "four.npy", "--out", "new/y.nc"], 2, "make it first"),
    "twice": (["predict", "absent", "four.npy", "--out", "y.nc", "--out", "y.nc"], 2, "twice"),
    "wrong range": (["evaluate", "blank", "--data", "four.npy", "--dims", "nthw", "--range", "7"], 2, "LOW,HIGH"),
    "no data": (["evaluate", "blank"], 2, "--data"),
    "no run to report": (["report", "absent"], 2, "recipe.yaml"),
    "no budget": (["race", "--models", "mim,predrnn", "--budget", "soon"], 2, "10min"),
    "one racer": (["race", "--models", "mim"], 2, "two or more"),
    "unknown racer": (["race", "--models", "mim,predrn"], 2, "did you mean predrnn"),
    "scales of nan": (["evaluate", "blank", "--data", "four.npy", "--scales", "4,nan"], 2, "whole numbers"),
    "endless scales": (["evaluate", "blank", "--data", "four.npy", "--scales", "inf"], 2, "whole numbers"),
    "no checkpoint": (
        ["convert", "a.pt", "--source", "openstl", "--model", "mim", "--patch", 4, "--out", "m"],
        4,
        "no such file",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_gives_one_clear_line(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    words, code, message = WRONG[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["framecast", *map(str, words)])
    (tmp_path / "noise.npy").write_bytes(b"\x93NUMPY nothing of the sort")
    np.save(tmp_path / "four.npy", np.random.default_rng(0).random((2, 25, 8, 8)))
    np.save(tmp_path / "short.npy", np.random.default_rng(0).random((2, 5, 8, 8)))
    np.save(tmp_path / "constant.npy", np.ones((2, 25, 8, 8)))
    with pytest.raises(SystemExit) as stopped:
        main()
    errors = capsys.readouterr().err
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert stopped.value.code == code, errors
    assert len(lines) == 1, errors
    assert message in lines[0]


def test_model_and_data_must_agree(run: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, 9, 32, 32))
    np.save(tmp_path / "floats.npy", values)
    np.save(tmp_path / "colours.npy", (255 * np.random.default_rng(0).random((2, 9, 3, 32, 32))).astype(np.uint8))
    wrong_scale = framecast(
        "predict", run, tmp_path / "floats.npy", "--dims", "nthw", "--out", tmp_path / "y.npy", code=3
    )
    assert "the model's scale, 0 to 255" in wrong_scale.stderr
    wrong_channels = framecast(
        "predict", run, tmp_path / "colours.npy", "--dims", "ntchw", "--out", tmp_path / "y.npy", code=3
    )
    assert "got 3 channels, expected 1" in wrong_channels.stderr


def test_nan_in_the_data_is_missing_and_said(run: Path, tmp_path: Path) -> None:
    values = 255 * np.random.default_rng(0).random((1, 9, 32, 32))
    values[0, :, :4] = np.nan
    np.save(tmp_path / "holes.npy", values)
    out = tmp_path / "y.npy"
    done = framecast("predict", run, tmp_path / "holes.npy", "--dims", "nthw", "--out", out, "--horizon", 2)
    assert "NaN" in done.stdout
    future = np.load(out)
    assert np.isnan(future[0, :, :4]).all()
    assert np.isfinite(future[0, :, 4:]).all()


OWN = """
from typing import Literal
from framecast.models import ConvConfig
from framecast.models.convlstm import ConvLSTMCell
from framecast.nn import Network, pixel_head

class Mine(ConvConfig):
    name: Literal["mine"] = "mine"

    def build(self, channels, height, width):
        return Network([ConvLSTMCell(channels, self.hidden[0], 3)], pixel_head(self.hidden[0], channels))
"""


@pytest.mark.usefixtures("undrawn")
def test_a_network_of_ones_own_by_its_import_path(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8))

    def ours(*words: object, code: int = 0) -> str:
        done = framecast(*words, code=code, cwd=tmp_path)
        sys.modules.pop("own", None)  # as in a process of its own
        return done.stdout + done.stderr

    ours("train", "own:Mine", *TINY, "--data", "x.npy", "--dims", "thw", "--steps", 2, "--out", "run", "--quiet")
    ours("resume", "run", "--class", "own:Mine", "--quiet")
    assert "if you trust it" in ours("resume", "run", "--quiet", code=2)
    assert "--class package.module:Class" in ours("evaluate", "run", "--quiet", code=4)
    assert "mine" in ours("evaluate", "run", "--class", "own:Mine", "--quiet")
    ours("report", "run", "--class", "own:Mine", "--quiet")
    raced = ("--budget", "1steps", "--data", "x.npy", "--dims", "thw", "--out", "race", "--quiet")
    assert "Mine-seed0" in ours("race", "--models", "own:Mine,convlstm", *TINY, *raced)
    (tmp_path / "mine.yaml").write_text("model: {name: 'own:Mine'}\n")
    again = ("--budget", "1steps", "--data", "x.npy", "--dims", "thw", "--out", "race-2", "--quiet")
    raced = ("race", "--models", "mine.yaml,convlstm", *TINY, *again)
    assert "say --class own:Mine" in ours(*raced, code=2)  # only the file names it
    assert "mine-seed0" in ours(*raced, "--class", "own:Mine")
    runs = ("race/Mine-seed0", "race/convlstm-seed0", "--quiet")
    assert "if you trust it" in ours("compare", *runs, code=2)
    ours("compare", *runs, "--class", "own:Mine")
    ours("predict", "run", "x.npy", "--dims", "thw", "--class", "own:Mine", "--out", "y.npy", "--quiet")
    assert np.load(tmp_path / "y.npy").shape == (4, 16, 16)  # as trained
