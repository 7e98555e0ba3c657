"""Motion between frames and advection along it: estimation from tracked features, semi-Lagrangian extrapolation.

Names are imported when they are first used: estimation needs no torch, and exported models have none.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framecast.motion.advection import Path, advect, look_up, step_back, trace_back
    from framecast.motion.batches import average_channels, estimate_batch, expand_motion
    from framecast.motion.estimate import TRACKED_FRAMES, estimate_motion, name_method

_MODULES = {
    "TRACKED_FRAMES": "estimate",
    "Path": "advection",
    "advect": "advection",
    "average_channels": "batches",
    "estimate_batch": "batches",
    "estimate_motion": "estimate",
    "expand_motion": "batches",
    "look_up": "advection",
    "name_method": "estimate",
    "step_back": "advection",
    "trace_back": "advection",
}

__all__ = [
    "TRACKED_FRAMES",
    "Path",
    "advect",
    "average_channels",
    "estimate_batch",
    "estimate_motion",
    "expand_motion",
    "look_up",
    "name_method",
    "step_back",
    "trace_back",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'framecast.motion' has no attribute {name!r}")
    return getattr(importlib.import_module(f"framecast.motion.{_MODULES[name]}"), name)
