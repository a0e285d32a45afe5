"""Edge TPUs: what the machine shows of them, their library, whether it fits the runtime, and the compiled model.

The library is foreign machine code that aborts on USB errors, so only a child process loads it.
"""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from motionsig.cli.doctor import machine
from motionsig.cli.doctor.buses import NEW_UDEV, Allowed, read_write
from motionsig.cli.doctor.findings import (
    Finding,
    Mark,
    children,
    is_raspberry_pi,
    is_there,
    line_of,
    link_name,
    link_target,
    text_of,
)
from motionsig.cli.doctor.software import Interpreter
from motionsig.cli.doctor.trying import command, one_line, tell, tried
from motionsig.encoders import find_model
from motionsig.encoders.edgetpu.presence import USB_IDS, EdgeTpu, edgetpus
from motionsig.encoders.edgetpu.worker import LIBRARY
from motionsig.encoders.litert import load_runtime
from motionsig.errors import MissingExtraError, ModelError, MotionsigError
from motionsig.model_card import ModelCard

LIBRARY_DEADLINE_S = 20.0
"""For a child that loads the library; an Edge TPU that is new to it gets its firmware first, in some seconds."""

CPU = "until then --device cpu"
REPLUG = "unplug the Edge TPU and plug it in"

BUILDS = "https://github.com/feranick/libedgetpu/releases"
"""Of the library for the runtimes of today: Google's own crashes them from 2.12 on (google-coral/edgetpu#812)."""

BUILD = "16.0TF2.19.1-1"
PACKAGES = {("bookworm", "aarch64"): "arm64", ("bookworm", "x86_64"): "amd64", ("trixie", "aarch64"): "arm64"}
"""The systems that BUILD is known to have a package for, and Debian's name of the machine."""

GOOGLES = r"1[0-9]\.[0-9](-[0-9]+)?"
"""Google's package versions; the other builds add the TensorFlow they fit, as in 16.0tf2.19.1-1.bookworm."""

DRIVER = "https://github.com/feranick/gasket-driver/releases"
"""Google's gasket-dkms does not compile for recent kernels."""

FULL_SPEED_MBIT_S = 5000
"""USB 3."""

HUB_SELF_POWERED = 0x40
"""bmAttributes of a configuration (USB 2.0 specification, table 9-10)."""

DEAD_BELOW_C = -50.0
"""No sensor shows less: a device that has left the bus reads as -88 to -90 (google-coral/edgetpu#741, #843)."""

# The groups are those of the packages libedgetpu1-std and gasket-dkms.
USB_RULE = (
    "sudo groupadd -f plugdev && printf '%s\\n' "
    + " ".join(
        f"""'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{known[:4]}", ATTR{{idProduct}}=="{known[5:]}", """
        """GROUP="plugdev", MODE="0660"'"""
        for known in USB_IDS
    )
    + f" | sudo tee /etc/udev/rules.d/60-motionsig-edgetpu.rules && {NEW_UDEV} --subsystem-match=usb "
    "&& sudo usermod -aG plugdev $USER  # then log in again"
)
PCI_RULE = (
    """sudo groupadd -f apex && echo 'SUBSYSTEM=="apex", GROUP="apex", MODE="0660"' """
    f"| sudo tee /etc/udev/rules.d/60-motionsig-apex.rules && {NEW_UDEV} --subsystem-match=apex "
    "&& sudo usermod -aG apex $USER  # then log in again"
)

STRANGERS = {
    "pycoral": "a stranger's command line for the Allen Coral Atlas; Google's pycoral is not on PyPI, nor needed",
    "pycoral-pi5": "a build of Google's pycoral without its Python files; motionsig does not need it",
    "edgecompiler": "not Google's compiler: what it writes are placeholders that no Edge TPU runs",
}
"""Distributions on PyPI that people install for an Edge TPU."""

GOOGLES_FILE = "pycoral/utils/edgetpu.py"


