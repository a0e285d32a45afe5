"""Programs that events start: what they get, how long they may run, and that nothing waits for them."""

import os
import stat
import time

import pytest
from made import wait_until
from processes import STALL_S, is_running

from motionsig.daemon.programs import Programs
from motionsig.events import BEGAN, ENDED, ONCE, Event, from_json, to_json

EVENT = Event("pi", 7, 12, "knock", bytes(8), ONCE, 0, 2_560_000_000, score=0.93)


@pytest.fixture
def script(tmp_path):
    """Write a shell script that is run with `folder` as its first argument."""

    def script(text, name="program"):
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return str(file)

    return script


@pytest.fixture
def programs(request):
    """Make Programs that are closed at the end."""
    made = []

    def make(commands, limit_s=20.0):
        made.append(Programs(commands, limit_s))
        return made[-1]

    yield make
    for each in made:
        each.close()
        wait_until(lambda each=each: not each._running)


def _ended(programs, started):
    wait_until(lambda: programs.started == started and not programs._running)


def test_a_program_gets_its_arguments_and_the_event_twice(script, programs, tmp_path):
    told = script('cat >stdin; printf %s "$MOTIONSIG_EVENT" >variable; printf "%s|" "$@" >arguments')
    started = programs({("knock", ONCE): (told, "a b", "$HOME", "*")})
    started.start(EVENT)
    _ended(started, 1)
    assert (tmp_path / "stdin").read_bytes() == (tmp_path / "variable").read_bytes() == to_json(EVENT)
    assert from_json((tmp_path / "stdin").read_bytes()) == EVENT
    assert (tmp_path / "arguments").read_text() == "a b|$HOME|*|"
    assert (started.failed, started.skipped) == (0, 0)


def test_only_the_event_that_is_named_starts_it(script, programs, tmp_path):
    begun = script("echo x >>begun")
    started = programs({("walking", BEGAN): (begun,)})
    for head, phase in (("walking", ENDED), ("knock", ONCE), ("walking", BEGAN)):
        started.start(Event("pi", 7, 12, head, bytes(8), phase, 0, 1, score=1.0))
    _ended(started, 1)
    assert (tmp_path / "begun").read_text() == "x\n"


def test_it_inherits_no_descriptor_no_credential_and_a_session_of_its_own(script, programs, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    read_fd, write_fd = os.pipe()
    os.set_inheritable(write_fd, True)
    try:
        report = script("ls /proc/self/fd >fds; env >env; cut -d' ' -f6 /proc/self/stat >session")
        started = programs({("knock", ONCE): (report,)})
        started.start(EVENT)
        _ended(started, 1)
    finally:
        os.close(read_fd)
        os.close(write_fd)
    # Of ls: 0 to 2, and the folder that it reads.
    assert (tmp_path / "fds").read_text().split() == ["0", "1", "2", "3"]
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names <= {"PATH", "LANG", "LC_ALL", "TZ", "MOTIONSIG_EVENT", "PWD", "OLDPWD", "SHLVL", "_"}
    assert int((tmp_path / "session").read_text()) != os.getsid(0)


def test_one_that_takes_too_long_is_killed_with_what_it_started(script, programs, tmp_path, caplog):
    hangs = script("sleep 60 & echo $! >child; wait")
    started = programs({("knock", ONCE): (hangs,)}, limit_s=0.5)
    started.start(EVENT)
    _ended(started, 1)
    assert started.failed == 1
    assert f"exec: {hangs} for 1970-01-01T00:00:00.000Z knock" in caplog.text
    assert "took longer than 0.5 s and is killed" in caplog.text
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_running(child))


def test_what_it_leaves_running_ends_with_it(script, programs, tmp_path):
    leaves = script("sleep 60 & echo $! >child")
    started = programs({("knock", ONCE): (leaves,)})
    started.start(EVENT)
    _ended(started, 1)
    assert started.failed == 0
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_running(child))


@pytest.mark.parametrize(
    ("text", "said"),
    [("exit 3", "ended with 3"), ("kill -9 $$", "was ended by signal 9"), (None, "cannot be started: No such file")],
)
def test_one_that_fails_is_told(script, programs, caplog, text, said):
    command = "/nowhere/lamp" if text is None else script(text)
    started = programs({("knock", ONCE): (command,)})
    started.start(EVENT)
    _ended(started, 1)
    assert said in caplog.text
    assert started.failed == 1


def test_further_ones_are_skipped_and_counted(script, programs, tmp_path, caplog):
    waits = script("while ! [ -e go ]; do sleep 0.05; done")
    started = programs({("knock", ONCE): (waits,)})
    for _ in range(7):
        started.start(EVENT)
    assert (started.started, started.skipped) == (4, 3)
    assert "is not started for " in caplog.text and "4 programs are running" in caplog.text
    (tmp_path / "go").touch()
    _ended(started, 4)
    started.start(EVENT)
    _ended(started, 5)
    assert (started.failed, started.skipped) == (0, 3)


def test_the_end_waits_a_moment_and_kills(script, programs, tmp_path, monkeypatch):
    monkeypatch.setattr("motionsig.daemon.programs._LAST_S", 3.0)
    started = programs(
        {("knock", ONCE): (script("sleep 0.2; touch done"),), ("knock", BEGAN): (script("sleep 60", "b"),)}
    )
    started.start(EVENT)
    started.start(Event("pi", 7, 12, "knock", bytes(8), BEGAN, 0, 1, score=1.0))
    wait_until(lambda: all(started._running.values()))
    began_s = time.monotonic()
    started.close()
    assert time.monotonic() - began_s < 3 + STALL_S
    assert (tmp_path / "done").exists()
    wait_until(lambda: not started._running)
    started.start(EVENT)
    assert started.started == 2


def test_what_may_not_be_killed_is_left(script, programs, monkeypatch, caplog):
    def refuse(group, number):
        raise PermissionError(1, "Operation not permitted")

    started = programs({("knock", ONCE): (script("exit 0"),), ("knock", BEGAN): (script("sleep 1", "b"),)})
    with monkeypatch.context() as patch:
        patch.setattr("os.killpg", refuse)
        started.start(EVENT)
        _ended(started, 1)
        assert (started.failed, caplog.text) == (0, "")
        started.start(Event("pi", 7, 12, "knock", bytes(8), BEGAN, 0, 1, score=1.0))
        wait_until(lambda: all(started._running.values()) and started._running)
        started.close()
    wait_until(lambda: not started._running)
