"""What turns windows into vectors: the shipped encoder, its float twin and an untrained one."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from motionsig import WindowBatch
from motionsig.conventions import NS_PER_S
from motionsig.encoders import Encoder
from scripts.evaluate.peers import Transform
from scripts.train import network
from scripts.train.describe import FLOAT_NAME
from scripts.train.material import FRONT_END, INPUT, POSTURE

MOTION = slice(0, network.MOTION_DIM)

SIGNATURE = "signature"
FLOAT_TWIN = "float_twin"
RANDOM_WEIGHTS = "random_weights"
WITH_MOTION = (SIGNATURE, FLOAT_TWIN, RANDOM_WEIGHTS)
"""Those whose first codes are motion, so that they can be measured without posture."""


def batch_of(windows: NDArray[np.float32], encoder: Encoder) -> WindowBatch:
    """Return windows (n, length, 6) as a batch of the windower, one hop apart."""
    hop_ns = round(encoder.card.hop * NS_PER_S / encoder.card.rate_hz)
    start_ns = np.arange(len(windows), dtype=np.int64) * hop_ns
    return WindowBatch(start_ns, windows, np.zeros(len(windows), np.uint8), hop_ns)


def shipped(encoder: Encoder) -> Transform:
    """Return the encoder through the public API: the values its codes stand for."""
    return lambda windows: encoder.encode(batch_of(windows, encoder)).values


def float_twin(encoder: Encoder) -> Transform:
    """Return the encoder's network before it was quantised, posture unrounded too."""
    file = encoder.card.path / FLOAT_NAME
    if not file.exists():
        raise SystemExit(f"{file}: expected the float twin that scripts/train writes beside the model, found none")
    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()

    def transform(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        features, posture = encoder.card.front_end.apply(windows)
        motion = np.empty((len(windows), encoder.card.motion_dim), np.float32)
        for row, window in enumerate(features):
            interpreter.set_tensor(given["index"], window[None, None])
            interpreter.invoke()
            motion[row] = interpreter.get_tensor(made["index"])
        return np.concatenate([motion, posture], axis=1)

    return transform


def untaught(windows: NDArray[np.float32], seed: int) -> Transform:
    """Return the same network with random weights, its batch norms set on `windows`."""
    network.seed(seed)
    model = network.build()
    rows = np.random.default_rng(seed).integers(len(windows), size=network.SETTLING * network.BATCH)
    network.settle(model, INPUT.quantize(FRONT_END.apply(windows)[0])[rows])
    return of_model(model)


def of_model(model: tf.keras.Model) -> Transform:
    """Return the vectors of a network in training, with codes rounded like the int8 network's."""

    def transform(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        features, posture = FRONT_END.apply(windows)
        motion = network.values_of(model, INPUT.quantize(features))
        rounded = np.clip(np.rint(motion / network.OUTPUT_SCALE), -128, 127) * np.float32(network.OUTPUT_SCALE)
        return np.concatenate([rounded, POSTURE.dequantize(POSTURE.quantize(posture))], axis=1)

    return transform
