"""The unit of an angular rate by the step between its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from made_motion import motion

from motionsig.plausibility.rotation import gyr_scales
from motionsig.plausibility.steps import chip_step

ACC, GYR = motion(60)
DEGREES = np.degrees(GYR)
STEPS_DPS = [250 / 32768, 1 / 16.4, 0.07, 0.00875]


@pytest.mark.parametrize("dps", STEPS_DPS)
@pytest.mark.parametrize(("unit", "of_dps"), [("deg/s", 1.0), ("rad/s", np.pi / 180), ("mdps", 1000.0)])
def test_the_step_of_a_chip_shows_the_unit(dps: float, unit: str, of_dps: float) -> None:
    # An offset that was taken away is none of the steps.
    step = chip_step((dps * np.rint(DEGREES / dps) - (0.0031, 0.0012, -0.005)) * of_dps)
    assert step is not None and step.unit == unit
    assert step.dps == pytest.approx(dps, rel=0.01)


def test_texts_of_few_decimals_show_a_coarse_step() -> None:
    step = chip_step(np.round(0.0625 * np.rint(DEGREES / 0.0625), 2))
    assert step is not None and (step.unit, step.dps) == ("deg/s", 0.0625)


def test_rounding_noise_and_counts_show_no_step() -> None:
    assert chip_step(np.round(DEGREES, 2)) is None
    assert chip_step(np.round(0.06104 * np.rint(DEGREES / 0.06104), 1)) is None
    assert chip_step(DEGREES) is None
    assert chip_step(DEGREES.astype(np.float32)) is None
    assert chip_step(np.rint(DEGREES * 131)) is None
    assert chip_step(np.zeros((100, 3))) is None


def test_a_step_decides_where_turns_do_not() -> None:
    # Two seconds are too short for turns.
    short, slow = ACC[:100], 0.1 * DEGREES[:100]
    assert gyr_scales(short, slow, 50).verdict == "undecided"
    for rate_hz in (50, np.nan):
        evidence = gyr_scales(short, 250 / 32768 * np.rint(slow * 32768 / 250), rate_hz)
        assert (evidence.verdict, evidence.unit) == ("decided", "deg/s"), evidence.words
        assert "step of a chip" in evidence.words


def test_turns_that_refute_the_unit_of_a_step_win() -> None:
    # Rounded to 1/16 rad/s, which looks like the step of a chip in deg/s.
    assert gyr_scales(ACC, 0.0625 * np.rint(GYR / 0.0625), 50).unit == "rad/s"


def test_what_is_likely_is_the_guess_and_no_more() -> None:
    for unit, si in (("deg/s", np.pi / 180), ("rad/s", 1.0), ("0.5 rad/s", 0.5)):
        evidence = gyr_scales(ACC[:100], GYR[:100], 50, {unit: si})
        assert (evidence.verdict, evidence.unit) == ("undecided", unit), evidence.words
    refuted = gyr_scales(ACC, GYR, 50, {"deg/s": np.pi / 180})
    assert (refuted.verdict, refuted.unit) == ("decided", "rad/s")
