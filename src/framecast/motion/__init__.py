"""Motion between frames and advection along it: estimation from tracked features, semi-Lagrangian extrapolation."""

from framecast.motion.advection import Path, advect, look_up, trace_back
from framecast.motion.estimate import TRACKED_FRAMES, average_channels, estimate_batch, estimate_motion, expand_motion

__all__ = [
    "TRACKED_FRAMES",
    "Path",
    "advect",
    "average_channels",
    "estimate_batch",
    "estimate_motion",
    "expand_motion",
    "look_up",
    "trace_back",
]
