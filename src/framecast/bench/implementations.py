"""Who computes: framecast with its switches, or an opponent's module. All of them solve the same problem."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from framecast import kernels
from framecast.bench.settings import Setting
from framecast.bench.workload import GREY, Workload, first_free_step, make_forecaster
from framecast.errors import UsageError
from framecast.models import ModelConfig
from framecast.nn.network import Network
from framecast.recipe.losses import LossConfig
from framecast.training.objective import Objective, trainable
from framecast.transforms.normalize import Range
from framecast.transforms.patches import patchify, unpatchify

SWITCHES = {"direct": ("highest", "fast"), "fast": ("high", "fast"), "low": ("high", "low")}
"""Framecast's own contenders: precision and memory of each."""


@runtime_checkable
class OpponentModule(Protocol):
    """An opponent's network: a torch module that also does this."""

    def __call__(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """All predictions and the loss of a sequence.

        Args:
            frames: (B, T, C, H, W), patches in network units; any values where the mask is 0.
            mask: (B, S, C, H, W), 1 where the true frame is fed at the last S of the T - 1 steps, else 0.
        """

    def take_weights(self, network: Network) -> None:
        """Copy all weights of framecast's network."""

    def gradients(self) -> dict[str, Tensor]:
        """Flat gradients by framecast's names."""


@runtime_checkable
class OpponentFactory(Protocol):
    """What `--opponent package.module:function` names."""

    def __call__(
        self, config: ModelConfig, channels: int, size: tuple[int, int], *, decoupling: float
    ) -> OpponentModule:
        """The opponent's form of a network, for `channels` of a patchified frame and (rows, columns) of the map."""


class Implementation(ABC):
    """One way to compute. Everything that it returns is comparable with the others'."""

    name: str

    @abstractmethod
    def train_step(self, given: Workload) -> float:
        """Forward, loss, backward, Adam, as in a training. Returns the loss."""

    @abstractmethod
    def gradients(self, given: Workload) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its flat gradients by framecast's names; weights stay."""

    @abstractmethod
    def predict(self, given: Workload) -> Tensor:
        """(B, K, 1, H, W), raw units, from the context alone."""

    @abstractmethod
    def prime(self) -> None:
        """Let Adam allocate what it keeps, without changing a weight."""


def _adam(parameters: Sequence[torch.nn.Parameter], setting: Setting) -> torch.optim.Adam:
    """The same for all: fused."""
    return torch.optim.Adam(parameters, setting.lr, fused=True)


def _prime(optimizer: torch.optim.Adam) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()


class SharedTraining:
    """A network in training, which several of framecast's contenders may share; Adam is made when first used."""

    def __init__(self, setting: Setting, model: str, dtype: torch.dtype = torch.float32) -> None:
        self.setting = setting
        self.forecaster = make_forecaster(setting, model).to(dtype)
        self.objective = Objective(self.forecaster, LossConfig(decoupling=setting.decoupling(model)))
        self._optimizer: torch.optim.Adam | None = None

    @property
    def optimizer(self) -> torch.optim.Adam:
        """Adam on all that is trained."""
        if self._optimizer is None:
            self._optimizer = _adam(trainable(self.objective), self.setting)
        return self._optimizer


class OwnImplementation(Implementation):
    """Framecast as its users have it: raw frames in, its own training objective and forecasts.

    Args:
        name: of the contender.
        bench: the network.
        precision: see `kernels.set_precision`.
        memory: see `kernels.set_memory`.
    """

    def __init__(self, name: str, bench: SharedTraining, precision: str, memory: str) -> None:
        self.name, self.bench, self.precision, self.memory = name, bench, precision, memory

    def _loss(self, given: Workload) -> Tensor:
        frames = given.frames
        pixels = torch.tensor(float(frames[:, 1:].numel()))
        return self.bench.objective(frames, None, given.known, pixels, 1.0)

    def train_step(self, given: Workload) -> float:
        """See the base class."""
        with switched(self.precision, self.memory):
            self.bench.optimizer.zero_grad()
            loss = self._loss(given)
            loss.backward()
            self.bench.optimizer.step()
            return float(loss.detach())

    def gradients(self, given: Workload) -> tuple[Tensor, dict[str, Tensor]]:
        """See the base class."""
        network = self.bench.forecaster.network
        with switched(self.precision, self.memory):
            network.zero_grad()
            loss = self._loss(given)
            loss.backward()
        found = {name: p.grad.flatten() for name, p in network.named_parameters() if p.grad is not None}
        network.zero_grad()
        return loss.detach(), found

    def predict(self, given: Workload) -> Tensor:
        """See the base class."""
        with switched(self.precision, self.memory):
            return cast("Tensor", self.bench.forecaster.predict(given.context, given.setting.horizon))

    def prime(self) -> None:
        """See the base class."""
        _prime(self.bench.optimizer)


class OpponentImplementation(Implementation):
    """A module of somebody else's. What its code does outside of the network, patches above all, is not counted.

    Args:
        name: of the contender.
        module: the network.
        setting: sizes and the rate of Adam.
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
            self._optimizer = _adam(list(self.torch_module.parameters()), self.setting)
        return self._optimizer

    def _prepared(self, given: Workload) -> tuple[Tensor, Tensor]:
        """Patches in network units and the mask of a training, made once for each problem, as a data loader would."""
        if self._patches is None or self._patches[0] != id(given.frames):
            like = next(self.torch_module.parameters())
            frames = patchify(
                Range(low=GREY[0], high=GREY[1]).normalize(given.frames.to(like.dtype)), given.setting.patch
            )
            free = given.known[:, first_free_step(given.setting, given.model) :]
            mask = free[:, :, None, None, None].to(like.dtype).expand(-1, -1, *frames.shape[2:]).contiguous()
            self._patches = id(given.frames), frames, mask
        return self._patches[1], self._patches[2]

    def train_step(self, given: Workload) -> float:
        """See the base class."""
        with switched("highest", "fast"):
            frames, mask = self._prepared(given)
            self.optimizer.zero_grad()
            _, loss = self.module(frames, mask)
            loss.backward()
            self.optimizer.step()
            return float(loss.detach())

    def gradients(self, given: Workload) -> tuple[Tensor, dict[str, Tensor]]:
        """See the base class."""
        self.torch_module.zero_grad()
        with switched("highest", "fast"):
            _, loss = self.module(*self._prepared(given))
            loss.backward()
        found = self.module.gradients()
        self.torch_module.zero_grad()
        return loss.detach(), found

    def predict(self, given: Workload) -> Tensor:
        """Inference mode, framecast's advantage otherwise."""
        setting = given.setting
        frames, _ = self._prepared(given)
        with torch.inference_mode(), switched("highest", "fast"):
            mask = torch.zeros_like(frames[:, 1 : setting.horizon])
            future, _ = self.module(frames, mask)
            raw = unpatchify(future[:, setting.context - 1 :], setting.patch)
            return Range(low=GREY[0], high=GREY[1]).denormalize(raw)

    def prime(self) -> None:
        """See the base class."""
        _prime(self.optimizer)


@contextmanager
def switched(precision: str, memory: str) -> Iterator[None]:
    """Framecast's switches as asked for, and as they were afterwards."""
    before = kernels.get_precision(), kernels.get_memory()
    kernels.set_precision(precision)
    kernels.set_memory(memory)
    try:
        yield
    finally:
        kernels.set_precision(before[0])
        kernels.set_memory(before[1])


def short_name(name: str) -> str:
    """The short name of a contender: the module of an opponent's import path, and its function unless it is build."""
    if ":" not in name:
        return name
    module, _, function = name.partition(":")
    short = module.rpartition(".")[2]
    return short if function == "build" else f"{short}-{function}"


def import_factory(path: str) -> OpponentFactory:
    """The function that `package.module:function` names.

    Raises:
        UsageError: there is none.
    """
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise UsageError("--opponent", got=path, expected="package.module:function", fix=str(error)) from error
    if not callable(found):
        raise UsageError("--opponent", got=path, expected="a function that builds a network")
    return cast("OpponentFactory", found)


def make_opponent(path: str, setting: Setting, model: str) -> OpponentImplementation:
    """An opponent with fresh weights of its own: alone, so that nothing of framecast's is in memory."""
    made = import_factory(path)(
        setting.config(model), setting.patch**2, setting.cells, decoupling=setting.decoupling(model)
    )
    return OpponentImplementation(short_name(path), made, setting)


def make_implementations(names: Sequence[str], setting: Setting, model: str, *, shared: bool) -> list[Implementation]:
    """All contenders with the same weights.

    Args:
        names: of framecast's own, or import paths.
        setting: sizes.
        model: which network.
        shared: whether framecast's share one network and one Adam: enough to time them, not to compare them.
    """
    bench = SharedTraining(setting, model)
    found: list[Implementation] = []
    for name in names:
        if name in SWITCHES:
            found.append(OwnImplementation(name, bench if shared else SharedTraining(setting, model), *SWITCHES[name]))
        else:
            other = make_opponent(name, setting, model)
            other.module.take_weights(bench.forecaster.network)
            found.append(other)
    return found
