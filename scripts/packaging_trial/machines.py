"""Debian 12 twice, each with its own systemd as process 1: in a container, and in QEMU.

The container is systemd-nspawn's, quick, on a pure cgroup2 that it mounts for itself where the host has the old one. In
QEMU Debian's own kernel runs from a real ext4 on a virtual disk, emulated: slow, but it needs no /dev/kvm, and killing
it is a power cut. Both take commands by `shell`. In both, apt and pip use the mirrors,
proxies and certificates of this machine.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

HERE = Path(__file__).resolve().parent

BASE = ("systemd", "systemd-sysv", "dbus", "udev", "kmod", "ca-certificates")
# What the README asks for before scripts/install, and the broker that it publishes to.
BEFORE_INSTALL = ("git", "mosquitto", "mosquitto-clients", "openssl", "python3")

PIP_SETTINGS = "index-url|extra-index-url|cert|proxy|trusted-host|timeout"
PROXIES = tuple(f"{name}={value}" for name, value in os.environ.items() if name.lower().endswith("_proxy"))

NSPAWN = (
    "unshare",
    "--mount",
    "sh",
    "-ec",
    """
echo $$ >"$2/cgroup.procs"
mount --make-rprivate /
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
root=$1
shift 2
exec systemd-nspawn --quiet --directory="$root" --keep-unit --register=no --timezone=off --resolv-conf=copy-host "$@"
""",
    "nspawn",
)

AGENT_UNIT = """[Unit]
DefaultDependencies=no
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/trial/agent.py
Restart=always
"""
AGENT_RULE = (
    'SUBSYSTEM=="virtio-ports", ATTR{name}=="trial", TAG+="systemd", ENV{SYSTEMD_WANTS}+="trial-agent.service"\n'
)


ALONE = "192.168.77.2"
"""The address of a container that is alone."""


class ShellError(RuntimeError):
    """A command in a machine failed."""


class Machine(Protocol):
    """What runs a command as root and returns what it wrote, standard error last."""

    def shell(self, script: str, *, timeout_s: float = 60, check: bool = True) -> str: ...


def judged(script: str, code: int, output: str, check: bool) -> str:
    if check and code:
        raise ShellError(f"{script.strip()}\nexit code {code}:\n{output[-4000:]}")
    return output.strip()


# The root file system.


def debian(cache: Path) -> Path:
    """Return a clean Debian 12 with BEFORE_INSTALL; made once."""
    root = cache / "debian-12"
    if (cache / "debian-12.complete").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)", "Created-By: Packages", "Origin: Debian"]
    mirrors = subprocess.run(query, check=False, capture_output=True, text=True).stdout.split()
    known = {release: address for address, _, release in (each.partition("|") for each in mirrors)}
    mirror = known.get("bookworm", "http://deb.debian.org/debian")
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(BASE)}", "bookworm", str(root), mirror]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    updates = ("bookworm-updates", "bookworm-security")
    sources = {"bookworm": mirror} | {name: known[name] for name in updates if name in known}
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/apt/sources.list").write_text("".join(f"deb {where} {name} main\n" for name, where in sources.items()))
    borrow_settings(root)
    inside(root, f"apt-get update -qq && apt-get install -qq -y --no-install-recommends {' '.join(BEFORE_INSTALL)}")
    # Each machine's own, made when it first boots.
    inside(root, "rm -f /etc/machine-id /var/lib/dbus/machine-id; touch /etc/machine-id")
    inside(root, "systemctl disable -q mosquitto; apt-get clean")
    (cache / "debian-12.complete").touch()
    return root


def borrow_settings(root: Path) -> None:
    """Let apt and pip in `root` use the mirrors, proxies and certificates of this machine."""
    said = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    lines = re.findall(r"^Acquire::(?:https?::|Check-).*$", said, re.MULTILINE)
    (root / "etc/apt/apt.conf.d/90host").write_text("".join(f"{line}\n" for line in lines))
    query = ["python3", "-m", "pip", "config", "list"]
    said = subprocess.run(query, check=False, capture_output=True, text=True).stdout
    settings = re.findall(rf"^.*\.({PIP_SETTINGS})='((?!file:).*)'$", said, re.MULTILINE)
    (root / "etc/pip.conf").write_text(
        "[global]\n" + "".join(f"{key} = {value}\n" for key, value in dict(settings).items())
    )
    for certificate in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        shutil.copy(certificate, root / "usr/local/share/ca-certificates")
    inside(root, "update-ca-certificates >/dev/null 2>&1")


def inside(root: Path, script: str) -> None:
    """Run `script` in `root` without booting it."""
    settings = [f"--setenv={each}" for each in (*PROXIES, "DEBIAN_FRONTEND=noninteractive")]
    with cgroup() as group:
        command = [*NSPAWN, str(root), str(group), "--pipe", *settings, "bash", "-ec", script]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    judged(script, done.returncode, done.stdout + done.stderr, True)


def copied(root: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(root), str(to)], check=True)
    return to


# The container.


@dataclass
class Container:
    root: Path
    leader: int

    def shell(self, script: str, *, timeout_s: float = 60, check: bool = True) -> str:
        command = ["nsenter", "-t", str(self.leader), *("-m", "-u", "-i", "-p", "-n", "-C", "-r", "-w")]
        command += ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
        command += [*PROXIES, "DEBIAN_FRONTEND=noninteractive", "bash", "-c", script]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise ShellError(f"{script.strip()}\nno end in {timeout_s} s") from error
        return judged(script, done.returncode, done.stdout + done.stderr, check)


@contextlib.contextmanager
def container(root: Path, *, alone: bool = False) -> Iterator[Container]:
    """Boot `root`; what it wrote stays.

    It shares this machine's network, or `alone` has one of its own with every port free, and nobody else in it.
    """
    with cgroup() as group, open(root.with_suffix(".log"), "wb") as log:
        command = [*NSPAWN, str(root), str(group), "--boot", "--console=pipe"]
        if alone:
            command.append("--private-network")
        nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            machine = booted(nspawn, root)
            if alone:
                add_address(machine)
            yield machine
        finally:
            # To systemd-nspawn: an orderly shutdown.
            nspawn.terminate()
            try:
                nspawn.wait(20)
            except subprocess.TimeoutExpired:
                nspawn.kill()
                nspawn.wait()


@contextlib.contextmanager
def cgroup() -> Iterator[Path]:
    """Make a control group, because a container without one takes its parent's, and two would share theirs."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    top = next(Path(where) for _, where, kind, *_ in mounts if kind == "cgroup2")
    group = Path(tempfile.mkdtemp(prefix="motionsig-trial-", dir=top))
    try:
        yield group
    finally:
        for folder in sorted(group.rglob("*/"), reverse=True):
            folder.rmdir()
        group.rmdir()