def edgetpu(
    root: Path,
    interpreter: Interpreter,
    path: Sequence[str],
    model: str | None = None,
    allowed: Allowed = read_write,
    deadline_s: float = LIBRARY_DEADLINE_S,
) -> Iterator[Finding]:
    """Yield what there is to say of Edge TPUs for a child that imports from `path`; one line if there is nothing."""
    before = edgetpus(root)
    # What another process uses is left alone: opening it once more may reset it.
    free = [device.place for device in before if allowed(_node(root, device)) and not _users(root, device)]
    call = f"edgetpu.tell_library({bool(free) or not before}, {model!r})"
    told = tried("the Edge TPU library", call, path, deadline_s)
    # The first use gives a USB device another id and another node, so only now is it known who may use that.
    found = edgetpus(root)
    if not found and _lacking(told) == LIBRARY:
        advice = f"nothing, unless one is to be used: {_install(root, interpreter)}"
        yield Finding(Mark.NOTE, "no Edge TPU, and no library for one", advice)
        if model is not None:
            yield from compiled(told, model, path, deadline_s)
        return
    yield from devices(root, found, allowed)
    yield from power(root, found)
    yield from library(root, interpreter, told)
    if "place" in told:
        nodes = [device.node for device in found if device.place in free and allowed(_node(root, device))]
        yield from fit(_install(root, interpreter), _package(root)[1], told, nodes, bool(found))
    yield from compiled(told, model, path, deadline_s)


def packages(path: Sequence[str]) -> Iterator[Finding]:
    """Yield the installed distributions that are not what their names promise, and Google's pycoral."""
    for name, kind in STRANGERS.items():
        found = next(iter(metadata.distributions(name=name, path=list(path))), None)
        if found is None:
            continue
        if name == "pycoral" and is_there(Path(str(found.locate_file(GOOGLES_FILE)))):
            kept = "keep it if another program wants it"
            yield Finding(Mark.NOTE, "Google's pycoral is installed; motionsig does not need it", kept)
        else:
            yield Finding(Mark.WRONG, f"{name} is {kind}", f"{sys.executable} -m pip uninstall {name}")


def devices(root: Path, found: Sequence[EdgeTpu], allowed: Allowed = read_write) -> Iterator[Finding]:
    """Yield what there is to say of each device: whether this user may open it, its link, its temperature."""
    for device in found:
        yield from _usb(root, device, allowed) if device.bus == "usb" else _pci(root, device, allowed)


def power(root: Path, found: Sequence[EdgeTpu]) -> Iterator[Finding]:
    """Yield what may starve an Edge TPU on USB, which takes up to 900 mA."""
    places = [device.place for device in found if device.bus == "usb"]
    if not places:
        return
    troubles = [finding.found for finding in machine.supply(root) if finding.mark is not Mark.OK]
    # Of a Raspberry Pi 5, whose supply has not promised 5 A (raspberrypi/documentation, power-supplies.adoc).
    limit = root / "proc/device-tree/chosen/power/usb_max_current_enable"
    if is_raspberry_pi(root) and _raw(limit) == bytes(4):
        troubles.append("this board gives its USB ports 600 mA together")
    for hub in sorted({place.rpartition(".")[0] for place in places} - {""}):
        attributes = line_of(root / f"sys/bus/usb/devices/{hub}/bmAttributes")
        if re.fullmatch(r"[0-9a-f]{2}", attributes) and not int(attributes, 16) & HUB_SELF_POWERED:
            troubles.append(f"hub {hub} has no supply of its own")
    if troubles:
        yield Finding(
            Mark.NOTE,
            f"an Edge TPU on USB takes up to 900 mA, and {' and '.join(troubles)}",
            "use the supply made for this board, or a hub with its own",
        )


