"""The draft: the values that the files give, key by key, and all that is wrong with them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motionsig.config.files import why
from motionsig.config.keys import CREDENTIALS, OWN_KEYS, TABLES, checked_value, shown, sink_key
from motionsig.errors import InputError, MotionsigError


class Draft:
    """The values of all files; a later file wins key by key.

    given: as they are in the files; origins: in which file. values: those that passed `check_keys`. problems: one line
    each. credentials: the folder of their files. digests: of the files that keys name.
    """

    def __init__(self, path: Path, documents: Mapping[Path, Mapping[str, Any]]) -> None:
        self.path = path
        self.credentials = path.parent / "credentials"
        self.given: dict[str, Any] = {}
        self.origins: dict[str, Path] = {}
        self.values: dict[str, Any] = {}
        self.problems: list[str] = []
        self.digests: dict[str, bytes] = {}
        for file, document in documents.items():
            for name, value in document.items():
                if name not in TABLES:
                    given = {_spelt(name): value}
                elif isinstance(value, dict):
                    given = {f"{name}.{key}": one for key, one in _flat(name, value)}
                else:
                    self.note(name, f"expected one table, [{name}], got {shown(value)}", file)
                    continue
                self.given |= given
                self.origins |= dict.fromkeys(given, file)

    def note(self, key: str, problem: object, file: Path | None = None) -> None:
        """Add a problem with a key; the line names the file that the key is from."""
        text = " ".join(str(problem).split())
        for part in key.split("."):
            # A message of those who check options begins with the name of the option.
            text = text.removeprefix(f"{part}: ")
        self.problems.append(f"{file or self.origins.get(key, self.path)}: {key}: {text}")

    @contextmanager
    def noting(self, key: str) -> Iterator[None]:
        """Note an exception as a problem with a key."""
        try:
            yield
        except OSError as error:
            self.note(
                key,
                error
                if isinstance(error, MotionsigError)
                else f"{error.filename}: expected a file to read, got: {why(error)}",
            )
        except ValueError as error:
            self.note(key, error)

    def check_keys(self, scheme: str) -> None:
        """Fill `values` with those that have the type of their key."""
        secrets = {f"sink.{option}": sink_key(option).removeprefix("sink.") for option in CREDENTIALS}
        for key, value in self.given.items():
            with self.noting(key):
                if key in secrets:
                    raise InputError(
                        f"expected no secret here; put it into a file of its own in {self.credentials} that only root "
                        f'can read, and name that file: {secrets[key]} = "FILE"'
                    )
                self.values[key] = checked_value(key, value, scheme)

    def value(self, key: str) -> Any:
        """Return the value of one of `OWN_KEYS`, or its default."""
        return self.values.get(key, OWN_KEYS[key].default)

    def table(self, name: str) -> dict[str, Any]:
        """Return the values of a table."""
        return {key.partition(".")[2]: value for key, value in self.values.items() if key.startswith(f"{name}.")}


def _flat(table: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of a table, as TOML spells them, and their values; those of [exec] may have two parts."""
    for key, value in values.items():
        if table == "exec" and isinstance(value, dict):
            yield from ((f"{_spelt(key)}.{_spelt(phase)}", one) for phase, one in value.items())
        else:
            yield _spelt(key), value


def _spelt(name: str) -> str:
    """Return a key as TOML spells it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
