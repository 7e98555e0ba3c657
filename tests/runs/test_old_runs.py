"""A run of version 0.1.0, half done: it opens, predicts, and is trained to the bits that it would have had then."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import framecast
from framecast.devices import Launch
from framecast.recipe.recipe import recipe_of_run
from framecast.runs.folder import read_events
from framecast.runs.record import read_record

OLD = Path(__file__).parents[1] / "fixtures" / "run_0_1_0"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def test_it_is_read_as_it_was_written() -> None:
    record = read_record(OLD)
    assert (record.iterations, record.recipe.model.hidden, record.recipe.seed) == (4, (4, 4), 0)
    forecaster = framecast.load(OLD)
    frames = np.full((1, 3, 1, 32, 32), 20, np.uint8)
    assert forecaster.predict(frames, 4).shape == (1, 4, 1, 32, 32)


def computes_as_then(folder: Path) -> bool:
    """Whether this machine gives the digits of the run's first steps, computed elsewhere: processors differ."""
    framecast.start(recipe_of_run(OLD), folder, Launch("cpu"), quiet=True)
    steps = [
        [(event["step"], event["loss"], event["gradient_norm"]) for event in read_events(run / "events.jsonl", "train")]
        for run in (OLD, folder)
    ]
    return steps[0] == steps[1][: len(steps[0])]


def test_it_resumes_to_the_same_end(tmp_path: Path) -> None:
    """Losses and weights in all digits where the machine computes as the one did that began it, else nearly."""
    run = tmp_path / "run"
    shutil.copytree(OLD, run)
    assert framecast.resume(run, Launch("cpu"), quiet=True).step == 8
    expected, got = ((path).read_text() for path in (OLD / "whole_events.jsonl", run / "events.jsonl"))
    about = json.loads((run / "model" / "model.json").read_text())
    if computes_as_then(tmp_path / "again"):
        assert got == expected
        then = json.loads((OLD / "whole_model.json").read_text())
        assert {key: about[key] for key in then} == then  # later versions say more
    losses = [[json.loads(line).get("loss", 0) for line in text.splitlines()] for text in (expected, got)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
