"""Film of a forecast by the model `rain`, what came beside it: the picture of README.

python docs/figures/film.py RADAR FRAMES OUT.gif      FRAMES: where the hour lies of which the film is, e.g. 70,92
"""

import sys
from pathlib import Path

import numpy as np

import framecast
from framecast.data import DataConfig, FileSource
from framecast.forecasting.context import open_context
from framecast.forecasting.predict import forecast_source
from framecast.plotting import animation
from framecast.recipe.data_as_trained import open_as_trained
from framecast.recipe.recipe import recipe_of_run
from framecast.trained import find_model

MILLISECONDS = 250


def draw_film(radar: str, first: int, stop: int, out: Path) -> None:
    """Forecast the frames that follow the model's context, and put them beside the true ones.

    Args:
        radar: file or folder of radar frames.
        first: number of the first frame of the input.
        stop: number behind the last frame of the truth.
        out: path of the GIF.
    """
    folder = find_model("rain")
    model = framecast.load(folder).with_matching(True)
    start = first + model.context
    past, future = ({"source": radar, "frames": part} for part in ((first, start), (start, stop)))
    config, stored = open_as_trained(recipe_of_run(folder), past, model.spec)
    source = open_context(model, config, stored)
    forecast = forecast_source(model, source, stop - start)
    truth = FileSource(DataConfig(**{**config.model_dump(), **future})).read(0, 0, stop - start)
    animation.save_gif(
        out, animation.draw_pictures(forecast, np.where(truth.valid, truth.frames, np.nan)), MILLISECONDS
    )


if __name__ == "__main__":
    numbers = [int(part) for part in sys.argv[2].split(",")]
    draw_film(sys.argv[1], *numbers, Path(sys.argv[3]))
