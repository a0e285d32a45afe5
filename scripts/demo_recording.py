"""Write shoulder exercises from the seglearn package as a motionsig log.

    demo_recording.py seglearn-1.2.5-py3-none-any.whl OUT          one person's, right wrist then left, with labels
    demo_recording.py seglearn-1.2.5-py3-none-any.whl OUT --all    all 140 of ten people, without labels

A second or two. scripts/demo fetches the package. The recordings have 50 Hz (Burns et al. 2018, "Shoulder physiotherapy
exercise recognition", BSD-3-Clause); they are written one after the other, with five seconds between them. The set does
not say when they were recorded, so the times are made up. The person was chosen because all seven exercises of the left
arm are grouped with the same ones of the right. That is so with three of the set's ten people, with two more whose
abduction and forward elevation are one group, and with the other five for three to six exercises.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np

from motionsig import SampleBlock
from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.recordings.native import Recorder

RATE_HZ = 50
PAUSE_S = 5
PERSON = 8
# What the set's authors say that its labels stand for (github.com/dmbee/SPAR-dataset).
EXERCISES = {
    "PEN": "pendulum",
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "TRAP": "trapezius row",
    "ROW": "bent-over row",
}
START_NS = 1_790_000_000 * NS_PER_S
# A watch's usual ranges, 16 g and 2000 deg/s; the set's own steps are a millionth of a g and of a rad/s.
SCALE = (STANDARD_GRAVITY * 16 / 32768,) * 3 + (np.radians(2000) / 32768,) * 3


def main(package: Path, out: Path, everyone: bool) -> None:
    """Convert, and say what was written."""
    with zipfile.ZipFile(package) as archive:
        content = archive.read("seglearn/data/watch_dataset.npy")
    # A pickle, as numpy stores a dictionary: safe here because the package's hash was pinned when it was fetched.
    data = np.load(io.BytesIO(content), allow_pickle=True).item()
    chosen = np.argsort(data["y"], kind="stable")
    if not everyone:
        chosen = chosen[data["subject"][chosen] == PERSON]
        chosen = chosen[np.argsort(-data["side"][chosen], kind="stable")]  # the right arm is 1, the left 0
    step = np.array(SCALE, np.float32)
    out.unlink(missing_ok=True)
    start_ns = START_NS
    with Recorder(out, rate_hz=RATE_HZ, stream_id=START_NS, scale=SCALE, device="seglearn-watch") as recorder:
        for number in chosen:
            counts = np.rint(data["X"][number] * ([STANDARD_GRAVITY] * 3 + [1] * 3) / SCALE)
            time_ns = start_ns + np.arange(len(counts)) * (NS_PER_S // RATE_HZ)
            # In the benchmarks, which measure all recordings, labels would count as bytes of the signatures.
            label = "" if everyone else EXERCISES[data["y_labels"][data["y"][number]]]
            samples, gap = counts.astype(np.float32) * step, start_ns != START_NS
            recorder.write(SampleBlock(time_ns, samples, gap=gap, label=label))
            start_ns = int(time_ns[-1]) + PAUSE_S * NS_PER_S
    names = ", ".join(EXERCISES[short] for short in data["y_labels"])
    print(f"{out}: {len(chosen)} recordings of the exercises {names}; {out.stat().st_size:,} B")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    main(options.package, options.out, everyone=options.all)
