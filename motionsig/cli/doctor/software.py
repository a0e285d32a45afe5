"""Python, numpy, the inference runtime and the extras.

A runtime is foreign machine code. A wrong one dies of a signal, so it is tried in a child process with a deadline.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.cli.doctor.findings import Finding, Mark, is_raspberry_pi, text_of
from motionsig.errors import MissingExtraError, MotionsigError

DEADLINE_S = 60.0
"""For the child's imports and its few windows, which take a second on slow machines."""

CHILD = "from motionsig.cli.doctor.software import tell_golden; tell_golden()"
TOLD = b"motionsig doctor: "
"""Begins the child's one line of JSON."""

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
    return Finding(Mark.OK, f"runtimes for this machine ({interpreter}) on PyPI on {WHEELS_DATE}: {names}")


def runtime(interpreter: Interpreter, path: Sequence[str], deadline_s: float = DEADLINE_S) -> Finding:
    """Run the shipped model's golden windows in a child that imports from `path`."""
    fits, tried = fitting(interpreter), _try_runtime(path, deadline_s)
    if "died" in tried:
        again = f"pip install --force-reinstall --no-deps {fits[0].package}" if fits else "pip uninstall tflite-runtime"
        return Finding(Mark.WRONG, tried["died"], f"{sys.executable} -m {again}; until then {REFERENCE}")
    if "missing" in tried:
        if fits:
            return Finding(Mark.WRONG, tried["missing"], install(f"motionsig[{fits[0].extra}]"))
        return Finding(Mark.NOTE, tried["missing"], REFERENCE)
    if "failed" in tried:
        return Finding(Mark.WRONG, tried["failed"], f"for more: {sys.executable} -c '{CHILD}'; until then {REFERENCE}")
    found = f"{tried['device']} runs the shipped model, at most {tried['worst']} off its golden codes"
    if tried["worst"] > tried["tolerance"]:
        return Finding(Mark.WRONG, f"{found}, where {tried['tolerance']} is allowed: not to be trusted", REFERENCE)
    if "tflite-runtime" in tried["device"] and fits and fits[0].extra == "litert":
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


def _try_runtime(path: Sequence[str], deadline_s: float) -> dict[str, Any]:
    """Return what the child told, or what became of it under "died" or "failed"."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(part) for part in path)}
    try:
        # -P: nothing but `path` is searched, so that the child finds what this process would.
        child = subprocess.run(
            [sys.executable, "-P", "-c", CHILD],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"the inference runtime did not finish within {deadline_s:g} s"}
    except OSError as error:
        return {"failed": f"the inference runtime could not be tried: {sys.executable}: {error.strerror}"}
    if child.returncode < 0:
        name = signal.strsignal(-child.returncode)
        return {"died": f"the inference runtime died of signal {-child.returncode} ({name})"}
    # Runtimes write to both streams as they please, before and after.
    said = [line.removeprefix(TOLD) for line in child.stdout.splitlines() if line.startswith(TOLD)]
    if child.returncode or not said:
        last = child.stderr.decode("ascii", "backslashreplace").strip().splitlines()[-1:] or ["nothing said"]
        return {"failed": f"the inference runtime failed: {last[0][:200]}"}
    told: dict[str, Any] = json.loads(said[-1])
    return told


def tell_golden() -> None:
    """Run the golden windows and print how far the codes are off, as a line of JSON: all that the child does."""
    from motionsig.blocks import WindowBatch
    from motionsig.encoders import open_encoder

    told: dict[str, Any]
    try:
        encoder = open_encoder(device="cpu")
        golden = np.load(encoder.card.path / "golden.npz")
        count = len(golden["windows"])
        batch = WindowBatch(np.arange(count), golden["windows"], np.zeros(count, np.uint8), 1)
        apart = np.abs(encoder.encode(batch).codes.astype(int) - golden["codes"])
        told = {"device": encoder.device, "worst": int(apart.max()), "tolerance": int(golden["tolerance"])}
    except MissingExtraError as error:
        told = {"missing": str(error).partition(";")[0]}
    except (MotionsigError, OSError) as error:
        told = {"failed": f"the shipped model does not run: {' '.join(str(error).split())}"}
    print(f"\n{TOLD.decode()}{json.dumps(told)}", flush=True)
