"""Type strings and scans, against a reference that goes bit by bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.errors import SensorError
from motionsig.sensors.iio.channels import Channel, ScanType, decode, parse_type, scan_dtype


@st.composite
def scan_types(draw):
    storage = draw(st.sampled_from([8, 16, 32, 64]))
    bits = draw(st.integers(1, storage))
    shift = draw(st.integers(0, storage - bits))
    return ScanType(
        draw(st.booleans()), draw(st.sampled_from("su")), bits, storage, draw(st.sampled_from([1, 4])), shift
    )


def spelt(kind):
    repeat = f"X{kind.repeat}" if kind.repeat > 1 else ""
    return f"{'le' if kind.little else 'be'}:{kind.kind}{kind.bits}/{kind.storage_bits}{repeat}>>{kind.shift}"


def number_at(raw, start, kind):
    size = kind.storage_bits // 8
    stored = raw[start : start + size] if kind.little else raw[start : start + size][::-1]
    bits = [(stored[place // 8] >> place % 8) & 1 for place in range(kind.shift, kind.shift + kind.bits)]
    value = sum(bit << place for place, bit in enumerate(bits))
    return value - (1 << kind.bits) if kind.kind == "s" and bits[-1] else value


@given(st.lists(scan_types(), min_size=1, max_size=6), st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_every_integer_type_is_read_as_bit_by_bit(kinds, random, rows):
    channels = [Channel(f"c{at}", at * 2, parse_type(spelt(kind))) for at, kind in enumerate(kinds)]
    assert [channel.type for channel in channels] == kinds
    layout = scan_dtype(random.sample(channels, len(channels)))
    raw = random.randbytes(layout.itemsize * rows)
    scans = np.frombuffer(raw, layout)
    end = 0
    for channel in channels:
        kind = channel.type
        while end % kind.size:
            end += 1
        got = decode(scans[channel.name], kind)
        for row in range(rows):
            for repeat in range(kind.repeat):
                start = row * layout.itemsize + end + repeat * kind.storage_bits // 8
                assert int(got[row, repeat]) == number_at(raw, start, kind)
        end += kind.size
    largest = max(kind.size for kind in kinds)
    assert layout.itemsize == -(-end // largest) * largest


@pytest.mark.parametrize(("text", "raw", "value"), [("be:f32/32>>0", ">f4", 1.5), ("le:f64/64", "<f8", -2.25)])
def test_floats_are_read_as_they_are(text, raw, value):
    kind = parse_type(text)
    scans = np.frombuffer(np.array([value], raw).tobytes(), scan_dtype([Channel("c", 0, kind)]))
    assert decode(scans["c"][:, 0], kind).tolist() == [value]


@pytest.mark.parametrize("text", ["", "le:s16", "le:s17/16>>0", "le:s12/16>>5", "le:q8/8", "be:s20/24>>4", "le:f16/32"])
def test_another_type_is_refused(text):
    with pytest.raises(SensorError, match="expected a channel type"):
        parse_type(text)


def test_scans_are_laid_out_as_the_kernel_documents():
    shorts = [Channel(name, index, parse_type("le:s16/16>>0")) for index, name in enumerate("xyz")]
    layout = scan_dtype([*shorts, Channel("t", 3, parse_type("le:s64/64>>0"))])
    assert (layout.itemsize, layout.fields["t"][1]) == (16, 8)
    assert scan_dtype(shorts).itemsize == 6
