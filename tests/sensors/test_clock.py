"""Whether the wall clock is known to be right, and what names a boot."""

import time
import uuid
from pathlib import Path

import pytest

from motionsig.sensors import clock


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of which the kernel knows nothing good."""
    monkeypatch.setattr(clock, "_SYNCHRONISED", tmp_path / "synchronized")
    monkeypatch.setattr(clock, "_BATTERY_CLOCKS", tmp_path / "rtc")
    monkeypatch.setattr(clock, "_kernel_status", lambda: clock._STA_UNSYNC | 1)
    return tmp_path


def test_a_clock_that_nobody_set_is_not_known_to_be_right(machine):
    assert not clock.clock_is_set()


def test_the_kernel_a_time_server_and_a_battery_are_believed(machine, monkeypatch):
    (machine / "rtc" / "rtc0").mkdir(parents=True)
    hctosys = machine / "rtc" / "rtc0" / "hctosys"
    hctosys.write_text("0\n")
    assert not clock.clock_is_set(), "there is a clock with a battery, and it did not know the time"
    hctosys.write_text("1\n")
    assert clock.clock_is_set()
    hctosys.unlink()
    (machine / "synchronized").touch()
    assert clock.clock_is_set()
    (machine / "synchronized").unlink()
    monkeypatch.setattr(clock, "_kernel_status", lambda: 1)
    assert clock.clock_is_set()


def test_the_kernel_tells_its_status_and_its_boot():
    assert 0 <= clock._kernel_status() < 1 << 16
    text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    assert clock.boot_id() == uuid.UUID(text).bytes
    assert clock.since_boot_ns() >= time.monotonic_ns() - 10**6
