"""What heads cost: how long teaching one takes, what many take of a window and of memory, and a search of a week.

Times are processor time on one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import os
import pickle
import platform
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from motionsig import Encoder, SignatureBatch
from motionsig.heads import Head
from motionsig.heads.card import HeadCard
from motionsig.heads.judging import Judge
from motionsig.publishers import iter_signatures, open_sink
from motionsig.teaching import teach
from scripts.evaluate.extent import Extent
from scripts.train.clock import Say

MANY = 50
HOP_NS = 1_280_000_000
WEEK = round(7 * 86400e9 / HOP_NS)
ROUNDS, ALONE, BATCH = 15, 3000, 256
_MESSAGE = 4096


def measured(
    cards: Sequence[HeadCard], life: SignatureBatch, encoder: Encoder, extent: Extent, say: Say
) -> dict[str, Any]:
    """Return the card's entry. cards: MANY of them are taken, with most examples. life: to judge."""
    most = sorted(cards, key=lambda card: -len(card.taught.examples))
    many = [replace(most[at % len(most)], name=f"motion_{at}") for at in range(MANY)]
    with threadpool_limits(1):
        ready_s = _median_s(lambda: teach_anew(most[0], encoder), ROUNDS)
        part = life[: max(1, round(ALONE * extent.share))]
        judge = Judge(many)
        alone_s = _mean_s(judge.judge, [part[row] for row in range(len(part))])
        batches = [part[first : first + BATCH] for first in range(0, len(part), BATCH)]
        batch_s = _mean_s(Judge(many).judge, batches) * len(batches) / len(part)
        count = max(1, round(WEEK * extent.share))
        with tempfile.TemporaryDirectory() as folder:
            store = f"store:{Path(folder) / 'week.db'}"
            fill(store, life, count)
            week_s = _median_s(lambda: search(store, most[0]), 3)
    got = {
        "on": machine(),
        "ready_ms": round(ready_s * 1e3, 1),
        "heads": MANY,
        "microseconds_alone": round(alone_s * 1e6, 1),
        "microseconds_in_a_batch": round(batch_s * 1e6, 1),
        "megabytes": round(taken_bytes(many, part) / 1e6, 2),
        "stored": count,
        "search_s": round(week_s, 2),
    }
    say(f"heads, cost: {got}")
    return got


def teach_anew(card: HeadCard, encoder: Encoder) -> Head:
    """Return a head that is taught with the performances of `card` again, from reading the background on."""
    taught = card.taught
    given = [taught.examples[taught.performance == number] for number in np.unique(taught.performance)]
    performances = [
        SignatureBatch(np.arange(len(codes)), codes, np.zeros(len(codes), np.uint8), 1, encoder.card.spec)
        for codes in given
    ]
    return teach("motion", performances, encoder=encoder)


def fill(store: str, life: SignatureBatch, count: int) -> None:
    """Store `count` signatures HOP_NS apart: those of life, over and over."""
    rows = np.arange(count) % len(life)
    start_ns = np.arange(count) * HOP_NS
    spec = life.spec
    with open_sink(store, device="wrist", stream_id=1) as sink:
        for first in range(0, count, _MESSAGE):
            part = rows[first : first + _MESSAGE]
            times = start_ns[first : first + _MESSAGE]
            sink.publish(SignatureBatch(times, life.codes[part], life.quality[part], HOP_NS, spec))


def search(store: str, card: HeadCard) -> int:
    """Return how many events a head finds in all of a store."""
    judge = Judge([card])
    return sum(len(judge.judge(stored.signatures)) for stored in iter_signatures(store))


def taken_bytes(cards: Sequence[HeadCard], signatures: SignatureBatch) -> int:
    """Return the memory that heads hold once they have judged: their cards, read anew, and a Judge."""
    packed = pickle.dumps(list(cards))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        judge = Judge(pickle.loads(packed))
        judge.judge(signatures[:1])
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def machine() -> str:
    """Return the processor and its cores, in words."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return f"{names[0] if names else 'unknown'}, {platform.machine()}, {os.cpu_count()} cores"


def _median_s(work: Callable[[], object], times: int) -> float:
    work()  # not timed: what is only done once
    taken = []
    for _ in range(times):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return float(np.median(taken))


def _mean_s(work: Callable[[SignatureBatch], object], given: Iterable[SignatureBatch]) -> float:
    """Return the mean time of a call: heads that are under way cost more than others, and count."""
    taken = []
    for one in given:
        begun = time.process_time()
        work(one)
        taken.append(time.process_time() - begun)
    return float(np.mean(taken))
