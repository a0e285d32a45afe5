"""Spools for tests: numbered payloads, a buffer beside the disk, disks that fail."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from motionsig.publishers.log import Position
from motionsig.publishers.spool import Spool

START = Position(0, 0)


def payload(number: int, size: int = 100) -> bytes:
    return number.to_bytes(4, "big") * (size // 4)


def numbers(spool: Spool) -> list[int]:
    """Return the number of every payload in the spool."""
    found, position = [], START
    while records := spool.read(position):
        found += [int.from_bytes(record.payload[:4], "big") for record in records]
        position = records[-1].end
    return found


def segments(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.glob("*.segment")}


def buffered(folder: Path, **options: object) -> Spool:
    return Spool(folder / "disk", buffer=folder / "buffer", **options)  # type: ignore[arg-type]


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs as a disk that may be small or read-only."""
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]).returncode:
        pytest.skip("mounting needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fails_once(monkeypatch: pytest.MonkeyPatch, name: str, error: int, when: Callable[..., bool]) -> None:
    """Have a function of `os` fail the first time that its arguments are such."""
    real, left = getattr(os, name), [1]

    def failing(*given: object, **named: object) -> object:
        if left[0] and when(*given):
            left[0] = 0
            raise OSError(error, os.strerror(error))
        return real(*given, **named)

    monkeypatch.setattr(os, name, failing)
