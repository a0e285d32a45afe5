"""State and heads of each test's own."""

import pytest

from motionsig.control import children
from motionsig.control import loop as control_loop
from motionsig.daemon import loop


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "roots"))
    monkeypatch.setattr(loop, "clock_is_set", lambda: True)
    monkeypatch.setattr(loop, "_FIRST_PAUSE_S", 0.2)
    # A machine under load may stand still for longer than a service lets an ask wait.
    for module in (control_loop, children):
        monkeypatch.setattr(module, "LIMIT_S", 60.0)
