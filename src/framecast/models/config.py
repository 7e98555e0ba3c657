"""Base configuration of networks: frozen fields, and the building of a network from them."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from framecast.errors import UsageError
from framecast.nn.network import SequenceNetwork

Width = Annotated[int, Field(ge=1, le=2**16)]
"""Channels of one layer."""
MAX_LAYERS = 100
"""Layers of a network, at most: a configuration may come from a stranger."""
Family = Literal["gated cells", "memory flow", "attention", "physics", "direct"]
"""Kind of network: cells with one state of their own, with a memory that passes through all layers, with attention, with
a differential equation, and without recurrence."""
Hiddens = Annotated[tuple[Width, ...], Field(min_length=1, max_length=MAX_LAYERS)]
"""Hidden channels of each layer, bottom up."""

Options = Mapping[str, Any]
"""{option: value} of a network."""


class ModelConfig(BaseModel):
    """Frozen configuration of a network.

    Its field `name` is the registry's key. Channels and size depend on the data, and are arguments of `build`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    family: ClassVar[Family | None] = None
    """Family of a registered network."""
    year: ClassVar[int | None] = None
    """Year of the paper; None where there is none."""
    small: ClassVar[Options] = {}
    """Options of its small form, which learns something in minutes of a CPU."""

    @property
    def fixed_size(self) -> bool:
        """Whether the network has parameters in the shape of the map, and so takes one frame size only."""
        return getattr(self, "layer_norm", None) == "chw"

    @property
    def exports_one_size(self) -> bool:
        """Whether a step is another graph for another size of the frame, so that an export takes one size only."""
        return self.fixed_size

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

    @property
    def default_patch(self) -> int:
        """Edge of a patch, pixels, of recipes that name none; 1 for a network that makes the map smaller by itself."""
        return 4

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


def check_odd(value: int) -> int:
    """Return the edge of a kernel if it is odd.

    Raises:
        ValueError: it is even.
    """
    if value % 2 == 0:
        raise ValueError(f"got {value}, expected an odd number: an even kernel shifts the map")
    return value


class ConvConfig(ModelConfig):
    """Configuration with the fields of convolutional networks: hidden channels, kernel size."""

    small: ClassVar[Options] = {"hidden": (32, 32), "kernel_size": 3}
    hidden: Hiddens = (64, 64, 64, 64)
    kernel_size: Annotated[int, Field(ge=1, le=999)] = 5

    _odd = field_validator("kernel_size")(check_odd)


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
