"""Whatever is damaged in a text: rows, or a RecordingError; nothing else, and at once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest
from damaged_texts import damaged
from text_logs import WAYS, set_way

from motionsig.errors import RecordingError
from motionsig.recordings.long import by_sensor
from motionsig.recordings.members import single
from motionsig.recordings.text import records, tables


def outcome(path: Path) -> list[object]:
    """Return all values of all columns, and the message where one of them could not be read."""
    seen: list[object] = []
    try:
        records(single(path))
        for whole in tables(single(path)):
            for found in by_sensor(whole):
                for column, head in enumerate(found.head):
                    kind = {"i": "number", "f": "number", "U": "text"}[head.dtype.kind]
                    parts = [rows.columns[column] for rows in found.read({column: kind})]
                    seen.append(np.concatenate(parts).tolist() if parts else [])
    except RecordingError as error:
        seen.append(str(error))
    return seen


@pytest.mark.parametrize("seed", range(60))
def test_damage(path: Path, seed: int) -> None:
    path.write_bytes(damaged(random.Random(seed)))
    began = time.process_time()
    seen = []
    for way in WAYS:
        with pytest.MonkeyPatch.context() as monkeypatch:
            set_way(monkeypatch, way)
            seen.append(repr(outcome(path)))
    assert seen[0] == seen[1]
    # Cell by cell, labels are checked also where nobody reads the value after them.
    assert seen[0] == seen[2] or "cells, got 0" in seen[2]
    assert time.process_time() - began < 5
