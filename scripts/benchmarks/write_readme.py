"""Write scripts/benchmarks/README.md from the files in scripts/benchmarks/figures, in less than a second.

Only how fast a recording is played comes from elsewhere: from the code that plays it.
"""

from __future__ import annotations

import argparse
import ast
import math
import re
import string
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.benchmarks import figures

HERE = Path(__file__).resolve().parent
Columns = dict[str, str]
"""By a column's head, the figure's key and its format, as in "took:.1f"; the unit comes from the file."""


@dataclass(frozen=True)
class Section:
    """The tables of a part that a section shows."""

    part: str
    tables: dict[str, Columns]


SECTIONS = {
    "imports": Section(
        "imports",
        {
            "imports": {
                "process": "",
                "time": "took:.0f",
                "more than a bare interpreter": "more:z.0f",
                "of what numpy adds": "ratio:z.2f",
                "memory": "peak:.0f",
            }
        },
    ),
    "reading": Section(
        "reading",
        {
            "reading": {
                "text": "",
                "size": "size:.0f",
                "to samples": "whole:.0f",
                "to arrays alone": "arrays:.0f",
                "without pyarrow": "numpy:.0f",
                "pyarrow streams": "streaming:.0f",
                "pandas": "pandas:.0f",
                "to samples / pyarrow": "ratio:.2f",
                "slower than clean": "slower:.2f",
            },
            "memory": {"read": "", "size": "size:,.0f", "memory grew": "grew:.1f"},
        },
    ),
    "day": Section(
        "day",
        {
            "day": {
                "recorded": "",
                "windows": "windows:,",
                "time": "took:.2f",
                "speed": "speed:,.0f",
                "calls alone": "bare:.2f",
                "one of them": "bare_window:.0f",
                "time of the calls alone": "ratio:.2f",
                "more memory": "peak:.1f",
                "to count raw bytes": "raw:.2f",
                "counting / time": "raw_ratio:.2f",
            },
            "parts": {
                "samples": "",
                "recorded": "hours:.0f",
                "a window": "whole:,.0f",
                "resampling": "resample:.0f",
                "front end and network": "encode:,.0f",
                "resampling / front end and network": "ratio:.2f",
            },
        },
    ),
    "sizes": Section(
        "sizes",
        {
            "sizes": {
                "signatures": "",
                "CBOR": "plain:.1f",
                "CBOR, packed": "packed:.1f",
                "JSON": "json:.0f",
                "raw, int16": "raw:.0f",
                "raw, compressed without loss": "lossless:.0f",
                "raw to CBOR": "ratio:.1f",
                "scheme": "scheme",
            }
        },
    ),
    "sent": Section(
        "wire",
        {
            "wire": {
                "sent": "",
                "a signature": "each:.1f",
                "payload": "payload:.1f",
                "in a message": "together:.1f",
                "raw": "raw:.0f",
                "raw to signatures": "ratio:.1f",
            }
        },
    ),
    "wire": Section(
        "daemon",
        {
            "wire": {
                "connection": "",
                "a day": "day:.2f",
                "a signature": "each:.0f",
                "in a message": "together:.1f",
                "not payload, a message": "over:.0f",
                "a day of raw": "raw_day:.1f",
                "raw to signatures": "ratio:.1f",
                "payload of a signature": "payload:.1f",
                "payload of its raw": "raw_payload:.0f",
                "payload, raw to signatures": "payload_ratio:.1f",
            }
        },
    ),
    "fleet": Section(
        "fleet",
        {
            "fleet": {
                "messages": "",
                "sent": "sent:,",
                "a second": "rate:,.0f",
                "processor": "cpu:.0f",
                "peak of memory": "peak:.0f",
                "on the disk": "disk:.0f",
                "signatures lost": "lost:,",
                "age, p50": "p50:.2f",
                "p99": "p99:.2f",
                "holes made": "made",
                "reported": "found",
                "the last after": "slowest:.0f",
            }
        },
    ),
    "kill_rounds": Section(
        "kill_rounds",
        {
            "kill_rounds": {
                "broker that saves": "",
                "rounds": "rounds",
                "a minute": "rounds_a_minute:.0f",
                "accepted": "accepted:,",
                "lost": "lost:,",
                "events accepted": "events_accepted:,",
                "events lost": "events_lost:,",
                "duplicates received": "duplicates_received:,",
                "stored": "stored:,",
                "events stored": "events_stored:,",
                "stored twice": "stored_twice:,",
                "stored wrong": "stored_wrong:,",
            },
            "kill_rounds_stores": {
                "store, broker that saves": "",
                "publisher killed": "publisher_killed",
                "broker killed": "broker_killed",
                "receiver killed": "receiver_killed",
                "rounds": "rounds",
                "a minute": "rounds_a_minute:.0f",
                "accepted": "accepted:,",
                "lost": "lost:,",
                "events accepted": "events_accepted:,",
                "events lost": "events_lost:,",
                "duplicates received": "duplicates_received:,",
                "stored": "stored:,",
                "events stored": "events_stored:,",
                "stored twice": "stored_twice:,",
                "stored wrong": "stored_wrong:,",
            },
        },
    ),
    "sqlite": Section(
        "sqlite",
        {
            "into": {
                "signatures": "",
                "messages stored": "rate:,.0f",
                "bare SQLite": "bare:,.0f",
                "time / bare": "ratio:.2f",
                "a signature on the disk": "size:.0f",
            },
            "out": {
                "read": "",
                "signatures": "found:,",
                "time": "took:.3f",
                "bare SQLite": "bare:.3f",
                "time / bare": "ratio:.2f",
            },
        },
    ),
    "flash": Section("flash", {"flash": {"spool": "", "written per signature": "written:,.0f"}}),
    "service": Section(
        "daemon",
        {
            "response": {"sent": "", "p50": "p50:.2f", "p99": "p99:.2f", "signatures": "signatures:,"},
            "start": {
                "process": "",
                "first signature": "first:.2f",
                "without its samples": "own:.2f",
                "a bare interpreter's time": "ratio:.0f",
                "memory": "memory:.1f",
                "its share": "share:.1f",
                "written": "written:.1f",
            },
            "processor": {"chip": "", "processor": "share:.1f"},
            "backlog": {
                "waited": "",
                "signatures": "waited:,",
                "time": "took:.1f",
                "speed": "speed:,.0f",
                "the first after": "start:.1f",
                "live meanwhile, p50": "meanwhile_p50:.2f",
                "meanwhile, p99": "meanwhile_p99:.2f",
                "afterwards, p50": "afterwards_p50:.2f",
                "afterwards, p99": "afterwards_p99:.2f",
            },
        },
    ),
    "page": Section(
        "page",
        {
            "screen": {
                "screen": "",
                "motions": "motions",
                "p50": "p50:.2f",
                "p95": "p95:.2f",
                "slowest": "slowest:.2f",
            },
            "taught": {
                "taught": "",
                "lessons": "lessons",
                "until it may be performed": "before:.1f",
                "after the last performance": "after:.1f",
                "both": "total:.1f",
                "slowest": "slowest:.1f",
            },
            "lookback": {
                "looked back": "",
                "signatures": "signatures:,",
                "heads": "heads",
                "the first time": "first:.2f",
                "later": "later:.2f",
                "drawing": "drawn:.3f",
            },
            "taken": {
                "page": "",
                "resident": "rss:.1f",
                "its share": "pss:.1f",
                "processor": "share:.2f",
                "the service's": "daemon:.1f",
            },
            "sizes": {"folder": "", "files": "files", "size": "size:.1f", "largest": "largest:.1f"},
        },
    ),
    "trials": Section(
        "trials",
        {
            "trials": {
                "fault": "fault",
                "signatures taken": "taken:,",
                "windows lost": "windows_lost:,",
                "signatures lost": "lost:,",
                "of these dropped and counted": "dropped:,",
                "stored twice": "twice:,",
                "well after, median": "median:.1f",
                "worst": "worst:.1f",
                "also": "also",
            }
        },
    ),
    "edgetpu": Section(
        "edgetpu",
        {
            "cost": {"windows": "", "median": "median:.1f", "p99": "p99:.1f"},
            "recovery": {
                "fault": "",
                "`edgetpu`: window late by": "edgetpu:,.0f",
                "`auto`: window late by": "auto:,.1f",
                "`auto`: at work again after": "back:,.0f",
            },
            "starts": {
                "from the start": "",
                "`edgetpu`: an error after": "edgetpu:,.0f",
                "`auto`: on the CPU after": "auto:,.0f",
            },
            "endurance": {
                "device": "",
                "windows": "windows:,",
                "lost": "lost:,",
                "doubled": "doubled:,",
                "other bytes": "wrong:,",
                "by the double": "edgetpu:,",
                "by the CPU": "cpu:,",
            },
        },
    ),
    "sensors": Section(
        "sensors",
        {
            "endurance": {
                "chip": "",
                "at": "rate:.0f",
                "delivered": "delivered:,",
                "wrong": "wrong:,",
                "dead": "dead:,",
                "lost": "lost:,",
                "reported lost": "reported:,",
                "unreported": "unreported:,",
                "gaps": "gaps:,",
                "off by": "off:,",
                "time, rms": "rms:.2f",
                "time, most": "most:.2f",
                "doubtful": "doubtful:,",
                "unstated": "unstated:.1f",
            },
            "recovery": {
                "chip": "",
                "power cut": "power cut:.0f",
                "reset": "reset:.0f",
                "bit flipped": "register:.0f",
                "bus stuck": "stuck bus:.0f",
                "reader delayed": "stall:.0f",
            },
        },
    ),
    "time_error": Section(
        "time_error",
        {
            "stamps": {"way": "", "rms": "rms:.3g", "most": "most:.3g"},
            "rate": {"way": "", "rate off by": "off:.0f"},
        },
    ),
    "polling": Section(
        "polling",
        {
            "samples": {
                "a sample": "",
                "ioctls": "ioctls:.2f",
                "processor": "spent:.0f",
                "outside ioctls": "outside:.0f",
                "missed": "missed:.2f",
                "reported": "reported:.2f",
                "doubled": "doubled:.2f",
                "time, rms": "rms:.2f",
            },
            "ioctls": {"an ioctl": "", "processor": "spent:.1f", "time": "took:.2f"},
        },
    ),
    "arm": Section(
        "arm",
        {
            "codes": {
                "Debian, processor: runtime": "",
                "windows": "windows:.0f",
                "codes": "codes:.0f",
                "differ": "differ:.0f",
                "share": "share:.3f",
                "steps": "most:.0f",
                "other inputs": "other_inputs:.0f",
            },
        },
    ),
}
"""By the name that the template has for it."""

