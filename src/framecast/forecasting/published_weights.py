"""Published weights: conversion of checkpoints of predrnn-pytorch and OpenSTL to Forecasters.

Their parameter names are mapped to ours, gates that they keep in another order are permuted, and parameters that their
forward pass never uses are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from framecast.documents import explain_invalid
from framecast.errors import CheckpointError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.published.families import PublishedFamily
from framecast.forecasting.published.recognition import choose_family, describe_likeness, enumerate_names, find_names
from framecast.forecasting.published.rules import PublishedNetwork, Weights
from framecast.forecasting.weight_files import UNREADABLE, StoredTensor, measure_weights, read_torch_file
from framecast.formatting import shorten
from framecast.models import ModelConfig
from framecast.nn.norm import Norm
from framecast.transforms.normalize import Identity, Range
from framecast.types import FrameSpec


def load_published(
    path: str | Path,
    *,
    source: str | None = None,
    model: str | None = None,
    patch: int | None = None,
    size: tuple[int, int] | None = None,
    context: int | None = None,
    value_range: tuple[float, float] | None = None,
    units: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Forecaster:
    """Read a checkpoint of a published code base.

    Args:
        path: the checkpoint; opened with `weights_only=True`, so that nothing in it is executed.
        source: "predrnn-pytorch", "openstl", or "official", a network's own repository; None to find it by the names.
        model: name of the network: framecast's, for example "predrnn_v2", or the source's, for example "predrnnv2";
            None to find it by the names of the weights.
        patch: P of the training, pixels; None for the one that makes one channel, else three, of the head's: 16
            channels are taken for a patch of 4.
        size: (H, W) of a frame, pixels; for information, as weights that depend on it imply it.
        context: J of the training, for information.
        value_range: raw values that were 0 and 1 to the published class; by default raw values are its input itself.
        units: units of the value range.
        options: fields of the network that shapes do not tell: recall, residual and tau of MAU, shrink of PhyDNet.

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
    theirs = _read_weights(Path(path))
    source, model = find_names(theirs, source, model, path)
    ours, unknown = convert_names(theirs, family := choose_family(source, model))
    if unknown:
        got = f"unknown parameters {enumerate_names(unknown)}"
        raise CheckpointError(str(path), got=got, expected=f"those of {source} {model}", fix=describe_likeness(theirs))
    patch = patch or _guess_patch(ours, path)
    config, spec = _infer_config(family, ours, patch, size, path)
    config = parse_options(config, options or {})
    spec, normalizer = _scale_values(spec, config, value_range, units)

    def build() -> Forecaster:
        return Forecaster(config, spec, normalizer, patch, context=context)

    _check_weights(measure_weights(build, Path(path)), ours, path, f"{source} {model}", describe_likeness(theirs))
    forecaster = build().to(next(iter(ours.values())).dtype)
    forecaster.network.load_state_dict(ours)
    return forecaster.eval()


def _scale_values(
    spec: FrameSpec, config: ModelConfig, value_range: tuple[float, float] | None, units: str | None
) -> tuple[FrameSpec, Range | Identity]:
    """Choose value range and normalizer: the raw values that were 0 and 1, or the network's own range."""
    low, high = value_range or config.value_range or (0.0, 1.0)
    spec = spec.model_copy(update={"low": low, "high": high, "units": units or spec.units})
    return spec, Range(low=low, high=high) if value_range or config.value_range else Identity()


def parse_options(config: ModelConfig, options: Mapping[str, Any]) -> ModelConfig:
    """Set fields of a network's configuration.

    Raises:
        UsageError: a field that it does not have, or a value that it cannot have.
    """
    fields = {**config.model_dump(), **options}
    try:
        return type(config).model_validate(fields)
    except ValidationError as error:
        raise UsageError(
            "options", got=explain_invalid(error, fields).text, expected="fields of the network"
        ) from error


