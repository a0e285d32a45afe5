"""Measure a model beside what people would take instead, and write the figures into its card.

    python -m scripts.evaluate --data FOLDER --model firmware_models/motion64
    python -m scripts.evaluate --own LOGS

The first measures on the recorded sets: 45 minutes on two cores. --part measures only a part, --quick tries all on
little. --gestures adds a folder of motions to those that heads are taught with: gestures.py says what it holds. Without
it, they are taught on three of the recorded sets, two of which the encoder was trained on. The second measures on your
own labelled logs, LOGS/ACTIVITY/PERSON/LOG: a minute or two. It writes no card.
Needs scripts/train/requirements.txt.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from motionsig import ModelError, open_encoder
from scripts.evaluate.extent import BESIDE_RIVALS, FULL, PARTS, QUICK
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
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="folder of the recorded sets (NAME.npz)")
    source.add_argument("--own", type=Path, metavar="LOGS", help="folder of own logs, as ACTIVITY/PERSON/LOG")
    parser.add_argument("--model", type=Path, default=Path("firmware_models/motion64"), help="model folder")
    parser.add_argument("--out", type=Path, metavar="FILE", help="with --own: write the table into this file, too")
    parser.add_argument(
        "--part",
        action="append",
        choices=PARTS,
        help=f"measure only this and keep the card's other figures; repeatable ({_parts()})",
    )
    parser.add_argument(
        "--gestures",
        type=Path,
        metavar="FOLDER",
        help="folder of further motions that heads are taught with",
    )
    parser.add_argument(
        "--seeds", type=int, choices=(1, 2), default=1, help="networks trained without each group of sets (1)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="measure on a tenth, with short trainings, and write nothing"
    )
    options = parser.parse_args()
    if not options.data and not options.own:
        parser.error("the following arguments are required: --data or --own")
    if options.data:
        if options.out:
            parser.error("--out: expected --own with it; the figures of --data go into the model folder")
        data.check_folder(options.data)
        if options.gestures and not any(options.gestures.glob("*.npz")):
            parser.error(f"--gestures: expected a folder with NAME.npz, got {options.gestures}")
    elif options.part or options.quick or options.seeds != 1 or options.gestures:
        parser.error("--part, --seeds, --quick, --gestures: expected --data with them, got --own")
    elif options.out and not options.out.resolve().parent.is_dir():
        parser.error(f"--out: expected a file in a folder that there is, got {options.out}")
    # After the arguments: TensorFlow takes seconds to import, and may be missing.
    try:
        if options.own:
            from scripts.evaluate.own import table_of
            from scripts.evaluate.peers import PEERS
        else:
            from scripts.evaluate.evaluation import evaluate
            from scripts.evaluate.rivals import all_rivals

            rivals = all_rivals() if BESIDE_RIVALS & set(options.part or PARTS) else None
    except ModuleNotFoundError as error:
        parser.error(f"expected {error.name}, which is not installed: pip install -r scripts/train/requirements.txt")
    clock = Clock(sys.stderr if options.own else sys.stdout)
    try:
        if options.own:
            page = table_of(options.own, open_encoder(options.model, device="cpu"), PEERS, clock.say)
        else:
            evaluate(
                options.data,
                options.model,
                rivals,
                clock.say,
                gestures=options.gestures,
                parts=options.part or tuple(PARTS),
                seeds=options.seeds,
                extent=QUICK if options.quick else FULL,
            )
    except ModelError as error:
        raise SystemExit(f"--model: {error}") from error
    if options.own:
        print(page)
        if options.out:
            options.out.write_text(page, encoding="utf-8")


def _parts() -> str:
    return "; ".join(f"{name}: {what}" for name, what in PARTS.items())


if __name__ == "__main__":
    main()
