"""One log to signatures, in this process or in one of several."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NamedTuple, cast

from motionsig import wire
from motionsig.blocks import SampleBlock, SignatureBatch, Source
from motionsig.cli.picture import Picture
from motionsig.cli.progress import bytes_done
from motionsig.cli.replay.logs import Log
from motionsig.closing import Closing
from motionsig.conventions import MAX_LABEL_CHARS, NS_PER_S
from motionsig.encoders import Encoder, open_encoder
from motionsig.errors import EncoderError, InputError, MotionsigError, RecordingError, SinkError
from motionsig.facts import Fact
from motionsig.pipeline import Summary, run, signature_stream_id
from motionsig.raw_size import RawSize
from motionsig.recordings import open_recording
from motionsig.workers import end_with_parent

_PACED_S = 0.1  # at --speed 1 samples arrive in blocks this long, as a sensor's FIFO delivers them
_AHEAD = 2  # logs in work or done for each process: what comes back is taken in order


@dataclass(frozen=True)
class Plan:
    """How every log of a replay is made. hop: grid samples. options: of the reader. batch_s: see `RawSize`."""

    model: str | None
    device: str
    hop: int
    speed: float
    options: dict[str, str]
    folder_labels: bool
    batch_s: float


class Origin(NamedTuple):
    """Where signatures come from: who recorded them, their stream, the log; device is None where the log is silent."""

    device: str | None
    stream_id: int
    recording: wire.Recording


@dataclass(frozen=True)
class Made:
    """What came of one log. raw_sizes: bytes of its samples by scheme, `compressed` of them truly compressed.

    facts: what was understood of it, and what reading it through has shown.
    """

    log: Log
    stream_id: int
    summary: Summary
    raw_sizes: dict[str, int]
    compressed: int
    facts: tuple[Fact, ...]


class Outcome(NamedTuple):
    """One log, done; or what is wrong with it. signatures: those that `take` was not given."""

    made: Made | RecordingError | InputError
    signatures: Sequence[tuple[Origin, SignatureBatch]] = ()


Take = Callable[[Origin, SignatureBatch], object]
Update = Callable[[float], object]
"""Is told how many bytes were read since it was told last."""


def make(log: Log, plan: Plan, encoder: Encoder, take: Take, *, picture: Picture | None, update: Update) -> Outcome:
    """Hand the signatures of a log to `take`; return what came of it, or why it cannot be read."""
    try:
        return Outcome(_make(log, plan, encoder, take, picture, update))
    except (RecordingError, InputError) as error:
        return Outcome(error)


def _make(log: Log, plan: Plan, encoder: Encoder, take: Take, picture: Picture | None, update: Update) -> Made:
    if plan.folder_labels and len(log.folder) > MAX_LABEL_CHARS:
        got = f"got a folder whose name has {len(log.folder)}"
        raise RecordingError(f"{log.name}: expected a label of at most {MAX_LABEL_CHARS} characters, {got}")
    with open_recording(log.path, **log.options(plan.options)) as source:
        info = source.info
        if picture:
            picture.begin(replace(info, name=log.name), source.rate_hz)
        stream_id = signature_stream_id(info.stream_id, encoder.card, plan.hop)
        rival = RawSize(source.rate_hz, batch_s=plan.batch_s, scale=info.scale)
        watched = _Watched(source, log, plan, rival, picture, update)

        def deliver(signatures: SignatureBatch) -> None:
            try:
                take(Origin(info.device, stream_id, wire.Recording(log.name, watched.start_ns)), signatures)
            except InputError as error:
                # The sink's complaint, which another log would meet, too.
                raise SinkError(str(error)) from error

        try:
            summary = run(watched, encoder, deliver, hop=plan.hop)
        except InputError as error:
            # Too few samples a second, or no gyroscope: there are no signatures of this log, and some of others.
            raise RecordingError(f"{log.name}: {error}") from error
    update(log.size - watched.shown_bytes)
    facts = (*info.facts, *getattr(source, "findings", ()))
    return Made(log, stream_id, summary, rival.sizes(), rival.compressed_samples, facts)


class _Watched(Closing):
    """The source at the plan's speed, with its labels; its blocks pass the progress bar, the rival and the picture."""

    def __init__(
        self,
        source: Source,
        log: Log,
        plan: Plan,
        rival: RawSize,
        picture: Picture | None,
        update: Update,
    ) -> None:
        self.rate_hz, self.info = source.rate_hz, source.info
        self.start_ns, self.shown_bytes = 0, 0.0
        self._source = source
        self._blocks = source if plan.speed == math.inf else _paced(source, plan.speed)
        self._label = log.folder if plan.folder_labels else None
        self._rival, self._picture, self._update = rival, picture, update
        self._log_bytes = log.size

    def __iter__(self) -> Iterator[SampleBlock]:
        begun = False
        for block in self._blocks:
            if len(block) and not begun:
                self.start_ns, begun = int(block.time_ns[0]), True
            labelled = block if self._label is None else replace(block, label=self._label)
            self._rival.push(labelled)
            if self._picture:
                self._picture.add_samples(labelled)
            self._show(len(block))
            yield labelled

    def _show(self, samples: int) -> None:
        done = bytes_done(self._source, self._log_bytes, self.shown_bytes, samples)
        self._update(done - self.shown_bytes)
        self.shown_bytes = done


