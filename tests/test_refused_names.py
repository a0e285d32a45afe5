"""A name that is refused: what helps stands before any long list, wherever many names are known."""

from __future__ import annotations

import pytest

from motionsig.cli import main
from motionsig.errors import InputError
from motionsig.hints import did_you_mean, either, refused
from motionsig.options import parse_options
from motionsig.recordings.names.chips import CHIPS, find_chips
from motionsig.sensors.serial.port import require_baud

MANY = [f"part{at}" for at in range(30)]


def test_few_names_are_listed_at_once() -> None:
    said = "expected one of moving, still or a folder, got 'stil'; did you mean still?"
    assert refused("stil", {"still", "moving"}, what="a head", besides=" or a folder") == said
    assert refused("x", [], what="a head") == "expected one of none, got 'x'"


def test_of_many_names_the_nearest_come_first_and_all_of_them_last() -> None:
    said = refused("part299", MANY, what="a part")
    assert said.startswith("expected a part, got 'part299'; did you mean part29, part")
    assert said.index("part17") > said.index("? there are ")
    listed = refused("zzz", MANY, what="a part", listing="`motionsig parts` lists them")
    assert listed == "expected a part, got 'zzz'; `motionsig parts` lists them"


def test_names_in_words() -> None:
    assert (either(["a"]), either(["a", "b", "c"])) == ("a", "a, b or c")
    assert did_you_mean("recrd", ["record", "rec-rd-s"]) == "; did you mean record?"
    assert did_you_mean("zzz", ["record"]) == "" == did_you_mean("z" * 10**6, ["record"])


def test_an_option_that_is_like_another() -> None:
    with pytest.raises(InputError, match=r"^reader: expected an option, got 'acc_unt'; did you mean acc_unit\? the op"):
        parse_options({"acc_unt": "g"}, {"acc_unit": "str", "zone": "str"}, where="reader:")


def test_a_chip_that_made_counts() -> None:
    with pytest.raises(InputError) as error:
        find_chips("MPU605O")
    assert str(error.value).startswith(
        "chip: expected a chip whose counts are known, got 'MPU605O'; did you mean MPU60"
    )
    assert str(error.value).endswith(", ".join(sorted(chip.name for chip in CHIPS)))


def test_a_speed_of_a_serial_port() -> None:
    with pytest.raises(InputError, match=r"^baud: expected a speed such as 9600 or 19200, got 12345; there are 50, 75"):
        require_baud(12345, where="baud: ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["record", "--out", "x.msig", "--sensor", "mpu60500"], "sensor: expected the name of a sensor, got"),
        (["sensors", "--prove", "--chip", "mpu60500"], "--chip: expected the name of a chip, got"),
    ],
)
def test_a_chips_name_on_the_command_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    listed = "`motionsig sensors --chips` lists the 30 chips"
    assert capsys.readouterr().err == f"motionsig: {says} 'mpu60500'; did you mean mpu6050? {listed}\n"
