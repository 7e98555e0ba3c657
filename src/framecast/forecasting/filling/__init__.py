"""Absent frames of a context, filled by the predictor's own forecast from the frames before them."""
