"""What `motionsig status` prints, and what it says where nothing answers."""

import os

import pytest

from motionsig.cli import main
from motionsig.daemon.status_socket import SOCKET_NAME, StatusSocket

STATUS = {
    "version": "0.1",
    "since": "then",
    "uptime_s": 115_200.0,
    "ready": True,
    "name": "hall",
    "needs_restart": [],
    "sensor": {
        "state": "streaming",
        "name": "simulated",
        "rate_hz": 100.0,
        "true_rate_hz": 99.98,
        "silent_s": 0.0,
        "trouble": None,
        "dead": 0,
        "garbled": 0,
        "doubtful": 0,
        "samples": 1234,
        "gaps": 0,
        "lost": 0,
        "recoveries": 0,
    },
    "signal_quality": 0.98,
    "model": {"name": "motion64", "fingerprint": "00", "folder": "/m", "trial_windows_left": None},
    "device": "cpu",
    "windows": 30,
    "windows_lost": 0,
    "at_rest": 12,
    "above_grid": 0,
    "clock_steps": 0,
    "clock_is_set": True,
    "sink": {
        "url": "mqtts://b",
        "well": True,
        "last_error": None,
        "accepted": 29,
        "delivered": 29,
        "pending": 0,
        "dropped": 0,
        "payload_bytes": 1,
        "bytes_today": 1,
        "spool_bytes": 0,
        "spool_limit_bytes": 16,
        "outage_fits_s": 86400,
    },
    "last_error": None,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The runtime folder, which is also where the configuration would be."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("motionsig.config.DEFAULT_PATH", tmp_path / "config.toml")
    return tmp_path


@pytest.fixture
def said(folder, capsys):
    """The function that returns the exit code and the lines by their first word, for a daemon with another status."""

    def said(sink=None, **changed):
        status = STATUS | {"sink": STATUS["sink"] | (sink or {})} | changed
        listener = StatusSocket(folder / SOCKET_NAME, status)
        try:
            code = main(["status"])
        finally:
            listener.close()
        return code, dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())

    return said


def test_what_nobody_subscribes_to_is_said(said):
    code, lines = said({"unheard": 1200})
    assert code == 0
    assert lines["unheard"].startswith(
        "1,200 of those delivered: nobody subscribed to them at the broker; start motionsig"
    )


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (("pci 0000:01:00.0", 45.3, 84.8, None, "active"), "pci 0000:01:00.0: 45.3 °C, slowed from 84.8 °C on, active"),
        (("usb 1-1.4", None, None, 896, None), "usb 1-1.4: temperature not told, asks for up to 896 mA"),
    ],
)
def test_heat_and_power_of_an_edge_tpu_are_said(said, told, line):
    keys = ("place", "temperature_c", "slowed_from_c", "current_ma", "power")
    _, lines = said(edgetpus=[dict(zip(keys, told, strict=True))])
    assert lines["edgetpu"] == line


def test_all_is_well(said):
    code, lines = said()
    assert code == 0
    assert lines["well"] == "hall, since then (1 d 8 h), motionsig 0.1"
    assert lines["windows"] == "30, 0 lost, 12 at rest; 98% windows without a loss, of the last 5 minutes"
    assert lines["signatures"] == "29 since the start, to mqtts://b: 29 delivered, 0 waiting, 0 dropped"
    assert "an outage of 1 d 0 h fits" in lines["spool"]
    assert not {"trouble", "sink", "last", "above", "unheard"} & set(lines)


@pytest.mark.parametrize(
    "changed",
    [
        {"ready": False},
        {"sensor": {"state": "missing", "name": "auto", "error": None}},
        {"sink": {"well": False, "last_error": "the broker is away"}},
    ],
)
def test_there_is_trouble(said, changed):
    code, lines = said(**changed)
    assert code == 1
    assert lines["trouble"].startswith("hall, ")
    assert "well" not in lines
    assert lines.get("sink") == changed.get("sink", {}).get("last_error")


