"""The services' units: what systemd thinks of them, and that the check can fail."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNITS = ("motionsig.service", "motionsig@.service")
MOST_EXPOSED = 1.5


@pytest.fixture(autouse=True)
def _systemd():
    if shutil.which("systemd-analyze") is None:
        assert "MOTIONSIG_TEST_MACHINES" not in os.environ, "expected systemd-analyze to be installed"
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=30)


def exposure(unit):
    done = analyze("security", "--offline=true", str(unit))
    assert not done.returncode, done.stderr
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])


def complaints(tmp_path, name, text):
    """Return what systemd says of a unit whose program is there."""
    (tmp_path / name).write_text(text.replace("/opt/motionsig/bin/motionsig", shutil.which("true")))
    return analyze("verify", "--man=no", str(tmp_path / name)).stderr


@pytest.mark.parametrize("name", UNITS)
def test_exposure(name):
    assert exposure(SYSTEMD / name) <= MOST_EXPOSED


@pytest.mark.parametrize("line", ["CapabilityBoundingSet=", "RestrictNamespaces=yes"])
def test_exposure_is_measured(line, tmp_path):
    text = (SYSTEMD / UNITS[0]).read_text()
    weaker = tmp_path / UNITS[0]
    weaker.write_text(text.replace(f"\n{line}\n", "\n"))
    assert weaker.read_text() != text
    assert exposure(weaker) > MOST_EXPOSED


@pytest.mark.parametrize("name", UNITS)
def test_every_line_is_understood(name, tmp_path):
    assert complaints(tmp_path, name, (SYSTEMD / name).read_text()) == ""


@pytest.mark.parametrize(
    ("line", "broken", "word"),
    [
        ("NotifyAccess=main", "NotifyAcess=main", "NotifyAcess"),
        ("WatchdogSec=30", "WatchdogSec=often", "often"),
        ("DeviceAllow=char-i2c rw", "DeviceAllow=i2c-1 rw", "'i2c-1'"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@service", "@service"),
    ],
)
def test_a_line_that_is_not_understood_is_found(line, broken, word, tmp_path):
    text = (SYSTEMD / UNITS[0]).read_text()
    assert line in text
    assert word in complaints(tmp_path, UNITS[0], text.replace(line, broken))


def test_an_instance_differs_only_by_its_name():
    one, many = (
        [line for line in (SYSTEMD / name).read_text().splitlines() if line and not line.startswith("#")]
        for name in UNITS
    )
    assert set(many) - set(one) == {
        "Description=Motion sensor %i to motion signatures",
        "ExecStart=/opt/motionsig/bin/motionsig run --name %i",
        "StateDirectory=motionsig-%i",
        "RuntimeDirectory=motionsig-%i",
        "NoExecPaths=-/tmp -/var/tmp -/dev/shm -/var/lib/private/motionsig-%i -/run/private/motionsig-%i",
    }
    assert [line.replace(" %i", "").replace("-%i", "").replace(" --name", "") for line in many] == one
