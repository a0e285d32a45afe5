"""The daemon itself: response, memory, start, processor, bytes on the wire, and a backlog. Needs root for the wire.

Each figure is of the real process (`motionsig run`) with a real Mosquitto on the loopback interface. Some five minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
# The chips' models, the broker, the daemon's process and the machine with a chip, which the tests use.
TESTS = ("", "daemon", "publishers", "encoders", "sensors")
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / part) for part in TESTS)]

from broker import Broker, make_certificates  # noqa: E402
from i2c_machine import I2cMachine  # noqa: E402
from surviving import Witnessed  # noqa: E402

from motionsig import open_recording, open_sink, wire  # noqa: E402
from motionsig.conventions import NS_PER_S  # noqa: E402
from motionsig.encoders import find_model  # noqa: E402
from motionsig.encoders.litert import load_runtime  # noqa: E402
from motionsig.model_card import MODEL_NAME  # noqa: E402
from motionsig.publishers.brokers import parse_broker  # noqa: E402
from motionsig.publishers.connection import Connection  # noqa: E402
from motionsig.raw_size import RawSize  # noqa: E402
from motionsig.sensors.clock import SystemClock  # noqa: E402
from motionsig.sensors.simulated import SimulatedBus, simulated_chip  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

DAY_S = 86400
HOP_S, LAST_SAMPLE_S = 1.28, 2.54
"""From the first sample of a window to that of the next one, and to its own last one."""

DELAY_S = 12.0
"""The default, which lets about ten signatures travel together."""

SIMULATED = "the real service, a simulated sensor"
SPEED = 60.0
RESPONSE_S, SHARE_S = 60.0, 30.0
STARTS = 5


class Listener:
    """Subscribes at a broker. heard, by signature: when its last sample was, when it came (Unix ns), its stream."""

    def __init__(self, url: str) -> None:
        self.heard: list[tuple[int, int, int]] = []
        self._closed = False
        self._connection = Connection(
            parse_broker(url), client_id="listener", clean_session=True, keepalive_s=30, on_message=self._take
        )
        self._connection.open(5, lambda: False)
        self._connection.subscribe("motionsig/+/signatures", 5)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _take(self, received: Any) -> None:
        now_ns = time.time_ns()
        message = wire.decode(bytes(received.payload))
        last_ns = message.signatures.start_ns + round(LAST_SAMPLE_S * NS_PER_S)
        self.heard += [(int(each), now_ns, message.stream_id) for each in last_ns]

    def _listen(self) -> None:
        while not self._closed:
            self._connection.loop(0.1)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *error: object) -> None:
        self._closed = True
        self._thread.join()
        self._connection.close()


@contextmanager
def daemon(
    folder: Path, sink: str, extra: str = "", *, sensor: str = "simulated", speed: float = 0.0, **environment: str
) -> Iterator[Any]:
    """Run the daemon; its witness notes what its sink took."""
    with Witnessed(folder, sink, extra=extra, sensor=sensor, speed=speed).start(**environment) as running:
        yield running


def taken(running: Witnessed) -> NDArray[np.int64]:
    """Return (n, 2): when each window began, Unix ns, and when its signature was taken, monotonic ns."""
    file = running.folder / "taken"
    return np.frombuffer(file.read_bytes() if file.exists() else b"", np.int64).reshape(-1, 2)


def until_taken(running: Witnessed, count: int = 1) -> None:
    """Wait until the sink took so many signatures."""
    while len(taken(running)) < count:
        assert running.process.poll() is None, running.log
        time.sleep(0.02)


def memory_mib(rollup: str) -> figures.Row:
    """Return a process's memory from its smaps_rollup (proc(5)): resident, its share of that, and what it has written.

    Resident counts every page of a library that is mapped; the share divides those that other processes map as well.
    """
    kinds = {"memory": "Rss", "share": "Pss", "written": "Private_Dirty"}
    return {key: int(rollup.split(f"\n{kind}:")[1].split()[0]) / 1024 for key, kind in kinds.items()}


def processor_s(pid: int) -> float:
    """Return the processor time a process has taken (proc(5): utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def response(folder: Path) -> figures.Table:
    """Print and return how long after its last sample a signature is at a subscriber."""
    rows = dict[str, figures.Row]()
    with Broker(folder / "broker") as broker, Listener(broker.url) as listener:
        # A window each 0.16 s, so that a minute gives enough of them.
        for name, delay in (("at once", "delay_s = 0\n"), (f"default, delay_s = {DELAY_S:g}", "")):
            listener.heard.clear()
            with daemon(folder / name[:3], broker.url, f"{delay}[model]\nhop = 8\n") as running:
                until_taken(running)
                time.sleep(RESPONSE_S)
            heard = np.array(listener.heard)[:, :2]
            late_s = (heard[:, 1] - heard[:, 0]) / 1e9
            p50, p99 = (float(np.percentile(late_s, part)) for part in (50, 99))
            print(f"    {name}: p50 {p50:.3f} s, p99 {p99:.3f} s, of {len(late_s)} signatures")
            rows[name] = {"p50": p50, "p99": p99, "signatures": len(late_s), "on": SIMULATED}
    return figures.Table(
        what="the time from the last sample of a window to its signature at a subscriber, at 104 Hz, with a broker on "
        "the same machine",
        against="the time stamp of that sample",
        units={"p50": "s", "p99": "s", "signatures": ""},
        rows=rows,
    )


def start_and_memory(folder: Path) -> figures.Table:
    """Print and return when the first signature is there, and what memory is then held, with and without MQTT."""
    bare_s = []
    for _ in range(15):
        began_s = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare_s.append(time.monotonic() - began_s)
    bare = min(bare_s)
    runtime, model = load_runtime()[1].__module__, str(find_model("motion64").path / MODEL_NAME)
    libraries = (
        f"import numpy, cbor2, paho.mqtt.client, {runtime} as runtime\n"
        f"network = runtime.Interpreter(model_path={model!r}, num_threads=1)\n"
        "network.allocate_tensors()\nnetwork.invoke()"
    )
    rows = dict[str, figures.Row]()
    # The libraries twice: the first process may have to compile them.
    for name, program in (
        ("the libraries alone", libraries),
        ("a bare interpreter", ""),
        ("the libraries alone", libraries),
    ):
        program += "\nprint(open('/proc/self/smaps_rollup').read())"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        rows[name] = memory_mib(done.stdout) | {"on": figures.REAL}
    rows["a bare interpreter"]["own"] = bare
    for name, row in rows.items():
        print(f"    {name}: {row['memory']:.1f} MiB, its share {row['share']:.1f}, written {row['written']:.1f}")
    with Broker(folder / "broker") as broker:
        for name, sink in (("into a store", f"store:{folder}/start.db"), ("over MQTT", broker.url)):
            firsts, held = [], figures.Row()
            for number in range(STARTS):
                began_s = time.monotonic()
                with daemon(folder / f"start-{name[:4]}-{number}", sink) as running:
                    until_taken(running)
                    firsts.append(taken(running)[0, 1] / 1e9 - began_s)
                    if number == STARTS - 1:
                        time.sleep(SHARE_S)
                        held = memory_mib(Path(f"/proc/{running.process.pid}/smaps_rollup").read_text())
            first = statistics.median(firsts)
            own = first - LAST_SAMPLE_S
            print(
                f"    {name}: first signature after {first:.2f} s; without the {LAST_SAMPLE_S} s of its samples "
                f"{own:.2f} s, {own / bare:.0f} x a bare interpreter; half a minute later {held['memory']:.1f} MiB, "
                f"its share {held['share']:.1f}, written {held['written']:.1f}"
            )
            rows[name] = {"first": first, "own": own, "ratio": own / bare, "on": SIMULATED} | held
    return figures.Table(
        what="the time from the start of the process to its first signature, with and without the "
        f"{LAST_SAMPLE_S} s in which its samples come, the median of {STARTS}; and {SHARE_S:.0f} s later the resident "
        "memory, the process's share of it (pages that others map, too, are divided) and what it has written of that; "
        "the libraries alone are Python with numpy, LiteRT and one window, cbor2 and paho, without motionsig",
        against="a bare interpreter that ends at once, the best of 15",
        units={"first": "s", "own": "s", "ratio": "x", "memory": "MiB", "share": "MiB", "written": "MiB"},
        rows=rows,
    )


def processor_share(folder: Path) -> figures.Table:
    """Print and return the share of a core that the daemon takes, with MQTT; the chip's model is another process."""
    rows = dict[str, figures.Row]()
    with Broker(folder / "broker") as broker:
        for name, chip_name, rate_hz in (("100 Hz", "lsm6dso", 100), ("1 kHz", "icm42688p", 1000)):
            clock = SystemClock()
            chip = simulated_chip(chip_name, clock=clock)
            bus = folder / f"bus-{rate_hz}"
            bus.mkdir()
            with I2cMachine(SimulatedBus([chip], clock=clock), bus) as machine:
                preload = {key: machine.environment[key] for key in ("UMOCKDEV_DIR", "LD_PRELOAD")}
                place = folder / f"share-{rate_hz}"
                (place / "conf.d").mkdir(parents=True)
                (place / "conf.d" / "rate.toml").write_text(f"[sensor]\nrate_hz = {rate_hz}\n")
                with daemon(place, broker.url, sensor=chip_name, **preload) as running:
                    until_taken(running, 3)
                    before, began_s = processor_s(running.process.pid), time.monotonic()
                    time.sleep(SHARE_S)
                    share = (processor_s(running.process.pid) - before) / (time.monotonic() - began_s)
                    rate = running.status()["sensor"]["true_rate_hz"]
            print(f"    {name} ({chip_name} at {rate:.0f} Hz, smbus2 on umockdev's bus): {100 * share:.1f} %")
            rows[f"{chip_name} at {rate:.0f} Hz"] = {
                "share": 100 * share,
                "on": "the real service, a model of the chip, real smbus2 on umockdev's bus",
            }
    return figures.Table(
        what="the processor time of the service, MQTT included",
        against=f"one core, over {SHARE_S:.0f} s",
        units={"share": "% of one core"},
        rows=rows,
    )


def backlog(folder: Path) -> figures.Table:
    """Print and return how long a day's signatures take that waited for the broker, and what the live ones notice."""
    card, random = find_model("motion64"), np.random.default_rng(0)
    count, hop_ns = round(DAY_S / HOP_S), round(HOP_S * NS_PER_S)
    spool = folder / "spool"
    with Broker(folder / "broker") as broker:
        broker.stop()
        with open_sink(broker.url, device="pi", stream_id=1, spool=str(spool), close_timeout_s=0.1) as sink:
            for number in range(count):
                codes = random.integers(-128, 128, (1, card.dim)).astype(np.int8)
                sink.publish(_one(number * hop_ns, codes, hop_ns, card.spec))
        broker.start()
        with Listener(broker.url) as listener:
            extra = f'delay_s = 0\n[spool]\npath = "{spool}"\n[model]\nhop = 8\n'
            began_ns = time.time_ns()
            with daemon(folder / "daemon", broker.url, extra) as running:
                while sum(stream_id == 1 for *_, stream_id in list(listener.heard)) < count:
                    assert running.process.poll() is None, running.log
                    time.sleep(0.1)
                until_taken(running, 30)
                time.sleep(5)
        old = [came for _, came, stream_id in listener.heard if stream_id == 1]
        live = [(last, came) for last, came, stream_id in listener.heard if stream_id != 1]
        drained_s = (max(old) - min(old)) / 1e9
        print(f"    {count:,} signatures that waited: {drained_s:.1f} s, {count / drained_s:,.0f} a second, the first "
              f"{(min(old) - began_ns) / 1e9:.1f} s after the start of the process")  # fmt: skip
        row: figures.Row = {
            "waited": count,
            "took": drained_s,
            "speed": count / drained_s,
            "start": (min(old) - began_ns) / 1e9,
            "on": "the real service, random codes",
        }
        for name, part in (
            ("meanwhile", [came - last for last, came in live if came <= max(old)]),
            ("afterwards", [came - last for last, came in live if came > max(old)]),
        ):
            if part:
                p50, p99 = (float(np.percentile(part, share)) / 1e9 for share in (50, 99))
                print(f"    live ones {name}: p50 {p50:.3f} s, p99 {p99:.3f} s, of {len(part)}")
                row |= {f"{name}_p50": p50, f"{name}_p99": p99}
            else:
                print(f"    live ones {name}: none")
    times = (f"{name}_{part}" for name in ("meanwhile", "afterwards") for part in ("p50", "p99"))
    return figures.Table(
        what="the time in which a day's signatures that waited for the broker come to a subscriber; and how late "
        "signatures of a simulated sensor come meanwhile and afterwards",
        against="the first of them, on the loopback interface",
        units={"waited": "", "took": "s", "speed": "a second", "start": "s", **dict.fromkeys(times, "s")},
        rows={"a day": row},
    )


def _one(start_ns: int, codes: NDArray[np.int8], hop_ns: int, spec: Any) -> Any:
    from motionsig.blocks import SignatureBatch

    return SignatureBatch(np.array([start_ns], np.int64), codes, np.zeros(1, np.uint8), hop_ns, spec)


def on_wire(folder: Path, recording: Path) -> figures.Table:
    """Print and return a day's bytes on the interface, both ways with all headers, against the raw samples' own.

    In a network of its own (unshare), where nobody else sends; a recording is played at `SPEED` times its pace, with
    a delay shorter by as much.
    """
    make_certificates(folder / "certificates")
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True)
    certificates = folder / "certificates"
    tls = f"cafile {certificates}/ca.pem\ncertfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n"
    log = open_recording(recording)
    covered_s, rivals = _raw(log)
    lossless = min(rivals.values())
    rows = dict[str, figures.Row]()
    for name, listener, scheme, host, options in (
        ("without TLS", "", "mqtt", "127.0.0.1", ""),
        ("with TLS", tls, "mqtts", "localhost", f'ca = "{certificates}/ca.pem"\n'),
    ):
        with Broker(folder / f"broker-{scheme}", listener=listener) as broker:
            sink = f"{scheme}://{host}:{broker.port}"
            extra = f"delay_s = {DELAY_S / SPEED}\n{options}"
            before = _carried()
            with daemon(folder / f"daemon-{scheme}", sink, extra, speed=SPEED, PLAYED=str(recording)) as running:
                running.process.wait(600)
            carried = _carried() - before
            signatures = len(taken(running))
            messages = broker.log.count("Received PUBLISH")
        day = DAY_S / covered_s
        payload = sum(int(line.rpartition("(")[2].split()[0]) for line in broker.log.splitlines()
                      if "Received PUBLISH" in line)  # fmt: skip
        over = (carried - payload) / messages
        print(f"    {name}: {carried * day / 1e6:.2f} MB a day for {signatures * day:,.0f} signatures: "
              f"{carried / signatures:.1f} B each in {messages} messages of {signatures / messages:.1f}; "
              f"{over:.0f} B a message are not payload")  # fmt: skip
        raw = lossless + over * covered_s / (DELAY_S + HOP_S / 2)
        print(f"      the same day of raw samples, losslessly, in batches of the same delay and with the same bytes "
              f"around each: {raw * day / 1e6:.2f} MB, {raw / carried:.1f} x as much")  # fmt: skip
        rows[name] = {
            "day": carried * day / 1e6,
            "each": carried / signatures,
            "together": signatures / messages,
            "over": over,
            "raw_day": raw * day / 1e6,
            "ratio": raw / carried,
            "payload": payload / signatures,
            "raw_payload": lossless / signatures,
            "payload_ratio": lossless / payload,
            "on": "the real service, a recording played",
        }
    return figures.Table(
        what="a day's bytes on the interface, both ways with all headers, at 50 Hz and the default delay",
        against="the raw samples of the same time, compressed without loss by the best of several schemes, in batches "
        "of the same delay and with the same bytes around each batch",
        units=dict.fromkeys(("day", "raw_day"), "MB")
        | dict.fromkeys(("each", "over", "payload", "raw_payload"), "B")
        | dict.fromkeys(("ratio", "payload_ratio"), "x as much")
        | {"together": ""},
        rows=rows,
    )


