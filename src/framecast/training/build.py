"""Forecaster of a recipe with fresh weights, its optimiser, and data that bring what its base needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from framecast.data import DataSet
from framecast.errors import UsageError
from framecast.forecasting import base_fit
from framecast.forecasting.forecaster import Forecaster
from framecast.recipe.recipe import Recipe
from framecast.recipe.train_config import TrainConfig
from framecast.training.muon import Muon, divide_kernels
from framecast.training.objective import Objective, trainable


def new_forecaster(recipe: Recipe, dataset: DataSet) -> Forecaster:
    """Make a Forecaster with fresh weights for a recipe and its data."""
    return Forecaster(
        recipe.model,
        dataset.spec,
        dataset.normalizer(recipe.normalize),
        recipe.patch,
        fill=recipe.fill,
        mask_channel=recipe.mask_channel,
        context=recipe.context,
        spin_up=recipe.spin_up,
        base=recipe.base,
        head=recipe.head,
    )


def freeze(network: nn.Module, names: Sequence[str]) -> None:
    """Keep parameters from training, by their names or the beginnings of these.

    Raises:
        UsageError: a name that no parameter has, or nothing is left to train.
    """
    parameters = dict(network.named_parameters())
    for name in names:
        chosen = [key for key in parameters if key == name or key.startswith(f"{name}.")]
        if not chosen:
            raise UsageError.unknown("train.freeze", name, parameters)
        for key in chosen:
            parameters[key].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise UsageError("train.freeze", got="all parameters", expected="some left to train")


def add_motion(dataset: DataSet, forecaster: Forecaster, recipe: Recipe) -> DataSet:
    """Let windows bring the motion of whole frames, where the base needs it.

    Raises:
        UsageError: a training backward in time, whose motion would be that of frames to come.
    """
    tracks = forecaster.base is not None and forecaster.base.base.tracks
    if tracks and recipe.train.time_reversal != "off":
        expected = "off, with a base that tracks motion"
        raise UsageError("train.time_reversal", got=recipe.train.time_reversal, expected=expected)
    return base_fit.add_motion(dataset, forecaster, forecaster.spin_up)


def make_optimizer(config: TrainConfig, objective: Objective, device: torch.device) -> torch.optim.Optimizer:
    """Make the optimiser of a training: Adam, or Muon for the kernels outside the heads."""
    adam = {"lr": config.lr, "betas": config.betas, "eps": config.eps}
    if config.muon is None:
        fused = config.dtype != "fp16" and device.type in ("cpu", "cuda")
        return torch.optim.Adam(trainable(objective), **adam, fused=fused)  # type: ignore[arg-type]
    network = objective.forecaster.network
    kernels, others = divide_kernels(
        objective, (getattr(network, "head", None), network.base_head, network.regularizer)
    )
    return Muon(kernels, others, rate=config.muon.lr, momentum=config.muon.momentum, **adam)  # type: ignore[arg-type]
