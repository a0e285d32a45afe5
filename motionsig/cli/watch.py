"""`motionsig watch`: what heads find in a live sensor, in logs or in stored signatures, as it happens.

A folder stands for the recordings in it. Without --head, all heads of the model are judged.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

from motionsig.blocks import SampleBlock, Source
from motionsig.cli.complaining import complain
from motionsig.cli.invitation import show_invitation
from motionsig.cli.option import option
from motionsig.cli.progress import bytes_done, progress
from motionsig.cli.reader_options import reader_options
from motionsig.cli.replay.logs import find_logs
from motionsig.cli.replay.making import open_quietly
from motionsig.cli.shown_events import event_line
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_S
from motionsig.encoders import DEVICES, Encoder
from motionsig.encoders.models import find_model
from motionsig.encoders.tflite import printable
from motionsig.errors import HeadError, InputError, RecordingError
from motionsig.events import Event, duration, to_json
from motionsig.heads import HeadCard, all_heads
from motionsig.options import parse_options
from motionsig.publishers import iter_signatures
from motionsig.publishers.local import Stored
from motionsig.recordings import open_recording
from motionsig.sensors import open_sensor
from motionsig.watching import Asked, kind_of, watch, watch_stored

_SENSOR_OPTIONS = {
    "bus": "str", "address": "int", "chip": "str",
    "rate_hz": "float", "accel_range_g": "float", "gyro_range_dps": "float", "bus_clock_hz": "int", "baud": "int",
}  # fmt: skip
_SILENT_BLOCKS = 3  # an empty block comes once a second while a sensor gives nothing


def add_to(commands: Any) -> None:
    parser = commands.add_parser("watch", help="what heads find, live or in logs", description=__doc__)
    sources = "a sensor (auto, iio, phone, simulated or a chip), logs and folders of logs, or store:PATH"
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help=sources)
    heads = "a head's name or folder; more than once for several. Without it: all of this model"
    option(parser, "--head NAME", heads, action="append", dest="heads")
    option(parser, "--json", "one JSON object a line, as a broker gets it")
    option(parser, "--hop N", "grid samples between windows; by default those of .16 s", type=int)
    option(parser, "--model NAME", "a shipped model or a model folder")
    option(parser, "--device DEVICE", f"what runs the network: {DEVICES}; auto by default", default="auto")
    option(parser, "--name DEVICE", "device in the events; by default who recorded the log, else this host")
    option(
        parser,
        "--option KEY=VALUE",
        "an option of the sensor or reader, such as rate_hz=100",
        action="append",
        default=[],
    )
    parser.set_defaults(command=_watch)


def _watch(options: argparse.Namespace) -> int:
    kinds = {kind_of(source) for source in options.sources}
    if len(options.sources) > 1 and kinds != {"log"}:
        raise InputError(f"SOURCE: expected several of logs only, got {', '.join(options.sources)}")
    card = find_model(options.model)
    asked = Asked(options.heads or _all_of(card.fingerprint))
    # A service manager sends SIGTERM and a lost ssh connection SIGHUP: both end it as an interrupt does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    said, failed = _Said(as_json=options.json), 0
    try:
        if kinds == {"sensor"}:
            _live(options, asked, said)
        elif kinds == {"stored"}:
            parts = iter_signatures(options.sources[0], fingerprint=asked.encoder)
            said.take_all(watch_stored(said.counting(parts), asked, name=options.name), of_devices=True)
        else:
            failed = _logs(options, asked, said)
    except KeyboardInterrupt:
        said.end()
        raise
    said.end()
    return min(failed, 1)


def _all_of(encoder: bytes) -> list[HeadCard]:
    """Return all heads of an encoder, of those that can be judged; say why others cannot."""
    cards = list[HeadCard]()
    for head in all_heads().values():
        try:
            if isinstance(head, HeadError):
                raise head
            if head.encoder == encoder:
                cards += Asked(head).cards
        except HeadError as error:
            complain(error)
    if not cards:
        raise HeadError(f"heads: expected heads of encoder {encoder.hex()}, got none; `motionsig heads` lists all")
    return cards


def _live(options: argparse.Namespace, asked: Asked, said: _Said) -> None:
    given = parse_options(reader_options(options.option), _SENSOR_OPTIONS, where="--option:", lowest=0)
    with (
        open_sensor(options.sources[0], invite=show_invitation, **given) as sensor,
        open_quietly(options.model, options.device) as encoder,
    ):
        names = ", ".join(card.name for card in asked.cards)
        print(
            f"watching {printable(sensor.info.name)} at {sensor.rate_hz:g} Hz for {names}; ^C ends it", file=sys.stderr
        )
        _through(sensor, encoder, options, asked, said, lambda samples: None)


def _logs(options: argparse.Namespace, asked: Asked, said: _Said) -> int:
    """Go through logs; return how many could not be read."""
    given = reader_options(options.option)
    found = find_logs(options.sources, {}, given)
    failed = len(found.closed)
    for error in found.closed:
        complain(error)
    if not found.logs and not failed:
        listed = ", ".join(options.sources)
        raise InputError(f"{listed}: expected a recording, got {len(found.others)} files of which none is one")
    total = sum(log.size for log in found.logs)
    with open_quietly(options.model, options.device) as encoder, progress("", total, "B") as bar:
        for number, log in enumerate(found.logs, 1):
            bar.set_postfix_str(f"{number:,} of {len(found.logs):,} logs")
            read_bytes = 0.0
            said.begin(bar.write, log.name if len(found.logs) > 1 else "")
            try:
                with open_recording(log.path, **log.options(given)) as source:

                    def update(samples: int, source: Source = source, size: int = log.size) -> None:
                        nonlocal read_bytes
                        done = bytes_done(source, size, read_bytes, samples)
                        bar.update(done - read_bytes)
                        read_bytes = done

                    _through(source, encoder, options, asked, said, update)
            except (RecordingError, InputError) as error:
                if len(found.logs) == 1:
                    raise
                # One bad log must not keep the others from being watched.
                failed += 1
                complain(error)
            bar.update(log.size - read_bytes)
    return failed


def _through(
    source: Source,
    encoder: Encoder,
    options: argparse.Namespace,
    asked: Asked,
    said: _Said,
    update: Callable[[int], object],
) -> None:
    counted = _Counted(source, said, update)
    # Closed, however the loop ends: so nothing is read any more when the sensor is.
    with closing(watch(counted, asked.cards, encoder=encoder, hop=options.hop, name=options.name)) as events:  # type: ignore[type-var]
        said.take_all(events)


class _Said:
    """Prints events, and counts them and the time that was looked through."""

    def __init__(self, *, as_json: bool) -> None:
        self.covered_s = 0.0
        self._as_json, self._events = as_json, 0
        self.begin(print, "")

    def begin(self, write: Callable[[str], object], where: str) -> None:
        """Print with `write`, and behind each line for people `where` its event is from."""
        self._write, self._where = write, f"  {printable(where)}" if where else ""

    def take_all(self, events: Iterable[Event], *, of_devices: bool = False) -> None:
        """Print events. of_devices: behind each line for people stands its device."""
        for event in events:
            self._events += 1
            where = f"  {printable(event.device)}" if of_devices else self._where
            self._write(to_json(event).decode() if self._as_json else f"{event_line(event)}{where}")
            sys.stdout.flush()

    def counting(self, parts: Iterable[Stored]) -> Iterator[Stored]:
        """Pass stored signatures on, and count their time."""
        for part in parts:
            self.covered_s += len(part.seq) * part.signatures.hop_ns / NS_PER_S
            yield part

    def end(self) -> None:
        """Say on standard error how many there were, as no line says it where there were none."""
        count = f"{self._events:,} event{'s' * (self._events != 1)}" if self._events else "no events"
        print(f"{count} in {duration(self.covered_s)}", file=sys.stderr)


class _Counted(Closing):
    """A source, whose samples are counted as they pass; where they stay away it is said once, with the reason."""

    def __init__(self, source: Source, said: _Said, update: Callable[[int], object]) -> None:
        self.rate_hz, self.info = source.rate_hz, source.info
        self._source, self._said, self._update = source, said, update

    def __iter__(self) -> Iterator[SampleBlock]:
        empty = 0
        for block in self._source:
            empty = 0 if len(block) else empty + 1
            if empty == _SILENT_BLOCKS:
                why = getattr(self._source, "trouble", None) or "the sensor does not answer; trying again"
                complain(f"no samples: {why}")
            self._said.covered_s += len(block) / self.rate_hz
            self._update(len(block))
            yield block
