"""No network: the base of a recipe forecasts alone, so that a fitted base is a model like any other."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from framecast.models.config import ModelConfig
from framecast.nn.network import Advance, SequenceNetwork, pixel_head
from framecast.types import Frame


class BaseAlone(ModelConfig):
    """Configuration of no network at all; its recipe has a base, and no iterations."""

    name: Literal["base"] = "base"

    @property
    def feeds_back(self) -> bool:
        """A base is never fed its own frames."""
        return False

    def build(self, channels: int, height: int, width: int, extra: int = 0) -> SequenceNetwork:
        """Build a network whose head stays zero."""
        return UnchangedBase(channels)


class UnchangedBase(SequenceNetwork):
    """Network that leaves the forecast of its base as it is: its head is zero.

    Args:
        channels: channels of a patchified frame.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.head = pixel_head(1, channels)

    def init_state(self, frame: Frame) -> Tensor:
        """Make features of one channel, zeros, of the size of `frame`."""
        return frame.new_zeros(len(frame), 1, *frame.shape[-2:])

    def observe(self, frame: Frame, state: Any) -> Advance:
        """Remember the size."""
        return Advance(None, self.init_state(frame) if state is None else state)

    def emit(self, frame: Tensor | None, state: Any, drive: Tensor | None = None) -> Advance:
        """Add nothing to what the base forecasts."""
        return Advance(self.head(state), state)
