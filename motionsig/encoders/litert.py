"""The int8 network on the CPU: LiteRT, or tflite-runtime where LiteRT has no wheel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from motionsig.encoders.host import Codes, Network, TensorSpec, check_network
from motionsig.encoders.tflite import EDGETPU_OPERATOR
from motionsig.errors import EncoderError, MissingExtraError, ModelError
from motionsig.hints import architecture, install_hint, runtime_hint
from motionsig.model_card import MODEL_NAME, ModelCard
from motionsig.quality import Quality


class LiteRtNetwork(Network):
    """One interpreter, one thread: a window is too small a job to share."""

    def __init__(self, card: ModelCard, *, before: Callable[[], None] = lambda: None) -> None:
        """Raise ModelError if the network is not the int8 one of the card, MissingExtraError without a runtime.

        before: is called when all that is needed is loaded, before the runtime sees the network.
        """
        # Checked against the card before the runtime sees them: a damaged model can crash it or run wrongly.
        model = card.model_bytes()
        self.card = card
        self._runtime, interpreter_class, _ = load_runtime()
        before()
        try:
            self._interpreter = interpreter_class(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, SystemError) as error:
            if EDGETPU_OPERATOR in str(error):
                raise ModelError(
                    f"{card.path / MODEL_NAME}: expected a model for the CPU, got one compiled for the Edge TPU; put "
                    "its twin here, and name the compiled file under compiled in the card"
                ) from error
            raise EncoderError(f"{card.path / MODEL_NAME}: {self._runtime} cannot run it: {error}") from error
        (given,), (made,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        check_network(card, MODEL_NAME, tensor_spec(given), tensor_spec(made))
        self._input, self._output = given["index"], made["index"]

    @property
    def device(self) -> str:
        return f"cpu ({self._runtime})"

    def run(self, inputs: Codes) -> tuple[Codes, int]:
        codes, interpreter = np.empty((len(inputs), self.card.motion_dim), np.int8), self._interpreter
        # A loop over windows, because the network is compiled for a batch of one: that is all an Edge TPU takes.
        try:
            for row, window in enumerate(inputs[:, None]):
                interpreter.set_tensor(self._input, window)
                interpreter.invoke()
                codes[row] = interpreter.get_tensor(self._output)
        except (RuntimeError, ValueError) as error:
            raise EncoderError(f"{self.card.path / MODEL_NAME}: the network failed on a window: {error}") from error
        return codes, Quality.CLEAR


def load_runtime() -> tuple[str, Any, Any]:
    """Return the runtime's name and version, its Interpreter and its load_delegate; MissingExtraError without one."""
    try:
        import ai_edge_litert
        from ai_edge_litert.interpreter import Interpreter, load_delegate

        return f"LiteRT {ai_edge_litert.__version__}", Interpreter, load_delegate
    except ImportError:
        pass
    try:
        import tflite_runtime
        from tflite_runtime.interpreter import Interpreter, load_delegate
    except ImportError as error:
        raise MissingExtraError(
            "no inference runtime: expected ai-edge-litert or tflite-runtime, got neither; "
            f"{runtime_hint(architecture())}"
        ) from error
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        # Compiled against numpy 1, it would fail later with a SystemError that names nothing.
        raise MissingExtraError(
            f"tflite-runtime {tflite_runtime.__version__} needs numpy below 2, got numpy {np.__version__}; "
            f"install LiteRT where there is a wheel, {install_hint('ai-edge-litert')}, else {install_hint('numpy<2')}"
        )
    return f"tflite-runtime {tflite_runtime.__version__}", Interpreter, load_delegate


def tensor_spec(tensor: dict[str, Any]) -> TensorSpec:
    """Return what an interpreter says of an input or output."""
    scale, zero_point = tensor["quantization"]
    return TensorSpec(tensor["dtype"].__name__, tensor["shape"].tolist(), scale, zero_point)
