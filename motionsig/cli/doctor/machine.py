"""The clock, the disk space for signatures that wait for a broker, and the supply."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from motionsig.cli.doctor.findings import Finding, children, is_there, line_of, note, ok, wrong
from motionsig.publishers.spool import DEFAULT_MAX_BYTES

BUILT = datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # a clock that shows less is wrong: this file is younger
# adjtimex(2): not synchronised. What sets the clock (timesyncd, chrony, ntpd) reports it to the kernel.
TIME_ERROR = 5
# Bits of get_throttled (raspberrypi.com/documentation/computers/os.html, vcgencmd get_throttled).
THROTTLED = (
    (0x1, "the supply is too weak now"),
    (0x4, "the processor is throttled now"),
    (0x10000, "the supply has been too weak"),
    (0x40000, "the processor has been throttled"),
)


def kernel_says_synchronized() -> bool | None:
    """Return whether the kernel reports its time as synchronised; None where it reports nothing."""
    try:
        # A struct timex of zeros reads and changes nothing; it has at most 208 bytes.
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def clock(root: Path, now_s: float, synchronized: bool | None) -> list[Finding]:
    """Return the findings on Unix time: `now_s`, and whether the kernel reports it as synchronised."""
    findings = [_time(root, now_s, synchronized)]
    if not children(root / "sys/class/rtc", "rtc*"):
        found = "no clock runs while this machine is off, so after a start the time is old until a network is there"
        wire = "wire a battery-backed clock (a DS3231 takes I2C address 0x68: give the sensor its other one)"
        findings.append(note(found, f"start recording after time-sync.target, or {wire}"))
    return findings


def _time(root: Path, now_s: float, synchronized: bool | None) -> Finding:
    command = "sudo timedatectl set-ntp true"
    if now_s < BUILT:
        return wrong(f"the clock shows {datetime.fromtimestamp(now_s, UTC).date()}, which has passed", command)
    if synchronized:
        return ok("the time is synchronised")
    if is_there(root / "run/systemd/timesync/synchronized"):
        return ok("the time has been synchronised since the last start")
    state = "is not synchronised" if synchronized is False else "may not be synchronised: the kernel does not tell"
    return note(f"the time {state}, and signatures carry it", command)


def state_directory(directory: Path) -> Finding:
    """Return whether signatures can wait in `directory`, which need not exist yet."""
    existing = _existing(directory)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        found = f"signatures cannot wait in {directory}: {existing} is not a directory this user can write to"
        return wrong(found, "export STATE_DIRECTORY=DIRECTORY, with one that is")
    return free_space(directory)


def free_space(directory: Path, most_bytes: int = DEFAULT_MAX_BYTES) -> Finding:
    """Return whether a queue of so many bytes fits into `directory`, which need not exist yet."""
    free = shutil.disk_usage(_existing(directory)).free
    found = f"signatures for a broker wait in {directory}, where {free / 2**20:.0f} MiB are free"
    if free < most_bytes:
        # On these machines the journal is what grows without limit.
        return wrong(f"{found}; the queue may need {most_bytes / 2**20:.0f}", "sudo journalctl --vacuum-size=50M")
    return ok(found)


def _existing(directory: Path) -> Path:
    return next(parent for parent in (directory, *directory.parents) if is_there(parent))


def supply(root: Path) -> list[Finding]:
    """Return the findings on a Raspberry Pi's supply; none elsewhere."""
    alarms = [
        line_of(monitor / "in0_lcrit_alarm")
        for monitor in children(root / "sys/class/hwmon", "hwmon*")
        if line_of(monitor / "name") == "rpi_volt"
    ]
    # get_throttled reports more, but newer kernels log a warning with a stack trace when it is read
    # (drivers/firmware/raspberrypi.c of raspberrypi/linux, get_throttled_show).
    if alarms:
        troubles = [THROTTLED[0][1]] if alarms[0] == "1" else []
    else:
        words = [line_of(path) for path in children(root / "sys/devices/platform", "soc*/soc*:firmware/get_throttled")]
        if not words or not re.fullmatch(r"[0-9a-f]{1,8}", words[0]):
            return []
        troubles = [trouble for bit, trouble in THROTTLED if int(words[0], 16) & bit]
    if not troubles:
        return [ok("the supply is strong enough")]
    advice = "use the supply made for this board and a short cable, and cool it; more: vcgencmd get_throttled"
    return [note(" and ".join(troubles), advice)]
