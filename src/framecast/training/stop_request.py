"""Request to stop a training: the first SIGTERM or SIGINT is noted, so that the iteration is finished and saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class StopRequest:
    """Context that notes the first SIGTERM or SIGINT; a second SIGINT interrupts at once.

    Attributes:
        signal: the number of the signal, 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._handlers: dict[int, object] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number

    def __enter__(self) -> StopRequest:
        """Install the handlers; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            self._handlers = {n: signal.signal(n, self._note) for n in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the old handlers back."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
