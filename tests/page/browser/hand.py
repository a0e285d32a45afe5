"""A hand that moves when a test says so: `motionsig` on a simulated chip that measures what a plan says.

    python hand.py PLAN [motionsig's arguments]      with the sensor "simulated" the chip measures what is in PLAN

With $MOTIONSIG_HAND_NOTES, a file, what the sensor gave is noted there. $MOTIONSIG_HAND_KEYS stands
for root's folder of keys.

The chip rests but for the motions in PLAN, a file to which `Hand` appends lines. Everything from the chip's registers
on is the real thing. Times are CLOCK_MONOTONIC, which all processes of a machine share: so the hand goes on over a
restart.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.simulated import Signal

if TYPE_CHECKING:
    from motionsig.blocks import SampleBlock
    from motionsig.sensors.reader import SensorReader

_AHEAD_S = 0.1
"""A motion begins so long after it was asked for: no sample of it has been read by then."""


def _turn(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Turn about x and back, twice a second."""
    angle = 0.5 * (1 - np.cos(4 * np.pi * t))
    flat = np.zeros((len(t), 6))
    flat[:, 1], flat[:, 2] = STANDARD_GRAVITY * np.sin(angle), STANDARD_GRAVITY * np.cos(angle)
    flat[:, 3] = 2 * np.pi * np.sin(4 * np.pi * t)
    return flat


def _shake(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Push along x and y and twist about z, six times a second: nothing like a turn."""
    swing, fade = np.sin(12 * np.pi * t), np.sin(np.pi * t / seconds)
    pushed = np.zeros((len(t), 6))
    pushed[:, 0], pushed[:, 1], pushed[:, 2] = 9 * fade * swing, 5 * fade * np.roll(swing, 3), STANDARD_GRAVITY
    pushed[:, 5] = 3 * fade * np.cos(12 * np.pi * t)
    return pushed


TONE_HZ, TONE_AMPLITUDE = 7.3125, 2.71828
"""Of the motion "tone", in Hz and m/s²: neither is anything that a person does, or that our code has."""


def _tone(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Swing as a tuning fork does, along all axes."""
    swung = np.zeros((len(t), 6))
    swung[:, :3] = TONE_AMPLITUDE * np.sin(2 * np.pi * TONE_HZ * t)[:, None] * [1, 0.7, 0.4]
    swung[:, 2] += STANDARD_GRAVITY
    swung[:, 3:] = 0.5 * np.cos(2 * np.pi * TONE_HZ * t)[:, None] * [1, 0.6, 0.3]
    return swung


def _walk(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Walk as the sensor "simulated" does."""
    from motionsig.sensors.simulated import walking

    return walking(np.arange(len(t)), np.rint(t * 1e9).astype(np.int64))


def _rest(t: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    return np.tile([0, 0, STANDARD_GRAVITY, 0, 0, 0], (len(t), 1))


_KINDS: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.float64]]] = {
    "turn": _turn,
    "shake": _shake,
    "tone": _tone,
    "walk": _walk,
    "rest": _rest,
}


class Motion(NamedTuple):
    """One motion: its kind, its begin in seconds of CLOCK_MONOTONIC, and how long it takes."""

    kind: str
    begin_s: float
    seconds: float

    @property
    def begin_unix_s(self) -> float:
        return self.begin_s + time.time() - time.monotonic()


class Hand:
    """What a test holds: it asks for motions."""

    def __init__(self, plan: Path) -> None:
        self.plan = plan
        self._free_s = 0.0
        plan.touch()

    def perform(self, kind: str = "turn", *, seconds: float = 1.0, after_s: float = 0.0) -> Motion:
        """Ask for a motion, so long after now or after the end of the last one asked for, and return at once."""
        begin_s = max(time.monotonic() + _AHEAD_S, self._free_s) + after_s
        self._free_s = begin_s + seconds
        return self._write(Motion(kind, begin_s, seconds))

    def stop(self) -> None:
        """End what is going on, and take back what was asked for."""
        self._free_s = time.monotonic() + _AHEAD_S
        self._write(Motion("rest", self._free_s, 1e9))

    def _write(self, motion: Motion) -> Motion:
        with self.plan.open("a") as file:
            file.write(json.dumps(motion) + "\n")
        return motion

    def rest(self, seconds: float) -> None:
        """Wait until the hand has rested for so long."""
        time.sleep(max(0.0, self._free_s + seconds - time.monotonic()))


def measured_of(motions: list[Motion]) -> Signal:
    """Return what the chip measures by these motions; of two at a time the later one in the list holds."""

    def signal(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        times_s = times_ns / 1e9
        felt = _rest(times_s, 0)
        for kind, begin_s, seconds in motions:
            rows = (times_s >= begin_s) & (times_s < begin_s + seconds)
            if rows.any():
                felt[rows] = _KINDS[kind](times_s[rows] - begin_s, seconds)
        # The same noise for a sample whenever it is asked for.
        noise = (serials[:, None] * 0.754877666 + np.arange(1, 7) * (serials[:, None] % 1009) * 0.569840291) % 1 * 2 - 1
        return np.asarray(felt + noise * np.repeat([0.05, 0.003], 3))

    return signal


def measured(plan: Path) -> Signal:
    """Return what the chip measures by what is in a plan whenever it is asked."""
    motions: list[Motion] = []
    signal_of, read = measured_of(motions), 0

    def signal(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        nonlocal read
        with plan.open() as file:
            file.seek(read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        motions.extend(Motion(*json.loads(line)) for line in whole.splitlines())
        read += len(whole)
        return signal_of(serials, times_ns)

    return signal


def note(path: Path) -> None:
    """Note in a file what sensors of this process give: six float64, of what a count is, then samples as float32."""
    from motionsig.sensors.reader import SensorReader

    given = SensorReader.__iter__

    def noted(reader: SensorReader) -> Iterator[SampleBlock]:
        return _noted(reader, given(reader), path)

    SensorReader.__iter__ = noted  # type: ignore[method-assign]


def _noted(reader: SensorReader, blocks: Iterator[SampleBlock], path: Path) -> Iterator[SampleBlock]:
    with path.open("wb", buffering=0) as file:
        file.write(np.asarray(reader._scale, np.float64).tobytes())
        for block in blocks:
            file.write(block.data.tobytes())
            yield block


def read_notes(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the samples (n, 6) that were noted, and what a count is, (6,)."""
    data = path.read_bytes()
    rows = (len(data) - 48) // 24
    return np.frombuffer(data, np.float32, rows * 6, 48).reshape(-1, 6), np.frombuffer(data, np.float64, 6)


if __name__ == "__main__":
    from motionsig.cli.entry import main
    from motionsig.control import loop
    from motionsig.sensors import simulated

    # A machine under load may stand still for longer than a service lets an ask wait.
    loop.LIMIT_S = 60.0

    simulated.MOTIONS[""] = measured(Path(sys.argv[1]))
    if notes := os.environ.get("MOTIONSIG_HAND_NOTES"):
        note(Path(notes))
    if keys := os.environ.get("MOTIONSIG_HAND_KEYS"):
        from motionsig.encoders import signing

        signing.KEYS_FOLDER = Path(keys)
    sys.argv[0:2] = ["motionsig"]
    sys.exit(main())
