"""Every command, ended or failed at any of its system calls that change a file: what is there is whole, and it goes on.

The short form kills at some calls of each command, spread over all of them. The long one stops the command before each
call and copies what is there, which is what a kill would have left; states that differ only in what temporary files
hold count as one.
"""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.shim.cases import CASES, Case, describe, is_temporary, place, prepare, read_tree
from tests.faults.shim.client import FOREVER, STOP, Ended, Shim, open_shim

ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EMFILE": errno.EMFILE, "EACCES": errno.EACCES}
SHORT = ("train", "predict .zarr", "calibrate", "watch")
"""Commands of the short form, which kills two calls of each and fails one: a run takes a second."""
_RANDOM = re.compile(r"(?<=\.)([a-z0-9_]{8}(?=\.part)|[0-9a-f]{32}(?=\.partial))")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shim]:
    with open_shim(tmp_path_factory.mktemp("shim")) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(shim: Shim, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    prepare(shim, folder)
    return folder


class Trial:
    """A command in a folder that is made anew each time.

    Args:
        shim: runs it.
        made: folder of what it reads.
        out: path of the folder into which it writes.
        case: the command.
    """

    def __init__(self, shim: Shim, made: Path, out: Path, case: Case) -> None:
        self.shim, self.made, self.out, self.case = shim, made, out, case
        self.begin()
        self.before = read_tree(out)
        whole = self.run(learn=True)
        assert whole.code == 0, describe(whole)
        self.calls, self.whole = len(whole.calls), read_tree(out)
        self.gone_on: set[str] = set()

    def begin(self) -> None:
        """Put into the folder what is there before."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir()
        for source, name in self.case.start:
            path = self.made / source
            (shutil.copytree if path.is_dir() else shutil.copy2)(path, self.out / name)

    def run(self, words: list[str] | None = None, **how: Any) -> Ended:
        if how.get("watched", True):
            how["watched"] = self.out
        return self.shim.run(place(words or self.case.words, self.out), self.made, **how)

    def check_whole(self, told: str) -> None:
        """Nothing under a final name is half, and what is published at once is what a whole run publishes."""
        found = read_tree(self.out)
        if self.case.publishes:
            assert found.items() <= self.whole.items() or all(found[name] == self.whole[name] for name in found), (
                f"{told}: {found.keys()}"
            )

    def find_state(self) -> str:
        """Digest of all that is in the folder, but for the content and the random letters of temporary files."""
        state = hashlib.sha256()
        for path in sorted(self.out.rglob("*"), key=lambda path: _RANDOM.sub("", str(path))):
            name = _RANDOM.sub("", str(path.relative_to(self.out)))
            content = path.read_bytes() if path.is_file() and not is_temporary(path, self.out) else b""
            state.update(f"{name} {path.is_dir()} {len(content)} ".encode() + content)
        return state.hexdigest()

    def go_on(self, told: str) -> None:
        """Do what a user does, and end with the result of a run that nothing stopped."""
        if (state := self.find_state()) in self.gone_on:
            return
        words = self.case.words
        if self.case.again is not None and (self.out / "run" / "recipe.yaml").exists():
            words = self.case.again
        ended = self.run(words, watched=None)
        if ended.code == 2 and self.case.publishes and "a path that exists" in ended.stderr:
            assert read_tree(self.out) == self.whole, f"{told}: refused, and not whole\n{describe(ended)}"
        else:
            assert ended.code == 0, f"{told}\n{describe(ended)}"
            found = read_tree(self.out)
            assert found.keys() == self.whole.keys(), f"{told}: {found.keys() ^ self.whole.keys()}"
            different = [name for name in found if found[name] != self.whole[name]]
            assert not different, f"{told}: {different}"
            left = [path for path in self.out.rglob("*") if is_temporary(path, self.out)]
            assert not left, f"{told}: {left}"
        self.gone_on.add(state)


def die_at(trial: Trial, number: int) -> bool:
    """Whether the command died at this call; what it left is checked."""
    trial.begin()
    ended = trial.run(first=number)
    if ended.code == 0:
        return False
    told = f"killed at {ended.calls[-1]}"
    assert ended.code == -9, f"{told}\n{describe(ended)}"
    trial.check_whole(told)
    trial.go_on(told)
    return True


def fail_at(trial: Trial, number: int, error: str) -> bool:
    """Whether there was such a call; what the command says and leaves is checked."""
    trial.begin()
    until = FOREVER if error == "ENOSPC" else number
    ended = trial.run(first=number, until=until, error=ERRORS[error])
    if len(ended.calls) < number:
        assert ended.code == 0, describe(ended)
        return False
    told = f"{error} at {ended.calls[number - 1]}"
    assert ended.code is not None, f"{told}: hangs\n{describe(ended)}"
    trial.check_whole(told)
    if ended.code != 0:
        check_line(ended, error, told)
        trial.go_on(told)
    else:
        assert "Traceback" not in ended.stderr, f"{told}\n{describe(ended)}"
        found = read_tree(trial.out)
        assert found == trial.whole, f"{told}: exit 0, and not whole: {found.keys() ^ trial.whole.keys()}"
    return True


def check_line(ended: Ended, error: str, told: str) -> None:
    """One line says what failed, without a traceback, and the exit code is that of its kind."""
    said = [line for line in ended.stderr.splitlines() if re.match(r"error:|Traceback|\s+File |Exception", line)]
    assert len(said) == 1, f"{told}\n{describe(ended)}"
    assert said[0].startswith("error:"), f"{told}\n{describe(ended)}"
    assert os.strerror(ERRORS[error]) in said[0], f"{told}\n{describe(ended)}"
    assert ended.code == (5 if error == "ENOSPC" else 2), f"{told}\n{describe(ended)}"


@pytest.mark.parametrize("name", SHORT)
def test_killed_and_failed_at_some_calls(shim: Shim, made: Path, tmp_path: Path, name: str) -> None:
    trial, place = Trial(shim, made, tmp_path / "out", CASES[name]), SHORT.index(name)
    first = 1 + (place * 7) % 10 * trial.calls // 10
    for number in (first, 1 + (first + trial.calls // 2) % trial.calls):
        assert die_at(trial, number)
    fail_at(trial, 1 + trial.calls // 3, list(ERRORS)[place % len(ERRORS)])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_killed_at_every_call(shim: Shim, made: Path, tmp_path: Path, name: str) -> None:
    trial, states, faults = Trial(shim, made, tmp_path / "out", CASES[name]), tmp_path / "states", []
    states.mkdir()
    trial.begin()
    whole = trial.run(first=1, error=STOP, states=states)
    assert whole.code == 0, describe(whole)
    stops = len(list(states.iterdir()))
    assert 0.9 * len(whole.calls) <= stops <= len(whole.calls), "two threads may stop at once"
    for number, call in enumerate(whole.calls[:stops], 1):
        shutil.rmtree(trial.out)
        shutil.copytree(states / str(number), trial.out, symlinks=True)
        try:
            trial.check_whole(f"killed at {call}")
            trial.go_on(f"killed at {call}")
        except AssertionError as fault:
            faults.append(str(fault))
    tell(f"{name}: killed at {len(whole.calls)} calls, {len(trial.gone_on)} states", faults)


def tell(counts: str, faults: list[str]) -> None:
    """Print what docs/reliability.md says, and fail where there are faults."""
    print(f"\nCOUNT {counts}, {len(faults)} faults", flush=True)
    for fault in faults:
        print("FAULT", counts, fault[:1500], flush=True)
    assert not faults, faults[0]


@pytest.mark.slow
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", CASES)
def test_errors_at_every_call(shim: Shim, made: Path, tmp_path: Path, name: str, error: str) -> None:
    trial, number, faults = Trial(shim, made, tmp_path / "out", CASES[name]), 1, []
    going = True
    while going:
        try:
            going = fail_at(trial, number, error)
        except AssertionError as fault:
            faults.append(str(fault))
        number += 1
    tell(f"{name}: {error} at {number - 2} calls", faults)
