"""Edge TPUs: the devices, their library, the compiled model, and packages that people install for one."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from motionsig.cli.doctor.buses import Allowed, read_write
from motionsig.cli.doctor.edgetpu_devices import devices, node_path, power
from motionsig.cli.doctor.edgetpu_library import CPU, fit, install_command, installed_package, lacking_library, library
from motionsig.cli.doctor.findings import Finding, is_there, note, ok, wrong
from motionsig.cli.doctor.software import Interpreter
from motionsig.encoders.edgetpu.claim import LIBRARY, owner
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.models import find_model
from motionsig.encoders.trial import command, one_line, run_trial
from motionsig.errors import MotionsigError

# For a child that loads the library, which tries for 25 s to open an Edge TPU, and may give it its firmware first.
LIBRARY_DEADLINE_S = 40.0
# Distributions on PyPI that people install for an Edge TPU.
STRANGERS = {
    "pycoral": "a stranger's command line for the Allen Coral Atlas; Google's pycoral is not on PyPI, nor needed",
    "pycoral-pi5": "a build of Google's pycoral without its Python files; motionsig does not need it",
    "edgecompiler": "not Google's compiler: what it writes are placeholders that no Edge TPU runs",
}


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
    # A device that another process uses is not opened: that resets it.
    free = [device.place for device in before if allowed(node_path(root, device)) and not owner(device, root)]
    but = [device.place for device in before if device.place not in free]
    arguments = f"{bool(free) or not before}, {model!r}, {str(root)!r}, {but!r}"
    call = f"motionsig.cli.doctor.edgetpu_library.report_library({arguments})"
    reported = run_trial("the Edge TPU library", call, path, deadline_s)
    # The first use gives a USB device another id and another node, so only now is it known who may use that.
    found = edgetpus(root)
    if not found and lacking_library(reported) == LIBRARY:
        advice = f"nothing, unless one is to be used: {install_command(root, interpreter)}"
        yield note("no Edge TPU, and no library for one", advice)
        if model is not None:
            yield from compiled(reported, model, path, deadline_s)
        return
    yield from devices(root, found, allowed)
    yield from power(root, found)
    yield from library(root, interpreter, reported)
    if "place" in reported:
        nodes = [device.node for device in found if device.place in free and allowed(node_path(root, device))]
        yield from fit(install_command(root, interpreter), installed_package(root)[1], reported, nodes, bool(found))
    yield from compiled(reported, model, path, deadline_s)


def packages(path: Sequence[str]) -> Iterator[Finding]:
    """Yield the installed distributions that are not what their names promise, and Google's pycoral."""
    for name, kind in STRANGERS.items():
        found = next(iter(metadata.distributions(name=name, path=list(path))), None)
        if found is None:
            continue
        if name == "pycoral" and is_there(str(found.locate_file("pycoral/utils/edgetpu.py"))):
            kept = "keep it if another program wants it"
            yield note("Google's pycoral is installed; motionsig does not need it", kept)
        else:
            yield wrong(f"{name} is {kind}", f"{sys.executable} -m pip uninstall {name}")


def compiled(
    reported: dict[str, Any], model: str | None, path: Sequence[str], deadline_s: float = LIBRARY_DEADLINE_S
) -> Iterator[Finding]:
    """Yield whether the model is compiled and, where the library opened an Edge TPU, how it runs there."""
    try:
        card = find_model(model)
        card.check_files()
    except MotionsigError as error:
        yield wrong(one_line(str(error)), "install that model again, or name another: --model")
        return
    compile_it = f"motionsig compile {shlex.quote(model or card.name)} -o FOLDER"
    if card.compiled is None:
        there = f"{compile_it}  # on an x86-64 machine, and copy FOLDER here"
        yield note(f"{card.name} is not compiled for the Edge TPU", there)
        return
    runs = re.search(r"RuntimeVersion\(([0-9]+)\)", reported.get("version", ""))
    if runs and (least := card.compiled.min_runtime) is not None and int(runs[1]) < least:
        found = f"{card.name} is compiled for runtime {least}, and the Edge TPU library is {runs[1]}"
        yield wrong(found, f"{compile_it} --min-runtime {runs[1]}")
    elif "fits" in reported:
        call = f'motionsig.encoders.models.report_golden("edgetpu", {model!r})'
        # The encoder itself refuses an Edge TPU whose codes are off.
        ran = run_trial("the model on the Edge TPU", call, path, deadline_s)
        if trouble := ran.get("died") or ran.get("missing") or ran.get("failed"):
            yield wrong(trouble, f"for more: {command(call)}; {CPU}")
        else:
            yield ok(f"{ran['device']} runs {card.name}, at most {ran['worst']} steps off its golden codes")
    else:
        yield ok(f"{card.name} is compiled for the Edge TPU, by compiler {card.compiled.compiler}")
