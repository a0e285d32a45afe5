"""Small blocks wait in the loop until the next window can come of them, and nobody notices but the processor."""

import numpy as np
import pytest

import motionsig
from motionsig.blocks import SampleBlock, concatenate
from motionsig.pipeline import run

ENCODER = motionsig.open_encoder(device="cpu")


class Live:
    """Samples in blocks of `size`; `now_ns` is the time of the last one delivered, None after the end.

    All blocks are the same two arrays where `reused`.
    """

    def __init__(self, rate_hz, data, size, *, true_hz=None, reused=False):
        self.rate_hz, self.data, self.size, self.reused = rate_hz, data, size, reused
        self.time_ns = 10**18 + np.rint(np.arange(len(data)) * 1e9 / (true_hz or rate_hz)).astype(np.int64)

    def __iter__(self):
        times, data = np.empty(self.size, np.int64), np.empty((self.size, 6), np.float32)
        for first in range(0, len(self.data), self.size):
            if not self.reused:
                times, data = times.copy(), data.copy()
            part = slice(first, first + self.size)
            count = len(self.time_ns[part])
            times[:count], data[:count] = self.time_ns[part], self.data[part]
            self.now_ns = int(times[count - 1])
            yield SampleBlock(times[:count], data[:count])
        self.now_ns = None


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("hop", [16, 64, 300])
@pytest.mark.parametrize("skew", [-0.05, 0, 0.05])
@pytest.mark.parametrize("rate_hz", [20, 50, 52, 104, 416])
def test_no_signature_comes_later(motion, rate_hz, skew, hop, size):
    source = Live(rate_hz, motion(12, rate_hz), size, true_hz=rate_hz * (1 + skew))
    resampler, windower = motionsig.Resampler(rate_hz), motionsig.Windower(length=128, hop=hop)
    at_once, made = [], []
    for block in source:
        at_once += [source.now_ns] * sum(len(windower.push(grid)) for grid in resampler.push(block))
    run(source, ENCODER, lambda signatures: made.extend([source.now_ns] * len(signatures)), hop=hop)
    # What comes at the end of the source comes late either way.
    assert at_once and [now_ns for now_ns in made if now_ns] == at_once


def test_the_resampler_is_called_about_once_a_window(motion, monkeypatch):
    pushed = []
    push = motionsig.Resampler.push
    monkeypatch.setattr(motionsig.Resampler, "push", lambda self, block: pushed.append(len(block)) or push(self, block))
    summary = run(Live(104, motion(60, 104), 10), ENCODER, lambda _: None)
    assert sum(pushed) == 6240 and len(pushed) < 3 * summary.windows


def test_a_source_may_use_its_arrays_again(motion):
    made = []
    for reused in (False, True):
        batches = []
        run(Live(100, motion(30, 100), 10, reused=reused), ENCODER, batches.append)
        made.append(concatenate(batches))
    assert made[0] == made[1]
