"""The arrays of an .npz file, which may be anybody's."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.arrays import read_npz


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_an_npz_is_read_as_numpy_reads_it():
    arrays = {
        "a": np.arange(6, dtype=np.int16).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "none": np.zeros((0, 3), np.float32),
        "one": np.int64(7),
        "text": np.array(["größe", "b"]),
        "true": np.array([True, False]),
        "big": np.arange(3, dtype=">i4"),
    }
    content = npz(**arrays)
    read = read_npz(content, 1 << 20)
    with np.load(io.BytesIO(content)) as stored:
        assert list(read) == list(stored)
        for name in stored:
            assert np.array_equal(read[name], stored[name]) and read[name].dtype == stored[name].dtype


def zipped(npy, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a.npy", npy)
    return file.getvalue()


def npy(header):
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + bytes(24)


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"


def test_a_header_made_by_hand_is_read():
    assert read_npz(zipped(npy(GOOD)), 1000)["a"].shape == (2, 3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a zip file"),
        (npz(a=np.array([{}], object)), "not an array of plain numbers"),
        (npz(a=np.zeros(1, [("x", "i4")])), "not an array of plain numbers"),
        (npz(a=np.zeros(1 << 21, np.int8)), "2,097,280 B unpacked, more than 1,048,576"),
        (zipped(npy(GOOD.replace("2, 3", "1000000, 1000000"))), "24 bytes, for"),
        (zipped(npy(GOOD.replace("(2, 3)", "(-2, -3)"))), "not an array"),
        (zipped(npy(GOOD.replace("(2, 3)", "(2, 3), 'more': 1"))), "not an array"),
        (zipped(npy(GOOD.replace("(2, 3)", "(2, " + "1, " * 70 + "3)"))), "not an array|dimension"),
        (zipped(npy("[" * 60)), "not an array"),
        (zipped(b""), "not an array"),
        (zipped(npy(GOOD), zipfile.ZIP_BZIP2), "compressed by method 12"),
        (zipped(npy(GOOD))[:-30], "not a zip file"),
    ],
)
def test_an_npz_that_numpy_would_not_have_written_is_refused(content, said):
    with pytest.raises(ValueError, match=said):
        read_npz(content, 1 << 20)


def test_what_stands_in_a_file_steers_no_terminal():
    content = npz(group=np.arange(3)).replace(b"group.npy", b"\x1b[2J.npy!"[:9], 1)
    with pytest.raises(ValueError) as caught:
        read_npz(content, 1000)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 800


@settings(max_examples=100)
@given(st.data())
def test_a_damaged_npz_is_read_or_refused(data):
    content = bytearray(npz(a=np.arange(50.0), b=np.array(["x", "y"])))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        read_npz(bytes(content), 1 << 20)
