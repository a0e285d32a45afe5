"""Make the picture of the top README, scripts/pictures/alike.png, of the one that the demo drew; a second.

    scripts/demo && .venv-demo/bin/python scripts/pictures/alike.py

It is the demo's picture with the 256 colours that suit it best, so that it is small.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with Image.open(ROOT / "demo/shoulder.png") as drawn:
        drawn.convert("RGB").quantize(256).save(Path(__file__).with_name("alike.png"), optimize=True)
