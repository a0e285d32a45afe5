"""`motionsig compile`: a model for the Edge TPU, checked and compiled.

Needs Google's edgetpu_compiler, which runs on x86-64 Debian and Ubuntu alone; --check does not, and runs anywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from motionsig.cli.option import option
from motionsig.encoders.compiling import compiler, files
from motionsig.encoders.compiling.lint import ON_CHIP_BYTES, lint, on_chip_bytes, parameter_bytes
from motionsig.encoders.compiling.operators import Finding
from motionsig.encoders.models import shipped_models
from motionsig.encoders.tflite import Graph, read_graph
from motionsig.errors import InputError, ModelError


def add_to(commands: Any) -> None:
    parser = commands.add_parser("compile", help="a model for the Edge TPU", description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="a .tflite file, a model's folder, or a shipped model's name")
    option(parser, "--check", "only say what the compiler would take, and why not")
    option(parser, "-o --out OUT", "folder for the result; a model folder's own without", type=Path)
    option(parser, "--compiler PATH", "edgetpu_compiler, if it is not in PATH", type=Path)
    option(parser, "--min-runtime N", "the oldest Edge TPU runtime to run on: 10 to 14, int8 from 12 on", type=int)
    cpu = "take a result of which operators stay on the CPU, and so compile what --check finds wrong, too"
    option(parser, "--allow-cpu", cpu)
    option(parser, "--json", "what was found, or made, as one JSON object")
    parser.set_defaults(command=_compile)


def _compile(options: argparse.Namespace) -> int:
    compiling = ("out", "compiler", "min_runtime", "allow_cpu")
    beside = [f"--{name.replace('_', '-')}" for name in compiling if getattr(options, name) not in (None, False)]
    if options.check and beside:
        raise InputError(f"--check: expected no option for compiling beside it, got {', '.join(beside)}")
    if not options.check and options.out is None and options.model in shipped_models():
        # In a clone it would change what is committed, elsewhere what pip installed.
        raise InputError(f"{options.model}: expected -o OUT for a shipped model, got none")
    if options.min_runtime is not None and not 10 <= options.min_runtime <= 14:
        # As libedgetpu's api/runtime_version.h numbers them.
        raise InputError(f"--min-runtime: expected 10 to 14, got {options.min_runtime}")
    model = files.open_model(options.model)
    graph = read_graph(model.content, model.path)
    findings = lint(graph)
    if options.check:
        return _show_check(options, graph, findings)
    # What is slow compiles, and the compiler's log says how much travels.
    wrong = [finding for finding in findings if finding.mark == "wrong"]
    compilable = any(graph.operators) and not graph.edgetpu_operators
    if wrong and not (options.allow_cpu and compilable):
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        way_out = "--check shows all, and --allow-cpu compiles in spite of it" if compilable else wrong[0].advice
        raise ModelError(
            f"{model.path}: expected a model for the Edge TPU, got {wrong[0].place}: {wrong[0].found}{more}; {way_out}"
        )
    folder = files.out_folder(model, options.out)
    command = compiler.find_compiler(options.compiler)
    made = compiler.compile_model(model.content, command, min_runtime=options.min_runtime, allow_cpu=options.allow_cpu)
    place = files.put_in_place(model, made, folder)
    _show_made(options.json, model, made, place, findings)
    return 0


def _show_check(options: argparse.Namespace, graph: Graph, findings: list[Finding]) -> int:
    size, most = parameter_bytes(graph), on_chip_bytes(graph)
    marks = Counter(finding.mark for finding in findings)
    bad = marks["wrong"] + marks["slow"]
    rejected = {finding.place for finding in findings if finding.mark == "wrong"}
    taken = Counter(
        (operator.name, operator.version)
        for subgraph in graph.subgraphs[:1]
        for operator in subgraph.operators
        if not operator.custom and f"operator {operator.index} {operator.name}" not in rejected
    )
    if options.json:
        shown = {
            "model": options.model,
            "compiles": not marks["wrong"],
            "findings": [asdict(finding) for finding in findings],
            "taken": [{"name": name, "version": version, "count": count} for (name, version), count in taken.items()],
            "parameter_bytes": size,
            "on_chip_bytes_at_most": most,
            "on_chip_bytes_there": ON_CHIP_BYTES,
        }
        print(json.dumps(shown, indent=2))
        return int(bad > 0)
    for (name, version), count in taken.items():
        print(f"ok     {count} x {name} version {version}")
    for finding in findings:
        print(finding)
    found = ", ".join(f"{marks[mark]} found {mark}" for mark in ("wrong", "slow") if marks[mark])
    print(
        f"{options.model}: {found or 'nothing found that the Edge TPU would not take'}; {size / 1024:.0f} KiB of "
        f"parameters; compiled, as other models show, they take at most {most / 1024:.0f} KiB of the chip's "
        f"{ON_CHIP_BYTES / 1024:,.0f} KiB"
    )
    return int(bad > 0)


def _show_made(
    as_json: bool, model: files.ModelFile, made: compiler.Compilation, place: Path, findings: list[Finding]
) -> None:
    log, sha256 = made.log, hashlib.sha256(made.content).hexdigest()
    streamed = max(log.streamed_bytes or 0, made.program.streamed_bytes if made.program else 0)
    if as_json:
        shown = {
            "file": str(place),
            "bytes": len(made.content),
            "sha256": sha256,
            "twin_bytes": len(model.content),
            "compiler": log.version,
            "min_runtime": made.min_runtime,
            "on_chip_bytes": log.on_chip_bytes,
            "on_chip_left_bytes": log.on_chip_left_bytes,
            "streamed_bytes": streamed,
            "operators": [{"name": name, "count": count, "status": status} for name, count, status in log.table],
            "on_tpu": log.on_tpu,
            "on_cpu": log.on_cpu,
            "findings": [asdict(finding) for finding in findings],
        }
        print(json.dumps(shown, indent=2))
        return
    on_tpu = log.operators if log.on_tpu is None else log.on_tpu
    lines = {
        "made": f"{place} ({len(made.content):,} B, from {len(model.content):,})",
        "sha256": sha256,
        "compiler": log.version,
        "operators": f"{on_tpu} on the Edge TPU, {log.on_cpu or 0} on the CPU" if on_tpu is not None else None,
        "on chip": f"{log.on_chip_bytes:,} B of parameters" if log.on_chip_bytes is not None else None,
        "left there": f"{log.on_chip_left_bytes:,} B" if log.on_chip_left_bytes is not None else None,
        "streamed": f"{streamed:,} B at each call" if log.streamed_bytes is not None or made.program else None,
        "runtime": f"{made.min_runtime} or newer" if made.min_runtime else None,
        "card": f"{place.parent / 'card.json'} names it now; the fingerprint is the same"
        if model.card
        else "none, so it is for other programs: motionsig runs model folders",
    }
    for name, value in lines.items():
        print(f"{name:<11} {'not stated' if value is None else value}")
    if made.program is None:
        print("note        the Edge TPU's operator could not be read: which runtime it needs is not known")
    if streamed:
        print(
            f"note        {streamed:,} B of parameters are not kept on the chip and travel again at each call, which "
            "makes it slower"
        )
    for finding in findings:
        print(finding)
