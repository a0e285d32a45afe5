"""Encode windows on the processor that runs this: `python3 scripts/arm/codes.py WINDOWS.npy DEVICE RESULT.npz`.

The result has `codes` (k, dim) int8, `runtime`, as `encoder.device` names it, and `window_us`, the time for one window.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import motionsig


def main(windows_path: str, device: str, result_path: str) -> None:
    data = np.load(windows_path)
    windows = motionsig.WindowBatch(np.arange(len(data)), data, np.zeros(len(data), np.uint8), 1)
    with motionsig.open_encoder(device=device) as encoder:
        began_s = time.perf_counter()
        codes = encoder.encode(windows).codes
        window_us = 1e6 * (time.perf_counter() - began_s) / len(data)
        np.savez(result_path, codes=codes, runtime=encoder.device, window_us=window_us)


if __name__ == "__main__":
    main(*sys.argv[1:])
