"""Which topics a broker refuses at present, why, and when each is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from motionsig.publishers import reasons
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.reasons import Reason

_OF_ONE_MESSAGE = (reasons.TOO_LARGE, reasons.INVALID_PAYLOAD)
"""Reasons that lie in the message: others to the same topic may be taken."""
SPARED = 3
"""So many messages in a row may be refused for what they hold before the topic is closed."""
_MOST_SHOWN = 2


@dataclass
class Refusals:
    """Topics are without the prefix. `now_s` is of the monotonic clock.

    A topic that is refused is closed: nothing is sent to it until a random pause is over, whose bound doubles each
    time. Then one message goes there, and more once that is taken. A new connection changes nothing about that: some
    brokers end the connection at each refusal. A message that is refused for what it holds does not close its topic,
    but several in a row do: a broker that takes none would otherwise get the whole spool again after each pause.
    """

    options: MqttOptions
    _until_s: dict[str, float] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)
    _in_a_row: dict[str, int] = field(default_factory=dict)
    _why: dict[str, str] = field(default_factory=dict)
    _reopened: bool = False

    def note(self, topic: str, reason: Reason, now_s: float, *, spared: float = 0) -> None:
        """Note that a message was refused; spared: so many in a row, for what they hold, do not close the topic."""
        in_a_row = self._in_a_row[topic] = self._in_a_row.get(topic, 0) + 1
        key = f"{topic} {reason.code}" if reason.code in _OF_ONE_MESSAGE and in_a_row <= spared else topic
        self._why[key] = f"the broker refuses {self.options.prefix}/{topic}: {reason.advise(reasons.PUBACK)}"
        if now_s < self._until_s.get(key, 0.0):
            # One of several that were on their way.
            return
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        bound_s = min(self.options.max_retry_s, self.options.retry_s * 2 ** min(attempt - 1, 16))
        self._until_s[key] = now_s + random.uniform(0, bound_s)

    def too_large(self, topic: str, size: int, most: int) -> None:
        """Note that a single signature or an event is larger than any packet may be."""
        self._why[f"{topic} {reasons.TOO_LARGE}"] = (
            f"the broker takes at most {most} bytes to {self.options.prefix}/{topic}, and a single signature or event "
            f"has {size}: raise its limit (in Mosquitto max_packet_size)"
        )

    def closed_s(self, topic: str, now_s: float) -> float:
        """Return how long nothing may be sent to a topic; 0 where it may."""
        return max(0.0, self._until_s.get(topic, 0.0) - now_s)

    def doubtful(self, topic: str) -> bool:
        """Return whether the last message to a topic was refused."""
        return topic in self._attempts

    def taken(self, topic: str) -> None:
        """Note that the broker took a message."""
        self._in_a_row.pop(topic, None)
        if topic in self._attempts:
            for held in (self._until_s, self._attempts, self._why):
                held.pop(topic, None)
            # Others may have been passed meanwhile.
            self._reopened = True

    def again(self, now_s: float) -> bool:
        """Return whether to send again what was refused: once after each pause, and when a topic is taken again."""
        over = [key for key, until_s in self._until_s.items() if until_s <= now_s]
        for key in over:
            del self._until_s[key]
        reopened, self._reopened = self._reopened, False
        return bool(over) or reopened

    def postpone(self, now_s: float) -> None:
        """Try what was refused no sooner than `retry_s` into a connection that begins now.

        A broker that ends the connection at each refusal would take nothing else otherwise.
        """
        for key in self._attempts:
            self._until_s[key] = max(self._until_s.get(key, 0.0), now_s + self.options.retry_s)

    def forget(self) -> None:
        """Begin anew, as nothing that was refused is left."""
        # What arrived before and was not held long enough may have been passed.
        self._reopened = self._reopened or bool(self._until_s)
        for held in (self._until_s, self._attempts, self._in_a_row, self._why):
            held.clear()

    def due_in_s(self, now_s: float) -> float:
        """Return how long until the next pause is over; infinite where there is none."""
        return max(0.0, min(self._until_s.values(), default=float("inf")) - now_s)

    @property
    def why(self) -> str | None:
        """What is refused, and what to do about it; None where nothing is."""
        shown = list(dict.fromkeys(self._why.values()))
        more = f"; and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
        return "; ".join(shown[:_MOST_SHOWN]) + more or None
