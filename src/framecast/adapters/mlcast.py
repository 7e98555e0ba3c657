"""Model of framecast as a network of mlcast: forward(x, steps, ensemble_size), rain as normalized reflectivity."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from framecast.adapters.rain import convert_rain, dress_model, find_rain_model
from framecast.api.predictors import Model
from framecast.data.units import DBZ_UNITS
from framecast.errors import InputError, UsageError
from framecast.forecasting.forecaster import Forecaster
from framecast.forecasting.predictor import PastFrames


class NowcastNetwork(nn.Module):
    """Model of rain as the `network` of mlcast's NowcastLightningModule, for its forecasts; it does not train there.

    mlcast scales reflectivity from 0 to 60 dBZ to -1 to 1, where -1 is no rain and a missing pixel alike.

    Args:
        model: a run, a model's folder, the name of a trained model or a baseline, or a Forecaster; of rain, one channel.
        dbz: reflectivity, dBZ, at -1 and 1: the dbz_floor and dbz_ceiling of mlcast's ReflectivityScaling.
        z_r: coefficients (a, b) of Z = a R^b, for a model of rain rates.
        seed: seed of ensembles.

    Raises:
        UsageError: no such model, or one of other frames.
        CheckpointError: no model in the folder.

    Example:
        >>> import torch
        >>> from framecast.adapters.mlcast import NowcastNetwork
        >>> network = NowcastNetwork("rain")
        >>> network(torch.full((1, 10, 1, 32, 32), -1.0), steps=6).shape
        torch.Size([1, 6, 1, 32, 32])
    """

    def __init__(
        self,
        model: Model = "rain",
        *,
        dbz: tuple[float, float] = (0.0, 60.0),
        z_r: tuple[float, float] = (200.0, 1.6),
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not dbz[0] < dbz[1]:
            raise UsageError("dbz", got=dbz, expected="two values that ascend")
        self.predictor = find_rain_model(model, DBZ_UNITS, dbz[1])
        self.forecaster = self.predictor if isinstance(self.predictor, Forecaster) else None
        self.dbz, self.z_r, self.seed = dbz, z_r, seed

    def forward(self, x: Tensor, steps: int, ensemble_size: int = 1) -> Tensor:
        """Forecast from normalized frames.

        Args:
            x: (B, T, 1, H, W), -1 to 1, the newest frame last; frames before those that the model was made to see are
                left out.
            steps: frames to forecast.
            ensemble_size: members, of which those beyond 1 need the error tables of the model (`framecast calibrate`).

        Returns:
            (B, steps, ensemble_size, H, W), -1 to 1: members are channels, as in mlcast.

        Raises:
            InputError: a tensor of another shape.
            UsageError: no lead time, or members of a model without tables.
        """
        if x.ndim != 5 or x.shape[2] != 1:
            raise InputError("x", got=f"shape {tuple(x.shape)}", expected="(batch, time, 1, height, width)")
        if ensemble_size < 1:
            raise UsageError("ensemble_size", got=ensemble_size, expected="at least 1")
        (low, high), spec = self.dbz, self.predictor.spec
        newest = x if self.predictor.context is None else x[:, -self.predictor.context :]
        frames = convert_rain(low + (newest.float() + 1) / 2 * (high - low), DBZ_UNITS, spec.units, self.z_r)
        size = {"height": x.shape[-2], "width": x.shape[-1]}
        past = PastFrames(frames, spec.model_copy(update=size))
        predictor = self.predictor if ensemble_size == 1 else dress_model(self.predictor, ensemble_size, self.seed)
        made = predictor.forecast(past, steps).frames[:, :, :, 0].transpose(1, 2)
        reflectivity = convert_rain(made, spec.units, DBZ_UNITS, self.z_r).clamp(low, high)
        # a copy: what was computed without gradients cannot enter mlcast's losses
        return torch.empty_like(reflectivity, device=x.device, dtype=x.dtype).copy_(
            (reflectivity - low) / (high - low) * 2 - 1
        )
