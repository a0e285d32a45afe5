"""What a proxy may answer instead of what it should; that it works is in test_transport."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from motionsig.publishers.proxies import parse_proxy, pass_through


@pytest.mark.parametrize(
    ("scheme", "answer", "said"),
    [
        ("http", b"", "ended the connection in place of an answer"),
        ("http", b"HTTP/1.1 200 OK\r\n", "ended the connection"),
        ("http", b"HTTQ", "is it an HTTP proxy"),
        ("http", b"HTTP/1.1 \x1b[2J\r\n\r\n", "HTTP status 0"),
        ("http", b"HTTP/1.1 502 \x1b[2J\r\n\r\n", "HTTP status 502"),
        ("http", b"HTTP/1.1 200 " + b"x" * 20000, "more than 16,384 bytes"),
        ("socks5", b"\5", "ended the connection"),
        ("socks5", b"HT", "is it a SOCKS5 proxy"),
        ("socks5", b"\5\2", "another login"),
        ("socks5", b"\5\xff", "wants a user and a password"),
        ("socks5", b"\5\0\5\x63\0\1", "failure 99"),
        ("socks5", b"\5\0\5\0\0\3", "ended the connection"),
    ],
)
def test_other_answers(scheme: str, answer: bytes, said: str) -> None:
    ours, theirs = socket.socketpair()

    def reply() -> None:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)

    with ours, theirs:
        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(ConnectionError, match=said) as caught:
            pass_through(ours, parse_proxy(f"{scheme}://p"), "h", 1883, time.monotonic() + 60)
        thread.join()
    assert str(caught.value).startswith(f"proxy {scheme}://p:")
    assert str(caught.value).isprintable()


def test_what_the_broker_says_is_left_to_the_caller() -> None:
    for scheme, answer in (("http", b"HTTP/1.0 200 OK\r\n\r\n"), ("socks5", b"\5\0\5\0\0\4" + bytes(18))):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(answer + b"hello")
            pass_through(ours, parse_proxy(f"{scheme}://p"), "bücher.example", 1883, time.monotonic() + 60)
            assert ours.recv(99) == b"hello"
            asked = theirs.recv(999)
            assert b"xn--bcher-kva.example" in asked


def test_a_proxy_that_answers_byte_by_byte_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200")
        with pytest.raises(TimeoutError, match="no answer in time"):
            pass_through(ours, parse_proxy("http://p"), "h", 1883, time.monotonic() + 0.1)
