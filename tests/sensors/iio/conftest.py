import pytest
from iio_trees import Chip, Tree


@pytest.fixture
def tree(tmp_path, monkeypatch):
    # No calibration of this machine's.
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return Tree(tmp_path)


@pytest.fixture
def chip(tree):
    made = Chip(tree)
    yield made
    made.close()


@pytest.fixture
def pair(tree):
    chips = (Chip(tree, 0, "lsm6dsox_gyro", ("anglvel",)), Chip(tree, 1, "lsm6dsox_accel", ("accel",)))
    yield chips
    for each in chips:
        each.close()
