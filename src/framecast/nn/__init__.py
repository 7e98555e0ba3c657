"""Networks for sequences of frames: the contract of a cell, three kinds of network, the rollout through time."""

from framecast.nn.cell import Cell, Memory, Step
from framecast.nn.conv import GateConv
from framecast.nn.direct_network import DirectNetwork
from framecast.nn.encoder_forecaster import EncoderForecaster
from framecast.nn.network import Advance, Network, SequenceNetwork, Stem, pixel_head
from framecast.nn.rollout import Rollout, rollout

__all__ = [
    "Advance",
    "Cell",
    "DirectNetwork",
    "EncoderForecaster",
    "GateConv",
    "Memory",
    "Network",
    "Rollout",
    "SequenceNetwork",
    "Stem",
    "Step",
    "pixel_head",
    "rollout",
]
