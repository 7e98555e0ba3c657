"""How the official TensorFlow graphs of PredRNN++, MIM and E3D-LSTM name and order what our networks hold."""

import re

import torch
from torch import Tensor

IGFO, IGO, IGF = (0, 2, 1, 3), (0, 1, 2), (0, 2, 1)
PP = {
    "temporal_state_transition": ("conv_h", "h2c", IGFO),
    "temporal_memory_transition": ("conv_c", "c2c", IGF),
    "spatial_memory_transition": ("conv_m", "m2m", None),
    "input_to_state": ("conv_x", "x2c", (0, 2, 1, 4, 6, 5, 3)),
    "c2m": ("conv_c2m", "c2m", IGFO),
    "m_to_o": ("conv_om", "m2o", None),
    "memory_reduce": ("fusion", "-", None),
}
HIGHWAY = {"state_to_state": "conv_z", "input_to_state": "conv_x"}
MIM_BLOCK = {
    "time_state_to_state": "conv_t",
    "spatio_state_to_state": "conv_s",
    "input_to_state": "conv_x",
    "cell_reduce": "fusion",
}
MIM_MODULE = {"state_to_state": "conv_h", "input_to_state": "conv_x"}
KINDS = {"/kernel": "weight", "/bias": "bias", "s": "norm.weight", "b": "norm.bias"}


def permuted(value: Tensor, order: tuple[int, ...] | None) -> Tensor:
    return value if order is None else torch.cat([value.chunk(len(order))[j] for j in order])


def split_kind(name: str, stems: dict) -> tuple[str, str]:
    """`c2ms` to (`c2m`, norm.weight), `c2m/kernel` to (`c2m`, weight)."""
    for stem in sorted(stems, key=len, reverse=True):
        for suffix, kind in KINDS.items():
            if name == stem + suffix:
                return stem, kind
    raise KeyError(name)


def predrnn_pp(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    ours = {}
    norms = {norm: stem for stem, (_, norm, _) in PP.items()}
    for name, value in theirs.items():
        _, scope, *rest = name.split("/", 2)
        if match := re.fullmatch(r"lstm_(\d+)", scope):
            layer = int(match[1]) - 1
            stems = {**PP, **norms} if "/" not in rest[0] else PP
            stem, kind = split_kind(rest[0], stems)
            conv, _, order = PP[norms[stem] if kind.startswith("norm") else stem]
            ours[f"cells.{layer + (layer > 0)}.{conv}.{kind}"] = permuted(value, order)
        elif scope == "highway":
            stem, kind = split_kind(rest[0], HIGHWAY)
            ours[f"cells.1.{HIGHWAY[stem]}.{kind}"] = value
        else:
            ours["head.weight" if name.endswith("kernel") else "head.bias"] = value
    return ours


def mim(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    ours: dict[str, Tensor] = {}
    for name, value in theirs.items():
        parts = name.split("/")
        rest = "/".join(parts[2:])
        if match := re.fullmatch(r"stlstm_diff(\d+)", parts[1]):
            module(ours, f"cells.{match[1]}.mim_n", rest, value)
        elif match := re.fullmatch(r"stlstm_(\d+)", parts[1]):
            layer = int(match[1]) - 1
            if parts[2] == parts[1]:
                module(ours, f"cells.{layer}.mim_s", "/".join(parts[3:]), value)
                continue
            stem, kind = split_kind(rest, MIM_BLOCK)
            conv = MIM_BLOCK[stem]
            order = None if conv == "fusion" else IGO if conv == "conv_t" and layer else IGFO
            ours[f"cells.{layer}.{'cell.' if layer == 0 else ''}{conv}.{kind}"] = permuted(value, order)
        else:
            ours["head.weight" if name.endswith("kernel") else "head.bias"] = value
    for owner in [name.removesuffix(".c_t_weight") for name in list(ours) if name.endswith(".c_t_weight")]:
        maps = torch.cat([ours.pop(f"{owner}.c_t_weight"), ours.pop(f"{owner}.oc_weight")])
        ours[f"{owner}.peephole"] = maps.reshape(3, -1, *maps.shape[1:])
    return ours


def module(ours: dict[str, Tensor], owner: str, rest: str, value: Tensor) -> None:
    if rest in ("c_t_weight", "oc_weight"):
        ours[f"{owner}.{rest}"] = value
        return
    stem, kind = split_kind(rest, MIM_MODULE)
    ours[f"{owner}.{MIM_MODULE[stem]}.{kind}"] = permuted(value, IGFO)


E3D = {"conv3d": "conv_h", "conv3d_1": "conv_x", "conv3d_2": "conv_m", "conv3d_3": "conv_c", "conv3d_4": "conv_n"}
E3D_NORMS = {"hidden": "conv_h.norm", "inputs": "conv_x.norm", "global_memory": "conv_m.norm", "self_attn": "norm_c"}


def e3d_lstm(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Kernels of two frames become kernels of both frames' channels."""
    ours = {}
    for name, value in theirs.items():
        *owner, part, kind = name.removeprefix("generator/e3d-lstm/").split("/")
        ending = {"kernel": "weight", "gamma": "weight"}.get(kind, "bias")
        value = value.flatten(1, 2) if value.ndim == 5 else value
        if not owner:
            ours[f"head.{ending}"] = value
        else:
            place = "fusion" if part == "conv3d_5" else f"{E3D[part]}.conv" if part in E3D else E3D_NORMS[part]
            ours[f"cells.{owner[0].removeprefix('e3d')}.{place}.{ending}"] = value
    return ours
