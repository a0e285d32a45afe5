"""The package in the container: upgraded, removed, purged; nothing is left but the data."""

import subprocess
import time
from pathlib import Path

from scripts.packaging_trial import page
from scripts.packaging_trial.checks import Checks
from scripts.packaging_trial.machines import Container
from scripts.packaging_trial.service import await_, shown

# Records of apt, dpkg and systemd, and what is made at each boot.
RECORDS = (
    "/var/lib/dpkg/",
    "/var/lib/apt/",
    "/var/cache/",
    "/var/log/",
    "/run/",
    "/tmp/",
    "/var/tmp/",
    "/dev/",
    "/root/",
    "/var/lib/systemd/",
    "/etc/ld.so.cache",
    "/etc/resolv.conf",
    "/proc/",
    "/sys/",
    "/etc/.pwd.lock",
    "/etc/machine-id",
    "/var/lib/dbus/machine-id",
)
DATA = ("/var/lib/private", "/var/lib/motionsig")
ACCOUNTS = tuple(f"/etc/{name}{old}" for name in ("group", "gshadow", "passwd", "shadow") for old in ("", "-"))


def listing(root: Path) -> dict[str, str]:
    """Return kind, size and time of change of everything in `root` but RECORDS."""
    command = ["find", str(root), "-mindepth", "1", "-printf", "/%P\t%y %m %u %g %s %T@\n"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    named = dict(line.split("\t") for line in said.splitlines())
    # A folder's own time changes with what comes and goes in it.
    return {
        name: value if value[0] != "d" else " ".join(value.split()[:4])
        for name, value in named.items()
        if not f"{name}/".startswith(RECORDS)
    }


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what came, went or changed."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def build_newer(machine: Container) -> None:
    machine.shell(
        "cd /root/motionsig && git -c user.name=trial -c user.email=trial@localhost commit -q --allow-empty -m newer"
        " && scripts/build_deb /root/newer 2>&1",
        timeout_s=300,
    )


def try_upgrade(machine: Container, checks: Checks) -> None:
    (machine.root / "etc/motionsig/config.toml").open("a").write("# the owner's own line\n")
    old = machine.shell("dpkg-query -W -f '${Version}' motionsig")
    size_mb = machine.shell("echo $(($(dpkg-query -W -f '${Installed-Size}' motionsig) / 1024))")
    page.open_to_network(machine)
    kept = machine.shell("find /var/lib/private/motionsig -type f | wc -l")
    pids = [shown(machine, "MainPID", unit) for unit in ("motionsig", "motionsig@hall")]
    start_s = time.monotonic()
    said = machine.shell("apt-get install -q -y /root/newer/*.deb 2>&1", timeout_s=120)
    took_s = time.monotonic() - start_s
    new = machine.shell("dpkg-query -W -f '${Version}' motionsig")
    checks(
        "the .deb upgrades",
        machine.shell(f"dpkg --compare-versions {new} gt {old} && echo so", check=False) == "so",
        f"{old} to {new} in {took_s:.0f} s",
    )
    for unit, pid in zip(("motionsig", "motionsig@hall"), pids, strict=True):
        again_s = await_(
            machine, f'[ "$(systemctl show --value -p MainPID {unit})" != {pid} ] && systemctl is-active -q {unit}', 60
        )
        checks(f"{unit} runs again, as the new version", again_s < 60)
    checks(
        "the owner's configuration stays",
        "owner's own" in machine.shell("cat /etc/motionsig/config.toml") and "conffile" not in said.lower(),
    )
    checks("the state stays", int(machine.shell("find /var/lib/private/motionsig -type f | wc -l")) >= int(kept) > 0)
    page.check_still_open(machine, checks)
    checks("size", True, f".deb {machine.shell('du -m /root/newer/*.deb | cut -f1')} MB, installed {size_mb} MB")


def try_removal(machine: Container, before: dict[str, str], checks: Checks) -> None:
    machine.shell("apt-get remove -q -y motionsig 2>&1", timeout_s=120)
    # Without --all: what an enabled unit's link still names is no unit.
    units = machine.shell(
        "systemctl list-units --no-legend 'motionsig*'; grep -l ^/opt/motionsig /proc/[0-9]*/cmdline", check=False
    )
    checks("removed: no service, no process", not units, units)
    ports = machine.shell(page.LISTENS, check=False)
    checks("nobody listens at the page's ports", ports == "0", ports)
    there = machine.shell(
        "ls -d /opt/motionsig /usr/bin/motionsig /usr/lib/systemd/system/motionsig* 2>/dev/null", check=False
    )
    checks("no program left", not there, there)
    checks("the configuration stays until a purge", "owner's own" in machine.shell("cat /etc/motionsig/config.toml"))
    said = machine.shell("apt-get purge -q -y motionsig 2>&1", timeout_s=120)
    checks("purge says what it keeps and that groups stay", "kept" in said and "groups" in said)
    left = [
        name for name in difference(before, listing(machine.root)) if not name.startswith(DATA) and name not in ACCOUNTS
    ]
    checks("purged: nothing is left but the data", not left, ", ".join(left[:20]))
    users = machine.shell("getent passwd motionsig; getent passwd | grep -c motionsig", check=False)
    checks("no user left", users == "0", users)
    checks(
        "the data are there",
        "signatures.db" in machine.shell("find /var/lib/private -type f"),
        machine.shell("find /var/lib/private -type f | tr '\\n' ' '"),
    )


def try_install_remove(machine: Container, before: dict[str, str], checks: Checks) -> None:
    start_s = time.monotonic()
    machine.shell("apt-get install -q -y /root/newer/*.deb 2>&1", timeout_s=120)
    checks(
        "installed once more, with no sensor: apt does not wait for one",
        time.monotonic() - start_s < 60,
        f"{time.monotonic() - start_s:.0f} s",
    )
    start_s = time.monotonic()
    machine.shell(
        "rm -f /etc/motionsig/conf.d/*; systemctl restart --no-block motionsig;"
        " apt-get install -q -y --reinstall /root/newer/*.deb 2>&1",
        timeout_s=120,
    )
    checks("nor does an upgrade", time.monotonic() - start_s < 60, f"{time.monotonic() - start_s:.0f} s")
    machine.shell("cd /root/motionsig && scripts/install --remove 2>&1", timeout_s=120)
    left = [
        name for name in difference(before, listing(machine.root)) if not name.startswith(DATA) and name not in ACCOUNTS
    ]
    checks("scripts/install --remove: nothing left but the data", not left, ", ".join(left[:20]))
    checks("and apt is content", not machine.shell("dpkg --audit; apt-get check -qq 2>&1"))
