"""Codes to bytes and back: each code's difference from its predicted mean, by a range coder (rANS).

The coder is asymmetric numeral systems (Duda 2013, arXiv:1311.2540) with a state of 32 bits and words of 16 bits. The
decoder reads forwards, so the encoder writes backwards. It begins with the state 65536 plus 16 bits of a CRC of the
codes. A decoder that ends in another state, or with other codes, has read damaged bytes.

`unpack_all` decodes many messages in step, code by code: numpy then works on all of them at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import InputError, MotionsigError, WireError
from motionsig.packing import predicting
from motionsig.packing.predicting import Rows
from motionsig.packing.tables import KINDS, PHASES, PROBABILITY_BITS, RAW_BITS, Tables

MAX_ROWS = 256
"""Signatures of one message: decoding one after the other takes a tenth of a second on a small computer."""
_MOST_AT_ONCE = 8192
"""Signatures, with those that shorter messages lack: 4 MiB."""
_LOWEST = 1 << 16
_WORD_BITS, _STATE_BITS = 16, 32
_APART_BITS = 8
_MIDDLE = 32
"""Symbol i stands for i - 32; 0 for all that no symbol stands for."""
_IN_STEP = 24
"""From so many messages on it is faster to decode them in step."""
_RAW = RAW_BITS.tolist()


def pack(tables: Tables, codes: NDArray[np.int8]) -> bytes:
    """Return the bytes of codes (k, n), the same on every machine. Raises InputError for more than MAX_ROWS rows."""
    if not 1 <= len(codes) <= MAX_ROWS or codes.shape[1] != len(tables.order):
        wanted = f"1 to {MAX_ROWS} signatures of {len(tables.order)} codes"
        raise InputError(f"packing: expected {wanted}, got shape {codes.shape}")
    rows = codes[:, tables.order].astype(np.int64)
    mean, scale = _predicted(tables, rows)
    residual = _wrapped(rows - (mean >> 3))
    raw = RAW_BITS[scale]
    high = residual >> raw
    number = predicting.table_numbers(scale, mean)
    symbol = np.where(np.abs(high) < _MIDDLE, high + _MIDDLE, 0)
    symbol[tables.frequency[number, symbol] == 0] = 0
    columns = (
        tables.frequency[number, symbol], tables.cumulative[number, symbol], raw,
        residual & ((1 << raw) - 1), np.where(symbol == 0, high + 128, -1),
    )  # fmt: skip
    return _written(_last_state(codes), list(zip(*(column.ravel().tolist() for column in columns), strict=True)))


def _last_state(codes: NDArray[np.int8]) -> int:
    """Return where the encoder of codes (k, n) begins and their decoder ends."""
    return _LOWEST + (zlib.crc32(codes.tobytes()) & 0xFFFF)


def _written(state: int, steps: list[tuple[int, int, int, int, int]]) -> bytes:
    """Return the bytes of (frequency, cumulative, raw bits, their value, what comes apart or -1), written backwards."""
    words = list[int]()
    for frequency, cumulative, raw, low, apart in reversed(steps):
        if apart >= 0:
            if state >= 1 << (_STATE_BITS - _APART_BITS):
                words.append(state & 0xFFFF)
                state >>= _WORD_BITS
            state = state << _APART_BITS | apart
        bits = PROBABILITY_BITS + raw
        if state >= frequency << (_STATE_BITS - bits):
            words.append(state & 0xFFFF)
            state >>= _WORD_BITS
        state = (state // frequency << bits) + (cumulative + state % frequency << raw) + low
    return state.to_bytes(4, "big") + np.array(words[::-1], ">u2").tobytes()


def unpack(tables: Tables, packed: bytes, count: int) -> NDArray[np.int8]:
    """Return the codes (count, n). Raises WireError for bytes that `pack` does not give for so many signatures."""
    found = unpack_all(tables, [packed], [count])[0]
    if isinstance(found, MotionsigError):
        raise found
    return found


def unpack_all(tables: Tables, packed: Sequence[bytes], counts: Sequence[int]) -> list[NDArray[np.int8] | WireError]:
    """Return for each message its codes (count, n), or why there are none."""
    result: list[NDArray[np.int8] | WireError] = [_refusal(it, count) for it, count in zip(packed, counts, strict=True)]
    order = [i for i in sorted(range(len(counts)), key=lambda i: -counts[i]) if not isinstance(result[i], WireError)]
    back = np.argsort(tables.order)
    while order:
        part, order = order[: _MOST_AT_ONCE // counts[order[0]]], order[_MOST_AT_ONCE // counts[order[0]] :]
        codes, states = _read_all(tables, [packed[i] for i in part], np.array([counts[i] for i in part]))
        for i, rows, state in zip(part, codes.astype(np.int8), states.tolist(), strict=True):
            made = rows[: counts[i], back]
            if state == _last_state(made):
                result[i] = made
            else:
                result[i] = WireError(f"message: expected {counts[i]} packed signatures, got damaged bytes")
    return result


def _refusal(packed: bytes, count: int) -> NDArray[np.int8] | WireError:
    """Return a WireError for what cannot be decoded, or an empty array."""
    if not 1 <= count <= MAX_ROWS:
        return WireError(f"message: expected 1 to {MAX_ROWS} packed signatures, got {count}")
    if len(packed) < 4 or len(packed) % 2:
        return WireError(f"message: expected packed codes of an even number of bytes from 4 up, got {len(packed)}")
    return np.empty((0, 0), np.int8)


def _wrapped(values: Rows) -> Rows:
    return ((values + 128) & 255) - 128


def _predicted(tables: Tables, rows: Rows) -> tuple[Rows, Rows]:
    """Return mean and scale (k, n) of all rows of a message that is known."""
    none = np.zeros((1, rows.shape[1]), np.int64)
    last = np.concatenate([none, rows[:-1]])
    last_but_one = np.concatenate([none, rows[:1], rows[:-2]])[: len(rows)]
    kinds = [slice(min(kind, len(rows)), min(kind + 1, len(rows))) for kind in range(KINDS - 1)]
    kinds.append(slice(kinds[-1].stop, len(rows)))
    mean, scale = np.empty_like(rows), np.empty_like(rows)
    for kind, at in enumerate(kinds):
        weights = tables.weights[kind]
        before = predicting.means_before(weights, last[at], last_but_one[at])
        for group in tables.groups:
            mean[at, group] = predicting.means(tables, weights, before, rows[at], last[at], group)
    size = predicting.logarithm(PHASES * rows - mean)
    residuals = np.concatenate([none, size[:-1]])
    steps = predicting.logarithm(PHASES * (last - last_but_one))
    within = predicting.by_group(tables, size)
    for kind, at in enumerate(kinds):
        weights = tables.weights[kind]
        before = predicting.scales_before(tables, weights, residuals[at], steps[at])
        for number, group in enumerate(tables.groups):
            known = within[at, :number]
            scale[at, group] = predicting.scales(tables, weights, before, known, rows[at], number)
    return mean, scale


class _Lanes:
    """Where the decoder is in each of k messages: states (k,), and places in all their words, one after the other."""

    def __init__(self, tables: Tables, packed: Sequence[bytes]) -> None:
        self._tables = tables
        self.state = np.array([int.from_bytes(it[:4], "big") for it in packed], np.int64)
        # Behind each message one word more, which a damaged message reads again and again.
        self._words = np.frombuffer(b"".join(it[4:] + bytes(2) for it in packed), ">u2").astype(np.int64)
        self.end = np.cumsum([len(it) // 2 - 1 for it in packed]) - 1
        self.at = np.concatenate([[0], self.end[:-1] + 1])

    def residuals(self, number: Rows, scale: Rows) -> Rows:
        """Return (j, m) residuals of the first j messages, by the tables' numbers and the scales (j, m)."""
        read = self._in_step if len(number) >= _IN_STEP else self._each
        return read(number, scale)

    def _in_step(self, number: Rows, scale: Rows) -> Rows:
        tables, j = self._tables, len(number)
        symbols, frequencies, cumulatives = tables.symbol.ravel(), tables.frequency.ravel(), tables.cumulative.ravel()
        state, at, end = self.state[:j], self.at[:j], self.end[:j]
        raws = RAW_BITS[scale]
        found = np.empty_like(number)
        for column in range(number.shape[1]):
            raw, table = raws[:, column], number[:, column]
            slot = (state >> raw) & ((1 << PROBABILITY_BITS) - 1)
            low = state & ((1 << raw) - 1)
            symbol = symbols[(table << PROBABILITY_BITS) + slot].astype(np.int64)
            entry = (table << 6) + symbol
            state = frequencies[entry] * (state >> (raw + PROBABILITY_BITS)) + slot - cumulatives[entry]
            state, at = self._refilled(state, at, end)
            high = symbol - _MIDDLE
            apart = np.flatnonzero(symbol == 0)
            if len(apart):
                high[apart] = (state[apart] & 255) - 128
                state[apart] >>= _APART_BITS
                state[apart], at[apart] = self._refilled(state[apart], at[apart], end[apart])
            found[:, column] = (high << raw) + low
        self.state[:j], self.at[:j] = state, at
        return found

    def _refilled(self, state: Rows, at: Rows, end: Rows) -> tuple[Rows, Rows]:
        short = state < _LOWEST
        word = self._words[np.minimum(at, end)]
        return np.where(short, state << _WORD_BITS | word, state), at + short

    def _each(self, number: Rows, scale: Rows) -> Rows:
        symbols, frequencies, cumulatives = self._tables.plain
        words = self._words
        rows = []
        for lane, (numbers, scales) in enumerate(zip(number.tolist(), scale.tolist(), strict=True)):
            state, at, end = int(self.state[lane]), int(self.at[lane]), int(self.end[lane])
            row = []
            for table, size in zip(numbers, scales, strict=True):
                raw = _RAW[size]
                slot = (state >> raw) & 4095
                low = state & ((1 << raw) - 1)
                symbol = symbols[table][slot]
                state = (
                    frequencies[table][symbol] * (state >> (raw + PROBABILITY_BITS)) + slot - cumulatives[table][symbol]
                )
                if state < _LOWEST:
                    state, at = state << _WORD_BITS | int(words[min(at, end)]), at + 1
                high = symbol - _MIDDLE
                if not symbol:
                    high = (state & 255) - 128
                    state >>= _APART_BITS
                    if state < _LOWEST:
                        state, at = state << _WORD_BITS | int(words[min(at, end)]), at + 1
                row.append((high << raw) + low)
            self.state[lane], self.at[lane] = state, at
            rows.append(row)
        return np.array(rows, np.int64)


