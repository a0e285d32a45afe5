"""Measure how often the numbers of a log show their units, and how often they are believed to show a wrong one.

    python -m scripts.evaluate.physics --data FOLDER

It takes about ten minutes. The sets are known to be in m/s² and rad/s; each recording is judged as it is, and with the
angular rate in deg/s and the acceleration in g called m/s² and rad/s.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.files import replace_file
from motionsig.plausibility.acceleration import acc_scales
from motionsig.plausibility.judge import Judge
from motionsig.plausibility.pace import rate_by_turns
from motionsig.plausibility.rotation import gyr_scales
from motionsig.plausibility.steps import chip_step
from scripts.train import data
from scripts.train.clock import Clock, Say

LEAST_S = 10.0
HEAD_S = 120.0
"""How much of a recording acc_scales and gyr_scales are given."""
SEEN = {"dsads": 400, "wisdm2019": 400}
"""The bounds were chosen with the first so many recordings of a set in view; of the others with all."""
Figures = Mapping[str, Mapping[str, int]]
COLUMNS = {
    "recordings": "recordings",
    "rad shown": "rad/s shown",
    "rad wrong": "rad/s taken for another",
    "deg shown": "deg/s shown",
    "deg wrong": "deg/s taken for another",
    "m/s^2 shown": "m/s² shown",
    "g shown": "g shown",
    "acc wrong": "of these two taken for another",
    "steps": "unit shown by steps alone",
    "steps wrong": "another unit by steps",
    "judge wrong": "refused though right",
    "judge found": "refused as deg/s called rad/s",
}


RATES = {
    "rates asked": "asked",
    "rates seen": "a rate is seen",
    "rates near": "within 10 %",
    "rates within": "within its bounds",
    "rates far": "off by more than 30 %",
    "rates usual": "the guess is right to 2 %",
}
EACH_RATE = 3
"""Of so many recordings one is asked for its rate, which takes longest."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.evaluate.physics",
        usage=argparse.SUPPRESS,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument("--most", type=int, default=120, help="recordings of a set (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("scripts/evaluate/measured"), help="where the figures go")
    options = parser.parse_args()
    data.check_folder(options.data)
    clock = Clock()
    figures = measured(options.data, options.most, clock.say)
    replace_file(options.out / "physics.json", (json.dumps(figures, indent=1) + "\n").encode())
    replace_file(options.out / "README.md", page(figures).encode())


def measured(folder: Path, most: int, say: Say) -> Figures:
    """Return the counts of each set, and of those recordings with which no bound was chosen."""
    figures = {}
    for name in data.SETS:
        for called, streams in _parts(folder, name):
            if streams:
                chosen = [streams[index] for index in np.unique(np.linspace(0, len(streams) - 1, most).astype(int))]
                counts = sum((_judged(stream) for stream in chosen), Counter[str]())
                figures[called] = dict(sum((_rated(stream) for stream in chosen[::EACH_RATE]), counts))
                say(f"{called}: {figures[called]}")
    return figures


def _parts(folder: Path, name: str) -> Iterator[tuple[str, list[data.Stream]]]:
    streams = list(data.streams(folder, name))
    seen = SEEN.get(name, len(streams))
    for called, part in ((name, streams[:seen]), (f"{name}, not seen", streams[seen:])):
        yield called, [stream for stream in part if len(stream.samples) >= LEAST_S * stream.rate_hz]


def _judged(stream: data.Stream) -> Counter[str]:
    counts = Counter(recordings=1)
    rate_hz = stream.rate_hz
    head = stream.samples[: round(HEAD_S * rate_hz)].astype(np.float64)
    acc, gyr = head[:, :3], head[:, 3:]
    for unit, key, values in (("rad/s", "rad", gyr), ("deg/s", "deg", np.degrees(gyr))):
        evidence = gyr_scales(acc, values, rate_hz)
        counts[f"{key} shown"] += (evidence.verdict, evidence.unit) == ("decided", unit)
        counts[f"{key} wrong"] += evidence.verdict == "impossible" or (
            evidence.verdict == "decided" and evidence.unit != unit
        )
    for unit, values in (("m/s^2", acc), ("g", acc / STANDARD_GRAVITY)):
        evidence = acc_scales(values, rate_hz)
        counts[f"{unit} shown"] += (evidence.verdict, evidence.unit) == ("decided", unit)
        counts["acc wrong"] += evidence.verdict == "impossible" or (
            evidence.verdict == "decided" and evidence.unit != unit
        )
    for unit, values in (("rad/s", gyr), ("deg/s", np.round(np.degrees(gyr), 4))):
        step = chip_step(values[np.isfinite(values).all(axis=1)])
        counts["steps"] += step is not None and step.unit == unit == "deg/s"
        counts["steps wrong"] += step is not None and step.unit != unit
    degrees = np.concatenate([stream.samples[:, :3], np.degrees(stream.samples[:, 3:])], axis=1)
    counts["judge wrong"] += _refused(stream.samples, rate_hz)
    counts["judge found"] += _refused(degrees, rate_hz)
    return counts


def _rated(stream: data.Stream) -> Counter[str]:
    head = stream.samples[: round(HEAD_S * stream.rate_hz)]
    seen = rate_by_turns(head[:, :3], head[:, 3:])
    if seen is None:
        return Counter({"rates asked": 1})
    off = abs(np.log(seen.rate_hz / stream.rate_hz))
    return Counter(
        {
            "rates asked": 1,
            "rates seen": 1,
            "rates near": int(off < np.log(1.1)),
            "rates within": int(seen.low <= stream.rate_hz <= seen.high),
            "rates far": int(off > np.log(1.3)),
            "rates usual": int(abs(seen.usual / stream.rate_hz - 1) < 0.02),
        }
    )


def _refused(samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rate_hz: float) -> bool:
    judge = Judge(rate_hz)
    times = (np.arange(len(samples)) * (NS_PER_S / rate_hz)).astype(np.int64)
    return judge.push(times, samples).wrong is not None or judge.finish().wrong is not None


def page(figures: Figures) -> str:
    """Return the page of the figures, in Markdown."""
    lines = [
        "# What the numbers of a log show of their units and their rate",
        "",
        "`python -m scripts.evaluate.physics` wrote this page. The recordings are known to be in m/s² and rad/s. Each",
        "was judged as it is, with its angular rate in deg/s, and with its acceleration in g. What is not shown is",
        'asked for. The bounds were chosen with all recordings in view but those called "not seen". Those of the',
        "judge, which reads a log to its end (the last two columns), were chosen with all of them.",
        "",
        *_table(figures, COLUMNS),
        "",
        "A log without a clock is asked for its rate; the turns of gravity give the guess. Here the rate is known.",
        "Where it is no usual one (285.7, 102.5 or 90.8 Hz), the guess can hardly be right to 2 %. The bounds of the",
        'rate were chosen with recordings of all sets in view, also of those called "not seen".',
        "",
        *_table(figures, RATES),
    ]
    return "\n".join(lines) + "\n"


def _table(figures: Figures, columns: Mapping[str, str]) -> list[str]:
    lines = [f"| set | {' | '.join(columns.values())} |", f"| --- |{' --- |' * len(columns)}"]
    total: Counter[str] = Counter()
    for name, counts in figures.items():
        total.update(counts)
        lines.append(f"| {name} | {' | '.join(str(counts.get(key, 0)) for key in columns)} |")
    lines.append(f"| **all** | {' | '.join(f'**{total[key]}**' for key in columns)} |")
    return lines


if __name__ == "__main__":
    main()
