"""How fast texts become samples, and in how much memory, beside others that read them. About six minutes."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from motionsig.recordings import open_recording, opening
from motionsig.recordings.members import single
from motionsig.recordings.tables import Kind
from motionsig.recordings.text import fast, tables
from scripts.benchmarks import figures

ROWS = 600_000
TIMES = 5
"""As often the same rows come in a file, later each time."""
LONG = 52
"""The same, in the long log of 2 GB."""
ROUNDS = 3
HEADER = "time_s,acc_x_mps2,acc_y_mps2,acc_z_mps2,gyr_x_rad_s,gyr_y_rad_s,gyr_z_rad_s"
STREAM = {"one of two streams": "left"}


def main() -> None:
    """Print megabytes a second of CPU, the best of each."""
    began_s = figures.begin("reading")
    rows = dict[str, figures.Row]()
    with tempfile.TemporaryDirectory() as folder:
        clean, path = Path(folder, "clean.csv"), Path(folder, "log.txt")
        for name, content in texts(TIMES):
            path = clean if name == "clean" else Path(folder, "log.txt")
            with path.open("w", encoding="utf-8") as file:
                file.writelines(content)
            size, own = path.stat().st_size / 1e6, clean.stat().st_size / 1e6
            took = best(
                {
                    "whole": partial(samples, path, STREAM.get(name)),
                    "arrays": partial(arrays, path),
                    "streaming": partial(stream, clean),
                    "pandas": partial(frame, clean),
                }
            )
            with mock.patch.object(fast, "_arrow", lambda: None):
                took |= best({"numpy": partial(samples, path, STREAM.get(name))}, 1)
            speeds = {key: (own if key in ("streaming", "pandas") else size) / it for key, it in took.items()}
            first = float(rows["clean"]["whole"]) if rows else speeds["whole"]
            ratios = {"ratio": speeds["whole"] / speeds["streaming"], "slower": first / speeds["whole"]}
            rows[name] = {"size": size, **speeds, **ratios, "on": figures.REAL}
            print(f"  {name:20s}" + " ".join(f"{key} {it:.4g}" for key, it in {**speeds, **ratios}.items()), flush=True)
        path.unlink()
        grown = {f"{count * ROWS:,} samples": memory(count, Path(folder, "long.csv")) for count in (TIMES, LONG)}
    speed = figures.Table(
        what=f"from a text of {TIMES * ROWS:,} rows to its SampleBlocks, judged, CPU of one core, best of {ROUNDS}; "
        f"without pyarrow once",
        against="text into arrays alone; pyarrow.csv.open_csv and pandas.read_csv on the clean file, in turn",
        units=dict.fromkeys(("whole", "arrays", "numpy", "streaming", "pandas"), "MB/s")
        | {"size": "MB", "ratio": "x", "slower": "x"},
        rows=rows,
    )
    memory_table = figures.Table(
        what="peak of a process that reads a clean text, beyond the peak after the first block",
        against="its size",
        units={"size": "MB", "grew": "MiB"},
        rows=grown,
    )
    figures.write("reading", {"reading": speed, "memory": memory_table}, began_s=began_s)


def texts(times: int) -> Iterator[tuple[str, Iterator[str]]]:
    """Yield texts of the same motion in several dialects, in pieces."""
    cells = ["".join(f",{it:.5f}" for it in row) for row in motion().tolist()]
    empty = [row.replace(cut, ",", 1) for row in cells if (cut := "," + row.split(",")[3])]
    empty = [other if at % 10 == 0 else row for at, (row, other) in enumerate(zip(cells, empty, strict=True))]
    comma = [row.replace(",", ";").replace(".", ",") for row in cells]
    spaces = ["".join(f"{it:>15}" for it in row[1:].split(",")) for row in cells]
    label = [f"{row},{('walk', 'sit')[at // 5000 % 2]}" for at, row in enumerate(cells)]
    device = [f"{row},{('left', 'right')[at % 2]}" for at, row in enumerate(cells)]
    zone = HEADER.replace("time_s", "time (UTC)")
    yield "clean", pieces(HEADER, cells, seconds, times)
    yield "empty cells", pieces(HEADER, empty, seconds, times)
    yield "dotted dates", pieces(zone, cells, dotted, times)
    yield "decimal commas", pieces(HEADER.replace(",", ";"), comma, lambda at: seconds(at).replace(".", ","), times)
    yield "spaces", pieces(HEADER.replace(",", " "), spaces, seconds, times)
    yield "a label", pieces(HEADER + ",label", label, seconds, times)
    yield "one of two streams", pieces(HEADER + ",device", device, seconds, times)


def motion() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return (ROWS, 6) of a body that swings about its x axis, in m/s² and rad/s, at 100 Hz."""
    random = np.random.default_rng(1)
    turn = 2 * np.pi * 0.11
    time_s = np.arange(ROWS) * 0.01
    angle, none = 1.2 * np.sin(turn * time_s), np.zeros(ROWS)
    acc = 9.80665 * np.stack([none, np.sin(angle), np.cos(angle)], 1) + random.normal(0, 0.15, (ROWS, 3))
    gyr = np.stack([1.2 * turn * np.cos(turn * time_s), none, none], 1) + random.normal(0, 0.02, (ROWS, 3))
    return np.concatenate([acc, gyr], 1)


