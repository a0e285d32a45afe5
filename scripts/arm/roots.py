"""Debian for ARM on a PC: a folder with its packages and wheels, whose Python QEMU's user mode runs.

apt-get resolves and fetches packages as for a machine on which nothing is installed, dpkg-deb unpacks them, and pip
unpacks wheels of ARM beside them. In place of Python stands a script that starts it under QEMU, and all other programs
are a static busybox's of this machine: so whatever a program starts runs, too, without binfmt_misc, which a container
cannot set, and without PRoot, which (5.1, Debian 12) lets `statx` through to this machine's files.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.arm.machines import MACHINES, write

TREE = Path(__file__).resolve().parents[2]

BASE = ("python3", "libstdc++6", "ca-certificates")
# Of Debian 12 whatever this machine is: one QEMU, so that a difference is none of QEMU's.
QEMU = ("qemu-user-static", "busybox-static")
WAY = "1"
"""Of making a root: another number makes all anew."""

TOOLS = ("pytest>=7", "hypothesis>=6.80", "flatbuffers")

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


@dataclass(frozen=True)
class Root:
    """What a root is made of, and the Pi whose processor its programs see unless another is named."""

    architecture: str
    """Debian's name."""
    suite: str
    python: str
    machine: str
    glibc: int
    """The second number of its version: wheels built for an older one run, too."""
    qemu: str
    processor: str
    """The kernel's name of the architecture, and that of wheels."""
    packages: tuple[str, ...] = ()
    """Of Debian, beside BASE."""
    wheels: tuple[str, ...] = ()
    """Requirements, with what they depend on."""
    alone: tuple[str, ...] = ()
    """Requirements whose dependencies are Debian's."""


LITERT = (".[litert,mqtt,i2c,prometheus,signing,page]", "tflite>=2.18", *TOOLS)

ROOTS = {
    "arm64-bookworm": Root("arm64", "bookworm", "3.11", "pi4", 36, "qemu-aarch64-static", "aarch64", wheels=LITERT),
    "arm64-trixie": Root("arm64", "trixie", "3.13", "pi5", 41, "qemu-aarch64-static", "aarch64", wheels=LITERT),
    # 32 bits: there is no wheel of numpy. With Debian's packages these are the oldest versions that setup.cfg allows.
    "armhf-bookworm": Root(
        *("armhf", "bookworm", "3.11", "pi2", 36, "qemu-arm-static", "armv7l"),
        packages=(
            *("python3-numpy", "python3-cbor2", "python3-paho-mqtt", "python3-smbus2", "python3-prometheus-client"),
            *("python3-cryptography", "python3-uvicorn", "python3-segno"),
        ),
        wheels=TOOLS,
        alone=(".", "tflite-runtime==2.14.0", "tflite==2.18.0"),
    ),
}


