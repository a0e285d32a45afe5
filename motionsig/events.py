"""What a head found, and its message: an Event, and the JSON in which it travels and is stored.

An event is named for good by device, stream id, head, sequence number and phase, as a signature is by the first two and
its number: who gets one twice may drop it. The message is JSON, because what acts on events (Home Assistant, Node-RED,
a shell script) reads that; it is a few hundred bytes a few times a day.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from motionsig import wire
from motionsig.blocks import check_label
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, WireError

VERSION = 1
MOST_EVENT_BYTES = 4096
ONCE, BEGAN, ENDED = "once", "began", "ended"
PHASES = (ONCE, BEGAN, ENDED)

HEAD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a head may be called: one part of a path, of a topic and of a command line, without surprises in any."""

_KINDS: dict[str, type] = {
    "version": int,
    "device": str,
    "stream_id": int,
    "seq": int,
    "head": str,
    "fingerprint": str,
    "phase": str,
    "start": str,
    "end": str,
    "start_ns": int,
    "end_ns": int,
    "duration_s": float,
    "score": float,
}
"""Keys of the message in order, each with its type; start, end and duration_s repeat start_ns and end_ns for people."""

_INT64 = 1 << 63


class EventKey(NamedTuple):
    """What names an event for good."""

    device: str
    stream_id: int
    head: str
    seq: int
    phase: str


@dataclass(frozen=True, repr=False)
class Event:
    """What a head found in a stream of signatures.

    >>> knock = motionsig.Event("hall", 7, 12, "knock", bytes(8), "once", 0, 2_560_000_000, score=0.93)
    >>> knock.duration_s, knock.key
    (2.56, EventKey(device='hall', stream_id=7, head='knock', seq=12, phase='once'))
    >>> print(knock)
    1970-01-01T00:00:00.000Z knock, 2.6 s, score 0.93

    * `device`, `stream_id`: of the signatures. `seq`: the number of the last signature that the event rests on.
    * `head`: its name. `fingerprint`: 8 bytes that stand for that very head, so that one taught anew is told apart.
    * `phase`: "once" for what happens, such as a gesture; "began" and "ended" for a state, such as walking.
    * `start_ns`, `end_ns`: Unix ns of the first sample of the first of its signatures, and of the end of the last one.
      What began goes on after its end_ns.
    * `score`: the highest of its signatures; what it means is the head's, and `on` of the head is the least.
    * `clock`: the wall clock that gave its times, while that is not known to be right; None where it is.

    Raises InputError for what no message could carry.
    """

    device: str
    stream_id: int
    seq: int
    head: str
    fingerprint: bytes
    phase: str
    start_ns: int
    end_ns: int
    score: float
    clock: wire.Clock | None = None

    def __post_init__(self) -> None:
        """Check what the message would not carry, once and here."""
        # A name is refused where it comes in: what is stored may be of a version that took every one.
        wire.check_origin(self.device, self.stream_id, self.seq, stored=True)
        check_label(self.device, "device")
        if not HEAD_NAME.fullmatch(self.head):
            raise InputError(f"head: expected 1 to 64 of A-Z, a-z, 0-9, _ and -, got {self.head!r:.80}")
        if len(self.fingerprint) != 8:
            raise InputError(f"fingerprint: expected 8 bytes, got {len(self.fingerprint)}")
        if self.phase not in PHASES:
            raise InputError(f"phase: expected one of {', '.join(PHASES)}, got {self.phase!r:.80}")
        if not -_INT64 <= self.start_ns <= self.end_ns < _INT64:
            raise InputError(f"event: expected a start and a later end of 64 bits, got {self.start_ns}, {self.end_ns}")
        if not math.isfinite(self.score):
            raise InputError(f"score: expected a number, got {self.score!r}")
        wire.check_clock(self.clock)

    @property
    def key(self) -> EventKey:
        """What names it for good."""
        return EventKey(self.device, self.stream_id, self.head, self.seq, self.phase)

    @property
    def duration_s(self) -> float:
        """Seconds from start to end; of a state that began: until it was noticed."""
        return (self.end_ns - self.start_ns) / NS_PER_S

    def __repr__(self) -> str:
        return (
            f"Event({self.head[:24]!r} {self.phase}, {wire.iso_time(self.start_ns)}, {self.duration_s:g} s, score "
            f"{self.score:g}, of {self.device[:24]!r:.32}, stream {self.stream_id}, seq {self.seq})"
        )

    def __str__(self) -> str:
        """Return a line for people: when, which head, how long, how sure."""
        what = self.head if self.phase == ONCE else f"{self.head} {self.phase}"
        lasted = f", {self.duration_s:.1f} s" if self.phase != BEGAN else ""
        return f"{wire.iso_time(self.start_ns)[:-7]}Z {what}{lasted}, score {self.score:.2f}"


