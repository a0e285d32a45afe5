"""Guiding a person from pose to pose, while the records come: each step ends when what was asked for is seen.

Nothing is known yet of where gravity is in a record. So the words that the table takes for measurements are looked at,
each in the byte order in which it is smoother: at rest all stand still, and from pose to pose some move far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.chips import Setting
from motionsig.sensors.proving.evidence import Step, Stretch
from motionsig.sensors.proving.layout import Floats, Place, place_of, smoother, step_of
from motionsig.sensors.proving.probe import Watch, poll_s

FLAT = Step("flat", "lay it flat on a table, the chip's printed side up (z up), and leave it alone", (0, 0, 1), 30.0)
STEPS = (
    FLAT,
    Step(
        "y up", "stand it on its edge, so that the arrow y printed on the board points up, and let go", (0, 1, 0), 20.0
    ),
    Step("x up", "stand it so that the arrow x printed on the board points up, and let go", (1, 0, 0), 20.0),
    Step("flat again", "lay it flat again, as at the beginning, and let go", (0, 0, 1), 20.0),
    Step("turn", "leave it flat, and turn it by a quarter, counter-clockwise seen from above", None, 15.0, turns=True),
)

_REST_S = 4.0
_CELL_S, _CELLS = 0.25, 5
_TREMBLE, _OTHER_POSE, _TURNS = 0.02, 0.3, 0.06
"""Parts of 1 g, or of as many counts of the gyroscope: what still is rest, what is another pose, and what is a turn."""

Guide = Callable[[Step], None]
Show = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class _Rest:
    """What rest looks like. cell: records that are averaged. one_g, still: counts; (w,) how far cells may be apart."""

    places: tuple[Place, ...]
    cell: int
    one_g: float
    still: Floats

    def words(self, rows: NDArray[np.uint8]) -> Floats:
        """Return (n, w) counts."""
        return np.concatenate([place.values(rows) for place in self.places], axis=1)

    def cells(self, rows: NDArray[np.uint8]) -> Floats:
        """Return (c, w) the means of the words over cells of the rows."""
        words = self.words(rows[: len(rows) // self.cell * self.cell])
        return np.asarray(words.reshape(-1, self.cell, words.shape[1]).mean(axis=1), np.float64)

    def rests(self, rows: NDArray[np.uint8]) -> bool:
        """Tell whether the rows are of one pose."""
        return len(rows) >= self.cell and bool((self.words(rows).std(axis=0) <= self.still).all())


def rest_of(watch: Watch, rows: NDArray[np.uint8], setting: Setting) -> _Rest:
    """Return what rest looks like, from rows that are mostly at rest."""
    record = watch.probe.chip.record
    fields = [field for field in ("acc", "gyr") if field in (record.names or ())]
    # At rest the high bytes of a gyroscope may all be 0, too.
    places = tuple(smoother(rows, place_of(record, field), coarse=field == "acc") for field in fields)
    words = np.concatenate([place.values(rows) for place in places], axis=1)
    # A word that never changes is none that gravity moves.
    one_g = min(float(np.abs(np.median(words, axis=0)).max()), 2 * STANDARD_GRAVITY / float(setting.scale[0]))
    # From sample to sample there is noise, and next to no motion.
    noise = np.abs(np.diff(words, axis=0)).mean(axis=0)
    # Between two codes a coarse chip jumps by a whole step.
    step = max(max(step_of(place.values(rows))) for place in places)
    return _Rest(places, max(2, round(_CELL_S * setting.rate_hz)), one_g, 2 * noise + _TREMBLE * one_g + 3 + step)


def guided(watch: Watch, setting: Setting, guide: Guide, show: Show) -> list[Stretch]:
    """Return what each step left in the records; empty where too few records come. guide: called with each step."""
    chip, skip = watch.probe.chip, round(0.1 * setting.rate_hz)
    _wait(watch, setting, lambda: False, _REST_S, lambda waited_s: show(f"flat: {waited_s:.0f} of {_REST_S:g} s"))
    if watch.length() < skip + _REST_S * setting.rate_hz / 4:
        return []
    rest = rest_of(watch, watch.rows(skip), setting)
    recent = _CELLS * rest.cell
    seen = _wait(
        watch, setting, lambda: rest.rests(watch.rows(watch.length() - recent)), FLAT.within_s, _told(FLAT, show)
    )
    first = max(skip, watch.length() - round(_REST_S * setting.rate_hz))
    stretches = [Stretch(FLAT, 0, first, watch.length(), seen)]
    for step in STEPS[1:]:
        if step.turns and not chip.gyro_ranges:
            continue
        guide(step)
        stretches.append(_follow(watch, setting, rest, step, stretches[-1], _told(step, show)))
        show(f"{step.name}: {'seen' if stretches[-1].seen else f'not seen in {step.within_s:g} s'}")
    return stretches


def _told(step: Step, show: Show) -> Callable[[float], None]:
    """Return what shows how long a step is waited for already."""
    return lambda waited_s: show(f"{step.name}: not seen yet, {waited_s:.0f} of {step.within_s:g} s")


def _follow(
    watch: Watch, setting: Setting, rest: _Rest, step: Step, before: Stretch, waiting: Callable[[float], None]
) -> Stretch:
    """Wait until the person has done what the step asks for, or its time is over."""
    begin, recent, moved = watch.length(), _CELLS * rest.cell, False
    pose = np.median(rest.cells(watch.rows(before.rest, before.end)), axis=0)
    far = np.maximum((_TURNS if step.turns else _OTHER_POSE) * rest.one_g, 2 * rest.still)

    def done() -> bool:
        nonlocal moved
        rows = watch.rows(max(begin, watch.length() - recent))
        if len(rows) < rest.cell:
            return False
        away = (np.abs(rest.cells(rows) - pose) > far).any(axis=1)
        moved = moved or bool(away.any())
        # In the middle of a slow turn the rate is steady, too: after it, all words are as they were before.
        there = not away.any() if step.turns else bool(away.all())
        return moved and there and len(rows) >= recent and rest.rests(rows)

    seen = _wait(watch, setting, done, step.within_s, waiting)
    end = watch.length()
    return Stretch(step, begin, max(begin, end - recent + rest.cell), end, seen)


def _wait(
    watch: Watch, setting: Setting, done: Callable[[], bool], within_s: float, waiting: Callable[[float], None]
) -> bool:
    """Return whether it was done in time. waiting: is called now and then with the seconds that have passed."""
    clock = watch.probe.clock
    begun_ns = clock.monotonic_ns()
    while (waited_s := (clock.monotonic_ns() - begun_ns) / NS_PER_S) < within_s:
        waiting(waited_s)
        clock.sleep(poll_s(watch.reading, watch.probe.chip, setting))
        watch.look()
        if done():
            return True
    return False
