"""A phone as a live source: what its page sends, on our clock, in SI units."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.facts import Fact
from motionsig.page.certificates import keep_certificate, own_addresses
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.live import LiveSource
from motionsig.sensors.living import Rows
from motionsig.sensors.phone.clocks import Pace, PhoneClock, rate_of
from motionsig.sensors.phone.frame import TAP_SAMPLES, Frame, sign_at_tap
from motionsig.sensors.phone.inbox import Inbox, Taken
from motionsig.sensors.phone.server import PhoneServer
from motionsig.state import state_folder

log = own_logger(__name__)

STEP = np.array([0.1] * 3 + [np.deg2rad(0.1)] * 3, np.float32)
"""m/s² and rad/s: Chromium rounds so coarsely (services/device/generic_sensor, platform_sensor_util.h)."""
_FIRST = 90
"""Samples that tell the rate and where the phone's clock is, before the first is given out."""
_MOST_WAITING = 1000
"""Batches that are kept while its pose is not seen: two minutes."""
_SLOWEST_HZ = 25.0
"""Signatures need motion up to 20 Hz, and no browser is slower."""
_WAIT_S = 0.1
_AWAY_S = 2.0
"""Nothing was sent for so long: the phone is asleep, away, or its page is closed."""
_EXACT_NS = 100_000_000
"""Times that may be off by more are doubtful: Wi-Fi that saves power takes less."""


class Invitation(NamedTuple):
    """What the person needs: the link with its token, the links of other addresses, what the browser will warn of.

    fingerprint: SHA-256 of the certificate, for those who compare.
    """

    link: str
    others: tuple[str, ...]
    fingerprint: str


def open_phone(
    invite: Callable[[Invitation], None] | None,
    *,
    mount: str | Sequence[Sequence[float]] | None = None,
    calibration: Calibration | str | None = None,
    wait_s: float | None = None,
) -> PhoneSource:
    """Let one phone in, and return it as a source once it sends motion.

    invite: shows the link to the person who holds the phone. wait_s: how long to wait; None: until interrupted. Raises
    InputError without `invite`, MissingExtraError without uvicorn or cryptography, SensorError for a phone
    without a gyroscope, one that is too slow, or none in time.
    """
    if invite is None:
        raise InputError(
            "sensor: expected invite= with phone, a function that shows a link to whoever holds the phone, got none; "
            "`--sensor phone` of the commands does that"
        )
    chosen = choose_calibration("none" if calibration is None else calibration, mount, "phone")
    folder = state_folder() / "page"  # that of a page which this user starts
    kept, inbox = keep_certificate(folder), Inbox()
    server = PhoneServer(inbox, folder)
    try:
        hosts = [f"[{each}]" if each.version == 6 else str(each) for each in own_addresses()] or ["127.0.0.1"]
        links = [f"https://{host}:{server.port}/#{inbox.token}" for host in hosts]
        invite(Invitation(links[0], tuple(links[1:]), kept.fingerprint))
        taken, sign = _first(inbox, wait_s)
        return PhoneSource(server, inbox, taken, sign, chosen)
    except BaseException:
        server.close()
        raise


