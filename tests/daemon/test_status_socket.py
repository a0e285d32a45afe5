"""The status socket: whose it is, and that it goes on answering."""

import os
import resource
import socket
import time
from contextlib import ExitStack

import pytest

from motionsig.daemon import status_socket
from motionsig.daemon.status_socket import SOCKET_NAME, NotRunningError, StatusSocket, ask


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return tmp_path / "run" / SOCKET_NAME


@pytest.fixture
def first(path):
    listener = StatusSocket(path, {"pid": 1})
    yield listener
    listener.close()


def test_it_answers_with_what_was_said_last(first):
    assert ask() == {"pid": 1}
    said = {"pid": 2}
    first.publish(said)
    said["pid"] = 3
    assert ask() == {"pid": 2}
    with pytest.raises(TypeError):
        first.publish({"pid": object()})
    assert ask() == {"pid": 2}


def test_every_user_of_the_machine_may_ask(path):
    before = os.umask(0o077)
    try:
        listener = StatusSocket(path, {"pid": 1})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o666
    listener.close()


def test_a_second_daemon_leaves_it_alone(path, first):
    with pytest.raises(OSError, match="expected to be the only daemon here"):
        StatusSocket(path, {"pid": 2})
    assert ask() == {"pid": 1}


def test_a_dead_ones_is_taken_over(path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NotRunningError, match="got: Connection refused; start it"):
        ask()
    listener = StatusSocket(path, {"pid": 2})
    assert ask() == {"pid": 2}
    listener.close()
    assert not path.exists()


def test_closing_leaves_another_ones(path, first):
    path.unlink()
    second = StatusSocket(path, {"pid": 2})
    first.close()
    assert ask() == {"pid": 2}
    second.close()
    assert not path.exists()


def test_a_lack_of_descriptors_passes(path, first, monkeypatch):
    monkeypatch.setattr(status_socket, "_PAUSE_S", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        # An accept that waits has its descriptor already, so only the second of them surely finds none.
        askers = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            for asker in askers:
                asker.settimeout(60)
                asker.connect(str(path))
            time.sleep(0.15)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert [asker.recv(100) for asker in askers] == [b'{"pid": 1}\n'] * 2
