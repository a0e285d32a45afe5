"""A source tells how many bytes of its log were read, of those on the disk."""

import gzip
import zipfile

import numpy as np
import pytest

import motionsig


@pytest.fixture
def content():
    """60,000 rows at 100 Hz of a device that rests and turns."""
    t = np.arange(60_000) / 100
    speed = np.where((t // 5) % 2 == 0, 0.0, 2.0 * np.sin(2 * np.pi * t / 2.5))
    angle = np.cumsum(speed) / 100
    nothing = np.zeros(len(t))
    data = np.stack([t, 9.81 * np.sin(angle), nothing, 9.81 * np.cos(angle), nothing, -speed, nothing], 1)
    data[:, 1:] += np.random.default_rng(1).normal(0, 0.01, (len(t), 6))
    header = "time_s,acc_x[m/s^2],acc_y[m/s^2],acc_z[m/s^2],gyr_x[rad/s],gyr_y[rad/s],gyr_z[rad/s]\n"
    return (header + "\n".join(",".join(f"{value:.5f}" for value in row) for row in data) + "\n").encode()


def read(path):
    """Return how many bytes were read after each block."""
    with motionsig.open_recording(path) as source:
        assert source.read_bytes is None
        return [source.read_bytes for block in source]


def check(counts, size):
    assert counts == sorted(counts)
    assert 0 < counts[0] < 0.7 * size
    assert counts[-1] == pytest.approx(size, abs=2)


def test_of_a_text(tmp_path, content):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    check(read(path), len(content))


def test_of_a_packed_text_what_is_on_the_disk_counts(tmp_path, content):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(content, 1))
    check(read(path), path.stat().st_size)


def test_of_a_zip_its_packed_member_counts(tmp_path, content):
    path = tmp_path / "log.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", content)
        archive.writestr("notes.txt", "x" * 100)
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("log.csv").compress_size
    check(read(path), size)


def test_each_iteration_counts_anew_and_two_at_once_count_apart(tmp_path, content):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with motionsig.open_recording(path) as one, motionsig.open_recording(path) as other:
        blocks = iter(one)
        next(blocks)
        begun = one.read_bytes
        assert other.read_bytes is None
        list(other)
        assert one.read_bytes == begun < other.read_bytes == len(content)
        list(one)
        assert one.read_bytes == len(content)
