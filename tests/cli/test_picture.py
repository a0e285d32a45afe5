import os
import subprocess
import sys

import numpy as np
import pytest

import motionsig
from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.cli.picture import _COLUMNS, Picture, empty_figure


@pytest.mark.parametrize("name", ["out.doc", "out", "no/folder/out.png", "folder.png", "a file/out.png"])
def test_a_picture_that_cannot_be_written_is_refused_before_there_is_one(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "a file").touch()
    with pytest.raises(motionsig.InputError, match="--plot: expected a file"):
        empty_figure(tmp_path / name)


def test_a_place_where_this_user_may_not_write_is_refused(tmp_path, monkeypatch):
    (tmp_path / "old.png").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for name in ("new.png", "old.png"):
        with pytest.raises(motionsig.InputError, match="expected a file that can be written"):
            empty_figure(tmp_path / name)


def test_without_matplotlib_it_is_said_how_to_get_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None; from motionsig.cli.picture import empty_figure; empty_figure('')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "MissingExtraError: --plot needs matplotlib: " in said and "pip install 'matplotlib>=" in said


def test_the_picture_of_a_long_log_keeps_its_memory_and_its_extremes():
    picture = Picture(None, motionsig.open_encoder().card)
    picture.begin(SourceInfo("long", "made", 1), 50)
    peak = 0
    for first in range(0, 200_000, 777):
        data = np.zeros((777, 6), np.float32)
        if not peak and first > 100_000:
            data[3, 0], peak = 99.0, first
        picture.add_samples(SampleBlock(np.arange(first, first + 777) * 20_000_000, data))
    assert len(picture._time_ns) <= 2 * _COLUMNS and picture._gaps_ns == []
    picture.add_samples(SampleBlock(np.array([10**13, 10**13 + 1]), np.array([[np.nan] * 6, [0.0] * 6], np.float32)))
    assert picture._gaps_ns == [(200_465 * 20_000_000, 10**13 + 1)]
    assert picture._high[:, 0].max() == 99.0
