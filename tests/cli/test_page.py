"""`motionsig page`: the real command, a browser's side of it, and what is left when it has ended."""

import hashlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import numpy as np
import pytest
from made import wait_until
from processes import STALL_S, children_of, command_of, is_running

import motionsig
from motionsig.cli import main
from motionsig.cli.page import service
from motionsig.cli.page.links import shown_links

JSON = {"Content-Type": "application/json"}
LINK = re.compile(r"(open|here) +(https?)://([^/]+):(\d+)/#pair=([\w-]{22})")


@dataclass
class Browser:
    """A browser that was let in by a link."""

    connection: HTTPConnection
    headers: dict[str, str]

    def ask(self, **asked: object) -> object:
        self.connection.request("POST", "/api/ask", json.dumps(asked), self.headers)
        answer = json.loads(self.connection.getresponse().read())
        assert "ok" in answer, answer
        return answer

    def told(self, key: str) -> object:
        """Return the first that the page tells of a key."""
        self.connection.request("GET", "/api/live", headers=self.headers)
        with self.connection.getresponse() as stream:
            for line in stream.fp:
                if line == f"event: {key}\n".encode():
                    while not (line := next(stream.fp)).startswith(b"data: "):
                        pass
                    return json.loads(line.removeprefix(b"data: "))
        raise AssertionError(f"no {key}")


@pytest.fixture
def pair() -> Iterator[Callable[[re.Match[str]], Browser]]:
    """Return a function that lets a browser in by a link."""
    browsers = []

    def paired(link):
        browsers.append(_paired(link))
        return browsers[-1]

    yield paired
    for browser in browsers:
        browser.connection.close()


