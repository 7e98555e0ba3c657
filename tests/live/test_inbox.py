"""Files that grow, fail, come back; and slots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framecast.live.inbox import Entry, Inbox, read_records
from framecast.live.slots import Cadence, format_slot, name_time, parse_slot


def test_a_file_is_read_when_it_has_not_changed_for_a_while() -> None:
    inbox = Inbox(settle=2.0, retry=60.0)
    old, grown = Entry("a.png", 10, 100.0), Entry("a.png", 20, 101.0)
    assert inbox.find_news([old], now=101.0, clock=0.0) == []
    assert inbox.find_news([grown], now=102.5, clock=1.5) == []
    assert inbox.count_growing([grown]) == 1
    assert inbox.find_news([grown], now=103.0, clock=2.0) == [grown], "by its own time of change"
    ahead = Entry("b.png", 10, 9999.0)
    assert inbox.find_news([ahead], now=103.0, clock=3.0) == []
    assert inbox.find_news([ahead], now=104.0, clock=4.9) == []
    assert inbox.find_news([ahead], now=99.0, clock=5.0) == [ahead], "where clocks differ, as it was watched"


def test_what_was_read_is_not_read_again_before_it_changes() -> None:
    inbox = Inbox(0.0, 60.0)
    entry = Entry("a.png", 10, 100.0)
    assert inbox.take(entry, {"t": "1"}) == "new"
    assert inbox.find_news([entry], 200.0, 0.0) == []
    again = Inbox(0.0, 60.0, read_records(inbox.as_dict()))
    assert again.find_news([entry], 200.0, 0.0) == []
    assert again.find_news([entry._replace(changed=101.0)], 200.0, 0.0) != []
    assert again.take(entry._replace(changed=101.0), {"t": "1"}) == "the same again"
    assert again.take(entry._replace(changed=102.0), {"t": "2"}) == "revised"
    assert again.take(Entry("b.png", 10, 99.0), {"t": "3"}).startswith("conflicting with a.png")
    assert again.find_origins()["t"] == ("a.png", "2"), "the one that changed last"


def test_what_cannot_be_read_is_tried_again_for_a_while() -> None:
    inbox, entry = Inbox(0.0, 60.0), Entry("a.png", 10, 100.0)
    assert inbox.fail(entry, "truncated", now=200.0) == "unreadable"
    assert inbox.find_news([entry], 210.0, 0.0) == [entry]
    assert inbox.fail(entry, "truncated", now=259.0) == "unreadable"
    assert inbox.fail(entry, "truncated", now=260.0) == "quarantined"
    assert inbox.find_news([entry], 261.0, 0.0) == []
    whole = Entry("a.png", 20, 262.0)
    assert inbox.find_news([whole], 300.0, 0.0) == [whole]
    assert inbox.fail(whole, "truncated", now=300.0) == "unreadable", "another file, another deadline"
    assert inbox.fail(entry, "truncated", now=10.0) == "unreadable", "a clock that jumps back starts it anew"


def test_what_is_no_longer_shown_is_forgotten_once_it_is_of_no_use() -> None:
    inbox = Inbox(0.0, 60.0)
    for number, name in enumerate("abc"):
        inbox.take(Entry(name, 1, 1.0), {f"2024-05-01T12:0{number}:00.000": name})
    inbox.forget(["a"], parse_slot("2024-05-01T12:02:00"))
    assert sorted(inbox.records) == ["a", "c"]


@given(st.integers(0, 10**7), st.floats(-0.39, 0.39), st.sampled_from([1.0, 2.0, 5.0, 7.5, 10.0, 60.0]))
def test_times_near_a_slot_are_snapped_to_it(number: int, share: float, step: float) -> None:
    cadence = Cadence(step)
    slot = np.datetime64(round(number * step * 60_000), "ms")
    near = slot + np.timedelta64(round(share * step * 60_000), "ms")
    assert cadence.snap(near) == slot
    assert cadence.snap(slot + np.timedelta64(round(0.45 * step * 60_000), "ms")) is None
    assert cadence.count(slot, cadence.shift(slot, 7)) == 7


def test_odd_seconds_have_a_slot() -> None:
    assert Cadence(2.0).snap(np.datetime64("2019-06-10T01:06:37", "ms")) == np.datetime64("2019-06-10T01:06:00", "ms")


def test_names_of_slots() -> None:
    slot = np.datetime64("2016-09-28T15:05:00", "ms")
    assert format_slot(slot) == "20160928T150500Z"
    assert parse_slot(name_time(slot)) == slot
    assert format_slot(slot + 250) == "20160928T150500.250Z"


@pytest.mark.parametrize("damage", [{"a": {"size": 1}}, {"a": 3}])
def test_damaged_records_are_refused(damage: dict) -> None:
    with pytest.raises(TypeError):
        read_records(damage)
