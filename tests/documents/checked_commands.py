"""What commands in documents name, held against the product: its argument parsers, scripts, extras, units and keys.

Nothing is run. A word in capitals stands for what the reader puts there, and so does a part in angle brackets or "...".
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import functools
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from unittest import mock

from documents import ROOT
from shell_lines import Command, split_words

from motionsig import recordings
from motionsig.cli import command_line, export
from motionsig.collector import collect_options
from motionsig.encoders import shipped_models
from motionsig.encoders.models import check_device
from motionsig.errors import InputError
from motionsig.options import keyword_options, parse_options
from motionsig.publishers import AT_REST, SCHEMES, sink_options, split_url
from motionsig.publishers.stores import STORE_SCHEMES, store_options
from motionsig.sensors import CHIPS
from motionsig.sensors.chips import SIMULATED_CHIP

PROGRAMS = frozenset((
    "motionsig", "python", "python3", "pip", "pipx", "systemctl", "journalctl", "sh", "bash", "git", "apt", "apt-get",
    "cat", "cd", "cp", "scp", "ssh", "tee", "umask", "openssl", "nano", "raspi-config", "i2cdetect", "mosquitto_sub",
    "mosquitto_passwd", "docker", ".", "source", "mkdir", "echo", "reboot", "curl", "chown",
))  # fmt: skip
"""The programs that documents may show."""

_FOREIGN_UNITS = {"mosquitto"}
_TREE = re.compile(r"(scripts|systemd|tests|motionsig|firmware_models|\.github|\.ci)/[\w./@-]*[\w/]")
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*|<.*>|\.\.\.|…")
_NUMBERS = {"N", "S", "R", "G", "D", "HZ"}
"""The placeholders for numbers, as the commands' own help has them."""

_ONLY_SHORT = ("the following arguments are required", "expected one argument", "expected at least one argument")
"""What argparse says of a command that stands in a sentence, without all that it takes."""

_PARSE_ONLY = """
import argparse, runpy, sys
whole = sys.argv.pop(1) == "whole"
parse = argparse.ArgumentParser.parse_args
def parse_only(self, *given):
    for action in self._actions:
        action.required = action.required and whole
    parse(self, *given)
    raise SystemExit(0)
argparse.ArgumentParser.parse_args = parse_only
run = runpy.run_module if sys.argv[1] == "-m" else runpy.run_path
name = sys.argv[2]
sys.argv = sys.argv[2:]
run(name, run_name="__main__")
raise SystemExit("expected a script that parses its arguments, got one that does not")
"""


class _Refused(Exception):
    pass


def problems_of_command(command: Command, made: set[str], *, whole: bool = True) -> Iterator[str]:
    """Yield what is wrong with a command.

    made: the models' folders that commands of the same document make. whole: False for one in a sentence, which need
    not show all that it takes.
    """
    program, *words = command.words
    name = program.rpartition("/")[2]
    for word in command.words:
        path = word.rpartition("=")[2]
        if _TREE.fullmatch(path) and not is_placeholder(path.rpartition("/")[2]) and not (ROOT / path).exists():
            yield f"expected a file of the tree, got {path}"
    if name == "motionsig":
        yield from _problems_of_motionsig(words, made, whole)
    elif program.startswith("scripts/"):
        yield from _problems_of_script(program, words, whole)
    elif re.fullmatch(r"python3?", name):
        if words[:2] == ["-m", "motionsig"]:
            yield from _problems_of_motionsig(words[2:], made, whole)
        elif words[:2] == ["-m", "pip"]:
            yield from _problems_of_pip(words[2:])
        elif words and words[0] == "-m" and words[1].startswith("scripts."):
            yield from _problems_of_python(["-m", *words[1:]], whole)
        elif words and words[0].startswith("scripts/"):
            yield from _problems_of_python(["-p", *words], whole)
    elif name == "pip":
        yield from _problems_of_pip(words)
    elif name in ("systemctl", "journalctl"):
        yield from _problems_of_units(name, words)
    elif name in ("sh", "bash") and "-c" in words:
        for inner in split_words(words[words.index("-c") + 1]):
            yield from problems_of_command(inner, made, whole=whole)
    elif name not in PROGRAMS:
        yield f"expected a program that is known, got {program}"