def _raw(log: Any) -> tuple[float, dict[str, int]]:
    rival = RawSize(log.rate_hz, batch_s=DELAY_S + HOP_S / 2, scale=log.info.scale)
    samples = 0
    for block in log:
        rival.push(block)
        samples += len(block)
    return samples / log.rate_hz, rival.sizes()


def _carried() -> int:
    """Return the bytes the loopback interface has carried: what one end sends, the other receives (proc(5))."""
    (line,) = (line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.partition(":")[2].split()[0])


PARTS = {"response": response, "start": start_and_memory, "processor": processor_share, "backlog": backlog}


def main(recording: str, *parts: str) -> None:
    """Print these parts, by default all; recording: what is played for `wire`, whose parent makes it a network."""
    # The package brings compiled modules. Without them each start compiles 400, which takes memory and time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="motionsig-bench-") as folder:
        began_s = figures.begin("daemon")
        if parts == ("wire-alone",):
            figures.write("daemon", {"wire": on_wire(Path(folder), Path(recording))}, began_s=began_s)
            return
        names, tables = parts or (*PARTS, "wire"), dict[str, figures.Table]()
        try:
            for name in names:
                if name != "wire":
                    print(f"  {name}", flush=True)
                    (Path(folder) / name).mkdir()
                    tables[name] = PARTS[name](Path(folder) / name)
        finally:
            if tables:
                figures.write("daemon", tables, began_s=began_s)
        if "wire" in names:
            print("  wire", flush=True)
            alone = [sys.executable, __file__, recording, "wire-alone"]
            subprocess.run(["unshare", "--net", *alone], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("recording", help="what is played for wire")
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}, wire; by default all")
    options = parser.parse_args()
    if unknown := set(options.parts) - {*PARTS, "wire", "wire-alone"}:
        parser.error(f"expected some of {', '.join(PARTS)}, wire, got {', '.join(sorted(unknown))}")
    main(options.recording, *options.parts)
