"""What `prove` says of every chip's model, right and with planted misreadings, in the hands of a scripted person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chips.planted import PLANTS, proof

from motionsig.sensors import CHIPS
from motionsig.sensors.chips import Set
from motionsig.sensors.owner import HeldError, own
from motionsig.sensors.proving import STEPS, Proof, examine, prove
from motionsig.sensors.simulated import Faults, Oscillator, SimulatedBus, VirtualClock, simulated_chip
from motionsig.sensors.simulated.hand import Hand

EVERY = pytest.mark.parametrize("name", CHIPS)
PROOFS: dict[str, Proof] = {}
IN_THE_TABLE = [name for name, plant in PLANTS.items() if not (plant.acc or plant.gyr or plant.slips or plant.slips_at)]
ALONE = [name for name in IN_THE_TABLE if not name.startswith(("rates", "one rate", "level", "FIFO", "clock"))]
"""Plants that change nothing of what is asked of the chip: the evidence of the right table will do."""


def clean(name: str) -> Proof:
    """Return the proof of a chip with its own table, which is made once."""
    if name not in PROOFS:
        PROOFS[name] = proof(CHIPS[name])
    return PROOFS[name]


def kinds(found: Proof) -> set[str]:
    return {it.kind for it in found.wrong}


@EVERY
def test_every_chip_is_proved_by_its_model_and_what_is_wrong_in_its_table_is_named(name: str) -> None:
    """Two misreadings of each chip's table, so that all are tried on several."""
    found, chip = clean(name), CHIPS[name]
    if name == "mpu6880":
        # Its table has the smaller of two sizes that are told of it, its model the larger.
        assert [it.kind for it in found.wrong] == ["FIFO size"]
        assert "1330 bytes and more, the table says 512" in found.verdict
        return
    assert found.proved, found.verdict
    assert found.verdict.startswith(f"proved: this chip does what the table of {name} says")
    seen = {it.kind for it in found.findings if it.state == "proved"}
    assert seen >= {"bus", "identity", "registers", "level", "FIFO size", "rate", "clock", "order", "byte order"}
    assert seen >= {"width", "scale of acc", "axes"}
    assert ("self-test" in seen) == (chip.self_test is not None)
    assert ("scale of gyr" in seen) == bool(chip.gyro_ranges)
    fitting = [what for what in ALONE if PLANTS[what].fits(chip)]
    first = list(CHIPS).index(name)
    for what in (fitting[first % len(fitting)], fitting[(first + 5) % len(fitting)]):
        table = PLANTS[what].table(chip)
        assert table is not None
        wrong = {it.kind for it in examine(table, found.evidence) if it.state == "wrong"}
        assert wrong & set(PLANTS[what].kinds), (what, wrong)
        assert len(wrong) == 1, (what, wrong)


@pytest.mark.parametrize("what", [what for what in PLANTS if what not in ALONE])
def test_what_is_planted_in_the_bytes_or_the_clock_is_named(what: str) -> None:
    names = [name for name, chip in CHIPS.items() if name != "mpu6880" and PLANTS[what].fits(chip)]
    name = names[list(PLANTS).index(what) * 7 % len(names)]
    found = proof(CHIPS[name], PLANTS[what])
    assert kinds(found) & set(PLANTS[what].kinds), (name, found.verdict)
    assert not found.proved
    assert found.verdict.startswith("NOT proved: ")


@pytest.mark.parametrize(("what", "kind"), [("acc y x z", "axes"), ("acc z x y", "axes"), ("acc x sign", "sign")])
def test_an_accelerometers_axes_are_told_by_what_was_asked_to_point_up(what: str, kind: str) -> None:
    assert kinds(proof(CHIPS["adxl345"], PLANTS[what])) == {kind}


def test_the_numbers_are_right() -> None:
    found = {it.kind: it for it in clean("lsm6ds3").findings}
    assert found["clock"].numbers["off"] == pytest.approx(0.02, abs=1e-3)
    assert found["FIFO size"].numbers["held"] == pytest.approx(8190, rel=0.01)
    assert found["level"].numbers["unit"] == 2
    assert found["scale of gyr"].numbers["factor"] == pytest.approx(1, abs=0.06)
    turned = np.array(found["scale of gyr"].numbers["quarter_turn_deg"])
    assert turned == pytest.approx([0, 0, 90], abs=6)


@pytest.mark.parametrize("refused", ["y up", "turn"])
def test_what_the_person_does_not_do_is_open_and_not_wrong(refused: str) -> None:
    found = proof(CHIPS["mpu6500"], hand={"refuses": (refused,)})
    assert not found.wrong
    assert found.proved == (refused == "turn")
    if not found.proved:
        assert "not proved yet, for want of order" in found.verdict
        assert "not seen in time: y up" in found.verdict


