"""Clocks that begin anew: midnight, a counter that is full."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S

_LEAST_NS = 2 * NS_PER_S  # that may be missing where it begins anew
_PERIODS = 20


class Unwrapper:
    """Pure state machine: times that begin anew at one of `moduli` (ns) in, times that go on out.

    A step back counts as that only where hardly any time would have passed else; others are left as they are.
    """

    def __init__(self, moduli: tuple[int, ...]) -> None:
        self._moduli = moduli
        self._last: int | None = None
        self._added = 0
        self._usual = 0

    def push(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return further times (n,), unwrapped."""
        if not self._moduli or not len(times):
            return times
        steps = np.diff(times, prepend=times[0] if self._last is None else self._last)
        if not self._usual:
            self._usual = int(np.median(steps[steps > 0])) if (steps > 0).any() else 0
        self._last = int(times[-1])
        if not (steps < 0).any():
            return times + self._added if self._added else times
        added = np.zeros(len(times), np.int64)
        for modulus in self._moduli:
            after = steps + modulus
            most = modulus // 2 if modulus >= 3600 * NS_PER_S and modulus % NS_PER_S == 0 else modulus // 4
            most = most if modulus == 86_400 * NS_PER_S else min(most, max(_LEAST_NS, _PERIODS * self._usual))
            added[(steps < 0) & (after > 0) & (after <= most) & (added == 0)] = modulus
        total = np.cumsum(added) + self._added
        self._added = int(total[-1])
        return times + total
