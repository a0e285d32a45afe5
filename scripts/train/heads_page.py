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

WINDOWS_OF = {
    ("right", "on"): "its windows: begin",
    ("right", "off"): "go on",
    ("other", "on"): "others: begin",
    ("other", "off"): "go on",
}


def page(folder: Path) -> str:
    """Return the page about the heads in `folder`, from their head.json alone."""
    texts = (json.loads(card.read_text("utf-8")) for card in sorted(folder.glob(f"*/{CARD_NAME}")))
    heads = {text["name"]: text for text in texts}
    lines = []
    for name, text in heads.items():
        found = text["measured"]
        lines.append(
            [
                f"`{name}`",
                number(found["recall"]),
                "{:.2f} [{:.2f}, {:.2f}]".format(*found["false_alarms_an_hour"]),
                f"{found['hours']:.1f}",
                f"{text['least_s']:g} s",
                f"{text['hold_s']:g} s",
                _taken(found),
            ]
        )
    head = ["head", "recall", "false alarms an hour", "in hours", "told after", "ended after", "most false alarms in"]
    parts = [INTRODUCTION, table(head, lines)]
    for name, text in heads.items():
        found = text["measured"]
        parts += [f"## {name}", found["says"], _judged_table(found)]
        if found["windows_never_seen"]:
            parts += [WINDOWS, _windows_table(found["windows_never_seen"])]
    return "\n\n".join(parts) + "\n"


def _judged_table(found: dict[str, Any]) -> str:
    lines = []
    for how, kind in (("left out", "sets_left_out"), ("people left out", "people_left_out"), ("", "never_seen")):
        slow = found["sets_left_out_every_1.28_s"] if kind == "sets_left_out" else {}
        others = []
        for name, row in found[kind].items():
            if "recall" not in row:
                others.append(row)
                continue
            cells = [f"{name}, {how}" if how else f"**{name}**", str(row["people"]), f"{row['labelled_hours']:.1f}"]
            lines.append([*cells, *_figures(row), *_figures(slow.get(name, {}))[::2], _taken(row)])
        hours = sum(row["hours"] for row in others)
        if hours:
            alarms = sum(row["false_alarms"] for row in others) / hours
            counted = [str(sum(row["people"] for row in others)), "", "", f"{hours:.1f}", f"{alarms:.2f}"]
            lines.append([f"{len(others)} sets without it, {how}", *counted, "", ""])
    head = ["on", "people", "hours of it", "recall", "hours of other life", "false alarms an hour"]
    return table([*head, "recall, every 1.28 s", "most false alarms in"], lines)


def _figures(row: dict[str, Any]) -> list[str]:
    recall, alarms = row.get("recall"), row.get("false_alarms_an_hour")
    return [
        score(recall) if recall else "",
        f"{row['hours']:.1f}" if alarms else "",
        "{:.2f} [{:.2f}, {:.2f}]".format(*alarms) if alarms else "",
    ]


def _windows_table(found: dict[str, Any]) -> str:
    lines = [
        [name, str(row["people"]), *(number(row[side][level]) if side in row else "" for side, level in WINDOWS_OF)]
        for name, row in found.items()
    ]
    return table(["on", "people", *WINDOWS_OF.values()], lines)


def _taken(row: dict[str, Any]) -> str:
    return ", ".join(f"{label} {times}" for label, times in row.get("taken_for_it", {}).items())
