"""The int8 network in numpy alone: what TFLite's reference kernels compute, to the bit.

One right answer, whatever the machine: the bytes of LiteRT's `OpResolverType.BUILTIN_REF` (from 1.3 on). A runtime's
default kernels round differently in the last bits, which is what a model's tolerance is for. Each operator is prepared
once, into a function from a batch of its inputs to its output.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from motionsig.encoders.host import Network, TensorSpec, check_network
from motionsig.encoders.kernels import KERNELS, MAX_ELEMENTS, Codes, Kernel, Node, check_activation
from motionsig.encoders.tflite import Graph, Tensor, read_graph
from motionsig.errors import ModelError
from motionsig.model_card import MODEL_NAME, ModelCard
from motionsig.quality import Quality

_MAX_RANK = 4
_TYPES = (2, 9)


class ReferenceNetwork(Network):
    """Needs numpy only; slower than a runtime, and the same on every machine for the same input codes."""

    device, kernels = "reference (numpy)", "reference"

    def __init__(self, card: ModelCard) -> None:
        """Raise ModelError if the network is not the int8 one of the card, or has what these kernels have not."""
        graph = read_graph(card.model_bytes(), card.path / MODEL_NAME)
        try:
            self._kernels = prepare(graph)
        except ModelError as error:
            raise ModelError(f"{card.path / MODEL_NAME}: {error}") from error
        tensors, (first,), (last,) = graph.subgraphs[0].tensors, graph.subgraphs[0].inputs, graph.subgraphs[0].outputs
        check_network(card, MODEL_NAME, _spec(tensors[first]), _spec(tensors[last]))
        self.card = card

    def run(self, inputs: Codes) -> tuple[Codes, int]:
        return self._kernels(inputs), Quality.CLEAR


def prepare(graph: Graph) -> Callable[[Codes], Codes]:
    """Return the function from input codes (k, ...) to output codes (k, ...). Raises ModelError, which says where."""
    if len(graph.subgraphs) != 1:
        raise ModelError(f"expected one graph, got {len(graph.subgraphs)}")
    (network,) = graph.subgraphs
    for index, tensor in enumerate(network.tensors):
        try:
            _check_tensor(tensor)
        except ModelError as error:
            raise ModelError(f"tensor {index}: {error}") from error
    if (len(network.inputs), len(network.outputs)) != (1, 1):
        raise ModelError(f"expected one input and one output, got {len(network.inputs)} and {len(network.outputs)}")
    (first,), (last,) = network.inputs, network.outputs
    check_activation(network.tensors[first])
    ready, steps = {first}, list[tuple[Kernel, list[int], int]]()
    for operator in network.operators:
        if operator.custom or operator.name not in KERNELS:
            raise ModelError(f"operator {operator.index}: expected one of {', '.join(KERNELS)}, got {operator.name}")
        version, make = KERNELS[operator.name]
        taken = [tensor for tensor in operator.inputs if tensor >= 0 and not network.tensors[tensor].constant]
        try:
            if operator.version > version:
                raise ModelError(f"expected version {version} or older, got {operator.version}")
            if not ready.issuperset(taken) or len(operator.outputs) != 1 or operator.outputs[0] in ready:
                raise ModelError("expected inputs that are made before it and one new output, got another order")
            (made,) = operator.outputs
            inputs = [network.tensors[tensor] if tensor >= 0 else None for tensor in operator.inputs]
            kernel, shape = make(Node(inputs, check_activation(network.tensors[made]), operator.options))
            if shape != network.tensors[made].shape:
                raise ModelError(f"expected its output to be {list(shape)}, got {list(network.tensors[made].shape)}")
        except ModelError as error:
            raise ModelError(f"operator {operator.index} ({operator.name}): {error}") from error
        steps.append((kernel, taken, made))
        ready.add(made)
    if last not in ready:
        raise ModelError("expected an operator that makes the output, got none")

    def run(codes: Codes) -> Codes:
        values = {first: codes}
        for kernel, taken, made in steps:
            values[made] = kernel(*(values[tensor] for tensor in taken))
        return values[last]

    return run


def _check_tensor(tensor: Tensor) -> None:
    """Raise ModelError for a tensor that no kernel takes, or of which damage could have made anything."""
    shape, scale, zero_point = list(tensor.shape), tensor.scale, tensor.zero_point
    if tensor.type not in _TYPES:
        raise ModelError(f"expected int8 or int32 (type 9 or 2), got type {tensor.type}")
    if len(shape) > _MAX_RANK or min(shape, default=1) < 1 or -1 in tensor.signature or tensor.sparse:
        stated = list(tensor.signature) or shape
        raise ModelError(f"expected a dense, fixed shape of at most {_MAX_RANK} dimensions, got {stated}")
    in_range = np.all((scale > 1e-12) & (scale < 1e12)) and np.all((zero_point >= -128) & (zero_point <= 127))
    if len(scale) != len(zero_point) or not in_range:
        got = f"{scale[:4].tolist()} with {zero_point[:4].tolist()}"
        raise ModelError(f"expected scales > 0, each with a zero point in int8, got {got}")
    if not tensor.constant and math.prod(shape) > MAX_ELEMENTS:
        raise ModelError(f"expected at most {MAX_ELEMENTS} elements in an activation, got {shape}")
    if tensor.constant and len(tensor.data) != math.prod(shape) * np.dtype(tensor.kind).itemsize:
        raise ModelError(f"expected {shape} of {tensor.kind}, got {len(tensor.data)} bytes")


def _spec(tensor: Tensor) -> TensorSpec:
    return TensorSpec(tensor.kind, list(tensor.shape), float(tensor.scale[0]), int(tensor.zero_point[0]))
