"""The Edge TPU's child process: what it costs a window, and what happens to windows when it fails.

There is no Edge TPU here: tests/encoders/fake_edgetpu.c stands for its library, opens a device as slowly as that does,
answers from a table of the CPU's codes at once, and fails when told to. So what is measured is ours: the way to the
child and back, and the recovery, with the library's sleeps in it. The same interpreter with the same delegate runs in
this process for comparison, in the same rounds. Some eight minutes.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
# The double that the tests use.
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "encoders")]

import fake_edgetpu  # noqa: E402

from motionsig import EncoderError, SampleBlock, SignatureBatch, WindowBatch, run  # noqa: E402
from motionsig.blocks import Source, SourceInfo  # noqa: E402
from motionsig.closing import Closing  # noqa: E402
from motionsig.conventions import NS_PER_S  # noqa: E402
from motionsig.encoders.edgetpu import AutoNetwork, EdgeTpuNetwork, choice  # noqa: E402
from motionsig.encoders.edgetpu.presence import edgetpus  # noqa: E402
from motionsig.encoders.edgetpu.worker import Job, Limits, Worker  # noqa: E402
from motionsig.encoders.host import HostEncoder  # noqa: E402
from motionsig.encoders.litert import LiteRtNetwork, load_runtime  # noqa: E402
from motionsig.model_card import ModelCard, load_card  # noqa: E402
from motionsig.quality import Quality  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

WINDOWS, EVERY, HOP = 5_000, 100, 64
ROUNDS = 3
DOUBLE = "a double of the Edge TPU's library"
LIVE_S = 0.005
"""Between two windows of `auto`: quicker than any live sensor, and slow enough for a child to start meanwhile."""

FAULTS = {
    "err": "error of a call",
    "abort": "abort",
    "segfault": "segmentation fault",
    "exit": "exit",
    "kill -9": "kill -9",
    "hang": "hang",
}
LIMITS = Limits(starts=10_000, retry_s=0.0)
MIXED = [f"hang every {10 * EVERY}", f"exit every {5 * EVERY}", f"segfault every {3 * EVERY}"]
MIXED += [f"abort every {2 * EVERY}", f"err every {EVERY}"]
"""The first that fits counts, so there is a fault at each EVERYth call."""


class Walk(Source):
    """Samples on the grid for WINDOWS windows; a block completes one window."""

    rate_hz = 50.0
    info = SourceInfo("walk", "benchmark", 1)

    def __init__(self, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s
        rng, samples = np.random.default_rng(1), 128 + (WINDOWS - 1) * HOP
        walk = np.cumsum(rng.normal(0, 1, (samples, 6)), axis=0)
        self._data = (3 * np.sin(walk / 5) + [0, 0, 9.81, 0, 0, 0]).astype(np.float32)
        self._time_ns = np.arange(samples, dtype=np.int64) * (NS_PER_S // 50)

    def __iter__(self) -> Iterator[SampleBlock]:
        for first in range(0, len(self._data), HOP):
            time.sleep(self._pause_s)
            yield SampleBlock(self._time_ns[first : first + HOP], self._data[first : first + HOP])


class Kept(Closing):
    """A sink, and an encoder around another one: what both see."""

    def __init__(self, encoder: HostEncoder) -> None:
        self.windows, self.signatures = list[NDArray[np.float32]](), list[SignatureBatch]()
        self._encoder, self.card = encoder, encoder.card

    @property
    def device(self) -> str:
        return self._encoder.device

    @property
    def kernels(self) -> str | None:
        return self._encoder.kernels

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        self.windows.append(windows.data.copy())
        return self._encoder.encode(windows)

    def publish(self, signatures: SignatureBatch) -> None:
        self.signatures.append(signatures)


def cost(card: ModelCard, library: Path, inputs: NDArray[np.int8]) -> figures.Table:
    """Print and return what a window takes in a child and in this process, one at a time and 64 together."""
    _, interpreter_class, load_delegate = load_runtime()
    interpreter = interpreter_class(
        model_content=card.compiled_bytes(),
        # Another device than the child's, which a second opening would take from it.
        experimental_delegates=[load_delegate(str(library), {"device": "usb:0"})],
        num_threads=1,
    )
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def here(windows: NDArray[np.int8], codes: NDArray[np.int8]) -> None:
        for row, window in enumerate(windows[:, None]):
            interpreter.set_tensor(given, window)
            interpreter.invoke()
            codes[row] = interpreter.get_tensor(made)

    worker = Worker(Job(card, "usb:1"), LIMITS)
    worker.ready(30)

    def there(windows: NDArray[np.int8], codes: NDArray[np.int8]) -> None:
        for first in range(0, len(windows), 32):
            worker.run(windows[first : first + 32], codes[first : first + 32])

    print(f"{'us a window, median (p99)':28s} {'in process':>16s} {'in a child':>16s} {'more':>8s}")
    rows = dict[str, figures.Row]()
    for together, rounds in ((1, 8000), (64, 400)):
        times = {here: np.empty(rounds), there: np.empty(rounds)}
        codes = np.empty((together, card.motion_dim), np.int8)
        for number in range(rounds):
            first = number * together % (len(inputs) - together)
            for way, spent in times.items():
                began = time.perf_counter()
                way(inputs[first : first + together], codes)
                spent[number] = (time.perf_counter() - began) / together * 1e6
        medians = [np.median(spent) for spent in times.values()]
        texts = [f"{np.median(spent):.1f} ({np.percentile(spent, 99):.1f})" for spent in times.values()]
        print(f"{f'{together} at a time':28s} {texts[0]:>16s} {texts[1]:>16s} {medians[1] - medians[0]:8.1f}")
        for name, way in (("in a child", there), ("in this process", here)):
            median, most = (float(np.percentile(times[way], part)) for part in (50, 99))
            rows[f"{together} at a time, {name}"] = {"median": median, "p99": most, "on": DOUBLE}
    worker.close()
    return figures.Table(
        what="the time of a window in the child process, without the front end",
        against="the same interpreter with the same delegate in the process that asks, in the same rounds",
        units={"median": "µs", "p99": "µs"},
        rows=rows,
    )


@dataclass(frozen=True)
class Bench:
    """A machine with a double of the library, and the two ways of using it. port: its place in sysfs."""

    control: fake_edgetpu.Control
    card: ModelCard
    root: Path
    port: Path
    windows: NDArray[np.float32]

    def strict(self) -> HostEncoder:
        return HostEncoder(self.card, EdgeTpuNetwork(self.card, limits=LIMITS, root=self.root))

    def auto(self) -> HostEncoder:
        return HostEncoder(self.card, AutoNetwork(self.card, LiteRtNetwork(self.card), limits=LIMITS, root=self.root))

    def plug(self) -> None:
        self.control.write()
        self.port.mkdir(parents=True)
        for name, text in zip(("idVendor", "idProduct"), ("18d1", "9302"), strict=True):
            (self.port / name).write_text(text)

    def pull(self) -> None:
        self.control.write("absent")
        shutil.rmtree(self.port)

    def on_edgetpu(self, encoder: HostEncoder) -> bool:
        """Encode a window and return whether the double did it."""
        return bool(encoder.encode(batch(self.windows[:1])).quality[0] & Quality.EDGE_TPU)

    def ms_until_back(self, encoder: HostEncoder) -> float:
        began = time.perf_counter()
        while not self.on_edgetpu(encoder):
            time.sleep(0.001)
        return (time.perf_counter() - began) * 1000

    def fail(self, fault: str) -> None:
        """Let the next call go wrong."""
        if fault == "kill -9":
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    ours = int((process / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
                    if ours and b"edgetpu.child" in (process / "cmdline").read_bytes():
                        os.kill(int(process.name), signal.SIGKILL)
        else:
            self.control.write(f"{fault} {self.control.counts().calls + 1}")


def recovery(bench: Bench) -> figures.Table:
    """Print and return how long each fault keeps a window waiting, and how long until the Edge TPU is back at work."""
    print(f"{'fault, ms':12s} {'edgetpu: window late by':>24s} {'auto: window late by':>22s} {'auto: back after':>18s}")
    rows = dict[str, figures.Row]()
    for fault, words in FAULTS.items():
        late, lates, backs = list[float](), list[float](), list[float]()
        for _ in range(ROUNDS):
            bench.control.write()
            with bench.strict() as encoder:
                bench.fail(fault)
                late.append(ms(partial(bench.on_edgetpu, encoder)))
            with bench.auto() as encoder:
                bench.fail(fault)
                lates.append(ms(partial(bench.on_edgetpu, encoder)))
                backs.append(lates[-1] + bench.ms_until_back(encoder))
        print(f"{fault:12s} {np.median(late):24.0f} {np.median(lates):22.1f} {np.median(backs):18.0f}")
        rows[words] = {**_medians(edgetpu=late, auto=lates, back=backs), "on": DOUBLE}
    bench.control.write()
    with bench.auto() as encoder:
        lates, backs = [], []
        for turn in range(ROUNDS):
            bench.pull()
            lates.append(ms(lambda: bench.on_edgetpu(encoder)))
            until = time.monotonic() + 2 + turn / ROUNDS  # it is looked for once a second
            while time.monotonic() < until:
                bench.on_edgetpu(encoder)
                time.sleep(0.01)
            bench.plug()
            backs.append(bench.ms_until_back(encoder))
        print(f"{'pulled':12s} {'':24s} {np.median(lates):22.1f} {np.median(backs):18.0f} after it was put back")
        rows["pulled (back: after it was put back)"] = {**_medians(auto=lates, back=backs), "on": DOUBLE}
    return figures.Table(
        what="how late a window is whose call fails, and when the Edge TPU is at work again: medians of three, with "
        "the default deadlines and no pause between starts",
        against="the moment at which the call begins",
        units=dict.fromkeys(("edgetpu", "auto", "back"), "ms"),
        rows=rows,
    )


def _medians(**times: list[float]) -> figures.Row:
    return {name: float(np.median(spent)) for name, spent in times.items()}


def starts(bench: Bench, folder: Path) -> figures.Table:
    """Print and return how long it takes to know that there is no Edge TPU to be had."""
    print(f"{'from the start, ms':22s} {'edgetpu: an error after':>24s} {'auto: on the CPU after':>24s}")
    before = os.environ["LD_LIBRARY_PATH"]
    rows = dict[str, figures.Row]()

    def note(trouble: str) -> None:
        strict, auto = ms(lambda: refused(bench)), ms(lambda: bench.auto().close())
        rows[trouble] = {"edgetpu": strict, "auto": auto, "on": DOUBLE}
        print(f"{trouble:22s} {strict:24.0f} {auto:24.0f}")

    for trouble, flags in (("no library", None), ("a wrong one", "-DNO_PLUGIN"), ("its ABI an old one", "-DOLD_ABI")):
        place = folder / trouble
        place.mkdir()
        if flags:
            fake_edgetpu.build(place, flags)
        os.environ["LD_LIBRARY_PATH"] = str(place)
        note(trouble)
    os.environ["LD_LIBRARY_PATH"] = before
    for trouble, words in (("absent", "no device"), ("wrong every 1", "wrong codes")):
        bench.control.write(trouble)
        note(words)
    bench.control.write()
    with bench.strict():
        note("another process has it")
    return figures.Table(
        what="how soon it is known from the start that there is no Edge TPU to be had",
        against="the call that opens the encoder",
        units={"edgetpu": "ms", "auto": "ms"},
        rows=rows,
    )


def refused(bench: Bench) -> None:
    try:
        bench.strict()
    except EncoderError:
        return
    sys.exit("expected no Edge TPU, got one")


def ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def batch(windows: NDArray[np.float32]) -> WindowBatch:
    return WindowBatch(np.arange(len(windows)), windows, np.zeros(len(windows), np.uint8), 1)


def endurance(name: str, encoder: HostEncoder, twin: Kept, pause_s: float) -> figures.Row:
    """Print and return what came of WINDOWS windows with a fault at each EVERYth call of the library."""
    kept = Kept(encoder)
    summary = run(Walk(pause_s), kept, kept.publish, hop=HOP)
    expected = np.concatenate([made.start_ns for made in twin.signatures])
    times = np.concatenate([made.start_ns for made in kept.signatures])
    lost, doubled = len(np.setdiff1d(expected, times)), len(times) - len(np.unique(times))
    codes, right = (np.concatenate([made.codes for made in it.signatures]) for it in (kept, twin))
    wrong = int((codes != right).any(axis=1).sum()) if len(codes) == len(right) else len(right)
    print(
        f"{name:8s} {summary.windows:8,d} windows, {lost} lost, {doubled} doubled, {wrong} with other "
        f"bytes than the CPU's; {summary.on_edgetpu:,d} by the double, "
        f"{summary.windows - summary.on_edgetpu:,d} by the CPU, {summary.elapsed_s:.0f} s"
    )
    if lost or doubled or wrong:
        sys.exit(1)
    return {
        "windows": summary.windows,
        "lost": lost,
        "doubled": doubled,
        "wrong": wrong,
        "edgetpu": summary.on_edgetpu,
        "cpu": summary.windows - summary.on_edgetpu,
        "on": DOUBLE,
    }


def main() -> None:
    """Print it all."""
    began_s = figures.begin("edgetpu")
    logging.basicConfig(level=logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        library, card = fake_edgetpu.build(place), load_card(fake_edgetpu.fake_model(place / "model"))
        twin = Kept(HostEncoder(card, LiteRtNetwork(card)))
        run(Walk(), twin, twin.publish, hop=HOP)
        windows = np.concatenate([*twin.windows, card.golden().windows])
        control = fake_edgetpu.Control(place / "control", fake_edgetpu.write_answers(place / "answers", card, windows))
        os.environ |= control.environment(library) | {"STATE_DIRECTORY": str(place)}
        machine = place / "machine"
        bench = Bench(control, card, machine, machine / "sys/bus/usb/devices/1-1", windows)
        bench.plug()
        # The double would lose to the CPU, which needs no socket.
        conditions = choice.conditions(card, LiteRtNetwork(card).device, edgetpus(machine))
        choice.remember(card, conditions, choice.Choice(1.0, 2.0, "2026-01-01"))
        control.write("devices usb usb")
        tables = {
            "cost": cost(card, library, fake_edgetpu.input_codes(card, windows[:4000])),
            "recovery": recovery(bench),
            "starts": starts(bench, place),
        }
        rows = dict[str, figures.Row]()
        for name, opened, pause_s in (("edgetpu", bench.strict, 0.0), ("auto", bench.auto, LIVE_S)):
            with opened() as encoder:
                control.write(*MIXED)
                rows[name] = endurance(name, encoder, twin, pause_s)
                control.write()
    tables["endurance"] = figures.Table(
        what=f"what becomes of {WINDOWS:,} windows with a fault at every {EVERY}th call: error, abort, segmentation "
        "fault, exit and hang, mixed",
        against="the same windows on the CPU, byte by byte",
        units=dict.fromkeys(("windows", "lost", "doubled", "wrong", "edgetpu", "cpu"), ""),
        rows=rows,
    )
    figures.write("edgetpu", tables, began_s=began_s)


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()
