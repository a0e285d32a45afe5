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


def test_a_short_recording_is_compressed_whole_and_of_a_long_one_a_share(motion):
    rival, samples = RawSize(50, batch_s=10), 0
    data = motion(100, 50)
    while samples < EXACT_SAMPLES - len(data):
        rival.push(block(data))
        samples += len(data)
    rival.sizes()
    assert rival.compressed_samples == samples
    while samples < 3 * EXACT_SAMPLES:
        rival.push(block(data))
        samples += len(data)
    rival.sizes()
    later = rival.compressed_samples - EXACT_SAMPLES
    assert later == pytest.approx((samples - EXACT_SAMPLES) / ONE_IN, abs=500)


def test_the_estimate_follows_motion_that_changes(motion, monkeypatch):
    """Batches of every strength in a random order, most of them not compressed."""
    random = np.random.default_rng(1)
    data = np.concatenate(
        [motion(10, 50, seed=seed) * strength for seed, strength in enumerate(random.lognormal(-2, 1.5, 150))]
    )
    monkeypatch.setattr("motionsig.raw_size.EXACT_SAMPLES", 2000)
    estimated = RawSize(50, batch_s=10)
    estimated.push(block(data))
    monkeypatch.setattr("motionsig.raw_size.EXACT_SAMPLES", len(data))
    exact = RawSize(50, batch_s=10)
    exact.push(block(data))
    assert exact.compressed_samples == len(data) > 6 * estimated.compressed_samples
    sizes = estimated.sizes()
    assert sizes == pytest.approx(exact.sizes(), rel=0.04) and sizes != exact.sizes()
