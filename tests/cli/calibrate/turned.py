"""A sensor of known errors, turned from pose to pose."""

import numpy as np

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.conventions import STANDARD_GRAVITY
from motionsig.recordings.native import Recorder

RATE_HZ = 100
FACES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]
CORNERS = [(1, 1, 1), (-1, -1, -1)]
EDGES = [(1, -1, 0), (0, 1, -1), (1, 0, -1), (-1, 0.9, 0.2)]
BIAS, GYRO_BIAS = np.array([0.3, -0.2, 0.6]), np.array([0.02, -0.03, 0.01])
SCALE = np.diag([1.02, 0.98, 1.01])
SKEW = SCALE + 0.02 * np.array([[0, 1, 0.8], [1, 0, 0.7], [0.8, 0.7, 0]])


class Turned:
    """A sensor of known errors, turned from pose to pose: 3 s at rest in each, a second of motion between."""

    def __init__(self, poses, *, matrix=SCALE, gyroscope=True, seconds=3.0, wrong=None, seed=0):
        random = np.random.default_rng(seed)
        rows, between = round(seconds * RATE_HZ), RATE_HZ
        parts = []
        for index, pose in enumerate(poses):
            acc = np.array(pose) / np.linalg.norm(pose) * STANDARD_GRAVITY @ np.linalg.inv(matrix).T + BIAS
            if index == wrong:
                acc *= 1.05
            still = np.hstack([acc, GYRO_BIAS]) + random.normal(0, 1, (rows, 6)) * ([0.03] * 3 + [0.002] * 3)
            parts += [still, random.normal(0, 3, (between, 6))]
        self.data = np.concatenate(parts).astype(np.float32)
        if not gyroscope:
            self.data[:, 3:] = np.nan
        self.rate_hz = float(RATE_HZ)
        self.info = SourceInfo("turned", "made", 7, device="turned-1")

    def __iter__(self):
        for first in range(0, len(self.data), 13):
            data = self.data[first : first + 13]
            yield SampleBlock(10**18 + (np.arange(len(data)) + first) * (10**9 // RATE_HZ), data)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return None

    def record(self, path):
        with Recorder(path, rate_hz=RATE_HZ, stream_id=1) as recorder:
            for block in self:
                recorder.write(block)
        return path
