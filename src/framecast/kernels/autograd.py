"""Backward passes that are written out by hand, and cannot be differentiated again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch.autograd.function import once_differentiable

Backward = TypeVar("Backward", bound=Callable[..., Any])


def once(backward: Backward) -> Backward:
    """Refuse `create_graph`.

    Torch's own mark of such functions lets a second derivative through, as zeros, where the gradient that comes in is a
    constant.
    """
    marked = once_differentiable(backward)

    @wraps(backward)
    def checked(*arguments: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "second derivatives: got create_graph with fast kernels, expected torch's convolutions; use "
                'framecast.kernels.set_precision("highest")'
            )
        return marked(*arguments)

    return checked  # type: ignore[return-value]


def is_needed(node: Any) -> bool:
    """Whether the backward pass under way will come to a node of the graph; None is no node."""
    return node is not None and torch._C._will_engine_execute_node(node)
