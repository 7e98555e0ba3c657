"""Service: forecasts over HTTP, tiles and a map of what `framecast watch` issues; the extra `serve`.

* limits.py, access.py: what one request, and all of them together, may take; who may ask
* bodies.py, answers.py: bytes of a request to frames, forecasts to bytes
* model.py, work.py, compute.py: the model that answers; requests as batches of it; the one thread that computes them
* newest/: the newest forecast of a folder, as pictures in web mercator
* predict_routes.py, newest_routes.py, tile_routes.py, app.py: addresses; server.py: the process that answers
"""

import framecast.plotting  # noqa: F401  before matplotlib, which else reads the settings of the current folder