def _paired(link: re.Match[str]) -> Browser:
    _, scheme, host, port, code = link.groups()
    connection = HTTPConnection(host, int(port), timeout=60)
    if scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection(host, int(port), timeout=60, context=context)
    connection.request("POST", "/api/pair", json.dumps({"code": code}), JSON)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"ok":true}')
    cookie = answer.headers["set-cookie"].split(";")[0]
    connection.request("GET", "/api/session", headers={"Cookie": cookie})
    csrf = json.loads(connection.getresponse().read())["csrf"]
    return Browser(connection, {**JSON, "Cookie": cookie, "X-Motionsig-CSRF": csrf})


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Path]:
    """A user's folders, all of them empty."""
    for key in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "SSH_CONNECTION"):
        monkeypatch.delenv(key, raising=False)
    for name, key in (("state", "XDG_STATE_HOME"), ("heads", "MOTIONSIG_HEADS")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(key, str(tmp_path / name))
    # Short, as the path of a Unix socket has to be; pytest's own is not.
    with tempfile.TemporaryDirectory(prefix="page-", dir="/tmp") as short:
        monkeypatch.setenv("TMPDIR", short)
        (tmp_path / "tmp").symlink_to(short)
        yield tmp_path


class Page:
    """The command as a process of its own group, as a terminal starts it."""

    def __init__(self, *arguments: object, keyboard: int = subprocess.DEVNULL) -> None:
        command = [sys.executable, "-m", "motionsig", "page", *map(str, arguments)]
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        how["stdin"] = keyboard
        self.process = subprocess.Popen(command, **how)
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Ctrl-C"):
                break

    @property
    def links(self) -> dict[str, re.Match[str]]:
        return {match[1]: match for match in LINK.finditer(self.said)}

    @property
    def children(self) -> list[int]:
        """The processes that it started: the page, and what looks after the memory that multiprocessing shares."""
        return children_of(self.process.pid)

    def page_pid(self) -> int:
        (pid,) = (pid for pid in self.children if b"spawn_main" in command_of(pid))
        return pid

    def end(self, number: int = signal.SIGINT) -> float:
        """Send a signal to all of the group, as a terminal does; return how long it took to end."""
        began_s = time.monotonic()
        os.killpg(self.process.pid, number)
        out, self.errors = self.process.communicate(timeout=60)
        self.said += out
        return time.monotonic() - began_s


@contextmanager
def opened(*arguments: object, keyboard: int = subprocess.DEVNULL) -> Iterator[Page]:
    page = Page(*arguments, keyboard=keyboard)
    try:
        yield page
    finally:
        if page.process.poll() is None:
            os.killpg(page.process.pid, signal.SIGKILL)
            page.process.communicate()


def is_gone(pid: int) -> bool:
    wait_until(lambda: not is_running(pid))
    return True


def test_a_simulated_sensor_is_seen_at_once_and_leaves_nothing_but_signatures_and_heads(home, pair):
    with opened("--sensor", "simulated", "--network") as page:
        links = page.links
        assert set(links) == {"open", "here"} and links["open"][5] != links["here"][5], page.said
        here, phone = pair(links["here"]), pair(links["open"])
        hello = here.ask(ask="hello")["ok"]
        assert hello["live"] and hello["store"].startswith(f"store:{home}/state/motionsig/page/")
        heads = phone.ask(ask="heads")["ok"]
        assert {head["name"] for head in heads if head["judges"]} == {"running", "still", "walking"}
        assert {head["whose"] for head in heads} == {"shipped"}
        rows = here.told("signatures")
        assert len(rows["start_ms"]) >= 1 and set(rows["scores"]) == {"running", "still", "walking"}
        assert len(phone.told("signatures")["start_ms"]) >= 1
        der = phone.connection.sock.getpeercert(binary_form=True)
        assert hashlib.sha256(der).hexdigest().upper() in re.sub(r"[:\s]", "", page.said)
        children = page.children
        page.end()
    assert "turned six times" in page.said and str(home / "state/motionsig/page") in page.said.splitlines()[-1]
    assert page.process.returncode == 0 and "Traceback" not in page.errors, page.errors
    assert len(children) == 2 and all(map(is_gone, children))
    assert list((home / "tmp").iterdir()) == []
    left = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    kept = {"signatures.db", "sessions.json", "certificate.pem", "key.pem"}
    assert {name for name in left if "signatures.db-" not in name and not name.endswith(".lock")} == {
        *(f"state/motionsig/page/{name}" for name in kept),
        "heads/.page.json",
    }
    assert (home / "state/motionsig/page").stat().st_mode & 0o077 == 0


def test_enter_prints_a_link_for_another_browser_and_an_interrupt_ends_all_of_it_in_two_seconds(home, pair):
    ours, keyboard = os.openpty()
    with opened("--sensor", "simulated", keyboard=keyboard) as page:
        children = page.children
        os.write(ours, b"\n")
        another = LINK.match(page.process.stdout.readline())
        first = pair(page.links["open"])
        assert pair(another).ask(ask="hello") == first.ask(ask="hello")
        assert page.end() < 2 + STALL_S
    assert page.process.returncode == 0 and all(map(is_gone, children)), page.errors
    assert "Enter prints another link" in page.said and "Fatal" not in page.errors
    os.close(ours)
    os.close(keyboard)


def test_a_page_ends_with_its_command_and_a_command_with_its_page(home):
    with opened("--sensor", "simulated") as page:
        pid = page.page_pid()
        os.kill(page.process.pid, signal.SIGKILL)
        page.process.communicate()
    assert is_gone(pid), "the page outlived its command"
    with opened("--sensor", "simulated:lesson") as page:
        os.kill(page.page_pid(), signal.SIGKILL)
        _, errors = page.process.communicate(timeout=60)
    assert page.process.returncode == 1 and "expected it to go on, got its end, with exit code -9" in errors
    assert list((home / "tmp").glob("motionsig-page-*/code-*")) != [], "killed, the first cannot tidy up"


def test_two_pages_take_two_ports_also_where_temporary_files_have_long_paths(home, pair, monkeypatch):
    (home / ("long" * 30)).mkdir()
    monkeypatch.setenv("TMPDIR", str(home / ("long" * 30)))
    with opened("--sensor", "simulated") as one, opened("--sensor", "simulated") as two:
        assert one.links["open"][4] != two.links["open"][4]
        assert pair(two.links["open"]).ask(ask="hello")["ok"]["live"]


@pytest.mark.parametrize(
    ("sensor", "code", "said"),
    [
        ("simulate", 2, "sensor: expected the name of a sensor, got .simulate.; did you mean simulated."),
        ("lsm6dsox", 1, "expected"),
    ],
)
def test_a_sensor_that_is_not_there_is_said_and_nothing_starts(home, capfd, sensor, code, said):
    assert main(["page", "--sensor", sensor]) == code
    captured = capfd.readouterr()
    assert re.match(f"motionsig: .*{said}", captured.err) and captured.out == ""
    assert list((home / "state").iterdir()) == list((home / "tmp").iterdir()) == []


def test_a_store_is_looked_back_at_without_a_sensor(home, pair, motion):
    encoder = motionsig.open_encoder(device="reference")
    np.savez(home / "log.npz", acc_mps2=motion(20, 50)[:, :3], gyr_rads=motion(20, 50)[:, 3:], rate_hz=50.0)
    with motionsig.open_recording(home / "log.npz") as log:
        stream_id = motionsig.signature_stream_id(log.info.stream_id, encoder.card)
        with motionsig.open_sink(f"store:{home}/mine.db", device="wrist", stream_id=stream_id) as sink:
            motionsig.run(log, encoder, sink)
    with opened(f"store:{home}/mine.db") as page:
        browser = pair(page.links["open"])
        hello = browser.ask(ask="hello")["ok"]
        assert not hello["live"] and hello["store"] == f"store:{home}/mine.db"
        assert hello["newest_ms"] == int(motionsig.read_signatures(hello["store"]).start_ns[-1]) // 1_000_000
        assert {head["name"] for head in browser.ask(ask="heads")["ok"]} == {"running", "still", "walking"}
        assert page.end(signal.SIGTERM) < 2
    assert page.process.returncode == 0 and "nothing is live" in page.said
    assert list((home / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["store:nothing.db"], "nothing.db: expected what is stored, got none"),
        (["mine.db"], "SOURCE: expected store:PATH, file:PATH, parquet:PATH or postgresql://..., got 'mine.db'"),
        (["mqtt://host"], "SOURCE: expected store:PATH"),
        (["store:a", "--sensor", "auto"], "expected --sensor or SOURCE, got both"),
        (["--sensor", "simulated", "--sessions"], "--sessions: expected it for the service alone"),
        (["--network", "--loopback"], "expected one of --network, --loopback, --sessions and --end, got 2"),
    ],
)
def test_what_does_not_go_together_is_refused(home, capsys, arguments, said):
    assert main(["page", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_without_its_libraries_it_says_how_to_install_them(home, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["page", "--sensor", "simulated"]) == 1
    assert "the page needs uvicorn, which is not installed: " in capsys.readouterr().err


LISTED = "list-units --plain --no-legend --state=active motionsig@*.service"


def fake_systemd(folder, monkeypatch, state):
    """Put a systemctl first that says this of every unit."""
    (folder / "bin").mkdir()
    (folder / "bin/systemctl").write_text(f"#!/bin/sh\necho {state}\n")
    (folder / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)


def test_without_a_service_it_says_how_to_try_it(home, monkeypatch, capsys):
    fake_systemd(home, monkeypatch, "inactive not-found")
    for more in ([], ["--network"], ["--loopback"], ["--sessions"], ["--end", "all"]):
        assert main(["page", *more]) == 1
        error = capsys.readouterr().err
        assert "sudo scripts/install" in error and error.endswith("motionsig page --sensor simulated\n")


def test_a_further_service_that_runs_has_no_page_and_that_is_said(home, monkeypatch):
    from motionsig.cli.page import service

    fake_systemd(home, monkeypatch, "")
    assert list(service._others()) == []
    units = "motionsig@ankle.service loaded active running Motion sensor ankle\nmotionsig@left.service loaded active"
    (home / "bin/systemctl").write_text(f"""#!/bin/sh\n[ "$*" = "{LISTED}" ] && echo "{units}"\n""")
    said = list(service._others())
    assert (
        said[0]
        == "motionsig@ankle has no page: this one is of motionsig.service. To look back on what motionsig@ankle stores:"
    )
    assert [line.split("store:")[1] for line in said[1::2]] == [
        f"/var/lib/motionsig-{name}/signatures.db" for name in ("ankle", "left")
    ]


def test_the_service_s_page_is_roots(home, monkeypatch, capsys):
    fake_systemd(home, monkeypatch, "active loaded")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["page"]) == 1
    assert "expected root, who says which browser is let in: sudo motionsig page" in capsys.readouterr().err


def test_ports_are_those_of_the_units():
    systemd = Path(__file__).resolve().parents[2] / "systemd"
    for unit, port in ((service.PAGE, service.PORT), (service.NETWORK, service.NETWORK_PORT)):
        assert re.search(rf"^ListenStream=(127\.0\.0\.1:)?{port}$", (systemd / unit).read_text(), re.MULTILINE)
    text = (systemd / service.SERVER).read_text()
    assert f"User={service.USER}\n" in text and f"StateDirectory={service.STATE.name}\n" in text
    assert f"RuntimeDirectory={service.RUNTIME.name}\n" in text


def test_each_link_has_a_code_of_its_own_that_lets_in_for_as_long_as_it_says(tmp_path):
    from motionsig.page.people import CODE_S, take_code

    lines = list(shown_links(tmp_path, tmp_path, 8765))
    code = LINK.match(lines[0])[5]
    assert f"one browser in, within {CODE_S // 60} minutes" in lines[1]
    assert take_code(tmp_path, code) and not take_code(tmp_path, code)


def test_a_port_that_is_taken_is_named(home, monkeypatch):
    """As systemd's own words for it are only in the journal."""
    (home / "bin").mkdir()
    (home / "bin/systemctl").write_text('#!/bin/sh\n[ "$1" = show ] && echo loaded inactive || exit 1\n')
    (home / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(home / "bin"), prepend=os.pathsep)
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(service.NoPageError) as taken:
        monkeypatch.setattr(service, "PORT", other.getsockname()[1])
        service._systemctl("start", service.PAGE)
    assert f"port {service.PORT} is in use; sudo ss -ltnp" in str(taken.value)
    with pytest.raises(service.NoPageError, match="got: no reason"):
        service._systemctl("start", service.PAGE)
