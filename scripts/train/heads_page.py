"""The page about a model's heads, from their head.json alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from motionsig.heads.card import CARD_NAME
from scripts.train.tables import number, score, table

INTRODUCTION = """\
<!-- Written by scripts/train/heads.py from the heads' head.json: change scripts/train/heads_page.py, not this file. -->
# Heads of motion64

Three states that come with the encoder: `motionsig.open_head("walking")`. Each is one direction among the motion codes,
so that it does not matter how a device is turned. Each learned from all labelled training sets, never from hapt.

*Recall* is the share of an activity's time that the state's events cover, from a signature every .16 s. A *false alarm*
is a state that begins while the label says something else. *Left out*: nothing of the head was learned or chosen with
that set, or with those people; the encoder, though, was trained on all sets but hapt. *Told after*: what has to go on
for so long is told as an event. In brackets are 95 % intervals over people. In the first table recall is the mean over
the sets left out with at least half an hour of the activity, and false alarms are those of all sets left out.
Where a label says that a sensor at rest moves, or walks, that counts for neither."""

WINDOWS = """\
Sets that nobody trained on, as windows in no order: which share scores high enough for the state to begin, and to go
on."""

OTHERS = "others"
"""What other sets or activities are called, all together."""


def page(folder: Path) -> str:
    """Return the page about the heads in `folder`, from their head.json alone."""
    texts = (json.loads(card.read_text("utf-8")) for card in sorted(folder.glob(f"*/{CARD_NAME}")))
    heads = {text["name"]: text for text in texts}
    lines = []
    for name, text in heads.items():
        found, slow = text["measured"], text["measured"]["every_1.28_s"]
        lines.append(
            [
                f"`{name}`",
                number(found["recall"]),
                _an_hour(found),
                f"{found['hours']:.1f}",
                f"{text['least_s']:g} s",
                f"{text['hold_s']:g} s",
                number(slow["recall"]),
                _an_hour(slow),
            ]
        )
    head = ["head", "recall", "false alarms an hour", "in hours", "told after", "ended after"]
    parts = [INTRODUCTION, table([*head, "every 1.28 s: recall", "false alarms an hour"], lines)]
    for name, text in heads.items():
        found = text["measured"]
        taken = ", ".join(f"{label} ({times})" for label, times in found["taken_for_it"].items())
        parts += [f"## {name}", f"{found['says']} Most false alarms on sets left out were in: {taken or 'none'}."]
        lines = [
            [f"{_called(one)}, {how}", *_figures(row)]
            for kind, how in KINDS.items()
            for one, row in found[kind].items()
        ]
        parts.append(table(["on", "people", "hours of it", "recall", "other hours", "false alarms an hour"], lines))
        if windows := found["windows_never_seen"]:
            lines = [
                [_called(one, "other activities"), str(people), str(count), number(on), number(off)]
                for one, (people, count, on, off) in windows.items()
            ]
            parts += [WINDOWS, table(["on", "people", "windows", "begins", "goes on"], lines)]
    return "\n\n".join(parts) + "\n"


KINDS = {"sets_left_out": "left out", "people_left_out": "people left out", "never_seen": "never seen"}


def _called(name: str, others: str = "all sets without it") -> str:
    return others if name == OTHERS else name


def _figures(row: dict[str, Any]) -> list[str]:
    return [
        str(row["people"]),
        f"{row['hours_of_it']:.2f}" if "hours_of_it" in row else "",
        score(row["recall"]) if "recall" in row else "",
        f"{row['hours']:.1f}" if "hours" in row else "",
        _an_hour(row) if "hours" in row else "",
    ]


def _an_hour(found: dict[str, Any]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*found["false_alarms_an_hour"])