def library(root: Path, interpreter: Interpreter, told: dict[str, Any]) -> Iterator[Finding]:
    """Yield what a child told of loading the library, and what its package is known for."""
    install, lacking = _install(root, interpreter), _lacking(told)
    name, version = _package(root)
    if lacking == LIBRARY:
        yield Finding(Mark.WRONG, f"an Edge TPU, but no library for it ({LIBRARY})", install)
    elif lacking.startswith("libusb-1.0"):
        yield Finding(Mark.WRONG, f"{LIBRARY} needs {lacking}, which is not here", "sudo apt install libusb-1.0-0")
    elif "absent" in told:
        yield Finding(Mark.WRONG, f"{LIBRARY} does not load: {told['absent']}", install)
    elif "place" not in told:
        yield Finding(Mark.WRONG, told.get("died") or told["failed"], f"{install}; {CPU}")
    else:
        package = f"{name} {version}, " if name else ""
        yield Finding(Mark.OK, f"Edge TPU library {told['place']}: {package}{told.get('version', 'no version')}")
    if name == "libedgetpu1-max":
        yield Finding(
            Mark.NOTE,
            "libedgetpu1-max runs an Edge TPU on USB at its full clock, which wants at most 25 °C around it",
            install,
        )


def fit(install: str, version: str, told: dict[str, Any], free: Sequence[str], any_there: bool) -> Iterator[Finding]:
    """Yield what the runtime at hand made of a library that loads.

    install: how to get another. version: its package's. free: the nodes that it could open. any_there: whether the
    machine shows an Edge TPU at all.
    """
    if "wrong" in told:
        yield Finding(Mark.WRONG, f"{told['place']} is not the Edge TPU's library: {told['wrong']}", install)
    elif "fits" in told:
        # What happens after that, while the child ends, is no matter.
        yield Finding(Mark.OK, f"{told['runtime']} opens an Edge TPU and takes the compiled model")
    elif "died" in told:
        found = f"{told['died']} under {told['runtime']}" if "runtime" in told else told["died"]
        # It aborts on USB errors; a mismatch is a segmentation fault, or an abort where the heap is checked.
        if f"signal {int(signal.SIGABRT)} " in found:
            found, install = f"{found}: a USB error, or it is", f"{REPLUG}; if it dies again: {install}"
        else:
            found = f"{found}: most likely it is"
        yield Finding(Mark.WRONG, f"{found} built for another runtime", f"{install}; {CPU}")
    elif "failed" in told:
        yield Finding(Mark.WRONG, told["failed"], f"{REPLUG}; {CPU}")
    elif "unfit" in told:
        yield Finding(Mark.WRONG, f"{told['runtime']} opens an Edge TPU, but: {told['unfit']}", f"{install}; {CPU}")
    elif "opened" in told:
        yield Finding(Mark.OK, f"{told['runtime']} opens an Edge TPU")
    elif "refused" in told and free:
        nodes = " ".join(free)
        reason = f": {told['refused']}" if told["refused"] else ""
        yield Finding(
            Mark.WRONG,
            f"the Edge TPU library does not open {nodes}{reason}",
            f"{REPLUG}; it may be in use: sudo fuser -v {nodes}",
        )
    elif "refused" in told and not any_there:
        yield Finding(
            Mark.NOTE,
            "no Edge TPU is plugged in",
            f"plug it in; lsusb shows one on USB as {USB_IDS[0]} or {USB_IDS[1]}",
        )
    if "opened" not in told and "died" not in told and re.fullmatch(GOOGLES, version):
        yield Finding(
            Mark.NOTE, f"package {version} is Google's build of the library: it crashes runtimes from 2.12 on", install
        )


def compiled(
    told: dict[str, Any], model: str | None, path: Sequence[str], deadline_s: float = LIBRARY_DEADLINE_S
) -> Iterator[Finding]:
    """Yield whether the model is compiled and, where the library opened an Edge TPU, how it runs there."""
    try:
        card = find_model(model)
        if card.compiled is not None:
            card.compiled_bytes()  # raises where the file is not the card's
    except MotionsigError as error:
        yield Finding(Mark.WRONG, one_line(str(error)), "install that model again, or name another: --model")
        return
    compile_it = f"motionsig compile {shlex.quote(model or card.name)} -o FOLDER"
    if card.compiled is None:
        yield Finding(
            Mark.NOTE,
            f"{card.name} is not compiled for the Edge TPU",
            f"{compile_it}  # on an x86-64 machine, and copy FOLDER here",
        )
        return
    runs = re.search(r"RuntimeVersion\(([0-9]+)\)", told.get("version", ""))
    if runs and card.compiled.min_runtime is not None and int(runs[1]) < card.compiled.min_runtime:
        yield Finding(
            Mark.WRONG,
            f"{card.name} is compiled for runtime {card.compiled.min_runtime}, and the Edge TPU library is {runs[1]}",
            f"{compile_it} --min-runtime {runs[1]}",
        )
    elif "fits" in told:
        yield golden(card, model, path, deadline_s)
    else:
        yield Finding(Mark.OK, f"{card.name} is compiled for the Edge TPU, by compiler {card.compiled.compiler}")


