"""Times in names of files; order, gaps and duplicates of frames by their times."""

import numpy as np

from framecast.data.times import counters_from_names, natural_key, order_frames, times_from_names


def test_names():
    assert natural_key("b10") > natural_key("b9") > natural_key("a11")
    assert counters_from_names(["x1y007.png", "x2y007.png"]) is None
    assert counters_from_names(["a.png", "b.png"]) is None
    found = counters_from_names(["f_007.png", "f_010.png"])
    assert found is not None
    assert found.tolist() == [7, 10]
    for name in ("a_201609281445.pgm.gz", "2016-09-28_14-45-00.png", "x20160928T1445Z", "2016.09.28 14:45"):
        times = times_from_names([name])
        assert times is not None, name
        assert times[0] == np.datetime64("2016-09-28T14:45")
    assert times_from_names(["20160231"]) is None
    assert times_from_names(["photo_5", "20160101"]) is None
    assert times_from_names(["1234567890123456"]) is None


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
