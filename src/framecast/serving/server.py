"""Server: the process that answers, its timeouts, its signals, and the loop beside it."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from framecast.errors import FramecastError, UsageError
from framecast.serving.service import Service

GRACE = 20
"""Seconds that requests have to end after SIGTERM."""
BACKLOG = 256
"""Connections that wait to be taken."""
LARGEST_HEAD = 16 << 10
"""Bytes of the first line and the headers of a request."""


def make_protocol(seconds: float) -> type[asyncio.Protocol]:
    """Make a protocol whose clients must have sent the headers of a request in time.

    uvicorn itself waits without end for a client that stalls within them.
    """

    class TimedProtocol(H11Protocol):
        """Protocol that closes connections on which no request is complete after a while."""

        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._timer = self.loop.call_later(seconds, self._close_if_silent)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            is_waiting = self.conn.their_state is h11.IDLE
            if not is_waiting and self._timer is not None:
                self._timer.cancel()
                self._timer = None
            elif is_waiting and self._timer is None:
                self._timer = self.loop.call_later(seconds, self._close_if_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def _close_if_silent(self) -> None:
            self._timer = None
            if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol


class ServiceServer(uvicorn.Server):
    """uvicorn's server, which tells the service when it ends."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to end."""
        self._service.is_ending = True
        super().handle_exit(sig, frame)


def open_socket(host: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises:
        UsageError: it cannot be listened at.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)  # clients wait in line from now on
    except (OSError, OverflowError) as error:
        fix = "choose another --port, or end what listens there"
        raise UsageError(
            f"{host}:{port}", got=str(error), expected="a free address of this machine", fix=fix
        ) from error
    return listening


def serve(service: Service, app: Any, listening: socket.socket, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP loads the model again.

    Args:
        service: behind the application.
        app: ASGI.
        listening: bound socket.
        say: tells the user a line.
    """
    limits = service.limits
    config = uvicorn.Config(
        app,
        http=make_protocol(limits.read_seconds),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        backlog=BACKLOG,
    )
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda number, frame: _reload_apart(service, say))
    ServiceServer(config, service).run(sockets=[listening])


def _reload_apart(service: Service, say: Callable[[str], None]) -> None:
    """Load the model again in a thread of its own, and tell how it went."""

    def reload() -> None:
        try:
            about = service.reload()
        except (FramecastError, OSError, ValueError) as error:
            say(f"{error}; the old model stays")
        else:
            say(f"loaded again: {about['name']}")

    threading.Thread(target=reload, name="framecast-reload", daemon=True).start()
