"""`motionsig status`: what the running daemon does, and how well."""

from __future__ import annotations

import argparse
import json
from typing import Any

from motionsig.daemon.status import ask


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("status", help="what the running daemon does, and how well", description=__doc__)
    parser.add_argument("--name", metavar="NAME", help="of motionsig@NAME")
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")
    parser.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    status = ask(options.name)
    print(json.dumps(status) if options.json else "\n".join(_lines(status)))
    return 0 if status["ready"] and status["sensor"]["state"] == "streaming" and status["sink"]["well"] else 1


def _lines(status: dict[str, Any]) -> list[str]:
    sensor, model, sink, error = (status[key] for key in ("sensor", "model", "sink", "last_error"))
    quality = status["signal_quality"]
    trial = f", on trial for {model['on_trial_for']} windows more" if model["on_trial_for"] else ""
    lines = [
        f"{status['name']}: {'running' if status['ready'] else 'starting'} since {status['since']} "
        f"({_span(status['uptime_s'])}), motionsig {status['version']}",
        f"sensor       {_sensor(sensor)}",
        f"model        {model['name']} {model['fingerprint']} in {model['folder']}{trial}",
        f"device       {status['device']}",
        f"windows      {status['windows']:,}, {status['windows_lost']:,} lost; signal quality "
        + ("not known yet" if quality is None else f"{quality:.0%} over the last 5 minutes"),
        f"signatures   {sink['accepted']:,} to {sink['url']}: {sink['delivered']:,} delivered, "
        f"{sink['pending']:,} waiting, {sink['dropped']:,} dropped",
        f"sent         {sink['bytes_today']:,} B today, {sink['payload_bytes']:,} B since the start",
    ]
    if sink["outage_fits_s"] is not None:
        lines.append(
            f"spool        {sink['spool_bytes']:,} of {sink['spool_limit_bytes']:,} B; an outage of "
            f"{_span(sink['outage_fits_s'])} fits"
        )
    if not sink["well"]:
        lines.append(f"trouble      {sink['last_error']}")
    if status["clock_steps"]:
        lines.append(f"clock        set {status['clock_steps']} times since the start")
    if status["needs_restart"]:
        lines.append(f"restart      needed for {', '.join(status['needs_restart'])}")
    if error:
        lines.append(f"last error   {error['when']}: {error['text']}")
    return lines


def _sensor(sensor: dict[str, Any]) -> str:
    if sensor["state"] == "missing":
        return f"{sensor['name']} is not there: {sensor['error'] or 'not opened yet'}"
    silent = f"silent for {_span(sensor['silent_s'])}; " if sensor["state"] == "silent" else ""
    return (
        f"{sensor['name']}: {silent}{sensor['true_rate_hz']:.2f} Hz (nominal {sensor['rate_hz']:g}), "
        f"{sensor['samples']:,} samples, {sensor['gaps']:,} gaps with {sensor['lost']:,} lost, "
        f"{sensor['recoveries']:,} recoveries"
    )


def _span(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    whole, parts = int(seconds), list[str]()
    for name, size in units:
        count, whole = divmod(whole, size)
        if count or parts or name == "s":
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
