"""Python, numpy, the inference runtime and the extras."""

from __future__ import annotations

import platform
import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from motionsig.cli.doctor.findings import Finding, Mark, is_raspberry_pi, text_of
from motionsig.encoders.trial import DEADLINE_S, command, run_trial

GOLDEN = 'motionsig.encoders.trial.report_golden("cpu")'

REFERENCE = "--device reference runs the network in numpy alone"


@dataclass(frozen=True)
class Wheel:
    """A runtime's wheels on PyPI: for which interpreters, and the oldest glibc for each architecture."""

    package: str
    version: str
    extra: str
    tags: tuple[str, ...]
    glibc: dict[str, tuple[int, int]]


WHEELS_DATE = "2026-11-22"
WHEELS = (
    Wheel(
        package="ai-edge-litert",
        version="2.3.0",
        extra="litert",
        tags=("cp310", "cp311", "cp312", "cp313", "cp314"),
        glibc={"x86_64": (2, 27), "aarch64": (2, 27)},
    ),
    Wheel(
        package="tflite-runtime",
        version="2.14.0",
        extra="tflite",
        tags=("cp38", "cp39", "cp310", "cp311"),
        glibc={"x86_64": (2, 17), "aarch64": (2, 34), "armv7l": (2, 34)},
    ),
)
"""The file names in PyPI's index on WHEELS_DATE, best first."""

ARCHITECTURES_32 = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}
"""What 32-bit programs take on a 64-bit kernel (packaging, src/packaging/tags.py, _linux_platforms)."""

EXTRAS = (("smbus2", "i2c", "sensors on I2C"), ("paho-mqtt", "mqtt", "mqtt:// and mqtts://"))


@dataclass(frozen=True)
class Interpreter:
    """What decides which wheels pip takes. machine: the kernel's. tag: as in wheels. glibc: None for another libc."""

    machine: str
    bits: int
    tag: str
    version: str
    glibc: tuple[int, int] | None

    @property
    def architecture(self) -> str:
        return ARCHITECTURES_32.get(self.machine, self.machine) if self.bits == 32 else self.machine

    def __str__(self) -> str:
        libc = f"glibc {self.glibc[0]}.{self.glibc[1]}" if self.glibc else "no glibc"
        return f"{self.tag}, {self.architecture}, {libc}"


def this_interpreter() -> Interpreter:
    """Return the one that runs."""
    libc, version = platform.libc_ver()
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    kind = "cp" if sys.implementation.name == "cpython" else sys.implementation.name
    return Interpreter(
        machine=platform.machine(),
        bits=8 * struct.calcsize("P"),
        tag=f"{kind}{sys.version_info.major}{sys.version_info.minor}{sys.abiflags}",
        version=platform.python_version(),
        glibc=(numbers[0], numbers[1]) if libc == "glibc" and len(numbers) == 2 else None,
    )


def fitting(interpreter: Interpreter) -> list[Wheel]:
    """Return the wheels that pip would take, best first."""
    architecture, glibc = interpreter.architecture, interpreter.glibc or (0, 0)
    return [
        wheel
        for wheel in WHEELS
        if interpreter.tag in wheel.tags and architecture in wheel.glibc and glibc >= wheel.glibc[architecture]
    ]


def install(requirement: str) -> str:
    """Return the command that installs into the environment that runs, which need not be the shell's."""
    return f"{sys.executable} -m pip install '{requirement}'"


def python(root: Path, interpreter: Interpreter) -> Finding:
    names = dict(line.split("=", 1) for line in text_of(root / "etc/os-release").splitlines() if "=" in line)
    system = names.get("PRETTY_NAME", "an unnamed system").strip('"')
    found = f"Python {interpreter.version} on {system}, {interpreter.machine}"
    if interpreter.bits == 64:
        return Finding(Mark.OK, found)
    if interpreter.architecture == interpreter.machine:
        return Finding(Mark.OK, f"{found}, 32 bits")
    better = "Raspberry Pi OS (64-bit)" if is_raspberry_pi(root) else "a 64-bit system"
    # uname tells the kernel's machine, so the marker in the extra `all` asks pip for a 64-bit wheel there.
    return Finding(
        Mark.NOTE,
        f"{found}: a 64-bit kernel under 32-bit programs, which take {interpreter.architecture} wheels",
        f"install single extras instead of motionsig[all], or {better}, which has the faster runtime",
    )


def numpy_version(version: str = np.__version__) -> Finding:
    if np.lib.NumpyVersion(version) < "1.24.0":
        return Finding(Mark.WRONG, f"numpy {version}, older than 1.24", install("numpy>=1.24"))
    return Finding(Mark.OK, f"numpy {version}")


def wheels(interpreter: Interpreter) -> Finding:
    fits = fitting(interpreter)
    if not fits:
        return Finding(
            Mark.NOTE,
            f"PyPI had no runtime for this machine ({interpreter}) on {WHEELS_DATE}",
            f"{REFERENCE}; LiteRT needs 64-bit Linux and CPython 3.10 to 3.14",
        )
    names = ", ".join(f"{wheel.package} {wheel.version} (motionsig[{wheel.extra}])" for wheel in fits)
    return Finding(Mark.OK, f"PyPI had for this machine ({interpreter}) on {WHEELS_DATE}: {names}")


def runtime(interpreter: Interpreter, path: Sequence[str], deadline_s: float = DEADLINE_S) -> Finding:
    """Run the shipped model's golden windows in a child that imports from `path`."""
    fits, told = fitting(interpreter), run_trial("the inference runtime", GOLDEN, path, deadline_s)
    if "died" in told:
        again = f"pip install --force-reinstall --no-deps {fits[0].package}" if fits else "pip uninstall tflite-runtime"
        return Finding(Mark.WRONG, told["died"], f"{sys.executable} -m {again}; until then {REFERENCE}")
    if "missing" in told:
        if fits:
            return Finding(Mark.WRONG, told["missing"], install(f"motionsig[{fits[0].extra}]"))
        return Finding(Mark.NOTE, told["missing"], REFERENCE)
    if "failed" in told:
        return Finding(Mark.WRONG, told["failed"], f"for more: {command(GOLDEN)}; until then {REFERENCE}")
    off = f"at most {told['worst']} steps off its golden codes, where {told['tolerance']} are allowed"
    found = f"{told['device']} runs the shipped model, {off}"
    if told["worst"] > told["tolerance"]:
        return Finding(Mark.WRONG, f"{found}: not to be trusted", REFERENCE)
    if "tflite-runtime" in told["device"] and fits and fits[0].extra == "litert":
        return Finding(Mark.NOTE, f"{found}; LiteRT is faster", install("motionsig[litert]"))
    return Finding(Mark.OK, found)


def extras(path: Sequence[str]) -> list[Finding]:
    return [_extra(path, *extra) for extra in EXTRAS]


def _extra(path: Sequence[str], package: str, extra: str, purpose: str) -> Finding:
    found = next(iter(metadata.distributions(name=package, path=list(path))), None)
    if found is None:
        return Finding(Mark.NOTE, f"no {package}, which {purpose} need", install(f"motionsig[{extra}]"))
    return Finding(Mark.OK, f"{package} {_version(found)} for {purpose}")


def _version(found: metadata.Distribution) -> str:
    # `found.version` raises something else in each Python where an interrupted pip left half a package.
    try:
        texts = [found.read_text(name) for name in ("METADATA", "PKG-INFO", "")]
    except (OSError, UnicodeDecodeError):
        texts = []
    stated = re.search(r"^Version: *(\S+)", next(filter(None, texts), ""), re.MULTILINE)
    return stated[1] if stated else "of unknown version"
