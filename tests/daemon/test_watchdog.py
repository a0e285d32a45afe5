"""The watchdog is notified by heartbeats of the whole loop: whatever part of it hangs, no notification is sent."""

import contextlib
import socket
import sqlite3
import threading
import time

import pytest
from in_process import MadeSensor, running
from made import wait_until

from motionsig.daemon import delivery, loop


class _Manager:
    """What listens in the place of systemd."""

    def __init__(self, sock):
        self._sock = sock

    def _is_notified(self, timeout_s):
        """Return whether the watchdog is notified in time."""
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._sock.settimeout(left_s)
            try:
                if b"WATCHDOG=1" in self._sock.recv(4096):
                    return True
            except TimeoutError:
                break
        return False

    def expect_notified(self):
        # What was sent before now may wait in the socket.
        self._sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._sock.recv(4096):
                pass
        assert self._is_notified(60)

    def expect_silence(self, seconds=3.0):
        """Fail unless so many seconds without a notification come within sixty: it comes each second otherwise."""
        until_s = time.monotonic() + 60
        while self._is_notified(seconds):
            assert time.monotonic() < until_s, "the watchdog is notified all the same"


@pytest.fixture
def start(tmp_path, motion, monkeypatch):
    """The function that starts a daemon in a thread, with a sink; it returns the sensor and the service manager."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    address = f"motionsig-test-{tmp_path}"[-90:]
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{address}")
    sensor = MadeSensor(motion)
    with contextlib.ExitStack() as ending:
        manager = ending.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.bind(f"\0{address}")

        def start(url):
            daemon = ending.enter_context(running(tmp_path, f'[sink]\nurl = "{url}"\n', sensor))
            wait_until(lambda: daemon.status["ready"])
            return sensor, _Manager(manager)

        yield start


def test_a_loop_that_goes_on_notifies_it(start, tmp_path):
    _, manager = start(f"store:{tmp_path}/s.db")
    for _ in range(2):
        manager.expect_notified()


def test_a_sensor_that_hangs_does_not(start, tmp_path):
    sensor, manager = start(f"store:{tmp_path}/s.db")
    sensor.going.clear()
    manager.expect_silence()
    sensor.going.set()
    manager.expect_notified()


def test_a_sink_that_hangs_does_not(start, tmp_path, monkeypatch):
    monkeypatch.setitem(delivery._DEADLINES, "store", {"busy_timeout_s": 60.0})
    _, manager = start(f"store:{tmp_path}/s.db")
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    manager.expect_silence()
    other.execute("ROLLBACK")
    other.close()
    manager.expect_notified()


def test_a_sender_that_hangs_does_not(start, monkeypatch, caplog):
    look_up_ends, look_up = threading.Event(), socket.getaddrinfo

    def hangs(host, *arguments, **options):
        # The look-up of a name waits for a server that does not answer, while the loop goes on.
        if host == "broker.invalid":
            look_up_ends.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    monkeypatch.setattr(loop, "_SENDER_S", 0.5)
    try:
        sensor, manager = start("mqtt://broker.invalid")
        manager.expect_silence()
        assert not sensor.ended
        assert "no heartbeat of the sender" in caplog.text
    finally:
        look_up_ends.set()
    monkeypatch.setattr(loop, "_SENDER_S", 60.0)  # a machine under load may keep the sender waiting
    manager.expect_notified()
