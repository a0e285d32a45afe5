# ruff: noqa: RUF001 - units in other scripts have letters that look like Latin ones.
"""Units as people write them, by one plain spelling, and what one is in SI.

A spelling is compared as `plain` makes it: lower case, letters and digits only, so that `m/s^2`, `m s-2` and `[M/S²]`
are one. A unit may have a factor: `0.061 mg`, `1/16384 g`, `16384 LSB/g`, `8.75 mdps/LSB`, `0.1 ms`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import Literal, NamedTuple

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError

Measured = Literal["acc", "gyr", "time", "counts", "other"]

COUNTS = "counts"
"""The unit of numbers as a chip's registers hold them: nothing without a scale."""

FACTORS: Mapping[str, Mapping[str, float]] = {
    "acc": {
        "m/s^2": 1.0,
        "g": STANDARD_GRAVITY,
        "mg": STANDARD_GRAVITY / 1e3,
        "ug": STANDARD_GRAVITY / 1e6,
        "cm/s^2": 1e-2,
        "mm/s^2": 1e-3,
        "ft/s^2": 0.3048,
    },
    "gyr": {
        "rad/s": 1.0,
        "mrad/s": 1e-3,
        "deg/s": math.pi / 180,
        "mdps": math.pi / 180_000,
        "udps": math.pi / 180_000_000,
        "rpm": math.pi / 30,
        "rev/s": 2 * math.pi,
        "deg/h": math.pi / 648_000,
    },
    "time": {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0, "min": 60e9, "h": 3600e9, "d": 86_400e9},
}
"""For each quantity its units, and m/s², rad/s or nanoseconds in one of each."""

# A quantity, a unit of it, and its spellings as `plain` makes them. "other": what other columns have, so that it is
# known for a unit, and for none of ours.
_SPELLINGS = """
acc m/s^2: ms2 msdeg мс2 ms2s mss mps2 msec2 msq mssq mpss mpersec2 mpers2 mpersecsq msecsec meterpersecondsquared si
acc m/s^2: meterspersecondsquared meterspersecond2 meterpersecond2 mpersecondsquared metersecond2 meters2 ms22
acc m/s^2: newtonkg
acc g: g gs gn g0 gforce gee gees gravities gunits gunit standardgravity
acc mg: mg mgs millig milligs mgn milligforce mgee milligal0
acc ug: ug ugs microg micrograv
acc cm/s^2: cms2 cmss gal cmpersec2
acc mm/s^2: mms2 mmss mmpersec2
acc ft/s^2: fts2 ftsec2 ftss feets2
gyr rad/s: rads radsec radps rads1 radsec1 radianss radians1 radpersec radpers radianssec radiansec
gyr rad/s: radianspersecond radianpersecond radianspersec radss radpersecond radiansecond radianssecond rps0 si
gyr rad/s: радс 弧度秒 弧度s
gyr mrad/s: mrads mradsec mradps mrads1 milliradianspersecond
gyr deg/s: degs degsec degps degs1 degsec1 degreess degreessec degreespersecond degreepersecond degpersec degpers
gyr deg/s: dps degreess1 degreesec degreespersec degpersecond degsecond degreessecond degreesecond gradoss gradseg
gyr deg/s: gradosseg grads degress os ds degс градс 度秒 度s
gyr mdps: mdps mdegs mdegsec millidps millidegs millidegreespersecond mdegps
gyr udps: udps udegs
gyr rpm: rpm revmin
gyr rev/s: revs revsec turnss
gyr deg/h: degh dph degreesperhour deghr
time s: s sec secs second seconds segundo segundos seconde secondes sekunde sekunden sek seg с 秒
time ms: ms msec msecs milli millis millisec millisecs millisecond milliseconds milisegundos millisekunden msek
time ms: milisec miliseconds мс 毫秒
time us: us usec usecs micro micros microsec microsecs microsecond microseconds mikrosekunden microsegundos 微秒
time ns: ns nsec nsecs nano nanos nanosec nanosecs nanosecond nanoseconds nanosegundos nanosekunden 纳秒
time min: min mins minute minutes minuten minutos
time h: h hr hrs hour hours stunden horas heures
time d: d day days tage dias jours
counts counts: counts count lsb lsbs adc raw adu bits digit digits ticks rawcounts rawadc 1
other uT: ut microtesla microteslas utesla ʯt
other nT: nt
other T: tesla
other gauss: gauss gauß ga gs0
other mgauss: mgauss mga milligauss
other deg: deg degs0 degree degrees grad grados grade 度
other rad: rad radian radians radianes
other degC: degc celsius centigrade c
other Pa: pa hpa kpa mbar bar
other m: m cm mm km meter meters metre metres
other m/s: ms1 mps meterspersecond kmh
other V: v mv volt volts uv a ma
other %: percent pct
other Hz: hz khz bpm
other lx: lx lux
other db: db dbfs dbm
"""
_MEASURED: tuple[Measured, ...] = ("acc", "gyr", "time", "counts", "other")
_UNITS: Mapping[str, dict[str, str]] = {quantity: {} for quantity in _MEASURED}
for _line in _SPELLINGS.strip().splitlines():
    _key, _, _words = _line.partition(":")
    _quantity, _, _unit = _key.partition(" ")
    _UNITS[_quantity].update(dict.fromkeys(_words.split(), _unit))
