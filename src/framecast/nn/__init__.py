"""Recurrent networks: the contract of a cell, the network of cells, the rollout through time."""

from framecast.nn.cell import Cell, Memory, Step
from framecast.nn.conv import GateConv
from framecast.nn.network import Network, pixel_head
from framecast.nn.rollout import Rollout, rollout

__all__ = ["Cell", "GateConv", "Memory", "Network", "Rollout", "Step", "pixel_head", "rollout"]
