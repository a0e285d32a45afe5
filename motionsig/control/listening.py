"""The thread that hears the samples of a lesson, and finds the performances in them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from motionsig.blocks import SampleBlock, SignatureBatch
from motionsig.control.asking import AskError
from motionsig.control.lesson_record import PERFORM, REST
from motionsig.errors import InputError, MotionsigError
from motionsig.escaping import own_logger
from motionsig.lesson import Lesson, Performed

if TYPE_CHECKING:
    from motionsig.control.loop import Loop

log = own_logger(__name__)

REST_S = 2.0
"""So long the sensor has to be still before the first performance: what a rest is, is told from that."""
PATIENCE_S = 600.0
"""Without a performance for so long, a lesson stops."""
_SILENT_S = 5.0  # without a sample for so long, it is said
_TELL_S = 0.5  # how long the lesson goes on is told so often


class Found(NamedTuple):
    """What the thread has found out. lesson: its id. state, said: None where they stay as they are. over: it is enough.

    performances: when each begins and ends, in Unix ms, its signatures or None, and why it is of no use.
    """

    lesson: str
    seconds: float
    state: str | None = None
    said: str | None = None
    performances: tuple[tuple[int, int, SignatureBatch | None, str | None], ...] = ()
    over: bool = False


class Listening:
    """Hears the samples of one lesson until it is stopped, as `loop.Hearing` says."""

    def __init__(self, loop: Loop, lesson: str, tell: Callable[[Found], None]) -> None:
        """Begin. tell: hears what was found; it is called in a thread of this lesson alone."""
        self._loop, self._lesson, self._tell = loop, lesson, tell
        self._heard = queue.SimpleQueue[SampleBlock | float | None]()
        self._stopped = False
        self._inner: Lesson | None = None
        self._first_ns = 0
        self._begun_s = self._performed_s = self._sampled_s = self._told_s = time.monotonic()
        self._silent = False
        self._asked = False  # to perform, in this stream
        threading.Thread(target=self._run, name="motionsig-lesson", daemon=True).start()

    def follow(self, rate_hz: float) -> None:
        """Hear that the samples of another stream come."""
        self._heard.put(rate_hz)

    def hear(self, block: SampleBlock) -> None:
        """Hear the next samples."""
        if not self._stopped:
            self._heard.put(SampleBlock(block.time_ns.copy(), block.data.copy(), block.gap))

    def stop(self) -> None:
        """Have the thread end soon; nothing is told any more that it has not begun to tell."""
        self._stopped = True
        self._heard.put(None)

    def _run(self) -> None:
        while not self._stopped:
            try:
                got = self._heard.get(timeout=1.0)
            except queue.Empty:
                got = None
            if self._stopped:
                return
            try:
                self._take(got)
            except Exception:
                log.exception("a lesson stopped")
                self._stopped = True
                self._say("the lesson stopped on an error of ours, which is in the service's log", over=True)

    def _take(self, got: SampleBlock | float | None) -> None:
        now_s = time.monotonic()
        if isinstance(got, float | int):
            if self._inner is not None or self._silent:
                self._inner, self._asked, self._silent, self._sampled_s = None, False, False, now_s
                self._say("the sensor was away; hold still for two seconds, then go on", state=REST)
        elif got is not None and len(got):
            self._sampled_s = now_s
            if self._silent:
                self._silent = False
                self._say("the sensor gives samples again; hold still for two seconds, then go on")
            self._push(got)
        elif now_s - self._sampled_s > _SILENT_S and not self._silent:
            self._silent = True
            away = "there is no sensor" if self._loop.rate_hz is None else "the sensor gives nothing"
            self._say(f"{away} at present; the lesson goes on once it is back, see `motionsig status`")
        if now_s - self._performed_s > PATIENCE_S:
            minutes = f"{PATIENCE_S / 60:g} minutes have passed without a performance"
            self._say(f"{minutes}; save what was found, or forget the lesson", over=True)
            self._stopped = True

    def _push(self, block: SampleBlock) -> None:
        if self._inner is None:
            rate_hz = self._loop.rate_hz
            if rate_hz is None:
                return  # the sensor has just gone, and begins anew when it is back
            self._inner = Lesson(self._loop.card, rate_hz)
            self._first_ns = int(block.time_ns[0])
        inner = self._inner
        state, said = None, None
        if block.gap and inner.seconds:
            said = "samples were lost just now: what was performed then is not used, go on after a rest"
        try:
            performed = inner.push(block)
        except InputError as error:
            self._say(str(error), over=True)
            self._stopped = True
            return
        if not self._asked and inner.seconds >= REST_S:
            self._asked, state = True, PERFORM
        told = tuple(map(self._made, performed))
        now_s = time.monotonic()
        if told:
            self._performed_s = now_s
        if told or state or said or now_s - self._told_s >= _TELL_S:
            self._told_s = now_s
            self._tell(Found(self._lesson, inner.seconds, state, said, told))

    def _made(self, one: Performed) -> tuple[int, int, SignatureBatch | None, str | None]:
        first_ms = (self._first_ns + self._loop.correction_ns) / 1e6
        begin_ms, end_ms = (round(first_ms + seconds * 1000) for seconds in (one.begin_s, one.end_s))
        if one.windows is None:
            return begin_ms, end_ms, None, one.why
        try:
            made = self._loop.encode(one.windows)
        except (AskError, MotionsigError) as error:
            return begin_ms, end_ms, None, f"its signatures could not be made: {error}"
        if len(made) < len(one.windows):
            return begin_ms, end_ms, None, "its signatures could not be made: see `motionsig status`"
        return begin_ms, end_ms, made, None

    def _say(self, said: str, *, state: str | None = None, over: bool = False) -> None:
        seconds = self._inner.seconds if self._inner is not None else 0.0
        self._tell(Found(self._lesson, seconds, state, said, over=over))
