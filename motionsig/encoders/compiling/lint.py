"""What edgetpu_compiler 16.0 takes of a model, operator by operator, known without the compiler.

These rules are put together from what is public: the operators and conditions that coral.ai lists ("TensorFlow models
on the Edge TPU"), the versions of operators that TensorFlow 2.5 knew, the compiler's logs in the issues of
google-coral/edgetpu (numbers below are theirs), and models that were published beside what the compiler made of them.
With those scripts/evaluate/compiled_twins.py compares the rules. The compiler is right where the two disagree:
`motionsig compile --allow-cpu` asks it.

The compiler makes one program. What needs the result of an operator that it left behind the program stays behind, too,
whatever it is; operators left before it, such as a QUANTIZE of float32 input, keep nothing off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from motionsig.encoders.compiling.operators import INSTEAD, INTEGERS, OPERATORS, Finding, Taken, padded_bytes, wrong
from motionsig.encoders.tflite import Graph, Operator, Subgraph

ON_CHIP_BYTES = round(7.6 * 2**20)
"""Left for parameters of the chip's 8 MB where activations are small: logs add up to 7.0 to 7.7 MiB (issues 463, 671).
Activations share the chip, and logs of image networks add up to 1.1 (572) or 1.9 (427); no source says which will."""

ON_CHIP_FACTOR, ON_CHIP_LEAST_BYTES = 1.27, 4 << 10
"""Parameters on the chip against those in the file with `UNITS_AT_ONCE` for a FULLY_CONNECTED: 1.00 to 1.27 in compiled
twins of 0.4 MB or more, 0.9 to 1.26 in ten logs (issues 60, 324, 427, 458, 518, 671). The smallest twins take up to
3,200 B for 4 to 424."""

CHIP_BYTES = 8 << 20

ACTIVATION_BYTES = 256 << 10
"""Of one operator, beyond which activations are worth a note. The MobileNetV3 of issue 572, which left 1.1 MiB, begins
with 0.35 MB if its input is the usual 224 x 224; a YOLOv5s at 512 x 512, with about 2.9 MB, did not compile (449)."""

_QUANTIZED = ("int8", "uint8")
_PARAMETER_KINDS = (*_QUANTIZED, *INTEGERS)


def lint(graph: Graph) -> list[Finding]:
    """Return what keeps a model, or part of it, off the Edge TPU or makes it slow there; mere notes if nothing does."""
    if graph.edgetpu_operators:
        return [wrong("model", "it is compiled for the Edge TPU already", "give the model it was compiled from")]
    if not any(graph.operators):
        return [wrong("model", "it has no operator", "give a model with a network in it")]
    findings, count = [], len(graph.subgraphs)
    if count > 1:
        findings = [wrong("model", f"{count} subgraphs", "convert one function without loops or branches")]
    for number, subgraph in enumerate(graph.subgraphs):
        where = f"subgraph {number}, " if number else ""
        if not subgraph.inputs or not subgraph.outputs:
            findings.append(wrong(f"{where}model", "no input or no output", "convert a model that has both"))
        if subgraph.batch > 1:  # issues 30, 700
            findings.append(
                wrong(f"{where}input", f"a batch of {subgraph.batch}", "fix the batch at 1 before converting")
            )
        findings += _operators(subgraph, where)
    return findings + list(_memory(graph))


def parameter_bytes(graph: Graph) -> int:
    """Return the size of all constants: what a compiled model keeps on the chip, before the compiler's padding."""
    return sum(len(tensor.data) for tensor in graph.constants)


def on_chip_bytes(graph: Graph) -> int:
    """Return what the parameters take on the chip at most, going by other models, with the compiler's padding."""
    size = parameter_bytes(graph)
    for subgraph in graph.subgraphs:
        for operator in subgraph.operators:
            for weights in subgraph.given(operator)[1:2] if operator.name == "FULLY_CONNECTED" else ():
                size += padded_bytes(weights) - len(weights.data) if weights.constant else 0
    return round(size * ON_CHIP_FACTOR) + ON_CHIP_LEAST_BYTES


def _operators(subgraph: Subgraph, where: str) -> Iterator[Finding]:
    """Yield the findings on all operators, in their order."""
    # By tensor: the operator that ended the chip's program on the way to it, or None where the chip has made it.
    ended: dict[int, Operator | None] = {}
    for operator in subgraph.operators:
        place = f"{where}operator {operator.index} {operator.name}"
        before = [ended[index] for index in operator.inputs if index in ended]
        cause = next((it for it in before if it), None)
        findings = list(_operator(subgraph, operator, place))
        refused = any(finding.mark == "wrong" for finding in findings)
        if cause and not refused:
            found = f"it needs what operator {cause.index} {cause.name} makes, which stays on the CPU"
            findings = [wrong(place, found, f"see operator {cause.index}, or move it to the model's end")]
        yield from findings
        if before or not refused:
            ended |= dict.fromkeys(operator.outputs, cause or (operator if refused else None))


