"""Predictor by an exported model: checks frames, runs the graph, gives the forecast in raw units."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framecast.errors import CheckpointError, InputError, UsageError, abbreviate
from framecast.optional_imports import require
from framecast.runtime.arrays import PastArrays
from framecast.runtime.description import Description, read_description
from framecast.runtime.input_checks import check_covariates, check_size, merge_missing
from framecast.runtime.motion import estimate_context


def load(path: str | PathLike[str], *, threads: int | None = None) -> ExportedForecaster:
    """Load a model that `framecast export RUN --to onnx` wrote.

    Args:
        path: of the file.
        threads: of onnxruntime; None for as many as it finds cores.

    Raises:
        CheckpointError: no such file, a damaged one, or one that framecast did not write.
        UsageError: onnxruntime is not installed.
    """
    runtime = require("onnxruntime", "onnx", what="an exported model")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors only
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        with open(path, "rb") as file:
            content = file.read()
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise CheckpointError(fspath(path), got=error.strerror or "no file", expected="an exported model") from error
    except Exception as error:
        got = f"no model that onnxruntime can load ({abbreviate(error)})"
        raise CheckpointError(fspath(path), got=got, fix="export it again") from error
    about = read_description(session.get_modelmeta().custom_metadata_map, fspath(path))
    return ExportedForecaster(session, about)


class ExportedForecaster:
    """Predictor by an exported model; made by `load`.

    Args:
        session: of onnxruntime.
        about: description of the model.
    """

    def __init__(self, session: Any, about: Description) -> None:
        self.session, self.about = session, about
        self.context, self.origin = about.context, about.origin
        self._inputs = {port.name for port in session.get_inputs()}

    def __repr__(self) -> str:
        spec = self.about.spec
        size = f"{spec['channels']} x {self.about.height or 'any'} x {self.about.width or 'any'}"
        return f"ExportedForecaster(network {self.origin.name}, frames {size}, units {self.about.units})"

    def predict(
        self,
        frames: NDArray[Any],
        horizon: int,
        valid: NDArray[np.bool_] | None = None,
        covariates: NDArray[Any] | None = None,
        *,
        known: NDArray[np.bool_] | None = None,
        motion: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """Predict the frames that follow.

        Args:
            frames: (B, J, C, H, W), (J, C, H, W), or (J, H, W) of one channel, raw units, any J >= 1.
            horizon: K, how many frames to predict, any number.
            valid: the axes of `frames`, False where a pixel is missing; without it all must be finite.
            covariates: (B, J + K, E, H, W), raw units, NaN where missing; needed if the model has any.
            known: (B, J), False for frames that are not there: the network's own prediction takes their place. Not the
                first one, and not for a network with a base. None where all are there.
            motion: (B, J, 2, H, W), at each frame, pixels per frame in x and y, for a base that moves the last frame;
                None to estimate it.

        Returns:
            (B, K, targets, H, W), raw units, without the axes that `frames` lack.

        Raises:
            InputError: frames that do not fit the model's contract.
            UsageError: no horizon.
        """
        if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
            raise UsageError("horizon", got=horizon, expected="at least 1, a whole number of frames")
        merged = merge_missing(frames, valid, self.about, known)
        batch, axes = merged.frames, merged.axes
        size = batch.shape[-2:]
        feeds: dict[str, NDArray[Any]] = {"horizon": np.array(horizon, np.int64)}
        if "known" in self._inputs:
            feeds["known"] = np.ones(batch.shape[:2], bool) if merged.known is None else merged.known
        elif merged.known is not None and not merged.known.all():
            expected = f"all frames: the network forecasts against the base {self.about.base['kind']}"
            raise InputError("known", got="frames that are not there", expected=expected, fix="fill the gap first")
        given = check_covariates(covariates, batch, horizon, self.about, axes)
        if given is not None:
            feeds["covariates"] = given
        if "motion" in self._inputs:
            feeds["motion"] = self._find_motion(batch, motion, axes)
        feeds["frames"] = batch
        padding = check_size(batch, self.about)
        if any(padding):
            around = ((0, 0),) * 3 + ((0, padding[0]), (0, padding[1]))
            padded = ("frames", "covariates")
            feeds |= {name: np.pad(feeds[name], around, "edge") for name in padded if name in feeds}
        predicted: NDArray[np.float32] = self.session.run(["forecast"], feeds)[0][..., : size[0], : size[1]]
        if not np.isfinite(predicted).all():
            expected = f"frames on the model's scale, {self.about.low:g} to {self.about.high:g} {self.about.units}"
            fix = "mark other values in valid="
            raise InputError("frames", got="values that make the forecast NaN or infinite", expected=expected, fix=fix)
        predicted = predicted if axes == 5 else predicted[0]
        return predicted[:, 0] if axes == 3 else predicted

    def _find_motion(self, frames: NDArray[np.float32], motion: NDArray[Any] | None, axes: int) -> NDArray[np.float32]:
        """Check motion that is given, or estimate it."""
        if motion is None:
            return estimate_context(frames, self.about)
        motion = np.asarray(motion, np.float32)
        motion = motion if axes == 5 else motion[None]
        expected = (*frames.shape[:2], 2, *frames.shape[-2:])
        if motion.shape != expected:
            raise InputError("motion", got=f"shape {motion.shape}", expected=f"{expected}")
        return motion

    def forecast(self, past: Any, horizon: int) -> Any:
        """Predict the K frames that follow each sequence.

        Args:
            past: `PastArrays`, or where torch is installed `framecast.PastFrames`.
            horizon: K.

        Returns:
            `ForecastArrays`, or of `PastFrames` a `framecast.Forecast`.

        Raises:
            InputError: frames that do not fit.
            UsageError: a horizon below 1.
        """
        parts = (past.valid, past.covariates, past.motion)
        valid, covariates, motion = (None if part is None else np.asarray(part) for part in parts)
        predicted = self.predict(np.asarray(past.frames), horizon, valid, covariates, motion=motion)
        if isinstance(past, PastArrays):
            return past.make_forecast(predicted, self.origin, self.about)
        from framecast.forecast import ModelOrigin  # whoever has PastFrames has torch

        return past.make_forecast(predicted, ModelOrigin(*self.origin))
