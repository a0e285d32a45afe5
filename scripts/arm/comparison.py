"""How codes that ARM makes of the same windows differ from those of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.arm import roots

CODES = Path(__file__).with_name("codes.py")
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Encoded:
    """codes: (k, dim) int8. inputs: of the network, (k, ...) int8. runtime: as `encoder.device` names it.

    window_us: (k,). peak_mb: of the process.
    """

    codes: NDArray[np.int8]
    inputs: NDArray[np.int8]
    runtime: str
    window_us: NDArray[np.float64]
    peak_mb: float

    def differing(self, codes: NDArray[np.int8]) -> tuple[int, int]:
        """Return how many codes differ from others (k, dim), and by how many steps at most."""
        steps = np.abs(self.codes.astype(int) - codes)
        return int((steps > 0).sum()), int(steps.max())

    def same_inputs(self, other: Encoded) -> NDArray[np.bool_]:
        """Return (k,): of which windows, the first of the other's, both front ends made the same input."""
        mine = self.inputs.reshape(len(self.inputs), -1)
        return np.asarray((mine == other.inputs[: len(mine)].reshape(mine.shape)).all(axis=1))


def made_windows(count: int, length: int, *, seed: int = 0) -> Floats:
    """Return windows (count, length, 6) in m/s² and rad/s at 50 Hz: swings of any strength, in noise, in gravity."""
    random = np.random.default_rng(seed)
    time_s = np.arange(length) / 50
    frequency_hz = random.uniform(0.2, 12, (count, 3, 1, 6))
    strength = np.exp(random.uniform(np.log(0.01), np.log(20), (count, 3, 1, 6)))
    swings = strength * np.sin(2 * np.pi * (frequency_hz * time_s[:, None] + random.uniform(0, 1, (count, 3, 1, 6))))
    up = random.normal(size=(count, 1, 3))
    gravity = 9.81 * up / np.linalg.norm(up, axis=2, keepdims=True)
    data: Floats = (swings.sum(axis=1) + random.normal(0, 0.02, (count, length, 6))).astype(np.float32)
    data[..., :3] += gravity.astype(np.float32)
    data[..., 3:] /= 4
    return data


def encoded(windows: Floats, device: str = "cpu", *, root: str = "", machine: str = "") -> Encoded:
    """Return what a root's Python makes of windows (k, length, 6), or, without a root, this one.

    machine: whose processor it sees, as in `roots.command`.

    Raises subprocess.CalledProcessError if it fails.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        made, result = f"{folder}/windows.npy", f"{folder}/result.npz"
        np.save(made, windows)
        if root:
            argv = roots.command(root, ["python3", str(CODES), made, device, result], machine=machine)
            environment = roots.surroundings()
        else:
            argv, environment = [sys.executable, str(CODES), made, device, result], dict(os.environ)
        subprocess.run(argv, check=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with np.load(result) as file:
            return Encoded(
                file["codes"], file["inputs"], str(file["runtime"]), file["window_us"], float(file["peak_mb"])
            )
