"""Published weights of SwinLSTM, PredRNN-V3 and E3D-LSTM."""

from __future__ import annotations

import math
import re
from typing import Any

from framecast.forecasting.published.rules import Inferred, PublishedNetwork, Weights, count_parts, make_rules
from framecast.models.attention.e3d_lstm import E3DLSTM
from framecast.models.attention.predrnn_v3 import PredRNNV3
from framecast.models.attention.swinlstm import SwinLSTMB, SwinLSTMD
from framecast.models.config import ModelConfig

_EMBED = {"proj": "embed", "norm": "norm"}
_SWIN_PARTS = {
    "norm1": "norm1",
    "norm2": "norm2",
    "red": "join",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.proj",
    "mlp.fc1": "fc1",
    "mlp.fc2": "fc2",
}


def _rename_swin(half: str | None, cell: str | None, block: str, part: str) -> str:
    """Rename a parameter of a block; those of a second half are numbered later."""
    name, _, kind = part.rpartition(".")
    if kind in ("attn_mask", "relative_position_index") or (name == "red" and int(block) % 2):
        return ""
    ours = "attention.table" if kind == "relative_position_bias_table" else f"{_SWIN_PARTS[name]}.{kind}"
    place = {"Downsample": f"cells.{cell}.cell", "Upsample": f"up.{cell}.cell"}.get(half or "", f"cells.{cell or 0}")
    return f"{place}.blocks.{block}.{ours}"


_SWIN = make_rules(
    (r"(?:ST|Downsample)\.patch_embed\.(proj|norm)\.=", lambda part, kind: f"stem.{_EMBED[part]}.{kind}"),
    (r"Upsample\.patch_embed\..*", lambda: ""),
    (
        r"(?:ST|(Downsample|Upsample))\.layers?(?:\.#)?\.(?:Swin\.layers|STBs)\.#\."
        r"((?:norm1|norm2|red|attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)\.(?:weight|bias)"
        r"|attn_mask|attn\.(?:relative_position_index|relative_position_bias_table))",
        _rename_swin,
    ),
    (r"Downsample\.downsample\.#\.(norm|reduction)\.=", "cells.{0}.resample.{1}.{2}"),
    (r"Upsample\.upsample\.#\.(norm|expand)\.=", "up.{0}.resample.{1}.{2}"),
    (r"(?:ST\.PatchInflated\.ConvT|ST\.patch_inflated\.Conv|Upsample\.Unembed\.Conv)\.=", "head.leave.{0}"),
)


def _arrange_swin(weights: Weights) -> Weights:
    """Number the cells of the second half after those of the first."""
    first = count_parts(weights, r"cells\.(\d+)\.")
    return {
        re.sub(r"^up\.(\d+)", lambda match: f"cells.{first + int(match[1])}", name): value
        for name, value in weights.items()
    }


