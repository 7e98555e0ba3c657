"""Model that answers: a network or a baseline, what it takes, and how much memory a forecast by it needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from framecast.data.durations import in_frames
from framecast.errors import UsageError
from framecast.forecasting.baselines import make_baseline
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.memory_plan import BASE_WORK, HEAP, READING, StepMemory, measure_step_memory
from framecast.recipe.recipe import Recipe
from framecast.types import FrameSpec


@dataclass(frozen=True)
class ServedModel:
    """Model of a service.

    Args:
        model: a network, or the name of a baseline.
        name: for people.
        recipe: of the training; the default one for a baseline.
        horizon: frames, or a time, where a request names none.
    """

    model: Forecaster | str
    name: str
    recipe: Recipe
    horizon: int | str = 10

    def make_predictor(self, channels: int, height: int, width: int) -> Any:
        """Make what predicts frames of a size: the network itself, or the baseline for these frames."""
        if isinstance(self.model, Forecaster):
            return self.model
        return make_baseline(self.model, FrameSpec(channels=channels, height=height, width=width))

    def count_horizon(self, text: str | None, step_minutes: float | None = None) -> int:
        """Count the frames of a horizon: a number, or a time as in 90min; None for that of the training.

        Raises:
            UsageError: no such number or time.
        """
        spec = self.model.spec if isinstance(self.model, Forecaster) else None
        months = None if spec is None else spec.step_months
        step = step_minutes or (None if spec is None else spec.step_minutes)
        asked: int | str = self.horizon if text is None else text
        if isinstance(asked, str) and asked.strip().isdecimal():
            asked = int(asked.strip()[:9])
        horizon = in_frames(asked, step, "horizon", months)
        if horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1, a whole number of frames")
        return horizon

    @cached_property
    def _step_memory(self) -> StepMemory:
        return measure_step_memory(self.model) if isinstance(self.model, Forecaster) else StepMemory(0, 0)

    def estimate_bytes(self, context: int, horizon: int, channels: int, height: int, width: int) -> int:
        """Estimate the bytes that the forecast of one sequence takes while it is computed, from its sizes."""
        pixels, model = height * width, self.model
        frames = 4 * 3 * (context + horizon) * channels * pixels
        work = pixels * channels * (READING + 64 + BASE_WORK)
        if isinstance(model, str):
            return frames + work
        rows, columns = model.cells(height, width)
        return frames + work + int(HEAP * rows * columns * (self._step_memory.state + self._step_memory.step))

    def describe(self) -> dict[str, Any]:
        """Describe the model, as /model has it; plain values."""
        if isinstance(self.model, str):
            return {"name": self.name, "kind": "baseline", "horizon": self.horizon}
        spec, origin = self.model.spec, self.model.origin
        return {
            "name": self.name,
            "kind": self.model.name,
            "parameters": sum(weights.numel() for weights in self.model.network.parameters()),
            "context": self.model.context,
            "horizon": self.horizon,
            "fixed_size": self.model.config.fixed_size,
            "spec": spec.model_dump(mode="json"),
            **{key: text for key, text in origin._asdict().items() if text and key != "name"},
        }
