"""Add the codes of LiteRT's built-in kernels on arm64 to the shipped model's: `python -m scripts.arm.golden`.

They are made under QEMU (scripts/on_arm), by the model of each Pi's processor; those of 32-bit ARM are x86's. It takes
ten seconds; afterwards the card has the file's new hash. With them a LiteRT that has fallen back is known by name.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from motionsig.encoders import find_model
from motionsig.model_card import BUILT_IN, GOLDEN_NAME
from scripts.arm import roots
from scripts.arm.comparison import encoded
from scripts.train import describe

ARRAY = "codes_built_in_arm64"
PROCESSORS = (("arm64-bookworm", "pi3"), ("arm64-bookworm", "pi4"), ("arm64-trixie", "pi5"))
"""(root, machine) of each processor that has to give the same."""


def main() -> int:
    """Write the array, or say which processors differ."""
    argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    card = find_model()
    file = card.path / GOLDEN_NAME
    with np.load(file) as stored:
        arrays: dict[str, Any] = dict(stored)
    if hindrance := roots.hindrance(*(root for root, _ in PROCESSORS)):
        sys.exit(hindrance)
    made = [encoded(arrays["windows"], BUILT_IN, root=root, machine=machine) for root, machine in PROCESSORS]
    for there, (_, machine) in zip(made, PROCESSORS, strict=True):
        differ, most = there.differing(made[0].codes)
        print(f"{machine}, {there.runtime}: {differ} codes differ from {PROCESSORS[0][1]}'s, by {most}")
        if differ:
            return 1
    arrays[ARRAY] = made[0].codes
    np.savez_compressed(file, **arrays)
    text = card.text
    text["files"][GOLDEN_NAME] = describe.stated(file)
    describe.write(card.path, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
