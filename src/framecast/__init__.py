"""framecast: predict the next frames of a gridded sequence with recurrent networks.

    import framecast

    frames = framecast.open_frames("radar.nc")                  # an xarray.DataArray; nothing is read yet
    run = framecast.train("convlstm", "radar.nc", "runs/radar", steps=500, hidden=[16, 16])
    future = framecast.load(run).predict(frames, horizon=10)    # a DataArray again, with its times
    scores = framecast.evaluate(run)                            # beside the baselines; scores.to_dataset()

Names are imported when they are first used, so that `import framecast` is quick.
"""

import importlib

TYPE_CHECKING = (
    False  # no import that can be avoided: until __main__ runs, `python -m` looks in the current folder first
)
if TYPE_CHECKING:
    from typing import Any

    from framecast import errors as errors
    from framecast.adapters import pysteps as pysteps
    from framecast.api.archives import hindcast, verify
    from framecast.api.frames import open_frames
    from framecast.api.inspection import inspect
    from framecast.api.run import Run
    from framecast.api.scoring import compare, evaluate
    from framecast.api.training import train
    from framecast.data import DataConfig, open_data
    from framecast.errors import FramecastError, InputError, UsageError
    from framecast.forecast import Forecast
    from framecast.forecasting.baselines import Blank, Diurnal, Extrapolation, Mean, Persistence, Seasonal
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

    __version__: str

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
    "InputError": "errors",
    "Mean": "forecasting.baselines",
    "Network": "nn",
    "PastFrames": "forecasting.predictor",
    "Persistence": "forecasting.baselines",
    "Predictor": "forecasting.predictor",
    "Recipe": "recipe.recipe",
    "Run": "api.run",
    "Seasonal": "forecasting.baselines",
    "Step": "nn",
    "UsageError": "errors",
    "compare": "api.scoring",
    "evaluate": "api.scoring",
    "hindcast": "api.archives",
    "inspect": "api.inspection",
    "load": "forecasting.model_folder",
    "load_published": "forecasting.published_weights",
    "open_data": "data",
    "open_frames": "api.frames",
    "read_recipe": "recipe.recipe",
    "resume": "training.start",
    "save_forecaster": "forecasting.model_folder",
    "set_memory": "kernels",
    "set_precision": "kernels",
    "start": "training.start",
    "train": "api.training",
    "verify": "api.archives",
}

_SUBMODULES = {"errors": "errors", "pysteps": "adapters.pysteps"}
"""Public names of modules, as in framecast.pysteps.register()."""

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
    "InputError",
    "Mean",
    "Network",
    "PastFrames",
    "Persistence",
    "Predictor",
    "Recipe",
    "Run",
    "Seasonal",
    "Step",
    "UsageError",
    "compare",
    "evaluate",
    "hindcast",
    "inspect",
    "load",
    "load_published",
    "open_data",
    "open_frames",
    "read_recipe",
    "resume",
    "save_forecaster",
    "set_memory",
    "set_precision",
    "start",
    "train",
    "verify",
]


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        from importlib.metadata import version

        return version("framecast")
    if name in _SUBMODULES:
        return importlib.import_module(f"framecast.{_SUBMODULES[name]}")
    if name not in _MODULES:
        raise AttributeError(f"module 'framecast' has no attribute {name!r}")
    return getattr(importlib.import_module(f"framecast.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__", *_SUBMODULES]
