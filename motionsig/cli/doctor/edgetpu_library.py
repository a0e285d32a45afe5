"""The Edge TPU's library: whether it loads, and whether it fits the runtime that loads it.

The library is foreign machine code that aborts on USB errors, so only a child process loads it.
"""

from __future__ import annotations

import ctypes
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from motionsig.cli.doctor.edgetpu_devices import REPLUG
from motionsig.cli.doctor.findings import Finding, content_of, note, ok, text_of, wrong
from motionsig.cli.doctor.software import Interpreter
from motionsig.encoders.confinement import confine
from motionsig.encoders.edgetpu.claim import LIBRARY, claim, library_option
from motionsig.encoders.edgetpu.presence import USB_IDS
from motionsig.encoders.litert import load_runtime
from motionsig.encoders.models import find_model
from motionsig.encoders.trial import one_line, report
from motionsig.errors import EncoderError, MissingExtraError, ModelError

CPU = "until then --device cpu"
# Of the library for the runtimes of today: Google's own crashes them from 2.12 on (google-coral/edgetpu#812).
BUILDS = "https://github.com/feranick/libedgetpu/releases"
BUILD = "16.0TF2.19.1-1"
# The systems that BUILD is known to have a package for, and Debian's name of the machine.
PACKAGES = {("bookworm", "aarch64"): "arm64", ("bookworm", "x86_64"): "amd64", ("trixie", "aarch64"): "arm64"}
# Google's package versions; the other builds add the TensorFlow they fit, as in 16.0tf2.19.1-1.bookworm.
GOOGLES = r"1[0-9]\.[0-9](-[0-9]+)?"
_PACKAGE = r"^Package: (libedgetpu1-[a-z]+)\nStatus: install ok installed\n(?:.+\n)*?Version: ([\w.+~:-]{1,60})\n"


def library(root: Path, interpreter: Interpreter, reported: dict[str, Any]) -> Iterator[Finding]:
    """Yield what a child reported of loading the library, and what is known of its package."""
    install, lacking = install_command(root, interpreter), lacking_library(reported)
    name, version = installed_package(root)
    if lacking == LIBRARY:
        yield wrong(f"an Edge TPU, but no library for it ({LIBRARY})", install)
    elif lacking.startswith("libusb-1.0"):
        yield wrong(f"{LIBRARY} needs {lacking}, which is not here", "sudo apt install libusb-1.0-0")
    elif "absent" in reported:
        yield wrong(f"{LIBRARY} does not load: {reported['absent']}", install)
    elif "place" not in reported:
        yield wrong(reported.get("died") or reported["failed"], f"{install}; {CPU}")
    else:
        package = f"{name} {version}, " if name else ""
        yield ok(f"Edge TPU library {reported['place']}: {package}{reported.get('version', 'no version')}")
    if name == "libedgetpu1-max":
        fast = "libedgetpu1-max runs an Edge TPU on USB at its full clock, which wants at most 25 °C around it"
        yield note(fast, install)


def fit(install: str, version: str, reported: dict[str, Any], free: Sequence[str], there: bool) -> Iterator[Finding]:
    """Yield what the installed runtime made of a library that loads.

    install: how to get another. version: its package's. free: the nodes that it could open. there: whether the machine
    shows an Edge TPU.
    """
    runtime = reported.get("runtime", "")
    if "wrong" in reported:
        yield wrong(f"{reported['place']} is not the Edge TPU's library: {reported['wrong']}", install)
    elif "fits" in reported:
        # How the child ends after that does not matter.
        yield ok(f"{runtime} opens an Edge TPU and takes the compiled model")
    elif "died" in reported:
        found = f"{reported['died']} under {runtime}" if runtime else reported["died"]
        # It aborts on USB errors; a mismatch is a segmentation fault, or an abort where the heap is checked.
        if f"signal {int(signal.SIGABRT)} " in found:
            found, install = f"{found}: a USB error, or it is", f"{REPLUG}; if it dies again: {install}"
        else:
            found = f"{found}: most likely it is"
        yield wrong(f"{found} built for another runtime", f"{install}; {CPU}")
    elif "failed" in reported:
        yield wrong(reported["failed"], f"{REPLUG}; {CPU}")
    elif "rejected" in reported:
        yield wrong(f"{runtime} opens an Edge TPU, but: {reported['rejected']}", f"{install}; {CPU}")
    elif "held" in reported:
        yield note(f"no Edge TPU was opened: {reported['held']}", "ask again when it is free")
    elif "opened" in reported:
        yield ok(f"{runtime} opens an Edge TPU")
    elif "refused" in reported and free:
        nodes = " ".join(free)
        reason = f": {reported['refused']}" if reported["refused"] else ""
        advice = f"{REPLUG}; it may be in use: sudo fuser -v {nodes}"
        yield wrong(f"the Edge TPU library does not open {nodes}{reason}", advice)
    elif "refused" in reported and not there:
        yield note("no Edge TPU is plugged in", f"plug it in; lsusb shows one on USB as {USB_IDS[0]} or {USB_IDS[1]}")
    if "opened" not in reported and "died" not in reported and re.fullmatch(GOOGLES, version):
        yield note(f"package {version} is Google's build of the library: it crashes runtimes from 2.12 on", install)


