"""What a name says of a time: which kind of clock, whose, in which zone; or that a column numbers rows."""

from __future__ import annotations

import re
from typing import NamedTuple

from motionsig.recordings.names.units import plain
from motionsig.recordings.names.words import Said


class ClockWords(NamedTuple):
    """`clock`, `owner`, `zone`: as in Column. `unit`: of time, or "". `part`: the quantity whose time it is, or ""."""

    clock: str
    unit: str = ""
    owner: str = ""
    zone: str = ""
    part: str = ""


# Whole names: the kind of clock, and the unit that the name itself says.
_NAMES = """
counter: sample samples sampleno samplenumber samplenr samplenum samplecount samplecounter sampleindex sampleid
counter: index idx i n no nr num number count counter cnt row rowid rownumber rownum line lineno frame frameno probe
counter: framenumber frameindex framecount framecounter packet packetno packetnumber packetcounter packetid packetnum
counter: seq seqno seqnum sequence sequencenumber sequencecounter headerseq fieldheaderseq msgcount msgid entryid
counter: loggingsample logsamplenr unnamed0 level0 datapoint muestra pkt pktid pktcounter pktnum step stepno reading
counter: iteration iter loopiteration index0 序号
ticks: ticks tick sampletimefine timer cycles cputicks systick clockticks timerticks tickcount
step: dt deltat deltatime timedelta timediff timedifference dtime interval period diff timestep tdelta
step ms: dtms deltams deltatms intervalms
step us: dtus deltaus deltatus intervalus
step s: dts deltas deltats intervals
week: week gpsweek gwk wk weeknumber gpswk
tow: tow itow gpstow timeofweek gms gpsms gpstimeofweek
tow s: sow gpssow secondofweek secondsofweek gpsseconds
date: date datum fecha calendardate datestamp localdate utcdate recorddate rtcdate 日期
clock: timeofday clock clocktime uhrzeit hora heure hhmmss hms timehms rtctime
time us: utime
time: datenum serialdatenum serialdate matlabtime filetime exceltime время
datetime: createdat recordedat created
year: year utcyear yyyy yr jahr ano annee
month: month utcmonth mo mon monat mes mois
day: day utcday dd dayofmonth dia jour
hour: hour hours utchour hh hr stunde
minute: minute minutes utcminute min mins
second s: second utcsecond ss
nsecs ns: utcnano nsec nsecs nanosec nanosecs stampnsec stampnsecs stampnanosec headerstampnsecs headerstampnanosec
nsecs ns: headerstampnsec timestampnsec timestampnanosec
secs s: stampsec stampsecs headerstampsecs headerstampsec utcsec
elapsed ms: millis milliseconds millisecs msecs msec ms uptimems cts
elapsed us: micros microseconds microsecs usecs usec us
elapsed ns: nanos nanoseconds ns
elapsed s: secondselapsed seconds secs sec s segundos sekunden secondes elapsedseconds
"""
# Words within a name that make it a time.
_TIMES = """
time times timestamp timestamps ts t tstamp stamp datetime epoch epoc unixtime utc gmt posixtime clock date zeit
zeitstempel tiempo temps horodatage tempo millis micros nanos milliseconds microseconds nanoseconds seconds uptime
elapsed datumzeit fechahora systime walltime sampletime sensortime hosttime boottime tijd czas zaman
时间 時間 时间戳 時刻 시간 время
"""
# Parts of a name, joined, that tell the kind of clock; the first that is found counts.
_KINDS = """
unix: since1970 unix epoch epoc posix javatime
datetime: datetime fechahora datumzeit loggingtime localtime utctime gmttime walltime wallclock formatted tsiso iso8601
elapsed: elapsed relative sincestart sincereboot sinceboot boot uptime running runtime experiment session fromstart
elapsed: verstrichen transcurrido ecoule reltime trel millis micros
"""
_OWNERS = """
device: device sensor imu mcu esp arduino chip onboard sampletime hardware hw boot rtc 片上
host: phone host pc arrival arrive received receive recv rx rosbag log logging logger system sys server computer laptop
host: write record bag
"""
_UNITS = """
ms: ms msec msecs millis milliseconds millisecond milli
us: us usec usecs micros microseconds microsecond micro
ns: ns nsec nsecs nanos nanoseconds nanosecond nano nanosec
s: s sec secs seconds second segundos sekunden secondes timeinterval
min: minutes
"""


