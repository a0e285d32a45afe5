"""The shipped encoder and its float twin, as what turns windows into vectors. Neither needs TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import WindowBatch
from motionsig.conventions import NS_PER_S
from motionsig.encoders import Encoder
from motionsig.model_card import MODEL_NAME
from scripts.evaluate.transform import Transform
from scripts.train.describe import FLOAT_NAME

SIGNATURE = "signature"
MOTION_ALONE = f"{SIGNATURE}_motion"
FLOAT_TWIN = "float_twin"
RANDOM_WEIGHTS = "random_weights"
WITH_MOTION = (SIGNATURE, FLOAT_TWIN, RANDOM_WEIGHTS)
"""Those whose first codes are motion, so that they can be measured without posture."""

STATISTICS = ("plain_statistics_216", "gravity_statistics_162")
"""The peers that stand beside the signature where only a few are shown."""


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
    interpreter, given, made = _opened(file)

    def transform(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        features, posture = encoder.card.front_end.apply(windows)
        motion = np.empty((len(windows), encoder.card.motion_dim), np.float32)
        for row, window in enumerate(features):
            interpreter.set_tensor(given["index"], window[None, None])
            interpreter.invoke()
            motion[row] = interpreter.get_tensor(made["index"])
        return np.concatenate([motion, posture], axis=1)

    return transform


def bare_network(encoder: Encoder) -> Transform:
    """Return the int8 network alone in the bare interpreter: no front end, the same input for every window.

    How long it takes is what encoding costs at least.
    """
    interpreter, given, made = _opened(encoder.card.path / MODEL_NAME)
    features = np.zeros(given["shape"], given["dtype"])

    def transform(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        for _ in windows:
            interpreter.set_tensor(given["index"], features)
            interpreter.invoke()
        return np.asarray(interpreter.get_tensor(made["index"]), np.float32)

    return transform


def _opened(file: Path) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    return interpreter, given, made