def _first(inbox: Inbox, wait_s: float | None) -> tuple[list[Taken], int]:
    """Wait until there is enough of one run, and its pose at a tap is seen; return that run and the sign."""
    deadline_s = None if wait_s is None else time.monotonic() + wait_s
    run: list[Taken] = []
    judged = -1
    while deadline_s is None or time.monotonic() < deadline_s:
        for taken in inbox.pop(_WAIT_S):
            if run and taken.run != run[-1].run:
                run, judged = [], -1
            run.append(taken)
            if len(run) > _MOST_WAITING:
                del run[: len(run) // 2]
        rows, numbers = _joined(run)
        if not len(rows):
            continue
        if np.isnan(rows[:, 4]).any():
            inbox.refused = "gyroscope"
            raise SensorError(
                "phone: expected a phone with a gyroscope, got one whose browser gives no angular rate, which "
                "signatures need; take another phone, or allow this page the motion sensors in the browser's settings"
            )
        tap = run[-1].tap
        after = np.flatnonzero(numbers >= tap)
        if tap == judged or len(after) < TAP_SAMPLES:
            continue
        pose = rows[after[:TAP_SAMPLES], 1:4]
        sign = sign_at_tap(pose, apple=None if inbox.ask == "flat" and judged >= 0 else inbox.apple)
        if sign is None:
            # Its pose and the kind of its browser do not agree, or nobody can look at a screen that is held so.
            inbox.ask, judged = "flat", tap
            log.info("phone: the sign of its acceleration is not seen; its page asks to hold it flat and to tap")
        elif len(rows) >= _FIRST:
            inbox.ask = None
            return run, sign
    raise SensorError(f"phone: expected one that opens the link and sends motion within {wait_s:g} s, got none")


def _joined(taken: Sequence[Taken]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return all rows (n, 7) and their numbers (n,)."""
    if not taken:
        return np.empty((0, 7)), np.empty(0, np.int64)
    rows = np.concatenate([each.rows for each in taken])
    return rows, np.concatenate([each.first + np.arange(len(each.rows)) for each in taken])


class PhoneSource(LiveSource):
    """A phone as a Source: endless, until closed; then no port remains."""

    pauses_s = (0.05, 1.0)

    def __init__(
        self, server: PhoneServer, inbox: Inbox, first: list[Taken], sign: int, calibration: Calibration
    ) -> None:
        """first: what came of its first run; sign: of its acceleration. Raises SensorError for one that is too slow."""
        super().__init__("phone", calibration, SystemClock())
        self._server, self._inbox, self._waiting = server, inbox, deque(first)
        self.rate_hz = round(rate_of(_joined(first)[0][:, 0]), 1)
        if self.rate_hz < _SLOWEST_HZ:
            raise SensorError(
                f"phone: expected at least {_SLOWEST_HZ:g} samples a second, got {self.rate_hz:g}; switch its battery "
                "saver off"
            )
        self._phone_clock, self._pace, self._frame = PhoneClock(), Pace(self.rate_hz), Frame(sign, self.rate_hz)
        self._run_id: str | None = None
        self._lost = 0  # samples that are missing before the next
        # All of the first seconds draw the line before any of their samples is on it.
        self._follow(first[0])
        for taken in first:
            self._phone_clock.note(taken.sent_ms, taken.arrival_ns)
        self._judge_by(STEP)
        kind = "as Apple's browsers give it" if sign < 0 else "as W3C says"
        self.info = SourceInfo(
            name="phone",
            format="phone",
            stream_id=self._stream_id,
            device="phone",
            facts=(
                Fact("gravity", f"{kind}, by the pose at the tap", "shown"),
                Fact("angular rate", f"{self._frame.reading.words}, until it was turned enough", "assumed"),
            ),
        )

    @property
    def true_rate_hz(self) -> float:
        return self._pace.rate_hz

    def _leave(self) -> None:
        self._server.close()

    def _restart(self) -> None:
        """Have the page listen to its sensors anew: what is left of the phone is out of reach."""
        self._inbox.again += 1

    def _stream(self) -> Iterator[SampleBlock]:
        """Yield what comes until closed."""
        while not self._closed:
            if not self._waiting:
                self._waiting.extend(self._inbox.pop(_WAIT_S))
            # One by one, so that a new iteration, or a new start, goes on where this one ended.
            while self._waiting and not self._closed:
                yield from self._take(self._waiting.popleft())
            self.counts.discards, self.counts.overflows = self._inbox.discards, self._inbox.overflows
            yield from self._sign_of_life()

    def _follow(self, taken: Taken) -> None:
        """Begin a run: its numbers and its clock have nothing to do with those before."""
        if self._run_id is not None:
            log.info("phone: its clock began anew: it slept, or its page was opened again")
            self._lost += 1
        self._run_id = taken.run
        self._phone_clock.begin(taken.sent_ms, taken.arrival_ns)

    def _take(self, taken: Taken) -> Iterator[SampleBlock]:
        """Yield the samples of one batch on Unix time."""
        if taken.run != self._run_id:
            self._follow(taken)
        self._phone_clock.note(taken.sent_ms, taken.arrival_ns)
        self._lost += taken.lost
        rows = taken.rows
        there = ~np.isnan(rows[:, 4:]).any(axis=1)
        if not there.all():
            self._note(SensorError("the browser gives no angular rate any more"))
            self._lost += int((~there).sum())
            rows = rows[there]
        if not len(rows):
            return
        times_ns = self._phone_clock.stamp(rows[:, 0], taken.arrival_ns)
        lost = self._pace.lost(times_ns)
        lost[0], self._lost = max(int(lost[0]), self._lost), 0
        if self._frame.judge(rows[:, 1:]):
            log.warning("phone: gravity turns as if its angular rate were in %s: taken so", self._frame.reading.words)
            lost[0] = max(int(lost[0]), 1)
        late_ns, doubt = self._phone_clock.late_ns, None
        if late_ns > _EXACT_NS:
            doubt = f"times are exact to {late_ns / 1e6:.0f} ms only: the Wi-Fi is slow; go nearer to it"
        self._judge_times(len(rows), doubt)
        data = self._frame.convert(rows[:, 1:])
        yield from self._deliver(Rows(times_ns + self.unix_offset_ns, data, lost > 0, lost))

    def _why_silent(self) -> Exception | None:
        """Return why nothing comes, by what the page said last."""
        if self._reason is not None:
            return self._reason
        if self._inbox.hidden:
            return SensorError("its page is not on the screen, so the browser gives no motion")
        came_ns = self._inbox.came_ns or 0
        if time.monotonic_ns() - came_ns > _AWAY_S * NS_PER_S:
            return SensorError("the phone sends nothing: it sleeps, is out of the Wi-Fi, or its page is closed")
        return SensorError("its page is there, and its browser gives no motion")

    def _advice(self, error: Exception | None) -> str:
        return "wake the phone and bring the page back; it goes on by itself"
