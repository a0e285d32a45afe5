"""What is known of heads: how they judge, whose signatures, where they are, and how often they are wrong."""

from __future__ import annotations

import json
import sys
from typing import Any

from motionsig.encoders.models import model_folders, model_names
from motionsig.encoders.tflite import printable
from motionsig.errors import HeadError, ModelError
from motionsig.heads import HeadCard, all_heads, find_head, heads_folder, owned_heads, shipped_heads
from motionsig.heads.card import CARD_NAME, SIGNATURE_NAME, files_of
from motionsig.heads.places import folder_of
from motionsig.model_card import load_card

_COLUMNS = ("name", "kind", "gives", "encoder", "where", "false alarms an hour", "found")


def show_all(*, as_json: bool) -> int:
    """Print each head; return 1 if one of them is damaged."""
    heads, encoders = all_heads(), _encoders()
    cards = [head for head in heads.values() if isinstance(head, HeadCard)]
    if as_json:
        print(json.dumps([_about(card, card.name, encoders) for card in cards], indent=2))
    elif cards:
        rows = [_COLUMNS, *(_row(_about(card, card.name, encoders)) for card in cards)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    elif not heads:
        print(f"no heads; those that you teach or import go to {printable(str(heads_folder()))}")
    for found in heads.values():
        if isinstance(found, HeadError):
            print("motionsig:", printable(" ".join(str(found).split())), file=sys.stderr)
    return int(len(cards) < len(heads))


def show(head: str, *, as_json: bool) -> int:
    """Print all that is known of one head but its numbers."""
    about = _about(find_head(head), head, _encoders())
    if as_json:
        print(json.dumps(about, indent=2))
        return 0
    for key, value in about.items():
        print(f"{key:<16}{_plain(value)}")
    return 0


def _encoders() -> dict[str, str]:
    """Return the models that there are by their fingerprints; `motionsig models` says what is wrong with others."""
    found: dict[str, str] = {}
    for name in model_names():
        try:
            for folder in model_folders(name):
                found.setdefault(load_card(folder).fingerprint.hex(), name)
        except ModelError:
            continue
    return found


def _about(card: HeadCard, head: str, encoders: dict[str, str]) -> dict[str, Any]:
    folder = folder_of(head)
    places = {owned_heads().get(card.name): "yours", shipped_heads().get(card.name): "shipped"}
    taught = card.taught
    return {
        **json.loads(files_of(card)[CARD_NAME]),
        "fingerprint": card.fingerprint.hex(),
        "model": encoders.get(card.encoder.hex()),
        "where": places.get(folder, "neither yours nor shipped"),
        "folder": str(folder),
        "signature": SIGNATURE_NAME if (folder / SIGNATURE_NAME).exists() else None,
        "rows": len(card.weights.rows),
        "examples": len(taught.examples),
        "performances": len(set(taught.performance.tolist())),
        "against": len(taught.against),
    }


def _row(about: dict[str, Any]) -> tuple[str, ...]:
    measured = about["measured"]
    model = about["model"] or f"unknown ({about['encoder']})"
    return (
        about["name"], about["kind"], about["gives"], printable(model), about["where"],
        _interval(measured.get("false_alarms_an_hour")), _finds(measured),
    )  # fmt: skip


def _interval(value: Any) -> str:
    """Return a figure, or [figure, lowest, highest], which may be anything: a card's `measured` is not checked."""
    match value:
        case int() | float():
            return f"{value:.3g}"
        case [int() | float() as figure, int() | float() as low, int() | float() as high]:
            return f"{figure:.3g} ({low:.3g} to {high:.3g})"
    return "not measured"


def _finds(measured: dict[str, Any]) -> str:
    """Return how much of what it looks for it finds: of the performances given, or of the time in which it goes on."""
    match measured.get("found"), measured.get("given"), measured.get("recall"):
        case int() as found, int() as given, _:
            return f"{found:,} of {given:,}"
        case _, _, float() as recall:
            return f"{recall:.1%} of the time"
    return "not measured"


def _plain(value: Any) -> str:
    """Return any value of a card in one line, as a terminal can show it."""
    text = value if isinstance(value, str) else "none" if value is None else json.dumps(value, ensure_ascii=False)
    return printable(text)
