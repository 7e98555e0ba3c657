"""How far a reader walks: the files of framecast that a command calls into, in the order of the first calls.

python -m tests.house.walk predict runs/radar radar.h5 --out next.nc
"""

import sys
from pathlib import Path
from types import FrameType

import framecast
from framecast.cli import main

HOUSE = str(Path(framecast.__file__).parent)


def walk(words: list[str]) -> list[str]:
    """The file of each function at its first call from each caller, in order; words are those of the command line."""
    edges, files = set(), []

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(HOUSE) or code.co_name.startswith("<"):
            return
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(HOUSE):
            caller = caller.f_back
        edge = (caller and caller.f_code, code)
        if edge not in edges:
            edges.add(edge)
            files.append(code.co_filename.removeprefix(HOUSE))

    sys.argv = ["framecast", *words]
    sys.setprofile(note)
    try:
        main()
    except SystemExit:
        pass
    finally:
        sys.setprofile(None)
    return files


if __name__ == "__main__":
    calls = walk(sys.argv[1:])
    stops = [file for number, file in enumerate(calls) if number == 0 or file != calls[number - 1]]
    rooms = len(set(stops))
    print(f"{len(calls)} calls, {len(stops)} stops in {rooms} files, {len(stops) - rooms} of them returns")
