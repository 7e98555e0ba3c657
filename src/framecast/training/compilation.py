"""Compilation of a network's step in time by torch.compile, for `train.compile`.

One step is compiled and called for each frame. The whole rollout would take as many times longer to compile as it has
frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from framecast.errors import UsageError
from framecast.nn.network import Network, SequenceNetwork


def check_compile(device: str, memory: str) -> None:
    """Check that compilation is known to work on a device, with a way to save memory.

    Args:
        device: "cpu", "cuda" or "mps".
        memory: "fast" or "low", as for `kernels.set_memory`.

    Raises:
        UsageError: a device that torch does not compile for well, or steps that the backward pass computes again.
    """
    if device == "mps":
        raise UsageError("train.compile", got="true on mps", expected="false there, or cpu or cuda")
    if memory == "low":
        # A step that is computed again in the backward pass would run into the graph that is being replayed.
        raise UsageError("train.compile", got="true with train.memory=low", expected="only one of the two")


def compile_step(network: SequenceNetwork, device: torch.device) -> None:
    """Compile a network's forward pass, in place; weights and their names stay.

    Args:
        network: to compile; each other size of frames is compiled anew.
        device: on CUDA, launches are recorded as graphs too.

    Raises:
        UsageError: a network that does not go step by step.
    """
    if not isinstance(network, Network):
        raise UsageError("train.compile", got=f"true for {type(network).__name__}", expected="false for this network")
    # torch keeps eight forms of a function at most; those of an earlier training in this process would count.
    torch.compiler.reset()
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    network.compile(mode=mode, fullgraph=True, dynamic=False)


@contextmanager
def explain_compiler() -> Iterator[None]:
    """Turn errors of torch's compiler within the context into a UsageError.

    Raises:
        UsageError: the compiler does not accept the network, or does not work here.
    """
    try:
        yield
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        fix = "set train.compile=false; a network of your own must be traceable as a whole"
        raise UsageError("train.compile", got=reason, expected="a step that torch compiles", fix=fix) from error
