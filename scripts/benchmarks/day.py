"""A recorded day, from the native log to wire bytes on one core; against the bare interpreter calls it contains.

Also the memory it takes: the peak of the process above what it was before, for one hour and for 24. At 50, 100, 208
and 1000 Hz, how the time divides between resampling and front end with network, from a log and in the small blocks of a
live sensor. And what `motionsig replay` spends beside that on counting the bytes of raw samples: at most 0.3 of it for
a day; for an hour, most of which it compresses, it is less than the command takes to start.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from motionsig import (
    ModelCard,
    Resampler,
    SampleBlock,
    SourceInfo,
    concatenate,
    open_encoder,
    open_recording,
    wire,
)
from motionsig.blocks import SignatureBatch
from motionsig.closing import Closing
from motionsig.encoders.host import HostEncoder
from motionsig.encoders.litert import load_runtime
from motionsig.pipeline import run
from motionsig.raw_size import RawSize
from motionsig.recordings.native import Recorder

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.benchmarks import figures

BATCH = 60
RATES_HZ = (50, 100, 208, 1000)
BLOCKS = {"a log": (24, 1), "a live sensor": (1, 5)}
"""From what: hours, and how many rounds are measured. A log comes in blocks of 4,096 samples, a sensor's in 0.1 s."""


class Wired:
    """Encodes messages of 60 signatures and forgets them."""

    def __init__(self) -> None:
        self.bytes = self.seq = 0
        self._waiting: list[SignatureBatch] = []

    def publish(self, signatures: SignatureBatch) -> None:
        whole = concatenate([*self._waiting, signatures])
        full = len(whole) - len(whole) % BATCH
        for first in range(0, full, BATCH):
            self._encode(whole[first : first + BATCH])
        self._waiting = [whole[full:]]

    def finish(self) -> None:
        for batch in self._waiting:
            if len(batch):
                self._encode(batch)

    def _encode(self, signatures: SignatureBatch) -> None:
        self.bytes += len(wire.encode(wire.Message("bench", 1, self.seq, signatures)))
        self.seq += len(signatures)


def write_log(source: Path, out: Path, hours: int) -> None:
    """Repeat a recording's samples until they fill `hours` without a gap, as a device would have recorded them."""
    with open_recording(source) as recording:
        data = np.concatenate([block.data for block in recording])
        rate_hz, scale = recording.rate_hz, recording.info.scale
    count = round(hours * 3600 * rate_hz)
    step_ns = round(1e9 / rate_hz)
    with Recorder(out, rate_hz=rate_hz, stream_id=1, scale=scale) as recorder:
        for first in range(0, count, len(data)):
            rows = np.arange(first, min(first + len(data), count), dtype=np.int64)
            recorder.write(SampleBlock(rows * step_ns, data[: len(rows)]))


def rss_peak_kib() -> int:
    """Return the peak of resident memory since it was last reset."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])


def measure(log: Path, rounds: int) -> figures.Row:
    """Print and return the figures of one log."""
    encoder = open_encoder(device="cpu")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here (proc(5))
    before = rss_peak_kib()
    best_s, windows, payload = float("inf"), 0, 0
    for _ in range(rounds):
        sink = Wired()
        began = time.perf_counter()
        with open_recording(log) as source:
            summary = run(source, encoder, sink.publish)
        sink.finish()
        best_s = min(best_s, time.perf_counter() - began)
        windows, payload = summary.windows, sink.bytes
    grown = (rss_peak_kib() - before) / 1024
    bare_s = min(bare_calls(encoder.card, windows) for _ in range(rounds))
    print(
        f"  {summary.covered_s / 3600:4.0f} h: {windows:6,d} windows in {best_s:6.3f} s, "
        f"{summary.covered_s / best_s:8,.0f} x real time; bare interpreter calls {bare_s:6.3f} s, so "
        f"{best_s / bare_s:.2f} x those; {payload / windows:.1f} B per signature; peak memory +{grown:.1f} MiB"
    )
    raw_s = min(counting_raw(log, BATCH * encoder.card.hop / encoder.card.rate_hz) for _ in range(rounds))
    print(f"        counting raw bytes, beside that: {raw_s:.3f} s, {raw_s / best_s:.2f} x as long")
    return {
        "windows": windows,
        "took": best_s,
        "speed": summary.covered_s / best_s,
        "bare": bare_s,
        "bare_window": 1e6 * bare_s / windows,
        "ratio": best_s / bare_s,
        "peak": grown,
        "raw": raw_s,
        "raw_ratio": raw_s / best_s,
        "on": figures.REAL,
    }


def counting_raw(log: Path, batch_s: float) -> float:
    """Return the seconds that a replay's count of raw bytes takes."""
    spent_s = 0.0
    with open_recording(log) as source:
        rival = RawSize(source.rate_hz, batch_s=batch_s, scale=source.info.scale)
        for block in source:
            began = time.perf_counter()
            rival.push(block)
            spent_s += time.perf_counter() - began
    began = time.perf_counter()
    rival.sizes()
    return spent_s + time.perf_counter() - began


