"""Published weights of ConvGRU, action-conditioned PredRNN, MotionRNN, MAU and PhyDNet."""

from __future__ import annotations

from typing import Any

import torch

from framecast.forecasting.published.rules import Inferred, PublishedNetwork, Weights, count_parts, make_rules
from framecast.models.action_predrnn import ActionPredRNN
from framecast.models.attention.mau import MAU
from framecast.models.convgru import ConvGRU
from framecast.models.motionrnn import MotionRNN
from framecast.models.phydnet import PhyDNet


def _infer_convgru(weights: Weights) -> Inferred:
    bottom = weights["encoder.0.cell.conv_n.weight"]
    fields: dict[str, Any] = {"levels": count_parts(weights, r"encoder\.(\d+)\."), "kernel_size": bottom.shape[-1]}
    return Inferred(ConvGRU(noise=True, **fields), bottom.shape[0])  # both code bases train with noise


_GRU = {"combined_gates": "conv_zr", "out_gate": "conv_n"}
CONVGRU = PublishedNetwork(
    make_rules(
        (
            r"(encoder|decoder)\.blocks\.#\.convgru\.cell\.(combined_gates|out_gate)\.=",
            lambda half, block, conv, kind: (
                f"{'encoder' if half == 'encoder' else 'forecaster'}.{block}.cell.{_GRU[conv]}.{kind}"
            ),
        )
    ),
    _infer_convgru,
)

_FRAME_CONVS = {"1": "0", "2": "1"}


def _infer_action(weights: Weights) -> Inferred:
    into = weights["stem.frame.0.weight"]
    layers = count_parts(weights, r"cells\.(\d+)\.")
    hidden = (weights["cells.0.fusion.weight"].shape[0],) * layers
    norm = weights.get("cells.0.conv_x.norm.weight")
    fields: dict[str, Any] = {
        "hidden": hidden,
        "kernel_size": into.shape[-1],
        "layer_norm": None if norm is None else "chw",
    }
    size = None if norm is None else (4 * norm.shape[-2], 4 * norm.shape[-1])
    return Inferred(ActionPredRNN(decoupling="regularizer.adapter.weight" in weights, **fields), into.shape[1], size)


ACTION = PublishedNetwork(
    make_rules(
        (r"conv_input([12])\.weight", lambda n: f"stem.frame.{_FRAME_CONVS[n]}.weight"),
        (r"action_conv_input([12])\.weight", lambda n: f"stem.action.{_FRAME_CONVS[n]}.weight"),
        (r"deconv_output([12])\.weight", "head.up{0}.weight"),
        (r"cell_list\.#\.(conv_[xhamo])\.0\.=", "cells.{0}.{1}.{2}"),
        (r"cell_list\.#\.(conv_[xhamo])\.1\.=", "cells.{0}.{1}.norm.{2}"),
        (r"cell_list\.#\.conv_last\.=", "cells.{0}.fusion.{1}"),
        (r"adapter\.weight", "regularizer.adapter.weight"),
    ),
    _infer_action,
)

_MOTION = {
    "enc_list": "shrink",
    "dec_list": "grow",
    "gate_list": "conv_b",
    "update": "motion.conv_u",
    "reset": "motion.conv_r",
    "output": "motion.conv_f",
    "warp.warp_gate": "motion.conv_g",
    "warp.conv": "motion.warp",
}


def _infer_motionrnn(weights: Weights) -> Inferred:
    bottom, norm = weights["cells.0.cell.conv_x.weight"], weights.get("cells.0.cell.conv_x.norm.weight")
    hidden = (weights["cells.0.enter.weight"].shape[0],) * count_parts(weights, r"cells\.(\d+)\.")
    config = MotionRNN(hidden=hidden, kernel_size=bottom.shape[-1], layer_norm=None if norm is None else "chw")
    return Inferred(config, weights["head.weight"].shape[0], None if norm is None else (norm.shape[-2], norm.shape[-1]))


MOTIONRNN = PublishedNetwork(
    make_rules(
        (r"cell_list\.#\.(conv_[xhmo])\.0\.=", "cells.{0}.cell.{1}.{2}"),
        (r"cell_list\.#\.(conv_[xhmo])\.1\.=", "cells.{0}.cell.{1}.norm.{2}"),
        (r"cell_list\.#\.conv_last\.=", "cells.{0}.cell.fusion.{1}"),
        (r"(enc_list|dec_list|gate_list)\.#\.=", lambda part, layer, kind: f"cells.{layer}.{_MOTION[part]}.{kind}"),
        (
            r"motion_list\.#\.(update|reset|output|warp\.warp_gate|warp\.conv)\.=",
            lambda layer, part, kind: f"cells.{layer}.{_MOTION[part]}.{kind}",
        ),
        (r"conv_first_v\.weight", "cells.0.enter.weight"),
        (r"conv_last\.weight", "head.weight"),
    ),
    _infer_motionrnn,
    lambda weights: {
        name: value.flatten(1)[:, :, None, None] if name.endswith("motion.warp.weight") else value
        for name, value in weights.items()
    },
)