def lacking_library(reported: dict[str, Any]) -> str:
    """Return the library that was not found: the Edge TPU's, or one that it needs; empty where that was not it."""
    found = re.search(r"(lib[^\s:/]+): (?:cannot open shared object file: )?No such file", reported.get("absent", ""))
    return found[1] if found else ""


def installed_package(root: Path) -> tuple[str, str]:
    """Return the name and version of the Debian package that holds the library; empty where there is none."""
    status = content_of(root / "var/lib/dpkg/status", 64 << 20).decode("ascii", "replace")
    found = re.search(_PACKAGE, status, re.MULTILINE)
    return (found[1], found[2]) if found else ("", "")


def install_command(root: Path, interpreter: Interpreter) -> str:
    """Return how to install the library that fits the runtimes."""
    names = dict(line.split("=", 1) for line in text_of(root / "etc/os-release").splitlines() if "=" in line)
    codename = names.get("VERSION_CODENAME", "").strip('"')
    machine_name = PACKAGES.get((codename, interpreter.architecture))
    if machine_name is None:
        return f"install libedgetpu1-std for this system from {BUILDS}"
    package = f"libedgetpu1-std_{BUILD.lower()}.{codename}_{machine_name}.deb"
    return f"wget {BUILDS}/download/{BUILD}/{package} && sudo apt install ./{package}"


def report_library(opening: bool, model: str | None, root: str = "/", but: Sequence[str] = ()) -> None:
    """Load the library and report its place, version and what the runtime makes of it: all that the child does.

    opening: whether to open an Edge TPU, and to prepare the compiled model for it, which a library built for another
    runtime does not survive. root: where the machine's files are; but: places of Edge TPUs that are left alone.
    """
    try:
        loaded = ctypes.CDLL(LIBRARY)
    except OSError as error:
        report(absent=one_line(str(error)))
        return
    maps = Path("/proc/self/maps").read_text(errors="replace")
    report(place=next(iter(re.findall(r"/\S*libedgetpu\S*", maps)), LIBRARY))
    with suppress(AttributeError):  # Then it is no library of an Edge TPU; the runtime says why.
        loaded.edgetpu_version.restype = ctypes.c_char_p
        report(version=one_line(loaded.edgetpu_version().decode("ascii", "replace")))
    try:
        runtime, interpreter_class, load_delegate = load_runtime()
    except MissingExtraError:
        return  # the finding on the runtime says so
    report(runtime=runtime)
    if not opening:
        return
    try:
        claimed = claim(root=Path(root), but=but)
        options = {}
        if claimed is not None:
            path = claimed.path
            options["device"] = library_option(loaded, claimed.option, path) if path else claimed.option
    except EncoderError as error:
        report(held=one_line(str(error)))
        return
    try:
        delegate = load_delegate(LIBRARY, options)
    except AttributeError as error:
        report(wrong=one_line(str(error)))
        return
    except (ValueError, OSError) as error:
        # The reason follows this text; without a device there is none.
        report(refused=one_line(str(error)).removeprefix(f"Failed to load delegate from {LIBRARY}").strip())
        return
    report(opened=True)
    try:
        file = find_model(model).compiled_bytes()
    except ModelError:
        return  # the finding on the model says so
    confine(root_will_do=True, device=True)
    try:
        interpreter_class(model_content=file, experimental_delegates=[delegate]).allocate_tensors()
    except (ValueError, RuntimeError, SystemError) as error:
        report(rejected=one_line(str(error)))
    else:
        report(fits=True)
