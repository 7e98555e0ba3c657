"""Configuration of data: source, meaning of the values, splits, crops. All else is read from the files."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from framecast.data.durations import Gap
from framecast.errors import UsageError
from framecast.transforms.normalize import ZR
from framecast.types import MAX_COUNT, Count

MOVING_MNIST = "moving-mnist"
"""Name of the generated source."""
DIGIT_SIDE = 28
"""Rows and columns of an MNIST digit."""

NotNegative = Annotated[int, Field(ge=0, le=MAX_COUNT, strict=True)]
Sequences = Annotated[int, Field(ge=1, le=10**7)]
"""Generated sequences: an epoch draws an order of them."""
Bytes = Annotated[int, Field(ge=1, le=2**62)]
Side = Annotated[int, Field(ge=1, le=2**16)]
"""Side of a generated frame, pixels."""
Weight = Literal["uniform", "wet", "changing"]
"""Kind of areas that random crops prefer."""


def _check_order(frames: tuple[Any, Any]) -> tuple[Any, Any]:
    if isinstance(frames[0], datetime):
        frames = tuple(time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time for time in frames)
    if not frames[0] < frames[1]:
        raise ValueError(f"frames: got {frames[0]} to {frames[1]}, expected the first before the last")
    return frames


FrameRange = Annotated[tuple[NotNegative, NotNegative] | tuple[datetime, datetime], AfterValidator(_check_order)]


class MovingMNISTConfig(BaseModel):
    """Digits that move and bounce (Srivastava et al. 2015; Shi et al. 2015).

    Args:
        size: side of a square canvas, or (height, width), pixels; at least 28.
        digits: digits in each sequence, 1 to 3.
        speed: "fixed", a tenth of the free range per frame; "uniform", 3 to 5 pixels per frame on a 64 x 64 canvas and
            in proportion on others.
        digits_file: idx file of 28 x 28 images (MNIST, Fashion-MNIST), gzipped or not; null for 2,500 MNIST digits that
            come with framecast.
        length: training sequences of a nominal epoch; every epoch generates new ones.
        validation: sequences of the validation split.
        test: sequences of the test split.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Side | tuple[Side, Side] = 64
    digits: Annotated[int, Field(ge=1, le=3)] = 2
    speed: Literal["fixed", "uniform"] = "fixed"
    digits_file: str | None = None
    length: Sequences = 10_000
    validation: Sequences = 200
    test: Sequences = 1000

    @field_validator("size")
    @classmethod
    def _check_canvas(cls, value: int | tuple[int, int]) -> int | tuple[int, int]:
        if min((value,) if isinstance(value, int) else value) < DIGIT_SIDE:
            raise ValueError(f"canvas: got {value}, expected at least {DIGIT_SIDE} pixels, the size of a digit")
        return value

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


