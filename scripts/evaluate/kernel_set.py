"""LiteRT with kernels that it does not take by itself, as a network of an encoder."""

from __future__ import annotations

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from motionsig.encoders.litert import LiteRtNetwork
from motionsig.model_card import BUILT_IN, ModelCard

OTHERS = {BUILT_IN: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "reference": OpResolverType.BUILTIN_REF}


class KernelSet(LiteRtNetwork):
    """The network with one of OTHERS; `name` says which."""

    def __init__(self, card: ModelCard, name: str) -> None:
        self.card, self._runtime, self._kernels = card, "LiteRT", name
        kind = OTHERS[name]
        self._interpreter = Interpreter(
            model_content=card.model_bytes(), num_threads=1, experimental_op_resolver_type=kind
        )
        self._interpreter.allocate_tensors()
        (given,), (made,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input, self._output = given["index"], made["index"]
