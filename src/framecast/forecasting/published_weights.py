"""Published weights: conversion of checkpoints of predrnn-pytorch and OpenSTL to Forecasters.

Their parameter names are mapped to ours, gates that they keep in another order are permuted, and parameters that their
forward pass never uses are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import torch
from pydantic import ValidationError
from torch import Tensor

from framecast.documents import explain_invalid
from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.weight_files import UNREADABLE, StoredTensor, measure_weights, read_torch_file
from framecast.formatting import shorten
from framecast.models import MIM, ConvLSTM, ModelConfig, PredRNN, PredRNNPP, PredRNNV2
from framecast.nn.norm import Norm
from framecast.transforms.normalize import Identity, Range
from framecast.types import FrameSpec

CodeBase = Literal["predrnn-pytorch", "openstl"]
Weights = dict[str, Tensor]
ST_LSTM = {"conv_x": "conv_x", "conv_h": "conv_h", "conv_m": "conv_m", "conv_o": "conv_o", "conv_last": "fusion"}
CAUSAL = {
    "conv_x": "conv_x",
    "conv_h": "conv_h",
    "conv_c": "conv_c",
    "conv_m": "conv_m",
    "conv_c2m": "conv_c2m",
    "conv_om": "conv_om",
    "conv_last": "fusion",
}
MIM_BLOCK = {
    "conv_t_cc": "conv_t",
    "conv_s_cc": "conv_s",
    "conv_x_cc": "conv_x",
    "conv_h_concat": "mim_s.conv_h",
    "conv_x_concat": "mim_s.conv_x",
    "conv_last": "fusion",
}
MIM_N = {"conv_h_concat": "mim_n.conv_h", "conv_x_concat": "mim_n.conv_x"}
PEEPHOLES = {"ct_weight", "oc_weight"}
# block j of ours is block ORDER[j] of theirs
IGFO, IGO = (0, 2, 1, 3), (0, 1, 2)


class PublishedFamily(NamedTuple):
    """Names and order of the parameters of one published network."""

    config: Callable[..., ModelConfig]
    """Makes the configuration from hidden, kernel_size and layer_norm."""
    rename: Callable[[str], str | None]
    """Their name to ours; "" for a parameter that is never used; None for an unknown one."""
    order: Callable[[str], tuple[int, ...] | None]
    """Our name to the permutation of its gates; None where the order is equal."""


def load_published(
    path: str | Path,
    *,
    source: str,
    model: str,
    patch: int,
    size: tuple[int, int] | None = None,
    context: int | None = None,
    value_range: tuple[float, float] | None = None,
    units: str | None = None,
) -> Forecaster:
    """Read a checkpoint of a published code base.

    Args:
        path: the checkpoint; opened with `weights_only=True`, so that nothing in it is executed.
        source: "predrnn-pytorch" or "openstl".
        model: name of the network: framecast's, for example "predrnn_v2", or the source's, for example "predrnnv2".
        patch: P of the training, pixels; it cannot be inferred from weights.
        size: (H, W) of a frame, pixels; for information, as weights that depend on it imply it.
        context: J of the training, for information.
        value_range: raw values that were 0 and 1 to the published class; by default raw values are its input itself.
        units: units of the value range.

    Returns:
        the Forecaster, in evaluation mode, in the dtype of the weights.

    Raises:
        UsageError: unknown source, or a model that this source does not have.
        CheckpointError: not a checkpoint of this network; unknown and missing parameters are listed.

    Example:
        >>> import framecast, torch
        >>> gates, head = torch.zeros(16, 4, 3, 3), torch.zeros(4, 4, 1, 1)    # 4 hidden channels, patches of 2 x 2
        >>> layer = {f"cell_list.0.conv_{name}.0.weight": gates for name in "xh"}
        >>> torch.save({**layer, "conv_last.weight": head}, "published.pth")
        >>> framecast.load_published("published.pth", source="openstl", model="convlstm", patch=2).config.hidden
        (4,)
    """
    family = _choose_family(source, model)
    theirs = _read_weights(Path(path))
    ours, unknown = _translate(theirs, family)
    if unknown:
        got, expected = f"unknown parameters {_enumerate(unknown)}", f"those of {source} {model}"
        raise CheckpointError(str(path), got=got, expected=expected)
    config, spec = _infer_config(family, ours, patch, size, path)
    low, high = value_range or (0.0, 1.0)
    spec = spec.model_copy(update={"low": low, "high": high, "units": units or spec.units})
    normalizer = Range(low=low, high=high) if value_range else Identity()

    def build() -> Forecaster:
        return Forecaster(config, spec, normalizer, patch, context=context)

    _check_weights(measure_weights(build, Path(path)), ours, path, f"{source} {model}")
    forecaster = build()
    forecaster.to(ours["head.weight"].dtype).network.load_state_dict(ours)
    return forecaster.eval()


def _check_weights(parameters: Mapping[str, StoredTensor], weights: Weights, path: str | Path, expected: str) -> None:
    """Refuse weights of other names or shapes than the network's."""
    missing, extra = sorted(parameters.keys() - weights.keys()), sorted(weights.keys() - parameters.keys())
    if missing or extra:
        lists = f"missing {_enumerate(missing)}, too many {_enumerate(extra)}"
        raise CheckpointError(str(path), got=lists, expected=expected)
    for name, value in weights.items():
        if value.shape != parameters[name].shape:
            got, fit = tuple(value.shape), tuple(parameters[name].shape)
            raise CheckpointError(
                f"{path}: {name}", got=f"shape {got}", expected=f"{fit}", fix="check --patch and --size"
            )


