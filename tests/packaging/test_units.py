"""The services' units: what systemd thinks of them, and that the check can fail."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
UNITS = ("motionsig.service", "motionsig@.service")
RECEIVER = "motionsig-collect.service"
PAGE = "motionsig-page.service"
SOCKETS = ("motionsig-control.socket", "motionsig-page.socket", "motionsig-page-network.socket")
MOST_EXPOSED = 1.3

OPEN = {
    "RootDirectory=/RootImage=",
    "SupplementaryGroups=",
    "PrivateDevices=",
    "DeviceAllow=",
    "ProcSubset=",
    "PrivateNetwork=",
    "IPAddressDeny=",
    "RestrictAddressFamilies=~AF_NETLINK",
    "RestrictAddressFamilies=~AF_UNIX",
    "RestrictAddressFamilies=~AF_(INET|INET6)",
}
"""What the service needs of all that systemd could take away from it: its devices, the network, and /proc/cpuinfo."""

PROMISES = """\
After=time-set.target
StartLimitIntervalSec=0
ExecReload=/bin/sh -c 'kill -HUP $MAINPID'
Type=notify
TimeoutStartSec=90
WatchdogSec=30
Restart=always
RestartSec=2
TimeoutStopSec=10
KillMode=mixed
StateDirectoryMode=0700
RuntimeDirectoryPreserve=yes
LoadCredential=motionsig:/etc/motionsig/credentials
UMask=0077
Environment=OPENBLAS_NUM_THREADS=1
MemoryMax=256M
LimitDATA=512M
TasksMax=64
LimitCORE=0
OOMPolicy=continue
OOMScoreAdjust=-200
DevicePolicy=closed
DeviceAllow=char-i2c rw
DeviceAllow=char-spi rw
DeviceAllow=char-iio rw
DeviceAllow=char-usb_device rw
DeviceAllow=char-apex rw
WantedBy=multi-user.target
ReadWritePaths=-/sys/devices -/sys/kernel/config/iio
SystemCallErrorNumber=EPERM
"""
"""What the README and the daemon count on, and systemd does not judge."""


@pytest.fixture(autouse=True)
def _systemd():
    if shutil.which("systemd-analyze") is None:
        assert "MOTIONSIG_TEST_MACHINES" not in os.environ, "expected systemd-analyze to be installed"
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, timeout=120)


def exposure(unit):
    done = analyze("security", "--offline=true", str(unit))
    assert not done.returncode, done.stderr
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])


def complaints(tmp_path, name, text):
    """Return what systemd says of a unit whose program is there."""
    (tmp_path / name).write_text(re.sub(r"/opt/motionsig/bin/\w+", shutil.which("true"), text))
    return analyze("verify", "--man=no", str(tmp_path / name)).stderr


@pytest.mark.parametrize(("name", "most"), [*((name, MOST_EXPOSED) for name in UNITS), (RECEIVER, 1.1), (PAGE, 0.2)])
def test_exposure(name, most):
    assert exposure(SYSTEMD / name) <= most


@pytest.mark.parametrize("line", ["CapabilityBoundingSet=", "RestrictNamespaces=yes"])
def test_exposure_is_measured(line, tmp_path):
    text = (SYSTEMD / UNITS[0]).read_text()
    weaker = tmp_path / UNITS[0]
    weaker.write_text(text.replace(f"\n{line}\n", "\n"))
    assert weaker.read_text() != text
    assert exposure(weaker) > MOST_EXPOSED


@pytest.mark.parametrize("name", UNITS)
def test_the_sandbox_lacks_nothing_but_what_the_service_needs(name):
    said = analyze("security", "--offline=true", "--json=short", str(SYSTEMD / name)).stdout
    assert {check["name"] for check in json.loads(said) if not check["set"]} == OPEN


@pytest.mark.parametrize("name", UNITS)
def test_what_others_count_on_is_there(name):
    lines = (SYSTEMD / name).read_text().splitlines()
    assert [line for line in PROMISES.splitlines() if line not in lines] == []
    modules = {f"modprobe@{name}.service" for name in ("i2c_dev", "spidev", "industrialio", "iio_trig_hrtimer")}
    for key in ("Wants=", "After="):
        assert modules <= {each for line in lines if line.startswith(key) for each in line.removeprefix(key).split()}


@pytest.mark.parametrize("name", [*UNITS, RECEIVER, PAGE, *SOCKETS])
def test_every_line_is_understood(name, tmp_path):
    for other in (UNITS[0], PAGE, *SOCKETS):
        complaints(tmp_path, other, (SYSTEMD / other).read_text())
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
    # There is one page, and it is for the first of them.
    one.remove("Sockets=motionsig-control.socket")
    assert [line.replace(" %i", "").replace("-%i", "").replace(" --name", "") for line in many] == one


def test_the_receiver_s_sandbox_lacks_nothing_but_the_network():
    said = analyze("security", "--offline=true", "--json=short", str(SYSTEMD / RECEIVER)).stdout
    network = {"PrivateNetwork=", "IPAddressDeny=", "RestrictAddressFamilies=~AF_UNIX"}
    # DeviceAllow: PrivateDevices= leaves /dev/null and the like.
    expected = network | {"DeviceAllow=", "RootDirectory=/RootImage=", "RestrictAddressFamilies=~AF_(INET|INET6)"}
    assert {check["name"] for check in json.loads(said) if not check["set"]} == expected


def test_the_receiver_starts_as_its_unit_and_its_settings_say(tmp_path, monkeypatch):
    """The unit's command with the shipped settings, as systemd splits them, is one that the command line takes."""
    from motionsig.cli.command_line import _parse

    settings = dict(
        re.fullmatch(r'(\w+)="(.*)"', line).groups()
        for line in (SYSTEMD / "collect.env").read_text().splitlines()
        if not line.startswith("#")
    )
    line = next(each for each in (SYSTEMD / RECEIVER).read_text().splitlines() if each.startswith("ExecStart="))
    words = line.split()[1:]
    assert words[-1] == "$OPTIONS"
    words = [re.sub(r"\$\{(\w+)\}", lambda found: settings[found[1]], word) for word in words[:-1]]
    given = _parse([*words, *settings["OPTIONS"].split()], 0.0)
    assert (given.broker, given.store) == (settings["FROM"], settings["INTO"])
    assert given.password_credential == "collector-password" and given.prometheus == 9108


