"""The int8 network on the CPU: LiteRT, or tflite-runtime where LiteRT has no wheel.

LiteRT computes with XNNPACK. Where that cannot read what the processor is, LiteRT takes its own kernels without a word:
they are slower, and a third of their codes differ by a step or two. So the golden windows show which kernels compute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from motionsig.encoders.host import Codes, Network, TensorSpec, check_network, network_input
from motionsig.errors import EncoderError, MissingExtraError, ModelError
from motionsig.escaping import own_logger
from motionsig.hints import architecture, install_hint, runtime_hint
from motionsig.model_card import BUILT_IN, MODEL_NAME, Golden, ModelCard
from motionsig.quality import Quality

logger = own_logger(__name__)

FELL_BACK = (
    "LiteRT computes with its built-in kernels instead of XNNPACK: it is slower, and its codes differ slightly from "
    "those of other machines; it has to be able to read /proc/cpuinfo and /sys/devices/system/cpu"
)


class LiteRtNetwork(Network):
    """One interpreter, one thread: a window is too small a job to share."""

    def __init__(self, card: ModelCard, *, before: Callable[[], None] = lambda: None) -> None:
        """Raise ModelError if the network is not the int8 one of the card, MissingExtraError without a runtime.

        before: is called when all that is needed is loaded, before the runtime sees the network.
        """
        # Checked against the card before the runtime sees them: a damaged model can crash it or run wrongly.
        model, golden = card.model_bytes(), card.golden()
        self.card = card
        self._runtime, interpreter_class, _ = load_runtime()
        before()
        try:
            self._interpreter = interpreter_class(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
            # Two inputs, or a name that is no text (a UnicodeDecodeError), are no network of ours either.
            (given,), (made,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        except (ValueError, RuntimeError, SystemError) as error:
            from motionsig.encoders.tflite import EDGETPU_OPERATOR

            if EDGETPU_OPERATOR in str(error):
                raise ModelError(
                    f"{card.path / MODEL_NAME}: expected a model for the CPU, got one compiled for the Edge TPU; put "
                    "its twin here, and name the compiled file under compiled in the card"
                ) from error
            raise EncoderError(f"{card.path / MODEL_NAME}: {self._runtime} cannot run it: {error}") from error
        check_network(card, MODEL_NAME, tensor_spec(given), tensor_spec(made))
        self._input, self._output = given["index"], made["index"]
        self._kernels = self._seen_kernels(golden)
        if fell_back(self.device):
            logger.warning(FELL_BACK)

    @property
    def device(self) -> str:
        return f"cpu ({self._runtime}{f', {self._kernels}' if self._kernels else ''})"

    @property
    def kernels(self) -> str | None:
        return self._kernels

    def _seen_kernels(self, golden: Golden) -> str | None:
        """Return the one kernel set that makes the same codes of the golden windows; None where none or several do."""
        inputs, _ = network_input(self.card, golden.windows)
        made, _ = self.run(inputs)
        known = golden.kernels.items()
        same = [name for name, codes in known if np.array_equal(made, codes[:, : self.card.motion_dim])]
        return same[0] if len(same) == 1 else None

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


def fell_back(device: str) -> bool:
    """Tell from an encoder's `device` whether LiteRT computes with kernels that it has only as a last resort."""
    return "LiteRT" in device and BUILT_IN in device


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
