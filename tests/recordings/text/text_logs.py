"""Texts written into a file and read as Tables, each in three ways: by pyarrow, by numpy, cell by cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motionsig.recordings.members import single
from motionsig.recordings.tables import Kind, Table
from motionsig.recordings.text import fast, reading, tables

WAYS = ("pyarrow", "numpy", "cells")


def table(path: Path, content: str | bytes) -> Table:
    """Write `content` and return the one table in it."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    (found,) = tables(single(path))
    return found


def all_rows(found: Table, kinds: Sequence[Kind] | None = None) -> tuple[list[np.ndarray], list[int], list[int]]:
    """Return all columns (as the head shows them, without `kinds`), the rows of breaks, and the lines of pieces."""
    kinds = kinds or [{"i": "whole", "f": "number", "U": "text"}[head.dtype.kind] for head in found.head]
    columns: list[list[Any]] = [[] for _ in kinds]
    breaks, firsts, count = [], [], 0
    for rows in found.read(dict(enumerate(kinds))):
        for number, part in enumerate(columns):
            part.append(rows.columns[number])
        breaks += [count + at for at in rows.breaks]
        firsts.append(rows.first)
        count += len(rows.columns[0])
    return [np.concatenate(part) if part else np.empty(0) for part in columns], breaks, firsts


def set_way(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Let texts be read by one of WAYS alone."""
    if way != "pyarrow":
        monkeypatch.setattr(fast, "_arrow", lambda: None)
    if way == "cells":
        monkeypatch.setattr(reading, "columns_of", lambda *_: None)
