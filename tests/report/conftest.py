"""Runs to be looked at: on moving digits, and one on real radar."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fixtures.tiny import tiny, trained

from framecast.data import DataConfig
from framecast.models import PredRNN
from framecast.recipe.recipe import TrainConfig

DATA = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Two networks, one of them with two seeds, on the same digits."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "conv": trained(tiny(), folder / "conv"),
        "conv-1": trained(tiny(1), folder / "conv-1"),
        "pred": trained(tiny(model=PredRNN), folder / "pred"),
    }


@pytest.fixture(scope="session")
def radar(tmp_path_factory) -> Path:
    data = DataConfig(source=str(DATA / "fmi_140.npz"))
    train = TrainConfig(steps=2, batch_size=1)
    recipe = tiny(patch=14, context=10, horizon=10, data=data, train=train, sampling={"kind": "free"})
    return trained(recipe, tmp_path_factory.mktemp("radar") / "fmi <1>")
