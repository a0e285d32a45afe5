"""Compare what `motionsig compile --check` says of models with what edgetpu_compiler made of them.

    python -m scripts.evaluate.compiled_twins FOLDER...

A folder holds, anywhere in it, models as NAME.tflite beside NAME_edgetpu.tflite, what the compiler made of each.
Public ones: the repositories google-coral/test_data and ricardodeazambuja/LibrEdgeTPU. It prints a line for each pair,
under it each operator on which the two disagree, and the sums. It takes a few seconds, and needs neither the compiler
nor an Edge TPU. The rules are those of compiler 16; an older one may have streamed more, and so does one that compiled
several models for one chip.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from motionsig.encoders.compiling.lint import lint
from motionsig.encoders.compiling.operators import STREAMED_BYTES
from motionsig.encoders.compiling.program import read_program
from motionsig.encoders.tflite import EDGETPU_OPERATOR, Graph, Operator, read_graph, read_model_file
from motionsig.errors import ModelError

SUFFIX = "_edgetpu.tflite"


@dataclass(frozen=True)
class Comparison:
    """One model. on_cpu: operators that the compiler left there; said: those of which the check says so.

    streamed_bytes: of parameters, at each call; streams: whether the check calls it slow. min_runtime: the oldest Edge
    TPU runtime that takes it, which tells how old the compiler may be.
    """

    operators: tuple[Operator, ...]
    on_cpu: frozenset[int]
    said: frozenset[int]
    streamed_bytes: int
    streams: bool
    min_runtime: int

    @property
    def apart(self) -> list[Operator]:
        return [
            operator for operator in self.operators if (operator.index in self.on_cpu) != (operator.index in self.said)
        ]

    @property
    def streaming_agrees(self) -> bool:
        """Less than STREAMED_BYTES, such as the constants of a few ADDs, do not make a model slow."""
        return (self.streamed_bytes >= STREAMED_BYTES) == self.streams


def compare(model: bytes, compiled: bytes) -> Comparison:
    """Raises ModelError where one of them is none, or the second was not compiled from the first."""
    before, after = read_graph(model, "the model"), read_graph(compiled, "the compiled model")
    programs = [read_program(operator) for operator in after.edgetpu_operators]
    known = [program for program in programs if program]
    if len(known) != len(programs):
        raise ModelError("the compiled model: expected Edge TPU operators as libedgetpu reads them, got others")
    operators = before.subgraphs[0].operators if before.subgraphs else ()
    on_cpu = _left(before, after)
    findings = lint(before)
    wrong = {finding.place for finding in findings if finding.mark == "wrong"}
    said = frozenset(it.index for it in operators if f"operator {it.index} {it.name}" in wrong)
    # What is wrong with the model itself is said of all of it.
    if any(not place.startswith("operator ") for place in wrong):
        said = frozenset(it.index for it in operators)
    return Comparison(
        operators,
        on_cpu,
        said,
        sum(program.streamed_bytes for program in known),
        any(finding.mark == "slow" for finding in findings),
        max((program.min_runtime for program in known), default=0),
    )


def _left(before: Graph, after: Graph) -> frozenset[int]:
    """Return which operators of a model the compiled one still has: by kind, and by the names of what they make."""
    left: Counter[tuple[str, ...]] = Counter()
    for subgraph in after.subgraphs[:1]:
        left.update(_key(after, it) for it in subgraph.operators if it.name != EDGETPU_OPERATOR)
    found = set()
    for subgraph in before.subgraphs[:1]:
        for operator in subgraph.operators:
            key = _key(before, operator)
            if left[key]:
                left[key] -= 1
                found.add(operator.index)
    if more := +left:
        raise ModelError(f"the compiled model: expected operators of the model, got {', '.join(next(iter(more)))}")
    return frozenset(found)


def _key(graph: Graph, operator: Operator) -> tuple[str, ...]:
    return operator.name, *(tensor.name for tensor in graph.subgraphs[0].made(operator))


def pairs(folders: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield each model and what it was compiled to, by name."""
    for folder in folders:
        for compiled in sorted(folder.rglob(f"*{SUFFIX}")):
            model = compiled.with_name(compiled.name.removesuffix(SUFFIX) + ".tflite")
            if model.is_file() and compiled.is_file():
                yield model, compiled


def page(compared: list[tuple[str, Comparison]]) -> str:
    """Return the lines for each pair, and the sums over all."""
    lines, sums = [], Counter[str]()
    for name, it in compared:
        apart, count = it.apart, len(it.operators)
        streams = "right" if it.streaming_agrees else "WRONG"
        lines.append(
            f"{name}: {count - len(apart)} of {count} operators right ({len(it.on_cpu)} on the CPU), runtime "
            f"{it.min_runtime}, {it.streamed_bytes:,} B streamed ({streams})"
        )
        lines += [
            f"    operator {operator.index} {operator.name}: "
            + ("left on the CPU, and said to be taken" if operator.index in it.on_cpu else "taken, and refused")
            for operator in apart
        ]
        sums["operators"] += count
        sums["right"] += count - len(apart)
        sums["whole"] += (not it.on_cpu) == (not it.said)
        sums["streaming"] += it.streaming_agrees
        sums["streamed"] += it.streamed_bytes >= STREAMED_BYTES
    models = len(compared)
    share = sums["right"] / max(sums["operators"], 1)
    lines += [
        f"operators  {sums['right']} of {sums['operators']} right ({share:.1%})",
        f"models     {sums['whole']} of {models} rightly said to be taken whole, or not",
        f"streaming  {sums['streaming']} of {models} right; {sums['streamed']} stream {STREAMED_BYTES:,} B or more",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path)
    compared = []
    for model, compiled in pairs(parser.parse_args().folders):
        try:
            compared.append((str(model), compare(read_model_file(model), read_model_file(compiled))))
        except (ModelError, OSError) as error:
            print(f"{model}: left out: {error}")
    if not compared:
        parser.error(f"expected a model beside its NAME{SUFFIX} in the folders, got none")
    print(page(compared), end="")


if __name__ == "__main__":
    main()
