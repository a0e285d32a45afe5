"""Run on ARM the tests whose outcome a processor can change: `.venv/bin/python -m scripts.arm.suite [ROOT...]`.

Chosen are: the arithmetic from samples to codes, the models' golden windows on the runtime and on the reference, and
what writes or reads bytes. Left out are random input, limits of memory and time, and kills: these try our code,
not the processor, and are slow under QEMU. It takes about two minutes on two cores with nothing beside it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.arm import roots

FILES = (
    *("tests/test_wire.py", "tests/test_wire_packed.py", "tests/packing"),
    *("tests/test_frontend.py", "tests/test_quantization.py", "tests/test_quality.py"),
    *("tests/test_resampling.py", "tests/test_windowing.py"),
    *("tests/encoders/test_litert.py", "tests/encoders/test_encoders.py", "tests/encoders/test_reference.py"),
    *("tests/publishers/test_spool.py", "tests/recordings/test_native.py", "tests/recordings/test_csv.py"),
    "tests/daemon/test_same_bytes.py",
)

SLOW = (
    *("costs_little", "bomb", "cannot_stand", "damaged_length", "damaged_header", "full_disk", "kill", "cut_short"),
    *("damage_is_noticed", "blocks_of_any_size", "one_by_one", "8-", "16-", "comes_back[256]"),
    *("replayed[64-False]", "replayed[None-True]"),
)
"""Parts of tests' names."""

# numpy 1.24 warns on 32 bits, once in a process, where the runtime has switched subnormals off.
SUBNORMAL = "ignore:The value of the smallest subnormal:UserWarning"
PYTEST = ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not hypothesis", "-W", SUBNORMAL]

PART_S = 1800
"""scripts/test lets the suite have only what its other parts leave of the processor."""


@dataclass(frozen=True)
class Result:
    """root: of ROOTS. text: what pytest said. took_s: with the start of Python and the other roots beside it."""

    root: str
    text: str
    code: int
    took_s: float

    def count(self, what: str) -> int:
        """Return how many tests `passed`, `failed`, were `skipped` or an `error`."""
        last = self.text.rstrip().rpartition("\n")[2]
        found = re.search(rf"(\d+) {what}", last)
        return int(found[1]) if found else 0


def run(names: Sequence[str], files: Sequence[str] = FILES) -> list[Result]:
    """Return what became of the tests in each root; they run beside one another.

    Raises subprocess.TimeoutExpired after half an hour.
    """
    argv = [*PYTEST, "-k", " and ".join(f"not {part}" for part in SLOW), *files]
    began_s = time.monotonic()
    running = [
        (
            name,
            subprocess.Popen(
                roots.command(name, argv),
                cwd=roots.TREE,
                env=roots.surroundings(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ),
        )
        for name in names
    ]
    results = []
    try:
        for name, process in running:
            text = process.communicate(timeout=PART_S)[0]
            results.append(Result(name, text, process.returncode, time.monotonic() - began_s))
    finally:
        for _, process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
    return results


def main() -> int:
    """Print what pytest said in each root, and last a line over all as pytest prints it."""
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("roots", nargs="*", choices=[*roots.ROOTS, []], metavar="ROOT", help="all, if none is named")
    names = parser.parse_args().roots
    names = names or list(roots.ROOTS)
    if hindrance := roots.hindrance(*names):
        print(f"ARM: left out: {hindrance}\n{len(names)} skipped in 0.0s")
        return 0
    results = run(names)
    for result in results:
        print(f"-- {result.root}\n{result.text}")
    counts = [
        (what, sum(result.count(what) for result in results)) for what in ("passed", "failed", "error", "skipped")
    ]
    told = ", ".join(f"{count} {what}" for what, count in counts if count)
    print(f"{told} in {max(result.took_s for result in results):.1f}s")
    return int(any(result.code for result in results))


if __name__ == "__main__":
    sys.exit(main())