def bare_calls(card: ModelCard, windows: int) -> float:
    """Return the seconds that as many calls of an interpreter take by themselves: input in, run, output out."""
    _, interpreter_class, _ = load_runtime()
    interpreter = interpreter_class(model_content=card.model_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    window = np.random.default_rng(0).integers(-128, 128, given["shape"]).astype(np.int8)
    began = time.perf_counter()
    for _ in range(windows):
        interpreter.set_tensor(given["index"], window)
        interpreter.invoke()
        interpreter.get_tensor(made["index"])
    return time.perf_counter() - began


@dataclass(frozen=True, eq=False)
class Repeated(Closing):
    """The same samples (n, 6) again and again for so many hours, in blocks of so many samples, of which n has some."""

    rate_hz: float
    data: NDArray[np.float32]
    hours: int
    block: int
    info: ClassVar[SourceInfo] = SourceInfo("repeated", "array", 0)

    def __iter__(self) -> Iterator[SampleBlock]:
        count = round(self.hours * 3600 * self.rate_hz)
        for first in range(0, count, self.block):
            rows = np.arange(first, min(first + self.block, count))
            place = first % len(self.data)
            time_ns = np.rint(rows * (1e9 / self.rate_hz)).astype(np.int64)
            yield SampleBlock(time_ns, self.data[place : place + len(rows)])


def timed(call: Callable[..., Any], spent_s: dict[str, float]) -> Callable[..., Any]:
    """Return a function that does the same, and adds to `spent_s`, by the name of the function, how long it took."""

    def measured(*arguments: Any) -> Any:
        began = time.perf_counter()
        made = call(*arguments)
        spent_s[call.__name__] += time.perf_counter() - began
        return made

    return measured


def divide(recording: Path, rate_hz: float, source: str) -> figures.Row:
    """Print and return how the time of a recording at another rate divides, from a log or in a live sensor's blocks."""
    hours, rounds = BLOCKS[source]
    size = 4096 if source == "a log" else round(rate_hz / 10)
    with open_recording(recording) as opened:
        held = np.concatenate([block.data for block in opened])[: round(600 * opened.rate_hz)]
        known_s = np.arange(len(held)) / opened.rate_hz
    time_s = np.arange(int(600 * rate_hz) // size * size) / rate_hz
    data = np.stack([np.interp(time_s, known_s, channel) for channel in held.T], axis=1).astype(np.float32)
    each = list[dict[str, float]]()
    with open_encoder(device="cpu") as encoder:
        for _ in range(rounds):
            spent_s = dict.fromkeys(["push", "encode"], 0.0)
            patches = (
                patch.object(owner, name, timed(getattr(owner, name), spent_s))
                for owner, name in ((Resampler, "push"), (HostEncoder, "encode"))
            )
            with next(patches), next(patches):
                began = time.perf_counter()
                windows = run(Repeated(rate_hz, data, hours, size), encoder, lambda _: None).windows
                took = time.perf_counter() - began
            each.append({"resample": spent_s["push"], "encode": spent_s["encode"], "whole": took})
    row = {part: 1e6 * min(one[part] for one in each) / windows for part in ("resample", "encode", "whole")}
    row["ratio"] = row["resample"] / row["encode"]
    print(
        f"  {rate_hz:4g} Hz, {source}: {windows:6,d} windows, {row['whole']:3.0f} µs each; {row['resample']:3.0f} µs "
        f"resampling and {row['encode']:3.0f} µs front end and network, {row['ratio']:.2f} x"
    )
    return {"hours": hours, **row, "on": figures.REAL}


def parts(recording: Path) -> figures.Table:
    """Return how the time divides, by rate and source."""
    return figures.Table(
        what="how the time that the loop takes for a window divides, on one core, hop 64; a log is a day in blocks of "
        "4,096 samples, measured once, a live sensor an hour in blocks of 0.1 s, the best of several rounds",
        against="front end and network in the same run",
        units={"hours": "h", "resample": "µs", "encode": "µs", "whole": "µs", "ratio": "x"},
        rows={
            f"{rate_hz} Hz, {source}": divide(recording, rate_hz, source) for source in BLOCKS for rate_hz in RATES_HZ
        },
    )


def main(recording: Path) -> None:
    """Measure an hour and a day made of `recording`, and days of it at other rates."""
    began_s = figures.begin("day")
    rows = dict[str, figures.Row]()
    with tempfile.TemporaryDirectory() as folder:
        for hours, rounds in ((1, 5), (24, 3)):
            log = Path(folder) / f"{hours}h"
            write_log(recording, log, hours)
            rows[f"{hours} h"] = measure(log, rounds)
    print(f"  whole process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at its peak")
    table = figures.Table(
        what="the time of the whole way from the native log to the wire's bytes on one core, the best of several "
        f"rounds, in messages of {BATCH}; the peak of memory above what the process had before; and what `motionsig "
        "replay` takes to count the bytes of raw samples",
        against="as many calls of the runtime's interpreter alone on the same network, and the time that was recorded",
        units={
            "windows": "",
            "took": "s",
            "speed": "x real time",
            "bare": "s",
            "bare_window": "µs",
            "ratio": "x",
            "peak": "MiB",
            "raw": "s",
            "raw_ratio": "x",
        },
        rows=rows,
    )
    figures.write("day", {"day": table, "parts": parts(recording)}, began_s=began_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("recording", type=Path, help="what the day is made of, again and again")
    main(parser.parse_args().recording)
