"""A USB device with the ids of another, over USB/IP until killed: `usb_device.py PORT VENDOR PRODUCT`, ids hexadecimal.

Messages after the kernel's Documentation/usb/usbip_protocol.rst; descriptors after USB 2.0, chapter 9. It has no
endpoints but the first: enough to be enumerated, to get a node in /dev/bus/usb, and to be opened.
"""

import os
import socket
import struct
import sys

SUBMIT, UNLINK, SUBMITTED, UNLINKED = 1, 2, 3, 4
HEAD = struct.Struct(">5I5I8s")
STALL = -32
HIGH_SPEED = 3

port, vendor, product = sys.argv[1], *(int(word, 16) for word in sys.argv[2:])
CONFIGURATION = struct.pack("<BBHBBBBB", 9, 2, 18, 1, 1, 0, 0x80, 250) + struct.pack(
    "<9B", 9, 4, 0, 0, 0, 255, 255, 255, 0
)
DESCRIPTORS = {
    1: struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, vendor, product, 0x0100, 0, 0, 0, 1),
    2: CONFIGURATION,
    6: struct.pack("<BBHBBBBBB", 10, 6, 0x0200, 0, 0, 0, 64, 1, 0),
}
GET_STATUS, GET_DESCRIPTOR = 0, 6


def answer(setup: bytes) -> tuple[int, bytes]:
    """Return status and data for a control request."""
    kind, request, value, _, length = struct.unpack("<BBHHH", setup)
    if not kind & 0x80:
        return 0, b""
    if request == GET_DESCRIPTOR and (content := DESCRIPTORS.get(value >> 8)):
        return 0, content[:length]
    return (0, b"\0\0") if request == GET_STATUS else (STALL, b"")


ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
with open("/sys/devices/platform/vhci_hcd.0/attach", "w") as attach:
    attach.write(f"{port} {theirs.fileno()} 65537 {HIGH_SPEED}")
theirs.close()
os.write(1, b"plugged in\n")
while head := ours.recv(HEAD.size, socket.MSG_WAITALL):
    command, number, _, incoming, _, _, length, *_, setup = HEAD.unpack(head)
    if command == SUBMIT:
        if not incoming and length:
            ours.recv(length, socket.MSG_WAITALL)
        status, content = answer(setup)
        done = len(content) if incoming else length
        ours.sendall(struct.pack(">5IiI3I8x", SUBMITTED, number, 0, 0, 0, status, done, 0, 0, 0) + content * incoming)
    elif command == UNLINK:
        ours.sendall(struct.pack(">5Ii24x", UNLINKED, number, 0, 0, 0, 0))
