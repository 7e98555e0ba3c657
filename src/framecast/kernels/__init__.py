"""The arithmetic that cells share: convolutions and gate updates, behind one switch.

Cells call the functions of this package and never torch's convolutions, so that a back end can be exchanged without
touching a cell. Which one computes is set once per process by `set_precision`, in torch's words:

    "highest"   direct convolutions in the full precision of their dtype
    "high"      direct convolutions, in which an NVIDIA GPU may use TF32 (10-bit mantissas in the products)

The weights of a layer are used at every time step of a rollout. `rollout_scope` lets a back end prepare each weight
once (transform, cast, pack) and use it for as long as the scope is open; autograd sees the preparation as an ordinary
operation of the graph, so that gradients of all steps meet in the prepared form and are brought back once.
"""

from framecast.kernels.arithmetic import conv, highway_update, increment, memory_update, output_update
from framecast.kernels.backend import Backend
from framecast.kernels.fused import fusing
from framecast.kernels.switch import (
    get_memory,
    get_precision,
    rollout_scope,
    set_backend,
    set_memory,
    set_precision,
)

__all__ = [
    "Backend",
    "conv",
    "fusing",
    "get_memory",
    "get_precision",
    "highway_update",
    "increment",
    "memory_update",
    "output_update",
    "rollout_scope",
    "set_backend",
    "set_memory",
    "set_precision",
]
