"""The network on an Edge TPU, and what happens to a window when that fails.

With `EdgeTpuNetwork` the window waits while a new child is started, and if that does not help, there is an error. With
`AutoNetwork` that window, and those after it, go through the same model on the CPU until a new child is ready. In both,
each window is answered once.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders.edgetpu import choice
from motionsig.encoders.edgetpu.choice import Choice
from motionsig.encoders.edgetpu.claim import Claim, NotFreeError, claim
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.edgetpu.worker import Fault, Job, Limits, Worker
from motionsig.encoders.host import Codes, Network
from motionsig.errors import EncoderError, ModelError
from motionsig.escaping import own_logger
from motionsig.model_card import ModelCard
from motionsig.quality import Quality

logger = own_logger(__name__)

_LOOK_S = 1.0
"""How often to look whether an Edge TPU is back, or free."""

_ASK_S = 0.1
"""How often a device that is asked for is tried while another process has it."""


class Starts:
    """When a child may be started: so often in a time, and after ever longer pauses where it did not last."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._short = limits, 0
        self._times = deque([-math.inf], limits.starts)  # of the last starts

    def add(self) -> None:
        """Count a start that happens now."""
        self._times.append(time.monotonic())

    def ended(self) -> None:
        """Note that the child has ended; if it did not last, the next pause is longer."""
        lasted = time.monotonic() - self._times[-1] >= self._limits.settled_s
        self._short = 0 if lasted else self._short + 1

    def reset_pause(self) -> None:
        """Forget starts that did not last: it is another device now, or the same one plugged in again."""
        self._short = 0

    @property
    def spent(self) -> bool:
        """Whether there were as many starts as are allowed."""
        return self._times[0] > time.monotonic() - self._limits.per_s

    def wait_s(self) -> float:
        """Return how long to wait until the next start."""
        limits = self._limits
        pause_s = min(limits.retry_s * 2.0 ** min(self._short - 1, 60), limits.per_s) if self._short else 0.0
        return max(0.0, max(self._times[-1] + pause_s, self._times[0] + limits.per_s) - time.monotonic())


class EdgeTpuNetwork(Network):
    """The Edge TPU or an error."""

    def __init__(
        self, card: ModelCard, which: str = "", *, limits: Limits | None = None, root: Path = Path("/")
    ) -> None:
        """Open the Edge TPU that is meant by `which` ("usb", "pci:1", ":2", ...), any free one for an empty one.

        root: where to look for devices; the machine's own by default. Raises ModelError for a model that is not
        compiled for it, EncoderError if it is not ready in time or another process has it.
        """
        self._limits, self._root = limits or Limits(), root
        self.card, self._job, self._starts = card, Job(card, which), Starts(self._limits)
        self._claim: Claim | None = None
        self._worker = self._start()

    @property
    def device(self) -> str:
        which = self._job.device
        return f"edgetpu{':' * bool(which)}{which.removeprefix(':')} ({self._worker.runtime})"

    def run(self, inputs: Codes) -> tuple[Codes, int]:
        codes = np.empty((len(inputs), self.card.motion_dim), np.int8)
        done = 0
        while True:
            try:
                self._worker.run(inputs[done:], codes[done:])
                return codes, Quality.EDGE_TPU
            except Fault as fault:
                done += fault.done
                self._starts.ended()
                self._replace(fault)

    def close(self) -> None:
        self._worker.close()
        if self._claim is not None:
            self._claim.close()

    def _start(self) -> Worker:
        self._starts.add()
        # It is kept while a lost child is replaced, so that nobody takes the device meanwhile.
        if self._claim is not None and not self._claim.holds:
            self._claim.close()
            self._claim = None
        self._claim = self._claim or self._own()
        worker = Worker(self._job, self._limits, self._claim, self._root)
        worker.ready(self._limits.start_s)
        return worker

    def _own(self) -> Claim | None:
        """Own the Edge TPU; wait a while until it is free. Raises Fault that names the other owner."""
        until, waits = time.monotonic() + self._limits.held_s, False
        while True:
            try:
                return claim(self._job.device, self._root)
            except NotFreeError as error:
                if time.monotonic() >= until:
                    waited = f"waited {self._limits.held_s:g} s for it; free it, or use the device cpu or auto"
                    raise Fault(f"Edge TPU: {error}; {waited}") from error
                if not waits:
                    logger.warning("Edge TPU: %s; waiting at most %g s for it", error, self._limits.held_s)
                waits = True
                time.sleep(_ASK_S)

    def _replace(self, fault: Fault) -> None:
        """Put a new child in place of the lost one. Raises EncoderError, with the last reason, after too many."""
        while not self._starts.spent:
            logger.warning("%s; starting it again", fault)
            time.sleep(self._starts.wait_s())
            try:
                self._worker = self._start()
                return
            except Fault as another:
                self._starts.ended()
                fault = another
        often = f"{self._limits.starts} starts within {self._limits.per_s:g} s"
        raise EncoderError(f"{fault}; given up after {often}") from fault


