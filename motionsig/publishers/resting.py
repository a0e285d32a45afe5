"""Signatures at rest, which need not be sent one by one: those of a run get the codes of its first.

At rest the motion codes show a sensor's noise, which nobody needs, and the posture codes stay the same but for that
noise. Equal rows take next to nothing in a packed message. Each signature keeps its number, time and flags: so a hole
in the numbers still says that something was lost, and AT_REST says where codes are those of the run's first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.quality import is_at_rest

TURNED = 8
"""A posture code that has moved by more begins another run: with motion64, a device that was turned by about five
degrees. The noise of good chips moves them by 2, that of poor ones by 13, which begin runs more often."""


def split_by_rest(signatures: SignatureBatch) -> Iterator[SignatureBatch]:
    """Yield the signatures in order, in parts of which either all or none are at rest."""
    resting = is_at_rest(signatures.quality)
    firsts = [0, *(np.flatnonzero(resting[1:] != resting[:-1]) + 1).tolist(), len(signatures)]
    for first, end in itertools.pairwise(firsts):
        yield signatures[first:end]


@dataclass
class Rest:
    """What the run that goes on at present repeats; nothing between runs."""

    _first: NDArray[np.int8] | None = None
    _spec: SignatureSpec | None = None

    def repeat(self, signatures: SignatureBatch) -> SignatureBatch:
        """Return the batch with the codes of each run at rest that its first has; any cutting gives the same codes."""
        resting = is_at_rest(signatures.quality)
        codes = signatures.codes.copy()
        for row, rests in enumerate(resting.tolist()):
            if not rests:
                self._first = None
            elif (first := self._going_on(signatures, row)) is not None:
                codes[row] = first
            else:
                self._first, self._spec = signatures.codes[row], signatures.spec
        return replace(signatures, codes=codes)

    def end(self) -> None:
        """Begin another run with the next signature at rest, as it is of another stream."""
        self._first = None

    def _going_on(self, signatures: SignatureBatch, row: int) -> NDArray[np.int8] | None:
        first, here = self._first, signatures.codes[row]
        if first is None or self._spec != signatures.spec:
            return None
        posture = slice(signatures.spec.motion_dim, None)
        turned = np.abs(first[posture].astype(np.int16) - here[posture])
        return first if (turned <= TURNED).all() else None
