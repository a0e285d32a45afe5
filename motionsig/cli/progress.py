"""How far something is, on standard error: a bar, or lines for what waits."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

from motionsig.blocks import SampleBlock, Source

_FIRST_S, _MOST_S = 10.0, 600.0


def printers() -> tuple[Callable[[str], None], Callable[[str], None]]:
    """Return what prints a line on standard error, and what shows there how it is going.

    On a terminal that is a passing line, which "" takes away. Elsewhere it is a line after 10 s, 20 s later, and so on,
    at last every ten minutes: a wait is never without a word, and a log stays short.
    """
    # A service may run with its standard error closed; then Python has none.
    moving = sys.stderr is not None and sys.stderr.isatty()
    clear = "\r\x1b[2K" if moving else ""
    pause_s = _FIRST_S
    due_s = time.monotonic() + pause_s

    def say(text: str) -> None:
        if sys.stderr is not None:
            print(clear + text, file=sys.stderr, flush=True)

    def show(text: str) -> None:
        nonlocal pause_s, due_s
        if moving:
            print(clear + text[: shutil.get_terminal_size().columns - 1], end="", file=sys.stderr, flush=True)
        elif text and time.monotonic() >= due_s:
            pause_s = min(2 * pause_s, _MOST_S)
            due_s = time.monotonic() + pause_s
            say(text)

    return say, show


class Progress(Protocol):
    """Takes how much was done since the last call, a text that stands at its end, and lines for standard output."""

    def update(self, n: float) -> object: ...

    def set_postfix_str(self, s: str) -> object: ...

    def write(self, s: str) -> object: ...


def progress(name: str, total: int | None, unit: str) -> AbstractContextManager[Progress]:
    """Return a bar, drawn only where standard error is a terminal and tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return nullcontext(SimpleNamespace(update=lambda n: None, set_postfix_str=lambda s: None, write=print))
    how = {"desc": name, "total": total, "unit": unit, "unit_scale": True, "disable": None, "leave": False}
    bar: AbstractContextManager[Progress] = tqdm(**how)
    return bar


def bytes_done(source: Source, size: float | None, before: float, samples: int) -> float:
    """Return how many of a log's `size` bytes were read, once `samples` more came than with `before` bytes.

    The share of its samples where the log says how many there are, as files with an index are not read in order.
    """
    if source.info.samples and size:
        return before + samples * size / source.info.samples
    read: int | None = getattr(source, "read_bytes", None)
    return before if read is None else max(before, read)


@contextmanager
def bytes_read(source: Source, log: Path) -> Iterator[Callable[[SampleBlock], None]]:
    """Show how many bytes of a log were read; the function takes each block that the source gave."""
    inside = log.rglob("*") if log.is_dir() else (log,)
    size = sum(it.stat().st_size for it in inside if it.is_file()) or None
    shown = 0.0

    def update(block: SampleBlock) -> None:
        nonlocal shown
        read = bytes_done(source, size, shown, len(block))
        bar.update(read - shown)
        shown = read

    with progress("", size, "B") as bar:
        yield update
