"""Section of a report: the motion along which a model moves frames, as arrows."""

from __future__ import annotations

import base64

from framecast.evaluation.suite import EvaluationSuite
from framecast.report.blocks import Picture, Section, Text
from framecast.report.frames import ChosenSequences

MOST = 3
"""Sequences that are drawn: the best, the median and the worst."""
ABOUT = "The newest frame of the input, which the base of the model moves along these arrows."


def make_motion_section(suite: EvaluationSuite, chosen: ChosenSequences) -> Section | None:
    """Section with the motion of the first sequences of the page; None for a model that moves nothing.

    Args:
        suite: forecasts and windows, the model first.
        chosen: the sequences of the page.
    """
    png = suite.draw_motion({shown.number - 1: shown.title for shown in chosen.sequences[:MOST]})
    if png is None:
        return None
    picture = Picture("motion", f"data:image/png;base64,{base64.b64encode(png).decode()}")
    return Section("motion", "Motion", [Text(ABOUT), picture])
