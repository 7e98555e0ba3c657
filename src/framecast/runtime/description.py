"""Description of an exported model, as its file carries it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from framecast.errors import CheckpointError

KEY = "framecast"
"""Name of the entry of an ONNX file's metadata that holds the description."""
FORMAT = 1
"""Version of the description."""


class ExportOrigin(NamedTuple):
    """Identity of the model that was exported; the fields are those of `framecast.forecast.ModelOrigin`."""

    name: str
    sha256: str = ""
    step: str = ""
    source: str = ""
    converted_from: str = ""


@dataclass(frozen=True)
class Description:
    """Facts about an exported model."""

    spec: dict[str, Any]
    """Fields of a `FrameSpec`: channels, size and units of the frames, value range, step, past, covariates."""
    normalizer: dict[str, Any]
    """Kind and numbers of the normalizer, which is within the graph."""
    value_range: tuple[float, float]
    """Range that the normalizer's [0, 1] has within the network."""
    multiple: int
    """Rows and columns that enter are multiples of so many pixels."""
    height: int | None
    """Rows that enter, of a network that takes one size only; None for any."""
    width: int | None
    """Columns that enter, of such a network; None for any."""
    fill: str
    """Value that stands for a missing pixel: low, mean or last."""
    context: int | None
    """Frames of input with which the model was trained; None where any number serves."""
    spin_up: int | None
    """The newest frames that the network runs over; None for all."""
    base: dict[str, Any]
    """Base that the network forecasts against, with its options."""
    origin: ExportOrigin
    """Name of the network, digest and history of its weights."""
    model: dict[str, Any]
    """Configuration of the network."""
    framecast_version: str
    """Version that exported it."""

    @property
    def targets(self) -> int:
        """Number of channels that are forecast."""
        return int(self.spec["channels"]) - len(self.spec["past"])

    @property
    def low(self) -> float:
        """Lower end of the value range."""
        return float(self.spec["low"])

    @property
    def high(self) -> float:
        """Upper end of the value range."""
        return float(self.spec["high"])

    @property
    def units(self) -> str:
        """Units of the frames."""
        return str(self.spec["units"])


def read_description(metadata: dict[str, str], path: str) -> Description:
    """Read the description from the metadata of a file.

    Args:
        metadata: of the file.
        path: of the file, for errors.

    Raises:
        CheckpointError: a file that framecast did not write, or not of this format.
    """
    expected, fix = "a model that framecast exported", "framecast export RUN --to onnx"
    if KEY not in metadata:
        raise CheckpointError(path, got="an ONNX file of another kind", expected=expected, fix=fix)
    try:
        content = json.loads(metadata[KEY])
        if content["format"] != FORMAT:
            raise CheckpointError(path, got=f"format {content['format']}", expected=f"format {FORMAT}", fix=fix)
        if content["form"] != "forecast":
            raise CheckpointError(path, got=f"a {content['form']}", expected="whole forecasts", fix=fix)
        known = {field.name: content[field.name] for field in fields(Description)}
        low, high = known["value_range"]
        return Description(**known | {"origin": ExportOrigin(**known["origin"]), "value_range": (low, high)})
    except (ValueError, KeyError, TypeError) as error:
        got = f"a description that does not hold ({type(error).__name__}: {error})"
        raise CheckpointError(path, got=got, expected=expected, fix=fix) from error
