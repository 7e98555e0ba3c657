"""Figures: arrays in, pictures out. A matplotlibrc in the current folder, which may be a stranger's, is never read."""

from contextlib import chdir
from pathlib import Path

if Path("matplotlibrc").exists():  # it would go before the user's own; without it nothing is imported here
    with chdir(Path(__file__).parent):
        import matplotlib  # noqa: F401