VALUES = {
    "together": ("daemon", "wire", "without TLS", "together:.1f"),
    "double": ("edgetpu", "cost", "1 at a time, in this process", "median:.1f"),
}
"""Single figures in the template's sentences, by name: part, table, row, and the figure's key and format."""


MILLION = 1_000_000
EACH = 5  # signatures in a message of the fleet's receiver
HOP_S = 1.28  # of the shipped model: held against its card by a test
SPARE = 2  # so many times the work that is expected, for what waits after an outage


def _million(held: dict[str, dict[str, Any]]) -> str:
    """Return what a million devices need, by what they send, from the figures of one receiver and of the wire."""
    fleet, wire = held["fleet"]["tables"]["fleet"]["rows"], held["wire"]["tables"]["wire"]["rows"]
    a_second = MILLION / HOP_S
    rows = list[list[str]]()
    for sent in ("default settings", "60 s", "60 s, 4 bits", "a day with 22 h at rest"):
        messages, traffic = a_second / wire[sent]["together"], a_second * wire[sent]["each"]
        receivers = [
            f"{math.ceil(SPARE * a_second / (fleet[f'waiting for the receiver, {store}']['rate'] * EACH)):,}"
            for store in ("SQLite", "PostgreSQL")
        ]
        cells = [f"{messages:,.0f} /s", f"{traffic / 1e6:,.0f} MB/s", f"{traffic * 86400 / 1e12:,.1f} TB"]
        rows.append([sent, *cells, f"{messages * 86400 / 1e6:,.0f} USD", *receivers])
    head = ["devices send", "messages", "on the wire", "a day", "a day at 1 USD a million messages"]
    return _table([*head, "receivers into SQLite", "into PostgreSQL"], rows)


