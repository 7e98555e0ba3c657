"""Predictors: networks in raw units and baselines; model folders on disk."""
