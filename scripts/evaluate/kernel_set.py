"""LiteRT with kernels that it does not take by itself, as a network of an encoder."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from motionsig.encoders.host import Network
from motionsig.model_card import BUILT_IN, ModelCard
from motionsig.quality import Quality

OTHERS = {BUILT_IN: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "reference": OpResolverType.BUILTIN_REF}


class KernelSet(Network):
    """The network with one of OTHERS; `name` says which."""

    def __init__(self, card: ModelCard, name: str) -> None:
        self.card, self._name = card, name
        kind = OTHERS[name]
        self._interpreter = Interpreter(
            model_content=card.model_bytes(), num_threads=1, experimental_op_resolver_type=kind
        )
        self._interpreter.allocate_tensors()
        (given,), (made,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._input, self._output = given["index"], made["index"]

    @property
    def device(self) -> str:
        return f"cpu (LiteRT, {self._name})"

    def run(self, inputs: NDArray[np.int8]) -> tuple[NDArray[np.int8], int]:
        codes = np.empty((len(inputs), self.card.motion_dim), np.int8)
        for row, window in enumerate(inputs[:, None]):
            self._interpreter.set_tensor(self._input, window)
            self._interpreter.invoke()
            codes[row] = self._interpreter.get_tensor(self._output)[0]
        return codes, Quality.CLEAR
