import numpy as np
import pytest

from motionsig.blocks import SignatureBatch, SignatureSpec, concatenate, sample_block
from motionsig.errors import InputError
from motionsig.quantization import Quantization


def batch(count, *, fingerprint=b"8 bytes!", hop_ns=10):
    spec = SignatureSpec(fingerprint, Quantization(((3, 0.5, 0), (1, 1.0, 0))), 3, 100)
    codes = np.arange(count * 4, dtype=np.int8).reshape(count, 4)
    return SignatureBatch(np.arange(count) * hop_ns, codes, np.zeros(count, np.uint8), hop_ns, spec)


def test_sample_block_converts_and_keeps():
    block = sample_block([1, 2], [[1, 2, 3, 4, 5, 6]] * 2, gap=True)
    assert (block.data.dtype, block.time_ns.dtype, block.gap, len(block)) == (np.float32, np.int64, True, 2)


@pytest.mark.parametrize(
    ("time_ns", "data", "message"),
    [
        ([1, 2], np.zeros((2, 3)), r"expected time_ns \(n,\) and data \(n, 6\).*got \(2,\) and \(2, 3\)"),
        ([1], np.zeros((2, 6)), r"got \(1,\) and \(2, 6\)"),
        ([0.5, 1.5], np.zeros((2, 6)), "expected integer nanoseconds, got float64"),
        ([5, 5], np.zeros((2, 6)), "strictly increasing times, got 5 after 5 at sample 1"),
        ([5, 7, 6], np.zeros((3, 6)), "got 6 after 7 at sample 2"),
    ],
)
def test_sample_block_refuses_what_is_not_samples(time_ns, data, message):
    with pytest.raises(InputError, match=message):
        sample_block(time_ns, data)


def test_motion_and_posture_are_views_of_the_codes():
    signatures = batch(2)
    assert signatures.motion.shape == (2, 3) and signatures.posture.shape == (2, 1)
    assert np.shares_memory(signatures.motion, signatures.codes) and np.shares_memory(
        signatures.posture, signatures.codes
    )
    assert signatures.values[1].tolist() == [2.0, 2.5, 3.0, 7.0]


def test_concatenate_keeps_order_and_refuses_other_encoders():
    whole = batch(5)
    assert concatenate([whole[:2], whole[2:2], whole[2:]]).codes.tolist() == whole.codes.tolist()
    with pytest.raises(InputError, match="different encoders or hops must not be mixed"):
        concatenate([batch(1), batch(1, fingerprint=b"another!")])
    with pytest.raises(InputError, match="every 20 ns"):
        concatenate([batch(1), batch(1, hop_ns=20)])
    with pytest.raises(InputError, match="at least one"):
        concatenate([])
