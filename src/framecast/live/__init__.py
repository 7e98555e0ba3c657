"""Forecasts of frames that keep coming: a folder or an address is watched, and each new frame gives a new forecast."""
