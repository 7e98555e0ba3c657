"""Graph of a step: the operations of torch as an ONNX model whose axes have names, without a trace of its making."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from framecast.export.state_layout import Multiple, Size, name_size
from framecast.export.step import ForecastStep
from framecast.optional_imports import require

OPSET = 20
"""Version of ONNX's operators; the first one whose GridSample is what torch calls grid_sample."""
SAMPLE = {"rows": 3, "columns": 5}
"""Frame, in multiples of the smallest one, with which the operations are recorded."""
BATCH = 2


def make_step_graph(step: ForecastStep) -> Any:
    """Make the graph of a step as an `onnx.ModelProto`: inputs of `step.inputs`, then the state; frame, then the state.

    Raises:
        UsageError: the packages of the extra `onnx` are not installed.
    """
    require("onnxscript", "onnx", what="an export")
    step = step.eval()
    examples = make_examples(step)
    batch, names = torch.export.Dim("batch"), {name: torch.export.Dim(name, min=2) for name in SAMPLE}

    def free(sizes: tuple[Size, ...]) -> dict[int, Any]:
        axes = {0: batch}
        for axis, size in enumerate(sizes, 1):
            if isinstance(size, Multiple) and size.axis is not None:
                axes[axis] = names[size.axis] if size.factor == 1 else size.factor * names[size.axis]
        return axes

    sizes = list_sizes(step)
    shapes = [{} if name == "begins" else free(sizes[name]) for name in sizes]
    with torch.no_grad(), _quiet():
        program = torch.export.export(step, tuple(examples), dynamic_shapes={"inputs": tuple(shapes)}, strict=False)
        exported = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False)
    assert exported is not None
    model = exported.model_proto
    _remove_traces(model)
    outputs: dict[str, tuple[Size, ...]] = {"forecast": (step.forecaster.spec.targets, *step.frame_size)}
    outputs |= {f"next_{part.name}": part.sizes for part in step.state}
    outputs |= {"gates": (len(step.gates), *step.state[-1].sizes[1:])} if step.gates else {}
    _name_ports(model.graph, sizes, outputs)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from telling about its own parts."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def list_sizes(step: ForecastStep) -> dict[str, tuple[Size, ...]]:
    """List the inputs of a step by name, with their axes behind the batch."""
    spec, (height, width) = step.forecaster.spec, step.frame_size
    sizes: dict[str, tuple[Size, ...]] = {
        "frame": (spec.channels, height, width),
        "known": (),
        "covariates": (len(spec.covariates), height, width),
        "begins": (),
        "motion": (2, height, width),
    }
    return {name: sizes[name] for name in step.inputs} | {part.name: part.sizes for part in step.state}


def make_examples(step: ForecastStep) -> list[Tensor]:
    """Make inputs of some size: a first frame without anything in it."""

    def count(size: Size) -> int:
        if isinstance(size, int):
            return size
        return size.factor * (1 if size.axis is None else SAMPLE[size.axis])

    examples = []
    for name, sizes in list_sizes(step).items():
        shape = () if name == "begins" else (BATCH, *map(count, sizes))
        dtype = torch.bool if name in ("known", "begins") else torch.float32
        examples.append(torch.zeros(shape, dtype=dtype))
    return examples


def _remove_traces(model: Any) -> None:
    """Remove what the exporter tells of the machine and of itself: paths of files, names of axes as it found them."""
    assert not model.functions
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")


def _name_ports(graph: Any, inputs: dict[str, tuple[Size, ...]], outputs: dict[str, tuple[Size, ...]]) -> None:
    """Give inputs and outputs, and their axes, our names."""
    named = {}
    for ports, sizes in ((graph.input, inputs), (graph.output, outputs)):
        for port, (name, axes) in zip(ports, sizes.items(), strict=True):
            named[port.name], port.name = name, name
            shape = port.type.tensor_type.shape
            for axis, text in zip(shape.dim, ["batch", *map(name_size, axes)], strict=False):
                if isinstance(text, str):
                    axis.dim_param = text
    for node in graph.node:
        assert not any(attribute.HasField("g") for attribute in node.attribute), "a graph within the graph"
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = named.get(name, name)
