"""Edge TPU or CPU: measured on this machine, and remembered until the Edge TPU or the model changes.

A USB call costs a quarter of a millisecond, whatever the model, so a small network may well be faster on the CPU.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.encoders.edgetpu.presence import EdgeTpu
from motionsig.encoders.host import Codes
from motionsig.escaping import own_logger
from motionsig.files import read_file, replace_file
from motionsig.model_card import ModelCard
from motionsig.state import state_path

logger = own_logger(__name__)

_WINDOWS = 100
_MOST_S = 1.0
_MOST_BYTES = 65536


@dataclass(frozen=True)
class Choice:
    """Medians of a window alone, in µs, its way to the device and back included; `date` is the day of measuring."""

    edgetpu_us: float
    cpu_us: float
    date: str

    @property
    def edgetpu(self) -> bool:
        """Whether the Edge TPU is the faster one."""
        return self.edgetpu_us < self.cpu_us

    def __str__(self) -> str:
        fast, slow = sorted((self.edgetpu_us, self.cpu_us))
        names = ("edgetpu", "cpu") if self.edgetpu else ("cpu", "edgetpu")
        times = f"{fast:.0f} us a window on {names[0]}, {slow:.0f} on {names[1]}"
        return f"{times}: {slow / fast:.1f} x, measured {self.date}"


def measure(edgetpu: Callable[[Codes], object], cpu: Callable[[Codes], object], inputs: Codes) -> Choice:
    """Time both on the same windows, one at a time and in turn, as windows come live."""
    spent_us = list[float](), list[float]()
    until = time.monotonic() + _MOST_S
    for row in range(_WINDOWS):
        for run, times in zip((edgetpu, cpu), spent_us, strict=True):
            began = time.perf_counter()
            run(inputs[row % len(inputs)][None])
            times.append((time.perf_counter() - began) * 1e6)
        if time.monotonic() > until:
            break  # Windows are waiting, and a device that takes so long has lost.
    # The first quarter warms up.
    edgetpu_us, cpu_us = (round(float(np.median(times[len(times) // 4 :])), 1) for times in spent_us)
    return Choice(edgetpu_us, cpu_us, datetime.now(UTC).date().isoformat())


def remembered(card: ModelCard, conditions: dict[str, Any]) -> Choice | None:
    """Return what was measured under the same conditions; None if nothing was."""
    try:
        kept = json.loads(read_file(_place(card), _MOST_BYTES)[0])
        stated = kept["choice"]
        choice = Choice(float(stated["edgetpu_us"]), float(stated["cpu_us"]), str(date.fromisoformat(stated["date"])))
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None  # Measuring again costs less than any repair.
    sound = min(choice.edgetpu_us, choice.cpu_us) > 0 and math.isfinite(choice.edgetpu_us + choice.cpu_us)
    return choice if sound and kept.get("conditions") == conditions else None


def remember(card: ModelCard, conditions: dict[str, Any], choice: Choice) -> None:
    """Keep what was measured. Where nothing can be kept, it is measured at each start."""
    place, text = _place(card), json.dumps({"conditions": conditions, "choice": asdict(choice)}, indent=2)
    try:
        replace_file(place, f"{text}\n".encode())
    except OSError as error:
        logger.info("%s: the choice of device is not kept: %s", place, error.strerror)


def conditions(card: ModelCard, cpu: str, edgetpus: tuple[EdgeTpu, ...]) -> dict[str, Any]:
    """Return what a choice holds for: the model's two files, the runtime and the machine, the Edge TPUs."""
    assert card.compiled is not None
    return {
        "model": card.sha256,
        "compiled": card.compiled.sha256,
        "cpu": cpu,
        "machine": f"{platform.machine()} {os.cpu_count()}",
        # Not their ids: a USB one changes its own when it is first used.
        "edgetpus": [f"{edgetpu.bus} {edgetpu.place}" for edgetpu in edgetpus],
    }


def _place(card: ModelCard) -> Path:
    return state_path("devices", f"{card.name}.json")
