"""The int8 network on the CPU: LiteRT, or tflite-runtime where LiteRT has no wheel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, WindowBatch
from motionsig.errors import EncoderError, MissingExtraError, ModelError
from motionsig.frontend import CHUNK
from motionsig.model_card import MODEL_NAME, ModelCard


class LiteRtEncoder:
    """One interpreter, one thread: a window is too small a job to share."""

    def __init__(self, card: ModelCard) -> None:
        """Raise ModelError if the network is not the int8 one of the card, MissingExtraError without a runtime."""
        runtime, interpreter_class = _runtime()
        # Checked against the card before the runtime sees them: a damaged model can crash it or run wrongly.
        model = card.model_bytes()
        try:
            self._interpreter = interpreter_class(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, SystemError) as error:
            raise EncoderError(f"{card.path / MODEL_NAME}: {runtime} cannot run it: {error}") from error
        (given,), (made,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        _check(card, "input", given, [1, 1, card.length, card.input.dim], card.input.groups[0][1:])
        _check(card, "output", made, [1, card.motion_dim], card.motion.groups[0][1:])
        self._input, self._output = given["index"], made["index"]
        self.card = card
        self._spec, self._posture = card.spec, card.posture
        self.device = f"cpu ({runtime})"

    def encode(self, windows: WindowBatch) -> SignatureBatch:
        """Return one signature per window; none for none. Raises EncoderError if the runtime fails."""
        codes = np.empty((len(windows), self.card.dim), np.int8)
        for first in range(0, len(windows), CHUNK):
            rows = slice(first, first + CHUNK)
            self._encode(windows.data[rows], codes[rows])
        return SignatureBatch(windows.start_ns, codes, windows.quality, windows.hop_ns, self._spec)

    def _encode(self, windows: NDArray[np.float32], codes: NDArray[np.int8]) -> None:
        card, interpreter = self.card, self._interpreter
        features, posture = card.front_end.apply(windows)
        inputs = np.ascontiguousarray(card.input.quantize(features))[:, None, None]
        codes[:, card.motion_dim :] = self._posture.quantize(posture)
        # A loop over windows, because the network is compiled for a batch of one: that is all an Edge TPU takes.
        try:
            for row in range(len(windows)):
                interpreter.set_tensor(self._input, inputs[row])
                interpreter.invoke()
                codes[row, : card.motion_dim] = interpreter.get_tensor(self._output)
        except (RuntimeError, ValueError) as error:
            raise EncoderError(f"{card.path / MODEL_NAME}: the network failed on a window: {error}") from error


def _runtime() -> tuple[str, Any]:
    try:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter

        return f"LiteRT {ai_edge_litert.__version__}", Interpreter
    except ImportError:
        pass
    try:
        import tflite_runtime
        from tflite_runtime.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError(
            "no inference runtime: expected ai-edge-litert or tflite-runtime, got neither; "
            "install one with: pip install 'motionsig[litert]' (32-bit ARM: 'motionsig[tflite]')"
        ) from error
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        # Compiled against numpy 1, it would fail later with a SystemError that names nothing.
        raise MissingExtraError(
            f"tflite-runtime {tflite_runtime.__version__} needs numpy below 2, got numpy {np.__version__}; "
            "install LiteRT where there is a wheel (motionsig[litert]), else numpy<2"
        )
    return f"tflite-runtime {tflite_runtime.__version__}", Interpreter


def _check(
    card: ModelCard, name: str, tensor: dict[str, Any], shape: list[int], quantization: tuple[float, int]
) -> None:
    """Hold the network's tensor against the card: a card for another network would give plausible nonsense."""
    scale, zero_point = tensor["quantization"]
    same = np.isclose(scale, quantization[0], rtol=1e-6) and zero_point == quantization[1]
    if tensor["shape"].tolist() != shape or tensor["dtype"] != np.int8 or not same:
        raise ModelError(
            f"{card.path / MODEL_NAME}: expected {name} int8 {shape} with scale {quantization[0]} and zero point "
            f"{quantization[1]} as in the card, got {tensor['dtype'].__name__} {tensor['shape'].tolist()} with {scale} "
            f"and {zero_point}"
        )
