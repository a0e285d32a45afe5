"""SPI at the chips' end: what each data sheet says of the wires, and a device that speaks so to the models.

A frame is what is clocked while the select line is low: the first byte says read or write and the register, and what is
received meanwhile is as long. Nobody acknowledges: a chip without power or that sleeps leaves its line as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from motionsig.sensors.bus import BusError
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated import Faults, SimulatedBus, SimulatedChip
from motionsig.sensors.simulated.chip import Nack

MESSAGE_S = 40e-6
"""What the kernel takes for a message, beside the bits on the wires."""


@dataclass(frozen=True)
class Wire:
    """What a data sheet says of SPI.

    most_hz: the fastest clock for all registers. counts: the bit of the first byte that makes further bytes come from
    the next registers; 0: they always do. off: register, mask and value with which I2C is off; dead: with which SPI is.
    wakes: after power-up and reset it speaks I2C until the select line has risen once. entry_s: from the end of one
    entry of the FIFO to the first byte of the next, at least.
    """

    most_hz: int
    counts: int = 0
    off: tuple[int, int, int] | None = None
    dead: tuple[int, int, int] | None = None
    wakes: bool = False
    entry_s: float = 0.0


# I2C_IF_DIS: USER_CTRL (0x6A) bit 4; on the ICM-20602 I2C_IF (0x70) bit 6; on the ICM-20948 bank 0, 0x03.
_MPU_OFF = (0x6A, 0x10, 0x10)
_MPU = Wire(1_000_000, off=_MPU_OFF)
# UI_SIFS_CFG in INTF_CONFIG0 (0x4C): 2 disables SPI, 3 disables I2C.
_ICM426 = Wire(24_000_000, off=(0x4C, 0x03, 0x03), dead=(0x4C, 0x03, 0x02))
# I2C_disable: CTRL4_C (0x13) bit 2; on the LSM9DS1 CTRL_REG9 (0x23) bit 2.
_LSM6 = Wire(10_000_000, off=(0x13, 0x04, 0x04))

WIRES: dict[str, Wire] = {
    # As an MPU-6000, which says the same of itself; it has no bit that its I2C model knows.
    "mpu6050": Wire(1_000_000),
    **dict.fromkeys(("mpu6500", "mpu9250", "mpu9255"), _MPU),
    **dict.fromkeys(("mpu6515", "mpu6880", "icm20608", "icm20608d", "iam20680"), _MPU),
    **dict.fromkeys(("icm20602", "icm20600", "mpu6886"), Wire(10_000_000, off=(0x70, 0x40, 0x40))),
    "icm20689": Wire(8_000_000, off=_MPU_OFF),
    **dict.fromkeys(("icm20948", "icm20649"), Wire(7_000_000, off=(0x03, 0x10, 0x10))),
    **dict.fromkeys(("icm42605", "icm42688p", "icm42686p"), _ICM426),
    **dict.fromkeys(("lsm6ds3", "lsm6ds3trc", "lsm6dso", "lsm6dsox", "lsm6dso32", "lsm6dsr"), _LSM6),
    # I2C_I3C_disable: IF_CFG (0x03) bit 0.
    **dict.fromkeys(("lsm6dsv16x", "lsm6dsv32x"), Wire(10_000_000, off=(0x03, 0x01, 0x01))),
    "lsm9ds1": Wire(10_000_000, off=(0x23, 0x04, 0x04)),
    "bmi160": Wire(10_000_000, wakes=True),
    # Between 0x37 and the FIFO's next entry 5 us must pass; the register's byte counts ("FIFO", Rev. G).
    "adxl345": Wire(5_000_000, counts=0x40, entry_s=5e-6),
    "lis3dh": Wire(10_000_000, counts=0x40),
}


@dataclass(frozen=True)
class Loose:
    """What is wrong with the wires: what becomes of a frame on its way to the chip, and of what it says meanwhile."""

    hears: Callable[[bytes], bytes] = bytes
    says: Callable[[bytes, random.Random], bytes] = lambda answer, _: answer
    above_hz: int = 0
    """Only with a faster clock than this."""


def _late(data: bytes) -> bytes:
    """Return the bits, each where the next one was."""
    return (int.from_bytes(data, "big") >> 1).to_bytes(len(data), "big")


def _early(data: bytes) -> bytes:
    return (int.from_bytes(data, "big") << 1 & (1 << 8 * len(data)) - 1).to_bytes(len(data), "big")


def _some_late(answer: bytes, chance: random.Random) -> bytes:
    return bytes(it >> 1 if chance.random() < 0.02 else it for it in answer)


LOOSE: dict[str, tuple[Loose, str]] = {
    "MISO floats high": (Loose(says=lambda answer, _: b"\xff" * len(answer)), "only ones.* MISO"),
    "MISO floats low": (Loose(says=lambda answer, _: bytes(len(answer))), "only zeros.* MISO"),
    "MISO is noise": (Loose(says=lambda answer, chance: chance.randbytes(len(answer))), "other values each time"),
    "MOSI is held low": (Loose(hears=lambda frame: bytes(len(frame))), "only ones.* MOSI"),
    "MOSI is held high": (Loose(hears=lambda frame: b"\xff" * len(frame)), "(in every register.*|only zeros.*)MOSI"),
    "the read bit is lost": (Loose(hears=lambda frame: bytes((frame[0] & 0x7F, *frame[1:]))), "only ones.* no read"),
    "a mode in which the chip hears late": (Loose(hears=_late), "only ones"),
    "a mode in which bits come late": (Loose(says=lambda answer, _: _late(answer)), "comes one bit late"),
    "a mode in which bits come early": (Loose(says=lambda answer, _: _early(answer)), "comes one bit early"),
    "the clock is too fast": (Loose(says=_some_late, above_hz=300_000), "it says steadily who it is at 250 kHz only"),
}
"""Faults of the wires, and what is to be said of them."""


class SimulatedSpi(SimulatedBus):
    """A select line with one model behind it. idle: what its data line reads as while nobody drives it."""

    most_bytes = 4096

    def __init__(
        self, chip: SimulatedChip, wire: Wire, *, clock: Clock, faults: Faults | None = None, idle: int = 0xFF
    ) -> None:
        super().__init__([chip], clock=clock, faults=faults, name="/dev/spidev0.0")
        self.chip, self.wire, self.idle = chip, wire, idle
        self.sent: list[bytes] = []
        self.loose = Loose()
        self._noise = random.Random(1)
        self.messages = 0
        self._plugged = True
        chip.on_spi = True
        self._awake = not wire.wakes
        self._entry_ns, self._entry = -(10**9), b""
        restart = chip.restart

        def asleep_again(at_ns: int, seconds: float) -> None:
            self._awake = not wire.wakes
            restart(at_ns, seconds)

        chip.restart = asleep_again  # type: ignore[method-assign]

    def exchange(self, frames: Sequence[bytes], *, clock_hz: int, pause_s: float) -> bytes:
        """Return what the chip sends while the frames are sent to it."""
        assert max(map(len, frames)) <= self.most_bytes
        self.clock.sleep(MESSAGE_S)
        self.messages += 1
        got, late, held = bytearray(), 0.0, False
        try:
            late = self._begin(self.chip.address)
        except BusError:
            held = True  # its data line is held low
        for frame in frames:
            self._run_events()
            loose = self.loose if clock_hz > self.loose.above_hz else Loose()
            answer = loose.says(self._frame(loose.hears(frame), clock_hz), self._noise)
            got += bytes(len(frame)) if held else answer
            self.clock.sleep(pause_s)
        self.clock.sleep(late)
        return bytes(got)

    def _frame(self, frame: bytes, clock_hz: int) -> bytes:
        self.sent.append(frame)
        del self.sent[:-64]
        self.clock.sleep(8 / clock_hz)
        try:
            answer = self._answer(frame, clock_hz)
        except Nack:
            answer = b""
        self.clock.sleep(8 * (len(frame) - 1) / clock_hz)
        self._entry_ns = self.clock.monotonic_ns()
        quiet = bytes((self.idle,))
        return quiet + answer if answer else quiet * len(frame)

    def _answer(self, frame: bytes, clock_hz: int) -> bytes:
        """Let the chip act; return the bytes after the first, none from a chip that does not drive its line."""
        wire, chip = self.wire, self.chip
        if not self._plugged or self._is(wire.dead) or clock_hz > wire.most_hz:
            raise Nack
        if not self._awake:
            chip.catch_up()
            self._awake = True
            raise Nack
        read, register, size = frame[0] >> 7, frame[0] & 0x7F & ~wire.counts, len(frame) - 1
        counts = not wire.counts or bool(frame[0] & wire.counts)
        if not read:
            for at, value in enumerate(frame[1:]):
                chip.write(bytes((register + at * counts, value)))
            return b""
        if wire.entry_s and register == 0x32:
            early = self.clock.monotonic_ns() - self._entry_ns < wire.entry_s * 1e9 - 1
            self._entry = self._entry if early else chip.read(register, size)
            return self._entry[:size]
        if not counts:
            return b"".join(chip.read(register, 1) for _ in range(size))
        # The LIS3DH's model wants the bit by which I2C asks for the next registers.
        return chip.read(register | (0x80 if wire.counts and chip.address == 0x18 else 0), size)

    def unplug(self) -> None:
        """Pull the cable; the chip keeps its supply."""
        self._plugged = False

    def plug(self) -> None:
        self._plugged = True

    def _is(self, state: tuple[int, int, int] | None) -> bool:
        return state is not None and self.chip.registers.get(state[0], 0) & state[1] == state[2]

    @property
    def i2c_is_off(self) -> bool:
        """Whether other chips' frames on the same wires cannot be taken for I2C."""
        return self.wire.off is None or self._is(self.wire.off)
