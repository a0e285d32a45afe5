"""What the spool writes to flash per signature at the pace of a live sensor, broker there and broker away.

The spool lies on an ext4 of its own, in a file mounted as a loop device, so that what the device counts is what would
reach an SD card: data, metadata and journal. Needs root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "publishers"))
from broker import Broker

from motionsig import open_encoder, open_sink
from motionsig.blocks import SignatureBatch

HOP_S = 1.28
SIGNATURES = 60


def written_bytes(device: str) -> int:
    """Return the bytes ever written to a block device (Documentation/block/stat.rst: 512-byte sectors)."""
    return 512 * int(Path(f"/sys/block/{device}/stat").read_text().split()[6])


def publish(url: str, spool: Path, **options: object) -> None:
    """Publish one signature every HOP_S, as a live sensor would."""
    card = open_encoder(device="cpu").card
    random = np.random.default_rng(0)
    hop_ns = round(HOP_S * 1e9)
    with open_sink(url, device="bench", epoch=1, spool=str(spool), close_timeout_s=1, **options) as sink:
        began = time.monotonic()
        for number in range(SIGNATURES):
            codes = random.integers(-128, 128, (1, card.dim)).astype(np.int8)
            start_ns = np.array([number * hop_ns], np.int64)
            sink.publish(SignatureBatch(start_ns, codes, np.zeros(1, np.uint8), hop_ns, card.spec))
            time.sleep(max(0.0, began + (number + 1) * HOP_S - time.monotonic()))


def measure(folder: Path, name: str, url: str, results: dict[str, float], **options: object) -> None:
    """Publish into a spool on a file system of its own; note the bytes written per signature."""
    image, mount = folder / f"{name}.img", folder / name
    mount.mkdir()
    subprocess.run(["truncate", "-s", "64M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, mount], check=True)
    try:
        subprocess.run(["sync", "-f", mount], check=True)
        device = Path(
            subprocess.run(["findmnt", "-no", "SOURCE", mount], capture_output=True, text=True).stdout.strip()
        )
        before = written_bytes(device.name)
        publish(url, mount / "spool", **options)
        results[name] = (written_bytes(device.name) - before) / SIGNATURES
    finally:
        subprocess.run(["umount", mount], check=True)


def main() -> None:
    """Run the cases side by side, for as long as the signatures take."""
    if os.geteuid() != 0:
        print("  skipped: mounting a file system of its own needs root")
        return
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "broker") as broker:
        here, away = f"mqtt://127.0.0.1:{broker.port}", "mqtt://127.0.0.1:9"
        cases = [("broker_there", here, {}), ("broker_away", away, {}), ("broker_away_strict", away, {"strict": True})]
        threads = [
            threading.Thread(target=measure, args=(Path(folder), name, url, results), kwargs=options)
            for name, url, options in cases
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, _, _ in cases:
        print(f"  {name.replace('_', ' '):20s}{results[name]:8,.0f} B per signature of 64 B")


if __name__ == "__main__":
    main()
