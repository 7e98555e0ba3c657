"""Room for a training: what a recipe asks for, compared with the memory that is free before anything of it is made."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric

from framecast.data import DataSet
from framecast.data.windows.loader import check_batch_room
from framecast.errors import UsageError
from framecast.forecasting.weight_files import StoredTensor, list_weights
from framecast.formatting import format_bytes
from framecast.memory_usage import free_bytes
from framecast.models import MODELS
from framecast.recipe.recipe import Recipe
from framecast.training.build import new_forecaster

COPIES = 4
"""Numbers for each weight: itself, its gradient, and Adam's two moments."""


def check_room(recipe: Recipe, dataset: DataSet, fabric: Fabric) -> dict[str, StoredTensor] | None:
    """Check that the network and a batch of a recipe, which may come from a stranger, fit into the free memory.

    Returns:
        shapes and dtypes of the network's weights; None for a network outside framecast, which may need more than shapes
        to be built.

    Raises:
        UsageError: they cannot fit.
    """
    check_batch_room(dataset, recipe.train.batch_size // fabric.world_size)
    if MODELS.get(getattr(recipe.model, "name", "")) is not type(recipe.model):
        return None
    weights = list_weights(lambda: new_forecaster(recipe, dataset))
    sizes = (torch.Size(tensor.shape).numel() for tensor in weights.values())
    needed, free = COPIES * torch.float32.itemsize * sum(sizes), free_bytes(fabric.device)
    if needed > free:
        got, fix = f"{format_bytes(needed)} for its weights in training", "take fewer channels, or a smaller patch"
        raise UsageError("model", got=got, expected=f"at most the {format_bytes(free)} that are free", fix=fix)
    return weights
