"""Workload of a benchmark: moving digits, a mask of true frames, and a network with the setting's seed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from framecast.bench.settings import Setting
from framecast.data import DataConfig, MovingMNISTConfig, open_data
from framecast.forecasting.forecaster import Forecaster
from framecast.transforms.normalize import Range
from framecast.types import FrameSpec

GREY = (0.0, 255.0)
"""Value range of the frames, grey levels."""


class Workload(NamedTuple):
    """Batch that all implementations compute."""

    setting: Setting
    model: str
    frames: Tensor
    """(B, T, 1, H, W), raw units."""
    known: Tensor
    """(B, T - 1), True at steps of a training that are fed the true frame."""

    @property
    def context(self) -> Tensor:
        """(B, J, 1, H, W), frames that a forecast is given, raw units."""
        return self.frames[:, : self.setting.context]


def make_workload(setting: Setting, model: str, batch: int) -> Workload:
    """Make moving digits, and a mask in which half of the free steps are fed true frames."""
    moving = DataConfig(moving_mnist=MovingMNISTConfig(size=setting.size))
    data = open_data(moving, context=setting.context, horizon=setting.horizon, seed=setting.seed)
    windows = [data.window("train", 0, index).frames for index in range(batch)]
    draw = torch.rand(batch, setting.frames - 1, generator=torch.Generator().manual_seed(setting.seed))
    known = draw < 0.5
    known[:, : find_first_free_step(setting, model)] = True
    return Workload(setting, model, torch.stack([torch.from_numpy(window) for window in windows]), known)


def find_first_free_step(setting: Setting, model: str) -> int:
    """First step that may be fed a prediction in training: the end of the context, or step 1 for PredRNN-V2."""
    # PredRNN-V2 trains with reverse scheduled sampling, which feeds predictions within the context.
    return 1 if model == "predrnn_v2" else setting.context


def make_forecaster(setting: Setting, model: str) -> Forecaster:
    """Make a network with the setting's seed, for frames of 0 to 255 grey levels."""
    height, width = setting.size
    spec = FrameSpec(channels=1, height=height, width=width, units="grey level", low=GREY[0], high=GREY[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.seed)
        return Forecaster(setting.make_config(model), spec, Range(low=GREY[0], high=GREY[1]), setting.patch)
