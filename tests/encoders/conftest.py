"""The double of the Edge TPU's library, a model for it, and its answers."""

import fake_edgetpu as fake
import numpy as np
import pytest
from edgetpu_runs import (
    WINDOWS,
    batch,
    plug,
)

from motionsig.encoders.host import HostEncoder
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.model_card import load_card


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return fake.build(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fake.fake_model(tmp_path_factory.mktemp("models") / "fake")


@pytest.fixture(scope="module")
def data(motion):
    return motion(0, 50, count=WINDOWS * 128).reshape(WINDOWS, 128, 6)


@pytest.fixture(scope="module")
def answers(tmp_path_factory, model, data):
    windows = np.concatenate([load_card(model).golden().windows, data])
    return fake.write_answers(tmp_path_factory.mktemp("answers") / "answers", load_card(model), windows)


@pytest.fixture
def control(tmp_path, answers, library, monkeypatch):
    """The double in place of libedgetpu, with nothing wrong yet, and a state directory of the test's own."""
    control = fake.Control(tmp_path / "control", answers, fake.QUICK_US)
    control.write()
    for name, value in control.environment(library).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return control


@pytest.fixture
def root(tmp_path):
    """A machine with an Edge TPU in one of its USB ports."""
    plug(tmp_path / "machine", "1-1.4")
    return tmp_path / "machine"


@pytest.fixture(scope="module")
def twin(model, data):
    """What the CPU makes of all windows."""
    return HostEncoder(load_card(model), LiteRtNetwork(load_card(model))).encode(batch(data))
