"""Walking time: what the head `walking` that came with motionsig tells of people whom nothing was learned from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from motionsig import Encoder, open_head
from motionsig.conventions import NS_PER_S
from motionsig.events import ENDED
from scripts.evaluate.recipes.signed import Watching, signed
from scripts.train import data
from scripts.train.clock import Say

STAIRS = ("upstairs", "downstairs")


def measured(folder: Path, encoder: Encoder, say: Say) -> dict[str, Any]:
    """Return minutes walked by the labels of hapt and by the events of its people, whole recordings at a time."""
    watching = Watching([open_head("walking")])
    minutes: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])  # by what was done: labelled, told
    ratios: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for stream in data.streams(folder, "hapt", joined=True):
        batch = signed(stream.samples, stream.rate_hz, encoder)
        inside = np.zeros(len(stream.samples), bool)
        for event in watching.told(batch) if batch else ():
            if event.phase == ENDED:
                first, last = (round(ns * stream.rate_hz / NS_PER_S) for ns in (event.start_ns, event.end_ns))
                inside[first:last] = True
        for at, activity in enumerate(stream.activity.tolist()):
            part = inside[slice(*stream.offsets[at : at + 2].tolist())]
            key = {"walking": "walking", data.UNLABELLED: "unlabelled"}.get(activity, "other")
            key = "stairs" if activity in STAIRS else key
            minutes[key][0] += len(part) / stream.rate_hz / 60
            minutes[key][1] += float(part.sum()) / stream.rate_hz / 60
            if key in ("walking", "stairs", "other"):
                ratios[str(stream.person[0])][0] += (len(part) if key != "other" else 0) / stream.rate_hz
                ratios[str(stream.person[0])][1] += float(part.sum()) / stream.rate_hz
    share = np.sort([told_s / labelled_s for labelled_s, told_s in ratios.values() if labelled_s])
    found = {
        "people": len(share),
        "minutes": {key: [round(value, 1) for value in pair] for key, pair in sorted(minutes.items())},
        "told_of_walked": [round(float(np.quantile(share, at)), 2) for at in (0.0, 0.5, 1.0)],
    }
    say(f"walking: {found}")
    return found
