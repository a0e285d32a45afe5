"""Tests in real time, which no machine under load can pass each time."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_TIMES = 10
_LATE_S = 0.01
"""A thread that wakes so late was kept from a processor: on a machine with nothing else to do it is .1 ms."""


def undisturbed(test: Callable[..., None]) -> Callable[..., None]:
    """Try a test again where it fails while the machine stands still, each time with a `tmp_path` of its own.

    It is for promises about samples that a process reads in real time: a machine that stands still for longer than a
    FIFO holds keeps none of them. Where no stall was seen the failure counts, and after ten times in any case. The
    test's other fixtures are made once.
    """

    @functools.wraps(test)
    def tried(**given: Any) -> None:
        for number in range(_TIMES):
            if "tmp_path" in given:
                own = given["tmp_path"] / f"time{number}"
                own.mkdir()
                here = given | {"tmp_path": own}
            else:
                here = given
            if "caplog" in given:
                given["caplog"].clear()
            with _stalls() as late:
                try:
                    return test(**here)
                except (Exception, pytest.fail.Exception):
                    if number == _TIMES - 1 or not late:
                        raise
        return None

    return tried


@contextmanager
def _stalls() -> Iterator[list[float]]:
    """Give a list that gets how late (s) a thread woke, each time that it was longer than `_LATE_S`."""
    late: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            asleep_s = time.monotonic()
            time.sleep(_LATE_S / 2)
            woke_s = time.monotonic()
            if woke_s - asleep_s > 1.5 * _LATE_S:
                late.append(woke_s - asleep_s - _LATE_S / 2)

    watcher = threading.Thread(target=watch, name="stalls")
    watcher.start()
    try:
        yield late
    finally:
        ended.set()
        watcher.join()
