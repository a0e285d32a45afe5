"""Signatures and events made up for tests, each with its number in it, ways to compare them, and children that end."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import numpy as np

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.events import Event
from motionsig.quantization import Group, Quantization

SPEC = SignatureSpec(
    fingerprint=b"\x01madeup\xff",
    quantization=Quantization((Group(48, 0.05, 0), Group(16, 0.1, -3))),
    motion_dim=48,
    length_ns=2_560_000_000,
)
START_NS = 1_700_000_000_000_000_000
HOP_NS = 1_280_000_000
DAY_NS = 86_400 * 10**9
MONTH_NS = 31 * DAY_NS


def numbered(count: int, first: int = 0, *, spec: SignatureSpec = SPEC) -> SignatureBatch:
    """Return signatures first, first + 1, …: codes that do not compress, times on a grid."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    rows = [np.random.default_rng(int(number)).integers(-128, 128, 64, dtype=np.int8) for number in numbers]
    return SignatureBatch(
        start_ns=START_NS + numbers * HOP_NS,
        codes=np.array(rows, np.int8).reshape(count, 64),
        quality=(numbers % 2).astype(np.uint8),
        hop_ns=HOP_NS,
        spec=spec,
    )


def begun(batch: SignatureBatch, later_ns: int) -> SignatureBatch:
    """Return the batch so much later."""
    return dataclasses.replace(batch, start_ns=batch.start_ns + later_ns)


def event(number: int = 0, **changed: object) -> Event:
    """Return the event that ends with signature `number`, of head "knock" unless told otherwise."""
    start_ns = START_NS + number * HOP_NS
    made = Event("wrist", 7, number, "knock", b"\x00headed\xff", "once", start_ns, start_ns + SPEC.length_ns, 0.75)
    return dataclasses.replace(made, **changed)  # type: ignore[arg-type]


def labelled(batch: SignatureBatch, *labels: str) -> SignatureBatch:
    """Return the batch with these labels, one for each signature or one for all."""
    return dataclasses.replace(batch, labels=np.array(labels * (len(batch) // len(labels)), np.str_))


def assert_same(one: SignatureBatch, other: SignatureBatch) -> None:
    """Fail unless both batches say the same."""
    assert (one.spec, one.hop_ns) == (other.spec, other.hop_ns)
    np.testing.assert_array_equal(one.start_ns, other.start_ns)
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.quality, other.quality)
    labels, others = (None if it.labels is None else it.labels.tolist() for it in (one, other))
    assert labels == others


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Return as soon as the condition holds; fail if it never does."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "this never came true"
        time.sleep(0.01)


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Start a child that ends with the block; SIGINT reaches it even where this process was started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with child:
        try:
            yield child
        finally:
            child.kill()


def lines_until_killed(*command: str, after: int, pause_s: float = 0.0) -> list[str]:
    """Return the lines that a child printed until kill -9 ended it, `pause_s` after the first so many."""
    with running(*command) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(after)]
        time.sleep(pause_s)
        child.kill()
        lines += child.stdout.read().splitlines()
    return [line for line in lines if line.strip()]
