"""Train a small network on moving digits, then predict frames that nobody has seen yet.

python examples/01_forecast.py [RUN] [STEPS]
"""

import sys
from pathlib import Path

import framecast

run = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example-1")
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100

recipe = framecast.read_recipe(
    "predrnn", ["model.hidden=[32,32]", "model.kernel_size=3", "train.lr=3e-3"], {"train.steps": steps}
)
framecast.start(recipe, run)

forecaster = framecast.load(run)
digits = framecast.open_data(recipe.data, context=10, horizon=10, seed=0)
frames = digits.window("test", 0, 0).frames[None, :10]  # (1, 10, 1, 64, 64), grey levels 0..255
future = forecaster.predict(frames, horizon=25)  # any horizon, any number of frames in, any size
print(future.shape, future.dtype, "grey levels", future.min().round(), "to", future.max().round())
