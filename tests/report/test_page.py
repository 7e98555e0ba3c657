"""The page of a run: whole, self-contained, what it says is what was measured."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.commands import framecast
from tests.fixtures.outline import Outline
from tests.fixtures.tiny import tiny, trained

from framecast.data import MOVING_MNIST
from framecast.errors import CheckpointError, UsageError
from framecast.evaluation.prepare import EvaluationOptions, prepare_suite
from framecast.forecasting.model_folder import load
from framecast.plotting.frames import to_colours
from framecast.plotting.view import PlotView
from framecast.recipe.recipe import Recipe
from framecast.recipe.scheduled_sampling import sampling_end
from framecast.report import write_report
from framecast.report.colour_bars import encode_image
from framecast.report.frames import (
    BYTES,
    ChosenSequences,
    ShownSequence,
    choose_sequences,
    make_frames_section,
    score_by_sequence,
)
from framecast.report.studies import LIMIT
from framecast.runs.record import read_record
from framecast.types import FrameSpec


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory) -> str:
    study = runs["conv"] / "study"
    study.mkdir()
    Image.new("RGB", (8, 8), "red").save(study / "saturation.png")
    return write_report(runs["conv"], quiet=True, device="cpu").page.read_text()


def test_page_is_whole_and_loads_nothing(page: str) -> None:
    outline = Outline(page)
    assert all(source.startswith("data:image/png;base64,") for source in outline.loaded)
    assert len(outline.loaded) > 10
    assert all(link.startswith("#") and link[1:] in outline.ids for link in outline.links if link != "data:,")
    assert outline.unnamed == []
    assert not re.search(r"https?://|@import|url\(", page)
    assert len(page) < 10_000_000


def test_page_says_what_was_run_and_measured(page: str, runs) -> None:
    record = read_record(runs["conv"])
    for word in (
        "convlstm (hidden [4], kernel_size 3)",
        "6 of 6 iterations of 2 sequences",
        record.data["fingerprint"],
        record.data["split"],
        record.model["sha256"][:16],
        f"{record.cost().parameters:,}",
        "end of scheduled sampling",
        "Validation ssim",
        "best (sequence",
        "4 sequences of split test",
        "saturation",
        "torch 2.",
    ):
        assert word in page, word
    match = prepare_suite(str(runs["conv"]), {}, EvaluationOptions(limit=4), device="cpu")
    sse = match.score(quiet=True).summaries["convlstm"]["sse"].score.mean
    assert f">{sse:.3g}<" in page.replace("<strong>", "").replace("</strong>", "")


def test_names_are_escaped(radar: Path) -> None:
    text = write_report(radar, quiet=True, device="cpu").page.read_text()
    assert "<title>fmi &lt;1&gt;</title>" in text
    Outline(text)
    for word in (
        "csi@15",
        "lead time, minutes",
        'data-step="5.0" data-unit="minutes"',
        "value, dBZ",
        "other scores: rmse_raw, rapsd, pod, far, hss, bias, fss",
    ):
        assert word in text
    assert "No validation was made" not in text


def test_own_page_is_made_anew_and_nothing_else(runs, tmp_path: Path) -> None:
    question = EvaluationOptions(limit=1, baselines=[])
    path = write_report(runs["pred"], out=tmp_path / "page.html", options=question, quiet=True, device="cpu").page
    before = path.stat().st_ino
    assert write_report(runs["pred"], out=path, options=question, quiet=True, device="cpu").page.stat().st_ino != before
    for name in ("mine.html", "folder"):
        there = tmp_path / name
        there.mkdir() if name == "folder" else there.write_text("<p>mine")
        with pytest.raises(UsageError, match="something that framecast did not write"):
            write_report(runs["pred"], out=there, quiet=True)
    assert (tmp_path / "mine.html").read_text() == "<p>mine"


def test_frames_at_full_size(runs, tmp_path: Path) -> None:
    out = tmp_path / "frames"
    write_report(runs["conv"], out=tmp_path / "a.html", pictures=out, quiet=True, device="cpu")
    names = {path.name for path in (out / "1").iterdir()}
    assert names == {*(f"gt{n}.png" for n in range(1, 8)), *(f"pd{n}.png" for n in range(4, 8))}
    match = prepare_suite(str(runs["conv"]), {}, device="cpu")
    window, forecast = match.window("convlstm", 0)
    frames, prediction = window.frames, forecast.values[0, 0]
    for name, frame in (("gt1", frames[0]), ("gt7", frames[6]), ("pd4", prediction[0]), ("pd7", prediction[3])):
        with Image.open(out / "1" / f"{name}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), to_colours(frame, match.dataset.spec))
    with pytest.raises(UsageError, match="exists"):
        write_report(runs["conv"], out=tmp_path / "b.html", pictures=out, quiet=True, device="cpu")
    assert not (tmp_path / "b.html").exists()


def test_without_data_or_model_the_page_says_why(runs, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("recipe.yaml", "data.json", "events.jsonl", "timing.jsonl"):
        (run / name).write_bytes((runs["conv"] / name).read_bytes())
    text = write_report(run, quiet=True, device="cpu").page.read_text()
    assert "no model in it" in text
    assert "none yet" in text
    assert "Training loss" in text
    with pytest.raises(CheckpointError, match="no model in it"):
        write_report(run, pictures=tmp_path / "frames", quiet=True, device="cpu")
    with pytest.raises(UsageError, match="did you mean persistence"):
        write_report(
            runs["conv"], out=tmp_path / "p.html", options=EvaluationOptions(baselines=["persistance"]), device="cpu"
        )


def test_samples_are_the_best_the_median_and_the_worst(runs) -> None:
    match = prepare_suite(str(runs["conv"]), {}, EvaluationOptions(baselines=()), device="cpu")
    board = match.score(quiet=True)
    errors = []
    for index in range(5):
        window, forecast = match.window("convlstm", index)
        prediction = forecast.values[0, 0]
        errors.append((np.clip(prediction / 255, 0, 1) - window.frames[3:] / 255).__pow__(2).sum((1, 2, 3)).mean())
    np.testing.assert_allclose(score_by_sequence(board.scores["convlstm"]), errors, rtol=1e-5)
    order = np.argsort(errors)
    shown = choose_sequences(match, board, ["convlstm"], count=4).sequences
    assert [one.number - 1 for one in shown[:3]] == [order[0], order[2], order[-1]]
    assert [one.title.split(" (")[0] for one in shown[:3]] == ["best", "median", "worst"]
    assert len({one.number for one in shown}) == 4


@pytest.mark.parametrize("colours", [3, 256, 2000])
def test_films_keep_every_colour(colours: int) -> None:
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    pixels = palette[rng.integers(0, colours, (40, 70))]
    uri = encode_image(Image.fromarray(pixels))
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as picture:
        assert picture.mode == ("P" if colours <= 256 else "RGB")
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), pixels)


@pytest.mark.parametrize(
    ("sampling", "end"),
    [
        ({"kind": "scheduled", "stop": 37}, 37),
        ({"kind": "scheduled", "curve": "exponential", "stop": 37}, 37),
        ({"kind": "reverse", "step_1": 10, "step_2": 60}, 60),
        ({"kind": "free"}, None),
        ({"kind": "forced"}, None),
        ({"kind": "scheduled", "stop": 200}, None),
    ],
)
def test_end_of_scheduled_sampling(sampling, end) -> None:
    recipe = Recipe.model_validate({"sampling": sampling, "train": {"steps": 100}})
    assert sampling_end(recipe.sampling, recipe.train.steps) == end


def test_time_counts_every_iteration(runs) -> None:
    record = read_record(runs["conv"])
    lines = [json.loads(line) for line in (runs["conv"] / "timing.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", *["timing"] * 6]
    assert record.seconds == pytest.approx(sum(line["seconds_per_step"] for line in lines[1:]))
    assert record.recipe.data.source == MOVING_MNIST


def test_under_a_limit_the_windows_that_were_scored_are_shown(runs) -> None:
    match = prepare_suite(str(runs["conv"]), {}, EvaluationOptions(limit=2, metrics=["sse"]), device="cpu")
    board = match.score(quiet=True)
    assert board.windows == [0, 2]  # of five, spread evenly
    shown = choose_sequences(match, board, ["convlstm"]).sequences
    assert sorted(one.number for one in shown) == [1, 3]
    for one in shown:
        errors = (np.clip(one.forecasts["convlstm"] / 255, 0, 1) - one.frames[3:] / 255) ** 2
        row = board.windows.index(one.number - 1)
        assert score_by_sequence(board.scores["convlstm"])[row] == pytest.approx(errors.sum((1, 2, 3)).mean(), rel=1e-5)


def test_a_page_stays_below_10_mb() -> None:
    assert BYTES + LIMIT * 4 / 3 < 9e6


def test_small_frames_of_long_films_are_said_to_be_thinned() -> None:
    spec = FrameSpec(channels=1, height=64, width=64)
    many = np.zeros((400, 1, 64, 64), dtype=np.float32)
    sequence = ShownSequence(1, "sequence 1", many, {"forecast": many[200:]})
    section = make_frames_section(ChosenSequences([sequence], PlotView(spec, False, "")), 200, "In order.")
    assert "one of 64 x 64 pixels" in section.blocks[1].text


def test_what_a_short_training_did_is_known(tmp_path: Path) -> None:
    train = {"steps": 7, "batch_size": 2, "log_every": 5}
    record = read_record(trained(tiny(train=train, validate={"every": 7, "sequences": 1}), tmp_path / "run"))
    assert [event["step"] for event in record.training] == [5, 7]
    assert [event["iterations"] for event in record.timing] == [5, 2]
    assert record.iterations == 7
    assert record._replace(training=[], validations=[]).iterations == 7  # the model is of that iteration


def test_cost_counts_what_goes_in_beside_the_frames(tmp_path: Path) -> None:
    run = trained(tiny(train={"steps": 1, "batch_size": 1}, mask_channel=True), tmp_path / "run")
    assert read_record(run).cost().parameters == sum(p.numel() for p in load(run).network.parameters())


@pytest.mark.parametrize("as_json", [False, True])
def test_what_keeps_a_page_from_scores_is_said_in_the_terminal(runs, tmp_path: Path, as_json: bool) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["conv"], run)
    weights = next((run / "model").glob("weights-*"))
    weights.write_bytes(weights.read_bytes()[:-1])
    done = framecast("report", run, "--device", "cpu", *(["--json"] if as_json else []), code=4)
    assert done.stderr.startswith(f"error: {weights}: got another sha256")
    assert framecast("evaluate", run, "--device", "cpu", code=4).stderr == done.stderr
    assert "another sha256" in (run / "report.html").read_text()
    assert str(run / "report.html") in (json.loads(done.stdout)["page"] if as_json else done.stdout)
