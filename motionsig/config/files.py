"""The files: config.toml, then conf.d/*.toml beside it by name, then for an instance its NAME.toml."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from motionsig.errors import ConfigError
from motionsig.files import read_file

DEFAULT_PATH = Path("/etc/motionsig/config.toml")
MAX_FILE_BYTES = 64 * 1024

_FIRST = (
    "; sudo scripts/install, in a clone, sets the service up and puts an example there; or --config FILE names one of "
    'your own, such as: [sensor] name = "simulated" [sink] url = "store:signatures.db", a key a line'
)


def read_files(path: Path, name: str | None) -> dict[Path, dict[str, Any]]:
    """Return the content of each file, in their order; raise ConfigError with all that cannot be read."""
    files, problems = [path], []
    folder = path.parent / "conf.d"
    try:
        parts = sorted(each.name for each in os.scandir(folder) if each.name.endswith(".toml") and each.name[0] != ".")
        files += [folder / part for part in parts]
    except FileNotFoundError:
        pass
    except OSError as error:
        problems.append(f"{folder}: expected a folder to read, got: {why(error)}")
    if name is not None:
        if not re.fullmatch(r"[A-Za-z0-9_@:-][A-Za-z0-9_@:.-]{0,99}", name) or f"{name}.toml" == path.name:
            raise ConfigError(
                f"{path}: --name: expected the name of an instance, which has a file NAME.toml, got {name!r}"
            )
        files.append(path.with_name(f"{name}.toml"))
    documents = {}
    for file in files:
        try:
            documents[file] = _read_toml(file)
        except ConfigError as error:
            problems += error.problems
    # Then the keys are not checked, as some may be in those files.
    if problems:
        raise ConfigError(*problems)
    return documents


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        content, _ = read_file(file, MAX_FILE_BYTES)
    except OSError as error:
        nothing = isinstance(error, FileNotFoundError) and file == DEFAULT_PATH
        raise ConfigError(f"{file}: expected a file to read, got: {why(error)}{_FIRST * nothing}") from error
    try:
        # Some editors begin with a byte order mark.
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ConfigError(f"{file}: expected TOML, got too many brackets in brackets") from error
    except ValueError as error:
        raise ConfigError(f"{file}: expected TOML, got: {error}{_hint(str(error))}") from error


def _hint(message: str) -> str:
    """Return advice for the most frequent mistakes in TOML."""
    if message.startswith("Invalid value"):
        return ' (text stands in straight quotes: name = "simulated")'
    twice = re.match(r"Cannot declare \('(\w+)',\) twice", message)
    return f"; its keys belong below one [{twice[1]}], or into a file in conf.d/" if twice else ""


def why(error: OSError) -> str:
    """Return why a file cannot be read, and who can read it."""
    return f"{error.strerror}{'; sudo motionsig run --check' if isinstance(error, PermissionError) else ''}"
