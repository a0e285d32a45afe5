"""How fast texts are read, by pyarrow and by numpy, beside pyarrow's own streaming. About two minutes."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from motionsig.recordings.members import single
from motionsig.recordings.tables import Kind
from motionsig.recordings.text import fast, tables
from scripts.benchmarks import figures

ROWS = 600_000
ROUNDS = 3
NAMES = ("time_s", "acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")


def main() -> None:
    """Print megabytes a second of CPU, the best of each."""
    began_s = figures.begin("reading")
    rows = dict[str, figures.Row]()
    with tempfile.TemporaryDirectory() as folder:
        contents = texts()
        Path(folder, "clean.txt").write_text(contents["clean"])
        clean = len(contents["clean"]) / 1e6
        for name, content in contents.items():
            path = Path(folder, "log.txt")
            path.write_text(content)
            size = path.stat().st_size / 1e6
            with_arrow, streaming = size / best(read, path), clean / best(stream, Path(folder, "clean.txt"))
            with mock.patch.object(fast, "_arrow", lambda: None):
                by_numpy = size / best(read, path)
            speeds = {"arrow": with_arrow, "numpy": by_numpy, "streaming": streaming}
            rows[name] = {**speeds, "ratio": with_arrow / streaming, "on": figures.REAL}
            print(
                f"  {name:20s}{with_arrow:6.0f} MB/s {by_numpy:6.0f} with numpy, pyarrow's streaming {streaming:6.0f}"
            )
    table = figures.Table(
        what=f"text of {ROWS} rows into arrays, CPU of one core, the best of {ROUNDS}",
        against="pyarrow.csv.open_csv on the clean file, in turn",
        units={"arrow": "MB/s", "numpy": "MB/s", "streaming": "MB/s", "ratio": "x"},
        rows=rows,
    )
    figures.write("reading", {"reading": table}, began_s=began_s)


def texts() -> dict[str, str]:
    """Return texts of the same numbers in several dialects."""
    random = np.random.default_rng(1)
    times = 1_700_000_000 + np.arange(ROWS) * 0.01
    values = random.normal(size=(ROWS, 6)) * (3, 3, 3, 1, 1, 1)
    cells = [(f"{t:.3f}", *(f"{it:.5f}" for it in row)) for t, row in zip(times.tolist(), values.tolist(), strict=True)]
    clocks = np.datetime_as_string((times * 1000).astype("M8[ms]")).tolist()
    dotted = [f"{it[8:10]}.{it[5:7]}.{it[:4]} {it[11:]}" for it in clocks]
    empty = [(*row[: 1 + at % 6], "", *row[2 + at % 6 :]) if at % 10 == 0 else row for at, row in enumerate(cells)]
    header = ",".join(NAMES)
    clean = [",".join(row) for row in cells]
    return {
        "clean": lines(header, clean),
        "empty cells": lines(header, [",".join(row) for row in empty]),
        "dotted dates": lines(header, [",".join((date, *row[1:])) for date, row in zip(dotted, cells, strict=True)]),
        "decimal commas": lines(header.replace(",", ";"), [";".join(row).replace(".", ",") for row in cells]),
        "spaces": lines(header.replace(",", " "), ["".join(f"{it:>15}" for it in row) for row in cells]),
        "a label": lines(
            header + ",label", [f"{row},{('walk', 'sit')[at // 5000 % 2]}" for at, row in enumerate(clean)]
        ),
    }


def lines(header: str, rows: list[str]) -> str:
    """Return a text."""
    return "\n".join([header, *rows, ""])


def read(path: Path) -> None:
    """Read all columns of a text."""
    (table,) = tables(single(path))
    kinds: dict[int, Kind] = {it: "text" if head.dtype.kind == "U" else "number" for it, head in enumerate(table.head)}
    assert sum(len(rows.columns[0]) for rows in table.read(kinds)) == ROWS


def stream(path: Path) -> None:
    """Let pyarrow stream a text."""
    from pyarrow import csv

    with csv.open_csv(path, csv.ReadOptions(use_threads=False)) as reader:
        for _ in reader:
            pass


def best(take: Callable[[Path], None], path: Path) -> float:
    """Return the seconds of CPU of the best round."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        take(path)
        took.append(time.process_time() - began)
    return min(took)


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()
