"""Shapes of tensors, and the values that all packages exchange: FrameSpec, Grid, Area, Window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer, model_validator
from torch import Tensor

from framecast.errors import make_printable

FloatArray = NDArray[np.floating[Any]]
"""Numbers of any shape, in single or double precision."""
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

MAX_COUNT = 2**31 - 1
Count = Annotated[int, Field(ge=1, le=MAX_COUNT)]
"""Whole number from 1 on; bounded, as it may come from a stranger."""
Patch = Annotated[int, Field(ge=1, le=2**12)]
"""Side of a patch, pixels; all pixels of a patch become channels."""
FLOAT32_MAX = float(np.finfo(np.float32).max)
"""Largest value that frames can hold; those beyond it become infinite in the arithmetic of networks."""
Finite = Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX, allow_inf_nan=False)]
"""Value that a pixel can have."""
ForeignText = Annotated[str, AfterValidator(make_printable)]
"""Text of a file, which may hold anything: what cannot be printed is escaped, and what is long is shortened."""


def _check_range(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"value range: got low {low:g}, high {high:g}, expected low < high")


class Channel(BaseModel):
    """Input channel that is no target; it is scaled by its own range, from [low, high] to [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ForeignText
    """Name in the file, or its number there."""
    low: Finite
    """Lower end of the range, in the channel's units."""
    high: Finite
    """Upper end of the range, in the channel's units; above `low`."""
    calendar: bool = False
    """Whether the values are computed from the times of the frames (hour, day of the year)."""

    @model_validator(mode="after")
    def _check(self) -> Channel:
        _check_range(self.low, self.high)
        return self


class FrameSpec(BaseModel):
    """Contract between data and model, which every saved model carries: channels, size, units, value range, step.

    The channels of data are the targets, then `past`, then `covariates`.

    Example:
        >>> import framecast
        >>> spec = framecast.FrameSpec(channels=2, height=140, width=140, units="mm/h", high=50.0, step_minutes=5.0)
        >>> spec.targets
        2
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    channels: Count
    """Channels that the network forecasts: the targets, then those of `past`."""
    height: Count
    width: Count
    units: ForeignText = "1"
    low: Finite = 0.0
    """Lower end of the value range, in `units`: scores are computed on values scaled from [low, high] to [0, 1]."""
    high: Finite = 1.0
    """Upper end of the value range, in `units`; above `low`."""
    ranges: tuple[tuple[Finite, Finite], ...] = ()
    """Value range of each target, where they have different units; empty where all share [low, high]."""
    step_minutes: Annotated[float, Field(gt=0)] | None = None
    """Minutes between frames, where known; where they lie calendar months apart, the commonest distance."""
    step_months: Count | None = None
    """Calendar months between frames, where they lie whole months apart; None where a step is a fixed time."""
    names: tuple[ForeignText, ...] = ()
    """Names of the targets, where channels were chosen."""
    past: tuple[Channel, ...] = ()
    """Channels that are known in the past only and are no targets: the network forecasts them for its own use."""
    covariates: tuple[Channel, ...] = ()
    """Channels that are known of the future too: given to the network, never forecast."""

    @model_validator(mode="after")
    def _check(self) -> FrameSpec:
        for low, high in ((self.low, self.high), *self.ranges):
            _check_range(low, high)
        if self.targets < 1:
            raise ValueError(f"past: got {len(self.past)} of {self.channels} channels, expected at least one target")
        for name, given in (("ranges", self.ranges), ("names", self.names)):
            if given and len(given) != self.targets:
                raise ValueError(f"{name}: got {len(given)}, expected one for each target, {self.targets}")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_months(self, serialize: Any) -> dict[str, Any]:
        """Leave out months where a step is none, as in what was written before there were any."""
        fields: dict[str, Any] = serialize(self)
        if self.step_months is None:
            fields.pop("step_months", None)
        return fields

    @property
    def targets(self) -> int:
        """Number of target channels, the first ones: those that are scored and written."""
        return self.channels - len(self.past)

    @property
    def target_ranges(self) -> tuple[tuple[float, float], ...]:
        """Value range (low, high) of each target, raw units: its own where units differ, else the common one."""
        return self.ranges or ((self.low, self.high),) * self.targets

    @property
    def lows(self) -> tuple[float, ...]:
        """Lower end of the range of each channel of a window: targets, past, covariates; raw units."""
        others = (channel.low for channel in (*self.past, *self.covariates))
        return (*(low for low, _ in self.target_ranges), *others)


class Grid(BaseModel):
    """Coordinates of the pixels, reference system, and names of the channels, from the reader of a file to the writer.

    Unlike FrameSpec it belongs to data, never to a model, which serves other regions too. Empty where the file says
    nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    variables: tuple[ForeignText, ...] = ()
    """Name of each channel in the file (a variable, a quantity, a band)."""
    units: tuple[ForeignText, ...] = ()
    """Units of each channel, as the file spells them."""
    standard_names: tuple[ForeignText, ...] = ()
    """CF standard name of each channel; empty text where there is none."""
    long_names: tuple[ForeignText, ...] = ()
    """CF long name of each channel; empty text where there is none."""
    cell_methods: tuple[ForeignText, ...] = ()
    """CF cell methods of each channel, how values in the interval up to a time are combined; empty text for instants."""
    interval: tuple[ForeignText, Literal["start", "middle", "end"]] | None = None
    """Length of the intervals of which values are a sum, mean and so on, as in 6h, 1mon, and where in its interval the
    time of a frame lies; None for instants, and for intervals that are unlike each other."""
    y: tuple[float, ...] = ()
    """Centre of each row, in `axis_units`, in the order of the rows."""
    x: tuple[float, ...] = ()
    """Centre of each column, in `axis_units`."""
    y_name: ForeignText = "y"
    x_name: ForeignText = "x"
    axis_units: ForeignText = "1"
    """m, km or degrees."""
    crs: str | None = None
    """Coordinate reference system, as WKT or a PROJ text."""
    mapping: dict[str, Any] = {}
    """Attributes of the CF grid mapping, where the file has one."""
    calendar: ForeignText = "standard"
    """CF calendar of the times."""
    time_origin: ForeignText | None = None
    """Date from which times are counted in a calendar that numpy lacks, YYYY-MM-DD hh:mm:ss; None where numpy has it."""
    missing: ForeignText = "no pixel is marked as missing"
    """Description of what was taken as missing."""

    def of(self, channels: Sequence[int]) -> Grid:
        """Select channels by number, in this order; an attribute that does not cover all of them becomes empty."""
        attributes = {
            name: getattr(self, name) for name in ("variables", "units", "standard_names", "long_names", "cell_methods")
        }
        return self.model_copy(
            update={
                name: tuple(values[c] for c in channels) if max(channels, default=0) < len(values) else ()
                for name, values in attributes.items()
            }
        )

    def coarse(self, factor: int) -> Grid:
        """Merge blocks of factor x factor pixels; rows and columns that fill no block, below and right, are cut."""
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
    """Rectangle of a frame, pixels: rows top..top + height - 1, columns left..left + width - 1."""

    top: int
    left: int
    height: int
    width: int

    @property
    def rows(self) -> slice:
        """Rows, as an index of a frame."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Columns, as an index of a frame."""
        return slice(self.left, self.left + self.width)

    def times(self, factor: int) -> Area:
        """Express the area in pixels that are `factor` times smaller."""
        return Area(*(factor * number for number in self))


class Window(NamedTuple):
    """Consecutive frames of a data set, the input of training and of forecasts."""

    frames: NDArray[np.float32]
    """(T, C, H, W), raw units; missing pixels hold NaN. C counts the covariates too."""
    valid: NDArray[np.bool_] | None
    """(T, C, H, W), True where observed; None where nothing is missing."""
    times: NDArray[Any] | None = None
    """(T,), datetime64[ms], UTC, time of each frame; None where unknown."""
    motion: NDArray[np.float32] | None = None
    """(J, 2, H, W), motion at each frame of the context, pixels per frame in x and y, where a base needs it."""
    pace: int = 1
    """Number of frames of the source from one frame to the next."""

    @property
    def time(self) -> np.datetime64 | None:
        """Time of the first frame, where known."""
        return None if self.times is None else self.times[0]
