"""Scores of forecasts on a data set, beside baselines."""
