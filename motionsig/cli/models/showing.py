"""What is known of models: their cards, who signed those that were installed, what is in any .tflite file."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from motionsig.conventions import NS_PER_S
from motionsig.encoders import models
from motionsig.encoders.compiling.files import open_model
from motionsig.encoders.compiling.program import read_program
from motionsig.encoders.installing import signed_by
from motionsig.encoders.models import model_names, shipped_models
from motionsig.encoders.tflite import Graph, printable, read_graph
from motionsig.errors import ModelError
from motionsig.model_card import MODEL_NAME, ModelCard, load_card


def show_all(*, as_json: bool) -> int:
    """Print the card of each model, installed ones first; return 1 if one of them is damaged."""
    places = [(models.current(it), shipped_models().get(it), models.previous(it)) for it in model_names()]
    cards, damaged = list[ModelCard](), list[ModelError]()
    for folder in filter(None, chain(*places)):
        try:
            card = load_card(folder)
            card.check_files()
        except ModelError as error:
            damaged.append(error)
        else:
            cards.append(card)
    if as_json:
        print(json.dumps([_about(card) for card in cards], indent=2))
    else:
        _print([_lines(card) for card in cards])
    for found in damaged:
        print(f"motionsig: {printable(str(found))}", file=sys.stderr)
    return int(bool(damaged))


def show(name: str, *, as_json: bool) -> int:
    """Print one model's whole card and network, or what is in a .tflite file."""
    model = open_model(models.current(name) or name)
    card = model.card
    networks = [_network(model.path, model.content)]
    if card and card.compiled:
        networks.append(_network(card.path / card.compiled.file, card.compiled_bytes()))
    if as_json:
        print(json.dumps((_about(card) if card else {}) | {"networks": networks}, indent=2))
        return 0
    parts = [_network_lines(network) for network in networks]
    _print([_lines(card), *parts, _rest(card.text)] if card else parts)
    return 0


def _about(card: ModelCard) -> dict[str, Any]:
    return card.text | {"fingerprint": card.fingerprint.hex(), "version": card.version, **_place(card)}


def _place(card: ModelCard) -> dict[str, Any]:
    """Return where a model stands among those of its name, and who signed it."""
    name = card.path.parent.name
    for where, path in (("current", models.current(name)), ("previous", models.previous(name))):
        if card.path == path:
            return {"where": where, "in_use": where == "current", "signed_by": signed_by(path)}
    if card.path == shipped_models().get(card.name):
        return {"where": "shipped", "in_use": models.current(card.name) is None}
    return {}


def _print(parts: list[list[str]]) -> None:
    """Print lines, of which a card may be anyone's."""
    print("\n\n".join("\n".join(map(printable, part)) for part in parts))


def _network(path: Path, content: bytes) -> dict[str, Any]:
    """Return what is in a .tflite file, for people and as JSON."""
    graph = read_graph(content, path)
    compiled = graph.edgetpu_operators
    program = read_program(compiled[0]) if len(compiled) == 1 else None
    counts = Counter((operator.name, operator.version) for operator in graph.operators)
    trained = [it for it in graph.constants if len(it.scale) or it.kind.startswith(("float", "bfloat"))]
    return {
        "file": str(path),
        "bytes": len(content),
        "operators": [{"name": name, "version": version, "count": count} for (name, version), count in counts.items()],
        "subgraphs": len(graph.subgraphs),
        "inputs": _specs(graph, "inputs"),
        "outputs": _specs(graph, "outputs"),
        # What was trained: constants that stand for values, not for shapes and axes.
        "parameters": None if compiled else sum(math.prod(tensor.shape) for tensor in trained),
        "compiled": bool(compiled),
        "min_tflite": graph.min_runtime_version,
        "min_edgetpu_runtime": program.min_runtime if program else None,
        "edgetpu_compiler": (program.compiler or None) if program else None,
        "cached_bytes": program.cached_bytes if program else None,
        "streamed_bytes": program.streamed_bytes if program else None,
    }


def _specs(graph: Graph, what: str) -> list[dict[str, Any]]:
    return [
        {
            "name": tensor.name,
            "type": tensor.kind,
            "shape": list(tensor.signature or tensor.shape),
            "scale": tensor.scale.tolist(),
            "zero_point": tensor.zero_point.tolist(),
        }
        for subgraph in graph.subgraphs[:1]
        for tensor in map(subgraph.tensors.__getitem__, getattr(subgraph, what))
    ]


