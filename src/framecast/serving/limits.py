"""Limits of the service: of one request, and of the memory that all of them hold together."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from framecast.formatting import format_bytes


@dataclass(frozen=True)
class ServiceLimits:
    """Limits of the service."""

    body: int = 32 << 20
    """Bytes of a body, as sent."""
    memory: int = 1 << 30
    """Bytes that all requests hold together (bodies, frames, answers), and bytes that one computation may take."""
    horizon: int = 120
    """Frames of a forecast."""
    frames: int = 1000
    """Frames, or files, of a body."""
    queue: int = 32
    """Requests that wait to be computed."""
    batch: int = 16
    """Sequences that are computed together."""
    read_seconds: float = 10.0
    """Time in which a request must have arrived, headers and body each."""
    write_seconds: float = 30.0
    """Time in which a client must take each piece of an answer."""
    listeners: int = 100
    """Clients that wait for events."""
    connections: int = 1000


class Refusal(Exception):
    """Request that is refused: an HTTP status, a text for people, and perhaps when to come again.

    Args:
        status: of HTTP.
        text: one line.
        retry_after: seconds; None where it would be of no use.
    """

    def __init__(self, status: int, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after


class MemoryBudget:
    """Memory that requests hold together.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Take so many bytes.

        Raises:
            Refusal: 413 where they will never fit, 503 where others hold them now.
        """
        if count > self.limit:
            text = (
                f"memory: got a request that takes {format_bytes(count)}, expected at most {format_bytes(self.limit)}"
            )
            raise Refusal(413, text)
        with self._lock:
            if self.held + count > self.limit:
                raise Refusal(503, "busy: other requests hold the memory; come again", 1)
            self.held += count

    def give_back(self, count: int) -> None:
        """Give so many bytes back."""
        with self._lock:
            self.held -= count


class RequestMemory:
    """Memory that one request holds; all of it is given back at the end of a with block."""

    def __init__(self, room: MemoryBudget) -> None:
        self._room, self.held = room, 0

    def take(self, count: int) -> None:
        """Take more.

        Raises:
            Refusal: there is none.
        """
        self._room.take(count)
        self.held += count

    def release(self) -> None:
        """Give all back; a second time does nothing."""
        held, self.held = self.held, 0
        self._room.give_back(held)
