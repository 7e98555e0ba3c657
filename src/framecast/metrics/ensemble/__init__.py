"""Scores of ensembles: proper scores of values, events and frames, on pixels and on means of areas."""
