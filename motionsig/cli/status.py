"""`motionsig status`: what the running daemon or receiver does, and whether all is well."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from motionsig.cli.option import option
from motionsig.cli.page.listening import is_installed, where_reached
from motionsig.daemon.status_socket import NotRunningError, ask
from motionsig.errors import ConfigError
from motionsig.escaping import escaped

STARTING_S = 15.0  # the first window of a sensor takes less


def add_to(commands: Any) -> None:
    about = "what the running daemon does, and whether all is well"
    parser = commands.add_parser("status", help=about, description=__doc__)
    option(parser, "--name NAME", "of motionsig@NAME")
    option(parser, "--collect", "of the receiver, motionsig-collect")
    option(parser, "--json", "the same as one JSON object")
    parser.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    if options.collect:
        return _of_receiver(as_json=options.json)
    try:
        status = ask(options.name)
    except NotRunningError as error:
        _check_configuration(options.name, error)
        raise
    if options.json:
        print(json.dumps(status))
    else:
        print("\n".join(map(escaped, [*_lines(status), *(_page(Path("/")) if options.name is None else ())])))
    return 0 if _word(status) == "well" else 1


def _of_receiver(*, as_json: bool) -> int:
    # Imported only now: with what a receiver needs, it takes longer than to ask.
    from motionsig.daemon.collecting import NAME, is_well

    status = ask(NAME, unit=f"motionsig-{NAME}")
    print(json.dumps(status) if as_json else "\n".join(_lines_of_receiver(status, well=is_well(status))))
    return 0 if is_well(status) else 1


def _lines_of_receiver(status: dict[str, Any], *, well: bool) -> list[str]:
    lag, holes = status["lag_s"], status["holes"]
    connected = f"MQTT {status['protocol']}, as {status['client_id']}" if status["connected"] else status["last_error"]
    lines = [
        f"{'well' if well else 'trouble':<12} since {status['since']} ({_span(status['uptime_s'])}), "
        f"motionsig {status['version']}",
        f"broker       {status['broker']}, prefix {status['prefix']}: {connected or 'not connected yet'}",
        f"stored       {status['stored']:,} signatures and {status['events']:,} events of {status['messages']:,} "
        f"messages, to {status['store']}; {status['messages_per_s'] or 0:,.1f} messages a second",
        f"not stored   {status['duplicates']:,} duplicates, {status['conflicts']:,} conflicts, {status['junk']:,} "
        "messages not ours",
    ]
    if lag is not None:
        median, most = _span(lag["p50"]), _span(lag["most"])
        lines.append(f"lag          {median} at the median, {_span(lag['p99'])} for 99 %, {most} at most")
    lines.append(
        "holes        not looked for: see holes_s"
        if holes is None
        else f"holes        {holes['open']:,} open, {holes['missing']:,} signatures of {holes['devices']:,} devices "
        f"missing; {holes['found']:,} reported since the start, {holes['filled']:,} of them filled"
    )
    if status["broker_dropped"]:
        lines.append(
            f"dropped      {status['broker_dropped']:,} messages by the broker since its start, of all clients"
        )
    return lines


def _check_configuration(name: str | None, error: NotRunningError) -> None:
    """Raise NotRunningError if the service's configuration is why no daemon answers."""
    # Imported only now: it takes longer than to ask. Only root can read all files and secrets.
    from motionsig.config import DEFAULT_PATH, check_config, load_config

    if os.geteuid() or not DEFAULT_PATH.exists():
        return
    try:
        check_config(load_config(DEFAULT_PATH, name=name))
    except ConfigError as wrong:
        unit, option = ("motionsig", "") if name is None else (f"motionsig@{name}", f" --name {name}")
        raise NotRunningError(
            f"{unit} is not running, as its configuration is wrong: {wrong.problems[0]}; all that is: "
            f"sudo motionsig run --check{option}"
        ) from error


def _edgetpu(told: dict[str, Any]) -> str:
    """Return what the kernel tells of an Edge TPU as a line."""
    now, limit = (told[key] for key in ("temperature_c", "slowed_from_c"))
    heat = "temperature not told" if now is None else f"{now:.1f} °C"
    slowed = f", slowed from {limit:.1f} °C on" if limit is not None else ""
    asked = f", asks for up to {told['current_ma']} mA" if told["current_ma"] is not None else ""
    power = f", {told['power']}" if told["power"] else ""
    return f"edgetpu      {told['place']}: {heat}{slowed}{asked}{power}"


def _word(status: dict[str, Any]) -> str:
    """Return the status in one word."""
    sensor = status["sensor"]
    # A key is absent where the daemon that runs is of an earlier version.
    if status["ready"] and sensor["state"] == "streaming" and not sensor.get("trouble") and status["sink"]["well"]:
        return "well"
    return "trouble" if status["ready"] or status["uptime_s"] >= STARTING_S else "starting"


