"""Definition of a protocol: what its YAML file holds, strictly."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from framecast.documents import parse_yaml, read_document
from framecast.errors import UsageError
from framecast.types import Count, Finite, FrameSpec

_FOLDER = Path(__file__).parent
_STRICT = ConfigDict(frozen=True, extra="forbid")


class PublishedFile(BaseModel):
    """A file or folder of the published data.

    Args:
        path: below the folder that the user names; the leading folders may be missing there.
        origin: where it comes from, for who does not have it.
        md5: its md5, where one is documented.
    """

    model_config = _STRICT

    path: str
    origin: str
    md5: Annotated[str, Field(pattern="^[0-9a-f]{32}$")] | None = None


class Column(BaseModel):
    """A column of the tables of a protocol.

    Args:
        name: as it was published: MSE, CSI-M.
        metric: name of the metric here; of an event without its threshold ("csi") the mean over all thresholds.
        over_leads: "mean", the mean of the scores of the lead times; "pooled", one score of the sums over lead times.
        factor: what the score is multiplied with.
    """

    model_config = _STRICT

    name: str
    metric: str
    over_leads: Literal["mean", "pooled"] = "mean"
    factor: Finite = 1.0


class PublishedTable(BaseModel):
    """Published scores of one source and one setting.

    Args:
        source: who published them, where.
        setting: what training they are of, and what keeps them from being compared.
        columns: names of the columns of `rows`; those of the protocol that are not among them were not published.
        rows: {name of the network: its scores}, null where one is missing.
    """

    model_config = _STRICT

    source: str
    setting: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[Finite | None, ...]]

    @model_validator(mode="after")
    def _check_rows(self) -> PublishedTable:
        for name, scores in self.rows.items():
            if len(scores) != len(self.columns):
                raise ValueError(f"rows: {name}: got {len(scores)} scores, expected {len(self.columns)}")
        return self


class Protocol(BaseModel):
    """A published way to score forecasts of one data set.

    Args:
        name: the name of its file.
        title: data set and task, one line.
        context: J, frames of input.
        horizon: K, lead times.
        channels: C.
        size: rows and columns of the frames that are scored.
        resize: how frames of another size come to it; "none" refuses them.
        units: of the frames.
        range: value range of the scores.
        step_minutes: minutes between frames.
        layout: which reader of `framecast.protocols.layouts` knows the files.
        every: frames of the file from one frame of a window to the next.
        stride: frames between the starts of windows of a sequence, where the layout leaves it open.
        test_from: first moment of the test data, where a date divides them.
        splits: {train, val, test: what they are, in words}.
        files: what the reader looks for.
        metrics: metrics that are computed, by name.
        thresholds: of events, in `units`.
        columns: of the table, those that were published first.
        notes: what else decides whether scores can be compared.
        published: published scores.

    Example:
        >>> from framecast.protocols import find_protocol
        >>> protocol = find_protocol("mmnist")
        >>> protocol.context, protocol.horizon, protocol.size
        (10, 10, (64, 64))
    """

    model_config = _STRICT

    name: str
    title: str
    context: Count
    horizon: Count
    channels: Count = 1
    size: tuple[Count, Count]
    resize: Literal["none", "mean", "bilinear", "smooth", "cubic"] = "none"
    units: str = "1"
    range: tuple[Finite, Finite]
    step_minutes: Annotated[float, Field(gt=0)] | None = None
    layout: str
    every: Count = 1
    stride: Count | None = None
    test_from: str | None = None
    splits: dict[Literal["train", "val", "test"], str]
    files: Annotated[tuple[PublishedFile, ...], Field(min_length=1)]
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    thresholds: tuple[Finite, ...] = ()
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    notes: tuple[str, ...] = ()
    published: tuple[PublishedTable, ...] = ()

    @model_validator(mode="after")
    def _check_columns(self) -> Protocol:
        known = [column.name for column in self.columns]
        for table in self.published:
            if unknown := [name for name in table.columns if name not in known]:
                raise ValueError(f"published: got column {unknown[0]}, expected one of {', '.join(known)}")
        return self

    @property
    def frames(self) -> int:
        """T, frames of a window."""
        return self.context + self.horizon

    @property
    def spec(self) -> FrameSpec:
        """Channels, size, units and value range of the frames that are scored."""
        (height, width), (low, high) = self.size, self.range
        return FrameSpec(
            channels=self.channels,
            height=height,
            width=width,
            units=self.units,
            low=low,
            high=high,
            step_minutes=self.step_minutes,
        )


@cache
def list_protocols() -> dict[str, Protocol]:
    """List the protocols of the package by name."""
    protocols = {}
    for path in sorted(_FOLDER.glob("*.yaml")):
        fields = read_document(path, parse_yaml)
        protocols[path.stem] = Protocol.model_validate({"name": path.stem, **fields})
    return protocols


def find_protocol(name: str) -> Protocol:
    """Find a protocol by its name.

    Raises:
        UsageError: no such protocol.
    """
    protocols = list_protocols()
    if name not in protocols:
        raise UsageError.unknown("protocol", name, protocols)
    return protocols[name]
