"""Registry of the networks, one paper in one file each: a name here is a name in recipes and commands."""

from __future__ import annotations

from framecast.models.base_alone import BaseAlone
from framecast.models.config import ConvConfig, ModelConfig, build_network
from framecast.models.convlstm import ConvLSTM
from framecast.models.lstm import LSTM
from framecast.models.memory_flow import MemoryFlow
from framecast.models.mim import MIM
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
}


def find_config(name: str) -> type[ModelConfig] | None:
    """Find the configuration of a registered network by name, or that of a base alone; None where there is none."""
    return BaseAlone if name == BaseAlone().name else MODELS.get(name)


__all__ = [
    "LSTM",
    "MIM",
    "MODELS",
    "BaseAlone",
    "ConvConfig",
    "ConvLSTM",
    "MemoryFlow",
    "ModelConfig",
    "PredRNN",
    "PredRNNPP",
    "PredRNNV2",
    "build_network",
    "find_config",
]
