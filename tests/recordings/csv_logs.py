"""The made-up motion as CSV, read and compared with what it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_logs import DATA, text
from test_recordings import check_blocks, samples

from motionsig.errors import RecordingError
from motionsig.recordings import open_recording

LINES = text().split("\n")


def read(path: Path, content: str | bytes, **options: object) -> tuple[np.ndarray, np.ndarray, list[int]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return samples(open_recording(path, **options))


def check(path: Path, content: str | bytes, **options: object) -> np.ndarray:
    """Check that `content` gives the made-up motion; return its times."""
    time_ns, data, gaps = read(path, content, **options)
    assert not gaps
    np.testing.assert_allclose(data, DATA, atol=2e-5)
    np.testing.assert_allclose(np.diff(time_ns), 10_000_000, atol=400)
    return time_ns


def refused(path: Path, content: str | bytes, message: str, **options: object) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RecordingError, match=message):
        check_blocks(open_recording(path, **options))