def is_placeholder(word: str) -> bool:
    """Return whether a word, but for its ending, stands for something that the reader puts there."""
    word = re.sub(r"\.[a-z]+$", "", word)
    return _PLACEHOLDER.search(word) is not None and _PLACEHOLDER.sub("", word).strip(".:/-_|") == ""


def parsed(words: list[str], *, whole: bool = True) -> argparse.Namespace | None:
    """Return what `motionsig WORDS` is asked for; None for --help, --version, and what is not whole and need not be.

    Raises InputError for what it refuses.
    """

    def refuse(_: argparse.ArgumentParser, message: str) -> None:
        raise _Refused(message)

    words = ["1" if word in _NUMBERS else word for word in words]
    with mock.patch.object(command_line._Parser, "error", refuse), contextlib.redirect_stdout(io.StringIO()):
        try:
            return command_line._parse(words, 0.0)
        except SystemExit:
            return None
        except _Refused as error:
            if not whole and any(short in str(error) for short in _ONLY_SHORT):
                return None
            raise InputError(str(error)) from error


def _problems_of_motionsig(words: list[str], made: set[str], whole: bool) -> Iterator[str]:
    try:
        options = parsed(words, whole=whole)
    except InputError as error:
        yield f"motionsig: {error}"
        return
    given = {} if options is None else vars(options)
    command = next((word for word in words if not word.startswith("-")), "")
    checks = {
        "to": problem_of_sink, "source": _problem_of_stored, "store": _problem_of_stored, "broker": _problem_of_broker,
        "sensor": problem_of_sensor, "model": lambda model: _problem_of_model(model, made),
    }  # fmt: skip
    if command == "replay":
        checks |= {"device": problem_of_device, "option": _problem_of_reader_options}
    if command == "export":
        checks["out"] = _problem_of_export
    for name, check in checks.items():
        if given.get(name) and (problem := check(given[name])):
            yield f"motionsig {command}: {problem}"


def problem_of_sink(url: str) -> str:
    """Return what is wrong with a sink's URL and the options in it."""
    return _problem_of_url(url, SCHEMES, sink_options)


def _problem_of_stored(url: str) -> str:
    return _problem_of_url(url, AT_REST, lambda scheme: store_options(scheme) if scheme in STORE_SCHEMES else {})


def _problem_of_broker(url: str) -> str:
    return _problem_of_url(url, ("mqtt", "mqtts"), lambda _: collect_options())


def _problem_of_url(url: str, schemes, options_of) -> str:
    if is_placeholder(url):
        return ""
    try:
        scheme, _, query = split_url(url)
        if scheme not in schemes:
            return f"{url}: expected one of {', '.join(schemes)}, got {scheme or 'no scheme'}"
        known = options_of(scheme)
        given = {name: value for name, value in query.items() if name not in known or not is_placeholder(value)}
        parse_options(given, known, where=url, lowest=0)
    except InputError as error:
        return str(error)
    return ""


def problem_of_sensor(name: str) -> str:
    """Return what is wrong with a sensor's name."""
    kind, _, rest = name.partition(":")
    known = {"auto", "iio", *CHIPS} if not rest else {"iio"}
    well = (
        kind in known
        or name in ("simulated", f"simulated:{SIMULATED_CHIP}", "simulated:lesson", "simulated:turns", "phone")
        or is_placeholder(name)
    )
    return "" if well else f"expected a sensor, got {name}"


def problem_of_device(device: str) -> str:
    """Return what is wrong with a device for the network."""
    try:
        check_device(re.sub(r":N$", ":1", device))
    except InputError as error:
        return "" if is_placeholder(device) else str(error)
    return ""


