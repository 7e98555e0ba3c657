"""Implementations that are compared: framecast with its switches, or an opponent's module. All compute one workload."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from framecast import kernels
from framecast.bench.settings import Setting
from framecast.bench.workload import GREY, Workload, find_first_free_step, make_forecaster
from framecast.errors import UsageError
from framecast.models import ModelConfig
from framecast.named_code import import_named
from framecast.nn.network import Network
from framecast.recipe.losses import LossConfig
from framecast.training.objective import Objective, trainable
from framecast.transforms.normalize import Range
from framecast.transforms.patches import patchify, unpatchify

SWITCHES = {"direct": ("highest", "fast"), "fast": ("high", "fast"), "low": ("high", "low")}
"""{name of an implementation of framecast: (its precision, its memory)}."""


@runtime_checkable
class OpponentModule(Protocol):
    """An opponent's network: a torch module that also has these methods."""

    def __call__(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Predict all frames of a sequence and compute the loss.

        Args:
            frames: (B, T, C, H, W), patches in network units; any values where the mask is 0.
            mask: (B, S, C, H, W), 1 where the true frame is fed at the last S of the T - 1 steps, else 0.
        """

    def take_weights(self, network: Network) -> None:
        """Copy all weights of framecast's network."""

    def gradients(self) -> dict[str, Tensor]:
        """Flat gradients of the last backward pass, by framecast's parameter names."""


@runtime_checkable
class OpponentFactory(Protocol):
    """Function that builds an opponent's network: `--opponent package.module:function`."""

    def __call__(
        self, config: ModelConfig, channels: int, size: tuple[int, int], *, decoupling: float
    ) -> OpponentModule:
        """Build the opponent's form of a network.

        Args:
            config: of framecast's network.
            channels: of a patchified frame.
            size: (rows, columns) of the map.
            decoupling: weight of the decoupling loss.
        """


class Implementation(ABC):
    """One implementation of a network, its training step and its forecast. The results of all are comparable."""

    name: str

    @abstractmethod
    def train_step(self, workload: Workload) -> float:
        """Compute the loss, its gradients and a step of Adam, as in a training; gives the loss, network units squared."""

    @abstractmethod
    def compute_gradients(self, workload: Workload) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss and its flat gradients by framecast's parameter names; weights stay."""

    @abstractmethod
    def predict(self, workload: Workload) -> Tensor:
        """Predict the horizon from the context: (B, K, 1, H, W), raw units."""

    @abstractmethod
    def prime(self) -> None:
        """Let Adam allocate its averages, without changing a weight."""


def _make_adam(parameters: Sequence[torch.nn.Parameter], setting: Setting) -> torch.optim.Adam:
    """Adam of every implementation: fused."""
    return torch.optim.Adam(parameters, setting.lr, fused=True)


def _prime(optimizer: torch.optim.Adam) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


class SharedTraining:
    """Network, objective and Adam, which several implementations may share; Adam is made when it is first used."""

    def __init__(self, setting: Setting, model: str, dtype: torch.dtype = torch.float32) -> None:
        self.setting = setting
        self.forecaster = make_forecaster(setting, model).to(dtype)
        self.objective = Objective(self.forecaster, LossConfig(decoupling=setting.get_decoupling(model)))
        self._optimizer: torch.optim.Adam | None = None

    @property
    def optimizer(self) -> torch.optim.Adam:
        """Adam on all weights of the network and of its loss."""
        if self._optimizer is None:
            self._optimizer = _make_adam(trainable(self.objective), self.setting)
        return self._optimizer


class FramecastImplementation(Implementation):
    """Framecast as its users have it: raw frames, its training objective and its forecasts.

    Args:
        name: of the implementation.
        training: network, objective and optimiser.
        precision: of the kernels, as for `kernels.set_precision`.
        memory: of the kernels, as for `kernels.set_memory`.
    """

    def __init__(self, name: str, training: SharedTraining, precision: str, memory: str) -> None:
        self.name, self.training, self.precision, self.memory = name, training, precision, memory

    def _compute_loss(self, workload: Workload) -> Tensor:
        frames = workload.frames
        pixels = torch.tensor(float(frames[:, 1:].numel()))
        return self.training.objective(frames, None, workload.known, pixels, 1.0)

    def train_step(self, workload: Workload) -> float:
        """Train on raw frames with the objective of `framecast train`; gives the loss."""
        with switched(self.precision, self.memory):
            self.training.optimizer.zero_grad()
            loss = self._compute_loss(workload)
            loss.backward()
            self.training.optimizer.step()
            return float(loss.detach())

    def compute_gradients(self, workload: Workload) -> tuple[Tensor, dict[str, Tensor]]:
        """Differentiate the objective; gives the loss and the gradient of each weight, flat."""
        network = self.training.forecaster.network
        with switched(self.precision, self.memory):
            network.zero_grad()
            loss = self._compute_loss(workload)
            loss.backward()
        gradients = {name: p.grad.flatten() for name, p in network.named_parameters() if p.grad is not None}
        network.zero_grad()
        return loss.detach(), gradients

    def predict(self, workload: Workload) -> Tensor:
        """Predict raw frames with `Forecaster.predict`."""
        with switched(self.precision, self.memory):
            return cast("Tensor", self.training.forecaster.predict(workload.context, workload.setting.horizon))

    def prime(self) -> None:
        """Take a step of Adam with gradients of zero."""
        _prime(self.training.optimizer)


class OpponentImplementation(Implementation):
    """An opponent's module. Work of its code outside of the network, patches above all, is not measured.

    Args:
        name: of the implementation.
        module: the network.
        setting: sizes and the learning rate of Adam.
    """

    def __init__(self, name: str, module: OpponentModule, setting: Setting) -> None:
        self.name, self.module = name, module
        self.torch_module = cast("torch.nn.Module", module)
        self.setting = setting
        self._optimizer: torch.optim.Adam | None = None
        self._patches: tuple[int, Tensor, Tensor] | None = None

    @property
    def optimizer(self) -> torch.optim.Adam:
        """Adam on all weights."""
        if self._optimizer is None:
            self._optimizer = _make_adam(list(self.torch_module.parameters()), self.setting)
        return self._optimizer

    def _prepare_batch(self, workload: Workload) -> tuple[Tensor, Tensor]:
        """Patches in network units and the mask of a training, made once for each workload, as a data loader would."""
        if self._patches is None or self._patches[0] != id(workload.frames):
            like = next(self.torch_module.parameters())
            frames = patchify(
                Range(low=GREY[0], high=GREY[1]).normalize(workload.frames.to(like.dtype)), workload.setting.patch
            )
            free = workload.known[:, find_first_free_step(workload.setting, workload.model) :]
            mask = free[:, :, None, None, None].to(like.dtype).expand(-1, -1, *frames.shape[2:]).contiguous()
            self._patches = id(workload.frames), frames, mask
        return self._patches[1], self._patches[2]

    def train_step(self, workload: Workload) -> float:
        """Train the module on patches with its loss; gives the loss."""
        with switched("highest", "fast"):
            frames, mask = self._prepare_batch(workload)
            self.optimizer.zero_grad()
            _, loss = self.module(frames, mask)
            loss.backward()
            self.optimizer.step()
            return float(loss.detach())

    def compute_gradients(self, workload: Workload) -> tuple[Tensor, dict[str, Tensor]]:
        """Differentiate the module's loss; gives the loss and the gradient of each of framecast's weights, flat."""
        self.torch_module.zero_grad()
        with switched("highest", "fast"):
            _, loss = self.module(*self._prepare_batch(workload))
            loss.backward()
        gradients = self.module.gradients()
        self.torch_module.zero_grad()
        return loss.detach(), gradients

    def predict(self, workload: Workload) -> Tensor:
        """Predict raw frames from patches, in inference mode, as framecast does."""
        setting = workload.setting
        frames, _ = self._prepare_batch(workload)
        with torch.inference_mode(), switched("highest", "fast"):
            mask = torch.zeros_like(frames[:, 1 : setting.horizon])
            future, _ = self.module(frames, mask)
            raw = unpatchify(future[:, setting.context - 1 :], setting.patch)
            return Range(low=GREY[0], high=GREY[1]).denormalize(raw)

    def prime(self) -> None:
        """Take a step of Adam with gradients of zero."""
        _prime(self.optimizer)


@contextmanager
def switched(precision: str, memory: str) -> Iterator[None]:
    """Set the precision and memory of framecast's kernels inside, and restore them afterwards."""
    before = kernels.get_precision(), kernels.get_memory()
    kernels.set_precision(precision)
    kernels.set_memory(memory)
    try:
        yield
    finally:
        kernels.set_precision(before[0])
        kernels.set_memory(before[1])


def shorten_name(name: str) -> str:
    """Shorten an opponent's import path to the module's name, and to the function's unless that is build."""
    if ":" not in name:
        return name
    module, _, function = name.partition(":")
    short = module.rpartition(".")[2]
    return short if function == "build" else f"{short}-{function}"


def import_factory(path: str) -> OpponentFactory:
    """Import the function that `package.module:function` names.

    Raises:
        UsageError: the path names no function.
    """
    factory = import_named(path, "--opponent")
    if not callable(factory):
        raise UsageError("--opponent", got=path, expected="a function that builds a network")
    return cast("OpponentFactory", factory)


def make_opponent(path: str, setting: Setting, model: str) -> OpponentImplementation:
    """Make an opponent with fresh weights; no network of framecast is made, so that none is in memory."""
    config, decoupling = setting.make_config(model), setting.get_decoupling(model)
    module = import_factory(path)(config, setting.patch**2, setting.cells, decoupling=decoupling)
    return OpponentImplementation(shorten_name(path), module, setting)


def make_implementations(names: Sequence[str], setting: Setting, model: str, *, shared: bool) -> list[Implementation]:
    """Make implementations with the same weights.

    Args:
        names: names of framecast's implementations, or import paths.
        setting: sizes.
        model: name of the network.
        shared: whether framecast's share one network and one Adam: enough to time them, not to compare them.
    """
    training = SharedTraining(setting, model)
    implementations: list[Implementation] = []
    for name in names:
        if name in SWITCHES:
            trained = training if shared else SharedTraining(setting, model)
            implementations.append(FramecastImplementation(name, trained, *SWITCHES[name]))
        else:
            opponent, network = make_opponent(name, setting, model), training.forecaster.network
            assert isinstance(network, Network)
            opponent.module.take_weights(network)
            implementations.append(opponent)
    return implementations