def text(folder: Path = figures.FOLDER) -> str:
    """Return the README of the figures in a folder. FiguresError: one is missing or damaged."""
    held = {part: figures.read(part, folder) for part in dict.fromkeys(each.part for each in SECTIONS.values())}
    for part, file in held.items():
        shown = {name for section in SECTIONS.values() if section.part == part for name in section.tables}
        if shown != file["tables"].keys():
            got, place = ", ".join(file["tables"]) or "none", folder / f"{part}.json"
            raise figures.FiguresError(f"{place}: expected the tables {', '.join(sorted(shown))}, got {got}")
    places = list[dict[str, Any]]()
    for file in held.values():
        places += [run["where"] for run in file["runs"].values() if run["where"] not in places]
    template = (HERE / "readme_template.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", template, re.MULTILINE)
    return string.Template(template).substitute(
        {name: _section(section, held[section.part], places) for name, section in SECTIONS.items()}
        | {
            name: _value(folder / f"{part}.json", held[part]["tables"][table], row, column)
            for name, (part, table, row, column) in VALUES.items()
        },
        million=_million(held),
        contents="\n".join(f"* [{heading}](#{_anchor(heading)})" for heading in headings),
        machines=_machines(places),
        speed=f"{_constant('daemon', 'SPEED'):g}",
    )