def hindrance(*names: str) -> str:
    """Make the roots of these names; return why this machine can make or enter no root, or nothing."""
    if platform.machine() != "x86_64":
        return f"expected x86_64, got {platform.machine()}"
    if missing := [program for program in ("apt-get", "dpkg-deb", "unshare", "chroot") if not shutil.which(program)]:
        return f"expected {', '.join(missing)}, which Debian has"
    done = subprocess.run([*_own_mounts(), "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"expected to be allowed to mount, got: {done.stderr.strip()}"
    try:
        for name in names:
            make(name)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"expected Debian's packages and wheels for {name}, got: {error}"
    return ""


def cache() -> Path:
    """Return the folder in which roots are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "motionsig-arm"


def make(name: str, place: Path | None = None) -> Path:
    """Return the folder of a root, which is made where it is not there yet or its parts have changed.

    Raises subprocess.CalledProcessError where a package or a wheel cannot be had.
    """
    root, place = ROOTS[name], place or cache()

    def fill(new: Path) -> None:
        _unpack(_fetched(new.parent, root.architecture, root.suite, *BASE, *root.packages), new)
        _finish(root, new, _made("qemu", place, (repr(QEMU),), _qemu))
        _wheels(root, new)

    return _made(name, place, (repr(root), repr(BASE), (TREE / "setup.cfg").read_text()), fill)


def _made(name: str, place: Path, parts: Sequence[str], fill: Callable[[Path], None]) -> Path:
    """Return a folder of the cache that was filled from these parts; others of the name are removed."""
    folder = place / f"{name}-{hashlib.sha256(''.join((*parts, repr(MACHINES), WAY)).encode()).hexdigest()[:12]}"
    if folder.exists():
        return folder
    place.mkdir(parents=True, exist_ok=True)
    print(f"making {folder} (once)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=place) as work:
        new = Path(work) / "new"
        new.mkdir()
        fill(new)
        # Another process may have made the same one meanwhile: then that one stays.
        if not folder.exists():
            for old in place.glob(f"{name}-*"):
                shutil.rmtree(old, ignore_errors=True)
            new.rename(folder)
    return folder


def _qemu(new: Path) -> None:
    unpacked = new.parent / "unpacked"
    _unpack(_fetched(new.parent, "amd64", "bookworm", *QEMU), unpacked)
    # Of some thirty processors' QEMU, ours.
    for program in ("bin/busybox", *{f"usr/bin/{root.qemu}" for root in ROOTS.values()}):
        shutil.copy2(unpacked / program, new)


def _fetched(work: Path, architecture: str, suite: str, *packages: str) -> list[Path]:
    """Return Debian's packages and what they depend on, fetched from the mirror of this machine into a folder."""
    lists, archives, sources = work / "lists", work / "archives", work / "sources"
    for folder in (lists / "partial", archives / "partial"):
        folder.mkdir(parents=True)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    sources.write_text(f"deb [signed-by={keyring}] {_mirror()} {suite} main\n")
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "/dev/null",
        # As if nothing were installed, so that every library comes along.
        "Dir::State::status": "/dev/null",
        "Dir::State::Lists": str(lists),
        "Dir::Cache": str(work),
        "Dir::Cache::Archives": str(archives),
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    _call(*apt, "update")
    _call(*apt, "install", "-y", "--download-only", *packages)
    return sorted(archives.glob("*.deb"))


def _mirror() -> str:
    """Return the mirror of Debian that this machine uses."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    return next((uri for uri in found if "security" not in uri), "http://deb.debian.org/debian")


def _unpack(packages: Sequence[Path], new: Path) -> None:
    # Debian's packages may rely on these links since Debian 12 (usrmerge).
    for name in ("bin", "lib", "sbin"):
        (new / "usr" / name).mkdir(parents=True)
        (new / name).symlink_to(f"usr/{name}")
    for package in packages:
        tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-xf-", "--keep-directory-symlink", "-C", new], check=True, input=tar.stdout)


def _finish(root: Root, new: Path, qemu: Path) -> None:
    """Put QEMU in front of Python, busybox in place of the other programs, and what a system needs beside packages."""
    own = new / "opt/emulated"
    own.mkdir(parents=True)
    shutil.copy2(qemu / root.qemu, own / "qemu")
    # `sh` is what busybox is where it is called so.
    shutil.copy2(qemu / "busybox", own / "sh")
    for applet in subprocess.run(
        [own / "sh", "-c", "busybox --list"], check=True, capture_output=True, text=True
    ).stdout.split():
        program = new / "usr/bin" / applet
        program.unlink(missing_ok=True)
        program.symlink_to("/opt/emulated/sh")
    python = new / "usr/bin" / f"python{root.python}"
    python.rename(own / python.name)
    # `-0`: by the name under which it is called Python knows the virtual environment that it is in.
    python.write_text(
        "#!/opt/emulated/sh\n"
        "read -r core </opt/machine/core\n"
        f'exec /opt/emulated/qemu -cpu "$core" -0 "$0" /opt/emulated/{python.name} "$@"\n'
    )
    python.chmod(0o755)
    # update-alternatives' links, without which numpy finds no BLAS.
    for library in (path for name in ("blas", "lapack") for path in (new / "usr/lib").glob(f"*/{name}/*.so.3")):
        (library.parents[1] / library.name).symlink_to(f"{library.parent.name}/{library.name}")
    for name, text in {"passwd": PASSWD, "group": GROUP, "hosts": HOSTS}.items():
        (new / "etc" / name).write_text(text)
    (new / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
    certificates = sorted((new / "usr/share/ca-certificates").rglob("*.crt"))
    (new / "etc/ssl/certs/ca-certificates.crt").write_text("".join(path.read_text() for path in certificates))
    for name, machine in MACHINES.items():
        write(machine, new / "opt/machines" / name)
    for name in ("opt/machine", "proc", "sys", "dev", "tmp", "root", "var/cache/python"):
        (new / name).mkdir(parents=True, exist_ok=True)


def _wheels(root: Root, new: Path) -> None:
    """Unpack wheels of ARM where Debian's Python looks for what an administrator installed."""
    site = new / "usr/local/lib" / f"python{root.python}" / "dist-packages"
    platforms = [f"manylinux_2_{minor}_{root.processor}" for minor in range(17, root.glibc + 1)]
    platforms.append(f"manylinux2014_{root.processor}")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--upgrade",
    ]
    pip += ["--root-user-action", "ignore", "--target", str(site), "--only-binary=:all:", "--implementation", "cp"]
    pip += ["--python-version", root.python, *(f"--platform={name}" for name in platforms)]
    if root.wheels:
        _call(*pip, *root.wheels)
    if root.alone:
        _call(*pip, "--no-deps", *root.alone)
    # The tree is run, not a copy of it; its entry points stay, in motionsig-*.dist-info.
    shutil.rmtree(site / "motionsig")


def _call(*command: str) -> None:
    done = subprocess.run(command, cwd=TREE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="", file=sys.stderr)
        done.check_returncode()


ENTER = """
machine=$1 root=$2 folder=$3
shift 3
mount --bind "$root/opt/machines/$machine" "$root/opt/machine"
mount --rbind /proc "$root/proc"
mount --bind "$root/opt/machine/proc/cpuinfo" "$root/proc/cpuinfo"
mount --bind "$root/opt/machine/sys" "$root/sys"
for each in /dev /tmp /var/tmp "$TREE"; do
    mkdir -p "$root$each"
    mount --rbind "$each" "$root$each"
done
exec chroot "$root" /opt/emulated/sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""


def command(name: str, argv: Sequence[str], *, machine: str = "", place: Path | None = None) -> list[str]:
    """Return the command that runs a command in a root, as this very process, in the current folder.

    The command sees the tree, /tmp and /var/tmp of this machine, its network and its processes.

    machine: one of MACHINES instead of the root's own. place: the cache, if it is another.
    """
    enter = ENTER.replace("$TREE", str(TREE))
    folder = make(name, place)
    return [*_own_mounts(), "sh", "-ec", enter, "sh", machine or ROOTS[name].machine, str(folder), os.getcwd(), *argv]


def _own_mounts() -> list[str]:
    """Return the command that starts a command with mounts of its own."""
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def surroundings() -> dict[str, str]:
    """Return the variables of this process as a command in a root is to see them."""
    foreign = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "SSL_CERT_FILE", "TMPDIR")
    return {name: value for name, value in os.environ.items() if name not in foreign} | {
        "HOME": "/root",
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "LC_ALL": "C.UTF-8",
        # Compiled once for the root, and nothing into the tree.
        "PYTHONPYCACHEPREFIX": "/var/cache/python",
        "PYTHONDONTWRITEBYTECODE": "",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
