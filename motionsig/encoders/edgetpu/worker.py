"""The parent's end of the child process: start it, hand it windows, and know within a deadline when it is lost.

A process of its own rather than one of `multiprocessing`, which would import the user's main script anew, and run it
where that has no guard. The memory is an anonymous file that both map; nobody else sees it, and nothing is left of it
when both are gone. Each child gets its own, so that one which cannot be killed at once can spoil nothing.
"""

from __future__ import annotations

import json
import logging
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
import weakref
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from motionsig.encoders.edgetpu.child import ASKED
from motionsig.encoders.edgetpu.memory import Layout
from motionsig.encoders.host import Codes, TensorSpec, check_network, network_input
from motionsig.encoders.tflite import EDGETPU_OPERATOR, read_graph
from motionsig.encoders.trial import child_environment
from motionsig.errors import EncoderError, ModelError
from motionsig.frontend import CHUNK
from motionsig.model_card import ModelCard

logger = logging.getLogger(__name__)

LIBRARY = "libedgetpu.so.1"

MOST_OFF = 8
"""Steps by which an Edge TPU's golden codes may be off. The CPU's own kernels differ by up to 3; no Edge TPU has been
measured; noise in place of an answer is off by dozens. They are asked for at each start: numbers that go wrong later,
without an error, are not noticed."""

_CHILD = "from motionsig.encoders.edgetpu.child import main; main()"
_GRACE_S = 1.0
_WORDS_BYTES = 4096


@dataclass(frozen=True)
class Limits:
    """How long a child may take, and how often it may be started.

    call_s: for one window. start_s: from its start to the golden codes; an Edge TPU gets its firmware in that time. At
    most `starts` in any `per_s`; where one did not last `settled_s` the next waits `retry_s`, and twice as long after
    each further one, up to `per_s`.
    """

    call_s: float = 1.0
    start_s: float = 30.0
    starts: int = 6
    per_s: float = 600.0
    retry_s: float = 0.5
    settled_s: float = 60.0


class Fault(EncoderError):
    """The child is lost. `done` windows of the call it was lost in have their codes."""

    def __init__(self, reason: str, done: int = 0) -> None:
        super().__init__(reason)
        self.done = done


class Job:
    """What every child of a network needs: the compiled model, checked, and what it must make of the golden windows."""

    def __init__(self, card: ModelCard, device: str) -> None:
        """Raise ModelError for a model that is missing, damaged or not compiled: it would run on the CPU unnoticed."""
        self.card, self.device = card, device
        self.model = card.compiled_bytes()
        assert card.compiled is not None
        self.file = card.path / card.compiled.file
        graph = read_graph(self.model, self.file)
        if not graph.edgetpu_operators:
            raise ModelError(
                f"{self.file}: expected a model compiled for the Edge TPU, with an operator {EDGETPU_OPERATOR}, got "
                f"{len(list(graph.operators))} others; it would run on the CPU and say nothing"
            )
        self.layout = Layout(CHUNK, (1, card.length, card.input.dim), (card.motion_dim,), len(self.model))
        windows, codes, _ = card.golden()
        self.golden_inputs = network_input(card, windows[:CHUNK])[0]
        self.golden_codes: Codes = codes[:CHUNK, : card.motion_dim]