def _value(place: Path, table: dict[str, Any], row: str, column: str) -> str:
    key = column.partition(":")[0]
    if key not in table["rows"].get(row, {}):
        raise figures.FiguresError(f"{place}: expected {key} in the row {row}, got {', '.join(table['rows'])}")
    return _cell(row, table["rows"][row], column, table["units"])


def _constant(part: str, name: str) -> float:
    """Return a number that a part's code assigns; importing the part would need the tests' doubles."""
    body = ast.parse((HERE / f"{part}.py").read_text(encoding="utf-8")).body
    return next(
        float(ast.literal_eval(line.value))
        for line in body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == name
    )


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _machines(places: list[dict[str, Any]]) -> str:
    rows = [
        [
            str(number),
            place["processor"],
            str(place["cores"]),
            place["kernel"],
            place["python"],
            ", ".join(f"{name} {version}" for name, version in sorted(place["packages"].items())),
        ]
        for number, place in enumerate(places, 1)
    ]
    return _table(["machine", "processor", "cores", "kernel", "Python", "versions"], rows)


def _section(section: Section, file: dict[str, Any], places: list[dict[str, Any]]) -> str:
    blocks, runs = list[str](), set[str]()
    for name, columns in section.tables.items():
        table = file["tables"][name]
        rows = [_row(row, each, columns, table["units"]) for row, each in table["rows"].items()]
        what = f"**Measured:** {table['what']}.", f"**Against:** {table['against']}."
        blocks += ["\n".join(map(_wrapped, what)), _table([*columns, "measured on"], rows)]
        runs |= {row["run"] for row in table["rows"].values()}
    abouts = [_run(file["runs"][run], places) for run in sorted(runs)]
    return "\n\n".join([*blocks, _wrapped(f"Repeat: `{figures.command(section.part)}`. Measured {'; '.join(abouts)}.")])


def _wrapped(words: str) -> str:
    return textwrap.fill(words, 140, break_long_words=False, break_on_hyphens=False)


def _run(run: dict[str, Any], places: list[dict[str, Any]]) -> str:
    who, when = run["who"], run["when"]
    minutes, seconds = divmod(round(when["took_s"]), 60)
    took = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    machine = places.index(run["where"]) + 1
    date = when["date"].replace("T", " ").removesuffix("+00:00")
    load = f" (load average {when['load']})" if "load" in when else ""
    return (
        f"{date} UTC by `{who['command']}` in {took}, motionsig as of commit {who['commit']}, machine {machine}{load}"
    )


def _row(name: str, row: dict[str, Any], columns: Columns, units: dict[str, str]) -> list[str]:
    if "failed" in row:
        return [row["fault"], f"FAILED: {row['failed']}", *[""] * (len(columns) - 2), row["on"]]
    return [*(_cell(name, row, column, units) for column in columns.values()), row["on"]]


def _cell(name: str, row: dict[str, Any], column: str, units: dict[str, str]) -> str:
    key, _, form = column.partition(":")
    value = row.get(key, "") if key else name
    if isinstance(value, str):
        return value
    return f"{value:{form}} {units[key]}".rstrip()


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def main() -> None:
    """Write it; a missing or damaged file is one line."""
    try:
        written = text()
    except figures.FiguresError as error:
        sys.exit(str(error))
    (HERE / "README.md").write_text(written, encoding="utf-8")
    print(f"wrote {HERE / 'README.md'}")


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()
