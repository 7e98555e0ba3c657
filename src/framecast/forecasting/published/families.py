"""Families of published networks: their parameter names in ours, and the order of their gates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, get_args

from framecast.forecasting.published.networks import PUBLISHED
from framecast.forecasting.published.rules import PublishedNetwork
from framecast.models import MIM, ConvLSTM, ModelConfig, PredRNN, PredRNNPP, PredRNNV2

CodeBase = Literal["predrnn-pytorch", "openstl", "official"]
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
_STACKS: dict[str, dict[str, PublishedFamily | PublishedNetwork]] = {
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
FAMILIES = {base: {**_STACKS.get(base, {}), **PUBLISHED[base]} for base in get_args(CodeBase)}
"""All networks by code base; "official" is a network's own repository."""
