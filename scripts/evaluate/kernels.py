"""What it changes that another set of TFLite's kernels computes a part of the signatures: neighbours and heads.

The library of signatures, and what heads are taught with, come from XNNPACK, as on most devices. What is looked up in
it, and what heads judge, comes from XNNPACK and from each other set in turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder
from motionsig.encoders.host import HostEncoder
from motionsig.heads.card import HeadCard
from motionsig.model_card import BUILT_IN, XNNPACK
from scripts.evaluate import heads
from scripts.evaluate.contestants import batch_of
from scripts.evaluate.extent import Extent
from scripts.evaluate.gestures import Performances, of_set, performances
from scripts.evaluate.hapt import BASIC, TEST_PEOPLE
from scripts.evaluate.kernel_set import OTHERS, KernelSet
from scripts.evaluate.measures import NEIGHBOURS, SEED, unit
from scripts.evaluate.movements import OWN
from scripts.train import data
from scripts.train.clock import Say

SHOTS = 3
LIFE_SHARE = 0.2
"""Of the people whose life is judged: false alarms are rare, and all of it would take an hour."""


def measured(folder: Path, encoder: Encoder, extent: Extent, say: Say) -> dict[str, Any]:
    """Return the card's entry. Raises SystemExit where XNNPACK does not compute here, or there is no background."""
    if encoder.kernels != XNNPACK:
        raise SystemExit(f"kernels: expected LiteRT with XNNPACK, got {encoder.device}")
    usual = {XNNPACK: encoder}
    encoders = usual | {name: HostEncoder(encoder.card, KernelSet(encoder.card, name)) for name in OTHERS}
    neighbours = _neighbours(folder, encoders, extent)
    say(f"kernels, neighbours: {neighbours}")
    fired = _fired(folder, encoders, extent)
    say(f"kernels, heads: {fired}")
    return {"library": XNNPACK, "neighbours": neighbours, "heads": fired}


def _neighbours(folder: Path, encoders: dict[str, Encoder], extent: Extent) -> dict[str, Any]:
    """Return, on hapt, how codes and nearest neighbours among other people's signatures differ."""
    windows = data.read(folder, "hapt", np.random.default_rng(SEED))
    windows = extent.thinned(windows.where(np.isin(windows.activity, BASIC)))
    test = np.isin(windows.person, TEST_PEOPLE)
    asked = {name: encoder.encode(batch_of(windows.windows[test], encoder)).codes for name, encoder in encoders.items()}
    library = encoders[XNNPACK].encode(batch_of(windows.windows[~test], encoders[XNNPACK])).codes
    known = unit(library.astype(np.float32))
    nearest = {name: _nearest(unit(codes.astype(np.float32)), known) for name, codes in asked.items()}
    usual, motion = asked[XNNPACK], encoders[XNNPACK].card.motion_dim
    labels, right = windows.activity[~test], windows.activity[test]
    table = {}
    for name in encoders:
        apart = np.abs(asked[name].astype(int) - usual)[:, :motion]
        cosines = (unit(asked[name].astype(np.float32)) * unit(usual.astype(np.float32))).sum(axis=1)
        same = [len(np.intersect1d(*pair)) for pair in zip(nearest[name], nearest[XNNPACK], strict=True)]
        table[name] = {
            "codes_that_differ": _rounded((apart > 0).mean()),
            "most_steps": int(apart.max()),
            "least_cosine": _rounded(cosines.min(), 5),
            "same_nearest": _rounded((nearest[name][:, 0] == nearest[XNNPACK][:, 0]).mean()),
            f"shared_of_{NEIGHBOURS}": _rounded(np.mean(same) / NEIGHBOURS),
            "activity_of_nearest_right": _rounded((labels[nearest[name][:, 0]] == right).mean()),
        }
    return {"windows": int(test.sum()), "library": int((~test).sum()), "by": table}


def _nearest(asked: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the NEIGHBOURS rows of known with the largest cosines, the nearest first."""
    found = []
    for first in range(0, len(asked), 1024):
        cosines = asked[first : first + 1024] @ known.T
        found.append(np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBOURS])
    return np.concatenate(found)


def _fired(folder: Path, encoders: dict[str, Encoder], extent: Extent) -> dict[str, Any]:
    """Return what heads taught with XNNPACK's codes find in those of each set, and their false alarms in other life."""
    bank, counts = heads.bank_of(encoders[XNNPACK]), {name: np.zeros(4, int) for name in encoders}
    cards = []
    for name in OWN:
        given = list(of_set(folder, name))
        shown = {kernels: performances(given, encoder) for kernels, encoder in encoders.items()}
        worn = np.unique(shown[XNNPACK].worn)
        for place in worn[: max(1, round(len(worn) * extent.share))]:
            taught, left = _taught(name, shown[XNNPACK], place, bank, encoders[XNNPACK])
            if not taught:
                continue
            cards += list(taught.values())
            told = {
                kernels: np.stack([heads.events_in([card], each, left)[0] for card in taught.values()])
                for kernels, each in shown.items()
            }
            own = np.stack([left & (shown[XNNPACK].motion == motion) for motion in taught])
            for kernels, fired in told.items():
                other = fired != told[XNNPACK]
                counts[kernels] += [own.sum(), (fired & own).sum(), left.sum() * len(taught), other[:, left].sum()]
    life = {
        name: heads.everyday_life(folder, encoders[name], LIFE_SHARE * extent.share) for name in (XNNPACK, BUILT_IN)
    }
    alarms = {name: int(heads.false_alarms(cards, lived).sum()) for name, lived in life.items()}
    return {
        "heads": len(cards),
        "life_hours": round(float(life[XNNPACK].hours.sum()), 1),
        "by": {
            name: {
                "performances": int(asked),
                "found": _rounded(found / asked),
                "judged": int(judged),
                "judged_otherwise": int(otherwise),
                **({"false_alarms": alarms[name]} if name in alarms else {}),
            }
            for name, (asked, found, judged, otherwise) in counts.items()
        },
    }


def _taught(
    name: str, shown: Performances, place: str, bank: heads.Bank, encoder: Encoder
) -> tuple[dict[str, HeadCard], NDArray[np.bool_]]:
    """Return heads of the motions at one place by motion, and which of the gestures there taught none."""
    rng, mine = np.random.default_rng(SEED), shown.worn == place
    life = bank.without([(name, np.unique(shown.person[mine]))])
    left, cards = mine & shown.asked, {}
    for number, motion in enumerate(np.unique(shown.motion[mine]).tolist()):
        candidates = np.flatnonzero(mine & shown.teaches & (shown.motion == motion))
        if len(candidates) < SHOTS or (mine & (shown.asked | shown.teaches) & (shown.motion == motion)).sum() <= SHOTS:
            continue
        drawn = rng.choice(candidates, SHOTS, replace=False)
        left[drawn] = False
        cards[motion] = heads.card_of(shown, number, drawn, life, encoder)
    return cards, left


def _rounded(value: np.floating[Any] | float, digits: int = 4) -> float:
    return round(float(value), digits)