def booted(nspawn: "subprocess.Popen[bytes]", root: Path) -> Container:
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    for _ in range(300):
        if nspawn.poll() is not None:
            break
        for child in children.read_text().split():
            machine = Container(root, int(child))
            # The stub of process 1 comes before systemd; it has no bus yet.
            state = machine.shell("systemctl is-system-running", check=False)
            if state in ("running", "degraded"):
                return machine
        time.sleep(0.1)
    raise ShellError(f"the container did not boot:\n{root.with_suffix('.log').read_text()[-2000:]}")


def add_address(machine: Container) -> None:
    """Give a container that is alone an interface with an address, as a network at home would."""
    links = "link add home0 type veth peer name home1", "link set home0 up", "link set home1 up"
    for words in (*links, f"address add {ALONE}/24 dev home0"):
        subprocess.run(["nsenter", "-t", str(machine.leader), "-n", "ip", *words.split()], check=True)


# The guest of QEMU.


@dataclass
class Guest:
    """A machine with a disk. `cut` is the power cut."""

    disk: Path
    kernel: Path
    initrd: Path
    options: Sequence[str] = ()
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    line: socket.socket = field(init=False)

    def __enter__(self) -> "Guest":
        address = self.disk.with_suffix(".socket")
        address.unlink(missing_ok=True)
        command = ["nice", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "1", "-m", "1024"]
        command += ["-nodefaults"]
        command += ["-no-reboot", "-display", "none", "-kernel", str(self.kernel), "-initrd", str(self.initrd)]
        command += ["-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0"]
        command += ["-drive", f"file={self.disk},format=raw,if=virtio,cache=none"]
        command += ["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile="]
        command += ["-chardev", f"socket,id=trial,path={address},server=on,wait=off", "-device", "virtio-serial"]
        command += [
            "-device",
            "virtserialport,chardev=trial,name=trial",
            "-serial",
            f"file:{self.disk.with_suffix('.log')}",
        ]
        self.process = subprocess.Popen([*command, *self.options], stdin=subprocess.DEVNULL)
        self.line = socket.socket(socket.AF_UNIX)
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.line.connect(str(address))
                break
            time.sleep(0.1)
        self.shell("true", timeout_s=180)
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.line.close()
            self.process = None

    def shell(self, script: str, *, timeout_s: float = 60, check: bool = True) -> str:
        self.line.settimeout(timeout_s + 10)
        self.line.sendall(json.dumps([script, timeout_s]).encode() + b"\n")
        answer = b""
        try:
            while not answer.endswith(b"\n"):
                answer += self.line.recv(65536)
        except TimeoutError as error:
            raise ShellError(f"{script.strip()}\nno answer in {timeout_s} s") from error
        code, output = json.loads(answer)
        return judged(script, code, output, check)


def make_disk(root: Path, disk: Path, bytes_: int) -> None:
    """Write `root` into a new ext4 on `disk`."""
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as file:
        os.truncate(file.fileno(), bytes_)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk)], check=True)


def add_kernel(root: Path) -> tuple[Path, Path]:
    """Install Debian's kernel and the agent in `root`; return the kernel and its initial file system."""
    place = root / "usr/local/lib/trial"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "guest/agent.py", place)
    (root / "etc/systemd/system/trial-agent.service").write_text(AGENT_UNIT)
    (root / "etc/udev/rules.d/90-trial.rules").write_text(AGENT_RULE)
    network = "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n"
    (root / "etc/systemd/network/eth0.network").write_text(network)
    # Only what finds the disk; the rest is udev's work, as ever.
    settings = root / "etc/initramfs-tools"
    (settings / "conf.d").mkdir(parents=True, exist_ok=True)
    (settings / "conf.d/trial").write_text("MODULES=list\nCOMPRESS=lz4\n")
    (settings / "modules").write_text("virtio_pci\nvirtio_blk\next4\n")
    inside(
        root,
        "apt-get update -qq && apt-get install -qq -y --no-install-recommends linux-image-amd64 initramfs-tools lz4"
        " && apt-get clean && systemctl enable -q systemd-networkd",
    )
    return next((root / "boot").glob("vmlinuz-*")), next((root / "boot").glob("initrd.img-*"))