def golden(card: ModelCard, model: str | None, path: Sequence[str], deadline_s: float) -> Finding:
    """Run the golden windows on the Edge TPU, in a child; the encoder itself refuses one whose codes are off."""
    call = f'trying.tell_golden("edgetpu", {model!r})'
    told = tried("the model on the Edge TPU", call, path, deadline_s)
    trouble = told.get("died") or told.get("missing") or told.get("failed")
    if trouble:
        return Finding(Mark.WRONG, trouble, f"for more: {command(call)}; {CPU}")
    return Finding(Mark.OK, f"{told['device']} runs {card.name}, at most {told['worst']} steps off its golden codes")


def tell_library(opening: bool, model: str | None) -> None:
    """Load the library and tell its place, version and what the runtime makes of it: all that the child does.

    opening: whether to open an Edge TPU, and to prepare the compiled model for it, which a library built for another
    runtime does not survive.
    """
    try:
        loaded = ctypes.CDLL(LIBRARY)
    except OSError as error:
        tell(absent=one_line(str(error)))
        return
    maps = Path("/proc/self/maps").read_text(errors="replace")
    tell(place=next(iter(re.findall(r"/\S*libedgetpu\S*", maps)), LIBRARY))
    try:
        loaded.edgetpu_version.restype = ctypes.c_char_p
        tell(version=one_line(loaded.edgetpu_version().decode("ascii", "replace")))
    except AttributeError:
        pass  # What has no version is no library of an Edge TPU either, which the runtime says better.
    try:
        runtime, interpreter_class, load_delegate = load_runtime()
    except MissingExtraError:
        return  # Said of the runtime.
    tell(runtime=runtime)
    if not opening:
        return
    try:
        delegate = load_delegate(LIBRARY)
    except AttributeError as error:
        tell(wrong=one_line(str(error)))
        return
    except (ValueError, OSError) as error:
        # The reason is what stands behind this; without a device there is none.
        tell(refused=one_line(str(error)).removeprefix(f"Failed to load delegate from {LIBRARY}").strip())
        return
    tell(opened=True)
    try:
        file = find_model(model).compiled_bytes()
    except ModelError:
        return  # Said of the model.
    try:
        interpreter_class(model_content=file, experimental_delegates=[delegate]).allocate_tensors()
    except (ValueError, RuntimeError) as error:
        tell(unfit=one_line(str(error)))
    else:
        tell(fits=True)


def _usb(root: Path, device: EdgeTpu, allowed: Allowed) -> Iterator[Finding]:
    first = ", not used since it was plugged in" if device.id == USB_IDS[0] else ""
    found = f"Edge TPU on USB {device.place} ({device.id}{first})"
    if not device.node_exists:
        where = device.node or "/dev/bus/usb"
        yield Finding(Mark.WRONG, f"{found}, but no {where}", f"{REPLUG}; in a container, give it /dev/bus/usb")
        return
    yield _access(root, device, found, allowed, USB_RULE)
    if device.speed_mbit_s is not None and device.speed_mbit_s < FULL_SPEED_MBIT_S:
        yield Finding(
            Mark.NOTE,
            f"the link to the Edge TPU on USB {device.place} runs at {device.speed_mbit_s} Mbit/s, slower than USB 3",
            "a USB 3 port, a blue one, and a USB 3 cable are faster",
        )


