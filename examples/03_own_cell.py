"""A network of your own, trained and used like any other: my_cells.py beside this file, nothing to register.

python examples/03_own_cell.py [RUN] [STEPS]
"""

import sys

from my_cells import MyNetwork

import framecast

run = sys.argv[1] if len(sys.argv) > 1 else "runs/example-3"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100
recipe = framecast.Recipe(model=MyNetwork(hidden=(16, 16), kernel_size=3), train={"steps": steps, "lr": 3e-3})
print(framecast.start(recipe, run))
print(framecast.load(run, model=MyNetwork).config)
