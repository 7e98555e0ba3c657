"""What every network's configuration has in common."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from framecast.errors import UsageError
from framecast.nn.network import SequenceNetwork

Hiddens = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
"""Hidden channels of each layer, bottom up."""


class ModelConfig(BaseModel):
    """A frozen description that builds its network.

    Its field `name` is the registry's key. What the data decides (channels, size) comes with `build`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def fixed_size(self) -> bool:
        """Whether the network has parameters of the map's shape, and so fits one frame size only."""
        return getattr(self, "layer_norm", None) == "chw"

    @property
    def value_range(self) -> tuple[float, float] | None:
        """What the network can answer, network units: (0, 1) behind a sigmoid, (-1, 1) behind a tanh; None for any.

        The value range of the data is brought there, and a normalizer that has no such range is refused.
        """
        return None

    @property
    def feeds_back(self) -> bool:
        """Whether the network is fed its own frames, see `SequenceNetwork.feeds_back`; if not, sampling must be free."""
        return True

    @abstractmethod
    def build(self, channels: int, height: int, width: int, extra: int = 0) -> SequenceNetwork:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            channels: channels of a (patchified) frame, which go in and come out.
            height: rows of such a frame, which is padded to the next multiple of the network's stride.
            width: columns, as for the rows.
            extra: channels that go in beside them and do not come out (covariates, a mask).
        """


def build_network(config: ModelConfig, channels: int, height: int, width: int, extra: int) -> SequenceNetwork:
    """The network of a configuration, which may be of one's own; see `ModelConfig.build`.

    Raises:
        UsageError: channels beside the frame's for a network that takes none.
    """
    if not extra:
        return config.build(channels, height, width)
    if "extra" not in inspect.signature(config.build).parameters:
        what, fix = f"model {type(config).__name__}", "give its build() an argument extra, see docs/design.md"
        raise UsageError(what, got="covariates or a mask", expected="a network that takes some", fix=fix)
    return config.build(channels, height, width, extra)


class ConvConfig(ModelConfig):
    """Fields of the convolutional networks."""

    hidden: Hiddens = (64, 64, 64, 64)
    kernel_size: Annotated[int, Field(ge=1)] = 5

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
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
