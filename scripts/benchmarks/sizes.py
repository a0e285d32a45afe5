"""Bytes per signature of a real log, by how many travel together, packed or not, and as JSON; and the raw samples' own.

Some ten seconds for the recordings of scripts/demo.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from motionsig import SignatureBatch, concatenate, open_encoder, open_recording, wire
from motionsig.conventions import RAW_BYTES_PER_SAMPLE
from motionsig.pipeline import run
from motionsig.publishers.messages import encode_json
from motionsig.raw_size import RawSize

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.benchmarks import figures

BATCHES = (1, 10, 60)


def main(log: Path) -> None:
    """Print a line per batch size."""
    began_s = figures.begin("sizes")
    encoder = open_encoder(device="cpu")
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
    raw = RAW_BYTES_PER_SAMPLE * summary.samples * per
    print(f"  {log.name}: {len(signatures)} signatures, {summary.covered_s / 60:.1f} min, {summary.gaps} gaps")
    print(f"    raw int16 {raw:8.1f} B per signature")
    rows = dict[str, figures.Row]()
    for batch in BATCHES:
        scheme, size = min(rivals[batch].sizes().items(), key=lambda pair: pair[1])
        lossless = size * per
        parts = [signatures[first : first + batch] for first in range(0, len(signatures), batch)]
        plain, packed, as_json = (
            per * sum(len(encode(wire.Message("bench", 1, 0, it))) for it in parts)
            for encode in (wire.encode, partial(wire.encode, compress="trained"), encode_json)
        )
        print(
            f"    batch {batch:2d}: {plain:6.1f} B, packed {packed:6.1f} B, JSON {as_json:6.1f} B; raw in batches of "
            f"the same delay, losslessly, {lossless:6.1f} B, {lossless / plain:.1f} x as much ({scheme})"
        )
        rows[f"{batch} in a message"] = {
            "plain": plain,
            "packed": packed,
            "json": as_json,
            "raw": raw,
            "lossless": lossless,
            "ratio": lossless / plain,
            "scheme": scheme,
            "on": figures.REAL,
        }
    table = figures.Table(
        what=f"the bytes of a message's payload per signature, over {len(signatures)} signatures of "
        f"{summary.covered_s / 60:.0f} minutes of recordings at {source.rate_hz:g} Hz",
        against="the raw samples of the same time as int16, and the same in batches of the same delay, compressed "
        "without loss by the best of several schemes",
        units=dict.fromkeys(("plain", "packed", "json", "raw", "lossless"), "B") | {"ratio": "x as much", "scheme": ""},
        rows=rows,
    )
    figures.write("sizes", {"sizes": table}, began_s=began_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("log", type=Path, help="a recording in any format that motionsig reads without options")
    main(parser.parse_args().log)