class Worker:
    """One child process with an Edge TPU in it, from its start until it is lost or closed."""

    def __init__(self, job: Job, limits: Limits) -> None:
        """Start it, and do not wait. Raises Fault where no process can be started."""
        if not sys.executable or getattr(sys, "frozen", False):
            # A frozen program would start itself over and over.
            raise Fault(f"Edge TPU: expected a Python to run its process, got {sys.executable!r}")
        self._job, self._limits, self._owner = job, limits, os.getpid()
        self.runtime = ""
        """What runs the model in the child, once it is ready."""
        self._stage, self._words = "starting", b""
        self._gone = ""  # why, once it is lost; not the exception, whose traceback would hold this in a circle
        try:
            with ExitStack() as ours, ExitStack() as theirs:
                self._start(ours, theirs)
                ours.pop_all()
        except (OSError, ValueError) as error:
            raise Fault(f"Edge TPU: expected to start a process for it, got: {error}") from error
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._poll.register(self._hearing, select.POLLIN)
        self._start_by = time.monotonic() + limits.start_s
        self._end = weakref.finalize(self, _end, self._owner, self._process, self._connection, self._hearing)

    def ready(self, wait_s: float = 0.0) -> bool:
        """Return whether the child takes windows, after at most `wait_s`: it gave the golden codes. Raises Fault."""
        self._require_living()
        until = min(time.monotonic() + wait_s, self._start_by)
        while not self.runtime:
            words = self._receive(until)
            if words is None:
                if time.monotonic() < self._start_by:
                    return False
                raise self._lost(f"it was still {self._stage} after {self._limits.start_s:g} s")
            self._stage = words.get("stage", "running the model")
            if "ready" in words:
                self._check(words)
                self.runtime = str(words["ready"])
        return True

    def run(self, inputs: Codes, codes: Codes, by: float = math.inf) -> None:
        """Fill `codes` (k, motion_dim) from `inputs` (k, 1, length, channels), k at most CHUNK.

        by: on time.monotonic(), when it has to be done as a whole. Raises Fault, which says how many rows of `codes`
        are filled nevertheless.
        """
        self._require_living()
        done, call_s, count = self._memory.done, self._limits.call_s, len(inputs)
        self._memory.inputs[:count] = inputs
        done[0] = seen = 0
        try:
            with suppress(OSError):  # What is wrong, the answer tells.
                self._connection.send(ASKED.pack(count))
            while self._receive(min(time.monotonic() + call_s, by)) is None:
                if time.monotonic() >= by:
                    raise self._lost(f"it had done {done[0]} of {count} windows when the time was over")
                if done[0] == seen:
                    raise self._lost(f"a window took it more than {call_s:g} s")
                seen = int(done[0])
        except Fault as fault:
            # Only what a child that still had its wits counted; and it runs no more, so this does not move.
            fault.done = int(done[0]) if 0 <= done[0] <= count else 0
            codes[: fault.done] = self._memory.outputs[: fault.done]
            raise
        except BaseException:
            # Interrupted from outside: the answer that is still to come would be taken for the next call's.
            self._lost("a call was interrupted")
            raise
        codes[:] = self._memory.outputs[:count]

    def close(self) -> None:
        """Let the child end, and end it if it does not."""
        self._end()

    def _start(self, ours: ExitStack, theirs: ExitStack) -> None:
        """Make the child and the ways to it; `theirs` closes what the child has got, `ours` what stays if it lives."""
        self._connection, connection = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.callback(self._connection.close)
        theirs.callback(connection.close)
        self._hearing, saying = os.pipe()
        ours.callback(os.close, self._hearing)
        theirs.callback(os.close, saying)
        os.set_blocking(self._hearing, False)
        memory = os.memfd_create("motionsig")
        theirs.callback(os.close, memory)
        os.ftruncate(memory, self._job.layout.size)
        self._memory = self._job.layout.map(memory)
        self._memory.model[:] = np.frombuffer(self._job.model, np.uint8)
        task = {
            "socket": connection.fileno(),
            "memory": memory,
            "layout": self._job.layout,
            "parent": self._owner,
            "start_s": math.ceil(self._limits.start_s + _GRACE_S),
            "library": LIBRARY,
            "device": self._job.device,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD, json.dumps(task)],
            # The child imports what this process would.
            env=child_environment(sys.path),
            stdin=subprocess.DEVNULL,
            stdout=saying,
            stderr=saying,
            pass_fds=(connection.fileno(), memory),
            # Of its own, so that Ctrl-C reaches the parent alone, which ends the child in good order.
            start_new_session=True,
        )

    def _require_living(self) -> None:
        if os.getpid() != self._owner:
            # After a fork both would write into the same memory and read each other's answers.
            raise Fault("Edge TPU: expected the process that opened it, got one that was forked from it")
        if self._gone:
            raise Fault(self._gone)

    def _receive(self, until: float) -> dict[str, Any] | None:
        """Return the child's next words; None if there are none by then. Raises Fault if it failed or died."""
        while True:
            left_s = until - time.monotonic()
            ready = [descriptor for descriptor, _ in self._poll.poll(max(0.0, left_s) * 1000)]
            if self._hearing in ready and not self._listen():
                self._poll.unregister(self._hearing)
            if self._connection.fileno() in ready:
                try:
                    message = self._connection.recv(1 << 16)
                except OSError:
                    message = b""
                if not message:
                    raise self._lost(self._death())
                try:
                    words: dict[str, Any] = dict(json.loads(message))
                except (ValueError, TypeError):
                    raise self._lost(f"its process talks nonsense: {message[:40]!r}") from None
                if "failed" in words:
                    raise self._lost(words["failed"], speaks_for_itself=True)
                return words
            if left_s <= 0:
                return None

    def _listen(self) -> bool:
        """Keep the last of what the child wrote, and its pipe from filling; return whether there was any."""
        with suppress(BlockingIOError):
            heard = os.read(self._hearing, 1 << 16)
            self._words = (self._words + heard)[-_WORDS_BYTES:]
            return bool(heard)
        return False

    def _check(self, words: dict[str, Any]) -> None:
        """Hold what the child opened against the card and the golden codes. Raises Fault."""
        job = self._job
        try:
            check_network(job.card, job.file.name, TensorSpec(*words["input"]), TensorSpec(*words["output"]))
        except (ModelError, LookupError, TypeError) as error:
            raise self._lost(str(error)) from error
        made = np.empty_like(job.golden_codes)
        self.run(job.golden_inputs, made, self._start_by)
        off = int(np.abs(made.astype(int) - job.golden_codes).max(initial=0))
        if off > MOST_OFF:
            raise self._lost(f"its codes for the golden windows are off by {off}, where {MOST_OFF} is allowed")

    def _death(self) -> str:
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return f"its process went silent while {self._stage}"
        how = f"died of signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with exit code {code}"
        return f"its process {how} while {self._stage}"

    def _lost(self, reason: str, *, speaks_for_itself: bool = False) -> Fault:
        """End the child for good and return why, with its last words unless the reason is from itself."""
        self._gone = f"Edge TPU: {reason}"  # before the waits, which a signal's handler may end
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._listen()
        self._end()
        lines = self._words.decode("ascii", "backslashreplace").splitlines()
        said = [line.strip() for line in lines if line.strip() and not line.startswith("INFO")]
        if said and not speaks_for_itself:
            self._gone += f"; it said: {said[-1][:200]}"
        return Fault(self._gone)


def _end(owner: int, process: subprocess.Popen[bytes], connection: socket.socket, hearing: int) -> None:
    connection.close()
    if os.getpid() != owner:
        os.close(hearing)
        return
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            logger.warning("process %d does not end: the kernel waits for its Edge TPU", process.pid)
    os.close(hearing)
