"""The daemon's loop, in this process: what each heartbeat does, and what becomes of the windows meanwhile."""

import logging
import re
import socket

import pytest
from broker import Broker, free_port
from in_process import MadeSensor, running
from installing import install
from made import wait_until

from motionsig.daemon import delivery, loop, report
from motionsig.daemon.journal import Repeats
from motionsig.daemon.loop import _BeatingSource
from motionsig.pipeline import signature_stream_id
from motionsig.publishers import iter_signatures


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    monkeypatch.setattr(loop, "_HEARTBEAT_S", 0.05)


@pytest.fixture
def sensor(motion):
    return MadeSensor(motion)


def test_a_heartbeat_comes_when_its_block_is_through(sensor):
    order = []

    def passed(block):
        order.append(f"heartbeat after {block}")
        return block != "second"

    for block in _BeatingSource(sensor, iter(["first", "second", "third"]), passed):
        order += [block]
    assert order == ["first", "heartbeat after first", "second", "heartbeat after second"]


def test_what_was_held_is_published_without_another_window(tmp_path, sensor, monkeypatch):
    monkeypatch.setattr(delivery, "_FIRST_PAUSE_S", 0.05)
    folder = tmp_path / "in the way"
    folder.write_text("a file where a folder should be")
    url = f"store:{folder}/s.db"
    with running(tmp_path, f'[sink]\nurl = "{url}"\n', sensor) as daemon:
        wait_until(lambda: daemon.status["sink"]["pending"] >= 3)
        assert "in the way" in daemon.status["last_error"]["text"]
        assert not daemon.status["last_error"]["over"]
        sensor.quiet.set()
        folder.unlink()
        folder.mkdir()
        wait_until(lambda: daemon.status["sink"]["well"] and not daemon.status["sink"]["pending"])
        assert daemon.status["last_error"]["over"]
    assert daemon.status["sink"]["accepted"] == daemon.status["windows"] >= 3


def test_a_model_with_other_windows_takes_over_under_another_stream_id(tmp_path, sensor, models):
    url = f"store:{tmp_path}/s.db"
    with running(tmp_path, f'[sink]\nurl = "{url}"\n', sensor) as daemon:
        wait_until(lambda: daemon.status["windows"] >= 3)
        install(models, 2, hop=32)
        wait_until(lambda: daemon.status["model"]["trial_windows_left"] not in (None, 500))
        card = daemon._encoder.card
    found = list(iter_signatures(url, fingerprint=bytes.fromhex(daemon.status["model"]["fingerprint"])))
    (stream_id,) = {part.stream_id for part in found}
    assert stream_id == daemon.status["stream_id"]
    assert daemon.status["windows_lost"] == 0
    assert daemon.status["sink"]["accepted"] == daemon.status["windows"]
    assert found[0].seq[0] >= 3, "numbers go on"
    # One run over the whole stream with this model would make other windows; so they have another stream id.
    assert stream_id != signature_stream_id(sensor.info.stream_id, card, 32)


def test_a_sensor_that_hangs_is_closed_by_stop(tmp_path, sensor):
    with running(tmp_path, f'[sink]\nurl = "store:{tmp_path}/s.db"\n', sensor) as daemon:
        wait_until(lambda: daemon.status["ready"])
        sensor.going.clear()
    assert sensor.ended


def test_a_sensor_that_gives_nothing_is_silent(tmp_path, sensor, monkeypatch):
    monkeypatch.setattr(report, "_SILENT_S", 1.0)
    with running(tmp_path, f'[sink]\nurl = "store:{tmp_path}/s.db"\n', sensor) as daemon:
        wait_until(lambda: daemon.status["sensor"]["state"] == "streaming")
        sensor.quiet.set()
        wait_until(lambda: daemon.status["sensor"]["state"] == "silent")


def test_what_is_wrong_with_a_sensor_is_the_last_error_until_it_is_over(tmp_path, sensor):
    with running(tmp_path, f'[sink]\nurl = "store:{tmp_path}/s.db"\n', sensor) as daemon:
        sensor.trouble = "half of gravity; is it an LSM6DSO32?"
        wait_until(lambda: (daemon.status["last_error"] or {}).get("text") == sensor.trouble)
        assert daemon.status["sensor"]["trouble"] == sensor.trouble
        assert sensor.trouble in report.status_line(daemon.status)
        assert report.home_automation_state(daemon.status)["last_error"] == sensor.trouble
        sensor.trouble = None
        wait_until(lambda: daemon.status["last_error"]["over"])
        wait_until(lambda: daemon.status["sensor"]["trouble"] is None)


def test_windows_with_a_loss_lower_the_signal_quality(tmp_path, motion):
    text = f'[sink]\nurl = "store:{tmp_path}/s.db"\n[model]\nhop = 8\n'
    with running(tmp_path, text, MadeSensor(motion, leave_out=20)) as daemon:
        # More windows come than are due, and none of them without a loss.
        wait_until(lambda: daemon.status["signal_quality"] is not None and daemon.status["windows"] > 50)
        assert daemon.status["signal_quality"] < 0.2


