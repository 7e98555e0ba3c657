"""Calibration of an ensemble as a file beside its error tables, by lead time and units of its frames."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from framecast import json_files
from framecast.documents import explain_invalid
from framecast.ensembles.calibration.intervals import Intervals
from framecast.ensembles.calibration.reliability import Reliability
from framecast.errors import InputError, UsageError
from framecast.transforms.normalize import Normalizer, Positive
from framecast.types import Count, ForeignText

CALIBRATION = "calibration.json"
"""Name of the calibration in a model's folder."""


class EnsembleCalibration(BaseModel):
    """Calibration of an ensemble, by what came in the windows that it was fitted on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    model: ForeignText
    """Name of the predictor that was dressed."""
    units: ForeignText
    step_minutes: Positive | None
    """Minutes between lead times; None where frames have no times."""
    scale: Normalizer
    """Raw units to the scale of the intervals."""
    bounded: bool
    """Whether values beyond the range of the scale are impossible."""
    windows: Count
    """Number of forecasts that it was fitted on."""
    reliability: Reliability | None
    """Probabilities; None of frames without thresholds."""
    intervals: Intervals

    def find_lead(self, lead: int, step_minutes: float | None) -> int:
        """Find the fitted lead time that is the nearest in time, 0 first; it may lie beyond the last one.

        Args:
            lead: number of a predicted frame, 0 first.
            step_minutes: between predicted frames; None where unknown: then a frame is a frame.
        """
        pace = 1.0 if self.step_minutes is None or step_minutes is None else step_minutes / self.step_minutes
        return max(round((lead + 1) * pace) - 1, 0)

    def find_interval(self, members: Tensor, level: float, lead: int) -> tuple[Tensor, Tensor]:
        """Find the interval of each pixel that holds truth in a share of the cases.

        Args:
            members: (M, C, H, W), raw units.
            level: share of the cases, as 0.8.
            lead: as `find_lead` gives it.

        Returns:
            lower and upper ends (C, H, W), raw units; where nothing can be promised those of all possible values, or
            NaN where any value is possible.

        Raises:
            UsageError: a level that was not fitted.
        """
        self.check_level(level)
        ends = self.intervals.find_ends(self.scale.normalize(members), level, lead)
        if self.bounded:
            low, high = (end.clamp(0, 1) for end in ends)
        else:
            low, high = (end.masked_fill(end.isinf(), float("nan")) for end in ends)
        return self.scale.denormalize(low), self.scale.denormalize(high)

    def check_level(self, level: float) -> None:
        """Refuse a level that was not fitted.

        Raises:
            UsageError: such a level.
        """
        if level not in self.intervals.levels:
            known = ", ".join(f"{100 * one:g}" for one in self.intervals.levels)
            raise UsageError("interval", got=f"{100 * level:g} %", expected=f"{known} %, as the calibration has them")

    def write(self, path: Path) -> None:
        """Write to a JSON file."""
        json_files.write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> EnsembleCalibration:
        """Read from a JSON file.

        Raises:
            InputError: a damaged file, or one that holds something else.
        """
        try:
            content = json_files.read_json(path)
            return cls.model_validate(content)
        except ValidationError as error:
            got = explain_invalid(error, content).text
            raise InputError(str(path), got=got, expected="a calibration of an ensemble") from error
        except (OSError, ValueError) as error:
            raise InputError(str(path), got=f"no calibration of an ensemble ({error})") from error
