"""What the doctor says of the service: its configuration, and whether it does what it is for."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from motionsig.cli.doctor.service import page, service
from motionsig.cli.page.listening import NETWORK, PAGE
from motionsig.daemon.status_socket import SOCKET_NAME, StatusSocket


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    folder = tmp_path / "etc/motionsig"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('[sensor]\nname = "simulated"\n[sink]\nurl = "store:/s.db"\n')
    return tmp_path


def _said(root):
    return [(str(finding.mark), finding.found, finding.advice) for finding in service(root)]


def test_where_there_is_no_service_nothing_is_said(tmp_path):
    assert _said(tmp_path) == []


def test_a_configuration_that_cannot_work(root):
    file = root / "etc/motionsig/config.toml"
    file.write_text("[sensor]\nrate = 1\n")
    ((mark, found, advice),) = _said(root)
    assert (mark, advice) == ("wrong", "sudo motionsig run --check")
    assert str(file) in found
    assert "(and 1 more)" in found


def test_where_signatures_for_a_broker_wait(root):
    (root / "etc/motionsig/config.toml").write_text('[sink]\nurl = "wss://b"\n')
    assert f"wait in {root}/var/lib/motionsig/spool, where " in _said(root)[1][1]
    (root / "etc/motionsig/conf.d").mkdir()
    (root / "etc/motionsig/conf.d/a.toml").write_text(f'[spool]\npath = "/s"\nmax_bytes = {1 << 60}\n')
    mark, found, _ = _said(root)[1]
    assert mark == "wrong"
    assert f"wait in {root}/s, where " in found
    assert "the queue may need 1099511627776" in found


def test_not_running(root):
    well, service = _said(root)
    assert well[0] == "ok"
    assert service == ("note", "service: not running", "sudo systemctl enable --now motionsig")


@pytest.mark.parametrize(
    ("ready", "uptime_s", "state", "well", "mark", "found"),
    [
        (False, 14.9, "streaming", True, "note", "starting"),
        (True, 60.0, "streaming", True, "ok", "running since then, 1,234 signatures"),
        (True, 60.0, "streaming", False, "wrong", "running, but the broker is away"),
        (True, 60.0, "missing", False, "wrong", "running, but without its sensor: it was pulled"),
        (True, 60.0, "silent", True, "wrong", "running, but bmi160 has been silent for 61 s: no answer"),
        (True, 60.0, "doubted", True, "wrong", "running, but bmi160: gravity is half"),
        (False, 15.0, "missing", True, "wrong", "no signature yet: it was pulled"),
        (False, 15.0, "streaming", True, "wrong", "no signature yet: waiting for the first window"),
    ],
)
def test_running(root, ready, uptime_s, state, well, mark, found):
    sensor = {
        "missing": {"error": "it was pulled"},
        "silent": {"name": "bmi160", "silent_s": 61.2, "trouble": "no answer"},
        "doubted": {"state": "streaming", "name": "bmi160", "trouble": "gravity is half"},
        "streaming": {"trouble": None},
    }
    status = {
        "ready": ready,
        "uptime_s": uptime_s,
        "since": "then",
        "sensor": {"state": state, **sensor[state]},
        "sink": {"well": well, "last_error": None if well else "the broker is away", "accepted": 1234},
    }
    listener = StatusSocket(root / SOCKET_NAME, status)
    try:
        finding = _said(root)[1]
    finally:
        listener.close()
    assert finding[0] == mark
    assert found in finding[1]
    assert not (root / SOCKET_NAME).exists()


def test_a_user_who_may_not_ask_is_told_so(root, monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        public = Path(folder)
        public.chmod(0o755)
        shutil.copytree(root / "etc", public / "etc")
        (public / "run").mkdir(mode=0)
        monkeypatch.setenv("RUNTIME_DIRECTORY", str(public / "run"))
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            finding = _said(public)[1]
        finally:
            os.seteuid(user)
    assert finding == ("note", "service: this user may not ask it", "sudo motionsig status")


# A systemctl with which these sockets are active.
SYSTEMCTL = """#!/bin/sh
while [ "${1#motionsig-}" = "$1" ]; do shift; done
for unit; do case " %s " in *" $unit "*) echo active ;; *) echo inactive ;; esac; echo; done
"""


def test_the_page_is_told_from_the_sockets_that_systemd_has(tmp_path, monkeypatch):
    def said(*active):
        (tmp_path / "systemctl").write_text(SYSTEMCTL % " ".join(active))
        (tmp_path / "systemctl").chmod(0o755)
        return [(str(finding.mark), finding.found, finding.advice) for finding in page(tmp_path)]

    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert said(PAGE) == [], "there is no page where it is not installed"
    (tmp_path / "usr/lib/systemd/system").mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/system" / PAGE).touch()
    told = "page: can be reached from this machine, at port 8765; sudo motionsig page prints a link"
    assert said(PAGE) == [("ok", told, "")]
    assert "from this machine, at port 8765 and from the network, at port 8766;" in said(PAGE, NETWORK)[0][1]
    assert "page: can be reached from the network, at port 8766;" in said(NETWORK)[0][1]
    not_reached = [("note", "page: cannot be reached, as systemd does not listen for it", "sudo motionsig page")]
    assert said() == not_reached
    # Nor where there is no systemd.
    monkeypatch.setenv("PATH", str(tmp_path / "usr"))
    assert said(PAGE) == not_reached
