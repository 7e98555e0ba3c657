"""What is aimed at, beside which the figures are printed: times of, or shares of, the plain form in the same run."""

from __future__ import annotations

from framecast.bench.settings import Task

PLAIN = "plain"
"""The opponent that the targets are about."""
_SPEED: dict[tuple[str, Task, int], dict[str, float]] = {
    ("standard", "train", 8): {"predrnn": 4.0, "predrnn_v2": 4.0, "predrnn_pp": 4.0, "mim": 4.0, "convlstm": 3.5},
    ("standard", "inference", 1): {"predrnn": 3.0, "predrnn_v2": 3.0, "predrnn_pp": 3.0, "mim": 3.0, "convlstm": 2.5},
    ("standard", "inference", 8): {"predrnn": 4.0, "predrnn_v2": 4.0, "predrnn_pp": 4.0, "mim": 4.0, "convlstm": 3.5},
}
_OTHER_SIZES = 2.5
"""In training, of maps of 35 x 35 cells and of 3 x 3 kernels."""
_MEMORY: dict[tuple[str, Task, int], dict[str, float]] = {
    ("fast", "train", 8): {"predrnn": 0.8, "predrnn_v2": 0.8, "predrnn_pp": 0.8, "mim": 0.8, "convlstm": 0.9},
    ("low", "train", 8): {"predrnn": 0.5, "predrnn_v2": 0.45, "predrnn_pp": 0.5, "mim": 0.5, "convlstm": 0.6},
    ("fast", "inference", 1): dict.fromkeys(("predrnn", "predrnn_v2", "predrnn_pp", "mim", "convlstm"), 1.1),
}


def speed(setting: str, model: str, task: Task, batch: int, contender: str) -> float | None:
    """How many times faster than the plain form; None where nothing is aimed at."""
    if contender != "fast":
        return None
    if setting in ("radar", "kernel3") and task == "train":
        return _OTHER_SIZES
    return _SPEED.get((setting, task, batch), {}).get(model)


def memory(setting: str, model: str, task: Task, batch: int, contender: str) -> float | None:
    """The most that peak memory may be, as a share of the plain form's; None where nothing is aimed at."""
    return _MEMORY.get((contender, task, batch), {}).get(model) if setting == "standard" else None
