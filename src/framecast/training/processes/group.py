"""Process group of a training on several devices or machines: the first decides, and a failure ends all processes."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import distributed

from framecast.data import DataSet
from framecast.devices import Launch
from framecast.errors import FramecastError, InputError, UsageError

SHARED_SECONDS = 20.0
"""Time in which a file that one machine has written shows on the others: network file systems keep listings a while."""
Result = TypeVar("Result")


class OtherProcessFailed(FramecastError):
    """Another process of the training failed; `exit_code` is that of its error.

    Args:
        failure: of the other process.
    """

    def __init__(self, failure: _Failure) -> None:
        super().__init__(f"process {failure.rank} on {failure.host}: {failure.text}")
        self.exit_code = failure.exit_code


class _Failure(NamedTuple):
    """An error, as one process tells it to the others."""

    rank: int
    host: str
    text: str
    exit_code: int


def join_group(place: Launch) -> None:
    """Join the processes that torchrun started, before anything is read, so that no process waits for one that failed.

    A single process, and one that has joined already, have nothing to do.

    Args:
        place: device and processes.
    """
    is_alone = place.processes * place.nodes == 1
    if is_alone or _is_joined() or "MASTER_ADDR" not in os.environ:
        return
    # what is decided travels between CPUs, gradients between GPUs
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")


def run_together(work: Callable[[], Result]) -> Result:
    """Run what every process does for itself; where it fails in one, it fails in all. All processes call this together.

    Args:
        work: done in each process; without communication of its own.

    Returns:
        the result of this process.

    Raises:
        OtherProcessFailed: the error of the first process that failed; a process that failed itself raises its own.
    """
    if not _is_joined():
        return work()
    try:
        result = work()
    except Exception as error:
        _gather(_describe(error))
        raise
    failures = [failure for failure in _gather(None) if failure is not None]
    if failures:
        raise OtherProcessFailed(failures[0])
    return result


def decide_first(decide: Callable[[], Result]) -> Result:
    """Let the first process decide, and all others take over what it decided. All processes call this together.

    Args:
        decide: called in the first process alone; its result is sent to the others.

    Raises:
        OtherProcessFailed: the first process failed; that one raises its own error.
    """
    if not _is_joined():
        return decide()
    if distributed.get_rank() > 0:
        received: list[Any] = [None]
        distributed.broadcast_object_list(received, device=torch.device("cpu"))
        if isinstance(received[0], _Failure):
            raise OtherProcessFailed(received[0])
        decided: Result = received[0]
        return decided
    try:
        decided = decide()
    except Exception as error:
        distributed.broadcast_object_list([_describe(error)], device=torch.device("cpu"))
        raise
    distributed.broadcast_object_list([decided], device=torch.device("cpu"))
    return decided


def check_shared(path: Path) -> None:
    """Check that all processes see the file that the first one sees. All processes call this together.

    Raises:
        UsageError: this process does not see it, or another one.
        OtherProcessFailed: another process does not.
    """
    digest = decide_first(lambda: _digest(path))
    run_together(lambda: _wait_for(path, digest))


def check_same_frames(dataset: DataSet) -> None:
    """Check that all processes read the same frames, by one window. All processes call this together.

    Raises:
        InputError: this process reads others, or none.
        OtherProcessFailed: another process does.
    """
    if not _is_joined() or not dataset.count("train"):
        return
    digest = decide_first(lambda: _digest_window(dataset))

    def compare() -> None:
        if _digest_window(dataset) != digest:
            expected = "those that the first process reads"
            fix = "give all machines the same files"
            raise InputError("data", got=f"other frames on {_name_host()}", expected=expected, fix=fix)

    run_together(compare)


def _digest_window(dataset: DataSet) -> str:
    return hashlib.sha256(dataset.window("train", 0, 0).frames.tobytes()).hexdigest()


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _wait_for(path: Path, digest: str | None) -> None:
    end = time.monotonic() + SHARED_SECONDS
    while _digest(path) != digest:
        if time.monotonic() > end:
            got = f"{'another' if path.is_file() else 'no'} {path.name} in it on {_name_host()}"
            fix = "put it on storage that all machines share"
            raise UsageError(str(path.parent), got=got, expected="the folder that the first process sees", fix=fix)
        time.sleep(0.1)


def _name_host() -> str:
    return socket.gethostname()


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _describe(error: Exception) -> _Failure:
    code = error.exit_code if isinstance(error, FramecastError) else 1
    return _Failure(distributed.get_rank(), _name_host(), str(error) or type(error).__name__, code)


def _gather(failure: _Failure | None) -> list[_Failure | None]:
    failures: list[_Failure | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(failures, failure)
    return failures
