"""Published weights of SimVP and TAU, of OpenSTL."""

from __future__ import annotations

import re
from typing import Any

from framecast.forecasting.published.rules import Inferred, PublishedNetwork, Weights, count_parts, make_rules
from framecast.models.config import ModelConfig
from framecast.models.direct.simvp import SimVP
from framecast.models.direct.tau import TAU

_PARTS = {
    "attn.proj_1": "attention.enter",
    "attn.proj_2": "attention.leave",
    "attn.spatial_gating_unit.conv0": "attention.near",
    "attn.spatial_gating_unit.conv_spatial": "attention.far",
    "attn.spatial_gating_unit.conv1": "attention.join",
    "attn.spatial_gating_unit.fc.0": "attention.squeeze",
    "attn.spatial_gating_unit.fc.2": "attention.excite",
    "mlp.fc1": "widen",
    "mlp.dwconv.dwconv": "mix",
    "mlp.fc2": "narrow",
}
_HALVES = {"enc": "first", "dec": "second"}


def _rename_block(block: str, part: str) -> str:
    """Rename a parameter or a running statistic of a gated block."""
    name, _, kind = part.rpartition(".")
    if kind == "num_batches_tracked":
        return ""
    if part.startswith("layer_scale_"):
        return f"body.translator.{block}.scale{part[-1]}"
    return f"body.translator.{block}.{_PARTS.get(name, name)}.{kind}"


_RULES = make_rules(
    (r"enc\.enc\.#\.conv\.(conv|norm)\.=", "body.encoder.{0}.{1}.{2}"),
    (r"dec\.dec\.#\.conv\.conv(?:\.0)?\.=", "body.decoder.{0}.conv.{1}"),
    (r"dec\.dec\.#\.conv\.norm\.=", "body.decoder.{0}.norm.{1}"),
    (r"dec\.readout\.=", "body.leave.{0}"),
    (r"hid\.enc\.#\.block\.(.+)", _rename_block),
    (r"hid\.enc\.#\.reduction\.=", "body.translator.{0}.reduce.{1}"),
    (r"hid\.(enc|dec)\.#\.conv1\.=", lambda half, block, kind: f"body.translator.{_HALVES[half]}.{block}.enter.{kind}"),
    (
        r"hid\.(enc|dec)\.#\.layers\.#\.(conv|norm)\.=",
        lambda half, block, size, part, kind: f"body.translator.{_HALVES[half]}.{block}.{part}s.{size}.{kind}",
    ),
)


def _arrange(weights: Weights) -> Weights:
    """Give the scales of channels the axes of a map."""
    return {
        name: value[:, None, None] if re.search(r"\.scale[12]$", name) else value for name, value in weights.items()
    }


def _infer(weights: Weights) -> Inferred:
    hidden, channels = weights["body.encoder.0.conv.weight"].shape[:2]
    incepu = "body.translator.first.0.enter.weight" in weights
    place = r"body\.translator\.first\.(\d+)\." if incepu else r"body\.translator\.(\d+)\."
    first = weights["body.translator.first.0.enter.weight" if incepu else "body.translator.0.attention.enter.weight"]
    inner = weights["body.translator.first.0.convs.0.weight" if incepu else "body.translator.0.reduce.weight"]
    fields: dict[str, Any] = {
        "frames": first.shape[1] // hidden,
        "hidden": hidden,
        "translator_hidden": len(inner),
        "layers": count_parts(weights, r"body\.encoder\.(\d+)\."),
        "blocks": count_parts(weights, place),
    }
    is_tau = any("attention.squeeze" in name for name in weights)
    config: ModelConfig = TAU(**fields) if is_tau else SimVP(translator="incepu" if incepu else "gsta", **fields)
    return Inferred(config, channels)


DIRECT = PublishedNetwork(_RULES, _infer, _arrange)
