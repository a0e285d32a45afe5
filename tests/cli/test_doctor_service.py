"""What the doctor says of the service: its configuration, and whether it does what it is for."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from motionsig.cli.doctor.service import page, service
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


PAGE, NETWORK = "0100007F:223D", "00000000000000000000000000000000:223E"


def listens(root, **tables):
    """Write the kernel's tables of who listens where."""
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    rest = "00000000:00000000 00:00000000 00000000   101        0 2806622 1 00000000bac899d5 100 0 0 10 0"
    (root / "proc/net").mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        lines = [head, *(f"   0: {local} 00000000:0000 {state} {rest}" for local, state in rows)]
        (root / "proc/net" / name).write_text("\n".join(lines) + "\n")


def test_the_page_is_told_from_who_listens(tmp_path):
    def said():
        return [(str(finding.mark), finding.found, finding.advice) for finding in page(tmp_path)]

    listens(tmp_path, tcp=[(PAGE, "0A")])
    assert said() == [], "there is no page where it is not installed"
    (tmp_path / "usr/lib/systemd/system").mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/system/motionsig-page.socket").touch()
    told = "page: can be reached from this machine, at port 8765; sudo motionsig page prints a link"
    assert said() == [("ok", told, "")]
    listens(tmp_path, tcp=[(PAGE, "0A")], tcp6=[(NETWORK, "0A")])
    assert "at port 8765 and from the network, at port 8766;" in said()[0][1]
    # A connection is no listener.
    listens(tmp_path, tcp=[(PAGE, "01")], tcp6=[])
    assert said() == [("note", "page: cannot be reached, as nobody listens for it", "sudo motionsig page")]
