"""Other life: signatures of many people and places, which tell how often a new head would fire by mistake.

A model's folder may hold such a bank, BACKGROUND_NAME; its README says of whom it is, and under which licence. The
owner's own stored days join it: they are one more person, and the one who matters most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motionsig.arrays import read_npz
from motionsig.blocks import SignatureBatch
from motionsig.conventions import NS_PER_S
from motionsig.errors import ModelError
from motionsig.model_card import BACKGROUND_NAME, ModelCard
from motionsig.quality import is_at_rest

OTHERS, OWNER = "other people and things", "your own days"
_MOST_UNPACKED = 64 << 20
_MOST_LABELS = 256
_MOST_OWN = 20_000  # signatures of the owner's days; more are thinned evenly


@dataclass(frozen=True, eq=False)
class Background:
    """Single signatures, and what each stands for.

    codes: (n, dim) int8. at_rest: (n,) bool, nothing moved. seconds: (n,) float64, the recorded time that each stands
    for. person: (n,) whose it is, a number. cell: (n,) a number for each person, place and activity. label: (n,) what
    was done, a number in `labels`.
    sources: how it is called, part by part, with the hours of each.
    """

    codes: NDArray[np.int8]
    at_rest: NDArray[np.bool_]
    seconds: NDArray[np.float64]
    person: NDArray[np.intp]
    cell: NDArray[np.intp]
    label: NDArray[np.intp]
    labels: tuple[str, ...]
    sources: tuple[tuple[str, float], ...]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def hours(self) -> float:
        """Hours that all of it stands for."""
        return float(self.seconds.sum()) / 3600

    @property
    def people(self) -> int:
        return len(np.unique(self.person))

    def __str__(self) -> str:
        """Return what it is in words."""
        parts = ", ".join(f"{hours:.1f} h of {name}" for name, hours in self.sources)
        return parts or "nothing"

    def without(self, chosen: NDArray[np.bool_]) -> Background:
        """Return what is left without the signatures that are chosen (n,)."""
        left = ~chosen
        return replace(
            self,
            codes=self.codes[left],
            at_rest=self.at_rest[left],
            seconds=self.seconds[left],
            person=self.person[left],
            cell=self.cell[left],
            label=self.label[left],
        )


def load_background(card: ModelCard) -> Background | None:
    """Return the bank of a model; None where its card names none.

    Raises ModelError for one that is damaged or was made with another encoder: its codes would not compare.
    """
    if BACKGROUND_NAME not in card.files:
        return None
    file = card.path / BACKGROUND_NAME
    content = card.file_bytes(BACKGROUND_NAME)
    try:
        arrays = read_npz(content, _MOST_UNPACKED)
        of_encoder = arrays["fingerprint"].tobytes()
        groups, group, label, seconds = (arrays[name] for name in ("groups", "group", "label", "seconds"))
        sizes = {name: arrays[name].shape for name in ("codes", "quality", "seconds", "group", "label")}
        if any(shape[:1] != seconds.shape for shape in sizes.values()):
            raise ValueError(f"arrays of different lengths: {sizes}")
        most = ((group, len(groups)), (label, len(arrays["labels"])), (seconds, np.inf))
        if not all(((each >= 0) & (each < limit)).all() for each, limit in most):
            raise ValueError("a group, a label or a time that there cannot be")
        whose = np.unique([" ".join(row) for row in groups[:, :2].tolist()], return_inverse=True)[1]
        background = Background(
            codes=arrays["codes"],
            at_rest=is_at_rest(arrays["quality"]),
            seconds=seconds.astype(np.float64),
            person=whose[group].astype(np.intp),
            cell=group.astype(np.intp) * _MOST_LABELS + label,
            label=label.astype(np.intp),
            labels=tuple(arrays["labels"].tolist()),
            sources=(),
        )
    except (ValueError, LookupError, TypeError) as error:
        raise ModelError(f"{file}: expected signatures of other life, got: {error}") from error
    if of_encoder != card.fingerprint:
        raise ModelError(
            f"{file}: expected signatures of encoder {card.fingerprint.hex()}, got those of {of_encoder.hex():.16}; "
            "make it again with scripts.train.background"
        )
    if background.codes.dtype != np.int8 or background.codes.shape != (len(background.seconds), card.dim):
        raise ModelError(f"{file}: expected {card.dim} int8 codes each, got {background.codes.shape}")
    return replace(background, sources=((OTHERS, background.hours),))


def with_own(background: Background | None, days: Sequence[SignatureBatch]) -> Background | None:
    """Return a background that the owner's own days have joined, as one more person."""
    days = [day for day in days if len(day)]
    if not days:
        return background
    total = sum(map(len, days))
    step = -(-total // _MOST_OWN)
    codes = np.concatenate([day.codes for day in days])[::step]
    quality = np.concatenate([day.quality for day in days])[::step]
    # Each stands for the time to the next one, as far as nothing was lost.
    hop_s = np.concatenate([np.full(len(day), day.hop_ns / NS_PER_S) for day in days])[::step] * step
    hours = float(hop_s.sum()) / 3600
    own = Background(
        codes,
        is_at_rest(quality),
        hop_s,
        np.zeros(len(codes), np.intp),
        # Of the owner's days nobody says what was done: each hour counts as a cell.
        np.concatenate([day.start_ns for day in days])[::step] // (3600 * NS_PER_S),
        np.zeros(len(codes), np.intp),
        (OWNER,),
        ((OWNER, hours),),
    )
    if background is None:
        return own
    return Background(
        np.concatenate([background.codes, own.codes]),
        np.concatenate([background.at_rest, own.at_rest]),
        np.concatenate([background.seconds, own.seconds]),
        np.concatenate([background.person, own.person + background.person.max() + 1]),
        np.concatenate([background.cell, -1 - np.abs(own.cell)]),
        np.concatenate([background.label, own.label + len(background.labels)]),
        (*background.labels, OWNER),
        (*background.sources, *own.sources),
    )