def duration(seconds: float) -> str:
    """Return a duration in the unit that fits it."""
    if seconds < 119.95:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def to_json(event: Event) -> bytes:
    """Return the event's message: JSON in UTF-8, without spaces, the same bytes for the same event."""
    values: dict[str, Any] = {
        "version": VERSION,
        "device": event.device,
        "stream_id": event.stream_id,
        "seq": event.seq,
        "head": event.head,
        "fingerprint": event.fingerprint.hex(),
        "phase": event.phase,
        "start": wire.iso_time(event.start_ns),
        "end": wire.iso_time(event.end_ns),
        "start_ns": event.start_ns,
        "end_ns": event.end_ns,
        "duration_s": event.duration_s,
        "score": float(event.score),
        **({"clock": wire.clock_to_json(event.clock)} if event.clock else {}),
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def from_json(data: bytes, *, stored: bool = False) -> Event:
    """Return the event in `data`, or raise WireError saying what was expected and what was got.

    stored: take a device name as `wire.check_origin` does.
    """
    if len(data) > MOST_EVENT_BYTES:
        raise WireError(f"event: expected at most {MOST_EVENT_BYTES} bytes, got {len(data)}")
    try:
        # Whoever sends NaN or a number of a thousand digits gets no further than this.
        values = json.loads(data.decode(), parse_constant=_refuse, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise WireError(f"event: expected JSON in UTF-8, got: {error!s:.200}") from error
    if not isinstance(values, dict):
        raise WireError(f"event: expected an object, got {type(values).__name__}")
    for key, kind in _KINDS.items():
        # JSON of other languages writes 1.0 as 1.
        value = values.get(key)
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise WireError(f"event: expected {kind.__name__} as {key}, got {type(value).__name__}")
    if values["version"] != VERSION:
        raise WireError(f"event: expected version {VERSION}, got {values['version']}")
    if not re.fullmatch("[0-9a-f]{16}", values["fingerprint"]):
        raise WireError(f"event: expected a fingerprint of 16 hexadecimal digits, got {values['fingerprint']!r:.80}")
    try:
        wire.check_origin(values["device"], values["stream_id"], values["seq"], stored=stored)
        return Event(
            device=values["device"],
            stream_id=values["stream_id"],
            seq=values["seq"],
            head=values["head"],
            fingerprint=bytes.fromhex(values["fingerprint"]),
            phase=values["phase"],
            start_ns=values["start_ns"],
            end_ns=values["end_ns"],
            score=float(values["score"]),
            clock=_clock(values["clock"]) if "clock" in values else None,
        )
    except InputError as error:
        raise WireError(f"event: {error}") from error


def _clock(value: Any) -> wire.Clock:
    boot, offset_ns = (value.get(key) for key in ("boot", "offset_ns")) if isinstance(value, dict) else (None, None)
    if not isinstance(boot, str) or not re.fullmatch("[0-9a-f]{32}", boot) or type(offset_ns) is not int:
        raise WireError(f"event: expected a clock of boot, 32 hexadecimal digits, and offset_ns, got {value!r:.80}")
    return wire.Clock(bytes.fromhex(boot), offset_ns, is_set=False)


def _refuse(word: str) -> None:
    raise ValueError(f"expected a number, got {word}")


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"expected an integer of 64 bits, got {len(digits)} digits")
    return int(digits)