def _pci(root: Path, device: EdgeTpu, allowed: Allowed) -> Iterator[Finding]:
    found = f"Edge TPU on PCIe {device.place}"
    if not link_name(root / f"sys/bus/pci/devices/{device.place}/driver"):
        advice = f"sudo modprobe apex; where there is no such module: gasket-dkms from {DRIVER}"
        yield Finding(Mark.WRONG, f"{found}, but no driver has it", advice)
        return
    if not device.node_exists:
        yield Finding(Mark.WRONG, f"{found}, but no {device.node or '/dev/apex_*'}", "sudo dmesg | grep -i apex")
        return
    yield _access(root, device, found, allowed, PCI_RULE)
    yield from _temperature(root / f"sys/class/apex/{device.node.rpartition('/')[2]}", device)


def _access(root: Path, device: EdgeTpu, found: str, allowed: Allowed, rule: str) -> Finding:
    users = _users(root, device)
    if users:
        return Finding(Mark.OK, f"{found}: in use by {', '.join(users)}, so left alone")
    if allowed(_node(root, device)):
        return Finding(Mark.OK, f"{found}: {device.node} can be read and written")
    return Finding(Mark.WRONG, f"{found}: {device.node} may not be read and written by this user", rule)


def _temperature(apex: Path, device: EdgeTpu) -> Iterator[Finding]:
    """Yield what the driver says of a PCIe device's temperature; nothing where it says none (the kernel's own)."""
    now, limit = (_millidegrees(apex / name) for name in ("temp", "trip_point0_temp"))
    if now is None:
        return
    if now < DEAD_BELOW_C:
        found = f"the Edge TPU on PCIe {device.place} has stopped answering: it reads as {now:.1f} °C"
        yield Finding(Mark.WRONG, found, "switch the machine off and on, and cool the Edge TPU")
    elif limit is not None and now >= limit:
        found = f"the Edge TPU on PCIe {device.place} has {now:.1f} °C and is slowed from {limit:.1f} °C on"
        yield Finding(Mark.NOTE, found, "cool it")
    else:
        yield Finding(Mark.OK, f"the Edge TPU on PCIe {device.place} has {now:.1f} °C")


def _millidegrees(path: Path) -> float | None:
    text = line_of(path)
    return int(text) / 1000 if re.fullmatch(r"-?[0-9]{1,6}", text) else None


def _node(root: Path, device: EdgeTpu) -> Path:
    return root / (device.node[1:] or "dev/none")


def _users(root: Path, device: EdgeTpu) -> list[str]:
    """Return the processes that have a device open, of those that this user may look into."""
    users = []
    for process in children(root / "proc", "[0-9]*"):
        descriptors = process / "fd"
        try:
            names = os.listdir(descriptors)
        except OSError:
            continue
        if device.node in {link_target(descriptors / name) for name in names}:
            users.append(f"process {process.name} ({line_of(process / 'comm') or 'unnamed'})")
    return users


def _lacking(told: dict[str, Any]) -> str:
    """Return the library that was not found: the Edge TPU's, or one that it needs; empty where that was not it."""
    found = re.search(r"(lib[^\s:/]+): (?:cannot open shared object file: )?No such file", told.get("absent", ""))
    return found[1] if found else ""


def _package(root: Path) -> tuple[str, str]:
    """Return the name and version of the Debian package that holds the library; empty where there is none."""
    status = _raw(root / "var/lib/dpkg/status").decode("ascii", "replace")
    found = re.search(
        r"^Package: (libedgetpu1-[a-z]+)\nStatus: install ok installed\n(?:.+\n)*?Version: ([\w.+~:-]{1,60})\n",
        status,
        re.MULTILINE,
    )
    return (found[1], found[2]) if found else ("", "")


def _install(root: Path, interpreter: Interpreter) -> str:
    """Return how to install the library that fits the runtimes."""
    names = dict(line.split("=", 1) for line in text_of(root / "etc/os-release").splitlines() if "=" in line)
    codename = names.get("VERSION_CODENAME", "").strip('"')
    machine_name = PACKAGES.get((codename, interpreter.architecture))
    if machine_name is None:
        return f"install libedgetpu1-std for this system from {BUILDS}"
    package = f"libedgetpu1-std_{BUILD.lower()}.{codename}_{machine_name}.deb"
    return f"wget {BUILDS}/download/{BUILD}/{package} && sudo apt install ./{package}"


def _raw(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
