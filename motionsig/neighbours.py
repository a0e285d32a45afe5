"""Which windows of one stream are alike: each one's nearest neighbour, and groups of windows of the same kind.

Alike means the cosine of the motion codes, so how the device was turned does not count.

Windows that overlap share samples and are alike for that alone, so `nearest` never compares them. `alike` does, because
windows of one movement belong into one group whether they overlap or not. It takes the mean of each window and those
right before and after it, where they overlap.

Groups are made by average linkage: two groups are joined while the mean cosine over all pairs of their windows is large
enough. How large, the stream says itself, if windows come less than two lengths apart: a window and the next one that
does not overlap it are nearly always the same movement, so their cosines show how much one movement varies. Otherwise
the threshold is the least one, _LEAST. tests/test_neighbours.py holds what the bounds of the threshold are for: one
movement is one group however much it varies, random codes make no group, two movements that are .5 alike are two groups
however much they vary, and two that are .875 alike are one group however little they vary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch

_CHUNK = 256  # rows that are compared with all others at once
_LINKED = 512  # windows that groups are made of; each of the others joins the nearest group
_SPREAD = 2.5  # how much less alike than two windows in a row the windows of a group may be
_LEAST, _MOST = 0.65, 0.85
# A group lasts at least so many lengths of a window, so many windows, and this part of all windows.
_LENGTHS, _FEWEST, _SHARE = 2, 4, 0.01
MOST_GROUPS = 26
_TIE = 1e-6  # above what float32 makes of equal cosines


def nearest(signatures: SignatureBatch) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the row of each signature's nearest neighbour (k,), -1 where all others overlap it, and their cosine (k,).

    Time grows with k squared, memory with k.
    """
    order = np.argsort(signatures.start_ns, kind="stable")
    start_ns, unit = signatures.start_ns[order], _unit(_motion(signatures)[order])
    rows, cosines = np.empty(len(order), np.intp), np.empty(len(order), np.float32)
    first = np.searchsorted(start_ns, start_ns - signatures.spec.length_ns, side="right")
    last = np.searchsorted(start_ns, start_ns + signatures.spec.length_ns, side="left")
    for begin in range(0, len(order), _CHUNK):
        cosine = unit[begin : begin + _CHUNK] @ unit.T
        for row, line in enumerate(cosine, begin):
            line[first[row] : last[row]] = -np.inf
        best = cosine.argmax(axis=1)
        cosines[order[begin : begin + _CHUNK]] = largest = cosine[np.arange(len(best)), best]
        rows[order[begin : begin + _CHUNK]] = np.where(np.isfinite(largest), order[best], -1)
    return rows, cosines


def alike(signatures: SignatureBatch) -> NDArray[np.intp]:
    """Return the number of each signature's group (k,), in order of first appearance; -1 where it has none.

    There are MOST_GROUPS at most, the longest. Time and memory grow with k.
    """
    order = np.argsort(signatures.start_ns, kind="stable")
    start_ns, motion = signatures.start_ns[order], _motion(signatures)[order]
    if not len(order):
        return np.empty(0, np.intp)
    least = _least(start_ns, _unit(motion), signatures.spec.length_ns)
    near = np.abs(np.diff(start_ns) - signatures.hop_ns) < signatures.hop_ns / 2
    # The means of windows that share no samples would be alike although the windows are not.
    unit = _unit(_smoothed(motion, near & (signatures.hop_ns < signatures.spec.length_ns)))
    sample = unit[:: -(-len(unit) // _LINKED)]
    linked = _linked(sample, least)
    means = np.stack([sample[linked == group].mean(axis=0) for group in np.unique(linked)])
    joined = np.empty(len(unit), np.intp)
    for begin in range(0, len(unit), _CHUNK):
        cosine = unit[begin : begin + _CHUNK] @ means.T
        best = cosine.argmax(axis=1)
        joined[begin : begin + _CHUNK] = np.where(cosine[np.arange(len(best)), best] >= least, best, -1)
    counts = np.bincount(joined[joined >= 0], minlength=len(means))
    enough = max(_LENGTHS * signatures.spec.length_ns / signatures.hop_ns, _FEWEST, _SHARE * len(order))
    kept = [group for group in np.argsort(-counts, kind="stable")[:MOST_GROUPS] if counts[group] >= enough]
    groups = np.full(len(order), -1)
    for number, group in enumerate(sorted(kept, key=lambda group: int((joined == group).argmax()))):
        groups[order[joined == group]] = number
    return groups


def _motion(signatures: SignatureBatch) -> NDArray[np.float32]:
    return signatures.values[:, : signatures.spec.motion_dim]


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit


def _least(start_ns: NDArray[np.int64], unit: NDArray[np.float32], length_ns: int) -> float:
    """Return the mean cosine from which on two groups are of one kind."""
    following = np.searchsorted(start_ns, start_ns + length_ns)
    rows = np.flatnonzero(following < len(start_ns))
    rows = rows[start_ns[following[rows]] < start_ns[rows] + 2 * length_ns]
    if not len(rows):
        return _LEAST
    typical = np.median(np.einsum("ij,ij->i", unit[rows], unit[following[rows]]))
    return float(np.clip(1 - _SPREAD * (1 - typical), _LEAST, _MOST))


def _smoothed(motion: NDArray[np.float32], in_a_row: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean of each window, the one right before it and the one right after it.

    The window itself counts in place of one that is not there, so it is always the larger part: the mean of only two
    windows on the border between two movements would be like neither.
    """
    before, after = motion.copy(), motion.copy()
    before[1:][in_a_row] = motion[:-1][in_a_row]
    after[:-1][in_a_row] = motion[1:][in_a_row]
    mean: NDArray[np.float32] = np.divide(before + motion + after, 3, dtype=np.float32)
    return mean


def _linked(unit: NDArray[np.float32], least: float) -> NDArray[np.intp]:
    """Return a group for each vector, by average linkage down to the mean cosine `least`.

    A chain goes from a group to the one nearest to it until two are each other's nearest (Murtagh 1983). The mean
    cosine over all pairs of two groups is the product of their mean vectors, so no matrix of pairs is needed.
    """
    groups, means, sizes = np.arange(len(unit)), unit.copy(), np.ones(len(unit))
    out = np.zeros(len(unit), np.float32)  # -inf for a group that is finished
    chain = list[int]()
    while np.isfinite(out).any():
        if not chain:
            chain.append(int(out.argmax()))
        here = chain[-1]
        cosine = means @ means[here] + out
        cosine[here] = -np.inf
        there = int(cosine.argmax())
        if len(chain) < 2 or cosine[chain[-2]] < cosine[there] - _TIE:
            if cosine[there] >= least:
                chain.append(there)
                continue
            # Nothing that will come of the others can be nearer to it than they are.
            out[chain.pop()] = -np.inf
            continue
        there = chain[-2]
        del chain[-2:]
        total = sizes[here] + sizes[there]
        means[there] = (sizes[here] * means[here] + sizes[there] * means[there]) / total
        sizes[there] = total
        groups[groups == here] = there
        out[here] = -np.inf
    return groups
