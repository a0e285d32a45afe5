"""`motionsig doctor`: what keeps this machine from making signatures, and what to do about it.

One line per finding: ok, note or wrong, what was found, and a command to paste where one helps. It changes nothing and
uses no network, except with --broker.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motionsig.cli.doctor import buses, edgetpu, machine, service, software, spi
from motionsig.cli.doctor.findings import Finding, Mark
from motionsig.cli.option import option
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.sensors import Found, scan
from motionsig.sensors.bus import I2cBus
from motionsig.state import state_path


def add_to(commands: Any) -> None:
    parser = commands.add_parser("doctor", help="what this machine lacks, and what to do", description=__doc__)
    option(parser, "--model NAME", "the model to try on an Edge TPU, or its folder")
    option(parser, "--broker URL", "only this broker, as collect --from takes it")
    option(parser, "--json", "the findings as a JSON array")
    parser.set_defaults(command=_doctor)


def examine(root: Path, model: str | None = None) -> Iterator[Finding]:
    """Yield the findings on this process's Python and the machine whose files are below `root`."""
    interpreter = software.this_interpreter()
    yield software.python(root, interpreter)
    yield software.numpy_version()
    yield software.runtime(interpreter, sys.path)
    yield from software.libraries(sys.path)
    yield from edgetpu.edgetpu(root, interpreter, sys.path, model)
    yield from edgetpu.packages(sys.path)
    yield from buses.i2c(root, scan=_scan)
    yield from buses.drivers(root)
    yield from spi.spi(root)
    yield from buses.iio(root)
    yield from machine.clock(root, time.time(), machine.kernel_says_synchronized())
    if not service.is_configured(root):
        yield machine.state_directory(state_path("spool", "any").parent)
    yield from machine.supply(root)
    yield from service.service(root)
    yield from service.page(root)


def _scan(number: int) -> list[Found]:
    with I2cBus(number) as bus:
        return scan(bus)


def _doctor(options: argparse.Namespace) -> int:
    findings = []
    if options.broker is None:
        if edgetpus(Path("/")):
            print(
                f"an Edge TPU is there: asking it takes {edgetpu.LIBRARY_DEADLINE_S:g} s at most ...", file=sys.stderr
            )
        found = examine(Path("/"), options.model)
    else:
        # Imported only now: nothing else here needs the receiver.
        from motionsig.cli.doctor.broker import WAIT_S, broker

        print(f"asking the broker, which may take {WAIT_S:g} s for each answer ...", file=sys.stderr)
        found = broker(options.broker)
    for finding in found:
        findings.append(finding)
        if not options.json:
            advice = f" -> {finding.advice}" if finding.advice else ""
            print(f"{finding.mark:<5}  {finding.found}{advice}", flush=True)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return int(any(finding.mark is Mark.WRONG for finding in findings))