def _problem_of_model(model: str, made: set[str]) -> str:
    well = model in shipped_models() or model.rstrip("/") in made or is_placeholder(model.rpartition("/")[2])
    return "" if well or model.endswith(".tflite") else f"expected a shipped model or a folder made here, got {model}"


def _problem_of_reader_options(options: list[str]) -> str:
    known: dict[str, str] = {}
    for reader in recordings._readers():
        known |= keyword_options(reader.open)
    given = dict(option.partition("=")[::2] for option in options)
    if is_placeholder("".join(given)):
        return ""
    try:
        parse_options(given, known, where="--option")
    except InputError as error:
        return str(error)
    return ""


def _problem_of_export(out) -> str:
    return (
        "" if out.suffix in export._WRITERS or is_placeholder(out.name) else f"expected .csv, .npz or .parquet: {out}"
    )


def _problems_of_script(script: str, words: list[str], whole: bool) -> Iterator[str]:
    path = ROOT / script
    if not path.is_file():
        return  # which is said already
    text = path.read_text(encoding="utf-8")
    if not text.startswith("#!/usr/bin/env bash"):
        yield from _problems_of_python(["-p", script, *words], whole)
    elif (synopsis := re.search(r'^arguments "(.*?)" ', text, re.M)) is not None:
        # The function that each script asks itself; it does nothing else.
        ask = 'source scripts/environment; arguments "$@"'
        # Words that need not be checked, as what follows belongs to another program.
        most = 2 if "${@:1:2}" in text else len(words)
        command = ["bash", "-c", ask, script, synopsis[1], *words[:most]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        if done.returncode:
            yield done.stderr.strip()


def _problems_of_python(words: list[str], whole: bool) -> Iterator[str]:
    command = [sys.executable, "-c", _PARSE_ONLY, "whole" if whole else "part", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if done.returncode:
        yield f"{words[1]}: {done.stderr.strip().splitlines()[-1]}"


@functools.cache
def extras() -> frozenset[str]:
    """Return the extras that setup.cfg declares."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    return frozenset(settings["options.extras_require"])


def _problems_of_pip(words: list[str]) -> Iterator[str]:
    for word in words:
        if (named := re.fullmatch(r"(?:\.|motionsig|.*/motionsig)\[([\w,-]+)\].*", word)) is not None:
            for extra in sorted(set(named[1].split(",")) - extras()):
                yield f"expected an extra of setup.cfg, got {extra}"


def _problems_of_units(program: str, words: list[str]) -> Iterator[str]:
    if program == "journalctl":
        units = [unit for flag, unit in pairwise(words) if flag in ("-u", "--unit")]
        units += [word.removeprefix("-u") for word in words if re.fullmatch(r"-u.+", word)]
    else:
        units = [word for word in words if not word.startswith("-")][1:]
    for unit in units:
        file = re.sub(r"@.+", "@", unit.removesuffix(".service")) + ".service"
        if unit not in _FOREIGN_UNITS and not (ROOT / "systemd" / file).is_file():
            yield f"expected a unit of systemd/, got {unit}"


@functools.cache
def all_options() -> frozenset[str]:
    """Return every option of every command and script, as "--name" or "-n"."""
    found = set(re.findall(r"(?<!\w)--[a-z][\w-]*", _scripts_options()))
    parsers = []
    real = command_line._Parser.__init__

    def remember(self, *args, **kwargs) -> None:
        parsers.append(self)
        real(self, *args, **kwargs)

    with mock.patch.object(command_line._Parser, "__init__", remember):
        command_line._parse([], 0.0)
    return frozenset(found.union(*(parser._option_string_actions for parser in parsers)))


def _scripts_options() -> str:
    files = [path for path in (ROOT / "scripts").rglob("*") if path.is_file() and path.suffix in ("", ".py")]
    texts = [path.read_text(encoding="utf-8") for path in files if "__pycache__" not in path.parts]
    return "\n".join(
        line for text in texts for line in text.splitlines() if line.startswith("arguments ") or '"--' in line
    )
