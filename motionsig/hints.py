"""What to do about what is missing, and about a name that is not known.

How to install: a command that works in the Python that shows it. motionsig itself is on no package index, so no hint
names one of its extras. What a hint is made of is imported only where something is missing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

RUNTIMES = {"x86_64": "ai-edge-litert", "aarch64": "ai-edge-litert", "armv7l": "tflite-runtime"}
"""Architectures to inference runtimes, as in setup.cfg's extra `all`."""

REFERENCE = "--device reference runs the network in numpy alone"

_ARCHITECTURES_32 = {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}
"""What 32-bit programs take on a 64-bit kernel (packaging, src/packaging/tags.py, _linux_platforms)."""

_VENV = "~/motionsig-venv"
_FEW = 8
_AS_NEAR = 0.1
"""Of names that are so alike, in parts of 1, none is clearly the one that was meant."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the question to ask after a mistyped word, behind "; "; empty where nothing known is like it."""
    from difflib import SequenceMatcher, get_close_matches

    word = word[:200]
    close = [(SequenceMatcher(None, each, word).ratio(), each) for each in get_close_matches(word, known)]
    near = [each for ratio, each in close if ratio > close[0][0] - _AS_NEAR]
    return f"; did you mean {either(near)}?" if near else ""


def either(names: Collection[str]) -> str:
    """Return the names as a choice in words, as in "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def refused(got: str, known: Collection[str], *, what: str, besides: str = "", listing: str = "") -> str:
    """Return why a name is refused, in which no long list stands before what helps.

    what: is expected, as in "a head". besides: what else may be given, as in " or a folder". listing: what shows all
    names where they are many; by default they stand at the end.
    """
    names = ", ".join(sorted(known)) or "none"
    near = did_you_mean(got, known)
    if len(known) <= _FEW:
        return f"expected one of {names}{besides}, got {got[:200]!r}{near}"
    return f"expected {what}{besides}, got {got[:200]!r}{near or ';'} {listing or f'there are {names}'}"


def install_hint(library: str, *, options: str = "") -> str:
    """Return the command that installs a library, in the versions that setup.cfg asks for, where this process runs.

    options: further ones of `pip install`.
    """
    import importlib.util
    import shlex
    import sysconfig

    python, wanted = shlex.quote(sys.executable or "python3"), options + shlex.quote(_requirement(library))
    in_venv, has_ensurepip = sys.prefix != sys.base_prefix, importlib.util.find_spec("ensurepip") is not None
    if not in_venv and os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")):
        # PEP 668: pip refuses to install into the system's Python.
        first = "" if has_ensurepip else "sudo apt install python3-venv && "
        return (
            f"{first}{python} -m venv --system-site-packages {_VENV} && {_VENV}/bin/python -m pip install {wanted}"
            f"  # then use {_VENV}/bin/python"
        )
    sudo, by_uv = "sudo " if in_venv and not os.access(sys.prefix, os.W_OK) else "", False
    if importlib.util.find_spec("pip"):
        return f"{sudo}{python} -m pip install {wanted}"
    with suppress(OSError):
        by_uv = bool(re.search(r"^uv\s*=", Path(sys.prefix, "pyvenv.cfg").read_text(), re.MULTILINE))
    if by_uv:
        return f"{sudo}uv pip install --python {python} {wanted}"
    if has_ensurepip:
        return f"{sudo}{python} -m ensurepip && {sudo}{python} -m pip install {wanted}"
    # The environment of motionsig's Debian package (scripts/build_deb), and what was made like it.
    return f"{sudo}apt install python3-pip && {sudo}/usr/bin/python3 -m pip --python {python} install {wanted}"


def architecture(machine: str = "", bits: int = 0) -> str:
    """Return the architecture that wheels must have: the kernel's `machine`, or what 32-bit programs take there."""
    import platform
    import struct

    machine, bits = machine or platform.machine(), bits or 8 * struct.calcsize("P")
    return _ARCHITECTURES_32.get(machine, machine) if bits == 32 else machine


def runtime_hint(architecture: str) -> str:
    """Return what to do where there is no inference runtime."""
    library = RUNTIMES.get(architecture)
    if library == "tflite-runtime" and sys.version_info >= (3, 12):
        library = None  # its last wheels are for Python 3.11
    return f"{install_hint(library)}  # or: {REFERENCE}" if library else REFERENCE


def _requirement(library: str) -> str:
    """Return a library's name with the versions that motionsig's metadata asks for; as given where there is none."""
    from importlib import metadata

    requirements: list[str] = []
    with suppress(metadata.PackageNotFoundError):  # a clone on the path
        requirements = metadata.requires("motionsig") or []
    found = (re.match(rf"{re.escape(library)}\s*([<>=!~][^;]*)", each) for each in requirements)
    return next((library + match[1].strip() for match in found if match), library)
