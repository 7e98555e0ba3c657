"""Kernels of the cells: convolutions and gate updates, computed by exchangeable back ends.

Cells call the functions of this package and never torch's convolutions, so that a back end can be exchanged without
touching a cell. Which one computes is set once per process by `set_precision`, in torch's words:

    "highest"   direct convolutions in the full precision of their dtype
    "high"      the fast kernels on a CPU (float32; see winograd.py), TF32 on an NVIDIA GPU (10-bit mantissas)
    "auto"      the default: as "high" on a CPU, whose fast kernels lose little, as "highest" on a GPU

docs/performance.md has the errors of each, measured on trained weights. `set_memory` chooses the tensors that a training
keeps for its backward pass: "fast" keeps all gates, "low" the states only.

The weights of a layer are used at every time step of a rollout. `rollout_scope` lets a back end prepare each weight
once (transform, cast, pack) and use it for as long as the scope is open; autograd sees the preparation as an ordinary
operation of the graph, so that gradients of all steps meet in the prepared form and are brought back once.
"""

from framecast.kernels.backend import Backend
from framecast.kernels.dispatch import (
    Scope,
    checkpointed,
    get_memory,
    get_precision,
    rollout_scope,
    set_backend,
    set_memory,
    set_precision,
)
from framecast.kernels.functional import conv, highway_update, increment, memory_update, output_update
from framecast.kernels.lazy_conv import materialize
from framecast.kernels.native_library import describe_kernels

__all__ = [
    "Backend",
    "Scope",
    "checkpointed",
    "conv",
    "describe_kernels",
    "get_memory",
    "get_precision",
    "highway_update",
    "increment",
    "materialize",
    "memory_update",
    "output_update",
    "rollout_scope",
    "set_backend",
    "set_memory",
    "set_precision",
]
