"""What a benchmark or a trial measured, in one JSON file for each part: figures/PART.json.

A file holds tables and runs. A table says what it measures and against what, has the unit of each figure by its key,
and has rows by name; a row says on what it was measured (the real thing, a model of a chip, a double) and in which run.
A run says who measured (the command, and the repository's commit), when (the date, the seconds it took and the load
average at its end) and where (the machine and the versions). A part that is run again replaces its tables.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent / "figures"
PACKAGES = ("ai-edge-litert", "cbor2", "numpy", "paho-mqtt", "smbus2")
WRITTEN = ("scripts/benchmarks/figures", "scripts/benchmarks/README.md")
REAL = "the real thing"
ABOUT = {
    "who": {"command", "commit"},
    "when": {"date", "took_s"},
    "where": {"processor", "cores", "kernel", "python", "packages"},
}
"""What each run says at least."""

Row = dict[str, str | int | float]


class FiguresError(ValueError):
    """A file of figures is missing or damaged."""


@dataclass(frozen=True)
class Table:
    """Figures of one kind. units: by the figure's key, "" for a count. rows: by name; `on` in each is on what."""

    what: str
    against: str
    units: Mapping[str, str]
    rows: Mapping[str, Row]


def begin(part: str, folder: Path = FOLDER) -> float:
    """Return when a run begins, by time.monotonic(); a damaged file ends the process before minutes are spent."""
    if (folder / f"{part}.json").exists():
        try:
            read(part, folder)
        except FiguresError as error:
            sys.exit(str(error))
    return time.monotonic()


def write(
    part: str,
    tables: Mapping[str, Table],
    *,
    began_s: float,
    by: str = "",
    keep_rows: bool = False,
    folder: Path = FOLDER,
) -> None:
    """Replace these tables of a part's file; the others stay.

    began_s: what `begin` returned. by: the command, where it measured a part of the part. keep_rows:
    rows of these tables that were not measured now stay, too.
    """
    date = datetime.now(UTC).isoformat(timespec="seconds")
    file = folder / f"{part}.json"
    held = read(part, folder) if file.exists() else {"runs": {}, "tables": {}}
    for name, table in tables.items():
        rows = {row: {**_short(figures), "run": date} for row, figures in table.rows.items()}
        if keep_rows and name in held["tables"]:
            rows = held["tables"][name]["rows"] | rows
        held["tables"][name] = {"what": table.what, "against": table.against, "units": dict(table.units), "rows": rows}
    held["runs"][date] = {
        "who": {"command": by or command(part), "commit": _commit()},
        "when": {"date": date, "took_s": round(time.monotonic() - began_s, 1), "load": round(os.getloadavg()[0], 1)},
        "where": _where(),
    }
    used = {row["run"] for table in held["tables"].values() for row in table["rows"].values()}
    held["runs"] = {run: about for run, about in sorted(held["runs"].items()) if run in used}
    folder.mkdir(exist_ok=True)
    file.write_text(json.dumps(held, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read(part: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return what a part's file holds. FiguresError: it is missing or damaged."""
    file = folder / f"{part}.json"
    try:
        held: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for run in held["runs"].values():
            for field, keys in ABOUT.items():
                if not keys <= run[field].keys():
                    raise ValueError(f"expected {', '.join(sorted(keys))} in {field}, got {', '.join(run[field])}")
        for name, table in held["tables"].items():
            for row, figures in table["rows"].items():
                if figures["run"] not in held["runs"] or not figures["on"] or not table["what"] or not table["against"]:
                    raise ValueError(f"expected a run, on what and against what in {name}, {row}, got {figures}")
                if extra := figures.keys() - table["units"].keys() - {"run", "on"}:
                    raise ValueError(f"expected a unit for {', '.join(sorted(extra))} in {name}, {row}, got none")
    except FileNotFoundError:
        raise FiguresError(f"{file}: expected what {command(part)} writes, got no such file") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise FiguresError(f"{file}: expected what {command(part)} writes, got damaged figures ({what})") from error
    return held


def command(part: str) -> str:
    """Return the command that measures a part."""
    return "scripts/trial" if part == "trials" else f"scripts/bench {part}"


def _short(row: Row) -> Row:
    """Return a row whose fractions have six digits."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in row.items()}


def _commit() -> str:
    """Return the repository's commit, "+" behind it where files differ from it, except those that the runs write."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        return "unknown"
    changed = _git("status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in WRITTEN))
    return _git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _where() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return {
        "processor": f"{names[0] if names else 'unknown'}, {platform.machine()}",
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES} | {"mosquitto": _mosquitto()},
    }


def _mosquitto() -> str:
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return "none"
    said = subprocess.run([program, "-h"], capture_output=True, text=True).stdout
    return said.partition("\n")[0].rpartition(" ")[2]
