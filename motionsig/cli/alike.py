"""What a replay says about its log in words: how many kinds of movement there are, or how well they fit the labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, concatenate
from motionsig.conventions import NS_PER_S
from motionsig.neighbours import alike, nearest

_KEPT = 4096  # windows of a long log at least; twice as many at most
_RUN = 4  # windows in a row that are kept together
_ASKED = 1024  # windows with a label whose nearest neighbour is sought at most: time grows with the square
_FEW = 8  # fewer windows than that say nothing


@dataclass(frozen=True)
class Answer:
    """What was found in one log; the key `alike` of the summary.

    windows: all of them; of a long log some are compared. kinds: groups of windows that are alike, the letter of the
    longest and its seconds. labels: how many different ones all windows have; asked, same_label: windows with a label,
    and those of them whose nearest neighbour that does not overlap, among such windows, has the same. These three are
    None where no two windows have different labels.
    """

    windows: int
    kinds: int
    longest: str | None
    longest_s: float
    labels: int | None = None
    asked: int | None = None
    same_label: int | None = None

    def __str__(self) -> str:
        """Return the answer in words."""
        if self.labels is not None:
            asked = f"{self.asked:,} windows{'' if self.asked == self.windows else ' that were asked'}"
            return f"{self.labels} labels; the nearest neighbour has the same label for {self.same_label:,} of {asked}"
        if self.longest is None:
            return "no kind of movement lasted long enough"
        if self.kinds == 1:
            return f"1 kind of movement, {self.longest_s:,.0f} s"
        return f"{self.kinds} kinds of movement; {self.longest} is the longest, {self.longest_s:,.0f} s"


def letter(group: int) -> str:
    """Return what a group is called in words and pictures."""
    return chr(ord("A") + group)


class Kept:
    """The signatures of one log, thinned out where it is long, and which of them are alike.

    Every second window is dropped while the first and the last of _RUN windows in a row overlap, later every second run
    of so many windows. So there are always windows in a row, which tell how much a movement varies.
    """

    def __init__(self) -> None:
        self._batches = list[SignatureBatch]()
        self._count = self._passed = 0
        self._step = 1  # of so many windows one belongs to a run
        self._every = 1  # of so many runs one is kept
        self._names = set[str]()

    def add(self, signatures: SignatureBatch) -> None:
        """Take signatures as the encoder makes them."""
        numbers = np.arange(self._passed, self._passed + len(signatures))
        self._passed += len(signatures)
        if signatures.labels is not None:
            self._names.update(filter(None, signatures.labels.tolist()))
        # A mask makes a copy. A view would keep the whole batch in memory.
        chosen = signatures[(numbers % self._step == 0) & (numbers // (_RUN * self._step) % self._every == 0)]
        if not len(chosen):
            return
        self._batches.append(replace(chosen, hop_ns=self._step * signatures.hop_ns))
        self._count += len(chosen)
        while self._count > 2 * _KEPT:
            self._thin(concatenate(self._batches))

    def _thin(self, kept: SignatureBatch) -> None:
        numbers = np.arange(len(kept))
        if (_RUN - 1) * kept.hop_ns < kept.spec.length_ns:
            self._step *= 2
            kept = replace(kept[numbers % 2 == 0], hop_ns=2 * kept.hop_ns)
        else:
            self._every *= 2
            kept = kept[numbers // _RUN % 2 == 0]
        self._batches, self._count = [kept], len(kept)

    @cached_property
    def signatures(self) -> SignatureBatch | None:
        """Those that were kept; None where none was made. To be asked for once all are there."""
        return concatenate(self._batches) if self._count else None

    @cached_property
    def drawn(self) -> SignatureBatch | None:
        """Those that were kept, spread over the time that they stand for, so that there are no holes between runs."""
        if self.signatures is None:
            return None
        hop_ns, in_run = self.signatures.hop_ns, np.arange(len(self.signatures), dtype=np.int64) % _RUN
        start_ns = self.signatures.start_ns + in_run * (self._every - 1) * hop_ns
        return replace(self.signatures, start_ns=start_ns, hop_ns=self._every * hop_ns)

    @cached_property
    def groups(self) -> NDArray[np.intp]:
        """The group of each one kept (k,), -1 where it has none."""
        return np.empty(0, np.intp) if self.signatures is None else alike(self.signatures)

    def answer(self) -> Answer | None:
        """Return what was found; None for a log of few windows."""
        signatures = self.signatures
        if signatures is None or len(signatures) < _FEW:
            return None
        counts = np.bincount(self.groups[self.groups >= 0])
        longest_s = float(counts.max(initial=0)) * self._every * signatures.hop_ns / NS_PER_S
        longest = letter(int(counts.argmax())) if len(counts) else None
        found = Answer(self._passed, len(counts), longest, round(longest_s, 2))
        labelled = np.empty(0, np.intp) if signatures.labels is None else np.flatnonzero(signatures.labels != "")
        if len(self._names) < 2 or not len(labelled):
            return found
        asked = signatures[labelled[:: -(-len(labelled) // _ASKED)]]
        rows, _ = nearest(asked)
        assert asked.labels is not None
        same = (asked.labels == asked.labels[rows]) & (rows >= 0)
        return replace(found, labels=len(self._names), asked=len(asked), same_label=int(same.sum()))