def _infer_swinlstm(weights: Weights) -> Inferred:
    doubles = any(".cell." in name for name in weights)
    place = r"cells\.{}\.cell\.blocks\." if doubles else r"cells\.{}\.blocks\."
    cells = count_parts(weights, r"cells\.(\d+)\.")
    depths = tuple(count_parts(weights, place.format(number) + r"(\d+)\.") for number in range(cells))
    tables = [weights[f"{place.format(number)}0.attention.table".replace("\\", "")] for number in range(cells)]
    windows = [(math.isqrt(len(table)) + 1) // 2 for table in tables]
    embed = weights["stem.embed.weight"]
    fields: dict[str, Any] = {"hidden": len(embed), "window": max(windows), "shrink": embed.shape[-1]}
    if not doubles:
        config: ModelConfig = SwinLSTMB(depths=depths, heads=tuple(table.shape[1] for table in tables), **fields)
        return Inferred(config, embed.shape[1], least=windows[0] * embed.shape[-1])
    half = cells // 2
    heads = tuple(table.shape[1] for table in tables[:half])
    config = SwinLSTMD(depths_down=depths[:half], depths_up=depths[half:], heads=heads, **fields)
    return Inferred(config, embed.shape[1], least=windows[half] * embed.shape[-1] * 2**half)


SWINLSTM = PublishedNetwork(_SWIN, _infer_swinlstm, _arrange_swin)

_V3_PARTS = {
    "conv1.0": "conv1",
    "conv1.2": "conv2",
    "conv2.1": "squeeze",
    "conv2.3": "excite",
    "attn.qkv": "attention.qkv",
    "attn.proj": "attention.proj",
    "gate.fc1_g": "fc_g",
    "gate.fc1_x": "fc_x",
    "gate.fc2": "fc",
    "norm3": "norm",  # of old checkpoints
}


def _arrange_v3(weights: Weights) -> Weights:
    """Turn 1 x 1 convolutions of pooled maps into matrices."""
    return {
        name: value[:, :, 0, 0] if re.search(r"\.(squeeze|excite)\.weight$", name) else value
        for name, value in weights.items()
    }


def _infer_v3(weights: Weights) -> Inferred:
    embed, table = weights["stem.embed.weight"], weights["cells.0.time.0.attention.table"]
    n, shrink = embed.shape[0], embed.shape[-1]
    height, width = weights["stem.norm.weight"].shape[1:]
    hidden = (n,) * count_parts(weights, r"cells\.(\d+)\.")
    kernel = weights["cells.0.mix_o.conv.weight"].shape[-1]
    config = PredRNNV3(hidden=hidden, kernel_size=kernel, heads=table.shape[1], shrink=shrink, layer_norm="chw")
    return Inferred(config, embed.shape[1], (height * shrink, width * shrink))


PREDRNN_V3 = PublishedNetwork(
    make_rules(
        (r"proj\.=", "stem.embed.{0}"),
        (r"norm\.=", "stem.norm.{0}"),
        (r"cell_list\.#\.conv\.=", "cells.{0}.enter.{1}"),
        (
            r"cell_list\.#\.conv_batch\.#\.(conv1\.[02]|conv2\.[13])\.=",
            lambda cell, block, part, kind: f"cells.{cell}.space.{block}.{_V3_PARTS[part]}.{kind}",
        ),
        (
            r"cell_list\.#\.trans_batch\.#\.(norm[123]?|attn\.qkv|attn\.proj|gate\.fc1_g|gate\.fc1_x|gate\.fc2)\.=",
            lambda cell, block, part, kind: f"cells.{cell}.time.{block}.{_V3_PARTS.get(part, part)}.{kind}",
        ),
        (
            r"cell_list\.#\.trans_batch\.#\.attn\.relative_position_bias_table",
            "cells.{0}.time.{1}.attention.table",
        ),
        (r"cell_list\.[0-9]+\.trans_batch\.[0-9]+\.attn\.relative_position_index", lambda: ""),
        (r"cell_list\.#\.conv_o\.conv_cnn\.=", "cells.{0}.mix_o.conv.{1}"),
        (r"cell_list\.#\.conv_o\.conv1\.=", "cells.{0}.mix_o.join.{1}"),
        (r"cell_list\.#\.conv_last\.conv_cnn\.=", "cells.{0}.mix_h.conv.{1}"),
        (r"cell_list\.#\.conv_last\.conv1\.=", "cells.{0}.mix_h.join.{1}"),
        (r"conv_last\.=", "head.{0}"),
    ),
    _infer_v3,
    _arrange_v3,
)


_E3D_PARTS = {
    "conv_h": "conv_h",
    "conv_x": "conv_x",
    "conv_gm": "conv_m",
    "conv_new_cell": "conv_c",
    "conv_new_gm": "conv_n",
}


def _infer_e3d(weights: Weights) -> Inferred:
    norm, conv = weights["cells.0.norm_c.weight"], weights["cells.0.conv_x.conv.weight"]
    hidden = (len(norm),) * count_parts(weights, r"cells\.(\d+)\.")
    is_normed = "cells.0.conv_x.norm.weight" in weights
    config = E3DLSTM(
        hidden=hidden,
        kernel_size=conv.shape[-1],
        variant="openstl",
        memory="published",
        layer_norm=is_normed,
        tau=20,  # all cells of the published 10 + 10 frames
    )
    return Inferred(config, len(weights["head.weight"]), (norm.shape[-2], norm.shape[-1]))


E3D_LSTM = PublishedNetwork(
    make_rules(
        (
            r"cell_list\.#\.(conv_(?:h|x|gm|new_cell|new_gm))\.0\.conv3d\.=",
            lambda cell, part, kind: f"cells.{cell}.{_E3D_PARTS[part]}.conv.{kind}",
        ),
        (
            r"cell_list\.#\.(conv_(?:h|x|gm|new_cell|new_gm))\.1\.=",
            lambda cell, part, kind: f"cells.{cell}.{_E3D_PARTS[part]}.norm.{kind}",
        ),
        (r"cell_list\.#\.conv_last\.conv3d\.=", "cells.{0}.fusion.{1}"),
        (r"cell_list\.#\._norm_c_t\.=", "cells.{0}.norm_c.{1}"),
        (r"conv_last\.=", "head.{0}"),
    ),
    _infer_e3d,
    # kernels of two frames are kernels of both frames' channels
    lambda weights: {name: value.flatten(1, 2) if value.ndim == 5 else value for name, value in weights.items()},
)
