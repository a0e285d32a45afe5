"""Write the tables that pack a model's codes into fewer bytes, and measure them on people whom they never saw.

    python -m scripts.train.packing --data FOLDER --model firmware_models/motion64

Three minutes on one core. It writes MODEL/packing.npz: for the codes as they are and for each number of bits
of BITS, weights that predict each code, and tables of what differs from that. The same data and model give the same
file. hapt is left out, because its licence forbids; seglearn_watch, because scripts/bench measures with it.

Means are least squares over rows that count the more, the less they can be off; scales are least squares of logarithms;
tables are what was found for each scale.
"""

from __future__ import annotations

import argparse
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder, Resampler, Windower, open_encoder
from motionsig.blocks import SignatureBatch, SignatureSpec, WindowBatch, concatenate, sample_block
from motionsig.conventions import NS_PER_S
from motionsig.fewer_bits import BITS, STEPS, coarser
from motionsig.files import replace_file
from motionsig.packing import FILE_NAME, Tables, pack, predicting, read_tables
from motionsig.packing.tables import (
    KINDS,
    MEAN_BITS,
    PHASED,
    PHASES,
    PROBABILITY_BITS,
    RAW_BITS,
    SCALE_BITS,
    SCALES,
    SYMBOLS,
    TABLES,
    Weights,
)  # fmt: skip
from scripts.train import data, describe
from scripts.train.clock import Clock
from scripts.train.sensors import MAX_GAP_S

SETS = tuple(name for name in data.TRAINING_SETS if name not in {"seglearn_watch", "android_digits"})
ASKED = ("hapt", "seglearn_watch")
"""Sets that the tables never see."""
MANY = (5, 15, 47)
"""Signatures of a message: those of 6 s, 20 s and a minute."""
ROWS = 12
"""Of the messages that the tables learn from: one row in twelve has none before it."""
POSTURE_FIRST = (2, 1, 5, 8, 16, 16, 16)
"""Groups of codes: two of gravity's direction, its third, products of them; other posture; motion."""
DIRECTION_STEPS, PRODUCT = 3, 1.94
"""What the front end multiplies gravity's direction and the products with."""
ROUNDS = 3
_SHAPE_BINS = 20
"""Of one scale's shape, a scale's width."""

Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Known:
    """Rows in the order of coding: their codes, the two before, and which kind each is; all (k, n), kind (k,)."""

    codes: Codes
    last: Codes
    last_but_one: Codes
    kind: NDArray[np.intp]


def main() -> None:
    """Train, write and measure."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.packing",
        usage=argparse.SUPPRESS,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument("--model", type=Path, required=True, help="model folder, which the tables are written into")
    options = parser.parse_args()
    data.check_folder(options.data)
    clock = Clock()
    with open_encoder(options.model, device="cpu") as encoder:
        spec = encoder.card.spec
        runs = [run for name in SETS for run in recorded(options.data, name, encoder)]
        clock.say(f"{sum(map(len, runs))} signatures of {len(SETS)} sets")
        arrays: dict[str, NDArray[Any]] = {"sets": np.zeros((1 + len(BITS), 8), np.uint8)}
        for number, bits in enumerate((8, *BITS)):
            made = [coarser(run, bits) for run in runs]
            arrays["sets"][number] = np.frombuffer(made[0].spec.fingerprint, np.uint8)
            for key, values in trained([run.codes for run in made], spec, STEPS.get(bits, 1)).items():
                arrays[f"{number}_{key}"] = values
            clock.say(f"{bits} bits")
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
        clock.say(f"{len(packed.getvalue())} bytes")
        tables = read_tables(packed.getvalue(), FILE_NAME)
        sizes = {name: measured(options.data, name, encoder, tables, clock) for name in ASKED}
        probe = {str(bits): probed(options.data, encoder, bits) for bits in (8, *BITS)}
    replace_file(options.model / FILE_NAME, packed.getvalue())
    licences = {name: data.SETS[name].licence for name in SETS}
    told = {"sets": licences, "signatures": sum(map(len, runs)), "messages_of": MANY, "bytes": sizes, "probe": probe}
    describe.add_packing(options.model, told)
    clock.say(f"probe of {ASKED[0]}: {probe}")


def measured(
    folder: Path, name: str, encoder: Encoder, tables: dict[bytes, Tables], clock: Clock
) -> list[dict[str, Any]]:
    """Return the bytes of a signature's codes in messages of MANY, with each number of bits, deflated and packed."""
    whole, rows = concatenate(list(recorded(folder, name, encoder))), []
    for bits in (8, *BITS):
        asked = coarser(whole, bits)
        for method, make in (("deflate", deflated), ("tables", partial(pack, tables[asked.spec.fingerprint]))):
            row = {"bits": bits, "method": method, "bytes": [size(make, asked.codes, many) for many in MANY]}
            rows.append(row)
            clock.say(f"{name}, bytes a signature in messages of {MANY}: {row}")
    return rows


