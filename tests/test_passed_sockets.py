"""What the service manager says of the sockets that it passes."""

import os
import socket

import pytest

from motionsig import passed_sockets as module
from motionsig.passed_sockets import passed_sockets


@pytest.fixture
def two(monkeypatch):
    """Two sockets of this process, in a row, as if they had been passed; the first of their descriptors."""
    with socket.socket() as one, socket.socket() as other:
        first = max(one.fileno(), other.fileno()) + 50
        fds = [first, first + 1]
        for sock, fd in zip((one, other), fds, strict=True):
            os.dup2(sock.fileno(), fd)
        monkeypatch.setattr(module, "FIRST_FD", first)
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "2")
        yield first
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("page-tls:page", ["page-tls", "page"]),
        ("page", ["page", "unknown"]),
        (None, ["unknown", "unknown"]),
        ("a:b:c", ["a", "b"]),
    ],
)
def test_each_has_its_name_and_no_child_gets_it(two, monkeypatch, names, found):
    if names is not None:
        monkeypatch.setenv("LISTEN_FDNAMES", names)
    assert passed_sockets() == [(found[0], two), (found[1], two + 1)]
    assert not os.get_inheritable(two) and not os.get_inheritable(two + 1)


def test_those_of_another_process_are_left_alone(two, monkeypatch):
    monkeypatch.setenv("LISTEN_PID", "1")
    assert passed_sockets() == []
    assert os.get_inheritable(two)
