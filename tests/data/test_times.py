"""Order, gaps and duplicates of frames by their times."""

import numpy as np

from framecast.data.times import order_frames


def test_timelines():
    minutes = np.array([0, 5, 10, 20, 25, 25, 15 + 60], "timedelta64[m]") + np.datetime64("2020-01-01", "ms")
    line = order_frames([7], minutes.astype("datetime64[ms]"), None, None)
    assert line.step_minutes == 5
    assert line.runs == [(0, 3), (3, 2), (5, 1)]
    assert (line.duplicates, line.missing) == (1, 10)
    jitter = np.array([0, 299, 602, 899, 1200], "timedelta64[s]") + np.datetime64("2020-01-01", "ms")
    assert order_frames([5], jitter.astype("datetime64[ms]"), None, None).runs == [(0, 5)]
    months = np.array([f"2020-{month:02}-01" for month in range(1, 13)], "datetime64[ms]")
    assert order_frames([12], months, None, None).runs == [(0, 12)]
    two = np.array([0, 5, 20], "timedelta64[m]") + np.datetime64("2020-01-01", "ms")
    assert order_frames([3], two.astype("datetime64[ms]"), None, None).runs == [(0, 2), (2, 1)]
