"""The parent's end of the child process: start it, hand it windows, and know within a deadline when it is lost.

It is not a process of `multiprocessing`, which would import the user's main script again. Parent and child map an
anonymous file, which is gone when both are. Each child has its own, so that one that cannot be killed spoils nothing.
"""

from __future__ import annotations

import fcntl
import json
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
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.encoders.edgetpu.child import ASKED, Layout
from motionsig.encoders.edgetpu.claim import LIBRARY, Claim
from motionsig.encoders.host import EDGE_TPU_STEPS, Codes, TensorSpec, check_network, network_input
from motionsig.encoders.tflite import EDGETPU_OPERATOR, read_graph
from motionsig.encoders.trial import child_environment, one_line
from motionsig.errors import EncoderError, ModelError
from motionsig.escaping import own_logger
from motionsig.frontend import CHUNK
from motionsig.model_card import ModelCard

logger = own_logger(__name__)

_CHILD = "from motionsig.encoders.edgetpu.child import main; main()"
_GRACE_S = 1.0
_OUTPUT_BYTES = 4096
_MOST_MESSAGES = 16
"""Until a child is ready; it has fewer stages."""


@dataclass(frozen=True)
class Limits:
    """How long a child may take, and how often it may be started.

    call_s: for one window. start_s: from its start to the golden codes. In that time libedgetpu sleeps for two seconds,
    and an Edge TPU gets its firmware. held_s: how long another owner of the device is waited for. At most `starts` in
    any `per_s`; where one did not last `settled_s` the next waits `retry_s`, and twice as long after each further one,
    up to `per_s`.
    """

    call_s: float = 1.0
    start_s: float = 30.0
    held_s: float = 10.0
    starts: int = 6
    per_s: float = 600.0
    retry_s: float = 0.5
    settled_s: float = 60.0


class Fault(EncoderError):
    """The child is lost. `done` windows of the call it was lost in have their codes."""

    done = 0


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
        windows, codes, *_ = card.golden()
        self.golden_inputs = network_input(card, windows[:CHUNK])[0]
        self.golden_codes: Codes = codes[:CHUNK, : card.motion_dim]


