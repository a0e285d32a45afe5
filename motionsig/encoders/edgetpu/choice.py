"""Edge TPU or CPU: measured on this machine, and remembered until the Edge TPU or the model changes.

A USB call costs a quarter of a millisecond whatever the model, so a small network may well be faster on the CPU; which,
nobody knows before it was tried with this model on this machine.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from motionsig.encoders.edgetpu.presence import EdgeTpu
from motionsig.encoders.host import Codes
from motionsig.model_card import ModelCard
from motionsig.state import state_path

logger = logging.getLogger(__name__)

_ROUNDS = 4
_KEPT = {"edgetpu_us": float, "cpu_us": float, "date": str}


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
    edgetpu_us, cpu_us = list[float](), list[float]()
    for row in range(_ROUNDS * len(inputs)):
        window = inputs[row % len(inputs)][None]
        for run, spent_us in ((edgetpu, edgetpu_us), (cpu, cpu_us)):
            began = time.perf_counter()
            run(window)
            spent_us.append((time.perf_counter() - began) * 1e6)
    warm = slice(len(inputs), None)
    today = datetime.now(UTC).date().isoformat()
    return Choice(round(median(edgetpu_us[warm]), 1), round(median(cpu_us[warm]), 1), today)


def remembered(card: ModelCard, conditions: dict[str, Any]) -> Choice | None:
    """Return what was measured under the same conditions; None if nothing was."""
    try:
        kept = json.loads(_place(card).read_bytes())
        choice = Choice(*(kind(kept["choice"][name]) for name, kind in _KEPT.items()))
        return choice if kept["conditions"] == conditions and min(choice.edgetpu_us, choice.cpu_us) > 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # Measuring again costs less than any repair.


def remember(card: ModelCard, conditions: dict[str, Any], choice: Choice) -> None:
    """Keep what was measured. Where nothing can be kept, it will be measured at each start."""
    place = _place(card)
    new = place.with_suffix(".new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps({"conditions": conditions, "choice": asdict(choice)}, indent=2) + "\n")
        os.replace(new, place)
    except OSError as error:
        logger.info("%s: the choice of device is not kept: %s", place, error.strerror)


def conditions(card: ModelCard, cpu: str, edgetpus: tuple[EdgeTpu, ...]) -> dict[str, Any]:
    """Return what a choice holds for: the model's two files, the runtime and the machine, the Edge TPUs."""
    assert card.compiled is not None
    return {
        "model": card.sha256,
        "compiled": card.text["files"][card.compiled.file]["sha256"],
        "cpu": cpu,
        "machine": f"{platform.machine()} {os.cpu_count()}",
        # Not their ids: a USB one changes its own when it is first used.
        "edgetpus": [f"{edgetpu.bus} {edgetpu.place}" for edgetpu in edgetpus],
    }


def _place(card: ModelCard) -> Path:
    return state_path("devices", f"{card.name}.json")
