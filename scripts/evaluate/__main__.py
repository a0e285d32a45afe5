"""Measure a model beside what people would take instead, and write the figures into its card.

    python -m scripts.evaluate --data FOLDER --model firmware_models/motion64

Half an hour on two cores; two thirds of it train a network with each set left out in turn, which --no-left-out skips.
Needs scripts/train/requirements.txt.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from motionsig import ModelError
from scripts.train import data
from scripts.train.clock import Clock


def main() -> None:
    """Run the whole of it."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.evaluate",
        usage=argparse.SUPPRESS,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument("--model", type=Path, default=Path("firmware_models/motion64"), help="model folder")
    parser.add_argument("--no-left-out", action="store_true", help="do not train with each set left out in turn")
    options = parser.parse_args()
    data.check_folder(options.data)
    # After the arguments: TensorFlow takes seconds to import, and may be missing.
    try:
        from scripts.evaluate.evaluation import evaluate
    except ModuleNotFoundError as error:
        parser.error(f"expected {error.name}, which is not installed: pip install -r scripts/train/requirements.txt")
    try:
        evaluate(options.data, options.model, Clock().say, left_out=not options.no_left_out)
    except ModelError as error:
        raise SystemExit(f"--model: {error}") from error


if __name__ == "__main__":
    main()
