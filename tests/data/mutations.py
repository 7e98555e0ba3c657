"""Damages a good file again and again, and reads each result: run in a process of its own, which a crash would end.

python mutations.py FILE COUNT SEED [VARIABLE]     prints one JSON object
"""

import faulthandler
import json
import resource
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from framecast.data import ArraySource, DataConfig
from framecast.errors import InputError

INTERESTING = (b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"9999999", b"-1", b"")


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """The content with one to four damages; half of them near the beginning, where headers are."""
    out = bytearray(content)
    for _ in range(random.integers(1, 5)):
        size = max(1, len(out))
        at = int(random.integers(min(size, 2048) if random.random() < 0.5 else size))
        match int(random.integers(7)):
            case 0:
                out[at : at + 1] = bytes([int(random.integers(256))])
            case 1 if out:
                out[min(at, len(out) - 1)] ^= 1 << int(random.integers(8))
            case 2:
                del out[at:]
            case 3:
                del out[at : at + int(random.integers(1, 64))]
            case 4:
                word = INTERESTING[int(random.integers(len(INTERESTING)))]
                out[at : at + len(word)] = word
            case 5:
                begin = int(random.integers(size))
                out[at:at] = out[begin : begin + int(random.integers(1, 64))]
            case _:
                out[at : at + 4] = random.integers(0, 256, 4, np.uint8).tobytes()
    return bytes(out)


def outcome(path: Path, variable: str | None) -> str:
    """What reading ends in."""
    try:
        source = ArraySource(DataConfig(source=str(path), variable=variable, range=(0, 300)))
        source.read(0, 0, min(2, source.lengths[0]))
    except InputError as error:
        return "long" if "\n" in str(error) or len(str(error)) > 1200 else "refused"
    except Exception as error:  # noqa: BLE001  what must not happen is counted, and the test fails on it
        return f"{type(error).__module__}.{type(error).__name__}: {str(error)[:100]}"
    return "read"


def peak() -> int:
    """Memory of this process at its highest, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main(good: Path, count: int, seed: int, variable: str | None) -> None:
    faulthandler.enable()
    assert outcome(good, variable) == "read"
    random, before, found = np.random.default_rng(seed), peak(), Counter()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            path = Path(folder) / good.name
            if good.is_dir():
                shutil.copytree(good, path)
                members = sorted(p for p in path.rglob("*") if p.is_file())
                target = members[int(random.integers(len(members)))]
            else:
                target = path
                path.write_bytes(good.read_bytes())
            target.write_bytes(mutated(target.read_bytes(), random))
            found[outcome(path, variable)] += 1
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(json.dumps({"outcomes": found, "grown": peak() - before}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
