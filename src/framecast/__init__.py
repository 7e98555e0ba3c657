"""framecast: predict the next frames of a gridded sequence with recurrent networks.

    import framecast

    forecaster = framecast.load("runs/demo-1")
    future = forecaster.predict(frames, horizon=10)      # (B, J, C, H, W) to (B, 10, C, H, W), raw units

Names are imported when they are first used, so that `import framecast` is quick.
"""

import importlib

TYPE_CHECKING = (
    False  # no import that can be avoided: until __main__ runs, `python -m` looks in the current folder first
)
if TYPE_CHECKING:
    from typing import Any

    from framecast.data import DataConfig, open_data
    from framecast.errors import FramecastError
    from framecast.forecast import Forecast
    from framecast.forecasting.baselines import Blank, Diurnal, Extrapolation, Mean, Persistence
    from framecast.forecasting.forecaster import Forecaster
    from framecast.forecasting.model_folder import load, save_forecaster
    from framecast.forecasting.predictor import PastFrames, Predictor
    from framecast.forecasting.published_weights import load_published
    from framecast.kernels import set_memory, set_precision
    from framecast.nn.cell import Cell, Step
    from framecast.nn.network import Network
    from framecast.recipe.recipe import Recipe, read_recipe
    from framecast.training.start import resume, start
    from framecast.types import FrameSpec

_MODULES = {  # module of each public name, imported when the name is first used
    "Blank": "forecasting.baselines",
    "Cell": "nn",
    "DataConfig": "data",
    "Diurnal": "forecasting.baselines",
    "Extrapolation": "forecasting.baselines",
    "Forecast": "forecast",
    "Forecaster": "forecasting.forecaster",
    "FrameSpec": "types",
    "FramecastError": "errors",
    "Mean": "forecasting.baselines",
    "Network": "nn",
    "PastFrames": "forecasting.predictor",
    "Persistence": "forecasting.baselines",
    "Predictor": "forecasting.predictor",
    "Recipe": "recipe.recipe",
    "Step": "nn",
    "load": "forecasting.model_folder",
    "load_published": "forecasting.published_weights",
    "open_data": "data",
    "read_recipe": "recipe.recipe",
    "resume": "training.start",
    "save_forecaster": "forecasting.model_folder",
    "set_memory": "kernels",
    "set_precision": "kernels",
    "start": "training.start",
}

__all__ = [
    "Blank",
    "Cell",
    "DataConfig",
    "Diurnal",
    "Extrapolation",
    "Forecast",
    "Forecaster",
    "FrameSpec",
    "FramecastError",
    "Mean",
    "Network",
    "PastFrames",
    "Persistence",
    "Predictor",
    "Recipe",
    "Step",
    "load",
    "load_published",
    "open_data",
    "read_recipe",
    "resume",
    "save_forecaster",
    "set_memory",
    "set_precision",
    "start",
]


def __getattr__(name: str) -> "Any":
    if name not in _MODULES:
        raise AttributeError(f"module 'framecast' has no attribute {name!r}")
    return getattr(importlib.import_module(f"framecast.{_MODULES[name]}"), name)