def _network_lines(network: dict[str, Any]) -> list[str]:
    operators = [f"{part['count']} x {part['name']} v{part['version']}" for part in network["operators"]]
    lines = [f"network: {network['file']} ({network['bytes']:,} B)", f"  operators    {', '.join(operators) or 'none'}"]
    for what in ("inputs", "outputs"):
        for spec in network[what]:
            scale, zero = (", ".join(map(str, spec[name][:4])) for name in ("scale", "zero_point"))
            scales = f"scale {scale}, zero point {zero}" if spec["scale"] else "not quantised"
            lines.append(f"  {what[:-1]:<11}  {spec['name']}: {spec['type']} {spec['shape']}, {scales}")
    if network["compiled"]:
        runtime, kept, streamed = (network[name] for name in ("min_edgetpu_runtime", "cached_bytes", "streamed_bytes"))
        newer = "not stated: its operator could not be read" if runtime is None else f"{runtime} or newer"
        lines.append(f"  compiled     for the Edge TPU; runtime {newer}")
        if streamed is not None:
            lines.append(f"  parameters   {kept:,} B kept on the chip, {streamed:,} B sent at each call")
    else:
        lines.append(f"  parameters   {network['parameters']:,} in this file")
        version = network["min_tflite"]
        lines.append(f"  compiled     no; TFLite {'not stated' if version is None else f'{version} or newer'}")
    return lines


def _lines(card: ModelCard) -> list[str]:
    size = card.files[MODEL_NAME].size
    length_s, compiled = card.spec.length_ns / NS_PER_S, "not for the Edge TPU"
    if it := card.compiled:
        runtime = "not stated" if it.min_runtime is None else f"{it.min_runtime} or newer"
        compiled = f"for the Edge TPU: {it.file}, by compiler {it.compiler}, runtime {runtime}"
    return [
        f"{card.name}  {card.text['summary']}",
        f"  version      {_version(card)}",
        f"  signature    {card.dim} int8: {card.motion_dim} motion, {card.dim - card.motion_dim} posture",
        f"  window       {length_s:.2f} s ({card.length} samples at {card.rate_hz:g} Hz), every {card.hop} samples",
        f"  fingerprint  {card.fingerprint.hex()}",
        f"  file         {card.path} ({size:,} B, sha256 {card.sha256[:16]}... as the card says)",
        f"  compiled     {compiled}",
        f"  licence      {card.text['licence']}",
        *(["  CHANGED      after the model was made: its signatures, or their windows, may be others"] * card.altered),
    ]


def _version(card: ModelCard) -> str:
    place = _place(card)
    parts = [str(card.version), place.get("where", "neither shipped nor installed")]
    if "signed_by" in place:
        parts.append(f"signed by {place['signed_by']}" if place["signed_by"] else "UNSIGNED")
    return ", ".join([*parts, *(["in use"] if place.get("in_use") else [])])


def _rest(text: dict[str, Any]) -> list[str]:
    """Return what training and measurement left in the card, one indented line per value."""
    lines = []
    for key, value in (("limits", text["limits"]), ("quality", _own(text["quality"])), ("training", text["training"])):
        lines += [f"{key}:", *_indented(value, "  ")]
    return [*lines, "the figures of its peers, and those with each set left out: --json, or README.md in its folder"]


def _own(quality: Any) -> Any:
    """Return the model's own figures: of a table that holds its peers too, its rows alone."""
    if not isinstance(quality, dict):
        return quality
    own = {key: value for key, value in quality.items() if key != "left_out"}
    for key, value in own.items():
        if isinstance(value, dict) and "signature" in value:
            own[key] = {name: row for name, row in value.items() if name.startswith("signature")}
    return own


def _indented(value: Any, margin: str) -> list[str]:
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = (("-", item) for item in value)  # type: ignore[assignment]
    else:
        return [f"{margin}{value}"]
    lines = []
    for key, item in pairs:
        if isinstance(item, list) and item and all(isinstance(part, float) for part in item):
            item = "  ".join(map(str, item))  # a figure and its interval
        nested = isinstance(item, dict | list)
        lines += [f"{margin}{key}", *_indented(item, margin + "  ")] if nested else [f"{margin}{key} {item}"]
    return lines
