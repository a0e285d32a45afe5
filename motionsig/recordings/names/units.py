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

Quantity = Literal["acc", "gyr", "time"]

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

_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "acc": {
        "m/s^2": "ms2 ms2s mss mps2 msec2 msq mssq mpss mpersec2 mpers2 mpersecsq msecsec meterpersecondsquared si "
        "meterspersecondsquared meterspersecond2 meterpersecond2 mpersecondsquared metersecond2 meters2 ms22 newtonkg",
        "g": "g gs gn g0 gforce gee gees gravities gunits gunit standardgravity",
        "mg": "mg mgs millig milligs mgn milligforce mgee milligal0",
        "ug": "ug ugs microg micrograv",
        "cm/s^2": "cms2 cmss gal cmpersec2",
        "mm/s^2": "mms2 mmss mmpersec2",
        "ft/s^2": "fts2 ftsec2 ftss feets2",
    },
    "gyr": {
        "rad/s": "rads radsec radps rads1 radsec1 radianss radians1 radpersec radpers radianssec radiansec radianspersecond "
        "radianpersecond radianspersec radss radpersecond radiansecond radianssecond rps0 si 弧度秒 弧度s",
        "mrad/s": "mrads mradsec mradps mrads1 milliradianspersecond",
        "deg/s": "degs degsec degps degs1 degsec1 degreess degreessec degreespersecond degreepersecond degpersec degpers "
        "dps degreess1 degreesec degreespersec degpersecond degsecond degreessecond degreesecond gradoss gradseg "
        "gradosseg grads degress os 度秒 度s",
        "mdps": "mdps mdegs mdegsec millidps millidegs millidegreespersecond mdegps",
        "udps": "udps udegs",
        "rpm": "rpm revmin",
        "rev/s": "revs revsec turnss",
        "deg/h": "degh dph degreesperhour deghr",
    },
    "time": {
        "s": "s sec secs second seconds segundo segundos seconde secondes sekunde sekunden sek seg 秒",
        "ms": "ms msec msecs milli millis millisec millisecs millisecond milliseconds milisegundos millisekunden msek "
        "milisec miliseconds 毫秒",
        "us": "us usec usecs micro micros microsec microsecs microsecond microseconds mikrosekunden microsegundos 微秒",
        "ns": "ns nsec nsecs nano nanos nanosec nanosecs nanosecond nanoseconds nanosegundos nanosekunden 纳秒",
        "min": "min mins minute minutes minuten minutos",
        "h": "h hr hrs hour hours stunden horas heures",
        "d": "d day days tage dias jours",
    },
    "counts": {COUNTS: "counts count lsb lsbs adc raw adu bits digit digits ticks rawcounts rawadc 1"},
    # What other columns have, so that it is known for a unit, and for none of ours.
    "other": {
        "uT": "ut microtesla microteslas utesla ʯt",
        "nT": "nt",
        "T": "tesla",
        "gauss": "gauss gauß ga gs0",
        "mgauss": "mgauss mga milligauss",
        "deg": "deg degs0 degree degrees grad grados grade 度",
        "rad": "rad radian radians radianes",
        "degC": "degc celsius centigrade c",
        "Pa": "pa hpa kpa mbar bar",
        "m": "m cm mm km meter meters metre metres",
        "m/s": "ms1 mps meterspersecond kmh",
        "V": "v mv volt volts uv a ma",
        "%": "percent pct",
        "Hz": "hz khz bpm",
        "lx": "lx lux",
        "db": "db dbfs dbm",
    },
}
_UNITS: Mapping[str, Mapping[str, str]] = {
    quantity: {plain: unit for unit, plains in units.items() for plain in plains.split()}
    for quantity, units in _SPELLINGS.items()
}
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

    quantity: str
    text: str


def spell(text: str) -> str:
    """Return `text` without accents, and with words for the signs of degrees, micro and squares."""
    text = _SIGNS.sub(lambda match: _SYMBOLS[match[0]], text)
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))


def plain(text: str) -> str:
    """Return the letters and digits of `text` in lower case, as words and units are compared."""
    return "".join(each for each in spell(text).lower() if each.isalnum())


def unit_of(text: str, *quantities: str) -> Unit | None:
    """Return the unit that `text` is, of the first of `quantities` that has it; without them of any. None for no unit.

    A size such as `2 g` is a range in a name, and no unit; `0.1 ms`, `1/16384 g` and `0.061 mg/LSB` are units.
    """
    text = re.sub(r"^\s*(?:in|unit[s]?:?|en)\s+", "", text.strip(), flags=re.IGNORECASE)
    if not text or len(text) > 48:
        return None
    wanted = quantities or ("acc", "gyr", "time", "counts", "other")
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
