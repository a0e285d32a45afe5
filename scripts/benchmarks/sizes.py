"""Bytes per signature on real logs, by how many travel together, packed or not, and as JSON; and the raw samples' own.

Some ten seconds for the recordings of scripts/demo.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from motionsig import SignatureBatch, concatenate, open_encoder, open_recording, wire
from motionsig.conventions import RAW_BYTES_PER_SAMPLE
from motionsig.pipeline import run
from motionsig.publishers.messages import encode_json
from motionsig.raw_size import RawSize

BATCHES = (1, 10, 60)


def main(logs: list[Path]) -> None:
    """Print a line per log and batch size."""
    encoder = open_encoder(device="cpu")
    for log in logs:
        batches = list[SignatureBatch]()
        with open_recording(log) as source:
            summary = run(source, encoder, batches.append)
            rivals = {
                batch: RawSize(
                    source.rate_hz, batch_s=batch * encoder.card.hop / encoder.card.rate_hz, scale=source.info.scale
                )
                for batch in BATCHES
            }
            for block in source:
                for rival in rivals.values():
                    rival.push(block)
        signatures = concatenate(batches)
        per = 1 / len(signatures)
        print(f"  {log.name}: {len(signatures)} signatures, {summary.covered_s / 60:.1f} min, {summary.gaps} gaps")
        raw = RAW_BYTES_PER_SAMPLE * summary.samples
        print(f"    raw int16 {raw * per:8.1f} B per signature")
        for batch in BATCHES:
            scheme, lossless = min(rivals[batch].sizes().items(), key=lambda pair: pair[1])
            sizes = []
            for encode in (wire.encode, partial(wire.encode, compress=True), encode_json):
                parts = (signatures[first : first + batch] for first in range(0, len(signatures), batch))
                sizes.append(sum(len(encode(wire.Message("bench", 1, 0, it))) for it in parts))
            plain, packed, as_json = (size * per for size in sizes)
            print(
                f"    batch {batch:2d}: {plain:6.1f} B, packed {packed:6.1f} B, JSON {as_json:6.1f} B; "
                f"raw in batches of the same delay, losslessly, {lossless * per:6.1f} B, "
                f"{lossless * per / plain:.1f} x as much ({scheme})"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("logs", type=Path, nargs="+", help="in any format that motionsig reads without options")
    main(parser.parse_args().logs)
