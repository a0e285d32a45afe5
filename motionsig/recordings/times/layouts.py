"""Where date, time of day and zone stand in a clock's text: read once for each arrangement of its other characters.

A text comes with its digits as "0": all texts of a clock that differ in digits alone have one layout. Months, days of
the week and halves of the day are known in English, German, French and Spanish, and as WitMotion writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

Span = tuple[int, int]

_MONTHS = (
    "jan january januar janvier janv ene enero jän jänner",
    "feb february februar février févr fév fevrier fevr febrero",
    "mar march märz mär mrz mars marzo",
    "apr april avril avr abr abril",
    "may mai mayo",
    "jun june juni juin junio",
    "jul july juli juillet juil julio",
    "aug august août aout ago agosto",
    "sep sept september septembre septiembre",
    "oct october okt oktober octobre octubre",
    "nov november novembre noviembre",
    "dec december dez dezember décembre déc dic diciembre",
)
_MONTH = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
_WEEKDAYS = (
    "mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat saturday sun sunday",
    "mo montag di dienstag mi mittwoch do donnerstag fr freitag sa samstag so sonntag",
    "lun lundi mar mardi mer mercredi jeu jeudi ven vendredi sam samedi dim dimanche",
    "lunes martes mié mie miércoles jue jueves vie viernes sáb sab sábado dom domingo",
)
_FILLERS = frozenset({word for words in (*_WEEKDAYS, "t at um den le à uhr") for word in words.split()})
_ZONES = {
    **dict.fromkeys(("z", "utc", "gmt", "uct", "wet"), 0),
    **dict.fromkeys(("cet", "mez", "bst", "west"), 60),
    **dict.fromkeys(("cest", "mesz", "eet"), 120),
    **dict.fromkeys(("msk", "eest"), 180),
    **{"jst": 540, "kst": 540, "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780},
    **{"est": -300, "edt": -240, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420},
}  # minutes; a word that means several zones (IST, CST of China and of America) is not among them
_WORD = r"[^\W\d_]{3,10}"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<!0)(?P<y>0000)(?P<m>00)(?P<d>00)(?=[T_ -]?0{6}|$|[^0])",
        r"(?<!0)(?P<y>0{4})(?P<s>[-/._: ]|年)(?P<m>00?)(?:(?P=s)|月)(?P<d>00?)日?(?!0)",
        rf"(?<!0)(?P<d>00?)(?:st|nd|rd|th|\.)?[-/ ]?(?:de )?(?P<name>{_WORD})\.?(?: de|,)?[-/ ]?(?P<y>0000|00)(?![0:])",
        rf"(?P<name>{_WORD})\.?[- ](?P<d>00?)(?:st|nd|rd|th)?,?[- ](?P<y>0000)(?![0:])",
        rf"(?P<name>{_WORD}) {{1,2}}(?P<d>00?)(?= 00?:).* (?P<y>0000)$",  # the C library's ctime, Java's Date
        r"(?<!0)(?P<a>00?)(?P<s>[-/. ])(?P<b>00?)(?P=s) ?(?P<c>0000|00)(?!0)",
    )
)
_FRACTION = r"(?:[.,:](?P<f>0{1,12}))?"
_TIME = re.compile(rf"(?<!0)(?P<H>0{{1,3}}):(?P<M>00?):(?P<S>00?){_FRACTION}(?!0)")
_SHORT_TIMES = (
    re.compile(r"(?<!0)(?P<M>0{1,3}):(?P<S>00?)[.,](?P<f>0{1,9})(?!0)"),  # what a spreadsheet makes of a time of day
    re.compile(r"(?<!0)(?P<H>00?):(?P<M>00)(?!0)"),
)
_TIMES_AFTER_A_DATE = (
    re.compile(
        r"(?<!0)(?P<H>00?)(?P<s>[-._h])(?P<M>00?)[-._m](?P<S>00?)s?(?:(?:[.,:_]|-(?=0{3}(?:0{3})?(?!0)))(?P<f>0{1,9}))?(?!0)"
    ),
    re.compile(r"(?<!0)(?P<H>00)(?P<M>00)(?P<S>00)(?:[.,_]?(?P<f>0{1,9}))?(?!0)"),
)
_DAYS = re.compile(r"(?P<days>0{1,5}) days?,? *$")
_HALF = re.compile(r"(?<![^\W\d_])(?P<half>[ap])\.? ?m\b\.?|(?P<cjk>上午|下午)", re.IGNORECASE)
_OFFSET = re.compile(
    r"(?:UTC|GMT)? ?(?P<sign>[-+\u2212])(?P<zh>00?)(?::?(?P<zm>00))?(?!0)(?: ?\([^()]*\)| ?\[[\w/]*\])?"
)
_NOTHING = re.compile(r"[\s,;()|_\-\x01]*")


class Layout(NamedTuple):
    """Where the digits of each field are in a text.

    spans: of "y", "m", "d" or, in doubtful order, "a", "b", "c"; of "H", "M", "S", "f", "days", "zh", "zm".
    month: of its name. half: "a" or "p". sign: of the digits of a zone, 0 without. zone: minutes east of UTC by name.
    dotted: a date in dots, which has its day first.
    """

    spans: dict[str, Span]
    month: int | None = None
    half: str = ""
    sign: int = 0
    zone: int | None = None
    dotted: bool = False

    @property
    def date(self) -> bool:
        """Whether it has a date."""
        return "y" in self.spans or "c" in self.spans

    @property
    def time(self) -> bool:
        """Whether it has a time of day, or a time since the start."""
        return "M" in self.spans

    @property
    def zoned(self) -> bool:
        """Whether it says how far it is from UTC."""
        return self.zone is not None or self.sign != 0


@lru_cache(maxsize=4096)
def layout(shape: str) -> Layout | None:
    """Return the layout of a clock's text with "0" for each digit, or None where it is not a clock's."""
    spans: dict[str, Span] = {}
    rest, month, dotted = shape, None, False
    for pattern in _DATES:
        if (match := pattern.search(rest)) and (name := match.groupdict().get("name", "").lower()) in ("", *_MONTH):
            month = _MONTH.get(name)
            dotted = "a" in match.groupdict() and match["s"] == "."
            spans.update({field: match.span(field) for field in "ymdabc" if field in match.groupdict()})
            whole = (
                [match.span()] if not pattern.pattern.endswith("$") else [match.span(it) for it in ("name", "d", "y")]
            )
            rest = _without(rest, whole)
            break
    tries = (_TIME, *(_TIMES_AFTER_A_DATE if spans else ()), *_SHORT_TIMES)
    found = next((match for match in (pattern.search(rest) for pattern in tries) if match), None)
    after = 0
    if found:
        spans.update({it: found.span(it) for it in "HMSf" if found.groupdict().get(it)})
        rest, after = _without(rest, [found.span()]), found.end()
        if not {"y", "c"} & spans.keys() and (days := _DAYS.search(rest, 0, found.start())):
            spans["days"] = days.span("days")
            rest = _without(rest, [days.span()])
    if not spans or shape[:1] in "-\u2212":
        return None
    half, sign, zone = "", 0, None
    if match := _HALF.search(rest):
        half = (match["half"] or {"上午": "a", "下午": "p"}[match["cjk"]]).lower()
        rest = _without(rest, [match.span()])
    if found and (match := _OFFSET.search(rest, after)):
        sign = 1 if match["sign"] == "+" else -1
        spans.update({it: match.span(it) for it in ("zh", "zm") if match[it]})
        rest = _without(rest, [match.span()])
    for match in re.finditer(r"[^\W\d_]+", rest):
        word = match[0].lower()
        if found and not sign and zone is None and word in _ZONES and match.start() >= after:
            zone = _ZONES[word]
        elif word not in _FILLERS:
            return None
        rest = _without(rest, [match.span()])
    return Layout(spans, month, half, sign, zone, dotted) if _NOTHING.fullmatch(rest.replace(".", "")) else None


def _without(text: str, spans: Iterable[Span]) -> str:
    for start, stop in spans:
        text = text[:start] + "\x01" * (stop - start) + text[stop:]
    return text
