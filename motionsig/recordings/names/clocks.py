"""What a name says of a time: which kind of clock, whose, in which zone; or that a column numbers rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from motionsig.recordings.names.units import plain
from motionsig.recordings.names.words import Said


class ClockWords(NamedTuple):
    """`clock`: the kind, as in Column. `owner`: "device", "host" or "". `zone`: "utc", "local" or "". `unit`: or ""."""

    clock: str
    owner: str
    zone: str
    unit: str
    part: str


# Whole names, as `plain` makes them. The value is the kind, then the unit that the word itself says.
_WHOLE: Mapping[str, tuple[str, str]] = {
    name: (clock, unit)
    for clock, unit, names in (
        (
            "counter",
            "",
            "sample samples sampleno samplenumber samplenr samplenum samplecount samplecounter sampleindex sampleid",
        ),
        (
            "counter",
            "",
            "index idx i n no nr num number count counter cnt row rowid rownumber line lineno frame frameno",
        ),
        (
            "counter",
            "",
            "framenumber frameindex framecount framecounter packet packetno packetnumber packetcounter packetid",
        ),
        ("counter", "", "packetnum seq seqno seqnum sequence sequencenumber sequencecounter headerseq msgcount msgid"),
        (
            "counter",
            "",
            "fieldheaderseq loggingsample logsamplenr unnamed0 level0 datapoint muestra numeroechantillon probe",
        ),
        (
            "counter",
            "",
            "序号 pkt pktid pktcounter pktnum step stepno iteration iter loopiteration index0 rownum reading",
        ),
        ("ticks", "", "ticks tick sampletimefine timer cycles cputicks systick clockticks timerticks tickcount"),
        (
            "step",
            "",
            "dt deltat deltatime timedelta timediff timedifference dtime interval period diff timestep tdelta",
        ),
        ("step", "ms", "dtms deltams deltatms intervalms"),
        ("step", "us", "dtus deltaus deltatus intervalus"),
        ("step", "s", "dts deltas deltats intervals"),
        ("week", "", "week gpsweek gwk wk weeknumber gpswk"),
        ("tow", "", "tow itow gpstow timeofweek gms gpsms gpstime gpstimeofweek"),
        ("date", "", "date day0 datum fecha datadia calendardate datestamp localdate utcdate recorddate 日期"),
        ("clock", "", "timeofday clock clocktime uhrzeit hora heure hhmmss hms localtime0 timehms"),
        ("year", "", "year utcyear yyyy yr jahr ano annee"),
        ("month", "", "month utcmonth mo mon monat mes mois"),
        ("day", "", "day utcday dd dayofmonth tag dia jour"),
        ("hour", "", "hour hours utchour hh hr stunde"),
        ("minute", "", "minute minutes utcminute min mins"),
        ("second", "s", "second utcsecond ss"),
        ("nsecs", "ns", "utcnano nsec nsecs nanosec nanosecs stampnsec stampnsecs stampnanosec headerstampnsecs"),
        ("nsecs", "ns", "headerstampnanosec headerstampnsec timestampnsec timestampnanosec"),
        ("secs", "s", "stampsec stampsecs headerstampsecs headerstampsec timestampsec0 utcsec"),
        ("elapsed", "ms", "millis milliseconds millisecs msecs msec ms uptimems timebootms timemsboot"),
        ("elapsed", "us", "micros microseconds microsecs usecs usec us"),
        ("elapsed", "ns", "nanos nanoseconds ns"),
        ("elapsed", "s", "secondselapsed seconds secs sec s segundos sekunden secondes elapsedseconds"),
    )
    for name in names.split()
}
_TIMES = frozenset(
    ["time", "times", "timestamp", "timestamps", "ts", "t", "tstamp", "stamp", "datetime", "epoch", "unixtime", "utc", "gmt", "posixtime", "clock", "date", "zeit", "zeitstempel", "tiempo", "temps", "horodatage", "tempo", "millis", "micros", "nanos", "milliseconds", "microseconds", "nanoseconds", "seconds", "uptime", "elapsed", "datumzeit", "fechahora", "systime", "walltime", "sampletime", "sensortime", "hosttime", "boottime", "时间", "時間", "时间戳", "時刻", "시간"]
)
_JOINED = (
    ("unix", ("unix", "epoch", "since1970", "posix", "unixtime", "unixtimestamp", "javatime", "epochtime")),
    (
        "datetime",
        (
            "datetime",
            "fechahora",
            "datumzeit",
            "loggingtime",
            "localtime",
            "utctime",
            "gmttime",
            "walltime",
            "wallclock",
        ),
    ),
    (
        "elapsed",
        ("elapsed", "relative", "sincestart", "sincereboot", "sinceboot", "boot", "uptime", "running", "runtime"),
    ),
    (
        "elapsed",
        (
            "experiment",
            "session",
            "fromstart",
            "verstrichen",
            "transcurrido",
            "ecoule",
            "reltime",
            "trel",
            "millis",
            "micros",
        ),
    ),
)
_DEVICE = (
    "device",
    "sensor",
    "imu",
    "mcu",
    "esp",
    "arduino",
    "chip",
    "onboard",
    "sampletime",
    "hardware",
    "hw",
    "boot",
    "片上",
)
_HOST = (
    "phone",
    "host",
    "pc",
    "arrival",
    "arrive",
    "received",
    "receive",
    "recv",
    "rx",
    "rosbag",
    "log",
    "logging",
    "logger",
)
_HOST_TOO = ("system", "sys", "server", "computer", "laptop", "write", "record", "bag")
_UNITS = {
    "ms": ("ms", "msec", "msecs", "millis", "milliseconds", "millisecond", "milli"),
    "us": ("us", "usec", "usecs", "micros", "microseconds", "microsecond", "micro"),
    "ns": ("ns", "nsec", "nsecs", "nanos", "nanoseconds", "nanosecond", "nano", "nanosec"),
    "s": ("s", "sec", "secs", "seconds", "second", "segundos", "sekunden", "secondes"),
    "min": ("minutes",),
}
_BY_WORD = {word: unit for unit, words in _UNITS.items() for word in words}


def clock_words(name: str, said: Said) -> ClockWords | None:
    """Return what a column's name says of a time; None where it says nothing of one."""
    unit = said.unit.text if said.unit and said.unit.quantity == "time" else ""
    if said.unit and said.unit.quantity not in ("time", "counts"):
        return None
    bare = plain("".join(said.tokens))
    if len(name) > 200:
        return None
    whole = _WHOLE.get(bare)
    owner = "device" if _any(said, _DEVICE) else "host" if _any(said, (*_HOST, *_HOST_TOO)) else ""
    if bare.endswith("headerstamp"):
        owner = "device"
    if name.strip().lower() == "%time":
        owner = "host"  # rostopic echo -p: when the message came
    zone = "utc" if {"utc", "gmt", "zulu"} & set(said.tokens) else "local" if "local" in said.tokens else ""
    if whole:
        clock, own = whole
        if clock == "counter" and unit:
            clock = "elapsed"
        return ClockWords(clock, owner, zone, unit or own, "")
    if not bare and not said.unit:
        return ClockWords("counter", "", "", "", "")
    if not (
        _TIMES & set(said.tokens)
        or any(
            word in bare
            for word in ("timestamp", "datetime", "elapsed", "unixtime", "secondsfrom", "secondssince", "secondsinto")
        )
    ):
        return None
    # A word of another sensor makes it that sensor's own time; "temperature time" is none.
    ours = said.words & {"acc", "gyr", "mag", "user", "gravity", "orientation"}
    if "other" in said.words and not ours and "time" not in bare:
        return None
    if ours and not any(word in bare for word in ("time", "stamp", "elapsed")):
        return None
    if said.axis in ("x", "y", "z") and not (said.tokens[-1] in "xyz" and "time" in bare):
        return None
    clock = next((clock for clock, words in _JOINED if any(word in bare for word in words)), "time")
    if bare in ("utc", "utctimestamp") or (zone == "utc" and not unit and clock == "time"):
        clock = "datetime" if bare.endswith("time") else "unix"
    if "nsec" in said.tokens or "nsecs" in said.tokens or "nanosec" in said.tokens:
        if "stamp" in said.tokens or "secs" in said.tokens:
            clock = "nsecs"
    if not unit:
        last = said.tokens[-1]
        # "Time (ms)" has its unit in brackets; here it is a word: time_ms, ts_us, TimeUS, seconds_elapsed.
        candidates = [
            word
            for word in said.tokens
            if word in _BY_WORD and (word not in ("s", "us", "ms", "ns") or word == last or "time" in said.tokens)
        ]
        unit = _BY_WORD[candidates[-1]] if candidates else ""
        if last.isdigit() and not unit:
            unit = ""
    part = next(iter(sorted(ours)), "") if len(ours) == 1 else ""
    return ClockWords(clock, owner, zone, unit, part)


def _any(said: Said, words: tuple[str, ...]) -> bool:
    return any(word in said.tokens for word in words) or any(
        len(word) > 4 and word in token for word in words for token in said.tokens
    )
