"""Chips on SPI, read through the same tables as on I2C.

SPI has no addresses: each chip has a select line, and the kernel gives each line a device, /dev/spidevB.C. It has no
acknowledgement either: a chip that is not there reads as all ones or all zeros, so no transaction fails, and only what
is read (identity, registers that were written, the data) tells whether a chip is there.

`SpiBus` makes frames of a chip's transactions: the register with the bit for a read, then the bytes. `Spidev` exchanges
frames through the kernel. `over_spi` returns the chip's table with what SPI changes in it; so the reader, the FIFO and
the self-test are the same for both.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from motionsig.closing import Closing
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.locks import name_again
from motionsig.sensors.bus import NO_ADDRESS, BusError
from motionsig.sensors.chips import Chip, Set, Step, Until
from motionsig.sensors.clock import Clock, SystemClock
from motionsig.sensors.families import CHIPS
from motionsig.sensors.owner import own
from motionsig.sensors.registers import RegisterError, Registers
from motionsig.sensors.wires import LOOSE, SLOWER_HZ, ask, fault, steady

log = own_logger(__name__)

USUAL_HZ = 4_000_000
"""The clock where the chip allows it: twice what any chip's fastest rate needs, and slow enough for loose wires."""
MOST_BYTES = 4096
"""Of a message, where the kernel does not tell (drivers/spi/spidev.c, bufsiz)."""
_ALIGNED = 128
"""Each frame takes a multiple of this in the kernel's buffer (spidev_message: the most that ARCH_DMA_MINALIGN is)."""
_AWAKE_S = 0.2
"""After a reset a chip says who it is by then: the slowest takes 0.1 s (MPU-6050, electrical specifications)."""
_SURE = 4
"""How often a chip says who it is, to be believed: of a line that picks up noise, one value in 256 is a chip's name."""
_NOBODY = {0x00, 0xFF}
"""What a data line reads as that nobody drives."""
_READ, _REGISTER = 0x80, 0x7F

# include/uapi/linux/spi/spidev.h: the mode's requests, a message of n transfers, and one transfer of it: buffers to
# send from and to receive into, length, clock in Hz, pause in us, bits a word, and whether the line rises then.
_RD_MODE, _WR_MODE, _MESSAGE = 0x80016B01, 0x40016B01, 0x40006B00
_TRANSFER = struct.Struct("=QQIIHBB4x")
_MODE, _MODE_BITS = 3, 0x0B
"""The clock's mode, of the bits that say what it is and whether the lowest bit comes first."""


class SpiDevice(Protocol):
    """A select line of SPI, and the wires it shares with others. `most_bytes`: of one frame."""

    name: str
    most_bytes: int

    def exchange(self, frames: Sequence[bytes], *, clock_hz: int, pause_s: float) -> bytes:
        """Select the chip for each frame and return all that it sent meanwhile, as many bytes; raise OSError."""

    def close(self) -> None: ...


