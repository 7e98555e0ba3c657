"""SIGTERM and SIGINT as a wish that the training loop grants at the end of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class StopWish:
    """While it is entered, the first SIGTERM or SIGINT is noted; a second SIGINT interrupts at once.

    Attributes:
        signal: the number of the signal, 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, object] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number

    def __enter__(self) -> StopWish:
        """Install the handlers; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            self._before = {n: signal.signal(n, self._note) for n in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the old handlers back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
