"""Units as people write them, scales, and what a count of a chip is."""

from __future__ import annotations

import math

import pytest

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError
from motionsig.recordings.names import COUNTS, count_units, factor, is_unit, likely_chips, unit_of

DEG = math.pi / 180


@pytest.mark.parametrize(
    ("quantity", "text", "expected"),
    [
        ("acc", "m/s^2", 1),
        ("acc", "m/s²", 1),
        ("acc", "M/S/S", 1),
        ("acc", "(m s^-2)", 1),
        ("acc", "cm/s^2", 0.01),
        ("acc", "g", STANDARD_GRAVITY),
        ("acc", "G", STANDARD_GRAVITY),
        ("acc", "milli-g", STANDARD_GRAVITY / 1000),
        ("acc", "0.061 mg", 0.061e-3 * STANDARD_GRAVITY),
        ("acc", "0.061mg/LSB", 0.061e-3 * STANDARD_GRAVITY),
        ("acc", "1/16384 g", STANDARD_GRAVITY / 16384),
        ("acc", "2/32768 g", STANDARD_GRAVITY / 16384),
        ("acc", "2 g / 32768", STANDARD_GRAVITY / 16384),
        ("acc", "g/16384", STANDARD_GRAVITY / 16384),
        ("acc", "16384 LSB/g", STANDARD_GRAVITY / 16384),
        ("acc", "0.01 m/s^2", 0.01),
        ("gyr", "rad s^-1", 1),
        ("gyr", "°/s", DEG),
        ("gyr", "dps", DEG),
        ("gyr", "mdps", DEG / 1000),
        ("gyr", "1/131 deg/s", DEG / 131),
        ("gyr", "65.5 LSB/dps", DEG / 65.5),
        ("gyr", "131 LSB/(deg/s)", DEG / 131),
        ("gyr", "8.75 mdps/LSB", 8.75e-3 * DEG),
        ("gyr", "rpm", math.pi / 30),
        ("time", "ms", 1e6),
        ("time", "0.1 ms", 1e5),
        ("time", "100ns", 100),
    ],
)
def test_factors_to_si(quantity: str, text: str, expected: float) -> None:
    assert factor(quantity, text) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [("acc", ""), ("acc", "deg/s"), ("gyr", "g"), ("gyr", "m/s^2"), ("time", "g"), ("acc", "1/0 g"), ("acc", "0 g"),
     ("acc", "1e999 g"), ("acc", "-1 g"), ("acc", "1/16384"), ("acc", "16384")],
)  # fmt: skip
def test_what_is_no_unit(quantity: str, text: str) -> None:
    with pytest.raises(InputError, match=f"{quantity}_unit: expected '"):
        factor(quantity, text)


def test_counts_need_their_scale() -> None:
    with pytest.raises(InputError, match=r"1/16384 g.*counts say nothing without their scale"):
        factor("acc", "counts")
    assert unit_of("LSB") == ("counts", COUNTS)


def test_a_range_is_no_unit() -> None:
    assert unit_of("2g") is None
    assert unit_of("2000 dps") is None
    assert unit_of("0.061 mg/LSB") == ("acc", "0.061 mg")


@pytest.mark.parametrize("text", ["g", "ms", "°C", "uT", "deg/s", "[m/s^2]", "LSB", "%", "mV", "16384 LSB/g"])
def test_a_row_of_units_is_known(text: str) -> None:
    assert is_unit(text)


@pytest.mark.parametrize("text", ["", "acc_x", "walk", "0.5", "12", "x" * 1000])
def test_no_row_of_units(text: str) -> None:
    assert not is_unit(text)


def test_units_read_from_names_are_units_to_factor() -> None:
    for text in ("1/16384 g", "0.1 ms", "8.75 mdps/LSB", "16384 LSB/g", "°/s", "g/2048"):
        unit = unit_of(text)
        assert unit is not None
        assert factor(unit.quantity, unit.text) == pytest.approx(factor(unit.quantity, text))


@pytest.mark.parametrize(
    ("chip", "ranges", "expected"),
    [
        ("MPU6050", {}, ("1/16384 g", "1/131 deg/s")),
        ("mpu-6050", {"acc_range_g": 8, "gyr_range_dps": 2000}, ("1/4096 g", "1/16.4 deg/s")),
        ("GY-85 (ADXL345 + ITG3200)", {}, ("1/256 g", "1/14.375 deg/s")),
        ("ICM-42688-P", {}, ("1/2048 g", "1/16.4 deg/s")),
        ("BMI270", {"acc_range_g": 2.0}, ("1/16384 g", "1/16.384 deg/s")),
        ("QMI8658", {"gyr_range_dps": 512}, ("1/16384 g", "1/64 deg/s")),
        ("L3G4200D", {}, ("", "1/114.2857143 deg/s")),
    ],
)
def test_what_a_count_is(chip: str, ranges: dict[str, float], expected: tuple[str, str]) -> None:
    assert count_units(chip, **ranges) == expected


def test_st_counts_are_those_of_its_data_sheets() -> None:
    acc, gyr = count_units("LSM6DSOX", acc_range_g=16, gyr_range_dps=2000)
    assert factor("acc", acc) == pytest.approx(factor("acc", "0.488 mg"))
    assert factor("gyr", gyr) == pytest.approx(factor("gyr", "70 mdps"))
    # One more digit is another chip, with ranges of its own.
    assert count_units("LSM6DSO32")[0] == f"1/{1 / 0.122e-3:.10g} g"


def test_a_chip_or_range_that_is_not_known() -> None:
    with pytest.raises(InputError, match=r"chip: expected a chip whose counts are known, got 'ABC1'; .*MPU6050"):
        count_units("ABC1")
    with pytest.raises(InputError, match="acc_range_g: expected a range of the MPU6050: 2, 4, 8, 16, got 3"):
        count_units("MPU6050", acc_range_g=3)


@pytest.mark.parametrize(
    ("chip", "acc_range_g", "gyr_range_dps", "acc", "gyr"),
    [
        ("LSM9DS0", 6, 2000, "1/5464.480874 g", "1/14.28571429 deg/s"),
        ("ISM330DHCX", 16, 4000, "1/2049.180328 g", "1/7.142857143 deg/s"),
        ("LSM6DSV16X", None, None, "1/16393.44262 g", "1/228.5714286 deg/s"),
        ("ICM-42688-P", None, 125, "1/2048 g", "1/262 deg/s"),
        ("BMI085", None, None, "1/8192 g", "1/16.384 deg/s"),
    ],
)
def test_chips(chip: str, acc_range_g: float | None, gyr_range_dps: float | None, acc: str, gyr: str) -> None:
    assert count_units(chip, acc_range_g, gyr_range_dps) == (acc, gyr)


def test_chips_by_their_counts_at_rest() -> None:
    assert ("MPU6050", 2) in [(chip.name, size) for chip, size in likely_chips(16500)]
    assert ("ADXL345", 2) in [(chip.name, size) for chip, size in likely_chips(258)]
    assert likely_chips(9.81) == ()
