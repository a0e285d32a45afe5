"""`motionsig convert`: a log of any format as another file, in SI units, with its times, gaps and labels."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionsig.blocks import Source
from motionsig.cli.option import option
from motionsig.cli.progress import bytes_read
from motionsig.cli.reader_options import log_path, reader_options
from motionsig.errors import InputError
from motionsig.escaping import escaped
from motionsig.recordings import inspect_recording, open_recording
from motionsig.recordings.understanding import UndecidedError
from motionsig.recordings.writing import Written, write_recording

_STREAM = "{stream}"


def add_to(commands: Any) -> None:
    parser = commands.add_parser("convert", help="a log to another format, in SI units", description=__doc__)
    parser.add_argument("log", metavar="LOG", help="a recording of any format that replay reads; - is standard input")
    out = "the file to write, ending in .msig, .parquet, .csv or .mcap; with {stream} in it, one for each stream"
    parser.add_argument("out", metavar="OUT", help=out)
    option(parser, "--option KEY=VALUE", "an option of the reader, such as acc_unit=g", action="append", default=[])
    option(parser, "--json", "what was written as one JSON object on the last line")
    parser.set_defaults(command=_convert)


def _convert(options: argparse.Namespace) -> int:
    given, log = reader_options(options.option), log_path(options.log)
    try:
        done = _written(log, options.out, given)
    except UndecidedError as error:
        # To convert is what was wanted; with the same options.
        text = str(error).replace("motionsig replay", "motionsig convert")
        text = text.replace("--to store:mine.db", shlex.quote(options.out))
        raise UndecidedError(text, error.understanding) from error
    if options.json:
        print(json.dumps({"log": options.log, "written": done}))
    return 0


def _written(log: Path, to: str, given: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Write a file for each stream that is wanted; return what was written."""
    done = list[Mapping[str, Any]]()
    assumed = dict[str, None]()
    for name, out in _wanted(log, to, given).items():
        chosen = {**given, **({} if name is None else {"stream": name})}
        with open_recording(log, **chosen) as source:
            written = _write(source, log, out)
            said = {"stream": name or given.get("stream", ""), "out": str(out), **written._asdict()}
            facts = [*source.info.facts, *getattr(source, "findings", ())]
        done.append(said | {"rate_hz": source.rate_hz, "facts": [fact._asdict() for fact in facts]})
        print(
            escaped(
                f"{out}: {written.samples:,} samples at {source.rate_hz:.6g} Hz in {written.seconds:,.1f} s, "
                f"{written.gaps:,} gap{'s' * (written.gaps != 1)}; {written.size:,} B"
            )
        )
        assumed |= {f"assumed: {fact.what}: {fact.value}": None for fact in facts if fact.how == "assumed"}
    for text in assumed:
        print(escaped(text))
    return done


def _wanted(log: Path, out: str, given: Mapping[str, str]) -> dict[str | None, Path]:
    """Return the files to write by the name of their stream, None for the one that `open_recording` chooses."""
    if _STREAM not in out:
        if Path(out).exists() and log.exists() and Path(out).samefile(log):
            raise InputError(f"OUT: expected another file than the log, got {out!r} for both")
        streams = () if "stream" in given else inspect_recording(log, **given).streams
        if len(streams) > 1:
            names = ", ".join(repr(it.name) for it in streams[:8]) + ", ..." * (len(streams) > 8)
            instead = str(Path(out).with_name(f"{Path(out).stem}-{_STREAM}{Path(out).suffix}"))
            raise InputError(
                f"OUT: expected {_STREAM} in it, as the log has {len(streams)} streams ({names}), got {out!r}; "
                f"write {shlex.quote(instead)}, or choose one with --option {shlex.quote(f'stream={streams[0].name}')}"
            )
        return {None: Path(out)}
    streams = inspect_recording(log, **given).streams
    wanted: dict[str | None, Path] = {it.name: _out_of(out, it.name) for it in streams}
    if len(set(wanted.values())) < len(wanted):
        names = ", ".join(it.name for it in streams)
        raise InputError(f"OUT: expected streams whose names differ by a letter or digit, got {names}")
    return wanted


def _out_of(out: str, stream: str) -> Path:
    return Path(out.replace(_STREAM, "".join(char if char.isalnum() else "_" for char in stream)))


def _write(source: Source, log: Path, out: Path) -> Written:
    with bytes_read(source, log) as update:
        return write_recording(source, out, update=update)
