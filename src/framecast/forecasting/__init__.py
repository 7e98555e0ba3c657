"""Forecasting: the Predictor protocol, networks and baselines behind it, memory plans, and models on disk."""
