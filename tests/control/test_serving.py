"""The control socket against clients that are slow, many or mean; on a store alone, which has no loop."""

import json
import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from control_client import Client, ask_at
from made import wait_until

from motionsig.control import serving
from motionsig.control.room import Control
from motionsig.control.serving import MOST_CONNECTIONS, MOST_VIEWERS, SOCKET_NAME, Server
from motionsig.control.unix_sockets import listen_at
from motionsig.errors import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / SOCKET_NAME


@pytest.fixture
def control(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "roots"))
    return Control(store="store:mine.db", heads_folder=tmp_path / "heads")


@pytest.fixture
def server(path, control, monkeypatch):
    monkeypatch.chdir(path.parent)
    server = Server(control, listen_at(Path(SOCKET_NAME), mode=0o600))
    yield server
    server.close()
    assert not path.exists()


@pytest.fixture(autouse=True)
def no_traceback(caplog):
    yield
    assert not [record for record in caplog.records if record.exc_info]


def test_a_store_alone_has_heads_and_no_sensor(path, server):
    with Client(path) as client:
        hello = client.ok("hello")
        assert (hello["live"], hello["store"], hello["dim"]) == (False, "store:mine.db", 64)
        assert (hello["motion"], hello["posture"], hello["length_ms"]) == ([0, 48], [48, 64], 2560)
        assert client.ok("status") is None
        heads = {head["name"]: head for head in client.ok("heads")}
        assert heads["walking"]["whose"] == "shipped"
        assert (heads["walking"]["judges"], heads["walking"]["why_not"]) == (False, "no sensor runs here")
        begun = {"name": "knock", "for": "examples", "times": 3, "better": False, "request": "a1"}
        assert client.error("lesson.begin", **begun)["kind"] == "nothing"
        client.send({"ask": "live", "after": None})
        keys = [next(iter(client.line())) for _ in range(3)]
        assert sorted(keys) == ["heads", "lesson", "status"]


def test_only_its_owner_may_connect(path, server):
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\n", "expected JSON"),
        (b"\0\xff\xfe\n", "expected JSON"),
        (b"[" * 60_000 + b"\n", "expected JSON"),
        (b"[]\n", "expected an object, got list"),
        (b"{}\n", "ask: expected one of hello"),
        (b'{"ask": []}\n', "ask: expected one of hello"),
        (b'{"ask": "hello", "x": 1}\n', "parameters: expected none, got 'x'"),
        (b'{"ask": "remove", "head": "a"}\n', "parameters: expected head, request, got 'head'"),
        (b'{"ask": "remove", "head": "../a", "request": "1"}\n', "head: expected 1 to 64 of"),
        (b'{"ask": "remove", "head": "a", "request": "\\ud800"}\n', "request: expected 1 to 64 letters"),
        (b'{"ask": "pause", "head": "a", "paused": 1, "request": "1"}\n', "paused: expected true or false, got 1"),
        (b'{"ask": "live", "after": [7, 7]}\n', "after: expected a stream"),
        (b'{"ask": "live", "after": ["7", true]}\n', "after: expected a stream"),
        (b'{"ask": "import", "zip": "!", "request": "1"}\n', "zip: expected base64, got '!'"),
        (b'{"ask": "import", "zip": "UEs=", "request": "1"}\n', "zip: expected a zip file with a head"),
        (b'{"ask": "alike", "x": ' + b"9" * 5000 + b"}\n", "expected"),
    ],
)
def test_what_is_no_ask_gets_an_answer_that_says_so(path, server, line, says):
    with Client(path) as client:
        client.send(line)
        error = client.line()["error"]
        assert error["kind"] in ("request", "head")
        assert says in error["text"] or says in error["text"].replace('"', "'")
    assert ask_at(path, "hello")["live"] is False


def test_lines_may_come_in_pieces_and_many_at_once(path, server):
    with Client(path) as client:
        for byte in b'{"ask": "hello"}\n':
            client.send(bytes([byte]))
        assert client.line()["ok"]
        client.send(b'{"ask": "hello"}\n{"ask": "status"}\n{"ask": "nothing"}\n')
        assert [list(client.line()) for _ in range(3)] == [["ok"], ["ok"], ["error"]]


