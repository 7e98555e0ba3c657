"""The shapes that everything speaks in, and the values that travel along the line of the data."""

from __future__ import annotations

from collections.abc import Sequence
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


class Channel(BaseModel):
    """A channel beside the targets, which has a scale of its own: its range becomes [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """As the file has it, or its number there."""
    low: float
    high: float
    """Ends of its range, in its own units; low < high."""
    calendar: bool = False
    """Whether it is computed from the times."""


class FrameSpec(BaseModel):
    """What a frame is: the contract between data and model, which every saved model carries.

    The channels of data are the targets, then `past`, then `covariates`.

    Example:
        >>> import framecast
        >>> spec = framecast.FrameSpec(channels=2, height=140, width=140, units="mm/h", high=50.0, step_minutes=5.0)
        >>> spec.targets
        2
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(ge=1)
    """How many are forecast: the targets, then those of `past`."""
    height: int = Field(ge=1)
    width: int = Field(ge=1)
    units: str = "1"
    low: float = 0.0
    """Lower end of the value range, in `units`. Scores are computed on values scaled from [low, high] to [0, 1]."""
    high: float = 1.0
    """Upper end of the value range, in `units`."""
    ranges: tuple[tuple[float, float], ...] = ()
    """Value range of each target, where they have different units; empty where all share the one above."""
    step_minutes: float | None = None
    """Minutes between frames, where known."""
    names: tuple[str, ...] = ()
    """Of the targets, where channels were chosen."""
    past: tuple[Channel, ...] = ()
    """Channels that are known in the past only and are no targets: the network forecasts them for its own use."""
    covariates: tuple[Channel, ...] = ()
    """Channels that are known of the future too: given to the network, never forecast."""

    @property
    def targets(self) -> int:
        """How many channels are scored and written: the first ones."""
        return self.channels - len(self.past)


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
    long_names: tuple[str, ...] = ()
    """What each channel is, in words, where the file says it; empty text where it does not."""
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
    time_origin: str | None = None
    """Where numpy's times and those of a calendar that numpy does not have agree: YYYY-MM-DD hh:mm:ss in both."""
    missing: str = "no pixel is marked as missing"
    """What was taken as missing, in words."""

    def of(self, channels: Sequence[int]) -> Grid:
        """The same with these channels only, by their numbers, in this order; what is not said of each is left out."""
        said = {name: getattr(self, name) for name in ("variables", "units", "standard_names", "long_names")}
        return self.model_copy(
            update={
                name: tuple(of_each[c] for c in channels) if max(channels, default=0) < len(of_each) else ()
                for name, of_each in said.items()
            }
        )

    def coarse(self, factor: int) -> Grid:
        """The same with blocks of factor x factor pixels as one; what is left over at the lower and right edge is cut."""
        if factor == 1:
            return self
        blocks = [
            tuple(sum(axis[at : at + factor]) / factor for at in range(0, len(axis) - factor + 1, factor))
            for axis in (self.y, self.x)
        ]
        return self.model_copy(update={"y": blocks[0], "x": blocks[1]})

    @property
    def is_south_up(self) -> bool:
        """Whether the first row is the southernmost one; false where rows have no coordinates."""
        return len(self.y) > 1 and self.y[0] < self.y[-1]


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
    """(T, C, H, W), raw units; missing pixels hold NaN. C counts the covariates too."""
    valid: NDArray[np.bool_] | None
    """(T, C, H, W), True where observed; None where nothing is missing."""
    time: np.datetime64 | None = None
    """Time of the first frame, where known."""

    def times(self, step_minutes: float | None) -> NDArray[Any] | None:
        """(T,), time of each frame, milliseconds, UTC; None where unknown."""
        if self.time is None or step_minutes is None:
            return None
        return _after(self.time, np.arange(len(self.frames)), step_minutes)


def _after(start: np.datetime64 | NDArray[Any], steps: NDArray[np.integer[Any]], minutes: float) -> NDArray[Any]:
    """Times so many steps after another, milliseconds."""
    return start.astype("datetime64[ms]") + np.rint(steps * minutes * 60_000).astype("timedelta64[ms]")