def _guess_patch(ours: Weights, path: str | Path) -> int:
    """Guess the patch size from the channels of the head: a square is one channel, three squares are colours.

    Networks that make the map smaller by themselves have a stem or other names, and no patches.
    """
    pixels = ours["head.weight"].shape[0] if "head.weight" in ours else 0
    if any(name.startswith(("stem.", "body.", "encoder.")) for name in ours):
        return 1
    for channels in (1, 3):
        side = math.isqrt(pixels // channels) if pixels else 0
        if side and channels * side**2 == pixels:
            return side
    raise CheckpointError(
        str(path), got=f"a head of {pixels} channels", expected="a patch size", fix="say how large patches were: patch"
    )


def _check_weights(
    parameters: Mapping[str, StoredTensor], weights: Weights, path: str | Path, expected: str, likeness: str | None
) -> None:
    """Refuse weights of other names or shapes than the network's."""
    missing, extra = sorted(parameters.keys() - weights.keys()), sorted(weights.keys() - parameters.keys())
    if missing or extra:
        lists = f"missing {enumerate_names(missing)}, too many {enumerate_names(extra)}"
        raise CheckpointError(str(path), got=lists, expected=expected, fix=likeness)
    for name, value in weights.items():
        if value.shape != parameters[name].shape:
            got, fit = tuple(value.shape), tuple(parameters[name].shape)
            raise CheckpointError(f"{path}: {name}", got=f"shape {got}", expected=f"{fit}", fix="check patch and size")


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
    if isinstance(content, dict):  # counters of batches, which no forward pass uses
        content = {name: value for name, value in content.items() if not str(name).endswith("num_batches_tracked")}
    if (
        not isinstance(content, dict)
        or not content
        or not all(isinstance(v, Tensor) and v.ndim > 0 for v in content.values())
    ):
        raise CheckpointError(
            str(path), got="no dictionary of weights", expected="net_param, state_dict, or the weights"
        )
    prefixes = ("module.", "model.", "network.")
    while prefix := next((p for p in prefixes if all(name.startswith(p) for name in content)), ""):
        content = {name.removeprefix(prefix): value for name, value in content.items()}
    return content


def convert_names(theirs: Weights, family: PublishedFamily | PublishedNetwork) -> tuple[Weights, list[str]]:
    """Rename and reorder their parameters; return the names of those that are unknown too."""
    ours: Weights = {}
    unknown = [name for name in theirs if family.rename(name) is None]
    for name, value in theirs.items():
        target = family.rename(name)
        if target:
            ours[target] = (
                value if isinstance(family, PublishedNetwork) else _permute_gates(value, family.order(target))
            )
    if isinstance(family, PublishedNetwork):
        return family.arrange(ours), unknown
    # their peepholes: (2N, H, W) of input and forget gate, and (N, H, W) of the output gate; ours are (3, N, H, W)
    for owner in {name.removesuffix(".ct_weight") for name in ours if name.endswith(".ct_weight")}:
        input_and_forget, output = ours.pop(f"{owner}.ct_weight"), ours.pop(f"{owner}.oc_weight", None)
        if output is not None and input_and_forget.shape == (2 * len(output), *output.shape[1:]):
            maps = torch.cat([input_and_forget, output])
            ours[f"{owner}.peephole"] = maps.reshape(3, -1, *maps.shape[1:])
    return ours, unknown


def _permute_gates(value: Tensor, order: tuple[int, ...] | None) -> Tensor:
    if order is None:
        return value
    blocks = value.chunk(len(order))
    return torch.cat([blocks[j] for j in order])


def _infer_config(
    family: PublishedFamily | PublishedNetwork,
    ours: Weights,
    patch: int,
    size: tuple[int, int] | None,
    path: str | Path,
) -> tuple[ModelConfig, FrameSpec]:
    """Infer configuration and spec from the shapes of the weights."""
    if isinstance(family, PublishedNetwork):
        return _infer_whole(family, ours, patch, size, path)
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


def _infer_whole(
    family: PublishedNetwork, ours: Weights, patch: int, size: tuple[int, int] | None, path: str | Path
) -> tuple[ModelConfig, FrameSpec]:
    """Infer configuration and spec by the rules of the network itself."""
    try:
        config, pixels, cells, least = family.infer(ours)
    except (KeyError, IndexError, ValueError) as error:
        raise CheckpointError(str(path), got=f"no {shorten(str(error), 80)}", expected="a complete network") from error
    if pixels % patch**2:
        raise UsageError("patch", got=patch, expected=f"one whose square divides the {pixels} channels of a frame")
    height, width = (cells[0] * patch, cells[1] * patch) if cells else (size or (least * patch,) * 2)
    if size and size != (height, width):
        raise UsageError("size", got=f"{size[0]}x{size[1]}", expected=f"{height}x{width}, as the weights say")
    return config, FrameSpec(channels=pixels // patch**2, height=height, width=width)
