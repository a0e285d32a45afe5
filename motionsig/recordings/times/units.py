"""Units of time: from their text to nanoseconds, exactly."""

from __future__ import annotations

import re
from fractions import Fraction

_WORDS = {
    "s sec secs second seconds sekunde sekunden sek seconde secondes segundo segundos": 1_000_000_000,
    "ms msec msecs milli millis millisecond milliseconds millisekunden millisecondes milisegundos": 1_000_000,
    "us usec usecs micro micros microsecond microseconds mikrosekunden microsecondes microsegundos": 1_000,
    "ns nsec nsecs nano nanos nanosecond nanoseconds nanosekunden": 1,
    "min mins minute minutes minuten minutos": 60_000_000_000,
    "h hr hrs hour hours stunde stunden heure heures hora horas": 3_600_000_000_000,
    "d day days tag tage jour jours dia dias": 86_400_000_000_000,
}
_NS = {word: ns for words, ns in _WORDS.items() for word in words.split()}
_LETTERS = str.maketrans("µμäí", "uuai")
_UNIT = re.compile(r"(?P<factor>\d+(?:\.\d+)?(?:e-?\d+)?)?(?:/(?P<divisor>\d+(?:\.\d+)?))?[ *x·]*(?P<word>[a-z]+)")
_RATE = re.compile(r"(?P<factor>\d+(?:\.\d+)?(?:e\d+)?)? *(?P<kilo>[km]?)hz(?: *ticks)?")


def unit_ns(text: str) -> Fraction | None:
    """Return the nanoseconds in a unit such as "ms", "0.1 ms", "1/32768 s" or "10 kHz" (ticks); None for no such."""
    plain = text.strip().lower().translate(_LETTERS)
    if match := _RATE.fullmatch(plain):
        hertz = Fraction(match["factor"] or 1) * {"": 1, "k": 1000, "m": 1_000_000}[match["kilo"]]
        return Fraction(1_000_000_000) / hertz if hertz else None
    match = _UNIT.fullmatch(plain)
    if not match or (ns := _NS.get(match["word"])) is None:
        return None
    divisor = Fraction(match["divisor"] or 1)
    factor = Fraction(match["factor"] or 1)
    return factor / divisor * ns if divisor and factor else None


def unit_text(ns: Fraction) -> str:
    """Return the unit of `ns` nanoseconds as `unit_ns` reads it."""
    for word, size in (
        ("s", 10**9),
        ("ms", 10**6),
        ("us", 10**3),
        ("ns", 1),
        ("min", 60 * 10**9),
        ("d", 86_400 * 10**9),
    ):
        if ns == size:
            return word
    seconds = ns / 10**9
    if seconds.numerator == 1:
        return f"1/{seconds.denominator} s"
    return f"{float(ns):g} ns"
