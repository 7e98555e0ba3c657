"""The newest forecast of a folder, and its frames as pictures in web mercator.

* forecast.py: what the folder holds now; colours.py: values to a palette
* projection.py: where the pixels of a picture lie in the grid; pictures.py: PNGs of them
"""
