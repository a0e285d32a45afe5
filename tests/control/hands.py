"""A daemon in this process whose sensor is a hand: it rests, and performs what a test asks for."""

import contextlib
import queue
import secrets
import threading
import time

import numpy as np
from made_lessons import RATE_HZ, lesson

from motionsig.blocks import SourceInfo, sample_block
from motionsig.closing import Closing
from motionsig.config import load_config
from motionsig.control.feed import LESSON
from motionsig.daemon.loop import Daemon
from motionsig.errors import SensorError
from motionsig.sensors.clock import SystemClock, unix_offset_ns
from motionsig.sensors.live import SensorCounts

_BLOCK = 10  # samples, 0.2 s
TURN = (1, 5)


class Hand(Closing):
    """A sensor at 50 Hz, `speed` times as fast as real time, from `begun_s` on in Unix time.

    `perform` has it move once, as `made_lessons.lesson` says, and rest. resting: set, it gives nothing.
    """

    def __init__(self, *, speed=40.0, begun_s=None, gyroscope=True):
        self.rate_hz = self.true_rate_hz = RATE_HZ
        self.info, self.counts = SourceInfo("hand", "hand", stream_id=1), SensorCounts()
        self.trouble = None
        self.unix_offset_ns = unix_offset_ns(SystemClock())
        self._next_ns = round((time.time() if begun_s is None else begun_s) * 1e9)
        self._pause_s, self._gyroscope = _BLOCK / RATE_HZ / speed, gyroscope
        self._parts = queue.SimpleQueue()
        self._seed = 0
        self.closed = self.broken = self.silent = self.gap = False

    def perform(self, *parts):
        """Rest and move as these parts say, one after the other, and rest for two seconds."""
        self._parts.put((*parts, 2.0))

    def shake(self):
        """Move for three seconds in quite another way, and rest."""
        self._parts.put("shake")

    def _samples(self):
        self._seed += 1
        try:
            parts = self._parts.get_nowait()
            if parts != "shake":
                return lesson(*parts, seed=self._seed)
            data = lesson(6.0, seed=self._seed)
            data[:150, 1] += 15 * np.sin(2 * np.pi * 7 * np.arange(150) / RATE_HZ)
            return data
        except queue.Empty:
            return lesson(_BLOCK / RATE_HZ, seed=self._seed)

    def __iter__(self):
        while not self.closed:
            data = self._samples()
            for first in range(0, len(data), _BLOCK):
                time.sleep(self._pause_s)
                while self.silent and not self.closed:
                    time.sleep(0.01)
                    yield sample_block(np.empty(0, np.int64), np.empty((0, 6)))
                if self.broken:
                    raise SensorError("hand: gone")
                if self.closed:
                    return
                rows = data[first : first + _BLOCK].copy()
                if not self._gyroscope:
                    rows[:, 3:] = np.nan
                gap, self.gap = self.gap, False
                self._next_ns += 3_000_000_000 if gap else 0
                times = self._next_ns + np.arange(len(rows)) * 20_000_000
                self._next_ns += len(rows) * 20_000_000
                yield sample_block(times, rows, gap=gap)

    def opened(self, config=None):
        """Return it as `open_sensor` does."""
        if self.broken:
            raise SensorError("hand: there is none")
        self.closed = False
        return self

    def close(self):
        self.closed = True


class Taught(Closing):
    """Asks the control of a daemon that runs, as a client does."""

    def __init__(self, control):
        self.control = control

    def ask(self, name, /, **parameters):
        if name.split(".")[0] in ("lesson", "not_this", "this_too", "pause", "rename", "remove"):
            parameters.setdefault("request", secrets.token_hex(8))
        return self.control.ask({"ask": name, **parameters})

    def begin(self, name="turn", *, times=3, purpose="examples", better=False, **more):
        return self.ask("lesson.begin", name=name, times=times, better=better, **{"for": purpose}, **more)

    def lesson(self):
        """Return what viewers are told of the lesson now."""
        return self.control.feed._newest[LESSON].value

    def until(self, what, timeout_s=60.0):
        """Wait until something holds of the lesson; return it."""
        until_s = time.monotonic() + timeout_s
        while not what(now := self.lesson()):
            assert time.monotonic() < until_s, now
            time.sleep(0.01)
        return now

    def close(self):
        pass


STORE = 'name = "pi"\n[sink]\nurl = "store:signatures.db"\n'


@contextlib.contextmanager
def teaching(folder, hand, text=STORE):
    """Run a daemon on a hand; give what asks its control."""
    path = folder / "config.toml"
    path.write_text(text)
    daemon = Daemon(load_config(path), load=lambda: load_config(path), sensor=hand.opened)
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    try:
        until_s = time.monotonic() + 60
        while daemon.viewing.rate_hz is None:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        yield Taught(daemon.viewing.control)
    finally:
        daemon.stop()
        thread.join(60)
        assert not thread.is_alive(), "the daemon does not stop"
