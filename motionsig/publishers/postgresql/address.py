"""The URL of a database, as libpq reads it, and a connection to it. Nothing here shows a password."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from motionsig.errors import InputError, MissingExtraError, SinkError
from motionsig.hints import did_you_mean, install_hint

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_DEADLINES = {
    "connect_timeout": ("PGCONNECT_TIMEOUT", "10"),
    "keepalives_idle": ("", "10"),
    "keepalives_interval": ("", "5"),
    "keepalives_count": ("", "3"),
    "tcp_user_timeout": ("", "30000"),
}
"""Parameters of libpq, each with its environment variable and the value where neither says anything: a server that is
gone without a word is noticed within half a minute."""


@dataclass(frozen=True)
class Address:
    """Where a database is. shown: its URL without a password; parameters: what libpq is told."""

    shown: str
    parameters: dict[str, str] = field(repr=False)


def require_psycopg() -> Any:
    """Return the driver; raise MissingExtraError where it is not installed, or finds no libpq."""
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError(
            f"PostgreSQL needs psycopg ({error}): {install_hint('psycopg')}; and libpq: apt install libpq5"
        ) from error
    return psycopg


def parse_address(url: str, options: Collection[str] = ()) -> Address:
    """Read a URL without options of ours; raise InputError for one that libpq would not take.

    options: those of ours that the URL might have had, for the error.
    """
    psycopg = require_psycopg()
    scheme = url.partition(":")[0]
    # libpq's own errors repeat the URL, so they are neither shown nor chained.
    unclear = InputError(
        f"expected {scheme}://[USER[:PASSWORD]@]HOST[:PORT]/DB[?NAME=VALUE&...], in user and password %40 for "
        "@, %3A for :, %2F for / and %3F for ?; got another URL"
    )
    try:
        parameters: dict[str, str] = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        known = {default.keyword.decode() for default in psycopg.pq.Conninfo.get_defaults()}
        names = [piece.partition("=")[0] for piece in url.partition("?")[2].split("&")]
        strange = [name for name in names if name not in known]
        if "@" in url.partition("?")[2] or not strange:
            raise unclear from None
        meant = did_you_mean(strange[0], {*options, *known}) or ";"
        listing = f"the options are {', '.join(sorted(options))}" if options else "there are no options of ours"
        raise InputError(
            f"{scheme}: expected an option or a parameter of libpq, got {strange[0]!r}{meant} {listing}"
        ) from None
    host, port, database = (str(parameters.get(name, "")) for name in ("host", "port", "dbname"))
    if "@" in host + database or not re.fullmatch(r"[\d,]*", port):
        raise unclear
    user = parameters.get("user")
    shown = f"postgresql://{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}/{database}"
    if "service" in parameters:
        shown += f" (service {parameters['service']})"
    elif "PGSERVICE" not in os.environ:
        for name, (variable, value) in _DEADLINES.items():
            if variable not in os.environ:
                parameters.setdefault(name, value)
    return Address(shown, parameters)


def connect(address: Address) -> Connection:
    """Return a connection in which each statement is a transaction of its own; raise SinkError where there is none."""
    psycopg = require_psycopg()
    told: dict[str, Any] = {"fallback_application_name": "motionsig", **address.parameters, "client_encoding": "UTF8"}
    try:
        connection: Connection = psycopg.connect(**told, autocommit=True)
    except psycopg.OperationalError as error:
        raise SinkError(f"{address.shown}: cannot be reached: {one_line(error)}") from error
    return connection


def one_line(error: Exception) -> str:
    """Return what the server or libpq said, without its line breaks."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
