"""What ARM makes of the same windows as this machine, under QEMU's user mode.

Of each root of scripts/arm and a Pi's processor: the runtime, how many inputs of the network and how many codes differ
from this machine's, and by how many steps at most. Three minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from motionsig.encoders import find_model
from motionsig.model_card import BUILT_IN
from scripts.arm import roots
from scripts.arm.comparison import Encoded, encoded, made_windows
from scripts.benchmarks import figures

WINDOWS = 2000
# Of runtimes without XNNPACK, and of the reference, a window takes tens of milliseconds under QEMU.
FEW = 200
QEMU = "QEMU's user mode, never a Pi"

CPU = (("arm64-bookworm", "pi4"), ("arm64-trixie", "pi5"), ("armhf-bookworm", "pi2"))


def _row(there: Encoded, here: Encoded) -> figures.Row:
    count = len(there.codes)
    differ, most = there.differing(here.codes[:count])
    return {
        "windows": count,
        "codes": there.codes.size,
        "differ": differ,
        "share": 100 * differ / there.codes.size,
        "most": most,
        "other_inputs": int((~there.same_inputs(here)).sum()),
        "on": QEMU,
    }


def main() -> None:
    """Print and keep each row."""
    began_s = figures.begin("arm")
    if hindrance := roots.hindrance(*roots.ROOTS):
        sys.exit(hindrance)
    golden = find_model().golden()[0]
    windows = np.concatenate([golden, made_windows(WINDOWS - len(golden), golden.shape[1])])
    codes: dict[str, figures.Row] = {}
    here = encoded(windows)
    for root, machine in CPU:
        some = windows if root.startswith("arm64") else windows[:FEW]
        there = encoded(some, root=root, machine=machine)
        codes[f"{root}, {machine}: {there.runtime}"] = _row(there, here)
    root, machine = CPU[0]
    there = encoded(windows[:FEW], BUILT_IN, root=root, machine=machine)
    codes[f"{root}, {machine}: {there.runtime}"] = _row(there, here)
    here = encoded(windows[:FEW], "reference")
    for root, machine in CPU:
        there = encoded(windows[:FEW], "reference", root=root, machine=machine)
        codes[f"{root}, {machine}: {there.runtime}"] = _row(there, here)
    for name, row in codes.items():
        print(f"  {name}: {row}")
    figures.write(
        "arm",
        {
            "codes": figures.Table(
                what="codes that differ from this machine's, on the golden windows and windows made by a seed",
                against="the same windows on x86-64: LiteRT with XNNPACK, or the reference",
                units={
                    **dict.fromkeys(("windows", "codes", "differ", "most", "other_inputs"), ""),
                    "share": "%",
                },
                rows=codes,
            ),
        },
        began_s=began_s,
    )


if __name__ == "__main__":
    argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    main()
