"""What several of the daemon's tests use."""

import pytest

from motionsig.daemon import loop, switching


@pytest.fixture(autouse=True)
def clock_that_is_set(monkeypatch):
    """A daemon in this process takes the clock for right, whether or not a time server has set this machine's."""
    monkeypatch.setattr(loop, "clock_is_set", lambda: True)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Where installed models are."""
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(switching, "_FIRST_PAUSE_S", 0.0)
    return tmp_path / "models"