def _lines(status: dict[str, Any]) -> list[str]:
    sensor, model, sink, error = (status[key] for key in ("sensor", "model", "sink", "last_error"))
    left = model.get("trial_windows_left")
    trial = f", on trial for {left} windows more" if left else ""
    quality = "how many come without a loss is not known yet"
    if status["signal_quality"] is not None:
        quality = f"{status['signal_quality']:.0%} windows without a loss, of the last 5 minutes"
    before = sink["delivered"] - sink["accepted"]
    earlier = f" ({before:,} of them from before)" if before > 0 else ""
    lines = [
        f"{_word(status):<12} {status['name']}, since {status['since']} ({_span(status['uptime_s'])}), "
        f"motionsig {status['version']}",
        f"sensor       {_sensor(sensor)}",
        f"model        {model['name']} {model['fingerprint']} in {model['folder']}{trial}",
        f"device       {status['device']}",
        *map(_edgetpu, status.get("edgetpus", ())),
        f"windows      {status['windows']:,}, {status['windows_lost']:,} lost, {status.get('at_rest', 0):,} at rest; "
        f"{quality}",
        f"signatures   {sink['accepted']:,} since the start, to {sink['url']}: {sink['delivered']:,} delivered"
        f"{earlier}, {sink['pending']:,} waiting, {sink['dropped']:,} dropped",
        f"sent         {sink['bytes_today']:,} B today, {sink['payload_bytes']:,} B since the start",
    ]
    if sensor.get("trouble"):
        lines.insert(2, f"doubt        {sensor['trouble']}")
    if status.get("heads") and sink["url"].startswith(("mqtt", "ws")):
        lines[-2] += " (events with them)"
    lines += map(_head, status.get("heads", ()))
    if status.get("heads_error"):
        lines.append(f"heads        {status['heads_error']}")
    programs = status.get("exec", {})
    if any(programs.values()):
        lines.append(
            f"programs     {programs['started']:,} started by events, {programs['failed']:,} failed, "
            f"{programs['skipped']:,} skipped"
        )
    if above := status.get("above_grid"):
        from motionsig.quality import ABOVE_GRID_ADVICE  # not before: with numpy, it takes longer than to ask

        lines.append(f"above grid   {above:,} windows {ABOVE_GRID_ADVICE}")
    if unheard := sink.get("unheard"):
        # Absent where the daemon that runs is of an earlier version.
        lines.append(
            f"unheard      {unheard:,} of those delivered: nobody subscribed to them at the broker; start motionsig "
            "collect once, or another subscriber"
        )
    if sink["outage_fits_s"] is not None:
        used = f"{sink['spool_bytes']:,} of {sink['spool_limit_bytes']:,} B"
        lines.append(f"spool        {used}; an outage of {_span(sink['outage_fits_s'])} fits")
    if not sink["well"]:
        lines.append(f"sink         {sink['last_error']}")
    if status["clock_steps"]:
        lines.append(f"clock        set {status['clock_steps']} times since the start")
    if not status.get("clock_is_set", True):
        lines.append("clock        set by no time server and no battery: signatures have the flag UNSET_CLOCK")
    if status["needs_restart"]:
        lines.append(f"restart      needed for {', '.join(status['needs_restart'])}")
    if error:
        lines.append(f"last error   {error['when']}{' (over)' if error.get('over') else ''}: {error['text']}")
    return lines


def _page(root: Path) -> list[str]:
    """Return the line of the service's page; none where it is not installed below `root`."""
    if not is_installed(root):
        return []
    return [f"page         {where_reached() or 'cannot be reached'}; sudo motionsig page prints a link"]


def _head(head: dict[str, Any]) -> str:
    does = "off" if not head["judges"] else {True: "holds", False: "does not hold", None: "listens"}[head["holds"]]
    last = head["last"] and f", the last at {head['last']['when'][:19]}Z"
    events = f"{head['events']:,} event{'s' * (head['events'] != 1)}"
    return f"head         {head['name']} {head['fingerprint']}: {does}, {events}{last or ''}"


def _sensor(sensor: dict[str, Any]) -> str:
    if sensor["state"] == "missing":
        return f"{sensor['name']} is not there: {sensor['error'] or 'not opened yet'}"
    silent = f"silent for {_span(sensor['silent_s'])}; " if sensor["state"] == "silent" else ""
    return (
        f"{sensor['name']}: {silent}{sensor['true_rate_hz']:.2f} Hz (nominal {sensor['rate_hz']:g}), "
        f"{sensor['samples']:,} samples, {sensor['gaps']:,} gaps with {sensor['lost']:,} lost, "
        f"{sensor['recoveries']:,} recoveries{_left_out(sensor)}"
    )


def _left_out(sensor: dict[str, Any]) -> str:
    """Return the counts of samples that were left out or are to be doubted, where there are any."""
    return "".join(f", {sensor[kind]:,} {kind}" for kind in ("dead", "garbled", "doubtful") if sensor.get(kind))


def _span(seconds: float) -> str:
    """Return a duration in its two largest units."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    whole, parts = int(seconds), list[str]()
    for name, size in units:
        count, whole = divmod(whole, size)
        if count or parts or name == "s":
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
