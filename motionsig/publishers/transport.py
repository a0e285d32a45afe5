"""From a broker to a socket that speaks to it: files, TCP or a Unix socket, a proxy, TLS.

paho would do some of this, some of it only with PySocks, and some only from version 2 on. Here everything is done in
one place, with one deadline, and each socket that fails is closed. Certificates, keys and passwords are read anew for
each connection: they may have been renewed since.
"""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

from motionsig.errors import InputError
from motionsig.files import read_file
from motionsig.publishers.brokers import UNIX, Broker
from motionsig.publishers.proxies import pass_through

CONNECT_TIMEOUT_S = 5.0
HANDSHAKE_TIMEOUT_S = 10.0
_MOST_SECRET_BYTES = 4096


def tls_context(broker: Broker) -> ssl.SSLContext | None:
    """Return what checks the broker's certificate and name, None without TLS; raise InputError for unreadable files."""
    if not broker.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=broker.ca)
        if broker.cert is not None:
            context.load_cert_chain(broker.cert, broker.key)
    except (OSError, ssl.SSLError) as error:
        given = ", ".join(path for path in (broker.ca, broker.cert, broker.key) if path)
        raise InputError(f"{broker}: expected readable PEM files that fit, got {given}: {error}") from error
    if broker.alpn:
        context.set_alpn_protocols([broker.alpn])
    return context


def password_of(broker: Broker) -> str | None:
    """Return the password; raise InputError for a file of it that cannot be used."""
    return broker.password if broker.password_file is None else read_secret(broker.password_file)


def read_secret(path: str) -> str:
    """Return the content of a file without the end of its line; raise InputError, which does not repeat it."""
    try:
        content, _ = read_file(Path(path), _MOST_SECRET_BYTES)
    except OSError as error:
        raise InputError(f"expected a readable file {path}, got: {error.strerror}") from error
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content or b"\0" in content:
        raise InputError(f"{path}: expected 1 to {_MOST_SECRET_BYTES} bytes without NUL, got {len(content)}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        # Not chained: it holds the content.
        raise InputError(f"{path}: expected UTF-8, got byte {error.start} that is not") from None


def check_files(broker: Broker) -> None:
    """Raise InputError for files that no connection could be made with now."""
    tls_context(broker)
    password_of(broker)


def dial(broker: Broker) -> socket.socket:
    """Return a connected socket, after TLS's handshake where that is wanted.

    Raises OSError where it cannot be had, ValueError for a host that has no name of the network, InputError for files.
    """
    context = tls_context(broker)
    deadline_s = time.monotonic() + HANDSHAKE_TIMEOUT_S
    sock = _connected(broker)
    try:
        if broker.proxy is not None:
            pass_through(sock, broker.proxy, broker.host, broker.port, deadline_s)
        if context is not None:
            # It then closes the socket that it was given, but not itself when the handshake fails.
            sock = context.wrap_socket(sock, server_hostname=broker.host, do_handshake_on_connect=False)
            sock.settimeout(max(0.001, deadline_s - time.monotonic()))
            sock.do_handshake()
    except BaseException:
        sock.close()
        raise
    return sock


def _connected(broker: Broker) -> socket.socket:
    if broker.scheme != UNIX:
        near = broker.proxy or broker
        try:
            return socket.create_connection((near.host, near.port), CONNECT_TIMEOUT_S)
        except OSError as error:
            if broker.proxy is None:
                raise
            raise ConnectionError(f"{broker.proxy}: {(error.strerror or str(error)).lower()}") from error
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(CONNECT_TIMEOUT_S)
        sock.connect(broker.host)
    except BaseException:
        sock.close()
        raise
    return sock
