"""The option `columns`: what the caller says of a table."""

from __future__ import annotations

import pytest

from motionsig.errors import InputError
from motionsig.recordings.names import Part, read_names, told_part

NAMES = ["t", "u1", "u2", "u3", "g1", "g2", "g3", "wx [dps]", "wy [dps]", "wz [dps]"]


def part(told: dict[str, object], names: list[str] = NAMES) -> Part:
    return told_part(names, read_names(names), told)  # type: ignore[arg-type]


def test_names_and_numbers() -> None:
    found = part({"acc_x": "u1", "acc_y": 2, "acc_z": "u3"})
    assert (found.acc[0].columns, found.acc[0].kind, found.acc[0].sure) == ((1, 2, 3), "acc", True)
    assert (found.gyr[0].columns, found.gyr[0].unit) == ((7, 8, 9), "deg/s")  # as the names say


def test_a_sum_of_two() -> None:
    found = part({"acc_x": ["u1", "g1"], "acc_y": ["u2", "g2"], "acc_z": ["u3", "g3"]})
    user = found.acc[0]
    assert user.kind == "user"
    assert user.columns == (1, 2, 3)
    assert user.gravity is not None
    assert user.gravity.columns == (4, 5, 6)


def test_gravity_may_come_first() -> None:
    names = ["gravityX", "gravityY", "gravityZ", "u1", "u2", "u3", "gyro_x", "gyro_y", "gyro_z"]
    found = part({f"acc_{axis}": [k, k + 3] for k, axis in enumerate("xyz")}, names)
    assert found.acc[0].columns == (3, 4, 5)
    assert found.acc[0].gravity is not None
    assert found.acc[0].gravity.columns == (0, 1, 2)


def test_a_unit_of_the_column_stays() -> None:
    names = ["a [mg]", "b [mg]", "c [mg]", "gx", "gy", "gz"]
    assert part({"acc_x": "a [mg]", "acc_y": "b [mg]", "acc_z": "c [mg]"}, names).acc[0].unit == "mg"


def test_a_column_taken_for_one_quantity_is_not_offered_for_another() -> None:
    names = ["ax", "ay", "az", "gx", "gy", "gz"]
    found = part({"acc_x": "gx", "acc_y": "gy", "acc_z": "gz"}, names)
    assert found.acc[0].columns == (3, 4, 5)
    assert found.gyr == ()
    assert found.lacks == "a gyroscope"


def test_one_axis_told_and_the_others_named() -> None:
    names = ["accel_1", "acc_y", "acc_z", "gx", "gy", "gz"]
    assert part({"acc_x": "accel_1"}, names).acc[0].columns == (0, 1, 2)


def test_a_table_without_a_header() -> None:
    found = told_part([], read_names([]), {f"{each}_{axis}": k for k, (each, axis) in enumerate(
        (each, axis) for each in ("acc", "gyr") for axis in "xyz")})  # fmt: skip
    assert (found.acc[0].columns, found.gyr[0].columns) == ((0, 1, 2), (3, 4, 5))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"foo": "u1"}, "expected the keys time, acc_x, .*got 'foo'"),
        ({"acc_x": "nope"}, "expected a column for acc_x, got 'nope', where the table has 't', 'u1'"),
        ({"acc_x": 99}, "expected a column for acc_x, got 99"),
        ({"acc_x": -1}, "expected a column for acc_x, got -1"),
        ({"acc_x": "u1"}, "expected acc_y, acc_z, too, got 'acc_x'"),
        (
            {"acc_x": ["u1", "g1"], "acc_y": "u2", "acc_z": "u3"},
            "expected one column for each of acc_x to acc_z, or two",
        ),
        (
            {"gyr_x": ["u1", "g1"], "gyr_y": ["u2", "g2"], "gyr_z": ["u3", "g3"]},
            "expected one column for each of gyr_x",
        ),
    ],
)
def test_what_is_no_column(told: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"columns: {message}"):
        part(told)
