"""The status in other forms: a line for people, a few values for home automation."""

from __future__ import annotations

from typing import Any


def status_line(status: dict[str, Any]) -> str:
    """Return the status as one line for people."""
    sensor, sink = status["sensor"], status["sink"]
    if sensor["state"] == "missing":
        what = f"no sensor: {sensor['error'] or 'not opened yet'}"
    elif sensor["state"] == "silent":
        what = f"no samples for {sensor['silent_s']:.0f} s, {sensor['gaps']} gaps"
    else:
        what = f"{sensor['true_rate_hz']:.2f} Hz, {sensor['gaps']} gaps"
    trouble = f": {sink['last_error']}" if sink["last_error"] else ""
    return (
        f"{what}; {sink['accepted']:,} signatures, {sink['pending']:,} waiting{trouble}; {status['model']['name']} on "
        f"{status['device']}"
    )


def home_automation_state(status: dict[str, Any]) -> dict[str, object]:
    """Return the values that home automation gets of the status."""
    quality, last_error = status["signal_quality"], status["last_error"]
    return {
        "state": status["sensor"]["state"],
        "signal_quality": None if quality is None else round(100 * quality),
        "backlog": status["sink"]["pending"],
        "device": status["device"],
        "last_error": last_error["text"] if last_error else None,
    }
