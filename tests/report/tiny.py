"""Tiny runs on moving digits."""

from __future__ import annotations

from pathlib import Path

from framecast.data import DataConfig, MovingMNISTConfig
from framecast.models import ConvLSTM
from framecast.place import Place
from framecast.recipe import Recipe, TrainConfig, ValidateConfig
from framecast.schedules import ScheduledSampling
from framecast.train import start


def tiny(seed: int = 0, model=ConvLSTM, **fields: object) -> Recipe:
    digits = MovingMNISTConfig(size=32, digits=1, validation=4, test=5)
    said: dict[str, object] = {
        "model": model(hidden=(4,), kernel_size=3),
        "patch": 8,
        "context": 3,
        "horizon": 4,
        "sampling": ScheduledSampling(stop=4),
        "train": TrainConfig(steps=6, batch_size=2, lr=1e-3, log_every=1),
        "validate": ValidateConfig(every=3, sequences=4),
        "data": DataConfig(moving_mnist=digits),
        "seed": seed,
    }
    return Recipe.model_validate({**said, **fields})


def trained(recipe: Recipe, path: Path) -> Path:
    start(recipe, path, Place("cpu"), quiet=True)
    return path
