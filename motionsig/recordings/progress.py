"""How many bytes of a log were read so far, of those on the disk, for a bar that shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, TypeVar

_T = TypeVar("_T")


class Reads:
    """The files that were opened for one iteration over a log, and how far each is read."""

    def __init__(self) -> None:
        self._open: list[Callable[[], int]] = []
        self._closed = 0
        self._most: int | None = None

    @property
    def count(self) -> int | None:
        """How many bytes were read; it never falls. None where no file of it was opened through a Member."""
        if self._open or self._most is not None:
            self._most = max(self._most or 0, self._closed + sum(position() for position in self._open))
        return self._most

    def during(self, values: Iterator[_T]) -> Iterator[_T]:
        """Yield the values; the files that are opened in order to make them are counted here."""
        while True:
            token = _reads.set(self)
            try:
                value = next(values)
            except StopIteration:
                return
            finally:
                _reads.reset(token)
            yield value

    def _ended(self, position: Callable[[], int]) -> None:
        self._closed += position()
        self._open.remove(position)
        self._most = max(self._most or 0, self._closed)


_reads: ContextVar[Reads | None] = ContextVar("reads", default=None)


@contextmanager
def counted(file: IO[bytes], share: float = 1.0) -> Iterator[IO[bytes]]:
    """Count what is read of a file for the log that is iterated over, if one is, by where the file stands.

    share: of the bytes on the disk by those that are read, where the file is unpacked.
    """
    if (reads := _reads.get()) is None:
        yield file
        return
    last = 0

    def position() -> int:
        nonlocal last
        if not file.closed:
            last = max(last, round(file.tell() * share))
        return last

    reads._open.append(position)
    try:
        yield file
    finally:
        reads._ended(position)
