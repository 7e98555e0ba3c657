"""What is measured."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from framecast.errors import UsageError
from framecast.models import MIM, ConvLSTM, ModelConfig, PredRNN, PredRNNPP, PredRNNV2

Task = Literal["train", "inference"]
TASKS: tuple[Task, ...] = ("train", "inference")
_FORMS: dict[str, Callable[..., ModelConfig]] = {
    "convlstm": lambda **sizes: ConvLSTM(bias=False, **sizes),
    "predrnn": PredRNN,
    "predrnn_v2": PredRNNV2,
    "predrnn_pp": lambda **sizes: PredRNNPP(bias=False, **sizes),
    "mim": lambda **sizes: MIM(variant="openstl", **sizes),
}
BENCHED = tuple(_FORMS)
"""The networks that a published PyTorch code has."""
DECOUPLING = 0.1
"""Weight of PredRNN-V2's decoupling loss, the official one for Moving MNIST."""


class Setting(BaseModel):
    """The size of everything. The defaults are the standard setting: Moving MNIST as published.

    Args:
        name: what tables call it.
        size: (height, width) of a frame, pixels.
        patch: P; the map has (height / P) x (width / P) cells.
        hidden: channels of each layer.
        kernel_size: k.
        context: frames in.
        horizon: frames out.
        train_batches: sequences at a time, in training.
        inference_batches: sequences at a time, in inference.
        gate_batch: sequences at a time, where contenders are compared before they are timed.
        lr: of Adam; at 1e-3 the first steps from scratch are chaotic, and any rounding decides where they go.
        seed: of weights, data and masks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "standard"
    size: tuple[int, int] = (64, 64)
    patch: int = Field(4, ge=1)
    hidden: tuple[int, ...] = (128, 128, 128, 128)
    kernel_size: int = 5
    context: int = Field(10, ge=1)
    horizon: int = Field(10, ge=1)
    train_batches: tuple[int, ...] = (8,)
    inference_batches: tuple[int, ...] = (1, 8)
    gate_batch: int = Field(1, ge=1)
    lr: float = 1e-4
    seed: int = 0

    def config(self, model: str) -> ModelConfig:
        """The network in its published PyTorch form: OpenSTL's ConvLSTM, PredRNN++ and MIM, predrnn-pytorch's others.

        Raises:
            UsageError: a network without such a form.
        """
        if model not in _FORMS:
            near = difflib.get_close_matches(model, _FORMS, 1)
            raise UsageError(
                "--models",
                got=model,
                expected=f"one of {', '.join(_FORMS)}",
                fix=f"did you mean {near[0]}?" if near else None,
            )
        return _FORMS[model](hidden=self.hidden, kernel_size=self.kernel_size)

    def decoupling(self, model: str) -> float:
        """The weight of the decoupling loss in the training of a network."""
        return DECOUPLING if model == "predrnn_v2" else 0.0

    @property
    def frames(self) -> int:
        """T, frames of a sequence."""
        return self.context + self.horizon

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        return -(-self.size[0] // self.patch), -(-self.size[1] // self.patch)

    def batches(self, task: Task) -> tuple[int, ...]:
        """Batch sizes of a task."""
        return self.train_batches if task == "train" else self.inference_batches


SETTINGS = {
    setting.name: setting
    for setting in (
        Setting(),
        Setting(name="radar", size=(140, 140), train_batches=(2,), inference_batches=(1,)),
        Setting(name="kernel3", kernel_size=3, inference_batches=(8,)),
        Setting(
            name="quick",
            size=(32, 32),
            hidden=(16, 16),
            context=4,
            horizon=4,
            train_batches=(2,),
            inference_batches=(1,),
        ),
    )
}
"""standard; the 140 x 140 radar (35 x 35 cells); 3 x 3 kernels; one small enough to see in seconds that all works."""


def find_setting(name: str) -> Setting:
    """The setting of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in SETTINGS:
        raise UsageError("--setting", got=name, expected=f"one of {', '.join(SETTINGS)}")
    return SETTINGS[name]
