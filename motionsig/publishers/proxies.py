"""Connections through a proxy: HTTP's CONNECT (RFC 9110, 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

paho leaves both to PySocks, whose last version is of 2019. What an MQTT connection needs of them is one request and one
answer each, which these few lines speak. The proxy looks up the broker's name: behind a firewall there may be no DNS.
"""

from __future__ import annotations

import base64
import re
import socket
import struct
import time
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from motionsig.errors import InputError

_PORTS = {"http": 3128, "socks5": 1080}
_EXPECTED = "http://[user[:password]@]host[:port] or the same with socks5://"
_MOST_HEADER_BYTES = 16384
_REFUSALS = {
    2: "its rules do not allow it",
    3: "it cannot reach the network",
    4: "it cannot reach the host",
    5: "the host refused the connection",
    6: "the time to live expired",
}
"""What SOCKS5 answers (RFC 1928, 6); all other numbers are failures without a cause."""


@dataclass(frozen=True)
class Proxy:
    """A proxy; `str` and `repr` show no password."""

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"proxy {self.scheme}://{host}:{self.port}"


def parse_proxy(url: str) -> Proxy:
    """Return the proxy that a URL names; raise InputError, which does not repeat the URL, for any other."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"proxy: expected {_EXPECTED}, got one without a valid host and port") from error
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InputError(f"proxy: expected {_EXPECTED}, got something else")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if password and not username:
        raise InputError("proxy: expected a user with the password, got none")
    if max(len(username.encode()), len(password.encode())) > 255 or (parts.scheme == "http" and ":" in username):
        raise InputError("proxy: expected user and password of at most 255 bytes each, without : in the user's name")
    return Proxy(parts.scheme, host, port or _PORTS[parts.scheme], username or None, password or None)


def pass_through(sock: socket.socket, proxy: Proxy, host: str, port: int, deadline_s: float) -> None:
    """Have the proxy at the other end of `sock` connect to host and port; raise OSError where it does not in time.

    deadline_s: time.monotonic(). Not a byte of what the host says is read.
    """
    ask = _connect if proxy.scheme == "http" else _socks5
    ask(_Exchange(sock, proxy, deadline_s), proxy, host, port)


@dataclass(frozen=True)
class _Exchange:
    """Sends and reads exactly so much until a deadline; raises OSError for an end before that, or for none by then."""

    sock: socket.socket
    proxy: Proxy
    deadline_s: float

    def send(self, data: bytes) -> None:
        self._limit()
        self.sock.sendall(data)

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            self._limit()
            try:
                more = self.sock.recv(size - len(data))
            except TimeoutError:
                continue
            if not more:
                raise ConnectionError(f"{self.proxy}: it ended the connection in place of an answer")
            data += more
        return data

    def _limit(self) -> None:
        left_s = self.deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"{self.proxy}: no answer in time; is it a proxy for {self.proxy.scheme}?")
        self.sock.settimeout(left_s)


def _connect(exchange: _Exchange, proxy: Proxy, host: str, port: int) -> None:
    name = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
    if proxy.username is not None:
        login = base64.b64encode(f"{proxy.username}:{proxy.password or ''}".encode()).decode("ascii")
        lines.append(f"Proxy-Authorization: Basic {login}")
    exchange.send(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        if len(answer) > _MOST_HEADER_BYTES:
            raise ConnectionError(f"{proxy}: expected an HTTP answer, got more than {_MOST_HEADER_BYTES:,} bytes")
        # One by one: what follows is the broker's.
        answer += exchange.read(1)
        if answer[:5] != b"HTTP/"[: len(answer)]:
            raise ConnectionError(f"{proxy}: expected an HTTP answer, got something else; is it an HTTP proxy?")
    status = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    code = int(status[1]) if status else 0
    if not 200 <= code < 300:
        why = {403: ": its rules do not allow it", 407: ": it wants a user and a password"}.get(code, "")
        raise ConnectionError(f"{proxy}: it refused to connect to {host}:{port} with HTTP status {code}{why}")


def _socks5(exchange: _Exchange, proxy: Proxy, host: str, port: int) -> None:
    exchange.send(b"\5\1\0" if proxy.username is None else b"\5\2\0\2")
    version, method = exchange.read(2)
    if version != 5:
        raise ConnectionError(f"{proxy}: expected an answer of SOCKS5, got something else; is it a SOCKS5 proxy?")
    if method == 2 and proxy.username is not None:
        username, password = proxy.username.encode(), (proxy.password or "").encode()
        exchange.send(b"\1" + bytes([len(username)]) + username + bytes([len(password)]) + password)
        if exchange.read(2)[1]:
            raise ConnectionError(f"{proxy}: it refused the user and the password")
    elif method:
        raise ConnectionError(f"{proxy}: it wants {'a user and a password' if method == 255 else 'another login'}")
    name = host.encode("ascii") if ":" in host else host.encode("idna")
    exchange.send(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack(">H", port))
    _, refusal, _, kind = exchange.read(4)
    if refusal:
        why = _REFUSALS.get(refusal, f"failure {refusal}")
        raise ConnectionError(f"{proxy}: it did not connect to {host}:{port}: {why}")
    # The address that it connects from, which nobody needs: of IPv4, a name or IPv6.
    exchange.read({1: 4, 4: 16}.get(kind) or exchange.read(1)[0])
    exchange.read(2)
