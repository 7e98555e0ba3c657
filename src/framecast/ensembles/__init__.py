"""Ensembles of any predictor: members from its past errors, opponents, calibrated probabilities, and products."""