class Worker:
    """One child process with an Edge TPU in it, from its start until it is lost or closed."""

    def __init__(self, job: Job, limits: Limits, claim: Claim | None = None, root: Path = Path("/")) -> None:
        """Start it, and do not wait. Raises Fault where no process can be started.

        claim: the device that it opens, and keeps from others until it has ended; None where the machine, whose files
        are below `root`, shows none: then it opens none that the machine shows by then.
        """
        if not sys.executable or getattr(sys, "frozen", False):
            # A frozen program would start itself over and over.
            raise Fault(f"Edge TPU: expected a Python to run its process, got {sys.executable!r}")
        self._job, self._limits, self._claim, self._owner = job, limits, claim, os.getpid()
        self.runtime = ""
        """What runs the model in the child, once it is ready."""
        self._stage, self._told, self._last_output = "starting", 0, b""
        self._lost_because = ""  # not the exception, whose traceback would keep this object alive
        try:
            with ExitStack() as ours, ExitStack() as theirs:
                self._start(ours, theirs, root)
                ours.pop_all()
        except (OSError, ValueError) as error:
            raise Fault(f"Edge TPU: expected to start a process for it, got: {error}") from error
        self._poll = select.poll()
        self._poll.register(self._connection, select.POLLIN)
        self._poll.register(self._output, select.POLLIN)
        self._start_by = time.monotonic() + limits.start_s
        self.close = weakref.finalize(self, _end, self._owner, self._process, self._connection, self._output)
        """Let the child end, and kill it if it does not."""

    def ready(self, wait_s: float = 0.0) -> bool:
        """Return whether the child takes windows, after at most `wait_s`: it gave the golden codes. Raises Fault."""
        self._check_alive()
        until = min(time.monotonic() + wait_s, self._start_by)
        while not self.runtime:
            message = self._receive(until)
            if message is None:
                if time.monotonic() < self._start_by:
                    return False
                raise self._lost(f"it was still {self._stage} after {self._limits.start_s:g} s")
            self._told += 1
            if self._told > _MOST_MESSAGES:
                raise self._lost("its process sent messages without end")
            self._stage = one_line(str(message.get("stage", "running the model")))
            if "ready" in message:
                self._check(message)
                self.runtime = one_line(str(message["ready"]))
        return True

    def run(self, inputs: Codes, codes: Codes, by: float = math.inf) -> None:
        """Fill `codes` (k, motion_dim) from `inputs` (k, 1, length, channels), k at most CHUNK.

        by: on time.monotonic(), when it has to be done as a whole. Raises Fault, which says how many rows of `codes`
        are filled nevertheless.
        """
        self._check_alive()
        done, call_s, count = self._memory.done, self._limits.call_s, len(inputs)
        self._memory.inputs[:count] = inputs
        done[0] = seen = 0
        try:
            with suppress(OSError):  # the answer says what is wrong
                self._connection.send(ASKED.pack(count))
            while self._receive(min(time.monotonic() + call_s, by)) is None:
                if time.monotonic() >= by:
                    raise self._lost(f"it had done {done[0]} of {count} windows when the time was over")
                if done[0] == seen:
                    raise self._lost(f"a window took it more than {call_s:g} s")
                seen = int(done[0])
        except Fault as fault:
            # The child no longer runs, so this does not change; a count that cannot be is that of a damaged child.
            fault.done = int(done[0]) if 0 <= done[0] <= count else 0
            codes[: fault.done] = self._memory.outputs[: fault.done]
            raise
        except BaseException:
            # Interrupted: the answer that is still to come would be taken for the next call's.
            self._lost("a call was interrupted")
            raise
        codes[:] = self._memory.outputs[:count]

    def _start(self, ours: ExitStack, theirs: ExitStack, root: Path) -> None:
        """Start the child; `theirs` closes our copies of what it has inherited, `ours` our own ends if that fails."""
        self._connection, connection = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.callback(self._connection.close)
        theirs.callback(connection.close)
        self._output, output = os.pipe()
        ours.callback(os.close, self._output)
        theirs.callback(os.close, output)
        os.set_blocking(self._output, False)
        memory = os.memfd_create("motionsig", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        theirs.callback(os.close, memory)
        os.ftruncate(memory, sum(self._job.layout.sizes))
        # A child that made it smaller would kill this process at its next access.
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        self._memory = self._job.layout.map(memory)
        self._memory.model[:] = np.frombuffer(self._job.model, np.uint8)
        task: dict[str, Any] = {"parent": self._owner, "start_s": math.ceil(self._limits.start_s + _GRACE_S)}
        task |= {"socket": connection.fileno(), "memory": memory, "layout": self._job.layout}
        claim = self._claim
        device, path = (self._job.device, "") if claim is None else (claim.option, claim.path)
        task |= {"library": LIBRARY, "device": device, "path": path, "root": "" if claim else str(root)}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD, json.dumps(task)],
            # The child imports what this process would.
            env=child_environment(sys.path),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # With the lock: should this process die first, the device is free when the child lets go of it.
            pass_fds=(connection.fileno(), memory, *(claim.lock.files if claim is not None else ())),
            # Of its own, so that Ctrl-C reaches the parent alone, which ends the child in good order.
            start_new_session=True,
        )

    def _check_alive(self) -> None:
        if os.getpid() != self._owner:
            # After a fork both would write into the same memory and read each other's answers.
            raise Fault("Edge TPU: expected the process that opened it, got one that was forked from it")
        if self._lost_because:
            raise Fault(self._lost_because)

    def _receive(self, until: float) -> dict[str, Any] | None:
        """Return the child's next message; None if there is none by then. Raises Fault if it failed or died."""
        while True:
            left_s = until - time.monotonic()
            ready = [descriptor for descriptor, _ in self._poll.poll(max(0.0, left_s) * 1000)]
            if self._output in ready and not self._read_output():
                self._poll.unregister(self._output)
            if self._connection.fileno() in ready:
                try:
                    raw = self._connection.recv(1 << 16)
                except OSError:
                    raw = b""
                if not raw:
                    raise self._lost(self._how_it_ended())
                try:
                    message: dict[str, Any] = dict(json.loads(raw))
                except (ValueError, TypeError, RecursionError):
                    raise self._lost(f"its process sent what is no message: {raw[:40]!r}") from None
                if "failed" in message:
                    raise self._lost(one_line(str(message["failed"]), 1000), with_output=False)
                return message
            if left_s <= 0:
                return None

    def _read_output(self) -> bool:
        """Read what the child wrote, so that its pipe never fills up, and keep the last; return if there was any."""
        with suppress(BlockingIOError):
            output = os.read(self._output, 1 << 16)
            self._last_output = (self._last_output + output)[-_OUTPUT_BYTES:]
            return bool(output)
        return False

    def _check(self, message: dict[str, Any]) -> None:
        """Check what the child opened against the card and the golden codes. Raises Fault."""
        job = self._job
        try:
            check_network(job.card, job.file.name, TensorSpec(*message["input"]), TensorSpec(*message["output"]))
        except (ModelError, LookupError, TypeError) as error:
            raise self._lost(str(error)) from error
        made = np.empty_like(job.golden_codes)
        self.run(job.golden_inputs, made, self._start_by)
        off = int(np.abs(made.astype(int) - job.golden_codes).max(initial=0))
        if off > EDGE_TPU_STEPS:
            raise self._lost(f"its codes for the golden windows are off by {off}, where {EDGE_TPU_STEPS} is allowed")

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return f"its process stopped answering while {self._stage}"
        how = f"died of signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with exit code {code}"
        return f"its process {how} while {self._stage}"

    def _lost(self, reason: str, *, with_output: bool = True) -> Fault:
        """End the child for good and return why, with the last line that it wrote where that adds something."""
        self._lost_because = f"Edge TPU: {reason}"  # before the waits, which a signal's handler may end
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._read_output()
        self.close()
        lines = self._last_output.decode("ascii", "backslashreplace").splitlines()
        said = [line.strip() for line in lines if line.strip() and not line.startswith("INFO")]
        if with_output and said:
            self._lost_because += f"; it said: {one_line(said[-1])}"
        return Fault(self._lost_because)


def _end(owner: int, process: subprocess.Popen[bytes], connection: socket.socket, output: int) -> None:
    connection.close()
    if os.getpid() == owner:
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                logger.warning("process %d does not end: the kernel waits for its Edge TPU", process.pid)
    os.close(output)
