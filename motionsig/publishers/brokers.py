"""Brokers: where one is, by URL, and how to be let in.

    mqtt://HOST[:1883]    mqtts://HOST[:8883]            TCP, without and with TLS
    ws://HOST[:80][/PATH] wss://HOST[:443][/PATH]        WebSockets: for firewalls that pass on web pages alone
    mqtt+unix:/PATH                                      a socket of this machine, which its file rights protect

Each but the last also through a proxy. No environment variable names one: what a shell happens to have set must not
decide who carries the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from motionsig.errors import InputError
from motionsig.publishers.proxies import Proxy, parse_proxy


class _Scheme(NamedTuple):
    port: int
    tls: bool = False
    websockets: bool = False


BROKER_OPTIONS = ("username", "password", "password_file", "ca", "cert", "key", "alpn", "proxy")
"""What `parse_broker` takes beside the URL."""
UNIX = "mqtt+unix"
SCHEMES = {
    "mqtt": _Scheme(1883),
    "mqtts": _Scheme(8883, tls=True),
    "ws": _Scheme(80, websockets=True),
    "wss": _Scheme(443, tls=True, websockets=True),
    UNIX: _Scheme(0),
}
_EXPECTED = "mqtt://[user[:password]@]host[:port], the same with mqtts://, ws:// or wss://, or mqtt+unix:/path"
_WEBSOCKET_PATH = "/mqtt"
"""Where brokers have their WebSockets unless told otherwise."""
_TOPIC_PART = re.compile(r"[^/+#\0\ud800-\udfff]+")
_HOST = re.compile(r"[^\s\0-\x20\x7f-\xa0]{1,255}")


@dataclass(frozen=True)
class Broker:
    """Where a broker is and how to be let in; `str` shows no secret.

    host: with mqtt+unix the path of the socket. path: of WebSockets. ca, cert, key: paths of PEM files. password_file:
    the file that has the password, in place of `password`. Files are read at each connection. alpn: the protocol that
    TLS asks for, "" for none.
    """

    scheme: str
    host: str
    port: int
    path: str = field(default="", repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    alpn: str = ""
    proxy: Proxy | None = None

    def __str__(self) -> str:
        if self.scheme == UNIX:
            return f"{UNIX}:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def tls(self) -> bool:
        return SCHEMES[self.scheme].tls

    @property
    def websockets(self) -> bool:
        return SCHEMES[self.scheme].websockets


def parse_broker(
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    password_file: str | None = None,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    alpn: str | None = None,
    proxy: str | None = None,
) -> Broker:
    """Return the broker that a URL and options name; raise InputError for what cannot be meant.

    ca, cert and key need mqtts or wss; alpn needs mqtts.
    """
    try:
        # The URL may hold a password, and a stray "/" in one makes it a host or a port: no message repeats any of it.
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InputError(f"broker URL: expected {_EXPECTED}, got one without a valid host and port") from error
    known = SCHEMES.get(parts.scheme)
    if parts.scheme == UNIX and not host:
        host, path = unquote(parts.path), ""
        if not host.startswith("/") or "\0" in host:
            raise InputError("broker URL: expected mqtt+unix:/path of a socket, got a path that does not begin with /")
    elif known is None or parts.scheme == UNIX or not _HOST.fullmatch(host):
        got = f"scheme {parts.scheme!r} and {'no host' if not host else 'what is no host for it'}"
        raise InputError(f"broker URL: expected {_EXPECTED}, got {got}")
    elif port == 0:
        raise InputError("broker URL: expected a port from 1 to 65535, got 0")
    else:
        path = _path(parts, websockets=known.websockets)
    broker = Broker(
        scheme=parts.scheme,
        host=host,
        port=SCHEMES[parts.scheme].port if port is None else port,
        path=path,
        username=unquote(parts.username) if username is None and parts.username else username,
        password=unquote(parts.password) if password is None and parts.password else password,
        password_file=password_file,
        ca=ca,
        cert=cert,
        key=key,
        alpn=_default_alpn(host, port, cert) if alpn is None and parts.scheme == "mqtts" else alpn or "",
        proxy=None if proxy is None else parse_proxy(proxy),
    )
    _check_together(broker)
    return broker


def _path(parts: SplitResult, *, websockets: bool) -> str:
    """Return the path of WebSockets, "" for other schemes, which have none."""
    if websockets:
        if re.search(r"[\s\0-\x20\x7f-\uffff]", parts.path):
            raise InputError("broker URL: expected a path of ASCII, anything else as %XX, got another one")
        return parts.path if parts.path not in ("", "/") else _WEBSOCKET_PATH
    if parts.path not in ("", "/"):
        raise InputError(f"broker URL: expected no path behind {parts.scheme}://host; topics begin with prefix=NAME")
    return ""


def _default_alpn(host: str, port: int | None, cert: str | None) -> str:
    """Return what to ask for on port 443, where more than one service may listen; "" on other ports.

    "mqtt" is the registered name. AWS IoT Core wants its own of those that log in with a certificate.
    https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html
    """
    if port != 443:
        return ""
    aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    return "x-amzn-mqtt-ca" if aws and cert is not None else "mqtt"


def _check_together(broker: Broker) -> None:
    """Raise InputError for options that do not go together, or not with the scheme."""
    if not broker.tls and (broker.ca or broker.cert or broker.key):
        raise InputError("broker URL: ca, cert and key need mqtts:// or wss://")
    if broker.key and not broker.cert:
        raise InputError("broker URL: key needs cert, the certificate it belongs to")
    check_alpn(broker.scheme, broker.alpn)
    if broker.proxy is not None and broker.scheme == UNIX:
        raise InputError("broker URL: a proxy does not reach mqtt+unix:, a socket of this machine")
    if broker.password is not None and broker.password_file is not None:
        raise InputError("broker: expected password or password_file, got both")
    if broker.password_file is not None and not broker.username:
        raise InputError("broker: password_file needs username")


def check_alpn(scheme: str, alpn: str) -> None:
    """Raise InputError for what TLS cannot ask for, or not with this scheme."""
    if alpn and scheme != "mqtts":
        raise InputError(f"alpn: expected mqtts:// with it, got {scheme}:")
    if not alpn.isascii() or len(alpn) > 255:
        raise InputError(f"alpn: expected at most 255 characters of ASCII, got {alpn!r:.80}")


def check_topic_part(name: str, value: str) -> None:
    """Raise InputError for what cannot be one level of a topic (MQTT 3.1.1, 4.7)."""
    if not _TOPIC_PART.fullmatch(value) or len(value.encode("utf-8")) > 1024:
        raise InputError(f"{name}: expected 1 to 1024 bytes of UTF-8 without /, +, # and NUL, got {value!r}")
