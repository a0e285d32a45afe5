"""Frames and samples of WitMotion's protocol: any cutting, damage, junk."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from witmotion_device import acc_gyr, frame

from motionsig.errors import InputError
from motionsig.sensors.serial.witmotion import SCALE, Frames, Pairs, Stream, WitMotion

STREAM = b"".join(
    frame(0x51, *acc, 2500) + frame(0x52, *gyr, 0) + frame(0x53, 1, 2, 3, 0) for acc, gyr in map(acc_gyr, range(40))
)
WANTED = [(*acc, *gyr) for acc, gyr in map(acc_gyr, range(40))]


def decoded(*parts: bytes) -> tuple[list[tuple[int, ...]], list[int], list[bool], int]:
    frames, pairs = Frames(), Pairs()
    rows = [pairs.push(frames.push(part)) for part in parts]
    return (
        [counts for each in rows for counts in each.counts],
        [start for each in rows for start in each.starts],
        [damaged for each in rows for damaged in each.damaged],
        frames.discards,
    )


def test_the_example_of_the_document() -> None:
    # 1 g on z and 90 deg/s about x: 32768 / 16 and 32768 * 90 / 2000 counts.
    text = bytes.fromhex("5551 0000 0000 0008 c409") + bytes([(0x55 + 0x51 + 8 + 0xC4 + 9) % 256])
    text += bytes.fromhex("5552 c305 0000 0000 0000") + bytes([(0x55 + 0x52 + 0xC3 + 5) % 256])
    (counts,), (start,), _, _ = decoded(text)
    assert start == 0
    assert np.array(counts) * SCALE == pytest.approx([0, 0, 9.80665, np.deg2rad(90), 0, 0], rel=1e-3)


def test_a_whole_stream() -> None:
    counts, starts, damaged, discards = decoded(STREAM)
    assert counts == WANTED and starts == list(range(0, 33 * 40, 33)) and not any(damaged[1:]) and not discards


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(0, len(STREAM) + 60), max_size=12), st.integers(0, 200))
def test_any_cutting_gives_the_same(junk: bytes, cuts: list[int], at: int) -> None:
    text = STREAM[:at] + junk + STREAM[at:]
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    assert decoded(*(text[a:b] for a, b in pairwise(edges))) == decoded(text)


@pytest.mark.parametrize("bit", range(0, 8 * 33, 5))
def test_a_flipped_bit_costs_one_sample_and_is_marked(bit: int) -> None:
    text, at = bytearray(STREAM), 33 * 20 + bit // 8
    text[at] ^= 1 << bit % 8
    counts, _, damaged, discards = decoded(bytes(text))
    # In the angles' frame it costs nothing.
    assert counts == (WANTED if bit // 8 >= 22 else WANTED[:20] + WANTED[21:])
    assert discards == 1 and damaged.index(True, 1) in (20, 21)


@pytest.mark.parametrize("torn", range(1, 66))
def test_bytes_that_an_adapter_dropped_never_make_a_sample(torn: int) -> None:
    counts, _, damaged, _ = decoded(STREAM[:400] + STREAM[400 + torn :])
    assert set(counts) <= set(WANTED) and len(counts) >= 36 and any(damaged[1:])


def test_an_acceleration_without_its_angular_rate_is_no_sample() -> None:
    text = frame(0x51, 1, 2, 3, 0) + frame(0x51, 4, 5, 6, 0) + frame(0x52, 7, 8, 9, 0)
    assert decoded(text)[0] == [(4, 5, 6, 7, 8, 9)]


@pytest.mark.parametrize("rate_hz", [201.0, 1000.0])
def test_a_rate_that_it_does_not_have_is_refused(rate_hz: float) -> None:
    with pytest.raises(InputError, match="at most 200"):
        WitMotion(rate_hz)


def test_samples_get_the_time_of_their_first_byte_and_the_true_rate() -> None:
    stream, byte_ns, taken_ns = Stream(WitMotion(100), "/dev/ttyUSB0", 115_200, 100), 1e10 / 115_200, []
    stream.begin(10**9)
    out = []
    for number in range(1000):
        taken_ns.append(10**9 + round(number * 1e9 / 101))
        acc, gyr = acc_gyr(number)
        text = frame(0x51, *acc, 2500) + frame(0x52, *gyr, 0)
        # Both frames arrive together, up to 1 ms after their last byte.
        now_ns = taken_ns[-1] + round(len(text) * byte_ns) + number * 7919 % 1000 * 1000
        assert not stream.push(text, now_ns)
        out.append(stream.pop(now_ns))
    rows = out[0]
    for more in out[1:]:
        rows = rows.then(more)
    assert stream.rate_hz == pytest.approx(101, rel=1e-3)
    assert len(rows.data) > 900 and not rows.lost.any()
    assert rows.data[:, 5] / SCALE[5] == pytest.approx(np.arange(len(rows.data)), abs=0.01)
    late_ns = np.abs(rows.time_ns - taken_ns[: len(rows.data)])
    assert late_ns[500:].max() < 0.3e6
