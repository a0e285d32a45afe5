"""Measure a model through the public API beside what people would take instead, and write the figures into its card.

Everything in the tables is measured in one run, part by part; the card and the README are written after each part, so
what was measured is kept if a later part stops. The model folder gets its card's `quality`, its README and the map of
signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from motionsig import open_encoder
from motionsig.encoders import Encoder
from motionsig.model_card import BACKGROUND_NAME, CARD_NAME
from scripts.evaluate import few_shot, hapt, heads, kernels, left_out, measures, noise
from scripts.evaluate.contestants import SIGNATURE, shipped
from scripts.evaluate.extent import BESIDE_RIVALS, FULL, PARTS, Extent
from scripts.evaluate.hapt import Hapt
from scripts.evaluate.rivals import Rivals
from scripts.train import describe
from scripts.train.clock import Say


def evaluate(
    folder: Path,
    model: Path,
    rivals: Rivals | None,
    say: Say,
    *,
    gestures: Path | None = None,
    parts: Sequence[str] = tuple(PARTS),
    seeds: int = 1,
    extent: Extent = FULL,
) -> None:
    """Measure the model in folder `model` on the sets in `folder`; write its card's quality, its README, its map.

    rivals: None only where no part is one of BESIDE_RIVALS. gestures: a folder of motions that were not trained on, for
    the heads. parts: of PARTS; of the others, what the card has stays. seeds: how many networks are trained without
    each group.
    With another extent than FULL, nothing is written, and the page of figures is printed.
    """
    left_out.check_groups()
    encoder = open_encoder(model, device="cpu")
    card = encoder.card.text
    quality: dict[str, Any] = {
        "how": "by scripts/evaluate; three numbers are a figure and its 95 % interval over people; hapt was not "
        "trained on, but what is trained was chosen with a look at it; README.md says more",
        "draws": measures.DRAWS,
        "folds": measures.FOLDS,
    }
    kept = card["quality"] if extent is FULL else {}
    for got in _parts(folder, model, encoder, rivals, say, gestures, parts, seeds, extent):
        quality = kept | quality | got
        if extent is FULL:
            card["quality"] = quality
            describe.write(model, card)
    if extent is FULL:
        say(f"written: the quality in {model / CARD_NAME}, and {model / 'README.md'}")
    else:
        say("not written anywhere, because little was measured; so this is no figure of the model:")
        print(describe.measured(quality), flush=True)


def _parts(
    folder: Path,
    model: Path,
    encoder: Encoder,
    rivals: Rivals | None,
    say: Say,
    gestures: Path | None,
    parts: Sequence[str],
    seeds: int,
    extent: Extent,
) -> Iterator[dict[str, Any]]:
    motion = encoder.card.motion_dim
    if rivals is None and BESIDE_RIVALS & set(parts):
        raise ValueError(f"rivals: expected them for {', '.join(sorted(BESIDE_RIVALS & set(parts)))}, got None")
    if "hapt" in parts and rivals:
        on_hapt = hapt.read(folder, encoder, rivals, extent, say)
        yield hapt.measured(on_hapt, encoder, extent, say)
        if extent is FULL:
            _draw_map(model, on_hapt, encoder, say)
        yield noise.measured(folder, encoder, on_hapt, extent, say)
    if "few_shot" in parts:
        yield {"few_shot": few_shot.measured(folder, shipped(encoder), motion, extent, say)}
    if "heads" in parts:
        if BACKGROUND_NAME in encoder.card.text["files"]:
            yield {"heads": heads.measured(folder, gestures, encoder, extent, say)}
        else:
            say("heads: not measured, as a model without a background teaches none: python -m scripts.train.background")
    if "left_out" in parts and rivals:
        teach = rivals.teacher(folder, say)
        yield left_out.measured(folder, teach, rivals.peers, motion, seeds, extent, say)

    if "kernels" in parts:
        yield {"kernels": kernels.measured(folder, encoder, extent, say)}


def _draw_map(model: Path, on_hapt: Hapt, encoder: Encoder, say: Say) -> None:
    from scripts.evaluate import picture  # seconds to import

    vectors, turned = on_hapt.kept[SIGNATURE][on_hapt.test], on_hapt.kept_turned[SIGNATURE][:, : on_hapt.motion]
    activity = on_hapt.windows.activity[on_hapt.test]
    seconds = encoder.card.length / encoder.card.rate_hz
    picture.draw_map(model / picture.MAP, vectors, turned, activity, seconds=seconds)
    say(f"map of signatures: {model / picture.MAP}")
