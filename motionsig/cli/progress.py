"""A progress bar on standard error."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Protocol


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