def test_a_long_line_is_refused_before_anything_is_made_of_it(path, server, monkeypatch):
    with Client(path) as client:
        client.send(b'{"ask": "hello", "x": [' + b"{}," * 100_000 + b"{}]}\n")
        assert "expected at most 65,536 B, but for an import, got 300,0" in client.line()["error"]["text"]
        assert client.line() is None
    # An import may be long; this one is no head's.
    with Client(path) as client:
        long = {"ask": "import", "zip": "A" * (1 << 20), "request": "1"}
        client.send(long)
        assert "expected a zip file with a head" in client.line()["error"]["text"]
        assert client.ok("hello")
    with Client(path) as client, pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
        client.send(b"x" * (10 << 20))


def test_one_long_line_at_a_time(path, server):
    with Client(path) as one, Client(path) as two:
        one.send(b"x" * (200 << 10))
        wait_until(lambda: server._import._value == 0)
        two.send(b"x" * (200 << 10))
        assert two.line()["error"] == {"kind": "busy", "text": "expected one import at a time, got another"}
        one.send(b"\n")
        assert one.line()["error"]["kind"] == "request"
    # Whoever has the answer to one may send the next one, on any connection.
    with Client(path) as one, Client(path) as two:
        for client in (one, two) * 5:
            client.send({"ask": "import", "zip": "A" * (200 << 10), "request": "1"})
            assert client.line()["error"]["kind"] == "head"


def test_a_half_line_and_an_idle_client_are_left_alone_for_some_time_only(path, control, server, monkeypatch):
    monkeypatch.setattr(serving, "LINE_S", 0.2)
    monkeypatch.setattr(serving, "IDLE_S", 0.4)
    with Client(path) as half, Client(path) as idle:
        half.send(b'{"ask": ')
        assert half.line() is None
        assert idle.line() is None
    wait_until(lambda: not server._connections)


def test_a_client_that_reads_nothing_is_let_go(path, control, server, monkeypatch):
    monkeypatch.setattr(serving, "LINE_S", 0.3)
    with Client(path) as client:
        client.send({"ask": "live", "after": None})
        wait_until(lambda: server._connections and control.feed.wanted)
        big = {"text": "x" * 100_000}

        def is_let_go():
            control.feed.put("status", dict(big))
            return not server._connections

        wait_until(is_let_go)


def test_a_viewer_that_is_gone_is_noticed(path, server, control):
    with Client(path) as client:
        client.send({"ask": "live", "after": None})
        assert client.line()
    wait_until(lambda: not server._connections)
    assert control.feed._viewers == 0


