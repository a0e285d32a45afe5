"""A motion sensor on a HID sensor hub, through /dev/uhid: `hid_sensor.py LOG accel [gyro]`, commands on stdin.

Report descriptor after the HID Usage Tables, page 0x20 (sensors); what the kernel asks of it: drivers/hid/
hid-sensor-hub.c and drivers/iio/common/hid-sensors. uhid events: include/uapi/linux/uhid.h. Sample n is accel(n) or
gyro(n), whether or not anybody listens; LOG gets `n monotonic_ns` of each that was sent, n modulo NUMBERS.
Commands: `pull` takes the device away, `plug` brings it back.
"""

import os
import select
import struct
import sys
import time

CREATE2, DESTROY, OPEN, CLOSE, GET_REPORT, GET_REPORT_REPLY, INPUT2, SET_REPORT, SET_REPORT_REPLY = (
    *(11, 1, 4, 5),
    *(9, 10, 12, 13, 14),
)
EVENT_BYTES = 4380

FEATURES = struct.Struct("<BBBIH")
"""Report, reporting state, power state, report interval in ms, sensitivity."""


def usage(value):
    return struct.pack("<BH", 0x0A, value)


def selector(state, choices, main):
    """Return a one-byte field that holds which of `choices` is chosen, counted from 1."""
    listed = b"".join(usage(choice) for choice in choices)
    limits = struct.pack("<BbBbBBBB", 0x15, 1, 0x25, len(choices), 0x75, 8, 0x95, 1)
    return usage(state) + limits + b"\xa1\x02" + listed + bytes([main, 0x00]) + b"\xc0"


def sensor(report, kind, x_axis, exponent, _):
    """Return the collection of one sensor: features, then state and three axes of 16 bits as input."""
    feature, variable = 0xB1, 0x02
    parts = [bytes([0x09, kind, 0xA1, 0x00, 0x85, report])]
    parts.append(selector(0x0316, range(0x0840, 0x0846), feature))
    parts.append(selector(0x0319, range(0x0850, 0x0856), feature))
    parts.append(usage(0x030E) + b"\x15\x00\x27\xff\xff\xff\x7f\x75\x20\x95\x01" + bytes([feature, variable]))
    parts.append(usage(0x030F) + b"\x15\x00\x26\xff\x7f\x75\x10\x95\x01" + bytes([feature, variable]))
    parts.append(selector(0x0201, range(0x0800, 0x0807), 0x81))
    parts.append(b"\x16\x00\x80\x26\xff\x7f\x75\x10\x95\x01\x55" + bytes([exponent & 0xF]))
    parts += [usage(x_axis + axis) + b"\x81\x02" for axis in range(3)]
    return b"".join(parts) + b"\x55\x00\xc0"


NUMBERS = 1 << 14
"""Samples that differ from each other; the first comes again after them."""


def accel(n):
    """Return x, y and z in mg of sample n: near 1 g and never at rest, so that they pass as a living sensor's."""
    low, high = n % 128, n // 128 % 128
    return low - 64, (high ^ low) - 64, 1000 + 7 * n % 32


def number(x, y):
    """Return which sample has these values of an accelerometer."""
    low = x + 64
    return low + 128 * (low ^ (y + 64))


def gyro(n):
    """Return x, y and z of sample n: lines, so that values between two samples can be told, too."""
    x = n % NUMBERS
    return x, -1 - x, x - NUMBERS // 2


SENSORS = {"accel": (1, 0x73, 0x0453, -3, accel), "gyro": (2, 0x76, 0x0457, -2, gyro)}
"""Report, usage of the sensor and of its x axis, exponent of ten of its counts (of g, degrees per second), counts."""


class Hub:
    def __init__(self, names, log):
        self.sensors = [SENSORS[name] for name in names]
        self.log = log
        self.features = {sensor[0]: [1, 1, 10, 0] for sensor in self.sensors}
        self.fd = os.open("/dev/uhid", os.O_RDWR | os.O_NONBLOCK)
        self.opened = self.plugged = False
        self.plug()

    def plug(self):
        descriptor = b"\x05\x20\x09\x01\xa1\x01" + b"".join(sensor(*each) for each in self.sensors) + b"\xc0"
        head = struct.pack("<I128s64s64sHHIIII", CREATE2, b"motion", b"", b"", len(descriptor), 3, 0x8086, 0x9999, 0, 0)
        os.write(self.fd, head + descriptor.ljust(4096, b"\0"))
        self.plugged = True

    def pull(self):
        os.write(self.fd, struct.pack("<I", DESTROY))
        self.opened = self.plugged = False

    def answer(self):
        event = os.read(self.fd, EVENT_BYTES)
        kind = struct.unpack_from("<I", event)[0]
        if kind in (OPEN, CLOSE):
            self.opened = kind == OPEN
        elif kind == GET_REPORT:
            number, report = struct.unpack_from("<IB", event, 4)
            content = FEATURES.pack(report, *self.features[report])
            reply = struct.pack("<IIHH", GET_REPORT_REPLY, number, 0, len(content)) + content
            os.write(self.fd, reply.ljust(EVENT_BYTES, b"\0"))
        elif kind == SET_REPORT:
            number, report, _, size = struct.unpack_from("<IBBH", event, 4)
            if size == FEATURES.size:
                self.features[report] = list(FEATURES.unpack_from(event, 12)[1:])
            os.write(self.fd, struct.pack("<IIH", SET_REPORT_REPLY, number, 0).ljust(EVENT_BYTES, b"\0"))

    def feel(self, n):
        if not (self.plugged and self.opened):
            return
        sent_ns = time.monotonic_ns()
        for report, *_, counts in self.sensors:
            content = struct.pack("<BBhhh", report, 3, *counts(n))
            os.write(self.fd, struct.pack("<IH", INPUT2, len(content)) + content.ljust(4096, b"\0"))
        self.log.write(f"{n % NUMBERS} {sent_ns}\n")

    def run(self):
        n, next_s = 0, time.monotonic()
        while True:
            wait_s = next_s - time.monotonic()
            if wait_s <= 0:
                self.feel(n)
                n += 1
                next_s += max(self.features[self.sensors[0][0]][2], 1) / 1000
                continue
            ready = select.select([self.fd, 0], [], [], wait_s)[0]
            if self.fd in ready:
                self.answer()
            if 0 in ready:
                command = os.read(0, 16).strip()
                if not command:
                    return
                self.pull() if command == b"pull" else self.plug()


if __name__ == "__main__":
    with open(sys.argv[1], "w", buffering=1) as log:
        Hub(sys.argv[2:], log).run()
