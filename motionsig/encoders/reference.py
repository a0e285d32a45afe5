"""The int8 network in numpy alone: what TFLite's reference kernels compute, to the bit.

With it a signature can be checked, and understood, where no runtime is installed: one right answer, whatever the
machine, and the bytes of LiteRT's `OpResolverType.BUILTIN_REF` (from 1.3 on). A runtime's default kernels round
otherwise in the last bits, which is what a model's tolerance is for.

Each operator is prepared once, into a function from a batch of its inputs to its output.
"""

from __future__ import annotations

from collections.abc import Callable

from motionsig.blocks import Quality
from motionsig.encoders.host import Border, check_network
from motionsig.encoders.kernels import KERNELS, Codes, Kernel, Node, check_activation
from motionsig.encoders.tflite import Model, Tensor, read_model
from motionsig.errors import ModelError
from motionsig.model_card import MODEL_NAME, ModelCard

_OTHERS = {
    6: "DEQUANTIZE", 14: "LOGISTIC", 18: "MUL", 19: "RELU", 21: "RELU6", 25: "SOFTMAX", 28: "TANH", 32: "CUSTOM",
    34: "PAD", 39: "TRANSPOSE", 41: "SUB", 43: "SQUEEZE", 45: "STRIDED_SLICE", 49: "SPLIT", 70: "EXPAND_DIMS",
    77: "SHAPE", 83: "PACK", 98: "LEAKY_RELU", 114: "QUANTIZE", 117: "HARD_SWISH", 150: "GELU",
}  # fmt: skip
"""What else a small network might hold, so that a refusal can name it; any other is named by its number."""


class ReferenceNetwork:
    """Needs numpy only; slower than a runtime, and the same on every machine for the same input codes."""

    device = "reference (numpy)"

    def __init__(self, card: ModelCard) -> None:
        """Raise ModelError if the network is not the int8 one of the card, or has what these kernels have not."""
        content = card.model_bytes()
        try:
            model = read_model(content)
            self._kernels = prepare(model)
        except ModelError as error:
            raise ModelError(f"{card.path / MODEL_NAME}: {error}") from error
        check_network(card, MODEL_NAME, _border(model.tensors[model.input]), _border(model.tensors[model.output]))

    def run(self, inputs: Codes) -> tuple[Codes, int]:
        return self._kernels(inputs), Quality.CLEAR

    def close(self) -> None:
        """Do nothing: there is only memory."""


def prepare(model: Model) -> Callable[[Codes], Codes]:
    """Return the function from the model's input codes (k, ...) to its output codes (k, ...).

    Raises ModelError, naming the operator, for what these kernels have not.
    """
    check_activation(model.tensors[model.input])
    ready, steps = {model.input}, list[tuple[Kernel, list[int], int]]()
    for index, operator in enumerate(model.operators):
        if operator.code not in KERNELS:
            known = ", ".join(name for name, _, _ in KERNELS.values())
            got = _OTHERS.get(operator.code, f"number {operator.code}")
            raise ModelError(f"operator {index}: expected one of {known}, got {got}")
        name, version, make = KERNELS[operator.code]
        taken = [tensor for tensor in operator.inputs if tensor >= 0 and model.tensors[tensor].data is None]
        try:
            if operator.version > version:
                raise ModelError(f"expected version {version} or older, got {operator.version}")
            if not ready.issuperset(taken) or len(operator.outputs) != 1 or operator.outputs[0] in ready:
                raise ModelError("expected inputs that are made before it and one new output, got another order")
            (made,) = operator.outputs
            inputs = [model.tensors[tensor] if tensor >= 0 else None for tensor in operator.inputs]
            kernel, shape = make(Node(inputs, check_activation(model.tensors[made]), operator.options))
            if shape != model.tensors[made].shape:
                raise ModelError(f"expected its output to be {list(shape)}, got {list(model.tensors[made].shape)}")
        except ModelError as error:
            raise ModelError(f"operator {index} ({name}): {error}") from error
        steps.append((kernel, taken, made))
        ready.add(made)
    if model.output not in ready:
        raise ModelError("expected an operator that makes the output, got none")

    def network(codes: Codes) -> Codes:
        values = {model.input: codes}
        for kernel, taken, made in steps:
            values[made] = kernel(*(values[tensor] for tensor in taken))
        return values[model.output]

    return network


def _border(tensor: Tensor) -> Border:
    return Border(tensor.kind, list(tensor.shape), float(tensor.scale[0]), int(tensor.zero_point[0]))
