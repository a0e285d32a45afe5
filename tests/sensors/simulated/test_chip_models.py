"""What every model of ST, Bosch and Analog Devices promises, talked to as its data sheet says."""

from __future__ import annotations

import pytest
from boards import IDENTITY, Board, adxl345, bmi160, lis3dh, lsm6ds3, lsm6dso, lsm9ds1
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.sensors.bus import BusError


@pytest.mark.parametrize("name", sorted(IDENTITY))
def test_who_it_is_and_that_it_sleeps(name):
    bench = Board(name)
    register, value = IDENTITY[name]
    assert bench.byte(register) == value
    bench.write(register, 0x55)
    assert bench.byte(register) == value
    bench.wait(1)
    bench.read(register)
    assert bench.chip.taken == 0


@pytest.mark.parametrize("name", sorted(IDENTITY))
def test_without_power_nobody_acknowledges_and_after_it_the_boot_takes_its_time(name):
    bench = Board(name)
    bench.chip.power_off(bench.clock.monotonic_ns())
    with pytest.raises(BusError) as caught:
        bench.read(*IDENTITY[name][:1])
    assert caught.value.nack
    bench.chip.power_on(bench.clock.monotonic_ns())
    with pytest.raises(BusError):
        bench.read(*IDENTITY[name][:1])
    bench.wait(bench.chip.boot_s)
    assert bench.byte(IDENTITY[name][0]) == IDENTITY[name][1]


@pytest.mark.parametrize("name", sorted(IDENTITY))
def test_only_bits_that_are_there_can_be_turned_over(name):
    bench = Board(name)
    register, writable = next((at, bits) for at, bits in bench.chip.writable.items() if bits not in (0, 0xFF))
    before = bench.chip.registers[register]
    for bit in range(8):
        bench.chip.flip(register, bit)
    assert bench.chip.registers[register] == before ^ writable


@pytest.mark.parametrize("name", sorted(IDENTITY))
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_any_traffic_is_answered_and_resets_leave_the_defaults(name, data):
    bench = Board(name)
    registers = sorted(bench.chip.defaults)
    for _ in range(data.draw(st.integers(1, 12))):
        bench.wait(data.draw(st.floats(0.0005, 0.5)))
        register, value = data.draw(st.sampled_from(registers)), data.draw(st.integers(0, 255))
        try:
            if data.draw(st.booleans()):
                bench.write(register, value)
            else:
                size = data.draw(st.integers(1, 64))
                assert len(bench.read(register, size)) == size
        except BusError:  # it was told to leave the bus
            break
    bench.chip.power_off(bench.clock.monotonic_ns())
    bench.chip.power_on(bench.clock.monotonic_ns())
    assert bench.chip.registers == bench.chip.defaults
    assert bench.chip.fifo.level == 0


@pytest.mark.parametrize("skew", [-0.05, 0.05])
@pytest.mark.parametrize("start", [lsm6ds3, lsm6dso, lsm9ds1, bmi160, adxl345, lis3dh])
def test_the_chips_own_clock_decides_how_many_samples_there_are(start, skew):
    bench = start(skew=skew)
    before, rate_hz = bench.chip.taken, bench.chip.sampling_hz()
    bench.wait(20)
    bench.read(0x0F)
    assert bench.chip.taken - before == pytest.approx(20 * rate_hz * (1 + skew), abs=2)
