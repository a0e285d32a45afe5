"""Errors come from other processes as they were raised there."""

import pickle

import pytest

from motionsig import errors
from motionsig.errors import MotionsigError, SensorError
from motionsig.recordings import open_recording
from motionsig.recordings.understanding import UndecidedError
from motionsig.sensors.bus import BusError
from motionsig.wire import MissingTablesError


@pytest.mark.parametrize(
    "error",
    [
        *(kind("a text") for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
        SensorError(5, "a text", "/dev/i2c-1"),
        BusError("a text", nack=True),
        MissingTablesError("a text", "a device"),
        UndecidedError("a text", {}),
    ],
)
def test_every_error_survives_the_way_from_a_worker(error):
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error) and str(back) == str(error) and back.args == error.args
    assert vars(back) == vars(error)
    if isinstance(error, OSError):
        assert (back.errno, back.filename) == (error.errno, error.filename)


def test_what_only_the_owner_knows_comes_from_a_worker_with_its_questions(tmp_path):
    (tmp_path / "log.csv").write_text("a,b,c\n" + "1,2,3\n" * 40)
    with pytest.raises(MotionsigError) as caught:
        open_recording(tmp_path / "log.csv")
    back = pickle.loads(pickle.dumps(caught.value))
    assert str(back) == str(caught.value) and vars(back).keys() == vars(caught.value).keys()