def _read_all(tables: Tables, packed: Sequence[bytes], counts: NDArray[np.intp]) -> tuple[Rows, NDArray[np.int64]]:
    """Return the codes (k, most rows, n) in the order of coding, and in which state each of the k messages ends.

    The state is 0 for a message that has bytes left, or too few.

    counts: falling, so that those which still have rows are always the first.
    """
    lanes, n = _Lanes(tables, packed), len(tables.order)
    found = np.zeros((len(packed), int(counts[0]), n), np.int64)
    none = np.zeros((len(packed), n), np.int64)
    sound = (lanes.state >= _LOWEST) & (lanes.state < 1 << _STATE_BITS)
    residuals = none
    for row in range(int(counts[0])):
        j = int(np.count_nonzero(counts > row))
        weights = tables.weights[min(row, KINDS - 1)]
        last = found[:j, row - 1] if row else none
        last_but_one = found[:j, max(row - 2, 0)] if row else none
        codes, sizes = found[:j, row], np.empty((j, n), np.int64)
        within = np.empty((j, len(tables.ends)), np.int64)
        before = predicting.means_before(weights, last, last_but_one)
        steps = predicting.logarithm(PHASES * (last - last_but_one))
        scale_before = predicting.scales_before(tables, weights, residuals[:j], steps)
        for number, group in enumerate(tables.groups):
            mean = predicting.means(tables, weights, before, codes, last, group)
            scale = predicting.scales(tables, weights, scale_before, within[:, :number], codes, number)
            residual = lanes.residuals(predicting.table_numbers(scale, mean), scale)
            codes[:, group] = _wrapped((mean >> 3) + residual)
            sizes[:, group] = predicting.logarithm(PHASES * codes[:, group] - mean)
            within[:, number] = sizes[:, group].sum(axis=1) // (group.stop - group.start)
        residuals = sizes
    return found, np.where(sound & (lanes.at == lanes.end), lanes.state, 0)