class FileConfig(BaseModel):
    """One file of several, with options for it alone.

    Args:
        path: file or folder that one source may be.
        frames: part of the file, replaces `frames` of DataConfig.
        split: split of all frames of the file: train, val or test; for each file or for none.
        variable: name of the array or variable inside, replaces `variable` of DataConfig.
        units: physical units, replace `units` of DataConfig.
        missing: value of a missing pixel, replaces `missing` of DataConfig.
        repeat: times that each training window of the file comes in an epoch, as for a short event beside a long one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, Field(min_length=1)]
    frames: FrameRange | None = None
    split: Literal["train", "val", "test"] | None = None
    variable: str | None = None
    units: str | None = None
    missing: float | None = None
    repeat: Count = 1


class DataConfig(BaseModel):
    """Where frames come from, what their values mean and how they are split.

    Args:
        source: "moving-mnist", or a path: a .npy, .npz, .zarr, NetCDF, HDF5, GRIB, PGM, video or GIF, or a folder of
            pictures, GeoTIFFs or such files; or several, each a path or a FileConfig.
        frames: only those from the first up to, not with, the second: numbers from 0 in the order of time (of
            independent sequences: in each), or times as in [2016-09-28T14:45, 2016-09-28T16:25], UTC; null for all.
        dims: the axes of a plain array in order, letters of n (sequences), t (time), c (channels), h (rows), w (columns).
        axes: what axes of CF grids are that nothing explains, by name: time, channels, rows or columns; or the one entry
            of an axis that is meant, by its value, as in {number: 3}.
        variable: name of the array, variable, quantity or field inside; of CF grids also several with commas between
            them, which become channels. Of GeoTIFFs numbers of bands, of files with several films the number of one.
        times: pattern of the times in the names of files, as in %Y%m%d%H%M; it goes before times in the files.
        colour: for pictures and videos: "auto" as they are, "grey" one channel, "rgb" three.
        shrink: average blocks of so many pixels in each direction; rows and columns left over at the end are cut.
        range: lowest and highest value, in the units that frames have once read (mm/h for a depth per 5 min); scores
            and most normalizers use it.
        missing: the value that stands for a missing pixel: in arrays and pictures as it is stored, before scale and
            offset; in formats that say how values are unpacked (CF, ODIM, KNMI, FMI, GeoTIFF, GRIB) as it is once
            unpacked, in addition to what the format calls missing.
        units: physical units of the targets; they go before those in the file.
        scale: "dBZ", rain rates are turned into reflectivity once read (what is in dBZ stays as it is); null for as is.
        z_r: relation of the two: a name in `framecast.transforms.normalize.Z_R`, or (a, b) of Z = a R^b.
        step_minutes: minutes between frames; they go before those in the file.
        split_by: "file", labels in the file or of files, else whole files; "sequence", whole sequences; "event", whole
            events, which are sequences less than `gap` apart; "time", consecutive blocks of each sequence; "auto",
            labels, else sequences where there are many, else time.
        gap: least distance between frames of different splits, frames or time as in 2h. Between sequences it holds where
            their times are known, or where they are pieces of one recording.
        fractions: parts of train, validation and test; a part of 0 leaves that split out. Labels override them.
        stride: frames between the starts of training windows in long sequences.
        every: training windows take each, every second, ... frame, as in [1, 2, 3]: a network with a base then learns
            other time steps than that of the data.
        crop: side, or (height, width), of the parts of frames that are trained and scored on, pixels; null for whole
            frames. Training cuts them at random, anew in each epoch; validation and test on a fixed grid.
        crops: crops of each window of whole frames in an epoch; null for as many as fit side by side.
        crop_weight: "uniform"; "wet", areas with many pixels above crop_threshold more often; "changing", areas that
            change much. See `framecast.data.windows.crops.weigh_crop`.
        crop_threshold: above which a pixel is wet, raw units; null for 15 dBZ, 0.3 mm/h, else the middle of the range.
        targets: names or numbers of the channels that are forecast, scored and written; null for all that are no
            covariates. Other channels are known in the past only: the network forecasts them too, as it needs them at
            later steps.
        covariates: names or numbers of the channels that are known of the future too (orography, a land mask, a
            numerical forecast): given to the network with the time that it predicts, never forecast.
        calendar: covariates that are computed from the times, UTC: "hour" of the day, "day" of the year (of the standard
            calendar only), each as sine and cosine.
        max_missing: a frame of which a larger share of the targets is missing counts as a gap, which no window crosses.
            Null for frames of which nothing is there, as far as all values are looked at when the data are opened
            (4 GiB of an array, 1.25 GiB of files); with a share all are, whatever it takes.
        augment: changes of training windows, drawn anew in each epoch: "flip" (up-down and left-right), "turn" (quarter
            turns, square frames or crops only).
        unpack_limit: the most bytes that are unpacked at once: a chunk, a member of an .npz, a frame; null for a quarter
            of the memory that is free. It guards against files that are made to fill the memory.
        vectors: pairs of channels, names or numbers, that are components along x and along y, as in [[u, v]]: they change
            with the map in flips and turns, and their sign where training runs time backward. Null for those whose names
            say so (eastward_wind and northward_wind, u10 and v10), [] for none.
        moving_mnist: the generator's settings, used where source is "moving-mnist".

    Example:
        >>> import framecast
        >>> framecast.DataConfig(source="radar.h5", shrink=2, gap="2h", crop=128).crop_weight
        'uniform'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[str, Field(min_length=1)] | tuple[FileConfig, ...] = MOVING_MNIST
    frames: FrameRange | None = None
    dims: str | None = None
    axes: dict[str, str] = {}
    variable: str | None = None
    times: str | None = None
    colour: Literal["auto", "grey", "rgb"] = "auto"
    shrink: Count = 1
    range: tuple[float, float] | None = None
    missing: float | None = None
    units: str | None = None
    scale: Literal["dBZ"] | None = None
    z_r: ZR = "marshall-palmer"
    step_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    split_by: Literal["auto", "file", "sequence", "event", "time"] = "auto"
    gap: Gap = 0
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    stride: Count = 1
    every: Annotated[tuple[Count, ...], Field(min_length=1)] = (1,)
    crop: Count | tuple[Count, Count] | None = None
    crops: Count | None = None
    crop_weight: Weight = "uniform"
    crop_threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    targets: Annotated[tuple[str | int, ...], Field(min_length=1)] | None = None
    covariates: tuple[str | int, ...] = ()
    calendar: tuple[Cycle, ...] = ()
    max_missing: Annotated[float, Field(ge=0, lt=1)] | None = None
    augment: tuple[Literal["flip", "turn"], ...] = ()
    unpack_limit: Bytes | None = None
    vectors: tuple[tuple[str | int, str | int], ...] | None = None
    moving_mnist: MovingMNISTConfig = MovingMNISTConfig()

    @field_validator("source", mode="before")
    @classmethod
    def _expand_paths(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return value
        if not value:
            raise ValueError("source: got no file, expected at least one")
        return [{"path": file} if isinstance(file, str) else file for file in value]

    @field_validator("axes", mode="before")
    @classmethod
    def _spell_axes(cls, value: Any) -> Any:
        return {name: str(word) for name, word in value.items()} if isinstance(value, dict) else value

    @field_validator("dims")
    @classmethod
    def _check_dims(cls, value: str | None) -> str | None:
        if value is not None and not are_valid_dims(value):
            raise ValueError(f"dims: got {value!r}, expected t, h, w and if need be n, c, each once, as in nthw")
        return value

    @field_validator("range")
    @classmethod
    def _check_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not (value[0] < value[1] and math.isfinite(value[0]) and math.isfinite(value[1])):
            raise ValueError(f"range: got {value[0]} to {value[1]}, expected two finite numbers, the lower first")
        return value

    @field_validator("fractions")
    @classmethod
    def _check_fractions(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if not (value[0] > 0 and min(value) >= 0 and math.isclose(sum(value), 1, abs_tol=1e-6)):
            raise ValueError(f"fractions: got {value}, expected train > 0, validation, test >= 0 that add up to 1")
        return value

    @model_validator(mode="after")
    def _check_crops(self) -> DataConfig:
        if self.crop is None and (self.crops is not None or self.crop_weight != "uniform"):
            raise ValueError("got crops or crop_weight without crop, expected the size of a crop, as in crop: 140")
        if self.crop_threshold is not None and self.crop_weight != "wet":
            raise ValueError(f"got crop_threshold with crop_weight {self.crop_weight}, expected it with wet only")
        return self

    @model_validator(mode="after")
    def _check_relevance(self) -> DataConfig:
        names = ["frames", "dims", "variable", "times", "range", "missing", "units", "scale", "step_minutes", "crop"]
        names += ["targets", "max_missing", "unpack_limit", "vectors"]
        if self.scale is None and self.z_r != "marshall-palmer":
            raise ValueError("got z_r without scale, expected scale: dBZ with it")
        irrelevant = [name for name in names if getattr(self, name) is not None]
        irrelevant += [name for name in ("axes", "covariates", "calendar") if getattr(self, name)]
        defaults: dict[str, object] = {"colour": "auto", "shrink": 1, "gap": 0, "split_by": "auto", "stride": 1}
        defaults["every"] = (1,)
        defaults["fractions"] = DataConfig.model_fields["fractions"].default
        irrelevant += [name for name, value in defaults.items() if getattr(self, name) != value]
        if self.source == MOVING_MNIST and irrelevant:
            raise ValueError(f"got {', '.join(irrelevant)} with source {MOVING_MNIST}, expected them with a file only")
        return self

    @property
    def path(self) -> str:
        """Path of the source, for what works on one path.

        Raises:
            UsageError: the source is several files.
        """
        if isinstance(self.source, str):
            return self.source
        raise UsageError("source", got=f"{len(self.source)} files", expected="one path here")

    def of(self, file: FileConfig) -> DataConfig:
        """Return the configuration of one of several files: its options replace those for all."""
        update = {
            key: value for key, value in file if value is not None and key in ("frames", "variable", "units", "missing")
        }
        return self.model_copy(update={**update, "source": file.path})

    def map_paths(self, change: Callable[[str], str]) -> DataConfig:
        """Return a copy with other paths; generated data have none.

        Args:
            change: maps a path to another.
        """
        if self.source == MOVING_MNIST:
            return self
        if isinstance(self.source, str):
            return self.model_copy(update={"source": change(self.source)})
        files = tuple(file.model_copy(update={"path": change(file.path)}) for file in self.source)
        return self.model_copy(update={"source": files})


def are_valid_dims(dims: str) -> bool:
    """Whether `dims` names rows, columns and time once each, and nothing but n and c besides."""
    return set("thw") <= set(dims) <= set("ntchw") and len(set(dims)) == len(dims)


SPLITS = ("train", "val", "test")
"""Names of the splits, and their labels in files."""


Cycle = Literal["hour", "day"]
"""Cycle of the calendar: hour of the day, or day of the year; UTC."""
