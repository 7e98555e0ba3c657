"""Export of a model as one HTML file, which forecasts in a browser from disk: model, runtime and page are inside."""

from __future__ import annotations

import base64
import gzip
import json
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from framecast import files
from framecast.errors import UsageError
from framecast.export.browser_runtime import BrowserRuntime, find_runtime
from framecast.export.gate_maps import describe_gate
from framecast.export.onnx_file import make_model, make_step
from framecast.forecasting.forecaster import Forecaster
from framecast.output_file import open_output

CONTEXT = HORIZON = 10
"""Frames of a page, of a model that was trained with no number."""
GREY_UNITS = ("1", "grey level")
"""Units of pictures, which are shown in grey."""


def export_html(
    forecaster: Forecaster,
    path: str | Path,
    *,
    example: NDArray[Any] | None = None,
    runtime: str | Path | None = None,
    horizon: int | None = None,
) -> Path:
    """Write a page that forecasts by a model, in a browser, without a server or a network.

    Args:
        forecaster: the model, of one channel or three, without covariates.
        path: a new file.
        example: frames that the page begins with, (J, H, W) or (J, C, H, W), raw units, without missing values; None
            for a shape that is thrown.
        runtime: folder of onnxruntime-web, for who is offline; None to fetch it once, see `find_runtime`.
        horizon: frames that the page predicts at first; by default as many as it is given.

    Returns:
        the path.

    Raises:
        UsageError: a file that exists, a model that such a page cannot show, or no onnxruntime-web.
    """
    path = files.check_new(Path(path))
    _check(forecaster)
    page = _render(forecaster, example, find_runtime(None if runtime is None else Path(runtime)), horizon)
    with files.staged(path) as temporary, open_output(temporary) as file:
        file.write(page.encode())
    return path


def _check(forecaster: Forecaster) -> None:
    """Refuse a model whose input a page cannot give."""
    spec, fix = forecaster.spec, "export --to onnx, and forecast with framecast.runtime"
    if spec.covariates or spec.past or spec.channels not in (1, 3):
        got = f"{spec.channels} channels and {len(spec.covariates)} covariates"
        raise UsageError("a page", got=got, expected="one channel or three, and nothing else", fix=fix)
    if forecaster.base is not None and forecaster.base.base.tracks:
        got = f"the base {forecaster.base_config.kind}"
        raise UsageError("a page", got=got, expected="one that needs no motion, which a page cannot estimate", fix=fix)


def _render(forecaster: Forecaster, example: NDArray[Any] | None, runtime: BrowserRuntime, horizon: int | None) -> str:
    about = describe_page(forecaster)
    parts = {"runtime": runtime.script, "wasm": runtime.binary}
    if example is not None:
        about["example"], parts["example"] = _pack_example(np.asarray(example), forecaster, about)
    step = make_step(forecaster, with_gates=True)
    about["gates"] = [describe_gate(name) for name in step.gates]
    parts["model"] = make_model(step, "forecast").SerializeToString()
    environment = Environment(
        loader=PackageLoader("framecast.export", "page"), autoescape=True, undefined=StrictUndefined
    )
    folder = resources.files("framecast.export") / "page"
    texts = {name: Markup((folder / name).read_text(encoding="utf-8")) for name in ("page.css", "engine.js", "app.js")}
    spec = forecaster.spec
    units = "" if spec.units == "1" else f", {spec.units}"
    words = f"A {forecaster.name} of {sum(p.numel() for p in forecaster.network.parameters()):,} numbers{units}"
    return environment.get_template("page.html").render(
        title=forecaster.name,
        words=words,
        origin=f"weights {forecaster.origin.sha256[:8]}" if forecaster.origin.sha256 else "a model without a folder",
        version=version("framecast"),
        channels=spec.channels,
        horizon=horizon or about["context"],
        about=Markup(json.dumps(about, allow_nan=False).replace("<", "\\u003c")),
        style=texts["page.css"],
        engine=texts["engine.js"],
        script=texts["app.js"],
        parts={name: Markup(_pack(content)) for name, content in parts.items()},
    )


def describe_page(forecaster: Forecaster) -> dict[str, Any]:
    """Describe to the page what goes into a model and out."""
    multiple = forecaster.patch * forecaster.network.stride
    spec = forecaster.spec
    height, width = (-(-size // multiple) * multiple for size in (spec.height, spec.width))
    return {
        "channels": spec.channels,
        "low": spec.low,
        "high": spec.high,
        "height": height,
        "width": width,
        "fixed": forecaster.config.exports_one_size,
        "multiple": multiple,
        "context": forecaster.context or CONTEXT,
        "grey": spec.units in GREY_UNITS,
    }


def _pack(content: bytes) -> str:
    """Pack bytes as text, the same text for the same bytes."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _pack_example(frames: NDArray[Any], forecaster: Forecaster, about: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Pack frames in 256 levels, cut to whole multiples, with how they are unpacked."""
    spec = forecaster.spec
    frames = frames[:, None] if frames.ndim == 3 else frames
    edge = about["multiple"]
    if frames.ndim != 4 or frames.shape[1] != spec.channels or not np.isfinite(frames).all():
        expected = f"(frames, {spec.channels}, rows, columns) of finite values"
        raise UsageError("example", got=f"shape {frames.shape}", expected=expected)
    frames = frames[..., : frames.shape[-2] // edge * edge, : frames.shape[-1] // edge * edge]
    scale = (spec.high - spec.low) / 255
    levels = np.round((frames.clip(spec.low, spec.high) - spec.low) / scale).astype(np.uint8)
    return {"shape": list(levels.shape), "scale": scale, "offset": spec.low}, levels.tobytes()
