"""The sink that the daemon opens: the service's folders, the availability message, and an end within its deadline."""

import time

import pytest
from broker import Broker, free_port
from made import numbered, wait_until
from processes import STALL_S

from motionsig.config import load_config
from motionsig.daemon.delivery import open_configured_sink


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """The function that opens the sink of a URL."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))

    def opened(url):
        (tmp_path / "config.toml").write_text(f'name = "pi"\n[sink]\nurl = "{url}"\n')
        return open_configured_sink(load_config(tmp_path / "config.toml"), 7)

    return opened


def test_a_broker_that_is_away_finds_the_queue_in_the_services_folders_and_delays_no_stop(opened, tmp_path):
    sink = opened(f"mqtt://127.0.0.1:{free_port()}")
    sink.publish(numbered(3))
    assert any(file.stat().st_size for file in (tmp_path / "run" / "spool").iterdir() if file.is_file())
    began_s = time.monotonic()
    sink.close()
    assert time.monotonic() - began_s < 4 + STALL_S
    # What waited for one broker goes to another.
    with opened(f"mqtt://localhost:{free_port()}") as other:
        assert other.counts.recovered == 3
    assert any(file.stat().st_size for file in (tmp_path / "state" / "spool").iterdir() if file.is_file())


def test_the_broker_hears_that_the_device_is_there(opened, tmp_path):
    with Broker(tmp_path / "broker") as broker, opened(broker.url):
        wait_until(lambda: "motionsig/pi/availability" in broker.log)


def test_a_relative_path_is_in_a_state_folder_that_only_its_owner_reads(opened, tmp_path):
    with opened("store:below/s.db"):
        pass
    assert (tmp_path / "state" / "below" / "s.db").exists()
    assert (tmp_path / "state" / "below").stat().st_mode & 0o777 == 0o700
