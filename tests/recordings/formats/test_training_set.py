"""motionsig's own training sets."""

from __future__ import annotations

import io
from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import DATA
from test_recordings import samples

from motionsig.errors import RecordingError
from motionsig.recordings.formats.training_set import READER


def test_one_recording_is_opened_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    path.write_bytes(made_logs.training_set())
    assert READER.recognises(path, path.read_bytes()[:64]) == 3
    for wanted in (None, -1, 2):
        with pytest.raises(RecordingError, match=f"expected stream=0 to 1, as it holds 2, got {wanted}"):
            READER.open(path, stream=wanted)
    with pytest.raises(RecordingError, match="label='labels': a training set has none for its samples"):
        READER.open(path, stream=0, label="labels")
    first, second = READER.open(path, stream=0), READER.open(path, stream=1)
    assert (first.rate_hz, second.rate_hz) == (100, 50)
    assert first.info.stream_id != second.info.stream_id
    assert first.info.scale == (0.001,) * 6
    _, data, _ = samples(second)
    np.testing.assert_allclose(data, DATA, atol=5.01e-4)
    np.testing.assert_allclose(data / 0.001, np.rint(data / 0.001), atol=1e-3)


def test_a_set_that_disagrees_with_itself(tmp_path: Path) -> None:
    with np.load(io.BytesIO(made_logs.training_set())) as arrays:
        np.savez(tmp_path / "set.npz", **{**arrays, "gyr_q": arrays["gyr_q"][:, :100]})
    with pytest.raises(RecordingError, match="expected a training set with acc_q"):
        READER.open(tmp_path / "set.npz", stream=0)
