"""Which of the chips with one identity it is, and whether one that says another identity is what it is taken for.

An LSM6DSO32 says of itself what an LSM6DSO says, and counts twice the acceleration. At rest both feel gravity, so a few
samples at the start tell them apart. A device that moves at the start cannot be judged: it is opened as asked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.bus import NO_ADDRESS, Bus, at
from motionsig.sensors.chips import Chip, settle
from motionsig.sensors.clock import Clock
from motionsig.sensors.families import CHIPS
from motionsig.sensors.fifo import ChipFifo
from motionsig.sensors.self_test import samples
from motionsig.sensors.spi import over_spi

log = own_logger(__name__)

_SAMPLES = 16
_STILL_MPS2, _STILL_RPS = 0.4, 0.1
"""Standard deviations of a device that lies still: noise of a cheap chip, and a desk that somebody works at."""
_TURNING_RPS = 0.5
"""A mean rate above this is a turn; what a gyroscope shows at rest is less."""
_OFF = 1.25
"""The factor by which an uncalibrated accelerometer may be off; rivals differ by two or more."""


def rivals(chip: Chip) -> tuple[Chip, ...]:
    """Return the other chips that say of themselves what `chip` says, and have another scale."""
    return tuple(
        other for other in CHIPS.values() if other.identity == chip.identity and other.accel_ranges != chip.accel_ranges
    )


def require_gravity(
    bus: Bus, chip: Chip, address: int, asked: Chip | None, *, clock: Clock, **numbers: float
) -> tuple[Chip, ChipFifo | None]:
    """Return which chip answers at `address`: `chip`, or if none was asked for its rival that measures gravity.

    With it comes its FIFO if it was set up and runs as `numbers` ask: rate_hz, accel_range_g and gyro_range_dps to
    come. Nothing is done for a chip that is alone with its identity. Raises SensorError where the device lies still and
    gravity says that it is not the chip that was asked for; InputError as `settle`.
    """
    others, taken = rivals(chip), asked is not None and asked.identity != chip.identity
    if not others and not chip.twins and not taken:
        return chip, None
    setting = settle(chip, **numbers)
    where = f"{chip.name} on {bus.name}{at(address)}"
    names = " or ".join((*(other.name for other in others), *chip.twins))
    doubt = f"{names} says the same of itself, with another scale" if names else "it says another identity"
    fifo = ChipFifo(bus, chip, address, setting, clock)
    try:
        fifo.configure()
        counts = samples(fifo, clock, _SAMPLES)
    except SensorError as error:
        # The reader starts it anew, and says what is wrong if that fails.
        log.debug("%s: gravity was not measured: %s", where, error)
        return chip, None
    at_rest = _at_rest(counts * setting.scale)
    if at_rest is None:
        # Who named the chip knows; with "auto" it is a guess.
        say = log.info if asked is not None and not taken else log.warning
        say("%s moves, so gravity cannot tell whether it is one: %s; name the chip, or open it at rest", where, doubt)
        return chip, fifo
    for candidate in (chip, *others):
        felt = at_rest * _scale(candidate, chip, setting.accel_range_g) / setting.scale[0]
        if not _is_gravity(felt):
            continue
        if candidate is not chip and asked is not None:
            raise SensorError(
                f"{where}: expected {STANDARD_GRAVITY:.1f} m/s² at rest, got {at_rest:.1f}: it is a {candidate.name}, "
                f"which says the same of itself and has another scale; open it as {candidate.name!r}"
            )
        if candidate is not chip:
            log.info("%s: gravity says that it is a %s, which says the same of itself", where, candidate.name)
            return over_spi(candidate) if NO_ADDRESS in chip.addresses else candidate, None
        return chip, fifo
    for twin, times in chip.twins.items():
        if _is_gravity(at_rest * times):
            raise SensorError(
                f"{where}: expected {STANDARD_GRAVITY:.1f} m/s² at rest, got {at_rest:.2f}: it is an {twin}, which "
                "says the same of itself and which motionsig does not read"
            )
    if taken:
        raise SensorError(
            f"{where}: expected {STANDARD_GRAVITY:.1f} m/s² at rest, got {at_rest:.1f}: it is no {chip.name}, and "
            "its identity says so, too; try chip= with another one (`motionsig sensors` says what it is near)"
        )
    log.warning("%s: expected gravity of %.1f m/s² at rest, got %.1f", where, STANDARD_GRAVITY, at_rest)
    return chip, fifo


def _is_gravity(felt: float) -> bool:
    return STANDARD_GRAVITY / _OFF < felt < STANDARD_GRAVITY * _OFF


def _at_rest(data: NDArray[np.float32]) -> float | None:
    """Return the mean |acc| in m/s² of a device at rest, or None for one that moves."""
    acc, gyr = data[:, :3], np.nan_to_num(data[:, 3:])
    still = acc.std(axis=0).max() < _STILL_MPS2 and gyr.std(axis=0).max() < _STILL_RPS
    return float(np.linalg.norm(acc.mean(axis=0))) if still and abs(gyr.mean(axis=0)).max() < _TURNING_RPS else None


def _scale(candidate: Chip, chip: Chip, accel_range_g: float) -> float:
    """Return the candidate's m/s² per count under the bits that are the range of `chip`."""
    bits = chip.accel_ranges[accel_range_g].bits
    return next(each.scale for each in candidate.accel_ranges.values() if each.bits == bits)
