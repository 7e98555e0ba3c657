"""A network's step in time without the cost of its launches: recorded as a CUDA graph where that pays."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from framecast.kernels import checkpointed, rollout_scope
from framecast.nn import cuda_graphs
from framecast.nn.network import Aux, Network, NetworkState
from framecast.types import Frame

WORTHWHILE = 16
"""Steps of one kind after which recording is cheaper than going on launching: it costs about five."""


class Stepper:
    """Takes steps in time as a `Network` does."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def __call__(self, frame: Frame, state: NetworkState | None) -> tuple[Tensor, NetworkState, Aux]:
        """One step, see `Network.forward`; with memory "low" it is computed again in the backward pass."""
        return checkpointed(self.network, frame, state)

    def kept(self, state: NetworkState) -> NetworkState:
        """The state as a value, which later steps do not change."""
        return state


class _Replayed(Stepper):
    """Replays a recording; the state of a step is overwritten by the next one."""

    def __init__(self, network: Network, recording: cuda_graphs.Recording, structure: Any) -> None:
        super().__init__(network)
        self.recording, self.structure = recording, structure

    def __call__(self, frame: Frame, state: NetworkState | None) -> tuple[Tensor, NetworkState, Aux]:
        state = self.network.init_state(frame) if state is None else state
        prediction, *leaves = self.recording((frame, state))
        assert prediction is not None
        return prediction.clone(), tree_unflatten(leaves, self.structure), {}

    def kept(self, state: NetworkState) -> NetworkState:
        copied: NetworkState = tree_map(torch.clone, state)
        return copied


class _Known:
    """What is known of a network: its recordings, and how many steps of each kind were asked for."""

    def __init__(self) -> None:
        self.recordings = cuda_graphs.Recordings("the network's step")
        self.asked: dict[Hashable, int] = {}
        self.lock = Lock()


_networks: WeakKeyDictionary[Network, _Known] = WeakKeyDictionary()
"""Beside the networks, not in them: a network is copied, pickled and saved without its recordings."""


@contextmanager
def stepper(network: Network, frame: Frame, state: NetworkState | None, steps: int) -> Iterator[Stepper]:
    """How to take the steps of a rollout without reports of the cells.

    Args:
        network: whose steps.
        frame: (B, C, H, W), the first one.
        state: the first one; None for zeros.
        steps: how many will be asked for.
    """
    plain = Stepper(network)
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or not cuda_graphs.usable(frame.device):
        yield plain
        return
    known = _networks.setdefault(network, _Known())
    if not known.lock.acquire(blocking=False):  # another thread uses the buffers
        yield plain
        return
    try:
        state = network.init_state(frame) if state is None else state
        yield _recorded(known, network, frame, state, steps) or plain
    finally:
        known.lock.release()


def _recorded(known: _Known, network: Network, frame: Frame, state: NetworkState, steps: int) -> _Replayed | None:
    key = (cuda_graphs.shapes((frame, state)), cuda_graphs.where(frame.device, network.parameters()))
    asked = known.asked.get(key, 0) + steps
    known.asked = {key: asked} if len(known.asked) > cuda_graphs.KEPT else {**known.asked, key: asked}
    if asked < WORTHWHILE:
        return None

    def step(inputs: tuple[Tensor, NetworkState]) -> list[Tensor]:
        with rollout_scope():  # not the one of the rollout under way: weights are prepared anew in each replay
            prediction, new, _ = network(*inputs)
        return [prediction, *tree_flatten(new)[0]]

    recording = known.recordings.get(key, step, (frame, state))
    leaves, structure = tree_flatten(state)
    if recording is None or cuda_graphs.shapes(leaves) != cuda_graphs.shapes(recording.outputs[1:]):
        return None  # a state that changes its dtype on the way does not fit its own buffers
    return _Replayed(network, recording, structure)
