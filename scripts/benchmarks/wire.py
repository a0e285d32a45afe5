"""Bytes on the wire per signature, every header counted, by how signatures are sent; and of raw samples sent likewise.

What leaves when is told by the real outbox, with made-up time, over a recording; what that takes on the interface is
measured for some of those messages, each alone, with a real Mosquitto in a network of its own (unshare). A connection
without TLS; Ethernet's own header is not counted. Needs root. Two minutes.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "publishers")]
from broker import Broker  # noqa: E402

from motionsig import (  # noqa: E402
    SampleBlock,
    SignatureBatch,
    concatenate,
    extract,
    open_encoder,
    open_recording,
    sample_block,
    wire,
)
from motionsig.conventions import NS_PER_S  # noqa: E402
from motionsig.fewer_bits import coarser  # noqa: E402
from motionsig.pipeline import run  # noqa: E402
from motionsig.publishers.brokers import parse_broker  # noqa: E402
from motionsig.publishers.connection import Connection  # noqa: E402
from motionsig.publishers.mqtt_options import MqttOptions  # noqa: E402
from motionsig.publishers.outbox import Outbox  # noqa: E402
from motionsig.publishers.resting import Rest  # noqa: E402
from motionsig.publishers.spool import Spool  # noqa: E402
from motionsig.raw_size import RawSize  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

TOPIC = "motionsig/bench/signatures"
MEASURED = 24
"""Messages of each kind that are really sent; of different sizes, as TCP cuts what is larger than a packet."""
APART_S = 0.1
"""From one to the next: longer than TCP delays an acknowledgement, in the hope of a packet that may carry it."""
TIMES, MOVING_S, RESTING_S = 12, 600, 6600
"""Twelve times a day something moves for ten minutes, and then rests: 22 h of the day."""
NOISE = (0.03, 0.002)
"""m/s² and rad/s: the scatter of a chip at rest, as data sheets have it (see `motionsig.quality`)."""


WAYS: dict[str, dict[str, Any]] = {
    "default settings": {},
    "6 s": {"delay_s": 6},
    "20 s": {"delay_s": 20},
    "60 s": {"delay_s": 60, "keepalive_s": 120},
    "60 s, deflated": {"delay_s": 60, "compress": "deflate", "keepalive_s": 120},
    "60 s, 4 bits": {"delay_s": 60, "bits": 4, "keepalive_s": 120},
    "a day with 22 h at rest": {"rest": True, "keepalive_s": 300},
}
"""The options that are not the default. A keep-alive that is longer than the delay asks nothing between messages."""


@dataclass(frozen=True)
class Sent:
    """What left: the payloads, and how many times a client asked whether the broker was still there."""

    payloads: list[bytes]
    pings: int


def send(signatures: SignatureBatch, options: MqttOptions, folder: Path) -> Sent:
    """Return what the outbox sends of signatures that come one after the other, as of a live sensor."""
    payloads, left_s = list[bytes](), [0.0]
    hop_s = signatures.hop_ns / NS_PER_S
    with tempfile.TemporaryDirectory(dir=folder) as place:
        spool, rest = Spool(Path(place)), Rest()
        outbox = Outbox(spool, options, now_s=0.0)
        outbox.connect()
        signatures = coarser(signatures, options.bits)
        if options.rest:
            signatures = rest.repeat(signatures)
        for seq in range(len(signatures)):
            now_s = seq * hop_s
            while outbox.due_in_s(left_s[-1]) + left_s[-1] < now_s:
                _leave(outbox, left_s[-1] + outbox.due_in_s(left_s[-1]), payloads, left_s)
            spool.append(wire.encode(wire.Message("bench", 1, seq, signatures[seq])), 1)
            _leave(outbox, now_s, payloads, left_s)
        _leave(outbox, math.inf, payloads, left_s)
        spool.close()
    gaps = (after - before for before, after in itertools.pairwise(left_s) if math.isfinite(after))
    return Sent(payloads, sum(int(gap / options.keepalive_s) for gap in gaps))


def _leave(outbox: Outbox, now_s: float, payloads: list[bytes], left_s: list[float]) -> None:
    while (outgoing := outbox.next(now_s)) is not None:
        payloads.append(outgoing.payload)
        left_s.append(now_s)
        outgoing.acknowledged = True
        outbox.settle(now_s)


class Interface:
    """A connection to a real Mosquitto, where nobody else sends."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(parse_broker(url), client_id="bench", clean_session=True, keepalive_s=600)
        self._connection.open(5, lambda: False)
        # The first one of a connection names its topic, which the others need not.
        self.carried(b"first")

    def carried(self, payload: bytes) -> int:
        """Return the bytes on the interface, both ways, of a message with its acknowledgements."""
        before = _carried()
        mid = self._connection.publish(TOPIC, payload)
        until_s = time.monotonic() + APART_S
        while time.monotonic() < until_s or mid not in {answer.mid for answer in self._connection.acknowledged}:
            self._connection.loop(0.01)
        self._connection.acknowledged.clear()
        return _carried() - before


def ping_bytes(broker: Broker) -> float:
    """Return the bytes on the interface of one question whether the broker is there, and its answer."""
    connection = Connection(parse_broker(broker.url), client_id="idle", clean_session=True, keepalive_s=1)
    connection.open(5, lambda: False)
    before, until_s = _carried(), time.monotonic() + 5.5
    while time.monotonic() < until_s:
        connection.loop(0.1)
    carried = _carried() - before
    connection.close()
    return carried / int(broker.log.count("Received PINGREQ from idle"))