def test_a_slow_bus_a_refused_transaction_and_a_slow_hand_are_no_faults_of_the_table() -> None:
    chip = CHIPS["icm20689"]
    clock = VirtualClock()
    hand = Hand(clock, 3, late_s=6.0, takes_s=2.5)
    model = simulated_chip(chip.name, clock=clock, signal=hand.signal, oscillator=Oscillator(skew=-0.045, drift=300e-6))
    bus = SimulatedBus([model], clock=clock, clock_hz=100_000, faults=Faults(nack=0.02))
    found = prove(bus, chip, model.address, clock=clock, guide=hand.guide)
    assert found.proved, found.verdict
    assert found.evidence.retries > 10


def test_a_person_who_lays_it_down_late_is_waited_for() -> None:
    """The ranges are compared at rest; while it moves, each is tried again."""
    chip, clock = CHIPS["bmi160"], VirtualClock()
    hand = Hand(clock)
    calm_ns = clock.monotonic_ns() + 12 * 10**9

    def signal(serials: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        shaken = np.sin(times_ns[:, None] / 1e8 + np.arange(6)) * [4, 4, 4, 1, 1, 1]
        return hand.signal(serials, times_ns) + np.where(times_ns[:, None] < calm_ns, shaken, 0)

    model = simulated_chip(chip.name, clock=clock, signal=signal)
    found = prove(SimulatedBus([model], clock=clock), chip, model.address, clock=clock, guide=hand.guide)
    assert found.proved, found.verdict


def test_a_register_that_does_not_keep_its_value_is_named() -> None:
    chip = CHIPS["lsm6dso"]
    wrong = replace(chip, setup=(*chip.setup, Set(0x0F, 0x6D)))
    clock = VirtualClock()
    hand = Hand(clock)
    model = simulated_chip(chip.name, clock=clock, signal=hand.signal)
    found = prove(SimulatedBus([model], clock=clock), wrong, model.address, clock=clock, guide=hand.guide)
    assert kinds(found) == {"registers"}
    assert "register 0x0f: expected 0x6d" in found.verdict


def test_another_identity_is_named() -> None:
    evidence = clean("mpu6050").evidence
    (wrong,) = [it for it in examine(replace(CHIPS["mpu6050"], identity={0x75: 0x70}), evidence) if it.state == "wrong"]
    assert (wrong.kind, wrong.words) == ("identity", "it says 0x75: 0x68; the table says 0x75: 0x70")


def test_a_self_test_that_fails_on_one_axis_is_named_and_on_all_is_a_clone() -> None:
    chip, found = CHIPS["lsm6ds3"], clean("lsm6ds3")
    results = found.evidence.self_test
    assert not isinstance(results, str)
    for failing, state in ((1, "wrong"), (6, "open")):
        broken = tuple(replace(it, change=0.0) if at < failing else it for at, it in enumerate(results))
        (judged,) = [it for it in examine(chip, replace(found.evidence, self_test=broken)) if it.kind == "self-test"]
        assert judged.state == state


def test_the_chip_is_left_as_after_power_up_and_free() -> None:
    chip, clock = CHIPS["lsm6dso"], VirtualClock()
    hand = Hand(clock)
    model = simulated_chip(chip.name, clock=clock, signal=hand.signal)
    before, bus = dict(model.registers), SimulatedBus([model], clock=clock)
    prove(bus, chip, model.address, clock=clock, guide=hand.guide)
    assert dict(model.registers) == before
    with own(bus, model.address), pytest.raises(HeldError):
        prove(bus, chip, model.address, clock=clock, guide=hand.guide)


def test_each_step_is_told_once_in_order() -> None:
    told: list[str] = []
    chip, clock = CHIPS["lis3dh"], VirtualClock()
    hand = Hand(clock)
    model = simulated_chip(chip.name, clock=clock, signal=hand.signal)

    def guide(step: object) -> None:
        told.append(getattr(step, "name", ""))
        hand.guide(step)  # type: ignore[arg-type]

    prove(SimulatedBus([model], clock=clock), chip, model.address, clock=clock, guide=guide)
    # Without a gyroscope there is nothing to turn for.
    assert told == [step.name for step in STEPS if not step.turns]


def test_a_slow_turn_is_waited_for_to_its_end() -> None:
    """In its middle the rate is steady; a self-test there would fail."""
    chip, clock = CHIPS["mpu6050"], VirtualClock()
    hand = Hand(clock, late_s=8.0, takes_s=3.0)
    model = simulated_chip(chip.name, clock=clock, signal=hand.signal)
    found = prove(SimulatedBus([model], clock=clock), chip, model.address, clock=clock, guide=hand.guide)
    assert found.proved, found.verdict
