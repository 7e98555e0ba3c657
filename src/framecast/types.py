"""The shapes that everything speaks in, and the values that travel along the line of the data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Hidden = Float[Tensor, "B N H W"]
"""N feature maps of one frame."""
Frame = Float[Tensor, "B C H W"]
"""One frame of each sequence of a batch."""
Frames = Float[Tensor, "B T C H W"]
"""T frames of each sequence of a batch."""
Valid = Bool[Tensor, "B T C H W"]
"""True where a pixel was observed, False where it is missing."""
Known = Bool[Tensor, "B S"]
"""True where step s of a rollout is fed the true frame, False where it is fed the network's own last output."""


class FrameSpec(BaseModel):
    """What a frame is: the contract between data and model, which every saved model carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(ge=1)
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    units: str = "1"
    low: float = 0.0
    """Lower end of the value range, in `units`. Scores are computed on values scaled from [low, high] to [0, 1]."""
    high: float = 1.0
    """Upper end of the value range, in `units`."""
    step_minutes: float | None = None
    """Minutes between frames, where known."""


class Grid(BaseModel):
    """Where pixels lie and what channels are: what a reader found beside the values, so that a writer can carry it over.

    Unlike FrameSpec it belongs to data, never to a model: a model serves other places too. Empty where a file is silent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variables: tuple[str, ...] = ()
    """Name of each channel, as the file has it (a variable, a quantity, a band)."""
    units: tuple[str, ...] = ()
    """Units of each channel, as the file spells them."""
    standard_names: tuple[str, ...] = ()
    """CF standard name of each channel; empty text where there is none."""
    y: tuple[float, ...] = ()
    """Centre of each row, in `axis_units`, in the order of the rows."""
    x: tuple[float, ...] = ()
    """Centre of each column, in `axis_units`."""
    y_name: str = "y"
    x_name: str = "x"
    axis_units: str = "1"
    """m, km or degrees."""
    crs: str | None = None
    """Coordinate reference system, as WKT or a PROJ text."""
    mapping: dict[str, Any] = {}
    """Attributes of the CF grid mapping, where the file has one."""
    calendar: str = "standard"
    """CF calendar of the times."""
    missing: str = "no pixel is marked as missing"
    """What was taken as missing, in words."""

    def coarse(self, factor: int) -> Grid:
        """The same with blocks of factor x factor pixels as one; what is left over at the lower and right edge is cut."""
        if factor == 1:
            return self
        blocks = [
            tuple(sum(axis[at : at + factor]) / factor for at in range(0, len(axis) - factor + 1, factor))
            for axis in (self.y, self.x)
        ]
        return self.model_copy(update={"y": blocks[0], "x": blocks[1]})


class Area(NamedTuple):
    """Rows top..top + height - 1 and columns left..left + width - 1 of a frame, pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left, self.left + self.width)

    def times(self, factor: int) -> Area:
        """The same area in pixels that are `factor` times smaller."""
        return Area(*(factor * number for number in self))


class Window(NamedTuple):
    """Consecutive frames in raw units: where `data` ends and a forecast begins."""

    frames: NDArray[np.float32]
    """(T, C, H, W), raw units; missing pixels hold NaN."""
    valid: NDArray[np.bool_] | None
    """(T, C, H, W), True where observed; None where nothing is missing."""
    time: np.datetime64 | None = None
    """Time of the first frame, where known."""
