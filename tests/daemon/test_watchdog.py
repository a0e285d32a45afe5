"""The watchdog is fed by turns of the whole loop: whatever stands still in it, no food."""

import socket
import sqlite3
import threading
import time

import numpy as np
import pytest
from made import wait_until

from motionsig import daemon as daemon_module
from motionsig.blocks import SourceInfo, sample_block
from motionsig.config import load_config
from motionsig.daemon import Daemon
from motionsig.sensors.clock import SystemClock, unix_offset_ns
from motionsig.sensors.live import SensorCounts


class _Sensor:
    """Twenty times as fast as time, until it is told to hang or to end."""

    def __init__(self, motion):
        self.rate_hz = self.true_rate_hz = 50.0
        self.info, self.counts = SourceInfo("made", "made", stream_id=1), SensorCounts()
        self.unix_offset_ns = unix_offset_ns(SystemClock())
        self.going, self.ended = threading.Event(), False
        self.going.set()
        self._data = motion(20, 50)

    def __iter__(self):
        for second in range(100_000):
            time.sleep(0.05)
            self.going.wait()
            if self.ended:
                return
            time_ns = (1_700_000_000 + second) * 10**9 + np.arange(50) * 20_000_000
            yield sample_block(time_ns, self._data[second % 20 * 50 :][:50])

    def close(self):
        self.ended = True

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def fed(tmp_path, motion, monkeypatch):
    """A daemon in a thread, its sensor, and a function that counts how often the dog is fed in so many seconds."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", f"@motionsig-test-{tmp_path}"[:100])
    # A publisher that waits for ever.
    monkeypatch.setitem(daemon_module._IN_TIME, "store", {"busy_timeout_s": 60.0})
    (tmp_path / "config.toml").write_text(f'[sink]\nurl = "store:{tmp_path}/s.db"\n')
    sensor = _Sensor(motion)
    daemon = Daemon(load_config(tmp_path / "config.toml"), sensor=lambda config: sensor)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + f"motionsig-test-{tmp_path}"[:99])

        def count(seconds):
            until_s, heard = time.monotonic() + seconds, 0
            while (left_s := until_s - time.monotonic()) > 0:
                manager.settimeout(left_s)
                try:
                    heard += b"WATCHDOG=1" in manager.recv(4096)
                except TimeoutError:
                    break
            return heard

        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            wait_until(lambda: daemon.status["ready"])
            yield sensor, count
        finally:
            sensor.going.set()
            daemon.stop()
            thread.join(20)


def test_a_loop_that_goes_round_feeds_it(fed):
    assert fed[1](2.5) >= 2


def test_a_sensor_that_hangs_does_not(fed):
    sensor, count = fed
    sensor.going.clear()
    count(1.5)
    assert count(2.5) == 0
    sensor.going.set()
    assert count(2.5) >= 1


def test_a_sink_that_hangs_does_not(fed, tmp_path):
    _, count = fed
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    count(1.5)
    assert count(2.5) == 0
    other.execute("ROLLBACK")
    other.close()
    assert count(2.5) >= 1
