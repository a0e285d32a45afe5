"""Damaged logs of all formats: read, or refused with an error of ours; scripts/trials/damaged_logs.py reads more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import made_logs
import pytest
from damaged_logs import damaged_copy, outcome


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [make(tmp_path_factory.mktemp("log")) for make in made_logs.FORMATS.values()]


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_damage(logs: Sequence[Path], tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 25):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = damaged_copy(seed, logs, folder)
        began = time.process_time()
        assert outcome(path) in ("read", "refused", "asked, read", "asked, refused"), seed
        assert time.process_time() - began < 3, seed
