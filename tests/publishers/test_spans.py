"""Checksums of many rows at once say the same as those of each row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.publishers.spans import are_whole, row_checksums

STREAM = "wrist", 1 << 61


def rows_and_sums(count: int, dim: int, seed: int) -> tuple[np.ndarray, bytes, list[int]]:
    random = np.random.default_rng(seed)
    numbers = random.integers(-(1 << 62), 1 << 62, (count, 4))
    codes = random.bytes(count * dim)
    rows = [(*row, codes[at * dim : (at + 1) * dim]) for at, row in enumerate(numbers.tolist())]
    return numbers, codes, row_checksums(*STREAM, rows, {})


@given(st.integers(1, 600), st.integers(1, 80), st.integers(0, 99), st.data())
def test_many_at_once_are_whole_where_each_is(count: int, dim: int, seed: int, data: st.DataObject) -> None:
    numbers, codes, sums = rows_and_sums(count, dim, seed)
    assert are_whole(*STREAM, numbers, codes, sums)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, count * (32 + dim + 4) - 1))
        row, place = divmod(at, 32 + dim + 4)
        change = data.draw(st.integers(1, 255))
        if place < 32:
            numbers.view(np.uint8).reshape(count, 32)[row, place] ^= change
        elif place < 32 + dim:
            damaged = bytearray(codes)
            damaged[row * dim + place - 32] ^= change
            codes = bytes(damaged)
        else:
            sums[row] ^= change << 8 * (place - 32 - dim)
    rows = [(*row, codes[at * dim : (at + 1) * dim]) for at, row in enumerate(numbers.tolist())]
    assert are_whole(*STREAM, numbers, codes, sums) == (row_checksums(*STREAM, rows, {}) == sums)


@pytest.mark.parametrize("count", [2, 3, 256, 4095])
def test_what_changes_rows_alike_is_seen(count: int) -> None:
    numbers, codes, sums = rows_and_sums(count, 64, 5)
    first, second = codes[:64], codes[64:128]
    assert not are_whole(*STREAM, numbers, second + first + codes[128:], sums)
    assert not are_whole(*STREAM, numbers, codes, [sums[1], sums[0], *sums[2:]])
    assert not are_whole("ankle", STREAM[1], numbers, codes, sums)
    assert not are_whole(*STREAM, numbers ^ 1, codes, sums)
    assert not are_whole(*STREAM, numbers, bytes(len(codes)), sums)


@pytest.mark.parametrize("odd", [None, -1, 1 << 32, 3.0, "3", b"3"])
def test_a_sum_that_is_none_is_never_whole(odd: object) -> None:
    numbers, codes, sums = rows_and_sums(3, 64, 5)
    assert not are_whole(*STREAM, numbers, codes, [*sums[:2], odd])  # type: ignore[list-item]
