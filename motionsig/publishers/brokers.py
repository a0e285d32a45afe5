"""Brokers: where one is, how to be let in, and what checks its certificate."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from motionsig.errors import InputError

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
HANDSHAKE_TIMEOUT_S = 10.0
_TOPIC_PART = re.compile(r"[^/+#\0\ud800-\udfff]+")


@dataclass(frozen=True)
class Broker:
    """Where a broker is and how to be let in; `str` shows no password. ca, cert, key: paths of PEM files."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse_broker(url: str, *, username: str | None = None, password: str | None = None, **pem: str | None) -> Broker:
    """Return the broker of mqtt://[user[:password]@]host[:port] or mqtts://…; raise InputError for any other URL.

    pem: ca, cert and key of the broker, which need mqtts.
    """
    parts = urlsplit(url)
    # The URL may hold a password, so no message may repeat it.
    expected = "expected mqtt://[user[:password]@]host[:port] or the same with mqtts://"
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"broker URL: {expected}, got one without a valid host and port: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise InputError(f"broker URL: {expected}, got scheme {parts.scheme!r} and host {host or ''!r}")
    if parts.path not in ("", "/"):
        raise InputError(f"broker URL: {expected}, got path {parts.path!r} behind it; topics begin with prefix=NAME")
    tls = parts.scheme == "mqtts"
    if not tls and any(pem.values()):
        raise InputError("broker URL: ca, cert and key need mqtts://")
    if pem.get("key") and not pem.get("cert"):
        raise InputError("broker URL: key needs cert, the certificate it belongs to")
    return Broker(
        host=host,
        port=DEFAULT_PORTS[parts.scheme] if port is None else port,
        tls=tls,
        username=unquote(parts.username) if username is None and parts.username else username,
        password=unquote(parts.password) if password is None and parts.password else password,
        **pem,
    )


def check_topic_part(name: str, value: str) -> None:
    """Raise InputError for what cannot be one level of a topic (MQTT 3.1.1, 4.7)."""
    if not _TOPIC_PART.fullmatch(value) or len(value.encode("utf-8")) > 1024:
        raise InputError(f"{name}: expected 1 to 1024 bytes of UTF-8 without /, +, # and NUL, got {value!r}")


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho (1.6.1 and 2.2.0) leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            # paho 1.6.1 waits as long as the keep-alive, and 2.2.0 half as long as this.
            self.settimeout(HANDSHAKE_TIMEOUT_S)
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(broker: Broker) -> ssl.SSLContext | None:
    """Return what checks the broker's certificate and name, None without TLS; raise InputError for unreadable files."""
    if not broker.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca)
        context.sslsocket_class = _ClosingSocket
        if broker.cert is not None:
            context.load_cert_chain(broker.cert, broker.key)
    except (OSError, ssl.SSLError) as error:
        given = ", ".join(path for path in (broker.ca, broker.cert, broker.key) if path)
        raise InputError(f"{broker}: expected readable PEM files, got {given}: {error}") from error
    return context
