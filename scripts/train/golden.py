"""The windows that come with a model, and the codes they must give wherever it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import OpResolverType
from numpy.typing import NDArray

from scripts.train import data, network
from scripts.train.material import FRONT_END, INPUT, POSTURE


def synthetic_windows(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return made-up motion (count, 128, 6): rest, swings and knocks of many strengths, worn any way."""
    seconds = np.arange(data.LENGTH) / data.GRID_HZ
    windows = np.zeros((count, data.LENGTH, 6))
    windows[:, :, 2] = 9.80665
    for row in range(count):
        strength = row / max(count - 1, 1)  # the first is at rest
        for channel in range(6):
            for harmonic in (1, 2, 3):
                size = strength * rng.exponential(3.0 if channel < 3 else 1.0) / harmonic
                phase = 2 * np.pi * (harmonic * (0.5 + 2.5 * strength) * seconds + rng.random())
                windows[row, :, channel] += size * np.sin(phase)
        if row % 4 == 3:
            windows[row, rng.integers(data.LENGTH - 2) :][:2, :3] += rng.normal(size=3) * 60
    windows += rng.normal(size=windows.shape) * np.array([0.02] * 3 + [0.003] * 3)
    return data.turned(windows.astype(np.float32), rng)


def write(file: Path, model: bytes, watch: NDArray[np.float32], rng: np.random.Generator) -> int:
    """Write windows, the codes of the reference kernels, and how far other kernels may be off.

    The windows may be given away: half are made up, half drawn from `watch`, a BSD-licensed set. Return by how many
    steps at most a motion code differs between LiteRT's kinds of kernels.
    """
    windows = np.concatenate([synthetic_windows(rng, 12), watch[rng.choice(len(watch), 12, replace=False)]])
    features, posture = FRONT_END.apply(windows)
    kinds = (OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.AUTO)
    codes = [network.Int8Network(model, kind).codes_of(INPUT.quantize(features)) for kind in kinds]
    apart = int(np.ptp(np.stack(codes).astype(int), axis=0).max())
    reference, built_in, xnnpack = (np.concatenate([each, POSTURE.quantize(posture)], axis=1) for each in codes)
    # ARM's kernels were off by up to 2 steps; those tried here may be further apart; one more step is for rounding.
    tolerance = np.int64(max(2, apart + 1))
    np.savez_compressed(
        file, windows=windows, codes=reference, codes_built_in=built_in, codes_xnnpack=xnnpack, tolerance=tolerance
    )
    return apart