def _carried() -> int:
    """Return the bytes that the loopback interface has carried: what one end sends, the other receives (proc(5))."""
    (line,) = (line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    # Without Ethernet's header: loopback_xmit of Linux counts what follows it.
    return int(line.partition(":")[2].split()[0])


def total(interface: Interface, sent: Sent) -> float:
    """Return the bytes on the interface of all that was sent, after some of its messages."""
    sizes = sorted(sent.payloads, key=len)
    chosen = [sizes[place] for place in np.linspace(0, len(sizes) - 1, min(MEASURED, len(sizes))).astype(int)]
    over = np.array([interface.carried(payload) - len(payload) for payload in chosen], float)
    lengths = np.array([len(payload) for payload in sent.payloads], float)
    return float(lengths.sum() + np.interp(lengths, [len(payload) for payload in chosen], over).sum())


def resting_samples() -> np.ndarray[Any, Any]:
    """Return (n, 6) what a device that lies on a table measures at 50 Hz, between two times that it is moved."""
    count = RESTING_S * 50
    data = np.random.default_rng(3).normal(0, 1, (count, 6)) * np.repeat(NOISE, 3)
    data[:, 1:3] += (3.0, 9.34)
    return np.asarray(data, np.float32)


def a_day(moving: SignatureBatch, still: SignatureBatch) -> SignatureBatch:
    """Return a day of signatures: twelve times ten minutes that move, each before 110 that rest."""
    parts = list[SignatureBatch]()
    moves = round(MOVING_S * NS_PER_S / moving.hop_ns)
    for number in range(TIMES):
        rows = (np.arange(moves) + number * moves) % len(moving)
        parts += [moving[rows], still]
    day = concatenate(parts)
    return replace(day, start_ns=np.arange(len(day), dtype=np.int64) * day.hop_ns)


def raw_a_second(interface: Interface, blocks: Iterable[SampleBlock], log: Any, period_s: float) -> float:
    """Return the bytes on the interface for a second of raw samples, in messages of a period, by the best scheme."""
    rival, samples = RawSize(log.rate_hz, batch_s=period_s, scale=log.info.scale), 0
    for block in blocks:
        rival.push(block)
        samples += len(block)
    covered_s = samples / log.rate_hz
    count = max(1, round(covered_s / period_s))
    each = bytes(round(min(rival.sizes().values()) / count))
    return float(total(interface, Sent([each] * count, 0)) / covered_s)


def measure(recording: Path, folder: Path, broker: Broker) -> figures.Table:
    """Print and return the bytes of each way to send."""
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True)
    batches, samples = list[SignatureBatch](), resting_samples()
    with open_recording(recording) as log, open_encoder(device="cpu") as encoder:
        run(log, encoder, batches.append)
        moving, still = concatenate(batches), extract(samples, rate_hz=50)
        day = a_day(moving, still)
        at_rest = [sample_block(np.arange(len(samples), dtype=np.int64) * 20_000_000, samples)]
        ping, interface = ping_bytes(broker), Interface(broker.url)
        hop_s = moving.hop_ns / NS_PER_S
        rows = dict[str, figures.Row]()
        for name, changed in WAYS.items():
            options = MqttOptions(**changed)
            signatures = day if options.rest else moving
            sent = send(signatures, options, folder)
            each = (total(interface, sent) + sent.pings * ping) / len(signatures)
            raw = raw_a_second(interface, log, log, options.delay_s)
            if options.rest:
                quiet = raw_a_second(interface, at_rest, log, options.rest_delay_s)
                raw = (MOVING_S * raw + RESTING_S * quiet) / (MOVING_S + RESTING_S)
            rows[name] = {
                "each": each,
                "payload": sum(map(len, sent.payloads)) / len(signatures),
                "together": len(signatures) / len(sent.payloads),
                "raw": raw * hop_s,
                "ratio": raw * hop_s / each,
                "on": "a real broker, the real outbox",
            }
            print(f"    {name:44s}" + ", ".join(f"{key} {value:.1f}" for key, value in list(rows[name].items())[:-1]))
    return figures.Table(
        what="the bytes on the interface per signature, both ways, without TLS: headers from IP on, acknowledgements "
        f"and keep-alives are in it; of a recording at {log.rate_hz:g} Hz, or of a day of which 22 h are at rest",
        against="the raw samples of the same time, compressed without loss by the best of several schemes, in messages "
        "of the same delay on the same connection",
        units=dict.fromkeys(("each", "payload", "raw"), "B") | {"ratio": "x as much", "together": ""},
        rows=rows,
    )


def main(recording: Path) -> None:
    """Measure all ways in a network of one's own."""
    if os.environ.get("MOTIONSIG_BENCH_ALONE") != "1":
        alone = [sys.executable, __file__, str(recording)]
        sys.exit(
            subprocess.run(["unshare", "--net", *alone], env=os.environ | {"MOTIONSIG_BENCH_ALONE": "1"}).returncode
        )
    began_s = figures.begin("wire")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="motionsig-bench-") as folder, Broker(Path(folder) / "broker") as broker:
        table = measure(recording, Path(folder), broker)
    figures.write("wire", {"wire": table}, began_s=began_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("recording", type=Path, help="a recording in any format that motionsig reads without options")
    main(parser.parse_args().recording)
