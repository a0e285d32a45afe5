"""The clock of the sensors: samples are stamped by monotonic time, so setting the wall clock changes no window."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any, Protocol

_STA_UNSYNC = 0x40
"""In the status of adjtimex(2): nothing has synchronised the wall clock in the last nine hours."""
_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
"""There since systemd-timesyncd has synchronised the clock for the first time since the boot."""
_BATTERY_CLOCKS = Path("/sys/class/rtc")


class Clock(Protocol):
    """Monotonic time and a way to let it pass."""

    def monotonic_ns(self) -> int: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """CLOCK_MONOTONIC of the machine."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def unix_offset_ns(clock: Clock) -> int:
    """Return how far Unix time is ahead of the clock's, from the quickest of five readings of both."""
    readings = []
    for _ in range(5):
        before_ns = clock.monotonic_ns()
        unix_ns = time.time_ns()
        after_ns = clock.monotonic_ns()
        readings.append((after_ns - before_ns, unix_ns - (before_ns + after_ns) // 2))
    return min(readings)[1]


def clock_is_set() -> bool:
    """Return whether the wall clock is known to be right: a time server or a clock with a battery has set it.

    A time server's program tells the kernel that it has synchronised the clock, and the kernel remembers whether a
    clock with a battery set the time at the boot. Of a time that a person set, or that was read from a file, it
    knows nothing.
    """
    return not _kernel_status() & _STA_UNSYNC or _SYNCHRONISED.exists() or _battery_set_it()


def boot_id() -> bytes | None:
    """Return the 16 bytes that name this run of the system, None where the kernel does not tell."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").replace("-", ""))
    except (OSError, ValueError):
        return None


def since_boot_ns() -> int:
    """Return how long ago the system was booted; unlike monotonic time it goes on while the system sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _battery_set_it() -> bool:
    for at_boot in _BATTERY_CLOCKS.glob("rtc*/hctosys"):
        try:
            if at_boot.read_text("ascii").strip() == "1":
                return True
        except OSError:
            continue
    return False


def _kernel_status() -> int:
    """Return the status of adjtimex(2): whether the clock is synchronised, and how; Python has no call for it."""
    import ctypes

    adjtimex, timex = _adjtimex()
    state = timex()
    # Nothing is changed as `modes` is 0. Where the call is forbidden, nobody is known to have set the clock.
    return int(state.status) if adjtimex(ctypes.byref(state)) >= 0 else _STA_UNSYNC


@cache
def _adjtimex() -> tuple[Any, Any]:
    """Return the function of the C library and the type of its argument (adjtimex(2), linux/timex.h)."""
    import ctypes

    class Timex(ctypes.Structure):
        _fields_ = [
            ("modes", ctypes.c_int),
            *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
            ("status", ctypes.c_int),
            ("others", ctypes.c_byte * 256),
        ]

    return ctypes.CDLL(None).adjtimex, Timex
