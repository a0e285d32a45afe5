"""A CP2112, Silicon Labs' USB bridge to I2C, through /dev/uhid: the kernel's own driver and adapter, simulated chips.

Reports after AN495 rev. 0.2, as far as drivers/hid/hid-cp2112.c asks; uhid events: include/uapi/linux/uhid.h.
Nobody at an address is reported as the CP2112 does, by a time-out.
"""

import os
import select
import struct
import threading

from motionsig.sensors.bus import BusError

CREATE2, DESTROY, OUTPUT, GET_REPORT, GET_REPORT_REPLY, INPUT2, SET_REPORT, SET_REPORT_REPLY = (
    *(11, 1, 6),
    *(9, 10, 12, 13, 14),
)
EVENT_BYTES = 4380
VERSION_INFO, READ, WRITE_READ, FORCE_READ, READ_RESPONSE, WRITE, STATUS, STATUS_RESPONSE = (
    *(0x05, 0x10, 0x11, 0x12, 0x13),
    *(0x14, 0x15, 0x16),
)
COMPLETE, FAILED = (2, 5), (3, 0)
"""Status of a transfer: complete and successful; an error, timed out without an acknowledgement."""
MOST_READ = 61

DESCRIPTOR = (
    b"\x06\x00\xff\x09\x01\xa1\x01\x15\x00\x26\xff\x00\x75\x08"
    + b"".join(bytes((0x85, report, 0x95, size, 0x09, 0x01, 0x81, 0x02)) for report, size in ((0x13, 63), (0x16, 6)))
    + b"\xc0"
)
"""Of the maker's own page: two input reports of bytes. What goes the other way needs no description."""


class Cp2112:
    """The bridge with `bus` behind it, served by a thread; a context manager. asked: addresses that were talked to."""

    def __init__(self, bus):
        self.bus = bus
        self.asked = set()
        self.status, self.data = COMPLETE, b""
        self.fd = os.open("/dev/uhid", os.O_RDWR | os.O_NONBLOCK)
        head = (CREATE2, b"cp2112", b"", b"", len(DESCRIPTOR), 3, 0x10C4, 0xEA90, 0, 0)
        os.write(self.fd, struct.pack("<I128s64s64sHHIIII", *head) + DESCRIPTOR.ljust(4096, b"\0"))
        self.ends, self.end = os.pipe()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        os.write(self.end, b".")
        self.thread.join()
        os.write(self.fd, struct.pack("<I", DESTROY))
        os.close(self.fd)

    def serve(self):
        while True:
            ready = select.select([self.fd, self.ends], [], [])[0]
            if self.ends in ready:
                return
            event = os.read(self.fd, EVENT_BYTES)
            kind = struct.unpack_from("<I", event)[0]
            if kind == OUTPUT:
                size = struct.unpack_from("<H", event, 4 + 4096)[0]
                self.take(event[4 : 4 + size])
            elif kind == GET_REPORT:
                number, report = struct.unpack_from("<IB", event, 4)
                # Part number and version; any other report holds what it had after power-up, as good as zeros here.
                content = bytes((report, 0x0C, 0x02)) if report == VERSION_INFO else bytes((report,)).ljust(63, b"\0")
                self.reply(struct.pack("<IIHH", GET_REPORT_REPLY, number, 0, len(content)) + content)
            elif kind == SET_REPORT:
                self.reply(struct.pack("<IIH", SET_REPORT_REPLY, struct.unpack_from("<I", event, 4)[0], 0))

    def reply(self, event):
        os.write(self.fd, event.ljust(EVENT_BYTES, b"\0"))

    def take(self, report):
        kind = report[0]
        if kind == STATUS:
            self.send(bytes((STATUS_RESPONSE, *self.status)) + struct.pack(">HH", 0, len(self.data)))
        elif kind == FORCE_READ:
            part, self.data = self.data[:MOST_READ], self.data[MOST_READ:]
            self.send(bytes((READ_RESPONSE, 2, len(part))) + part.ljust(MOST_READ, b"\0"))
        elif kind in (READ, WRITE_READ, WRITE):
            address = report[1] >> 1
            self.asked.add(address)
            try:
                self.transfer(kind, address, report)
            except BusError:
                self.status, self.data = FAILED, b""
            else:
                self.status = COMPLETE

    def transfer(self, kind, address, report):
        if kind == WRITE:
            self.bus.write(address, report[3 : 3 + report[2]])
            return
        # A read alone, with which SMBus's quick probing asks, goes on from register 0.
        register = report[5] if kind == WRITE_READ else 0
        self.data = self.bus.read(address, register, struct.unpack_from(">H", report, 2)[0])

    def send(self, content):
        os.write(self.fd, struct.pack("<IH", INPUT2, len(content)) + content.ljust(4096, b"\0"))
