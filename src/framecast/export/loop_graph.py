"""Forecast as one graph: the step in an ONNX Loop, over the frames of the context and then over what it predicts itself.

frames (batch, context, channels, height, width), known (batch, context), horizon -> forecast (batch, horizon, ...)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framecast.export.state_layout import Multiple, StateTensor, name_size
from framecast.export.step import ForecastStep
from framecast.export.step_graph import OPSET
from framecast.optional_imports import require

IR_VERSION = 10
"""Version of the file format that onnxruntime of the same age as the operators reads."""


class _Nodes:
    """Nodes of a graph, one after the other, and the constants that they use."""

    def __init__(self, helper: Any, prefix: str) -> None:
        self.helper, self.prefix = helper, prefix
        self.nodes: list[Any] = []

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node with one output, and return its name."""
        output = name or f"{self.prefix}{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: Any, kind: type[np.generic] = np.int64) -> str:
        """Add a constant, a number or a list of numbers."""
        from onnx import numpy_helper

        return self.add("Constant", value=numpy_helper.from_array(np.array(value, kind)))


def make_forecast_graph(step: ForecastStep, model: Any) -> Any:
    """Make the graph of a forecast from that of a step.

    Args:
        step: the step.
        model: its graph, see `make_step_graph`; its nodes are taken.

    Returns:
        an `onnx.ModelProto`.
    """
    onnx = require("onnx", "onnx", what="an export")
    outer = _Nodes(onnx.helper, "outer_")
    ports = list_ports(onnx, step)
    context, steps = _count_steps(outer)
    state = [_make_zeros(outer, step.edge, part) for part in step.state]
    body = _make_body(onnx, step, model.graph, context)
    finals = [f"last_{part.name}" for part in step.state]
    more = outer.constant(True, np.bool_)
    scans = ["all", *(["all_gates"] if step.gates else [])]
    outer.nodes.append(onnx.helper.make_node("Loop", [steps, more, *state], [*finals, *scans], body=body))
    # iterations come first: (S, B, ...); those of the context but the last predict frames that are known
    first = outer.add("Unsqueeze", outer.add("Sub", context, outer.constant(1)), outer.constant([0]))
    ahead = outer.add("Slice", "all", first, outer.constant([2**31 - 1]))
    outer.add("Transpose", ahead, perm=[1, 0, 2, 3, 4], name="forecast")
    weights, outputs = list(model.graph.initializer), ports[-1:]
    if step.gates:
        outer.add("Transpose", "all_gates", perm=[1, 0, 2, 3, 4], name="gates")
        axes = ["batch", "steps", len(step.gates), *map(name_size, step.state[-1].sizes[1:])]
        outputs.append(onnx.helper.make_tensor_value_info("gates", onnx.TensorProto.FLOAT, axes))
    graph = onnx.helper.make_graph(outer.nodes, "forecast", ports[:-1], outputs, weights)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def list_ports(onnx: Any, step: ForecastStep) -> list[Any]:
    """List inputs and the output, with their axes by name."""
    spec, kinds = step.forecaster.spec, onnx.TensorProto
    names = zip(("height", "width"), step.frame_size, strict=True)
    height, width = (size.factor if size.axis is None else name for name, size in names)
    shapes: dict[str, tuple[Any, list[Any]]] = {
        "frames": (kinds.FLOAT, ["batch", "context", spec.channels, height, width]),
        "known": (kinds.BOOL, ["batch", "context"]),
        "horizon": (kinds.INT64, []),
    }
    if spec.covariates:
        shapes["covariates"] = (kinds.FLOAT, ["batch", "context_and_horizon", len(spec.covariates), height, width])
    if "motion" in step.inputs:
        shapes["motion"] = (kinds.FLOAT, ["batch", "context", 2, height, width])
    if step.recurrence is not None:
        shapes.pop("known")  # a base forecasts from the newest frames as they follow each other
    shapes["forecast"] = (kinds.FLOAT, ["batch", "horizon", spec.targets, height, width])
    return [onnx.helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()]


def _count_steps(outer: _Nodes) -> tuple[str, str]:
    """Count the frames of the context, and the steps: one for each frame but the first, and for each of the horizon."""
    outer.add("Shape", "frames", name="shape")
    context = outer.add("Gather", "shape", outer.constant(1))
    return context, outer.add("Sub", outer.add("Add", context, "horizon"), outer.constant(1))


def _make_zeros(outer: _Nodes, edge: int, part: StateTensor) -> str:
    """Make a part of the state before the first frame."""
    sizes = [outer.add("Gather", "shape", outer.constant([0]))]
    for size in part.sizes:
        if isinstance(size, Multiple) and size.axis is not None:
            pixels = outer.add("Gather", "shape", outer.constant([3 if size.axis == "rows" else 4]))
            smallest = outer.add("Div", pixels, outer.constant([edge]))
            sizes.append(outer.add("Mul", smallest, outer.constant([size.factor])))
        else:
            sizes.append(outer.constant([size.factor if isinstance(size, Multiple) else size]))
    return outer.add("ConstantOfShape", outer.add("Concat", *sizes, axis=0))  # zeros in single precision


def _make_body(onnx: Any, step: ForecastStep, graph: Any, context: str) -> Any:
    """Make the body of the loop: what enters at step `t`, then the nodes of the step."""
    body = _Nodes(onnx.helper, "inner_")
    _add_entering(body, step, context)
    _rename(graph, {name: f"{name}_now" for name in (*step.inputs, "forecast", "gates")})
    body.nodes += graph.node
    body.add("Identity", "more", name="still_more")
    kinds, describe = onnx.TensorProto, onnx.helper.make_tensor_value_info
    state = {part.name: ["batch", *map(name_size, part.sizes)] for part in step.state}
    inputs = [describe("t", kinds.INT64, []), describe("more", kinds.BOOL, [])]
    inputs += [describe(name, kinds.FLOAT, shape) for name, shape in state.items()]
    outputs = [describe("still_more", kinds.BOOL, [])]
    outputs += [describe(f"next_{name}", kinds.FLOAT, shape) for name, shape in state.items()]
    outputs += [describe(f"{name}_now", kinds.FLOAT, None) for name in ("forecast", *(["gates"] if step.gates else []))]
    return onnx.helper.make_graph(body.nodes, "step", inputs, outputs)


def _add_entering(body: _Nodes, step: ForecastStep, context: str) -> None:
    """Add the nodes that choose what enters at step `t`; in the body, names of the outer graph are known."""
    newest = body.add("Sub", context, body.constant(1))
    within, at = body.add("Less", "t", context), body.add("Min", "t", newest)
    body.add("Gather", "frames", at, axis=1, name="frame_now")
    if step.recurrence is None:
        body.add("And", within, body.add("Gather", "known", at, axis=1), name="known_now")
    else:
        body.add("Expand", within, body.add("Gather", "shape", body.constant([0])), name="known_now")
    if "covariates" in step.inputs:  # of the frame that is predicted
        body.add("Gather", "covariates", body.add("Add", "t", body.constant(1)), axis=1, name="covariates_now")
    if "motion" in step.inputs:
        body.add("Gather", "motion", at, axis=1, name="motion_now")
    if "begins" in step.inputs:
        first = body.add("Sub", context, body.constant(step.forecaster.spin_up))
        body.add("Equal", "t", body.add("Max", first, body.constant(0)), name="begins_now")


def _rename(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        for ports in (node.input, node.output):
            for place, name in enumerate(ports):
                ports[place] = names.get(name, name)
