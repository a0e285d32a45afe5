"""How commands show events and times to people."""

from __future__ import annotations

import datetime

from motionsig.conventions import NS_PER_S
from motionsig.events import BEGAN, ONCE, Event, duration


def local_time(time_ns: int) -> str:
    """Return a moment in this machine's time zone, to a tenth of a second, with the zone."""
    # datetime has no nanoseconds, and a float has not enough of them.
    seconds, rest = divmod(time_ns, NS_PER_S)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone()
    zone = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest * 10 // NS_PER_S}{zone[:3]}:{zone[3:5]}"


def event_line(event: Event) -> str:
    """Return when an event began, which it is, how long it lasted and its score."""
    what = event.head if event.phase == ONCE else f"{event.head} {event.phase}"
    # What has just begun goes on.
    lasted = "" if event.phase == BEGAN else duration(event.duration_s)
    return f"{local_time(event.start_ns)}  {what:<20}  {lasted:>9}  score {event.score:.2f}"