def test_what_is_wrong_with_the_sensor_is_told_with_what_was_left_out(said):
    code, lines = said(sensor={**STATUS["sensor"], "trouble": "frozen; check its supply", "dead": 1200, "garbled": 3})
    assert code == 1
    assert lines["trouble"].startswith("hall, ")
    assert lines["doubt"] == "frozen; check its supply"
    assert lines["sensor"].endswith("0 recoveries, 1,200 dead, 3 garbled")


def test_at_first_there_is_no_signature(said):
    code, lines = said(ready=False, uptime_s=14.0, signal_quality=None)
    assert code == 1
    assert lines["starting"] == "hall, since then (14 s), motionsig 0.1"
    assert "not known yet" in lines["windows"]


def test_windows_whose_energy_is_above_the_grid_are_told_with_what_to_do(said):
    code, lines = said(above_grid=7)
    assert code == 0
    assert lines["above"].startswith(
        "grid   7 windows have most of their energy above half the model's rate (motion64:"
    )
    assert lines["above"].endswith("damp the sensor's mount, or measure such vibration by other means")


def test_what_an_earlier_run_left_is_told_apart(said):
    _, lines = said({"delivered": 41})
    assert "29 since the start, to mqtts://b: 41 delivered (12 of them from before)" in lines["signatures"]


@pytest.mark.parametrize(("over", "last"), [(True, "then (over): gone"), (False, "then: gone")])
def test_an_error_that_is_over(said, over, last):
    assert said(last_error={"when": "then", "text": "gone", "over": over})[1]["last"] == f"error   {last}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can tell of root's files")
def test_where_nothing_answers_it_is_said_why(folder, capsys):
    assert main(["status"]) == 1
    assert "start it: sudo systemctl start motionsig" in capsys.readouterr().err
    (folder / "config.toml").write_text("[sensor]\nrate = 1\n")
    (folder / "left.toml").write_text("")
    for arguments, unit, check in (
        ([], "motionsig", "run --check"),
        (["--name", "left"], "motionsig@left", "run --check --name left"),
    ):
        assert main(["status", *arguments]) == 1
        said = capsys.readouterr().err
        assert f"{unit} is not running, as its configuration is wrong: {folder}/config.toml: " in said
        assert said.endswith(f"all that is: sudo motionsig {check}\n")


def test_heads_are_shown(folder, capsys):
    head = {"name": "knock", "fingerprint": "0a", "judges": True, "holds": None, "events": 0, "last": None}
    last = {"when": "2026-11-29T09:07:40.500000Z", "phase": "began", "score": 0.9}
    walking = {"name": "walking", "fingerprint": "0b", "judges": True, "holds": True, "events": 1200, "last": last}
    heads = [head, walking, {**walking, "holds": False}, {**head, "judges": False, "events": 1}]
    more = {"heads": heads, "heads_error": "heads off: x", "exec": {"started": 1200, "failed": 2, "skipped": 0}}
    listener = StatusSocket(folder / SOCKET_NAME, STATUS | more)
    try:
        assert main(["status"]) == 0
    finally:
        listener.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line[13:] for line in lines if line.startswith("head  ")] == [
        "knock 0a: listens, 0 events",
        "walking 0b: holds, 1,200 events, the last at 2026-11-29T09:07:40Z",
        "walking 0b: does not hold, 1,200 events, the last at 2026-11-29T09:07:40Z",
        "knock 0a: off, 1 event",
    ]
    assert "heads        heads off: x" in lines
    assert "programs     1,200 started by events, 2 failed, 0 skipped" in lines
    (signatures,) = [line for line in lines if line.startswith("signatures ")]
    assert signatures.endswith("(events with them)")


def test_nothing_that_the_daemon_passes_on_makes_a_line_of_its_own(folder, capsys):
    forged = "x\nwell         forged \x1b[2J"
    sink = {**STATUS["sink"], "well": False, "last_error": f"the broker said {forged}"}
    listener = StatusSocket(folder / SOCKET_NAME, STATUS | {"name": forged, "sink": sink})
    try:
        assert main(["status"]) == 1
    finally:
        listener.close()
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line for line in out.splitlines() if line.startswith("well")] == []
    assert r"the broker said x\nwell" in out