def _paced(source: Source, speed: float) -> Iterator[SampleBlock]:
    """Yield the samples at the pace of their time stamps; a gap takes its time, a step back takes none."""
    rows = max(1, round(source.rate_hz * _PACED_S))
    last_ns, due = None, time.monotonic()
    for block in source:
        if not len(block):
            yield block
        for first in range(0, len(block), rows):
            part = slice(first, first + rows)
            end_ns = int(block.time_ns[part][-1])
            due += max(0, end_ns - last_ns) / NS_PER_S / speed if last_ns is not None else 0.0
            last_ns = end_ns
            time.sleep(max(0.0, due - time.monotonic()))
            yield SampleBlock(block.time_ns[part], block.data[part], block.gap and first == 0, label=block.label)


def open_quietly(model: str | None, device: str) -> Encoder:
    """Open an encoder as in `quietly`."""
    with quietly():
        return open_encoder(model, device)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep standard error for errors: how a C++ runtime starts is left out."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            os.write(2, b"".join(line for line in said if not line.startswith(b"INFO: ")))


def make_all(logs: Sequence[Log], plan: Plan, jobs: int, update: Update) -> Iterator[Outcome]:
    """Yield what comes of each log, in their order, made by `jobs` processes that have an encoder each.

    A log's signatures come back all at once. Raises EncoderError where a process ends before its work.
    """
    with _processes(jobs, plan) as idle:
        at, done, given = dict[Connection, int](), dict[int, Outcome](), 0
        for turn, log in enumerate(logs):
            while turn not in done:
                try:
                    while idle and given < min(len(logs), turn + _AHEAD * jobs):
                        idle[-1].send(logs[given])
                        at[idle.pop()], given = given, given + 1
                    for process in cast("list[Connection]", wait(list(at))):
                        outcome = process.recv()
                        if isinstance(outcome, MotionsigError):
                            raise outcome
                        done[at.pop(process)] = outcome
                        idle.append(process)
                except (EOFError, OSError) as error:
                    raise EncoderError(
                        "--jobs: expected every process to make signatures, got one that ended; was there too little "
                        "memory? take fewer"
                    ) from error
            update(log.size)
            yield done.pop(turn)


@contextmanager
def _processes(jobs: int, plan: Plan) -> Iterator[list[Connection]]:
    """Start processes; after an error or Ctrl-C they are ended, whatever they are at.

    Each has a connection of its own, so one that is killed, even halfway through its answer, is the end of that
    connection at once. (With an executor's queue, whose writing end all share, half an answer is waited for for ever.)
    """
    # A fork would share the threads of a runtime that is loaded here, which do not survive it.
    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # which lets interrupts through again when it starts
    connections, processes = list[Connection](), list[SpawnProcess]()
    try:
        with _without_interrupts():
            for _ in range(jobs):
                here, there = context.Pipe()
                process = context.Process(target=_work, args=(there, plan))
                process.start()
                there.close()
                connections.append(here)
                processes.append(process)
        yield connections.copy()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.join()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all, from processes that are started meanwhile: this one ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(logs: Connection, plan: Plan) -> None:
    """One process: answer each log with its outcome, or with why none can be made, until nobody asks."""
    end_with_parent()
    encoder: Encoder | None = None
    with suppress(EOFError, ConnectionError):
        while True:
            log = logs.recv()
            try:
                encoder = encoder or open_quietly(plan.model, plan.device)
                logs.send(_make_apart(log, plan, encoder))
            except MotionsigError as error:
                logs.send(error)


def _make_apart(log: Log, plan: Plan, encoder: Encoder) -> Outcome:
    signatures = list[tuple[Origin, SignatureBatch]]()

    def take(origin: Origin, batch: SignatureBatch) -> None:
        signatures.append((origin, batch))

    outcome = make(log, plan, encoder, take, picture=None, update=lambda done: None)
    return Outcome(outcome.made, signatures)