def pieces(header: str, rows: list[str], clock: Callable[[int], str], times: int) -> Iterator[str]:
    """Yield a text of all rows, so many times."""
    yield header + "\n"
    for again in range(times):
        first = again * ROWS
        yield "\n".join([f"{clock(first + at)}{row}" for at, row in enumerate(rows)]) + "\n"


def seconds(row: int) -> str:
    """Return the Unix time of a row."""
    return f"{1_700_000_000 + row // 100}.{row % 100:02d}0"


def dotted(row: int) -> str:
    """Return the same as people in Europe write it."""
    at = time.gmtime(1_700_000_000 + row // 100)
    return f"{at[2]:02d}.{at[1]:02d}.{at[0]} {at[3]:02d}:{at[4]:02d}:{at[5]:02d}.{row % 100:02d}0"


def samples(path: Path, chosen: str | None) -> None:
    """Open a text and take all its samples."""
    opening._scans.cache_clear()  # so that each round looks for streams
    with open_recording(path, **({} if chosen is None else {"stream": chosen})) as source:
        count = sum(map(len, source))
    assert count == TIMES * ROWS // (1 if chosen is None else 2), count


def arrays(path: Path) -> None:
    """Read all columns of a text."""
    (table,) = tables(single(path))
    kinds: dict[int, Kind] = {it: "text" if head.dtype.kind == "U" else "number" for it, head in enumerate(table.head)}
    assert sum(len(rows.columns[0]) for rows in table.read(kinds)) == TIMES * ROWS


def stream(path: Path) -> None:
    """Let pyarrow stream a text."""
    from pyarrow import csv

    with csv.open_csv(path, csv.ReadOptions(use_threads=False)) as reader:
        for _ in reader:
            pass


def frame(path: Path) -> None:
    """Let pandas read a text."""
    import pandas as pd

    assert len(pd.read_csv(path)) == TIMES * ROWS


def best(takes: dict[str, Callable[[], None]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the seconds of CPU of each one's best round, in turn; nothing for a library that is not there."""
    took = dict[str, float]()
    for _ in range(rounds):
        for name, take in takes.items():
            began = time.process_time()
            with suppress(ModuleNotFoundError):
                take()
                took[name] = min(time.process_time() - began, took.get(name, np.inf))
    return took


CHILD = """
import resource, sys
import motionsig
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with motionsig.open_recording(sys.argv[1]) as source:
    blocks = iter(source)
    next(blocks)
    first = peak()
    for block in blocks:
        pass
print(peak() - first)
"""


def memory(times: int, path: Path) -> figures.Row:
    """Return by how much the memory of a process grows that reads a long text."""
    _, content = next(texts(times))
    with path.open("w", encoding="utf-8") as file:
        file.writelines(content)
    said = subprocess.run([sys.executable, "-c", CHILD, str(path)], check=True, capture_output=True, text=True).stdout
    row: figures.Row = {"size": path.stat().st_size / 1e6, "grew": float(said), "on": figures.REAL}
    print(f"  {row}", flush=True)
    path.unlink()
    return row


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()
