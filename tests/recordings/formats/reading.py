"""A Table read whole, for tests only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.recordings.tables import Table

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")


def whole(table: Table) -> tuple[dict[str, NDArray[Any]], list[int]]:
    """Return the columns by name, numbers and times as they are, and the rows before which there is a break."""
    kinds = {number: "text" if head.dtype.kind == "U" else "number" for number, head in enumerate(table.head)}
    rows = list(table.read(kinds))  # type: ignore[arg-type]
    starts = np.cumsum([0, *(len(some.columns[0]) for some in rows)]).tolist()
    assert [some.first for some in rows] == starts[:-1]
    names = table.names or tuple(map(str, range(table.width)))
    columns = {name: np.concatenate([some.columns[number] for some in rows]) for number, name in enumerate(names)}
    for number, name in enumerate(names):
        head = table.head[number]
        np.testing.assert_array_equal(columns[name][: len(head)].astype(head.dtype), head)
    return columns, [start + at for start, some in zip(starts, rows, strict=False) for at in some.breaks]


def six(columns: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return (n, 6): the columns that begin with the names of the channels."""
    return np.column_stack([next(columns[name] for name in columns if name.startswith(it)) for it in CHANNELS])
