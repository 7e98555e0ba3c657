"""Sources: paths to sequences of frames in raw units."""
