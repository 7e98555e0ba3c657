"""Tables, JSON and pictures of scores; rain rates seen as reflectivity."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from framecast.data import DataConfig, MovingMNISTConfig, open_data
from framecast.errors import UsageError
from framecast.evaluation.evaluate import evaluate
from framecast.evaluation.prepare import DEFAULT_OPTIONS, EvaluationOptions, evaluate_run
from framecast.evaluation.reflectivity import DBZPredictor, dataset_in_dbz, to_dbz
from framecast.evaluation.scoreboard import Scoreboard
from framecast.forecasting.baselines import Mean
from framecast.forecasting.predictor import PastFrames, TensorPredictor
from framecast.formatting import format_count, format_number
from framecast.metrics import Scores, select_metrics, summarise
from framecast.plotting.chart import Chart, ChartLine
from framecast.plotting.scores import Spectra, draw_charts, draw_spectra
from framecast.types import FrameSpec

DATA = Path(__file__).parents[1] / "fixtures"
BESIDE = ("persistence", "mean", "extrapolation")


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> tuple[Scoreboard, Path]:
    """The radar tiles of the tests, all that is scored of grids."""
    out = tmp_path_factory.mktemp("scoreboard") / "fmi"
    question = DEFAULT_OPTIONS._replace(split="val", baselines=BESIDE)
    return evaluate_run("persistence", {"source": str(DATA / "fmi_140.npz")}, question, out=out, quiet=True)


@pytest.mark.usefixtures("undrawn")
def test_windows_of_an_event_are_drawn_together(tmp_path: Path) -> None:
    """Windows of few sequences are drawn one by one, with a warning; of many, or if asked for, by sequence."""
    frames = np.random.default_rng(0).random((10, 9, 8, 8)).astype(np.float32)
    for count, block, blocks, told in (
        (10, "auto", 10, "10 events"),
        (3, "auto", 12, "12 single sequences"),
        (3, "event", 3, "3 events"),
        (3, 6, 2, "2 blocks of 6 sequences"),
    ):
        np.savez(tmp_path / f"{count}.npz", frames=frames[:count], dims="nthw", units="mm/h", step_minutes=5)
        source = {"source": str(tmp_path / f"{count}.npz")}
        question = DEFAULT_OPTIONS._replace(split="all", context=1, horizon=2, baselines=(), block=block)
        board, _ = evaluate_run("persistence", source, question, out=tmp_path / f"{count}-{block}", quiet=True)
        found = board.as_dict()["interval"]
        assert found["blocks"] == blocks
        assert told in board.about_intervals()
        assert [metric.name for metric in board.metrics if "@" in metric.name][:1] == ["csi@0.1"], "usual for mm/h"


def printed(board: Scoreboard, width: int, *, by_lead: bool = False) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    board.print(console, by_lead=by_lead)
    console.file.close()
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_means_come_first_and_fit_the_page(scored: tuple[Scoreboard, Path], width: int) -> None:
    text = printed(scored[0], width)
    assert max(map(len, text.splitlines()[6:])) <= width
    assert text.count("extrapolation over persistence") >= 1
    assert "persistence over extrapolation" not in text
    for word in (
        "2 sequences of split val",
        "392 k observed pixels",
        "2 seq",
        "all begin at the same time",
        "..",
        "→1",
    ):
        assert word in " ".join(text.split()), word
    for name in [metric.name for metric in scored[0].metrics]:
        assert name in text
    assert "+10" not in text
    table = text.splitlines()
    assert len([line for line in table if line.startswith("extrapolation ")]) < 25


def test_tables_by_lead_time_are_asked_for(scored: tuple[Scoreboard, Path]) -> None:
    text = printed(scored[0], 140, by_lead=True)
    assert text.count("+10") == len(scored[0].metrics)
    assert "csi@15 (higher is better)" in text
    assert "bias@15 (closer to 1 is better)" in text
    assert "rmse_raw (dBZ, lower is better)" in text


def test_json_has_samples_intervals_skill_and_spectra(scored: tuple[Scoreboard, Path]) -> None:
    board, folder = scored
    said = json.loads((folder / "scores.json").read_text())
    assert said["interval"] == {"level": 0.95, "blocks": 2, "block": 1}
    csi = said["scores"]["extrapolation"]["csi@25"]
    low, high = csi["mean_interval"]
    assert low <= csi["mean"] <= high
    assert len(csi["by_lead_interval"]) == len(csi["sequences"]) == len(csi["pixels"]) == 10
    assert set(csi["counts"]) == {"hits", "misses", "false_alarms", "correct_negatives"}
    assert csi["skill"]["persistence"]["mean"] > 0.02
    assert set(said["scores"]["mean"]["mse"]["skill"]) == {"persistence", "extrapolation"}
    spectra = said["spectra"]["rapsd"]
    assert set(spectra["power"]) == {"truth", *BESIDE}
    assert np.shape(spectra["power"]["truth"]) == (10, len(spectra["wavelengths"])) == (10, 70)
    assert said["scores"]["mean"]["rapsd"]["mean"] > said["scores"]["persistence"]["rapsd"]["mean"]
    assert board.as_dict()["scale"] == "Unit range: the 70 dBZ from 0 to 70"


def test_pictures_are_drawn(scored: tuple[Scoreboard, Path]) -> None:
    for name in ("scores.png", "spectra.png", "strip.png"):
        with Image.open(scored[1] / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 10


def test_charts_take_gaps_and_few_panels(tmp_path: Path) -> None:
    line = ChartLine("a", [5.0, 10.0], [1.0, math.nan], [0.5, math.nan], [1.5, math.nan])
    charts = [Chart(name, "minutes", "", [line, line._replace(name="b", style=1)], level=1.0) for name in ("x", "y")]
    draw_charts(tmp_path / "few.png", charts[:1])
    draw_charts(tmp_path / "two.png", charts, "a note")
    blank = Spectra("now", [3.0, 1.0, 0.0], {"blank": [0.0, 0.0, 0.0]})
    draw_spectra(tmp_path / "spectra.png", [8.0, 4.0, 2.0], [blank], "range²")
    assert all(path.stat().st_size > 3000 for path in tmp_path.iterdir())


def test_one_sequence_has_no_interval(tmp_path: Path) -> None:
    question = EvaluationOptions("val", ("mse", "csi"), limit=1, in_dbz=True)
    fields = {"source": str(DATA / "knmi_140.npz")}
    board, folder = evaluate_run("mean", fields, question, out=tmp_path / "one", quiet=True)
    assert "No intervals" in printed(board, 140)
    mean = json.loads((folder / "scores.json").read_text())["scores"]["mean"]
    assert mean["csi@15"]["mean_interval"] == [None, None]
    assert mean["csi@15"]["mean"] > 0
    assert not (folder / "spectra.png").exists()


def test_processes_change_no_bit_of_scores_and_intervals() -> None:
    config = DataConfig(moving_mnist=MovingMNISTConfig(size=32, test=7))
    dataset = open_data(config, context=2, horizon=3, seed=0)
    chosen = select_metrics(["mse", "csi", "rapsd"], spec=dataset.spec, thresholds=[100.0])

    def scored(rank: int, world_size: int, limit: int) -> Scores:
        return evaluate(
            Mean(dataset.spec), dataset, "test", chosen, context=2, horizon=3, batch_size=2,
            limit=limit, rank=rank, world_size=world_size, keep=True,
        )  # fmt: skip

    for limit in (7, 5):
        alone, first, second = scored(0, 1, limit), scored(0, 2, limit), scored(1, 2, limit)
        first.reduce(lambda rows, other=second: rows + other.rows)
        assert first.samples == alone.samples == limit
        assert torch.equal(first.rows, alone.rows)
        ours, theirs = (summarise({"mean": one}, ())["mean"] for one in (first, alone))
        assert {key: value.score for key, value in ours.items()} == {key: value.score for key, value in theirs.items()}


def test_rain_rates_become_reflectivity() -> None:
    config = DataConfig(source=str(DATA / "knmi_140.npz"))
    rates = open_data(config, context=10, horizon=10, seed=0)
    dbz = dataset_in_dbz(rates)
    raw, seen = rates.window("val", 0, 0), dbz.window("val", 0, 0)
    assert (dbz.spec.units, dbz.spec.low, dbz.spec.high) == ("dBZ", 0.0, 70.0)
    expected = np.where(raw.frames > 0, 10 * np.log10(200 * np.maximum(raw.frames, 1e-9) ** 1.6), 0).clip(0, 70)
    np.testing.assert_allclose(seen.frames[raw.valid], expected[raw.valid], atol=1e-4)
    assert np.isnan(seen.frames[~raw.valid]).all()
    assert any("200 R^1.6" in note for note in dbz.notes)
    assert dataset_in_dbz(dbz) is dbz
    with pytest.raises(UsageError, match="in_dbz: got data in grey level"):
        dataset_in_dbz(open_data(DataConfig(), context=2, horizon=2, seed=0))


class Doubled(TensorPredictor):
    def predict(self, frames, horizon, valid=None, covariates=None):
        assert float(frames.max()) > 20  # mm/h of 46 dBZ
        return (2 * frames[:, -1:]).expand(-1, horizon, -1, -1, -1)


def test_a_model_of_rates_is_given_rates() -> None:
    dbz = torch.tensor([0.0, 20.0, 46.0]).view(1, 1, 1, 1, 3)
    spec = FrameSpec(channels=1, height=1, width=3, units="dBZ", low=0, high=70)
    seen = torch.tensor([True, False, True]).view(1, 1, 1, 1, 3)
    twice = DBZPredictor(Doubled()).forecast(PastFrames(dbz, spec), 2)
    assert (twice.frames.shape, twice.spec.units) == ((1, 1, 2, 1, 1, 3), "dBZ")
    assert DBZPredictor(Doubled()).forecast(PastFrames(dbz, spec, seen), 2).frames[..., 1].isnan().all()
    gain = 16 * math.log10(2)
    assert twice.frames[0, 0, 1].flatten().tolist() == pytest.approx([0, 20 + gain, 46 + gain], abs=1e-3)
    assert float(to_dbz(torch.tensor(0.0))) == 0


def test_numbers_are_short() -> None:
    assert [format_number(value) for value in (math.nan, 0.0071771, 0.0, 159.66, 12345.6)] == [
        "-",
        "0.00718",
        "0",
        "160",
        "12346",
    ]
    assert [format_count(value) for value in (7, 950, 12345, 4060000, 3e9)] == ["7", "950", "12.3 k", "4.06 M", "3 G"]
