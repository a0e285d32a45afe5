"""The daemon in a thread of the test's own process, on a sensor that does as it is told."""

import contextlib
import threading
import time

import numpy as np

from motionsig.blocks import SourceInfo, sample_block
from motionsig.closing import Closing
from motionsig.config import load_config
from motionsig.daemon.loop import Daemon
from motionsig.sensors.clock import SystemClock, unix_offset_ns
from motionsig.sensors.live import SensorCounts


class MadeSensor(Closing):
    """Twenty times as fast as real time, until closed. going: cleared, it hangs; quiet: set, it gives empty blocks.

    hangs: set once it does. leave_out: a sample of each second that is lost. trouble: as a LiveSource's.
    """

    def __init__(self, motion, *, leave_out=None):
        self.rate_hz = self.true_rate_hz = 50.0
        self.info, self.counts = SourceInfo("made", "made", stream_id=1), SensorCounts()
        self.trouble = None
        self.unix_offset_ns = unix_offset_ns(SystemClock())
        self.going, self.hangs, self.quiet, self.ended = threading.Event(), threading.Event(), threading.Event(), False
        self.going.set()
        self._data = motion(20, 50)
        self._rows = np.delete(np.arange(50), [] if leave_out is None else leave_out)

    def __iter__(self):
        second = 0
        while not self.ended:
            time.sleep(0.05)
            if not self.going.is_set():
                self.hangs.set()
                self.going.wait()
            time_ns = (1_700_000_000 + second) * 10**9 + self._rows * 20_000_000
            rows = slice(0, 0 if self.quiet.is_set() else len(self._rows))
            yield sample_block(time_ns[rows], self._data[second % 20 * 50 + self._rows[rows]])
            second += not self.quiet.is_set()

    def close(self):
        self.ended = True
        self.going.set()


def carried_by_turns(motion):
    """Return a sensor that is put down for ten seconds, then carried for ten, and so on; a second in 50 ms."""

    def put_down(seconds, rate_hz):
        data = motion(seconds, rate_hz)
        data[: round(10 * rate_hz)] = data[0]
        return data

    return MadeSensor(put_down)


@contextlib.contextmanager
def running(folder, text, sensor, **more):
    """Run the daemon of a configuration while the block lasts; more: keywords of `Daemon`."""
    path = folder / "config.toml"
    path.write_text(text)
    daemon = Daemon(load_config(path), load=lambda: load_config(path), sensor=lambda config: sensor, **more)
    thread = threading.Thread(target=daemon.run, daemon=True)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join(60)
        assert not thread.is_alive(), "the daemon does not stop"