def _lines(text: str) -> list[tuple[str, list[str]]]:
    return [(key, words.split()) for key, _, words in (line.partition(":") for line in text.strip().splitlines())]


_BY_NAME = {name: key for key, names in _lines(_NAMES) for name in names}
_KIND_WORDS, _OWNER_WORDS = _lines(_KINDS), _lines(_OWNERS)
_TIME_WORDS = frozenset(_TIMES.split())
_UNIT_WORDS = {word: unit for unit, words in _lines(_UNITS) for word in words}
_WITHIN = ("timestamp", "datetime", "elapsed", "unixtime", "secondssince", "secondsfrom", "since1970", "createdat")
_QUANTITIES = frozenset({"acc", "gyr", "mag", "user", "gravity", "orientation"})
_DATE = re.compile(r"y{2,4}\W*m[mo]\W*dd|dd\W*mm\W*y{2,4}|mm\W*dd\W*y{2,4}", re.IGNORECASE)
_OF_DAY = re.compile(r"hh\W*m[mi]", re.IGNORECASE)
_ZONE = re.compile(r"\(([+-]?)(\d\d):?(\d\d)\)")


def clock_words(name: str, said: Said, *, first: bool) -> ClockWords | None:
    """Return what a column's name says of a time; None where it says nothing of one. first: of the table's columns."""
    joined = plain("".join(said.tokens))
    if not joined and not said.unit:
        return ClockWords("counter") if first else None
    if len(joined) > 60 or (said.unit and said.unit.quantity not in ("time", "counts")):
        return None
    unit = said.unit.text if said.unit and said.unit.quantity == "time" else ""
    key, dated = _BY_NAME.get(joined), _DATE.search(name)
    if not key and not dated and not _is_time(said, joined):
        return None
    owner, zone = _owner(name, said, joined), _zone(name, said)
    if key:
        clock, _, own = key.partition(" ")
        if clock == "counter" and unit:
            clock = "elapsed"
        return ClockWords(clock, unit or own, owner, zone)
    if dated:
        return ClockWords("datetime" if _OF_DAY.search(name) else "date", "", owner, zone)
    clock = next((key for key, words in _KIND_WORDS if any(word in joined for word in words)), "time")
    if "date" in said.tokens:
        clock = "datetime" if "time" in said.tokens else "date"
    if clock == "time" and said.unit and said.unit.quantity == "counts":
        clock = "ticks"
    if clock == "time" and zone == "utc" and not unit:
        clock = "datetime" if joined.endswith("time") else "unix"
    if {"nsec", "nsecs", "nanosec"} & set(said.tokens) and {"stamp", "secs"} & set(said.tokens):
        clock = "nsecs"
    ours = said.words & _QUANTITIES
    return ClockWords(clock, unit or _word_unit(said, joined), owner, zone, next(iter(ours)) if len(ours) == 1 else "")


def _is_time(said: Said, joined: str) -> bool:
    if not (_TIME_WORDS & set(said.tokens) or any(word in joined for word in _WITHIN)):
        return False
    spelled = any(word in joined for word in ("time", "stamp", "elapsed"))
    if not spelled and (said.words & (_QUANTITIES | {"other"})):
        return False
    # time_x is what pandas makes of two tables' times.
    return not (said.axis in ("x", "y", "z") and not (spelled and said.tokens[-1] == said.axis))


def _owner(name: str, said: Said, joined: str) -> str:
    if joined.endswith("headerstamp"):
        return "device"
    if name.strip().lower() == "%time":
        return "host"  # rostopic echo -p: when the message came
    for owner, words in _OWNER_WORDS:
        if any(word in said.tokens or (len(word) > 4 and any(word in it for it in said.tokens)) for word in words):
            return owner
    return ""


def _zone(name: str, said: Said) -> str:
    if {"utc", "gmt", "zulu"} & set(said.tokens):
        return "utc"
    if match := _ZONE.search(name):
        return f"{match[1] or '+'}{match[2]}:{match[3]}"
    return "local" if "local" in said.tokens else ""


def _word_unit(said: Said, joined: str) -> str:
    """Return the unit that is written as a word: time_ms, TimeUS, ts_us, seconds_elapsed, timeIntervalSince1970."""
    for word in reversed(said.tokens):
        if word in _UNIT_WORDS and (len(word) > 2 or word == said.tokens[-1] or "time" in said.tokens):
            return _UNIT_WORDS[word]
    return "s" if "timeinterval" in joined else ""
