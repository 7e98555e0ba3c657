"""The loop ends between two looks when it is told to, and finishes the one that it is at."""

import threading

from framecast.live.loop import run
from framecast.live.watcher import Look, Watcher


class Looking(Watcher):
    """A watcher that is told to end while it looks."""

    def __init__(self, ending: threading.Event) -> None:
        self.ending, self.looks = ending, 0

    def look(self) -> Look:
        self.looks += 1
        if self.looks == 2:
            self.ending.set()
        return Look([f"look {self.looks}"])

    def prepare(self) -> bool:
        return False


def test_a_look_is_finished_and_none_begins() -> None:
    ending, said = threading.Event(), list[str]()
    watcher = Looking(ending)
    loop = threading.Thread(
        target=run,
        args=(watcher, lambda look: said.extend(look.lines), str),
        kwargs={"poll": 0.01, "settle": 0.0, "ending": ending},
        daemon=True,
    )
    loop.start()
    loop.join(20)
    assert not loop.is_alive()
    assert said == ["look 1", "look 2"]
