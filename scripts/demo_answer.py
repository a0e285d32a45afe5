"""Say in words what `motionsig replay --json` found in a recording with labels; under a second.

demo_answer.py OUTPUT        a file with what the command printed, of which the last line is read
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def answer(output: str) -> str:
    """Return the answer to what the command printed."""
    summary = json.loads(output.splitlines()[-1])
    alike, payload = summary["alike"], summary["payload_bytes"]
    raw, lossless = summary["raw_bytes"], summary["raw_lossless_bytes"]
    return (
        f"The recording has {alike['labels']} movements, of the right arm and then of the left. By the motion codes "
        f"alone, its windows form {alike['kinds']} groups, the letters of the picture.\n"
        f"For {alike['same_label']:,} of {alike['asked']:,} windows the nearest neighbour by motion codes is the same "
        "movement (the two have no samples in common).\n"
        f"The signatures are {payload:,} bytes as messages. The samples are {raw:,} bytes ({raw / payload:.1f} times "
        f"as much); compressed without loss, {lossless:,} ({lossless / payload:.1f} times as much).\n"
        "(The encoder was trained on this set, with these labels, and this person comes out better than most: expect "
        "less of a log of your own. firmware_models/motion64/README.md has figures for people it has never seen.)"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path)
    print(answer(parser.parse_args().output.read_text()))
