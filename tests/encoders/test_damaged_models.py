"""A few hundred damaged and hostile models; `scripts/trials/damaged_models.py` reads as many as are asked for."""

import pytest
from damaged_models import KINDS
from read_models import outcome
from whole_model import write, write_log

from motionsig.encoders import open_encoder
from motionsig.model_card import load_card


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    return folder / "model", write_log(folder / "log.csv")


def test_the_whole_model_is_one(place):
    write(place[0], {})
    assert not load_card(place[0]).altered
    with open_encoder(place[0], "reference") as encoder:
        assert encoder.card.name == "small"


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_whatever_is_damaged_is_refused_or_said(place, kind):
    for number in range(kind, kind + 12 * len(KINDS), len(KINDS)):
        # What LiteRT makes of a network in this process's fork is for the script: this process has other threads.
        outcome(number, *place, in_child=False)
