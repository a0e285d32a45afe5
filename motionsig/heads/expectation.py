"""What to expect of a head, in words: what it found of what it was given, and how often it is wrong."""

from __future__ import annotations

from motionsig.encoders.tflite import printable
from motionsig.events import duration
from motionsig.heads.card import HeadCard


def expectation(card: HeadCard) -> list[str]:
    """Return in words what a head found of what it was given, and what to expect of it."""
    measured = card.measured
    lines = []
    if measured.get("given"):
        found = measured.get("found")
        asked = (
            "one performance: nothing to compare it with" if found is None else f"found {found} of {measured['given']}"
        )
        lines.append(f"{card.name}: {asked}")
    if "recall" in measured:
        lines.append(f"{card.name}: its events cover {measured['recall']:g} of what is labelled so")
    if rate := measured.get("false_alarms_an_hour"):
        # With less than one in all of that life, more than the upper end would be a guess.
        few = rate[0] * measured["hours"] < 1
        expected = f"less than {rate[2]:g}" if few else f"{rate[0]:g}"
        interval = "" if few else f" ({rate[1]:g} to {rate[2]:g})"
        lines.append(f"expect {expected} false alarms an hour{interval}, with 95 % certainty, from {measured['from']}")
    if fires := measured.get("would_fire_at"):
        lines.append(f"it would fire at: {', '.join(map(printable, fires))}")
    if not lines:
        lines.append(f"{card.name}: a {card.kind}, of which nothing has to be learned")
    if card.is_state:
        least, hold = duration(card.timing.least_s), duration(card.timing.hold_s)
        lines.append(f"it is told to have begun after {least} of it, and to have ended after {hold} without")
    return lines
