import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
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


def test_a_label_goes_with_its_samples():
    assert (
        sample_block([1], np.zeros((1, 6)), label="walk").label == "walk"
        and sample_block([1], np.zeros((1, 6))).label == ""
    )
    assert repr(sample_block([0], np.zeros((1, 6)), label="walk")).endswith("000Z, 'walk')")
    with pytest.raises(InputError, match="label: expected a label of at most 128 characters, got 129"):
        sample_block([1], np.zeros((1, 6)), label="x" * 129)
    with pytest.raises(InputError, match="label: expected a label in Unicode"):
        sample_block([1], np.zeros((1, 6)), label="\udcff")


def test_labels_follow_their_signatures():
    whole = replace(batch(3), labels=np.array(["", "walk", "run"]))
    assert whole[1:].labels.tolist() == ["walk", "run"] and whole[-1].labels.tolist() == ["run"]
    assert whole != batch(3) and whole == replace(batch(3), labels=np.array(["", "walk", "run"]))
    assert whole != replace(whole, labels=np.array(["", "walk", "rest"]))
    with pytest.raises(ValueError, match="read-only"):
        whole.labels[0] = "x"
    joined = concatenate([whole[2:], batch(1), whole[1:2]])
    assert joined.labels.tolist() == ["run", "", "walk"] and concatenate([batch(1)] * 2).labels is None
    assert whole.to_pandas()["label"].tolist() == whole.to_arrow()["label"].to_pylist() == ["", "walk", "run"]
    assert "label" not in batch(1).to_pandas() and "label" not in batch(1).to_arrow().column_names


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


def test_an_index_gives_a_batch_of_one_and_iteration_gives_those():
    whole = batch(3)
    assert whole[1].codes.tolist() == whole.codes[1:2].tolist() and len(whole[np.int64(-1)]) == 1
    assert [one.start_ns.tolist() for one in whole] == [[0], [10], [20]] and whole[np.array(1)] == whole[1]
    assert concatenate(list(whole)) == whole and next(reversed(whole)) == whole[2]
    wrong = {IndexError: (3, -4), TypeError: ("a", 1.0, (0, 1), None)}
    for error, index in ((error, index) for error, indices in wrong.items() for index in indices):
        with pytest.raises(error, match="signatures: expected an i"):
            whole[index]
    with pytest.raises(IndexError, match="of 3 signatures, got -4"):
        whole[-4]


def test_slices_masks_and_lists_give_batches():
    whole = batch(5)
    for rows in (slice(1, 4, 2), np.array([False, True, False, True, False]), [1, 3], np.array([1, 3])):
        assert whole[rows].start_ns.tolist() == [10, 30]


def test_batches_are_equal_by_content_and_cannot_be_changed():
    assert batch(3) == batch(3) != batch(2) and pickle.loads(pickle.dumps(batch(3))) == batch(3)
    assert batch(3) != batch(3, hop_ns=20) and batch(3) != batch(3, fingerprint=b"another!") and batch(3) != 3
    other = batch(3)
    changed = SignatureBatch(other.start_ns, other.codes, np.ones(3, np.uint8), other.hop_ns, other.spec)
    assert changed != other
    for array in (other.codes, other.start_ns, other.quality, other.motion, other[1:].codes):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_the_arrays_given_to_a_batch_stay_the_callers():
    codes = np.zeros((1, 4), np.int8)
    SignatureBatch(np.zeros(1, np.int64), codes, np.zeros(1, np.uint8), 10, batch(1).spec)
    codes[0, 0] = 1


def test_a_batch_is_an_array_of_its_codes():
    assert np.asarray(batch(2)).dtype == np.int8 and np.asarray(batch(2)).tolist() == batch(2).codes.tolist()
    assert np.array(batch(2), float).sum() == batch(2).codes.sum() and np.array(batch(2)).flags.writeable
    assert pd.DataFrame(batch(2)).shape == (2, 4)


def test_times_are_utc():
    assert batch(2).time.tolist() == [0, 10] and str(batch(1).time[0]) == "1970-01-01T00:00:00.000000000"


def test_tables_have_time_quality_and_codes_and_say_whose_they_are():
    whole = batch(2)
    frame, table = whole.to_pandas(), pytest.importorskip("pyarrow") and whole.to_arrow()
    assert frame.columns.tolist() == ["start", "quality", "code_0", "code_1", "code_2", "code_3"]
    assert frame.start.astype("int64").tolist() == [0, 10] and str(frame.start.dt.tz) == "UTC"
    assert frame[whole.names].to_numpy().tolist() == whole.codes.tolist()
    assert frame.attrs["fingerprint"] == b"8 bytes!".hex()
    assert table.column_names == ["start", "quality", "codes"] and table["codes"].to_pylist() == whole.codes.tolist()
    about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert (
        about
        == frame.attrs
        == {"fingerprint": b"8 bytes!".hex(), "motion_dim": "3", "length_ns": "100", "hop_ns": "10"}
    )
    assert json.dumps(frame.attrs)


def test_a_notebook_shows_a_picture_below_the_line():
    text = batch(2)._repr_html_()
    assert text.startswith("<div><code>SignatureBatch(2 signatures from 1970-01-01T00:00:00.000Z, 3 motion + 1 posture")
    assert "data:image/png;base64," in text
