"""Where a grid lies on the Earth: its reference system, and coastlines and borders in its pixels.

* reference_systems.py: the CRS of a grid, and its coordinates in the CRS's units
* place.py: longitudes and latitudes to pixels of a grid, and back
* outlines.py: coastlines, borders, meridians and parallels as lines over a frame
* natural_earth.py: makes natural_earth.npz, the coastlines and borders of the package; CREDITS says whose they are
"""