class Spidev(Closing):
    """A device of the kernel's spidev driver, by its path, such as /dev/spidev0.0, through its own ioctl.

    It takes all frames of a reading at once, which py-spidev (setup.cfg) does not: an ADXL345 has one frame a sample.
    """

    def __init__(self, path: str, *, root: str | Path = "/") -> None:
        """Raise SensorError if it cannot be opened."""
        self.name = path
        self.nodes = (Path(path),)
        try:
            self.most_bytes = int(Path(root, "sys/module/spidev/parameters/bufsiz").read_text("ascii"))
        except (OSError, ValueError):
            self.most_bytes = MOST_BYTES
        self._file, self._told = -1, False
        try:
            self._file = os.open(self.name, os.O_RDWR | os.O_CLOEXEC)
            self._require_mode()
        except OSError as error:
            self.close()
            raise SensorError(
                f"{self.name}: expected to open it, got: {error.strerror}; {_why(self.name, error, Path(root))}"
            ) from error

    def exchange(self, frames: Sequence[bytes], *, clock_hz: int, pause_s: float) -> bytes:
        # The mode is the device's, not this file's: whoever else opens it may set another.
        if (was := self._require_mode()) != _MODE:
            what = f"its mode was {was:#x}, as another program has set it, and is {_MODE:#x} again: stop that program"
            if not self._told:
                # Nothing was sent yet, so to try again may lose nothing, and then nobody else says it.
                self._told = True
                log.warning("%s: %s", self.name, what)
            raise OSError(errno.EIO, what)
        received, room, message = b"", 0, list[bytes]()
        for frame in frames:
            size = -(-len(frame) // _ALIGNED) * _ALIGNED
            if message and room + size > self.most_bytes:
                received += self._send(message, clock_hz, pause_s)
                room, message = 0, []
            room, message = room + size, [*message, frame]
        return received + self._send(message, clock_hz, pause_s)

    def _require_mode(self) -> int:
        """Set the mode where it is another one; return those of its bits that matter, as they were."""
        mode = bytearray(1)
        fcntl.ioctl(self._file, _RD_MODE, mode)
        was = mode[0] & _MODE_BITS
        if was != _MODE:
            # The other bits say how the board is wired.
            mode[0] = mode[0] & ~_MODE_BITS | _MODE
            fcntl.ioctl(self._file, _WR_MODE, mode)
        return was

    def _send(self, frames: Sequence[bytes], clock_hz: int, pause_s: float) -> bytes:
        """Exchange frames in one message. What is received takes the place of what is sent."""
        data, table = bytearray().join(frames), bytearray()
        at, pause_us = ctypes.addressof(ctypes.c_char.from_buffer(data)), -(-round(pause_s * 1e9) // 1000)
        for last, frame in zip((*(False,) * (len(frames) - 1), True), frames, strict=True):
            # The kernel waits for 10 us more while the line is up (drivers/spi/spi.c).
            table += _TRANSFER.pack(at, at, len(frame), clock_hz, pause_us, 8, not last)
            at += len(frame)
        fcntl.ioctl(self._file, _MESSAGE | len(table) << 16, table)
        return bytes(data)

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
            name_again()


class SpiBus(Closing):
    """The chip behind one select line, as a `Bus`; no address has a meaning. Transactions raise BusError.

    name, clock_hz, chip: as given; the chip's table is the one for I2C. Raises InputError for a chip without SPI, and
    for a clock that it does not take.
    """

    def __init__(self, device: SpiDevice, chip: Chip, *, clock_hz: int | None = None) -> None:
        if chip.spi is None:
            raise InputError(f"{device.name}: expected a chip with SPI, got {chip.name}, which motionsig reads on I2C")
        if clock_hz is not None and not 0 < clock_hz <= chip.spi.clock_hz:
            raise InputError(f"bus_clock_hz: expected at most {chip.spi.clock_hz} for {chip.name}, got {clock_hz!r}")
        self.name = device.name
        self.nodes = getattr(device, "nodes", ())
        self.clock_hz = clock_hz or min(USUAL_HZ, chip.spi.clock_hz)
        self.chip = chip
        self.device, self._spi = device, chip.spi
        record = chip.record.itemsize
        # A FIFO may be left between records only, and one with single records is left after each.
        self._most = record if chip.one_by_one else (device.most_bytes - 1 - chip.spi.dummy) // record * record

    def write(self, address: int, data: bytes) -> None:
        counts_on = self._spi.burst if len(data) > 2 else 0
        self._exchange([bytes((data[0] & _REGISTER | counts_on, *data[1:]))])

    def read(self, address: int, register: int, size: int) -> bytes:
        fifo = register == self.chip.fifo_register & 0xFF
        ahead = 1 + self._spi.dummy
        sizes = self._sizes(size) if fifo else [size]
        first = {piece: _READ | register & _REGISTER | (self._spi.burst if piece > 1 else 0) for piece in sizes}
        got = self._exchange([bytes((first[piece], *bytes(ahead - 1 + piece))) for piece in sizes])
        if len(sizes) == 1:
            return got[ahead:]
        starts = range(0, len(got), ahead + sizes[0])
        return b"".join(got[start + ahead : start + ahead + sizes[0]] for start in starts)

    def transaction_s(self, size: int) -> float:
        """Return the time that a read of `size` bytes takes on the wires, of the FIFO if it is longer than a record."""
        sizes = self._sizes(size)
        return sum(8 * (1 + self._spi.dummy + piece) / self.clock_hz + self._spi.pause_s for piece in sizes)

    def close(self) -> None:
        self.device.close()

    def _sizes(self, size: int) -> list[int]:
        whole, rest = divmod(size, self._most)
        return [self._most] * whole + [rest] * (rest > 0 or not whole)

    def _exchange(self, frames: Sequence[bytes]) -> bytes:
        try:
            return self.device.exchange(frames, clock_hz=self.clock_hz, pause_s=self._spi.pause_s)
        except OSError as error:
            raise BusError(
                f"{self.name}: expected an exchange, got: {error.strerror} ({error.errno})", nack=False
            ) from error


def over_spi(chip: Chip) -> Chip:
    """Return the table of a chip as it is on SPI: with I2C off, further rates, and a FIFO that one read empties."""
    spi = chip.spi
    if spi is None:
        raise InputError(f"expected a chip with SPI, got {chip.name}, which motionsig reads on I2C")
    always = spi.always

    def steps(given: tuple[Step, ...]) -> tuple[Step, ...]:
        """These bits are written and not compared: not every chip gives them back."""
        return tuple(
            Set(step.register, step.value | always[step.register], step.mask & ~always[step.register])
            if isinstance(step, Set) and step.register in always
            else step
            for step in given
        )

    # A chip that starts does not refuse to answer, and what nobody says may look like the end of its reset. BMI160: it
    # speaks I2C after a reset until its select line has risen once, so its first answer is none.
    awake = [Until(register, 0xFF, value, _AWAKE_S) for register, value in chip.identity.items()]
    test = chip.self_test
    return replace(
        chip,
        addresses=(NO_ADDRESS,),
        rates={**chip.rates, **spi.rates},
        reset=(*steps(chip.reset), *awake, *spi.first),
        setup=steps(chip.setup),
        start=steps(chip.start),
        flush=steps(chip.flush),
        one_by_one=False,
        self_test=test and replace(test, before=steps(test.before), on=steps(test.on), off=steps(test.off)),
    )


def open_spi(
    bus: str | SpiBus, named: Chip | None, forced: Chip | None, clock_hz: int | None, clock: Clock, resources: ExitStack
) -> tuple[SpiBus, Chip]:
    """Return the bus and the table of the chip there: `named`, `forced` whatever it says, or any; raise SensorError.

    bus: the path of its device, and what is opened is closed with `resources`; or a SpiBus, which is for one chip. The
    chip is owned until they are closed.
    """
    wanted = named or forced
    if isinstance(bus, SpiBus):
        if wanted not in (None, bus.chip):
            raise InputError(f"sensor: expected {bus.chip.name}, whose bus this is, got {wanted and wanted.name!r}")
        buses = [bus]
    else:
        device = resources.enter_context(Spidev(bus))
        candidates = [wanted] if wanted else [chip for chip in CHIPS.values() if chip.spi is not None]
        # A clock that one of them does not take is none to try the others with.
        buses = [SpiBus(device, chip, clock_hz=clock_hz) for chip in candidates]
    resources.enter_context(own(buses[0], NO_ADDRESS))
    for found in buses:
        if answers(found, write=wanted is not None, clock=clock):
            return found, over_spi(found.chip)
    found, said = buses[0], _said(buses[0])
    if forced is not None and not set(said.values()) <= _NOBODY:
        log.warning(
            "%s is taken as %s, as chip= asks, although it says %s", found.name, forced.name, _hex(said.values())
        )
        return found, over_spi(replace(forced, identity=said))
    others = [chip.name for chip in chips_on(found.device, CHIPS.values())]
    raise SensorError(
        f"sensor {wanted.name if wanted else 'auto'!r}: expected it to answer on {found.name}, "
        f"got {' or '.join(others) or _heard(found.device)}"
    )


def chips_on(device: SpiDevice, chips: Iterable[Chip]) -> list[Chip]:
    """Return those of `chips` that say what the chip there says of itself. Nothing is written; raises BusError."""
    return [chip for chip in chips if chip.spi is not None and answers(SpiBus(device, chip), write=False)]


def answers(bus: SpiBus, *, write: bool, clock: Clock | None = None) -> bool:
    """Tell whether the bus's chip says that it is there. `write`: its first bank may be selected to be sure."""
    # A chip that has spoken I2C until now takes the first reading to change over.
    _said(bus)
    says_so = partial(steady, partial(_one, bus), bus.chip.identity, _SURE)
    if says_so():
        return True
    if not write or bus.chip.bank is None:
        return False
    try:
        Registers(bus, bus.chip, NO_ADDRESS, clock or SystemClock()).identify()
    except RegisterError:
        return False
    return says_so()


def _said(bus: SpiBus) -> dict[int, int]:
    """Return what the registers that name the bus's chip read as, in the bank that is selected."""
    return {register: _one(bus, register) for register in bus.chip.identity}


def _one(bus: SpiBus, register: int) -> int:
    return bus.read(NO_ADDRESS, register & 0xFF, 1)[0]


def _hex(values: Iterable[int]) -> str:
    return ", ".join(f"0x{value:02x}" for value in values)


def spidevs(*, root: str | Path = "/") -> list[str]:
    """Return the names of the SPI devices there are, such as spi0.0, in order."""
    found = (re.fullmatch(r"spidev([0-9]+)\.([0-9]+)", path.name) for path in Path(root, "dev").glob("spidev*"))
    return [f"spi{bus}.{line}" for bus, line in sorted((int(each[1]), int(each[2])) for each in found if each)]


def spi_name(path: str) -> str:
    """Return what the device of a path such as /dev/spidev0.0 is called in sysfs and in options: spi0.0."""
    return path.rpartition("/")[2].replace("spidev", "spi")


def _heard(device: SpiDevice) -> str:
    """Return what the data line says where no known chip answers, and what to do."""
    chips = [chip for chip in CHIPS.values() if chip.spi is not None]
    for clock_hz in SLOWER_HZ:
        buses = (SpiBus(device, chip, clock_hz=clock_hz) for chip in chips)
        found = [bus.chip.name for bus in buses if steady(partial(_one, bus), bus.chip.identity)]
        if found:
            return f"{' or '.join(found)} at {clock_hz / 1000:g} kHz only: {LOOSE}, such as bus_clock_hz={clock_hz}"
    registers = [register for chip in CHIPS.values() for register in chip.identity]
    once, again = ask(device, registers), ask(device, registers)
    said = ", ".join(f"0x{value:02x} in 0x{register:02x}" for register, value in once.items())
    return fault(once, again, [chip.identity for chip in chips]) or (
        f"something unknown ({said}); chip= takes it as one of `motionsig sensors --chips`"
    )


def wires_fault(bus: SpiBus, read: Callable[[int], int]) -> str | None:
    """Return why the bus's chip does not say steadily who it is, if that lies in the wires, in a line; else None.

    read: a register of the chip, whatever bank is selected.
    """
    usual_hz = bus.clock_hz
    for clock_hz in SLOWER_HZ:
        try:
            bus.clock_hz = min(usual_hz, clock_hz)
            if clock_hz < usual_hz and steady(read, bus.chip.identity):
                return f"it says steadily who it is at {clock_hz / 1000:g} kHz only: {LOOSE}"
        finally:
            bus.clock_hz = usual_hz
    asked = [register for chip in CHIPS.values() for register in chip.identity]
    return fault(ask(bus.device, asked), ask(bus.device, asked), [bus.chip.identity])


def _why(path: str, error: OSError, root: Path) -> str:
    """Return what to do about a device that does not open."""
    if error.errno in (errno.ENOENT, errno.ENXIO):
        driver = root / f"sys/bus/spi/devices/{spi_name(path)}/driver"
        if driver.exists():
            return f"the kernel's driver {driver.resolve().name} has it: open it as iio"
        return "SPI is off, or it is another one; on a Raspberry Pi: sudo raspi-config nonint do_spi 0"
    return "see `motionsig doctor`"
