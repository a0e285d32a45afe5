"""The file that an owner sends: what it measures, and what it does not tell."""

import getpass
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, cwd):
    command = [sys.executable, ROOT / "scripts/try_on_pi", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pi")
    done = run("--minutes", 0.01, folder / "pi.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "nothing was sent" in done.stdout
    return (folder / "pi.json").read_text()


def test_it_measures_speed_memory_codes_heat_and_sensors(written):
    found = json.loads(written)
    assert set(found) == {"board", "cpu", "reference", "sensors", "warmth"}
    assert found["reference"]["differ_from_reference"] == 0
    assert found["cpu"]["most_steps"] <= found["cpu"]["tolerance"]
    assert found["cpu"]["runtime"].startswith("cpu (")
    for device in ("cpu", "reference"):
        assert 0 < found[device]["window_us"]["median"] <= found[device]["window_us"]["most"]
        assert found[device]["peak_mb"] > 10 and re.fullmatch("[0-9a-f]{64}", found[device]["sha256"])
    assert {"celsius", "khz", "throttled"} <= set(found["warmth"][0])
    assert len(found["warmth"]) >= 2 and found["warmth"][-1]["window_us"] > 0
    assert "iio" in found["sensors"]


def test_it_tells_no_name_and_no_address(written):
    for own in (socket.gethostname(), str(Path.home()), str(ROOT)):
        assert own not in written
    assert getpass.getuser() not in json.dumps(json.loads(written)["board"])
    assert not re.search(r"([0-9a-f]{2}:){5}[0-9a-f]{2}|\b\d+\.\d+\.\d+\.\d+\b", written.replace("rpi", ""))
    assert "erial\\t" not in written


def test_it_writes_over_no_file(tmp_path):
    (tmp_path / "pi.json").write_text("mine")
    done = run(tmp_path / "pi.json", cwd=tmp_path)
    assert done.returncode == 2 and "expected a new file" in done.stderr
    assert (tmp_path / "pi.json").read_text() == "mine"
