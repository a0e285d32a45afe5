"""What a broker says by a reason code of MQTT 5 (2.4), in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NO_SUBSCRIBERS = 0x10
FAILURE = 0x80  # from here on a code says that something was refused
UNSUPPORTED_PROTOCOL = 0x84
TAKEN_OVER = 0x8E
TOO_LARGE = 0x95
INVALID_PAYLOAD = 0x99
NO_RETAIN = 0x9A

_NAMES: Mapping[int, str] = {
    0x10: "nobody subscribes to the topic",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "error that is specific to this broker",
    0x84: "unsupported protocol version",
    0x85: "client ID not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x93: "receive maximum exceeded",
    0x94: "topic alias invalid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}

CONNACK: Mapping[int, str] = {
    0x85: "choose another one with client_id=",
    0x86: "are user name and password right?",
    0x87: "are user name and password right?",
    0x8A: "ask whoever runs the broker",
    0x97: "does the broker allow more clients?",
    0x9B: "motionsig needs QoS 1: choose another broker",
    0x9C: "set the URL to the other server",
    0x9D: "set the URL to the new server",
}
"""What to do when a connection is refused. A value ends the sentence that begins with the reason."""

DISCONNECT: Mapping[int, str] = {
    0x87: "does the broker's access list allow the topics that we publish?",
    0x8E: "is another program using the client ID {client_id!r}? Give each its own with client_id=",
    0x93: "the broker takes fewer messages at once: lower in_flight",
    0x95: "lower max_message_bytes",
    0x96: "raise delay_s",
    0x97: "does the broker allow this device more messages?",
    0x9B: "motionsig needs QoS 1: choose another broker",
    0x9C: "set the URL to the other server",
    0x9D: "set the URL to the new server",
}
"""What to do when a broker ends a connection."""

PUBACK: Mapping[int, str] = {
    0x10: "start motionsig collect once, or another subscriber",
    0x80: "the broker's log may say why",
    0x83: "the broker's log may say why",
    0x87: "allow this user to publish there in the broker's access list",
    0x90: "choose another prefix or device name",
    0x95: "raise the broker's limit or lower max_message_bytes",
    0x97: "raise the broker's quota",
    0x99: "the broker accepts only another format there: see the option format",
}
"""What to do when a message is refused."""

SUBACK: Mapping[int, str] = {
    0x80: "is this user allowed to subscribe there?",
    0x87: "allow this user to subscribe there in the broker's access list",
    0x8F: "choose another prefix",
    0x9E: "choose a prefix without $share",
    0xA2: "choose a broker that supports the wildcard +",
}
"""What to do when a subscription is refused."""

_OF_MQTT_3 = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""The return codes of a CONNACK (MQTT 3.1.1, 3.2.2.3)."""


class Reason(NamedTuple):
    """A reason code, and what the broker adds in its own words."""

    code: int = 0
    text: str = ""

    @property
    def refused(self) -> bool:
        return self.code >= FAILURE

    def advise(self, advice: Mapping[int, str], **values: str) -> str:
        """Return the reason in words, with what to do about it where `advice` knows; values: of its placeholders."""
        said = _NAMES.get(self.code, f"reason 0x{self.code:02x}")
        # The broker's words come from the network: they must not break a line of the log.
        own = "".join(letter for letter in self.text if letter.isprintable())[:200]
        hint = advice.get(self.code, "").format(**values)
        return said + (f" ({own})" if own else "") + (f"; {hint}" if hint else "")


def connack_reason(code: int) -> Reason:
    """Return the reason of a CONNACK's code, also of MQTT 3.1.1, whose codes are below 6."""
    return Reason(_OF_MQTT_3.get(code, code))
