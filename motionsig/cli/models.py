"""`motionsig models`: what is shipped, and what is known of it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from motionsig.conventions import NS_PER_S
from motionsig.encoders import find_model, shipped_models
from motionsig.model_card import MODEL_NAME, ModelCard


def add_to(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser("models", help="the shipped models and their cards", description=__doc__)
    parser.add_argument("model", nargs="?", metavar="NAME", help="one model's whole card; a folder will do, too")
    parser.add_argument("--json", action="store_true", help="the card, or all cards, as JSON")
    parser.set_defaults(command=_models)


def _models(options: argparse.Namespace) -> int:
    cards = [find_model(options.model)] if options.model else [find_model(name) for name in shipped_models()]
    for card in cards:
        card.model_bytes()  # raises where the file is not the card's
    if options.json:
        texts = [card.text | {"fingerprint": card.fingerprint.hex()} for card in cards]
        print(json.dumps(texts[0] if options.model else texts, indent=2))
    elif options.model:
        print("\n".join((*_lines(cards[0]), "", *_rest(cards[0].text))))
    else:
        print("\n\n".join("\n".join(_lines(card)) for card in cards))
    return 0


def _lines(card: ModelCard) -> list[str]:
    size = (card.path / MODEL_NAME).stat().st_size
    length_s = card.spec.length_ns / NS_PER_S
    return [
        f"{card.name}  {card.text['summary']}",
        f"  signature    {card.dim} int8: {card.motion_dim} motion, {card.dim - card.motion_dim} posture",
        f"  window       {length_s:.2f} s ({card.length} samples at {card.rate_hz:g} Hz), every {card.hop} samples",
        f"  fingerprint  {card.fingerprint.hex()}",
        f"  file         {card.path} ({size:,} B, sha256 {card.sha256[:16]}... as the card says)",
        f"  licence      {card.text['licence']}",
    ]


def _rest(text: dict[str, Any]) -> list[str]:
    """Return what training and measurement left in the card, one indented line per value."""
    lines = []
    for key, value in (("limits", text["limits"]), ("quality", _own(text["quality"])), ("training", text["training"])):
        lines += [f"{key}:", *_indented(value, "  ")]
    return [*lines, "the figures of its peers, and each training set left out: --json, or README.md in its folder"]


def _own(quality: dict[str, Any]) -> dict[str, Any]:
    """Return the model's own figures: of a table that holds its peers too, its rows alone."""
    own = {}
    for key, value in quality.items():
        if isinstance(value, dict) and "signature" in value:
            own[key] = {name: row for name, row in value.items() if name.startswith("signature")}
        elif key != "left_out":
            own[key] = value
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
