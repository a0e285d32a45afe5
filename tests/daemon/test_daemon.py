"""The real daemon from start to stop: what systemd hears, and what `motionsig status` says."""

import signal
import subprocess
import sys
import urllib.request

import pytest
from broker import free_port
from daemons import Daemon
from made import wait_until
from processes import STALL_S

from motionsig.publishers import read_signatures


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """One daemon's life: started, looked at, read again, stopped."""
    folder = tmp_path_factory.mktemp("life")
    store = folder / "s.db"
    port = free_port()
    with Daemon(folder, f"store:{store}", extra=f"[status]\nprometheus = {port}\n").start() as daemon:
        seen = {"ready": daemon.until_told("READY"), "before": [fields for _, fields in daemon.told]}
        seen["status"] = daemon.status()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            seen["metrics"] = answer.read().decode()
        daemon.config.write_text(
            daemon.config.read_text().replace('"pi"', '"other"') + '[model]\ndevice = "reference"\n'
        )
        daemon.signal(signal.SIGHUP)
        seen["reloading"] = daemon.until_told("RELOADING")
        seen["reloaded"] = daemon.until_told("READY")
        wait_until(lambda: daemon.status()["device"].startswith("reference"))
        seen["other"] = daemon.status()
        daemon.config.write_text("name = 1\n")
        daemon.signal(signal.SIGHUP)
        daemon.until_told("RELOADING")
        daemon.until_told("READY")
        seen["stop_s"] = daemon.stop()
        seen["log"] = daemon.log
        seen["told"] = [fields for _, fields in daemon.told] + daemon.hear(0.5)
    seen["stored"] = read_signatures(f"store:{store}")
    return seen


def test_it_is_ready_when_the_first_window_is_encoded(life):
    assert not any("WATCHDOG" in fields or "READY" in fields for fields in life["before"][:-1])
    assert any("EXTEND_TIMEOUT_USEC" in fields for fields in life["before"])
    assert life["status"]["ready"]
    assert life["status"]["windows"] >= 1


def test_its_status_says_rate_gaps_signatures_backlog_and_device(life):
    assert " Hz, 0 gaps; " in life["ready"]["STATUS"]
    assert "signatures, 0 waiting; motion64 on cpu" in life["ready"]["STATUS"]
    status = life["status"]
    assert status["sensor"]["state"] == "streaming"
    assert status["sink"]["well"]
    assert status["model"]["fingerprint"]
    assert status["last_error"] is None


def test_its_metrics_are_its_status(life):
    samples = dict(line.rsplit(" ", 1) for line in life["metrics"].splitlines() if not line.startswith("#"))
    assert float(samples["motionsig_connected"]) == 1
    assert float(samples["motionsig_windows_total"]) == life["status"]["windows"]
    assert float(samples["motionsig_samples_total"]) >= 256
    assert "motionsig_outage_fits_seconds" not in samples  # a store is no queue


def test_a_reload_applies_what_it_can_without_losing_a_window(life):
    assert int(life["reloading"]["MONOTONIC_USEC"]) > 0
    assert life["other"]["device"].startswith("reference")
    assert life["other"]["needs_restart"] == ["name"]
    assert life["other"]["name"] == "pi"
    assert life["other"]["windows_lost"] == 0
    assert "model.device changed; restart for name" in life["log"]


def test_a_configuration_that_is_wrong_stays_out(life):
    assert "the configuration stays as it was: " in life["log"]


def test_it_stops_in_time_and_says_so(life):
    assert life["stop_s"] < 5
    assert life["told"][-1]["STOPPING"] == "1"
    assert "stopped; " in life["log"]


def test_no_window_is_missing_whatever_happened(life):
    start_ns = life["stored"].start_ns
    assert len(start_ns) >= 3
    assert set(start_ns[1:] - start_ns[:-1]) == {life["stored"].hop_ns}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[sensor]\nname = "lsm6dox"\n[sink]\nurl = "store:/x"\n', "did you mean lsm6dso"),
        ('[sink]\nurl = "store:/x"\n[model]\nname = "motion65"\n', "motion64"),
        ("junk", "expected TOML"),
    ],
)
def test_a_configuration_that_can_never_work_ends_it_with_a_line(tmp_path, text, said):
    (tmp_path / "config.toml").write_text(text)
    command = [sys.executable, "-m", "motionsig.cli", "run", "--config", str(tmp_path / "config.toml")]
    for check in ([], ["--check"]):
        done = subprocess.run([*command, *check], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_without_a_sensor_it_waits_says_so_and_stops_in_time(tmp_path):
    with Daemon(tmp_path, f"store:{tmp_path}/s.db", sensor="lsm6dso").start() as daemon:
        told = daemon.until_told("STATUS")
        assert "no sensor" in told["STATUS"]
        assert "READY" not in told
        status = daemon.status()
        assert (status["sensor"]["state"], status["clock_steps"]) == ("missing", 0)
        assert daemon.stop() < 5 + STALL_S
    assert "trying again" in daemon.log


def test_status_without_a_daemon_says_what_to_do(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "motionsig.cli", "status"],
        capture_output=True, text=True, timeout=60, env={"RUNTIME_DIRECTORY": str(tmp_path), "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "expected a running daemon" in done.stderr
    assert "systemctl start motionsig" in done.stderr
