"""Encode windows on the processor that runs this: `python3 scripts/arm/codes.py WINDOWS.npy DEVICE RESULT.npz`.

It takes seconds. DEVICE is one of `open_encoder`, or "built-in kernels". WINDOWS are (k, length, 6) float32. The result
has `codes` (k, dim) int8; `inputs` (k, ...) int8, what the front end makes of each window for the network; `runtime`,
as `encoder.device` names it; `window_us`, the time of each window, which goes alone; `peak_mb`, the most memory that
the process had.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import motionsig
from motionsig.encoders import find_model
from motionsig.encoders.host import HostEncoder, network_input
from motionsig.model_card import BUILT_IN


def opened(device: str) -> motionsig.Encoder:
    """Return an encoder on a device, or with the kernels that LiteRT takes where it cannot read the processor."""
    if device != BUILT_IN:
        return motionsig.open_encoder(device=device)
    from scripts.evaluate.kernel_set import KernelSet

    card = find_model()
    return HostEncoder(card, KernelSet(card, device))


def main() -> None:
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("windows")
    parser.add_argument("device")
    parser.add_argument("result")
    options = parser.parse_args()
    data = np.load(options.windows)
    codes, window_us = [], []
    with opened(options.device) as encoder:
        for number in range(len(data)):
            window = motionsig.WindowBatch(np.zeros(1, np.int64), data[number : number + 1], np.zeros(1, np.uint8), 1)
            began_s = time.perf_counter()
            codes.append(encoder.encode(window).codes)
            window_us.append(1e6 * (time.perf_counter() - began_s))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        made, inputs = np.concatenate(codes), network_input(encoder.card, data)[0]
        np.savez(
            options.result, codes=made, inputs=inputs, runtime=encoder.device, window_us=window_us, peak_mb=peak_mb
        )


if __name__ == "__main__":
    main()
