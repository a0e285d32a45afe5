"""How large a message to a broker may be, and how many may be on their way: what it said and what was found out."""

from __future__ import annotations

from dataclasses import dataclass, field

from motionsig.publishers.connection import PUBLISH_BYTES
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.protocol import Limits

_LARGER_AFTER = 1000
"""After so many messages were taken, larger ones are tried: it may not have been the size, or no longer be."""


@dataclass
class Terms:
    """Kept for the life of the process. learned_bytes: after larger messages were refused, or ended connections; None before."""

    options: MqttOptions
    limits: Limits = field(default_factory=Limits)
    learned_bytes: int | None = None
    _largest_taken: int = 0
    _taken: int = 0

    @property
    def in_flight(self) -> int:
        """Messages on their way at most, and as many events."""
        return min(self.options.in_flight, max(1, self.limits.receive_maximum // 2))

    def limit_bytes(self, topic: str) -> int | None:
        """Return how large a payload may be, as the broker says; None if it says nothing. topic: without the prefix."""
        if self.limits.max_packet_bytes is None:
            return None
        taken = PUBLISH_BYTES + len(f"{self.options.prefix}/{topic}".encode())
        return max(0, self.limits.max_packet_bytes - taken)

    def message_bytes(self, topic: str) -> int:
        """Return how large a message of several signatures may be."""
        sizes = (self.options.max_message_bytes, self.limit_bytes(topic), self.learned_bytes)
        return max(1, min(size for size in sizes if size is not None))

    def taken(self, size: int) -> None:
        """Note that the broker took a message of so many bytes."""
        self._largest_taken = max(self._largest_taken, size)
        self._taken += 1
        if self.learned_bytes is not None and self._taken >= _LARGER_AFTER:
            self.learned_bytes, self._taken = self.learned_bytes * 2, 0

    def suspect(self, size: int) -> bool:
        """Take a message for too large, and half its size for right; return whether that says anything new.

        No larger message was taken before, or its size cannot be the cause.
        """
        if size <= self._largest_taken:
            return False
        half = max(size // 2, self._largest_taken)
        if self.learned_bytes is not None and self.learned_bytes <= half:
            return False
        self.learned_bytes, self._taken = half, 0
        return True
