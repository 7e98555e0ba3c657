"""Forecasts by an exported model, with NumPy and onnxruntime alone: no torch is needed or imported.

import framecast.runtime

model = framecast.runtime.load("rain.onnx")
future = model.predict(frames, horizon=10)      # an array, as from framecast.load(run).predict
"""

from framecast.runtime.arrays import ForecastArrays, PastArrays
from framecast.runtime.description import Description
from framecast.runtime.predictor import ExportedForecaster, load

__all__ = ["Description", "ExportedForecaster", "ForecastArrays", "PastArrays", "load"]
