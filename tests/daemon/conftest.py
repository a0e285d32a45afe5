"""What several of the daemon's tests use."""

import pytest

from motionsig.daemon import switching


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Where installed models are."""
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr(switching, "_FIRST_PAUSE_S", 0.0)
    return tmp_path / "models"
