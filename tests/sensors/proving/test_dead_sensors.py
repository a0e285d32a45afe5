"""What `prove` says of sensors that are dead as a whole, and of clones that keep registers without heeding them."""

from __future__ import annotations

import numpy as np
import pytest

from motionsig.sensors import CHIPS
from motionsig.sensors.proving import Proof, prove
from motionsig.sensors.simulated import SimulatedBus, SimulatedChip, VirtualClock, simulated_chip
from motionsig.sensors.simulated.hand import Hand


def proof_of(name: str, *, dead: slice = slice(0), keeps: int | None = None) -> Proof:
    """Return the proof of a chip of which some axes are dead, or that only keeps what is written to a register."""
    clock = VirtualClock()
    hand = Hand(clock, 1)

    def signal(serials: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        felt = hand.signal(serials, times_ns)
        felt[:, dead] = 0
        return felt

    model = simulated_chip(name, clock=clock, signal=signal)
    if keeps is not None:
        only_keep(model, keeps)
    return prove(SimulatedBus([model], clock=clock), CHIPS[name], model.address, clock=clock, guide=hand.guide)


def only_keep(model: SimulatedChip, register: int) -> None:
    kept: dict[int, int] = {}
    write, read = model.write_register, model.read_register

    def keep(at: int, value: int) -> None:
        if at == register:
            kept[at] = value
        else:
            write(at, value)

    model.write_register = keep  # type: ignore[method-assign]
    model.read_register = lambda at: kept[at] if at in kept else read(at)  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("dead", "said"),
    [(slice(0, 3), "acc never"), (slice(3, 6), "gyr never"), (slice(0, 6), "acc and gyr never")],
)
@pytest.mark.parametrize("name", ["mpu6500", "lsm6dso"])
def test_a_sensor_that_is_dead_as_a_whole_is_named(name: str, dead: slice, said: str) -> None:
    (wrong,) = proof_of(name, dead=dead).wrong
    assert (wrong.kind, wrong.words.startswith(said)) == ("dead axis", True)


@pytest.mark.parametrize(
    ("register", "kinds"),
    [
        (0x1B, {"ranges of gyr", "width"}),
        (0x1C, {"scale of acc"}),
        (0x19, {"rate", "level"}),
        (0x1A, {"rate", "level"}),
    ],
)
def test_a_clone_that_keeps_a_register_and_does_not_heed_it_is_not_proved(register: int, kinds: set[str]) -> None:
    found = proof_of("mpu6500", keeps=register)
    assert not found.proved
    assert {it.kind for it in found.wrong} & kinds, found.verdict


def test_what_was_not_seen_is_said_beside_the_verdict() -> None:
    found = proof_of("icm20649")
    assert found.proved
    assert found.verdict == "proved: this chip does what the table of icm20649 says; not seen: self-test"
