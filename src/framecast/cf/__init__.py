"""Frames and forecasts as xarray objects by the CF conventions: names, coordinates, reference systems; lazy frames."""
