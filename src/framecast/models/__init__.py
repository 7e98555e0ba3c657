"""Registry of the networks, one paper in one file each: a name here is a name in recipes and commands."""

from __future__ import annotations

from framecast.models.action_predrnn import ActionPredRNN
from framecast.models.attention.e3d_lstm import E3DLSTM
from framecast.models.attention.mau import MAU
from framecast.models.attention.predrnn_v3 import PredRNNV3
from framecast.models.attention.swinlstm import SwinLSTMB, SwinLSTMD
from framecast.models.base_alone import BaseAlone
from framecast.models.config import ConvConfig, ModelConfig, build_network
from framecast.models.convgru import ConvGRU
from framecast.models.convlstm import ConvLSTM
from framecast.models.direct.simvp import SimVP
from framecast.models.direct.tau import TAU
from framecast.models.lstm import LSTM
from framecast.models.memory_flow import MemoryFlow
from framecast.models.mim import MIM
from framecast.models.motionrnn import MotionRNN
from framecast.models.phydnet import PhyDNet
from framecast.models.predrnn import PredRNN
from framecast.models.predrnn_pp import PredRNNPP
from framecast.models.predrnn_v2 import PredRNNV2

MODELS: dict[str, type[ModelConfig]] = {
    "lstm": LSTM,
    "convlstm": ConvLSTM,
    "memory_flow": MemoryFlow,
    "predrnn": PredRNN,
    "predrnn_v2": PredRNNV2,
    "predrnn_pp": PredRNNPP,
    "mim": MIM,
    "action_predrnn": ActionPredRNN,
    "motionrnn": MotionRNN,
    "mau": MAU,
    "swinlstm_b": SwinLSTMB,
    "swinlstm_d": SwinLSTMD,
    "phydnet": PhyDNet,
    "predrnn_v3": PredRNNV3,
    "e3d_lstm": E3DLSTM,
    "simvp": SimVP,
    "tau": TAU,
    "convgru": ConvGRU,
}


def find_config(name: str) -> type[ModelConfig] | None:
    """Find the configuration of a registered network by name, or that of a base alone; None where there is none."""
    return BaseAlone if name == BaseAlone().name else MODELS.get(name)


__all__ = [
    "E3DLSTM",
    "LSTM",
    "MAU",
    "MIM",
    "MODELS",
    "TAU",
    "ActionPredRNN",
    "BaseAlone",
    "ConvConfig",
    "ConvGRU",
    "ConvLSTM",
    "MemoryFlow",
    "ModelConfig",
    "MotionRNN",
    "PhyDNet",
    "PredRNN",
    "PredRNNPP",
    "PredRNNV2",
    "PredRNNV3",
    "SimVP",
    "SwinLSTMB",
    "SwinLSTMD",
    "build_network",
    "find_config",
]
