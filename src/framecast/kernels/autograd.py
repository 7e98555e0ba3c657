"""Autograd of the fast kernels: backward passes written by hand, which cannot be differentiated again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch.autograd.function import once_differentiable

Backward = TypeVar("Backward", bound=Callable[..., Any])


def once(backward: Backward) -> Backward:
    """Make a backward pass refuse `create_graph`.

    torch's `once_differentiable` alone gives a second derivative of zero where the incoming gradient is a constant.

    Args:
        backward: static method of an autograd function.

    Returns:
        the method, which raises a RuntimeError where gradients of gradients are requested.
    """
    differentiable_once = once_differentiable(backward)

    @wraps(backward)
    def checked(*arguments: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "second derivatives: got create_graph with fast kernels, expected torch's convolutions; use "
                'framecast.kernels.set_precision("highest")'
            )
        return differentiable_once(*arguments)

    return checked  # type: ignore[return-value]


def is_needed(node: Any) -> bool:
    """Whether the backward pass under way will execute a node of the graph; False for None."""
    return node is not None and torch._C._will_engine_execute_node(node)
