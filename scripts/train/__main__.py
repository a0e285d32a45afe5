"""Train the motion encoder and write a finished model folder: weights, golden vectors, card and README.

    python -m scripts.train --data FOLDER --out firmware_models/motion64

About ten minutes on two cores, then 45 minutes of measuring (scripts.evaluate). Needs scripts/train/requirements.txt.
Interrupted, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from scripts.train import data
from scripts.train.clock import Clock

STEPS = 6_000


def main() -> None:
    """Train, then measure."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train",
        usage=argparse.SUPPRESS,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument(
        "--out", type=Path, required=True, help="model folder to write, for instance firmware_models/motion64"
    )
    parser.add_argument(
        "--own", type=Path, action="append", default=[], help="folder of own logs, as ACTIVITY/PERSON/LOG; repeatable"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"batches to train on ({STEPS})")
    parser.add_argument("--no-evaluation", action="store_true", help="leave out the figures, which take longer")
    options = parser.parse_args()
    data.check_folder(options.data)
    # After the arguments: TensorFlow takes seconds to import, and may be missing.
    try:
        from scripts.train.training import train

        if not options.no_evaluation:
            from scripts.evaluate.evaluation import evaluate
            from scripts.evaluate.rivals import all_rivals

            rivals = all_rivals()
    except ModuleNotFoundError as error:
        parser.error(f"expected {error.name}, which is not installed: pip install -r scripts/train/requirements.txt")
    clock = Clock()
    train(options.data, options.out.resolve(), options.own, seed=options.seed, steps=options.steps, say=clock.say)
    again = f"python -m scripts.evaluate --data {options.data} --model {options.out}"
    if options.no_evaluation:
        clock.say(f"not measured; this command measures: {again}")
    else:
        clock.say(f"measuring; if this is interrupted, this command measures without training: {again}")
        evaluate(options.data, options.out.resolve(), rivals, clock.say)


if __name__ == "__main__":
    main()
