"""A model goes to a hub and comes back: equal forecasts, a card, no path of this machine; against a stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tests.export.hub_server import serve_hub

import framecast
from framecast.export.card import make_card
from framecast.models import ConvLSTM
from framecast.recipe.recipe import Recipe
from framecast.transforms.normalize import Range

pytest.importorskip("huggingface_hub")

LOAD = """
import sys, numpy as np, framecast

model = framecast.load("hf://me/small")
np.save(sys.argv[1], model.predict(np.load(sys.argv[2]), 3))
"""


def make_run(folder: Path) -> Path:
    """A folder as a run leaves it: model, recipe with the path of its data, record of the data, one evaluation."""
    spec = framecast.FrameSpec(channels=1, height=8, width=8, units="mm/h", high=50.0, step_minutes=5.0)
    torch.manual_seed(0)
    config = ConvLSTM(hidden=(4,), kernel_size=3)
    forecaster = framecast.Forecaster(config, spec, Range(low=0, high=50), patch=2, context=3)
    framecast.save_forecaster(folder / "model", forecaster, {"step": 7, "validation": {"mse": 0.25}})
    recipe = Recipe(model=config, patch=2, context=3, horizon=3, data={"source": str(folder / "secret" / "radar.nc")})
    (folder / "recipe.yaml").write_text(recipe.yaml())
    (folder / "data.json").write_text(json.dumps({"fingerprint": "f00d", "windows": {"train": 9, "val": 2}}))
    scores = {name: {"mse": {"mean": value}} for name, value in (("small", 0.123456), ("persistence", 0.25))}
    evaluation = {"split": "val", "sequences": 2, "context": 3, "horizon": 3, "verdict": "Better.", "scores": scores}
    (folder / "evaluations" / "val").mkdir(parents=True)
    (folder / "evaluations" / "val" / "scores.json").write_text(json.dumps(evaluation))
    return folder


def test_a_card_says_what_the_run_recorded(tmp_path: Path) -> None:
    card = make_card(make_run(tmp_path / "run"), repository="me/small", licence="cc-by-4.0")
    head, body = card.removeprefix("---\n").split("---\n", 1)
    assert yaml.safe_load(head)["license"] == "cc-by-4.0"
    for words in (
        "| small | 0.1235 |",
        "| persistence | 0.25 |",
        "Better.",
        "`radar.nc`",
        "f00d",
        "hf://me/small",
        "mm/h",
    ):
        assert words in body
    assert str(tmp_path) not in card
    assert "secret" not in card


def test_cards_of_trained_models_are_their_own() -> None:
    from framecast.trained import find_model

    card = make_card(Path(find_model("rain")), repository="me/rain")
    assert "license: apache-2.0" in card
    assert "Finnish Meteorological Institute" in card


def test_a_model_goes_to_the_hub_and_comes_back(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    frames = np.random.default_rng(0).uniform(0, 50, (4, 8, 12)).astype(np.float32)
    np.save(tmp_path / "frames.npy", frames)
    with serve_hub() as (address, repositories):
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": "hf_test",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "PYTHONWARNINGS": "ignore",
        }

        def call(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, *map(str, words)]
            return subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=300)

        pushed = call("-m", "framecast", "push", run, "me/small", "--json")
        assert pushed.returncode == 0, pushed.stderr
        assert json.loads(pushed.stdout)["name"] == "me/small"
        files = repositories["me/small"]
        assert {"README.md", "model.json", "recipe.yaml"} < set(files)
        assert not [name for name, content in files.items() if str(tmp_path).encode() in content]
        assert [name.endswith((".md", ".json", ".yaml", ".safetensors")) for name in files if name != ".gitattributes"]
        loaded = call("-c", LOAD, tmp_path / "out.npy", tmp_path / "frames.npy")
        assert loaded.returncode == 0, loaded.stderr
        absent = call(
            "-m", "framecast", "predict", "hf://me/absent", tmp_path / "frames.npy", "--out", tmp_path / "f.npy"
        )
        assert absent.returncode == 2
        assert "hf://me/absent: got no model" in absent.stderr
        refused = call("-m", "framecast", "push", run, "me/other", HF_TOKEN="hf_wrong")
        assert refused.returncode == 2
        assert "hf auth login" in refused.stderr
    expected = framecast.load(run).predict(frames, 3)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    again = subprocess.run(  # without the hub: what was fetched is kept
        [sys.executable, "-c", LOAD, str(tmp_path / "again.npy"), str(tmp_path / "frames.npy")],
        env=environment | {"HF_HUB_OFFLINE": "1"},
        timeout=300,
        check=True,
    )
    assert again.returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), expected)
