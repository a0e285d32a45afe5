import numpy as np

from motionsig.blocks import SampleBlock
from motionsig.raw_size import PREDICTION, SHUFFLE, RawSize, _rice_bits


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
