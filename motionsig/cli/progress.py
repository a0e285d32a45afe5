"""A progress bar on standard error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace
from typing import Protocol

from motionsig.blocks import SampleBlock, Source


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


@contextmanager
def bytes_read(source: Source, log: str) -> Iterator[Callable[[SampleBlock], None]]:
    """Show how many bytes of a log were read; the function takes each block that the source gave."""
    size = os.path.getsize(log) if os.path.isfile(log) else None
    shown = 0

    def update(block: SampleBlock) -> None:
        nonlocal shown
        read = getattr(source, "read_bytes", None)
        if read is None and size and source.info.samples:
            read = shown + len(block) * size // source.info.samples
        if read is not None:
            bar.update(read - shown)
            shown = read

    with progress("", size, "B") as bar:
        yield update
