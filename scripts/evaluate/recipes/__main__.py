"""Measure how often the recipes of systemd/recipes are right and wrong, on recordings, and write their page of figures.

    python -m scripts.evaluate.recipes --data FOLDER --more FOLDER --washing FOLDER

It takes ten minutes on two cores. --part measures only that and keeps the other figures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from motionsig import open_encoder
from motionsig.files import replace_file
from scripts.evaluate.recipes import appliance, gestures, unlike, walking
from scripts.evaluate.recipes.page import page
from scripts.train import data
from scripts.train.clock import Clock

PARTS = ("appliance", "gestures", "door", "walking", "unlike")
FIGURES = "figures.json"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.evaluate.recipes",
        usage=argparse.SUPPRESS,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument("--more", type=Path, required=True, help="folder of further sets of windows (NAME.npz)")
    parser.add_argument("--washing", type=Path, required=True, help="a copy of github.com/mab9/wumbler-story")
    parser.add_argument("--part", action="append", choices=PARTS, help="measure only this; repeatable")
    parser.add_argument("--out", type=Path, default=Path("systemd/recipes/measured"), help="where the figures go")
    options = parser.parse_args()
    data.check_folder(options.data)
    clock = Clock()
    file = options.out / FIGURES
    figures = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    with open_encoder(device="cpu") as encoder:
        measures = {
            "appliance": lambda: appliance.measured(options.data, options.washing, encoder, clock.say),
            "gestures": lambda: gestures.measured(options.data, options.more, encoder, clock.say),
            "door": lambda: gestures.door(options.data, encoder, clock.say),
            "walking": lambda: walking.measured(options.data, encoder, clock.say),
            "unlike": lambda: unlike.measured(options.data, encoder, clock.say),
        }
        for part in options.part or PARTS:
            figures[part] = measures[part]()
            replace_file(file, (json.dumps(figures, indent=1) + "\n").encode())
    if figures.keys() >= set(PARTS):
        replace_file(options.out / "README.md", page(figures).encode())


if __name__ == "__main__":
    main()
