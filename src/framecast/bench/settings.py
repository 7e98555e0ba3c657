"""Settings of a benchmark: sizes of frames, networks and batches."""

from __future__ import annotations

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
"""Names of the networks of which a PyTorch code was published."""
DECOUPLING = 0.1
"""Weight of PredRNN-V2's decoupling loss, as published for Moving MNIST."""


class Setting(BaseModel):
    """Sizes of a measurement. The defaults are the standard setting: Moving MNIST as published.

    Args:
        name: of the setting, in tables.
        size: (height, width) of a frame, pixels.
        patch: P; the map has (height / P) x (width / P) cells.
        hidden: channels of each layer.
        kernel_size: k.
        context: frames in.
        horizon: frames out.
        train_batches: sequences at a time, in training.
        inference_batches: sequences at a time, in inference.
        gate_batch: sequences at a time, where implementations are compared before they are timed.
        lr: learning rate of Adam; at 1e-3 the first steps are chaotic, and any rounding decides where they go.
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

    def make_config(self, model: str) -> ModelConfig:
        """Configure a network as in its published PyTorch code: OpenSTL, or predrnn-pytorch for PredRNN and PredRNN-V2.

        Raises:
            UsageError: no PyTorch code of the network was published.
        """
        if model not in _FORMS:
            raise UsageError.unknown("--models", model, _FORMS)
        return _FORMS[model](hidden=self.hidden, kernel_size=self.kernel_size)

    def get_decoupling(self, model: str) -> float:
        """Weight of the decoupling loss in the training of a network."""
        return DECOUPLING if model == "predrnn_v2" else 0.0

    @property
    def frames(self) -> int:
        """T, frames of a sequence."""
        return self.context + self.horizon

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the map, cells."""
        return -(-self.size[0] // self.patch), -(-self.size[1] // self.patch)

    def get_batches(self, task: Task) -> tuple[int, ...]:
        """Batch sizes of a task, sequences."""
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
"""By name: standard; radar, 140 x 140 pixels (35 x 35 cells); 3 x 3 kernels; quick, which takes seconds."""


def find_setting(name: str) -> Setting:
    """Find a setting by its name.

    Raises:
        UsageError: no setting has the name.
    """
    if name not in SETTINGS:
        raise UsageError.unknown("--setting", name, SETTINGS)
    return SETTINGS[name]
