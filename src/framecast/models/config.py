"""Base configuration of networks: frozen fields, and the building of a network from them."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from framecast.errors import UsageError
from framecast.nn.network import SequenceNetwork

Width = Annotated[int, Field(ge=1, le=2**16)]
"""Channels of one layer."""
MAX_LAYERS = 100
"""Layers of a network, at most: a configuration may come from a stranger."""
Hiddens = Annotated[tuple[Width, ...], Field(min_length=1, max_length=MAX_LAYERS)]
"""Hidden channels of each layer, bottom up."""


class ModelConfig(BaseModel):
    """Frozen configuration of a network.

    Its field `name` is the registry's key. Channels and size depend on the data, and are arguments of `build`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def fixed_size(self) -> bool:
        """Whether the network has parameters in the shape of the map, and so takes one frame size only."""
        return getattr(self, "layer_norm", None) == "chw"

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Range of the predictions, network units: (0, 1) after a sigmoid, (-1, 1) after a tanh; None for any value.

        Data are normalised to this range; a normalizer without a value range is refused.
        """
        return None

    @property
    def feeds_back(self) -> bool:
        """Whether the predicted frame, or in training the true one, enters next; if not, sampling must be free."""
        return True

    @abstractmethod
    def build(self, channels: int, height: int, width: int, extra: int = 0) -> SequenceNetwork:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            channels: channels of a (patchified) frame, which go in and come out.
            height: rows of a (patchified) frame, padded to the next multiple of the network's stride.
            width: columns of a (patchified) frame, padded to the next multiple of the stride.
            extra: further channels that go in and do not come out (covariates, a mask).
        """


def build_network(config: ModelConfig, channels: int, height: int, width: int, extra: int) -> SequenceNetwork:
    """Build the network of a configuration, which may come from outside framecast.

    Args:
        config: configuration of the network.
        channels: channels of a (patchified) frame, which go in and come out.
        height: rows of a (patchified) frame.
        width: columns of a (patchified) frame.
        extra: further channels that go in and do not come out.

    Raises:
        UsageError: extra channels for a network that takes none.
    """
    if not extra:
        return config.build(channels, height, width)
    if "extra" not in inspect.signature(config.build).parameters:
        what, fix = f"model {type(config).__name__}", "give its build() an argument extra, see docs/design.md"
        raise UsageError(what, got="covariates or a mask", expected="a network that takes some", fix=fix)
    return config.build(channels, height, width, extra)


class ConvConfig(ModelConfig):
    """Configuration with the fields of convolutional networks: hidden channels, kernel size."""

    hidden: Hiddens = (64, 64, 64, 64)
    kernel_size: Annotated[int, Field(ge=1, le=999)] = 5

    @field_validator("kernel_size")
    @classmethod
    def _check_odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"got {value}, expected an odd number: an even kernel shifts the map")
        return value


def equal(hidden: tuple[int, ...]) -> tuple[int, ...]:
    """Return `hidden` if all layers are equally wide, which a shared memory needs.

    Raises:
        ValueError: they are not.
    """
    if len(set(hidden)) > 1:
        raise ValueError(
            f"got {hidden}, expected equal numbers: the memory passes through all layers unchanged in width"
        )
    return hidden
