"""Which version of MQTT a broker speaks, and the limits that it sets in MQTT 5."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motionsig.errors import InputError

MQTT_5, MQTT_3 = 5, 4  # as CONNECT numbers them; 4 is MQTT 3.1.1
PROTOCOLS = {"auto": (MQTT_5, MQTT_3), "5": (MQTT_5,), "3.1.1": (MQTT_3,)}
"""The versions that are tried, by the name of the option `protocol`."""
CERTAIN_AFTER = 2  # so often in a row a broker has to close a connection of MQTT 5 and to accept one of 3.1.1


def check_protocol(protocol: str) -> None:
    """Raise InputError for what is no protocol."""
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol: expected one of {', '.join(PROTOCOLS)}, got {protocol!r}")


@dataclass(frozen=True)
class Limits:
    """What a broker takes, as its CONNACK says (MQTT 5, 3.2.2.3). One that says nothing takes all.

    max_packet_bytes: of a whole packet; receive_maximum: unacknowledged messages; topic_alias_maximum: aliases.
    """

    max_packet_bytes: int | None = None
    receive_maximum: int = 65535
    topic_alias_maximum: int = 0
    max_qos: int = 2
    retain: bool = True
    wildcard: bool = True
    shared: bool = True


def limits_of(properties: Any) -> Limits:
    """Return the limits in paho's properties of a CONNACK; None stands for no properties."""
    return Limits(
        max_packet_bytes=getattr(properties, "MaximumPacketSize", None),
        receive_maximum=getattr(properties, "ReceiveMaximum", 65535),
        topic_alias_maximum=getattr(properties, "TopicAliasMaximum", 0),
        max_qos=getattr(properties, "MaximumQoS", 2),
        retain=bool(getattr(properties, "RetainAvailable", 1)),
        wildcard=bool(getattr(properties, "WildcardSubscriptionAvailable", 1)),
        shared=bool(getattr(properties, "SharedSubscriptionAvailable", 1)),
    )


@dataclass
class Spoken:
    """What this process knows of the MQTT that a broker speaks; the owner of the connections keeps it between them.

    A broker that says that it does not know MQTT 5 is believed. One that only closes the connection may be about to
    restart, so it has to do so CERTAIN_AFTER times in a row and to accept MQTT 3.1.1 each time.
    """

    version: int = MQTT_5
    retain: bool = True
    _closed: int = 0

    def note(self, version: int, *, told: bool, closed: bool) -> None:
        """Note that a connection of `version` was accepted; told, closed: what became of MQTT 5 just before."""
        self._closed = self._closed + 1 if closed else 0
        if told or self._closed >= CERTAIN_AFTER:
            self.version = version
