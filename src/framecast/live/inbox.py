"""Inbox: what a place shows, file by file: growing, settled, read, the same again, revised, unreadable, quarantined.

The state is plain values by name, size and time of change, so that nothing is read twice after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from framecast.live.slots import Instant, parse_slot

Status = Literal["read", "late", "future", "empty", "unreadable", "quarantined", "off"]


class Entry(NamedTuple):
    """A file that a place shows."""

    name: str
    size: int | None
    """Bytes; None where the place does not say."""
    changed: float | None
    """Seconds since 1970 of its last change; None where the place does not say."""


@dataclass
class FileRecord:
    """What is known of a file of one size and time of change."""

    size: int | None
    changed: float | None
    status: Status
    reason: str = ""
    """Why it is not used."""
    slots: dict[str, str] = field(default_factory=dict)
    """Digest of each frame that may be used, by its slot."""
    since: float = 0.0
    """Seconds since 1970 of the first attempt that failed."""

    @property
    def is_used(self) -> bool:
        """Whether its frames count."""
        return self.status == "read"


class Origin(NamedTuple):
    """The file that a slot's frame comes from."""

    name: str
    digest: str


class Inbox:
    """Files that were seen, and which of them are to be read now.

    Args:
        settle: seconds for which a file must not change before it is read.
        retry: seconds for which a file that cannot be read is tried again.
        records: by name, from an earlier process.
    """

    def __init__(self, settle: float, retry: float, records: dict[str, FileRecord] | None = None) -> None:
        self._settle, self._retry = settle, retry
        self.records = records or {}
        self._sights: dict[str, tuple[Entry, float]] = {}

    def find_news(self, entries: Sequence[Entry], now: float, clock: float) -> list[Entry]:
        """Find the files that are to be read now: new ones, changed ones, and those to be tried again, once settled.

        Args:
            entries: all that the place shows.
            now: seconds since 1970.
            clock: seconds of a clock that never jumps.
        """
        self._sights = {name: sight for name, sight in self._sights.items() if name in {e.name for e in entries}}
        return [entry for entry in entries if self._is_wanted(entry) and self._is_settled(entry, now, clock)]

    def _is_wanted(self, entry: Entry) -> bool:
        record = self.records.get(entry.name)
        if record is None or (record.size, record.changed) != (entry.size, entry.changed):
            return True
        return record.status in ("unreadable", "future")

    def _is_settled(self, entry: Entry, now: float, clock: float) -> bool:
        """Whether a file has not changed for long enough: by its own time of change, else as it was watched."""
        before, since = self._sights.get(entry.name, (entry, clock))
        self._sights[entry.name] = (entry, clock if before != entry else since)
        if entry.changed is None or self._settle == 0:
            return True  # nothing to watch: half a file is found out when it is read
        return now - entry.changed >= self._settle or clock - self._sights[entry.name][1] >= self._settle

    def count_growing(self, entries: Iterable[Entry]) -> int:
        """Count the files that are not settled yet."""
        return sum(self._is_wanted(entry) and entry.name not in self.records for entry in entries)

    def take(self, entry: Entry, slots: dict[str, str]) -> str:
        """Take note of the frames of a file, slots and their digests; say what they are to those that were there."""
        owners = self.find_origins()
        known = {slot: owners[slot] for slot in slots if slot in owners}
        word = "new"
        if known and all(origin.digest == slots[slot] for slot, origin in known.items()) and len(known) == len(slots):
            word = "the same again"
        elif any(origin.name != entry.name and origin.digest != slots[slot] for slot, origin in known.items()):
            names = sorted({origin.name for origin in known.values()} - {entry.name})
            word = f"conflicting with {', '.join(names)}: of one time the file that changed last is used"
        elif known:
            word = "revised"
        self.records[entry.name] = FileRecord(entry.size, entry.changed, "read", slots=slots)
        return word

    def set_aside(self, entry: Entry, status: Status, reason: str) -> None:
        """Take note of a file that is not used."""
        self.records[entry.name] = FileRecord(entry.size, entry.changed, status, reason)

    def fail(self, entry: Entry, reason: str, now: float) -> Status:
        """Take note of a file that cannot be read; it is tried again for a while, then quarantined until it changes."""
        record = self.records.get(entry.name)
        is_again = record is not None and record.status == "unreadable" and record.size == entry.size
        since = record.since if is_again and record is not None and record.since <= now else now
        status: Status = "quarantined" if now - since >= self._retry else "unreadable"
        self.records[entry.name] = FileRecord(entry.size, entry.changed, status, reason, since=since)
        return status

    def find_origins(self) -> dict[str, Origin]:
        """Find the file of each slot: of several the one that changed last, then the last by name."""
        origins: dict[str, Origin] = {}
        for name, record in sorted(self.records.items(), key=lambda item: (item[1].changed or 0.0, item[0])):
            if record.is_used:
                origins.update({slot: Origin(name, digest) for slot, digest in record.slots.items()})
        return origins

    def find_newest(self) -> Instant | None:
        """Find the newest slot that has a frame."""
        return max(map(parse_slot, self.find_origins()), default=None)

    def forget(self, shown: Iterable[str], before: Instant) -> None:
        """Forget files that the place no longer shows and whose frames lie before a slot."""
        names = set(shown)
        for name, record in list(self.records.items()):
            if name not in names and all(parse_slot(slot) < before for slot in record.slots):
                del self.records[name]

    def list_set_aside(self) -> Iterator[tuple[str, FileRecord]]:
        """Iterate over the files that could not be read, with the reason."""
        return (
            (name, record) for name, record in self.records.items() if record.status in ("unreadable", "quarantined")
        )

    def as_dict(self) -> dict[str, Any]:
        """State as plain values."""
        return {name: asdict(record) for name, record in self.records.items()}


def read_records(values: dict[str, Any]) -> dict[str, FileRecord]:
    """Read records from plain values.

    Raises:
        TypeError: values of another form.
    """
    return {name: FileRecord(**fields) for name, fields in values.items()}