def probed(folder: Path, encoder: Encoder, bits: int) -> list[float]:
    """Return the score of a linear probe of hapt's people, and its interval."""
    from scripts.evaluate import hapt, rows

    windows = data.read(folder, "hapt", np.random.default_rng(hapt.SEED))
    windows = windows.where(np.isin(windows.activity, hapt.BASIC))
    count = len(windows)
    batch = WindowBatch(np.arange(count), windows.windows, np.zeros(count, np.uint8), 1)
    values = coarser(encoder.encode(batch), bits).values
    score = rows.brief(values, windows.activity, windows.person, [np.isin(windows.person, hapt.TEST_PEOPLE)])
    return list(score["probe"])


def deflated(codes: NDArray[np.int8]) -> bytes:
    """Return what `compress=deflate` makes of codes (k, n)."""
    rows = codes.view(np.uint8)
    differences = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(differences.T.tobytes()) + deflate.flush()


def size(make: Callable[[NDArray[np.int8]], bytes], codes: NDArray[np.int8], many: int) -> float:
    """Return the bytes of a signature's codes, in messages of so many; plain where `make` makes them no smaller."""
    whole = codes[: len(codes) // many * many].reshape(-1, many, codes.shape[1])
    return round(float(np.mean([min(len(make(rows)), rows.size) / many for rows in whole])), 2)


def recorded(folder: Path, name: str, encoder: Encoder) -> Iterator[SignatureBatch]:
    """Yield the signatures of each stream of a set, as a device sends them, a stretch of the long ones."""
    card, rng = encoder.card, np.random.default_rng(1)
    for stream in data.streams(folder, name):
        length = int(min(data.SETS[name].stretch_s * stream.rate_hz, len(stream.samples)))
        begin = int(rng.integers(0, len(stream.samples) - length + 1))
        time_ns = np.rint(np.arange(length) * (NS_PER_S / stream.rate_hz)).astype(np.int64)
        resampler = Resampler(stream.rate_hz, grid_hz=card.rate_hz, max_gap_s=MAX_GAP_S)
        windower = Windower(length=card.length, hop=card.hop, grid_hz=card.rate_hz)
        block = sample_block(time_ns, stream.samples[begin : begin + length])
        windows = [windower.push(it) for it in resampler.push(block) + resampler.flush()]
        made = [encoder.encode(it) for it in windows if len(it)]
        if made:
            yield concatenate(made)


def trained(runs: list[NDArray[np.int8]], spec: SignatureSpec, steps: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of one set of tables. steps: of the card, in a step of the codes."""
    n, motion = spec.quantization.dim, spec.motion_dim
    order = np.array([*range(motion, n), *range(motion)])
    step = spec.quantization.groups[1].scale * steps
    length = round(DIRECTION_STEPS / step)
    # A product of two components in steps, times this, is sixteenths of a step of the product's code, times 4096.
    unit = round(PRODUCT / DIRECTION_STEPS / length * 16 * 4096)
    known = _rows([run[:, order].astype(np.int64) for run in runs])
    before, within = np.zeros((KINDS, 1 + 2 * n, n)), np.zeros((KINDS, n, n))
    extra, scales = np.zeros((KINDS, 7, n)), np.zeros((KINDS, 4 + 3 * len(POSTURE_FIRST), n))
    frequency = np.zeros((TABLES, SYMBOLS), np.int64)
    frequency[:, 0] = 1 << PROBABILITY_BITS

    def tables() -> Tables:
        weights = tuple(Weights(before[k], within[k], extra[k], scales[k]) for k in range(KINDS))
        return Tables(
            b"", spec.fingerprint, order, tuple(np.cumsum(POSTURE_FIRST).tolist()), length, unit, weights, frequency
        )

    _fit_means(tables(), known, before, within, extra)
    mean = _means(tables(), known)
    _fit_scales(tables(), known, mean, scales)
    found = _scales(tables(), known, mean)
    frequency[:] = _frequencies(known.codes - mean / PHASES, found)
    whole = {
        "before": before[2],
        "within": within[[0, 2]],
        "extra": extra[[0, 2]],
        "scale": scales,
        "first": before[0, 0],
    }
    return {key: values.astype(np.int16) for key, values in whole.items()} | {
        "order": order.astype(np.uint8),
        "ends": np.cumsum(POSTURE_FIRST).astype(np.uint8),
        "direction": np.array([length, unit]),
        "frequency": frequency.astype(np.uint16),
    }


def _rows(runs: list[Codes]) -> Known:
    """Return the rows of messages of ROWS."""
    messages = [run[first : first + ROWS] for run in runs for first in range(0, len(run), ROWS)]
    none = np.zeros((1, runs[0].shape[1]), np.int64)
    last = [np.concatenate([none, it[:-1]]) for it in messages]
    last_but_one = [np.concatenate([none, it[:1], it[:-2]])[: len(it)] for it in messages]
    kind = [np.minimum(np.arange(len(it)), KINDS - 1) for it in messages]
    return Known(*(np.concatenate(it) for it in (messages, last, last_but_one, kind)))


def _fit_means(tables: Tables, known: Known, before: Any, within: Any, extra: Any) -> None:
    """Fit what predicts the means, into the three arrays: of first rows, and of all others."""
    n = known.codes.shape[1]
    counts = np.ones(len(known.codes))
    one = np.ones((len(known.codes), 1))
    later = np.concatenate([one, known.last, known.last_but_one], axis=1)
    for _ in range(ROUNDS):
        for kind, at in ((0, known.kind == 0), (2, known.kind > 0)):
            for group in tables.groups:
                told = predicting.extras(tables, known.codes[at], known.last[at], group)
                parts = [later[at] if kind else one[at], known.codes[at, : group.start]]
                parts += [] if told is None else [told[:, :2] if group.start == 2 else told[:, 2:]]
                fitted = _least_squares(np.concatenate(parts, axis=1), known.codes[at, group], counts[at])
                rounded = np.rint(fitted * (1 << MEAN_BITS))
                first, known_codes = parts[0].shape[1], group.start
                before[kind, :first, group] = rounded[:first]
                within[kind, :known_codes, group] = rounded[first : first + known_codes]
                if told is not None:
                    place = slice(0, 2) if group.start == 2 else slice(2, 7)
                    extra[kind, place, group] = rounded[first + known_codes :]
        before[1], within[1], extra[1] = before[2], within[2], extra[2]
        off = np.abs(known.codes - _means(tables, known) / PHASES)
        counts = 1 / (off[:, n // 4 :].mean(axis=1) + 0.5) ** 2


def _least_squares(features: NDArray[np.float64], wanted: Codes, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    weighted = (features * counts[:, None]).T
    square = weighted @ features
    square += 1e-3 * np.trace(square) / len(square) * np.eye(len(square))
    return np.asarray(np.linalg.solve(square, weighted @ wanted), np.float64)


def _kinds(known: Known) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    for kind in range(KINDS):
        yield kind, known.kind == kind


def _means(tables: Tables, known: Known) -> Codes:
    mean = np.empty_like(known.codes)
    for kind, at in _kinds(known):
        weights = tables.weights[kind]
        rows, last = known.codes[at], known.last[at]
        added = predicting.means_before(weights, last, known.last_but_one[at])
        for group in tables.groups:
            mean[at, group] = predicting.means(tables, weights, added, rows, last, group)
    return mean


def _logarithms(tables: Tables, known: Known, mean: Codes) -> tuple[Codes, Codes, Codes]:
    """Return those of each row's residuals, of the last row's, and of the steps between the rows before."""
    size = predicting.logarithm(PHASES * known.codes - mean)
    residuals = np.concatenate([np.zeros_like(size[:1]), size[:-1]]) * (known.kind > 0)[:, None]
    return size, residuals, predicting.logarithm(PHASES * (known.last - known.last_but_one))


def _fit_scales(tables: Tables, known: Known, mean: Codes, scales: Any) -> None:
    size, residuals, steps = _logarithms(tables, known, mean)
    groups, g = tables.groups, len(tables.ends)
    mean_of = [predicting.by_group(tables, it).astype(np.float64) for it in (residuals, steps, size)]
    rise = predicting.logarithm(PHASES * predicting.height(tables, known.codes))[:, None].astype(np.float64)
    for kind, at in _kinds(known):
        ones = np.ones((int(at.sum()), 1))
        for number, group in enumerate(groups):
            for code in range(group.start, group.stop):
                own = [ones, residuals[at, code, None], steps[at, code, None], rise[at] * (group.start == 2)]
                whole = [mean_of[0][at], mean_of[1][at], mean_of[2][at] * (np.arange(g) < number)]
                features = np.concatenate([*own, *whole], axis=1)
                if kind < 2:  # Of the second row, what is known of a step is only that there is none.
                    features[:, [2, *range(4 + g, 4 + 2 * g)]] = 0
                fitted = _least_squares_plain(features, size[at, code])
                scales[kind, :, code] = np.rint(fitted * (1 << SCALE_BITS))


def _least_squares_plain(features: NDArray[np.float64], wanted: Codes) -> NDArray[np.float64]:
    square = features.T @ features
    square += 1e-5 * np.trace(square) / len(square) * np.eye(len(square))
    return np.asarray(np.linalg.solve(square, features.T @ wanted), np.float64)


def _scales(tables: Tables, known: Known, mean: Codes) -> Codes:
    size, residuals, steps = _logarithms(tables, known, mean)
    within, found = predicting.by_group(tables, size), np.empty_like(mean)
    for kind, at in _kinds(known):
        added = predicting.scales_before(tables, tables.weights[kind], residuals[at], steps[at])
        for number, group in enumerate(tables.groups):
            found[at, group] = predicting.scales(
                tables, tables.weights[kind], added, within[at, :number], known.codes[at], number
            )
    return found


def _frequencies(off: NDArray[np.float64], found: Codes) -> Codes:
    """Return the tables (TABLES, SYMBOLS) from how far codes are off (k, n), and the scale of each."""
    edges = np.arange(-40 * _SHAPE_BINS, 40 * _SHAPE_BINS + 1) / _SHAPE_BINS
    shapes = np.zeros((SCALES, len(edges)))
    some = [scale for scale in range(SCALES) if (found == scale).sum() >= 2000]
    for scale in range(SCALES):
        use = min(some, key=lambda other: abs(other - scale))
        each = np.histogram(off[found == use] / 2 ** (use / 4 - 3), edges)[0].astype(float)
        bins = 3 if use > 16 else 1
        smooth = np.convolve(each, np.ones(bins) / bins, "same")
        smooth += 1e-3 * each.sum() / _SHAPE_BINS * np.exp(-np.abs(edges[:-1]) / 6)
        shapes[scale, 1:] = np.cumsum(smooth) / smooth.sum()
    frequency = np.zeros((TABLES, SYMBOLS), np.int64)
    for table in range(TABLES):
        phased = table < PHASED * PHASES
        scale = table // PHASES if phased else table - PHASED * (PHASES - 1)
        phase = table % PHASES if phased else (PHASES - 1) / 2
        width, step = 2 ** (scale / 4 - 3), 1 << int(RAW_BITS[scale])
        low = (np.arange(-31, 32) * step - 0.5 - phase / PHASES) / width
        high = low + step / width
        share = np.diff(np.interp(np.append(low, high[-1]), edges, shapes[scale]))
        frequency[table] = _whole(np.append(1 - share.sum(), share))
    return frequency


def _whole(share: NDArray[np.float64]) -> Codes:
    """Return frequencies that add up to 4096; what would have less than a fifth of one comes apart."""
    total = 1 << PROBABILITY_BITS
    rare = np.append(False, share[1:] * total < 0.2)
    share = np.where(rare, 0, share)
    share[0] = 1 - share[1:].sum()
    whole = np.where(rare, 0, np.maximum(1, np.rint(share * total))).astype(np.int64)
    whole[np.argmax(whole)] += total - whole.sum()
    return whole


if __name__ == "__main__":
    main()
