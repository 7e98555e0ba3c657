"""Export of a model as an ONNX file: whole forecasts, or one step for programs that keep the state themselves."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from framecast import files
from framecast.export.description import Form, add_description
from framecast.export.loop_graph import make_forecast_graph
from framecast.export.step import ForecastStep
from framecast.export.step_graph import make_step_graph
from framecast.forecasting.forecaster import Forecaster
from framecast.output_file import open_output


def export_onnx(forecaster: Forecaster, path: str | Path, *, form: Form = "forecast") -> Path:
    """Write a model to an ONNX file, which holds its weights, and its description as metadata.

    Args:
        forecaster: the model, of any device; the file computes in single precision.
        path: a new file.
        form: "forecast" for whole forecasts, (frames, known, horizon) to forecast; "step" for one step, raw frame and
            state in, prediction and state out, zeros at first.

    Returns:
        the path.

    Raises:
        UsageError: a file that exists, a network or base that no graph can hold, or the extra `onnx` is not installed.

    Example:
        >>> import framecast, numpy as np
        >>> from framecast.export.onnx_file import export_onnx
        >>> from framecast.models import ConvLSTM
        >>> from framecast.transforms.normalize import Identity
        >>> spec = framecast.FrameSpec(channels=1, height=8, width=8)
        >>> forecaster = framecast.Forecaster(ConvLSTM(hidden=(4,), kernel_size=3), spec, Identity(), patch=2)
        >>> import framecast.runtime
        >>> model = framecast.runtime.load(export_onnx(forecaster, "small.onnx"))
        >>> model.predict(np.zeros((3, 12, 16)), horizon=5).shape
        (5, 12, 16)
    """
    path = files.check_new(Path(path))
    content = make_onnx(forecaster, form).SerializeToString()
    with files.staged(path) as temporary, open_output(temporary) as file:
        file.write(content)
    return path


def make_onnx(forecaster: Forecaster, form: Form = "forecast") -> Any:
    """Make the `onnx.ModelProto` of a model; see `export_onnx`.

    Raises:
        UsageError: a network or base that no graph can hold, or the extra `onnx` is not installed.
    """
    return make_model(make_step(forecaster), form)


def make_step(forecaster: Forecaster, *, with_gates: bool = False) -> ForecastStep:
    """Make the step of a model, in single precision on the CPU; with the maps of its gates as outputs, if asked for.

    Raises:
        UsageError: a network or base that no graph can hold.
    """
    return ForecastStep(copy.deepcopy(forecaster).float().cpu().eval(), with_gates=with_gates)


def make_model(step: ForecastStep, form: Form) -> Any:
    """Make the `onnx.ModelProto` of a step, or of whole forecasts by it.

    Raises:
        UsageError: the extra `onnx` is not installed.
    """
    model = make_step_graph(step)
    model = make_forecast_graph(step, model) if form == "forecast" else model
    add_description(model, step, form)
    return model