def _infer_mau(weights: Weights) -> Inferred:
    gates, leave = weights["cells.0.conv_t.weight"], weights["head.leave.weight"]
    shrink = 2 ** count_parts(weights, r"stem\.down\.(\d+)\.")
    hidden = (leave.shape[1],) * count_parts(weights, r"cells\.(\d+)\.")
    height, width = weights["cells.0.conv_t.norm.weight"].shape[1:]
    config = MAU(hidden=hidden, kernel_size=gates.shape[-1], shrink=shrink, layer_norm="chw")
    return Inferred(config, leave.shape[0], (height * shrink, width * shrink))


MAU_WEIGHTS = PublishedNetwork(
    make_rules(
        (r"encoders\.0\.encoder_t_conv-1\.=", "stem.enter.{0}"),
        (r"encoders\.[0-9]+\.encoder_t#\.=", "stem.down.{0}.{1}"),
        (r"cell_list\.#\.(conv_[ts](?:_next)?)\.0\.=", "cells.{0}.{1}.{2}"),
        (r"cell_list\.#\.(conv_[ts](?:_next)?)\.1\.=", "cells.{0}.{1}.norm.{2}"),
        (r"decoders\.[0-9]+\.c_decoder#\.=", "head.up.{0}.{1}"),
        (r"srcnn\.0\.=", "head.leave.{0}"),
        (r"(?:merge|conv_last_sr)\.=", lambda kind: ""),
    ),
    _infer_mau,
)

_PHYDNET_PARTS = {
    "encoder_E": "stem.blocks",
    "encoder_Ep": "cells.0.encode_p",
    "encoder_Er": "cells.0.encode_r",
    "decoder_Dp": "cells.0.decode_p",
    "decoder_Dr": "cells.0.decode_r",
    "decoder_D": "head.blocks",
}
_PHYCELL = {"F.conv1": "derivatives", "F.bn1": "norm", "F.conv2": "combine", "convgate": "conv_k"}


def _infer_phydnet(weights: Weights) -> Inferred:
    cells = count_parts(weights, r"cells\.0\.cells\.(\d+)\.")
    hidden = tuple(weights[f"cells.0.cells.{number}.conv_h.weight"].shape[1] for number in range(cells))
    # the strides leave no trace in the shapes: 4 is that of all published settings but one, 2 for TaxiBJ
    return Inferred(PhyDNet(hidden=hidden), weights["head.leave.weight"].shape[1])


def _arrange_phydnet(weights: Weights) -> Weights:
    """Divide each ConvLSTM's one convolution of [x; h], blocks (i, f, o, g), into ours of x and of h."""
    ours = {}
    for name, value in weights.items():
        if name.endswith(".conv.bias") and ".cells." in name:
            i, f, o, g = value.chunk(4)
            ours[name.replace(".conv.", ".conv_x.")] = torch.cat([i, f, g, o])
        elif name.endswith(".conv.weight") and ".cells." in name:
            i, f, o, g = value.chunk(4)
            hidden = len(i)
            joint = torch.cat([i, f, g, o])
            ours[name.replace(".conv.", ".conv_x.")] = joint[:, : joint.shape[1] - hidden]
            ours[name.replace(".conv.", ".conv_h.")] = joint[:, joint.shape[1] - hidden :]
        else:
            ours[name] = value
    return ours


PHYDNET = PublishedNetwork(
    make_rules(
        # OpenSTL registers both recurrent modules twice
        (r"encoder\.(?:phycell|convcell)\..*", lambda: ""),
        (r"k2m\..*|.*\.k2m\..*", lambda: ""),
        (
            r"(?:encoder\.)?(encoder_E|encoder_Ep|encoder_Er|decoder_Dp|decoder_Dr|decoder_D)"
            r"\.(?:up)?c([1-3])\.main\.([01])\.=",
            lambda part, number, kind, name: (
                f"{_PHYDNET_PARTS[part]}.{int(number) - 1}.{('conv', 'norm')[int(kind)]}.{name}"
            ),
        ),
        (r"(?:encoder\.)?decoder_D\.upc3\.=", "head.leave.{0}"),
        (
            r"phycell\.cell_list\.0\.(F\.conv1|F\.bn1|F\.conv2|convgate)\.=",
            lambda part, kind: f"cells.0.phycell.{_PHYCELL[part]}.{kind}",
        ),
        (r"convcell\.cell_list\.#\.conv\.=", "cells.0.cells.{0}.conv.{1}"),
    ),
    _infer_phydnet,
    _arrange_phydnet,
)