def _choose_family(source: str, model: str) -> PublishedFamily:
    if source not in get_args(CodeBase):
        raise UsageError("source", got=repr(source), expected=" or ".join(get_args(CodeBase)))
    families = FAMILIES[source]
    # framecast's names, and those of the code bases and the papers: predrnn_pp, predrnnpp, PredRNN++
    plain = re.sub(r"[-_ ]", "", model.lower().replace("+", "p")).removesuffix("v1")
    for name, family in families.items():
        if name.replace("_", "") == plain:
            return family
    raise UsageError("model", got=repr(model), expected=f"one of {', '.join(families)} for {source}")


def _read_weights(path: Path) -> Weights:
    """Read the weights of a checkpoint, out of the dictionaries and name prefixes in which trainers save them."""
    if not path.is_file():
        raise CheckpointError(str(path), got="no such file", expected="a checkpoint")
    try:
        content = read_torch_file(path)
    except UNREADABLE as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            str(path),
            got=f"a file that holds more than weights, or is damaged ({shorten(reason, 120)})",
            expected="a state_dict saved by torch",
            fix="if you trust it, load it once yourself and save its state_dict alone",
        ) from error
    for key in ("net_param", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if (
        not isinstance(content, dict)
        or not content
        or not all(isinstance(v, Tensor) and v.ndim > 0 for v in content.values())
    ):
        raise CheckpointError(
            str(path), got="no dictionary of weights", expected="net_param, state_dict, or the weights"
        )
    prefixes = ("module.", "model.")
    while prefix := next((p for p in prefixes if all(name.startswith(p) for name in content)), ""):
        content = {name.removeprefix(prefix): value for name, value in content.items()}
    return content


def _translate(theirs: Weights, family: PublishedFamily) -> tuple[Weights, list[str]]:
    """Rename and reorder their parameters; return the names of those that are unknown too."""
    ours: Weights = {}
    unknown = [name for name in theirs if family.rename(name) is None]
    for name, value in theirs.items():
        target = family.rename(name)
        if target:
            ours[target] = _permute_gates(value, family.order(target))
    # their peepholes: (2N, H, W) of input and forget gate, and (N, H, W) of the output gate; ours are (3, N, H, W)
    for owner in {name.removesuffix(".ct_weight") for name in ours if name.endswith(".ct_weight")}:
        input_and_forget, output = ours.pop(f"{owner}.ct_weight"), ours.pop(f"{owner}.oc_weight", None)
        if output is not None and len(input_and_forget) == 2 * len(output):
            maps = torch.cat([input_and_forget, output])
            ours[f"{owner}.peephole"] = maps.reshape(3, -1, *maps.shape[1:])
    return ours, unknown


def _permute_gates(value: Tensor, order: tuple[int, ...] | None) -> Tensor:
    if order is None:
        return value
    blocks = value.chunk(len(order))
    return torch.cat([blocks[j] for j in order])


def _infer_config(
    family: PublishedFamily, ours: Weights, patch: int, size: tuple[int, int] | None, path: str | Path
) -> tuple[ModelConfig, FrameSpec]:
    """Infer configuration and spec from the shapes of the weights."""
    try:
        bottom = next(name for name in ours if re.fullmatch(r"cells\.0\.(cell\.)?conv_x\.weight", name))
        prefix = bottom.removesuffix("conv_x.weight")
        pixels = ours["head.weight"].shape[0]
    except (StopIteration, KeyError) as error:
        raise CheckpointError(str(path), got="no bottom layer or head", expected="a complete network") from error
    if pixels % patch**2:
        raise UsageError("patch", got=patch, expected=f"one whose square divides the {pixels} channels of the head")
    # hidden channels of each layer: rows of its 1x1 fusion, else a quarter of the gates of its recurrent convolution
    widths = {name: value.shape[0] for name, value in ours.items() if name.endswith("fusion.weight")}
    widths = widths or {n: v.shape[0] // 4 for n, v in ours.items() if n.endswith("conv_h.weight")}
    hidden = tuple(widths[name] for name in sorted(widths, key=lambda n: int(n.split(".")[1])))
    maps = [v.shape[-2:] for name, v in ours.items() if name.endswith(("norm.weight", "peephole"))]
    height, width = (maps[0][0] * patch, maps[0][1] * patch) if maps else (size or (patch, patch))
    if size and size != (height, width):
        raise UsageError("size", got=f"{size[0]}x{size[1]}", expected=f"{height}x{width}, as the weights say")
    norm: Norm | None = "chw" if f"{prefix}conv_x.norm.weight" in ours else None
    try:
        fields: dict[str, Any] = {"hidden": hidden, "kernel_size": ours[bottom].shape[-1], "layer_norm": norm}
        config = family.config(**fields)
    except ValidationError as error:
        got = explain_invalid(error, fields).text
        raise CheckpointError(str(path), got=got, expected="a network that framecast has") from error
    return config, FrameSpec(channels=pixels // patch**2, height=height, width=width)


def _enumerate(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "none"


def _rename_part(name: str, parts: dict[str, str], unused: Iterable[str] = ()) -> str | None:
    """Rename a layer's parameter: `conv_x.0.weight` is a convolution, `conv_x.1.*` its norm, `conv_last.weight` 1x1."""
    head, _, tail = name.partition(".")
    if head in unused:
        return ""
    if name in PEEPHOLES:
        return name
    if head not in parts:
        return None
    tail = re.sub(r"^0\.", "", re.sub(r"^1\.", "norm.", tail))
    return f"{parts[head]}.{tail}" if tail in ("weight", "bias", "norm.weight", "norm.bias") else None


def _make_rename(
    pattern: str, parts: dict[str, str], unused: Iterable[str] = (), layer: Callable[[int], str] = "cells.{}.".format
) -> Callable[[str], str | None]:
    """Make a function that renames the head, and parameters of `pattern` with a layer number."""

    def rename(name: str) -> str | None:
        if name == "conv_last.weight":
            return "head.weight"
        if name == "adapter.weight":
            return "regularizer.adapter.weight"
        if not (match := re.fullmatch(pattern + r"\.([0-9]{1,4})\.(.+)", name)):
            return None
        part = _rename_part(match[2], parts, unused)
        return layer(int(match[1])) + part if part else part

    return rename


def _rename_predrnn_pp(name: str) -> str | None:
    # the gradient highway is our cell 1, so that layers from 1 on move up
    highway = re.fullmatch(r"gradient_highway\.([xz])_concat\.(?:0\.|(1)\.)(weight|bias)", name)
    if highway:
        return f"cells.1.conv_{highway[1]}.{'norm.' if highway[2] else ''}{highway[3]}"
    return _make_rename("cell_list", CAUSAL, unused=["conv_o"], layer=lambda n: f"cells.{n + (n > 0)}.")(name)


def _rename_mim(name: str) -> str | None:
    # their differencing layer n is part of our cell n + 1, of the same MIM block
    if name.startswith("stlstm_layer.0."):
        return _make_rename("stlstm_layer", ST_LSTM, layer=lambda _: "cells.0.cell.")(name)
    if name.startswith("stlstm_layer_diff."):
        ours = _make_rename("stlstm_layer_diff", MIM_N, unused=["conv_last"], layer=lambda n: f"cells.{n + 1}.")(name)
        return re.sub(r"\.(ct_weight|oc_weight)$", r".mim_n.\1", ours) if ours else ours
    ours = _make_rename("stlstm_layer", MIM_BLOCK)(name)
    return re.sub(r"\.(ct_weight|oc_weight)$", r".mim_s.\1", ours) if ours else ours


def _order_predrnn_pp(name: str) -> tuple[int, ...] | None:
    return IGFO if ".conv_c2m." in name else None


def _order_mim(name: str) -> tuple[int, ...] | None:
    if not name.startswith("cells.") or name.startswith("cells.0.") or "fusion" in name or "_weight" in name:
        return None
    return IGO if ".conv_t." in name else IGFO


def _keep_order(name: str) -> None:
    return None


_ST = _make_rename("cell_list", ST_LSTM)
_V1, _V2 = PublishedFamily(PredRNN, _ST, _keep_order), PublishedFamily(PredRNNV2, _ST, _keep_order)
FAMILIES: dict[str, dict[str, PublishedFamily]] = {
    "predrnn-pytorch": {"predrnn": _V1, "predrnn_v2": _V2},
    "openstl": {
        "convlstm": PublishedFamily(
            lambda **sizes: ConvLSTM(bias=False, **sizes),
            _make_rename("cell_list", {"conv_x": "conv_x", "conv_h": "conv_h"}, unused=["conv_o", "conv_last"]),
            _keep_order,
        ),
        "predrnn": _V1,
        "predrnn_v2": _V2,
        "predrnn_pp": PublishedFamily(
            lambda **sizes: PredRNNPP(bias=False, **sizes), _rename_predrnn_pp, _order_predrnn_pp
        ),
        "mim": PublishedFamily(lambda **sizes: MIM(variant="openstl", **sizes), _rename_mim, _order_mim),
    },
}
