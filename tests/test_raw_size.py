import numpy as np
import pytest

from motionsig.blocks import SampleBlock
from motionsig.raw_size import EXACT_SAMPLES, ONE_IN, PREDICTION, SHUFFLE, RawSize, _rice_bits


def block(data):
    return SampleBlock(np.arange(len(data)), np.asarray(data, np.float32))


def test_rice_bits_are_those_of_the_code_written_out():
    residual = np.array([0, -1, 1, 5, -7, 40])

    def written(values, parameter):
        bits = ""
        for value in values:
            folded = 2 * value if value >= 0 else -2 * value - 1
            bits += "1" * (folded >> parameter) + "0" + f"{folded & ((1 << parameter) - 1):0{parameter}b}"[:parameter]
        return len(bits)

    by_hand = min(
        sum(5 + min(written(part, parameter) for parameter in range(17)) for part in np.array_split(residual, parts))
        for parts in (1, 4, 16, 64)
    )
    assert _rice_bits(residual) == by_hand


def test_noise_cannot_be_compressed_and_silence_can():
    random = np.random.default_rng(0)
    scale = (0.001,) * 6
    for spread, low, high in ((9000.0, 0.9, 1.01), (2.0, 0.2, 0.3), (0.0, 0.0, 0.05)):
        rival = RawSize(50, batch_s=10, scale=scale)
        data = np.rint(random.normal(0, spread, (5000, 6))) * 0.001 if spread else np.zeros((5000, 6))
        rival.push(block(data))
        assert low <= min(rival.sizes().values()) / (12 * 5000) <= high


def test_cutting_does_not_change_the_size(motion):
    data = motion(35, 50)
    whole, pieces = RawSize(50, batch_s=10), RawSize(50, batch_s=10)
    whole.push(block(data))
    for first in range(0, len(data), 77):
        pieces.push(block(data[first : first + 77]))
    assert whole.sizes() == pieces.sizes()
    assert set(whole.sizes()) == {PREDICTION, SHUFFLE}


def test_no_samples_cost_nothing():
    assert set(RawSize(50, batch_s=10).sizes().values()) == {0}


def test_a_ramp_costs_its_header_its_first_samples_and_a_bit_for_each_other():
    rival = RawSize(50, batch_s=20, scale=(1.0,) * 6)
    rival.push(block(np.arange(1000)[:, None] * np.arange(1, 7)))
    assert rival.sizes()[PREDICTION] == 6 * (8 + 2 * 16 + 5 + 998) // 8 + 1


def test_a_last_incomplete_batch_costs_its_bytes(motion):
    rival = RawSize(50, batch_s=10)
    rival.push(block(motion(10, 50)))
    whole = rival.sizes()
    rival.push(block(motion(5, 50)))
    assert all(1.4 * size < rival.sizes()[scheme] < 1.8 * size for scheme, size in whole.items())


def test_a_short_recording_is_compressed_whole_and_of_a_long_one_a_share(motion):
    rival, data = RawSize(50, batch_s=10), motion(100, 50)
    short = EXACT_SAMPLES // len(data)
    for _ in range(short):
        rival.push(block(data))
    exact = rival.sizes()
    assert rival.compressed_samples == short * len(data)
    # What follows is estimated, from its first batch on.
    for _ in range(2):
        rival.push(block(data))
    assert rival.sizes() == pytest.approx(
        {scheme: size * (short + 2) / short for scheme, size in exact.items()}, rel=0.1
    )
    for _ in range(28):
        rival.push(block(data))
    later = (short + 30) * len(data) - EXACT_SAMPLES
    assert rival.compressed_samples - EXACT_SAMPLES == pytest.approx(later / ONE_IN, abs=1000)


def test_the_estimate_follows_motion_that_changes(motion, monkeypatch):
    """The batches that are compressed are the strongest by far."""
    monkeypatch.setattr("motionsig.raw_size.EXACT_SAMPLES", 0)
    strong, weak = motion(10, 50), motion(10, 50, seed=1) / 50
    data = np.concatenate([strong, *[weak] * (ONE_IN - 1)] * 3)
    estimated = RawSize(50, batch_s=10)
    estimated.push(block(data))
    monkeypatch.setattr("motionsig.raw_size.EXACT_SAMPLES", len(data))
    exact = RawSize(50, batch_s=10)
    exact.push(block(data))
    assert exact.compressed_samples == len(data) == ONE_IN * estimated.compressed_samples
    assert estimated.sizes()[PREDICTION] == pytest.approx(exact.sizes()[PREDICTION], rel=0.2)
