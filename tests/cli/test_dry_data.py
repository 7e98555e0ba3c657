"""A dry day, whose values are all equal: forecast and scored by models and baselines; nothing is trained on it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.fixtures.commands import framecast

from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.model_folder import save_forecaster
from framecast.models import ConvLSTM
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("units", ["mm/h", "1"])
def test_dry_data(tmp_path: Path, units: str):
    torch.manual_seed(0)
    spec = FrameSpec(channels=1, height=16, width=16, units="mm/h", low=0, high=50)
    model = Forecaster(ConvLSTM(hidden=(2,), kernel_size=3), spec, Range(low=0, high=50), 4, context=4)
    save_forecaster(tmp_path / "model", model)
    np.savez(tmp_path / "dry.npz", frames=np.zeros((30, 16, 16), np.float32), units=units)
    for run in (tmp_path / "model", "persistence"):
        out = tmp_path / f"{Path(run).name}.npz"
        said = framecast("predict", run, tmp_path / "dry.npz", "--horizon", 3, "--out", out, cwd=tmp_path)
        assert "all values are 0" in said.stdout + said.stderr
        words = ["evaluate", run, "--data", tmp_path / "dry.npz", "--horizon", 3, "--json"]
        scores = json.loads(framecast(*words, cwd=tmp_path).stdout)
        assert "all values are 0" in " ".join(scores["notes"])
    refused = framecast("train", "convlstm", "--data", tmp_path / "dry.npz", "--out", tmp_path / "r", code=3)
    assert "the value 0 only" in refused.stderr