def test_a_thousand_connections(path, server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    before_kb = _resident_kb()
    clients, refused = [], 0
    try:
        clients.extend(Client(path) for _ in range(1000))
        for client in clients[MOST_CONNECTIONS + 20 :]:
            client.socket.settimeout(60)
            refused += client.line() == {
                "error": {"kind": "busy", "text": f"expected at most {MOST_CONNECTIONS} connections, got one more"}
            }
        assert refused > 900
        assert len(server._connections) <= MOST_CONNECTIONS
        assert clients[0].ok("hello")
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert _resident_kb() - before_kb < 20_000
    wait_until(lambda: not server._connections)
    assert ask_at(path, "hello")


def _resident_kb():
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_asks_are_answered_while_as_many_watch_as_may(path, server):
    viewers = [Client(path) for _ in range(MOST_VIEWERS)]
    try:
        for viewer in viewers:
            viewer.send({"ask": "live", "after": None})
            assert viewer.line()
        with Client(path) as client:
            assert client.error("live", after=None)["kind"] == "busy"
        assert ask_at(path, "hello")
    finally:
        for viewer in viewers:
            viewer.close()


def test_answers_that_take_long_make_the_next_ones_wait(path, server, control, monkeypatch):
    def busy(asked):
        until_s = time.thread_time() + 0.02
        while time.thread_time() < until_s:
            pass
        return b'{"ok": null}\n'

    monkeypatch.setattr(control, "answer_to", busy)
    with Client(path) as client:
        began_s = time.monotonic()
        for _ in range(5):
            client.ok("hello")
        assert time.monotonic() - began_s >= 4 * 0.08


def test_closing_ends_all_connections_at_once(path, control, monkeypatch):
    monkeypatch.chdir(path.parent)
    server = Server(control, listen_at(Path(SOCKET_NAME), mode=0o600))
    clients = [Client(path) for _ in range(3)]
    clients[0].send({"ask": "live", "after": None})
    assert clients[0].line()
    clients[1].send(b'{"ask": ')
    wait_until(lambda: len(server._connections) == 3)
    ended, listening = [], server._listening
    server._listening = SimpleNamespace(close=lambda: ended.append(not server._thread.is_alive()) or listening.close())
    server.close()
    assert ended == [True], "it was woken, and waited for nothing"
    for client in clients:
        while client.line() is not None:
            pass
        client.close()
    assert not path.exists()


_PASSED = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from motionsig.control.room import Control
from motionsig.control.serving import Server
from motionsig.control.unix_sockets import passed
# Descriptors 3 and 4, as the service manager passes them.
os.dup2(103, 3)
os.dup2(104, 4)
os.environ["LISTEN_PID"] = str(os.getpid())
assert passed("page") is None
server = Server(Control(heads_folder=Path(sys.argv[1])), passed("control"))
print("ready", flush=True)
sys.stdin.readline()
server.close()
"""


def test_a_socket_that_was_passed_is_taken_and_left_listening(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_INET) as other:
        listener.bind(SOCKET_NAME)
        listener.listen(4)
        os.dup2(other.fileno(), 103)
        os.dup2(listener.fileno(), 104)
        environment = os.environ | {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "other:control"}
        command = [sys.executable, "-c", _PASSED, str(tmp_path / "heads")]
        for _ in range(2):
            child = subprocess.Popen(
                command, env=environment, pass_fds=(103, 104), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            with child:
                assert child.stdout.readline() == "ready\n"
                assert ask_at(path, "hello")["live"] is False
                child.stdin.write("\n")
                child.stdin.close()
                assert child.wait(60) == 0
            assert path.exists()
        os.close(103)
        os.close(104)
        with Client(path):  # it goes to whoever takes it next
            pass


def test_a_socket_that_is_something_else_is_refused(monkeypatch):
    from motionsig import passed_sockets
    from motionsig.control import unix_sockets

    with socket.socket(socket.AF_INET) as other:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setenv("LISTEN_FDNAMES", "control")
        monkeypatch.setattr(passed_sockets, "FIRST_FD", other.fileno())
        with pytest.raises(OSError, match="expected a Unix socket that listens, got AF_INET"):
            unix_sockets.passed("control")
        assert other.fileno() >= 0
        monkeypatch.setenv("LISTEN_PID", "1")
        assert unix_sockets.passed("control") is None


def test_an_error_of_ours_is_an_answer_and_in_the_log(path, server, control, monkeypatch, caplog):
    from motionsig.control import greeting, table
    from motionsig.control.asking import Ask

    def broken(control, asked):
        raise RuntimeError("no such thing")

    asks = {**table.ASKS, "status": Ask(broken, {}), "hello": Ask(lambda *_: _raise(InputError("so not")), {})}
    monkeypatch.setattr(table, "ASKS", asks)
    assert greeting
    with Client(path) as client:
        assert client.error("hello") == {"kind": "failed", "text": "so not"}
        assert "an error of ours" in client.error("status")["text"]
    assert caplog.records[-1].exc_info
    caplog.clear()


def _raise(error):
    raise error


def test_in_process_it_answers_lines_without_a_socket(control):
    assert json.loads(control.answer(b'{"ask": "hello"}'))["ok"]["live"] is False
    assert json.loads(control.answer(b"{"))["error"]["kind"] == "request"
    assert control.ask({"ask": "status"}) is None
