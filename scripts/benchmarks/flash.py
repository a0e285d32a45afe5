"""What the spool writes to flash per signature at the pace of a live sensor, broker there and broker away.

With a write-ahead buffer in RAM, as a service has one, without, and strict.
The spool lies on an ext4 of its own, in a file mounted as a loop device, so that what the device counts is what would
reach an SD card: data, metadata and journal. Needs root. A minute and a half.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "publishers")]
from broker import Broker  # noqa: E402

from motionsig import open_encoder, open_sink  # noqa: E402
from motionsig.blocks import SignatureBatch  # noqa: E402
from motionsig.quality import Quality  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

HOP_S = 1.28
SIGNATURES = 60
WAIT_S = 17.0
REST_S = 40.0  # signatures at rest wait so long here: longer than others may before they are written to the disk


def written_bytes(device: str) -> int:
    """Return the bytes ever written to a block device (Documentation/block/stat.rst: 512-byte sectors)."""
    return 512 * int(Path(f"/sys/block/{device}/stat").read_text().split()[6])


def publish(url: str, spool: Path, device: str, **options: object) -> float:
    """Publish one signature every HOP_S, as a live sensor would; return the bytes written per signature meanwhile."""
    card = open_encoder(device="cpu").card
    random = np.random.default_rng(0)
    hop_ns = round(HOP_S * 1e9)
    with open_sink(url, device="bench", stream_id=1, spool=str(spool), close_timeout_s=1, **options) as sink:
        subprocess.run(["sync", "-f", spool], check=True)
        before = written_bytes(device)
        began = time.monotonic()
        for number in range(SIGNATURES):
            codes = random.integers(-128, 128, (1, card.dim)).astype(np.int8)
            start_ns = np.array([number * hop_ns], np.int64)
            quality = np.full(1, Quality.AT_REST if options.get("rest") else Quality.CLEAR, np.uint8)
            sink.publish(SignatureBatch(start_ns, codes, quality, hop_ns, card.spec))
            time.sleep(max(0.0, began + (number + 1) * HOP_S - time.monotonic()))
        # What still waits is delivered or fsynced by now.
        time.sleep(WAIT_S)
        subprocess.run(["sync", "-f", spool], check=True)
        return (written_bytes(device) - before) / SIGNATURES


def measure(folder: Path, name: str, url: str, results: dict[str, float], options: dict[str, object]) -> None:
    """Publish into a spool on a file system of its own; note the bytes written per signature."""
    place = name.replace(", ", "-").replace(" ", "-")
    image, mount = folder / f"{place}.img", folder / place
    mount.mkdir()
    subprocess.run(["truncate", "-s", "64M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, mount], check=True)
    try:
        device = Path(
            subprocess.run(["findmnt", "-no", "SOURCE", mount], capture_output=True, text=True).stdout.strip()
        )
        results[name] = publish(url, mount / "spool", device.name, **options)
    finally:
        # Lazily: another thread's child, not yet started, may still hold what this one had open.
        subprocess.run(["umount", "-l", mount], check=True)


def main() -> None:
    """Run the cases side by side, for as long as the signatures take."""
    if os.geteuid() != 0:
        sys.exit("expected root, to mount a file system, got another user")
    began_s = figures.begin("flash")
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "broker") as broker:
        ram = Path(folder) / "ram"
        ram.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", ram], check=True)
        here, away = f"mqtt://127.0.0.1:{broker.port}", "mqtt://127.0.0.1:9"
        cases: list[tuple[str, str, dict[str, object]]] = [
            ("buffer in RAM, broker there", here, {"buffer": f"{ram}/there"}),
            (
                "buffer in RAM, broker there, at rest",
                here,
                {"buffer": f"{ram}/rest", "rest": True, "rest_delay_s": REST_S},
            ),
            ("buffer in RAM, broker away", away, {"buffer": f"{ram}/away"}),
            ("no buffer, broker there", here, {}),
            ("no buffer, broker away", away, {}),
            ("strict, broker there", here, {"strict": True}),
            ("strict, broker away", away, {"strict": True}),
        ]
        threads = [threading.Thread(target=measure, args=(Path(folder), name, url, results, options))
                   for name, url, options in cases]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        subprocess.run(["umount", "-l", ram], check=True)
    for name, _, _ in cases:
        print(f"  {name:42s}{results[name]:8,.0f} B per signature of 64 B")
    table = figures.Table(
        what=f"the bytes that reach the disk per signature of 64 bytes, {SIGNATURES} signatures {HOP_S} s apart: data, "
        "metadata and journal of an ext4 file system of its own, as its device counts them",
        against="the same with the broker away, without the buffer in RAM that a service has, and with `strict = true`,"
        " side by side",
        units={"written": "B"},
        rows={name: {"written": results[name], "on": "the real sink, ext4 on a loop device"} for name, _, _ in cases},
    )
    figures.write("flash", {"flash": table}, began_s=began_s)


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()
