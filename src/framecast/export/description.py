"""Description of an exported model, which its file carries as JSON: what goes in, what comes out, and whose weights."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import PureWindowsPath
from typing import Any, Literal

from framecast.export.step import ForecastStep
from framecast.runtime.description import FORMAT, KEY
from framecast.transforms.normalize import DBZ

Form = Literal["forecast", "step"]
"""Whether a file holds whole forecasts, or one step for programs that keep the state."""


def describe_export(step: ForecastStep, form: Form) -> dict[str, Any]:
    """Describe a model by plain values; see `framecast.runtime.description.Description` for their meaning.

    Args:
        step: the model.
        form: whether the file holds whole forecasts or a step.
    """
    forecaster = step.forecaster
    height, width = (size.factor if size.axis is None else None for size in step.frame_size)
    origin = {name: text for name, text in forecaster.origin._asdict().items() if text}
    if "converted_from" in origin:  # the name of the file, not where it lay
        origin["converted_from"] = PureWindowsPath(origin["converted_from"]).name
    normalizer = forecaster.normalizer.model_dump(mode="json")
    if isinstance(forecaster.normalizer, DBZ):
        normalizer["coefficients"] = list(forecaster.normalizer.coefficients)
    return {
        "format": FORMAT,
        "form": form,
        "framecast_version": version("framecast"),
        "model": forecaster.config.model_dump(mode="json"),
        "origin": origin,
        "spec": forecaster.spec.model_dump(mode="json"),
        "normalizer": normalizer,
        "value_range": list(forecaster.value_range),
        "patch": forecaster.patch,
        "multiple": step.edge,
        "height": height,
        "width": width,
        "fill": forecaster.fill,
        "mask_channel": forecaster.mask_channel,
        "context": forecaster.context,
        "spin_up": forecaster.spin_up,
        "base": forecaster.base_config.model_dump(mode="json"),
        "head": forecaster.head,
    }


def add_description(model: Any, step: ForecastStep, form: Form) -> None:
    """Add the description to an `onnx.ModelProto`, and who made it."""
    model.producer_name, model.producer_version = "framecast", version("framecast")
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(describe_export(step, form), allow_nan=False)
