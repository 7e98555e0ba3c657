"""File that a library fills: the first write that fails is kept, and raised once the library has closed the file.

Libraries in C do not survive a disk that becomes full: HDF5 crashes while it closes such a file, GDAL forgets the error,
pictures are written by calls that do not look at how much was written. They are given a file whose writes never fail.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


@contextmanager
def open_output(path: Path) -> Iterator[IO[bytes]]:
    """Open a new file for writing and reading; at the end it is flushed to the disk.

    The file has no descriptor, so that a library writes through Python, where each write is checked.

    Args:
        path: path of the file; one that is there is emptied.

    Raises:
        OSError: a write failed. Raised at the end, when the library has closed what it opened, in place of any other
            error, which follows from it.
    """
    raw = _OutputFile(path)
    file = io.BufferedRandom(raw)
    try:
        yield cast("IO[bytes]", file)
    finally:
        file.close()  # fails never, as writes do not; some libraries have closed it already
        if raw.failure is not None:
            raise raw.failure


class _OutputFile(io.RawIOBase):
    """File that drops what is written after a failure.

    Attributes:
        failure: the first error of a write; None as long as all was written.
    """

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path, "w+")
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def write(self, data: ReadableBuffer) -> int:
        """Write all of the data: a disk may take a part, and say only the next time that it is full."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        with self._keeping_failure():
            while rest and self.failure is None:
                rest = rest[self._file.write(rest) :]
        if rest:
            self._file.seek(rest.nbytes, os.SEEK_CUR)
        return size

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        with self._keeping_failure():
            if self.failure is None:
                self._file.truncate(size)
        return size

    def close(self) -> None:
        """Flush to the disk, which may be the moment in which a disk far away says that it is full, and close."""
        if self.closed:
            return
        super().close()
        with self._keeping_failure(), self._file:
            if self.failure is None:
                os.fsync(self._file.fileno())

    @contextmanager
    def _keeping_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error