_SYMBOLS = {
    **dict.fromkeys(("²", "⁲"), "2"),
    **dict.fromkeys(("Â°", "°", "º", "˚", "∘", "ᵒ", "\ufffd", "ï¿½"), "deg"),
    **dict.fromkeys(("µ", "μ", "Âµ"), "u"),
    "⁻¹": "-1",
    "%": "percent",
}
_SIGNS = re.compile("|".join(sorted(map(re.escape, _SYMBOLS), key=len, reverse=True)))
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
# 1/16384 g · 0.061 mg/LSB · 2/32768 g · 2 g/32768 · g/16384: at least one of the two numbers.
_TIMES = re.compile(
    rf"(?P<by>{_NUMBER})?\s*(?:/\s*(?P<over>{_NUMBER}))?\s*[*·x×]?\s*(?P<unit>[^\d\s].*?)\s*(?:/\s*(?P<under>{_NUMBER}))?"
)
_PER_COUNT = re.compile(r"\s*(?:/|per)\s*\(?(?:lsb|counts?|digits?|bits?|tick)s?\)?$", re.IGNORECASE)
_COUNTS_PER = re.compile(
    rf"(?P<counts>{_NUMBER})\s*(?:lsb|counts?|digits?)s?\s*(?:/|per|\s)\s*\(?(?P<unit>[^()]*(?:\([^()]*\))?[^()]*?)\)?",
    re.IGNORECASE,
)


class Unit(NamedTuple):
    """A unit: of "acc", "gyr", "time", "counts" or "other"; as `factor` takes it."""

    quantity: Measured
    text: str


def spell(text: str) -> str:
    """Return `text` without accents, and with words for the signs of degrees, micro and squares."""
    text = _SIGNS.sub(lambda match: _SYMBOLS[match[0]], text)
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))


def plain(text: str) -> str:
    """Return the letters and digits of `text` in lower case, as words and units are compared."""
    return "".join(each for each in spell(text).lower() if each.isalnum())


def unit_of(text: str, *quantities: Measured) -> Unit | None:
    """Return the unit that `text` is, of the first of `quantities` that has it; without them of any. None for no unit.

    A size such as `2 g` is a range in a name, and no unit; `0.1 ms`, `1/16384 g` and `0.061 mg/LSB` are units.
    """
    text = re.sub(r"^\s*(?:in|unit[s]?:?|en)\s+", "", text.strip(), flags=re.IGNORECASE)
    if not text or len(text) > 48:
        return None
    wanted = quantities or _MEASURED
    word = plain(text)
    for quantity in wanted:
        if unit := _UNITS[quantity].get(word):
            return Unit(quantity, unit)
    if not any(each.isdigit() for each in text):
        bare = _PER_COUNT.sub("", text)
        return unit_of(bare, *quantities) if bare != text else None
    for quantity in wanted:
        if quantity in FACTORS and (found := _scaled(quantity, text)):
            by, unit, counted = found
            if quantity != "time" and not counted and by >= 1:
                return None
            return Unit(quantity, f"{by:.12g} {unit}" if by != 1 else unit)
    return None


def factor(quantity: str, text: str) -> float:
    """Return m/s², rad/s or ns in one `text` of "acc", "gyr" or "time"; raise InputError for what is no unit of it."""
    if (unit := _UNITS[quantity].get(plain(text))) and plain(text):
        return FACTORS[quantity][unit]
    if found := _scaled(quantity, text):
        return found[0] * FACTORS[quantity][found[1]]
    known = {
        "acc": "'m/s^2', 'g', 'mg', or a scale such as '0.061 mg' or '1/16384 g'",
        "gyr": "'rad/s', 'deg/s', 'mdps', or a scale such as '8.75 mdps' or '1/131 deg/s'",
        "time": "'s', 'ms', 'us', 'ns', or a step such as '0.1 ms'",
    }
    why = "; counts say nothing without their scale" if _UNITS["counts"].get(plain(text)) else ""
    raise InputError(f"{quantity}_unit: expected {known[quantity]}, got {text!r}{why}")


def is_unit(text: str) -> bool:
    """Tell whether `text` is a unit, as in a row of units below the header."""
    return unit_of(text.strip().strip("[]()")) is not None


def _scaled(quantity: str, text: str) -> tuple[float, str, bool] | None:
    """Return the factor, the unit and whether it is per count, of a unit of `quantity` with numbers before or below."""
    units, text = _UNITS[quantity], text.strip().strip("[]").lower()
    if len(text) > 48:
        return None
    if match := _COUNTS_PER.fullmatch(text):
        unit, counts = units.get(plain(match["unit"])), float(match["counts"])
        return (1 / counts, unit, True) if unit and counts else None
    bare = _PER_COUNT.sub("", text)
    if not (match := _TIMES.fullmatch(bare)) or not (unit := units.get(plain(match["unit"]))):
        return None
    numbers = [float(match[name] or 1) for name in ("by", "over", "under")]
    if not all(0 < number < 1e12 for number in numbers) or (match["over"] and not match["by"]):
        return None
    counted = bare != text or bool(match["over"] or match["under"])
    return numbers[0] / numbers[1] / numbers[2], unit, counted