class AutoNetwork(Network):
    """The faster of Edge TPU and CPU, and the CPU while there is no Edge TPU."""

    def __init__(self, card: ModelCard, cpu: Network, *, limits: Limits | None = None, root: Path = Path("/")) -> None:
        """Open the Edge TPU if there is one; whatever is wrong with it is logged, and `cpu` does the work.

        root: where to look for devices; the machine's own by default.
        """
        self.card, self._cpu, self._root, self._limits = card, cpu, root, limits or Limits()
        self._starts, self._look_at = Starts(self._limits), -math.inf
        self._worker: Worker | None = None
        self._claim: Claim | None = None  # kept while a lost child is replaced
        self._choice: Choice | None = None
        self._places: list[tuple[str, str]] = []  # where there were Edge TPUs at the last look
        self._conditions: dict[str, Any] | None = None  # under which that choice was measured
        self._trouble, self._cpu_windows = "", 0  # why the Edge TPU is not used, and windows that the CPU did since
        self._job: Job | None = None
        try:
            self._job = Job(card, "")
        except ModelError as error:
            self._report(str(error))
        self._ready_worker(self._limits.start_s)

    @property
    def kernels(self) -> str | None:
        return None if self._worker is not None and self._worker.runtime else self._cpu.kernels

    @property
    def device(self) -> str:
        """What runs the network now, and why."""
        if self._worker is not None and self._worker.runtime:
            return f"edgetpu ({self._worker.runtime}), {self._choice}"
        return f"{self._cpu.device}, {self._trouble or self._choice or 'while the Edge TPU starts'}"

    def run(self, inputs: Codes) -> tuple[Codes, NDArray[np.uint8]]:
        codes = np.empty((len(inputs), self.card.motion_dim), np.int8)
        done = 0
        if worker := self._ready_worker():
            try:
                worker.run(inputs, codes)
                done = len(inputs)
            except Fault as fault:
                done = fault.done
                self._lose(fault)
        if done < len(inputs):
            codes[done:], _ = self._cpu.run(inputs[done:])
            self._cpu_windows += len(inputs) - done
        quality = np.zeros(len(inputs), np.uint8)
        quality[:done] = Quality.EDGE_TPU
        return codes, quality

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
        self._release()
        self._cpu.close()

    def _ready_worker(self, wait_s: float = 0.0) -> Worker | None:
        """Return the child if it takes windows; start one if there is none, and wait at most `wait_s` for it."""
        try:
            if self._worker is None and self._job is not None and time.monotonic() >= self._look_at:
                self._worker = self._start(self._job)
            if self._worker is None or self._worker.runtime:
                return self._worker
            return self._decide(self._worker) if self._worker.ready(wait_s) else None
        except Fault as fault:
            self._lose(fault)
            return None

    def _start(self, job: Job) -> Worker | None:
        """Start a child if there is an Edge TPU that is worth it, and not too often."""
        self._look_at = time.monotonic() + _LOOK_S
        found = edgetpus(self._root)
        places = [(edgetpu.bus, edgetpu.place) for edgetpu in found]
        if places != self._places:
            self._places = places
            self._starts.reset_pause()
        if not found:
            self._release()
            self._report("no Edge TPU is plugged in", logging.INFO)
            return None
        conditions = choice.conditions(self.card, self._cpu.device, found)
        if conditions != self._conditions:
            self._conditions, self._choice = conditions, choice.remembered(self.card, conditions)
        if self._choice and not self._choice.edgetpu:
            self._release()
            self._report("")
        elif not self._starts.wait_s() and self._own():
            self._starts.add()
            return Worker(job, self._limits, self._claim)
        return None

    def _own(self) -> bool:
        """Return whether this process owns an Edge TPU now; why not is reported."""
        if self._claim is None or not self._claim.holds:
            self._release()
            try:
                self._claim = claim("", self._root)
            except NotFreeError as error:
                self._report(f"Edge TPU: {error}")
        return self._claim is not None

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _decide(self, worker: Worker) -> Worker | None:
        """Return the child, which is ready, if it is faster than the CPU; else close it."""
        self._report("")
        if self._choice is None:
            assert self._job is not None and self._conditions is not None
            run = partial(worker.run, codes=np.empty((1, self.card.motion_dim), np.int8))
            self._choice = choice.measure(run, self._cpu.run, self._job.golden_inputs)
            choice.remember(self.card, self._conditions, self._choice)
        if not self._choice.edgetpu:
            worker.close()
            self._worker = None
            self._release()
        logger.info("now on %s; %d windows before went through the cpu", self.device, self._cpu_windows)
        self._cpu_windows = 0
        return self._worker

    def _lose(self, fault: Fault) -> None:
        self._worker = None
        self._starts.ended()
        self._look_at = time.monotonic() + min(_LOOK_S, self._starts.wait_s())
        self._report(str(fault))

    def _report(self, trouble: str, level: int = logging.WARNING) -> None:
        """Note why the Edge TPU is not used, empty where it need not be; log a reason that is new."""
        if trouble != self._trouble:
            self._trouble = trouble
            if trouble:
                logger.log(level, "%s; going on on %s", trouble, self._cpu.device)