def test_windows_at_rest_are_counted(tmp_path, motion):
    """The sensor is put down every ten seconds, and there are four windows in which it stays still."""

    def put_down(seconds, rate_hz):
        data = motion(seconds, rate_hz)
        data[: round(10 * rate_hz)] = data[0]
        return data

    text = f'[sink]\nurl = "store:{tmp_path}/s.db"\n'
    with running(tmp_path, text, MadeSensor(put_down)) as daemon:
        wait_until(lambda: daemon.status["windows"] > 100)
        status = daemon.status
    assert 0.3 < status["at_rest"] / status["windows"] < 0.5
    assert status["above_grid"] == status["on_edgetpu"] == 0
    assert status["edgetpus"] == []


def test_an_outage_fits_as_long_as_the_spool_has_space(tmp_path, sensor):
    text = f'[sink]\nurl = "mqtt://127.0.0.1:{free_port()}"\n[spool]\nmax_bytes = 1000000\n'
    with running(tmp_path, text, sensor) as daemon:
        wait_until(lambda: daemon.status["sink"]["outage_fits_s"] is not None)
        sink, bytes_each = daemon.status["sink"], daemon._delivery.signature_bytes
        assert sink["outage_fits_s"] == round((1_000_000 - sink["spool_bytes"]) / bytes_each * 1.28)


def test_bytes_are_counted_anew_each_day(tmp_path, sensor, monkeypatch):
    day = ["2026-11-29T"]
    monkeypatch.setattr(report, "_utc", lambda unix_s: day[0])
    with running(tmp_path, f'[sink]\nurl = "store:{tmp_path}/s.db"\n', sensor) as daemon:
        count = daemon._report._bytes_today
        before = count(1000)
        assert count(1250) - before == 250
        day[0] = "2026-11-30T"
        assert (count(1300), count(1350)) == (0, 50)


def test_a_line_a_day_and_what_was_left_out(tmp_path, sensor, monkeypatch, caplog):
    monkeypatch.setattr(loop, "_DAY_S", 0.2)
    clock = [0.0]
    repeats = Repeats(lambda: clock[0])
    record = logging.LogRecord("motionsig", logging.WARNING, "file.py", 1, "again and again", None, None)
    for _ in range(9):
        repeats.filter(record)
    with (
        caplog.at_level(logging.INFO, "motionsig"),
        running(tmp_path, f'[sink]\nurl = "store:{tmp_path}/s.db"\n', sensor, repeats=repeats),
    ):
        # The line of its own: "ready" and "stopped" are followed by the same text.
        wait_until(lambda: any(re.match(r"50\.00 Hz, .* signatures, ", line) for line in caplog.messages))
        clock[0] = 3600.0
        wait_until(lambda: "3 lines left out, the last: again and again" in caplog.text)


def test_another_port_for_metrics_is_opened_by_a_reload(tmp_path, sensor):
    text = f'[sink]\nurl = "store:{tmp_path}/s.db"\n[status]\nprometheus = '
    old, new = free_port(), free_port()
    with running(tmp_path, f"{text}{old}\n", sensor) as daemon:
        socket.create_connection(("127.0.0.1", old), 60).close()
        (tmp_path / "config.toml").write_text(f"{text}{new}\n")
        daemon.reload()
        wait_until(lambda: daemon._config.prometheus == new)
        socket.create_connection(("127.0.0.1", new), 60).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", old), 60)


def test_what_needs_a_restart_does_so_until_it_is_as_it_was_at_the_start(tmp_path, sensor):
    text = f'[sink]\nurl = "store:{tmp_path}/s.db"\n'
    with running(tmp_path, text, sensor) as daemon:

        def reload(more):
            (tmp_path / "config.toml").write_text(more + text)
            daemon.reload()
            wait_until(lambda: not daemon._reload_asked)
            before = daemon.status["uptime_s"]
            wait_until(lambda: daemon.status["uptime_s"] > before)
            return daemon.status["needs_restart"]

        assert reload('name = "other"\n') == ("name",)
        assert reload('name = "other"\n') == ("name",)
        assert reload("") == ()


def test_home_automation_gets_the_state(tmp_path, sensor):
    with Broker(tmp_path / "broker") as broker:
        text = f'name = "pi"\n[sink]\nurl = "{broker.url}"\n[status]\nhome_assistant = true\n'
        with running(tmp_path, text, sensor):
            wait_until(lambda: "'motionsig/pi/state'" in broker.log)


def test_what_cannot_be_published_at_the_end_is_counted_as_lost(tmp_path, sensor, caplog):
    (tmp_path / "in the way").write_text("a file where a folder should be")
    with running(tmp_path, f'[sink]\nurl = "store:{tmp_path}/in the way/s.db"\n', sensor) as daemon:
        wait_until(lambda: daemon.status["sink"]["pending"] >= 3)
    assert f"{daemon.status['sink']['pending']} signatures could not be published and are lost: " in caplog.text


def test_the_status_has_what_the_kernel_tells_of_edge_tpus(tmp_path):
    device = tmp_path / "sys/bus/usb/devices/1-1.4"
    device.mkdir(parents=True)
    for name, text in {"idVendor": "18d1", "idProduct": "9302", "bMaxPower": "896mA"}.items():
        (device / name).write_text(f"{text}\n")
    none = {"temperature_c": None, "slowed_from_c": None, "power": None}
    assert report._edgetpus(tmp_path) == [none | {"place": "usb 1-1.4", "current_ma": 896}]