def lines_of(name):
    """Return the lines of a unit by their key; a key that stands twice has all of its values."""
    values = {}
    for line in (SYSTEMD / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


def test_the_page_s_sandbox_lacks_nothing_but_unix_sockets():
    said = analyze("security", "--offline=true", "--json=short", str(SYSTEMD / PAGE)).stdout
    # DeviceAllow: PrivateDevices= leaves /dev/null and the like.
    expected = {"DeviceAllow=", "RootDirectory=/RootImage=", "RestrictAddressFamilies=~AF_UNIX"}
    assert {check["name"] for check in json.loads(said) if not check["set"]} == expected


def test_the_page_is_reached_through_sockets_that_systemd_opens():
    """The page has no network of its own, so a port that is not here cannot be reached."""
    control, local, network = map(lines_of, SOCKETS)
    assert control["ListenStream"] == ["/run/motionsig-control.sock"] and control["SocketMode"] == ["0660"]
    assert local["ListenStream"] == ["127.0.0.1:8765"] and network["ListenStream"] == ["8766"]
    assert [each["FileDescriptorName"] for each in (control, local, network)] == [["control"], ["page"], ["page-tls"]]
    assert control["Service"] == [UNITS[0]] and network["Service"] == [PAGE] and "Service" not in local
    for each in (local, network):
        assert each["IPAddressDeny"] == ["any"]
    made = re.findall(r"^u (\S+)", (SYSTEMD / "motionsig.sysusers").read_text(), re.MULTILINE)
    assert made == lines_of(PAGE)["User"] == control["SocketGroup"]


def test_a_browser_does_not_start_a_service_that_was_stopped():
    """Systemd starts a service whose socket is asked: so the socket goes when the service goes."""
    control = lines_of(SOCKETS[0])
    assert control["PartOf"] == [UNITS[0]] and "WantedBy" not in control
    assert lines_of(UNITS[0])["Sockets"] == [SOCKETS[0]]
