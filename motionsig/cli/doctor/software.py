"""Python, numpy, the inference runtime and the libraries of optional parts."""

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

from motionsig.cli.doctor.findings import Finding, is_raspberry_pi, note, ok, text_of, wrong
from motionsig.encoders.litert import FELL_BACK, fell_back
from motionsig.encoders.trial import DEADLINE_S, command, run_trial
from motionsig.hints import REFERENCE, RUNTIMES, architecture, install_hint, runtime_hint

GOLDEN = 'motionsig.encoders.models.report_golden("cpu")'


@dataclass(frozen=True)
class Interpreter:
    """A Python. machine: the kernel's."""

    machine: str
    bits: int
    version: str

    @property
    def architecture(self) -> str:
        return architecture(self.machine, self.bits)


def this_interpreter() -> Interpreter:
    return Interpreter(platform.machine(), 8 * struct.calcsize("P"), platform.python_version())


def python(root: Path, interpreter: Interpreter) -> Finding:
    names = dict(line.split("=", 1) for line in text_of(root / "etc/os-release").splitlines() if "=" in line)
    system = names.get("PRETTY_NAME", "an unnamed system").strip('"')
    found = f"Python {interpreter.version} on {system}, {interpreter.machine}"
    if interpreter.bits == 64:
        return ok(found)
    if interpreter.architecture == interpreter.machine:
        return ok(f"{found}, 32 bits")
    better = "Raspberry Pi OS (64-bit)" if is_raspberry_pi(root) else "a 64-bit system"
    found += f": a 64-bit kernel under 32-bit programs, which take {interpreter.architecture} wheels"
    return note(found, f"nothing; {better} has the faster runtime")


def numpy_version(version: str = np.__version__) -> Finding:
    if np.lib.NumpyVersion(version) < "1.24.0":
        return wrong(f"numpy {version}, older than 1.24", install_hint("numpy"))
    return ok(f"numpy {version}")


def runtime(interpreter: Interpreter, path: Sequence[str], deadline_s: float = DEADLINE_S) -> Finding:
    """Run the shipped model's golden windows in a child that imports from `path`."""
    library = RUNTIMES.get(interpreter.architecture)
    result = run_trial("the inference runtime", GOLDEN, path, deadline_s)
    if "died" in result:
        again = f"{sys.executable} -m pip uninstall tflite-runtime"
        if library:
            again = install_hint(library, options="--force-reinstall --no-deps ")
        return wrong(result["died"], f"{again}; until then {REFERENCE}")
    if "missing" in result:
        return (wrong if library else note)(result["missing"], runtime_hint(interpreter.architecture))
    if "failed" in result:
        return wrong(result["failed"], f"for more: {command(GOLDEN)}; until then {REFERENCE}")
    off = f"at most {result['worst']} steps off its golden codes, where {result['tolerance']} are allowed"
    found = f"{result['device']} runs the shipped model, {off}"
    if result["worst"] > result["tolerance"]:
        return wrong(f"{found}: not to be trusted", REFERENCE)
    if fell_back(result["device"]):
        return note(f"{found}; {FELL_BACK}", "ls -l /proc/cpuinfo /sys/devices/system/cpu")
    if "tflite-runtime" in result["device"] and library == "ai-edge-litert":
        return note(f"{found}; LiteRT is faster", install_hint(library))
    return ok(found)


def libraries(path: Sequence[str]) -> list[Finding]:
    return [_library(path, "smbus2", "sensors on I2C"), _library(path, "paho-mqtt", "mqtt:// and mqtts://")]


def _library(path: Sequence[str], name: str, purpose: str) -> Finding:
    found = next(iter(metadata.distributions(name=name, path=list(path))), None)
    if found is None:
        return note(f"no {name}, which {purpose} need", install_hint(name))
    return ok(f"{name} {_version(found)} for {purpose}")


def _version(found: metadata.Distribution) -> str:
    # Where an interrupted pip left half a package, each version of Python lets `found.version` raise something else.
    try:
        texts = [found.read_text(name) for name in ("METADATA", "PKG-INFO", "")]
    except (OSError, UnicodeDecodeError):
        texts = []
    stated = re.search(r"^Version: *(\S+)", next(filter(None, texts), ""), re.MULTILINE)
    return stated[1] if stated else "of unknown version"
