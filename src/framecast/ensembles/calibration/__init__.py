"""Calibration of an ensemble: probabilities and intervals, by what came in the windows that it was fitted on.

* reliability.py: how often an event came at each share of members
* intervals.py: intervals that hold the truth as often as they say
* calibration_file.py: both as a file beside the error tables; fit.py: how they are fitted, and checked
"""