def _operator(subgraph: Subgraph, operator: Operator, place: str) -> Iterator[Finding]:
    """Yield the findings on one operator; of an operator that is not taken at all, that one finding."""
    taken = OPERATORS.get(operator.name)
    if operator.custom:
        yield wrong(place, "a custom operator", "use TensorFlow Lite's own operators")
    elif taken is None:
        recurrent = "LSTM" in operator.name or "RNN" in operator.name
        instead = "use convolutions over time" if recurrent else "replace it"
        yield wrong(place, "not among the compiler's operators", INSTEAD.get(operator.name, instead))
    elif operator.version > taken.version:
        advice = "convert with an older TensorFlow (2.8 or before), or without the option that asks for it"
        yield wrong(place, f"version {operator.version}, and the compiler knows {taken.version} at most", advice)
    else:
        yield from _tensors(subgraph, operator, taken, place)
        yield from taken.condition(subgraph, operator, place)


def _tensors(subgraph: Subgraph, operator: Operator, taken: Taken, place: str) -> Iterator[Finding]:
    stateless = [index for number, index in enumerate(operator.inputs) if number not in taken.states and index >= 0]
    given, made = [subgraph.tensors[index] for index in stateless], subgraph.made(operator)
    activations = [tensor for tensor in (*given, *made) if not tensor.constant]
    kinds = {tensor.kind for tensor in activations} - set(_QUANTIZED)
    kinds |= {tensor.kind for tensor in given if tensor.constant} - set(_PARAMETER_KINDS)
    if kinds:
        found = f"{' and '.join(sorted(kinds))} tensors"
        yield wrong(place, found, "quantise everything to int8, input and output too")
        return
    if any(tensor.kind in _QUANTIZED and not len(tensor.scale) for tensor in (*given, *made)):
        yield wrong(place, "a tensor without scale and zero point", "quantise the model with example data")
    if any(tensor.dynamic for tensor in activations):
        yield wrong(place, "a shape that may change", "fix the input's shape, batch included, before converting")
    # Beyond the batch, which is a finding on the input already.
    spread = next((tensor.shape for tensor in activations if math.prod(tensor.shape[:-3]) > subgraph.batch), None)
    if spread:  # issue 121
        yield wrong(place, f"shape {list(spread)}", "keep only the three innermost dimensions larger than 1")
    if any(tensor.sparse for tensor in given):
        yield wrong(place, "sparse weights", "convert without sparsity")
    fixed = [pair for pair in enumerate(operator.inputs) if taken.activations and pair[0] not in taken.activations]
    moving = [number for number, index in fixed if index >= 0 and not subgraph.tensors[index].constant]
    if moving:  # issue 25
        yield wrong(place, f"input {moving[0]} is not a constant", "make weights and shapes constants")


def _memory(graph: Graph) -> Iterator[Finding]:
    size = parameter_bytes(graph)
    if size > ON_CHIP_BYTES:
        found = f"and the chip keeps {ON_CHIP_BYTES:,}: the rest would travel again at each call"
        yield Finding("slow", "model", f"{size:,} B of parameters, {found}", "make it smaller")
    elif on_chip_bytes(graph) > ON_CHIP_BYTES:
        found = f"which the compiler's padding may take beyond the chip's {ON_CHIP_BYTES:,}"
        advice = "see in the compiler's log what is streamed"
        yield Finding("note", "model", f"{size:,} B of parameters, {found}", advice)
    sizes = [(0, "")]
    for subgraph in graph.subgraphs[:1]:
        for operator in subgraph.operators:
            tensors = (*subgraph.given(operator), *subgraph.made(operator))
            moving = (tensor.shape for tensor in tensors if not (tensor.constant or tensor.dynamic))
            sizes.append((sum(map(math.prod, moving)), f"operator {operator.index} {operator.name}"))  # at a byte each
    size, place = max(sizes)
    if size > ACTIVATION_BYTES:
        # Beyond the chip, the compiler cuts them: a compiled twin has 16.7 MB. It does not always succeed (issue 449).
        which = f"the chip's {CHIP_BYTES:,} hold in parts" if size > CHIP_BYTES else "share the chip with parameters"
        found = f"{size:,} B of activations, which {which}"
        yield Finding("note", place, found, "make the input or the layers smaller if compiling fails")
