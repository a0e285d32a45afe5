"""What is written in another format reads back as the same samples, times, gaps and labels."""

import numpy as np
import pytest

import motionsig
from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.closing import Closing
from motionsig.recordings.writing import WRITERS, write_recording

RATE_HZ = 104.0
UNIX_NS = 1_700_000_000_123_456_789


def motion(count, seed=0):
    """Return times in s and samples (count, 6) of somebody who moves, with digits that only a float32 has."""
    t = np.arange(count) / RATE_HZ
    noise = np.random.default_rng(seed).normal(0, 0.1, (count, 6))
    acc = np.stack([1.5 * np.sin(7 * t), 2 * np.cos(7 * t) + 1, 9.6 + np.sin(14 * t)], 1)
    gyr = np.stack([np.sin(5 * t), 0.6 * np.cos(3 * t), 0.3 * np.sin(2 * t)], 1)
    return t, (np.concatenate([acc, gyr], 1) + noise).astype(np.float32)


class Made(Closing):
    """A source of given blocks."""

    rate_hz = RATE_HZ
    info = SourceInfo("made", "made", stream_id=7, device="wrist, left")

    def __init__(self, blocks):
        self.blocks = blocks

    def __iter__(self):
        return iter(self.blocks)


def source(start_ns=UNIX_NS):
    """Three blocks: labels with a comma and a quote, a gap without a word, and one that says it is one."""
    t, data = motion(1500)
    time_ns = start_ns + np.rint(t * 1e9).astype(np.int64)
    time_ns[900:] += 700_000_000
    cuts = [(0, 400, False, "walk"), (400, 900, True, 'stairs, "up"'), (900, 1500, False, "")]
    return Made([SampleBlock(time_ns[a:b], data[a:b], gap, label=label) for a, b, gap, label in cuts])


def rows(blocks):
    """Return times, samples, the rows that come after a gap, and a label for each row."""
    blocks = [block for block in blocks if len(block)]
    starts = np.cumsum([0, *(len(block) for block in blocks)])
    said = {int(at) for at, block in zip(starts, blocks, strict=False) if block.gap and at}
    labels = [block.label for block in blocks for _ in range(len(block))]
    return np.concatenate([it.time_ns for it in blocks]), np.concatenate([it.data for it in blocks]), said, labels


@pytest.mark.parametrize("ending", WRITERS)
def test_read_back_it_is_the_same(tmp_path, ending):
    out = tmp_path / f"out{ending}"
    written = write_recording(source(), out)
    assert written.samples == 1500
    assert written.gaps == 2
    assert written.size == out.stat().st_size > 0
    with motionsig.open_recording(out) as again:
        times, data, said, labels = rows(again)
        assert again.rate_hz == pytest.approx(RATE_HZ, rel=1e-6)
    expected_times, expected_data, expected_said, expected_labels = rows(source())
    assert times.tolist() == expected_times.tolist()
    assert data.tobytes() == expected_data.tobytes()
    assert said - {900} == expected_said == {400}
    assert labels == expected_labels


@pytest.mark.parametrize("ending", WRITERS)
def test_nothing_is_left_of_what_breaks_off(tmp_path, ending):
    class Broken(Made):
        def __iter__(self):
            yield from self.blocks[:1]
            raise motionsig.RecordingError("made: damaged")

    out = tmp_path / f"out{ending}"
    out.write_bytes(b"what was there")
    with pytest.raises(motionsig.RecordingError, match="damaged"):
        write_recording(Broken(source().blocks), out)
    assert out.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("ending", WRITERS)
def test_no_samples_are_no_file(tmp_path, ending):
    with pytest.raises(motionsig.RecordingError, match="expected samples, got none"):
        write_recording(Made([]), tmp_path / f"out{ending}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", WRITERS)
def test_a_folder_that_is_not_there_is_named(tmp_path, ending):
    with pytest.raises(motionsig.RecordingError, match="nowhere"):
        write_recording(source(), tmp_path / "nowhere" / f"out{ending}")


def test_another_ending_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(motionsig.InputError, match=r"\.msig, \.csv, \.parquet, \.mcap.*out\.xlsx"):
        write_recording(source(), tmp_path / "out.xlsx")


def test_the_units_stand_in_the_names(tmp_path):
    write_recording(source(), tmp_path / "out.csv")
    header = (tmp_path / "out.csv").read_text().split("\n")[0]
    assert header == (
        "time_ns,acc_x [m/s^2],acc_y [m/s^2],acc_z [m/s^2],gyr_x [rad/s],gyr_y [rad/s],gyr_z [rad/s],gap,label"
    )
