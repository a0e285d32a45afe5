"""What a device announces of itself, retained, beside its signatures: whether it is online, its state, what it is.

    PREFIX/DEVICE/availability              {"state": "online", "epoch": N}, or "offline": at the end, or by the will;
                                            N is the stream id, in the will that of when the connection began
    PREFIX/DEVICE/state                     what the owner reports
    DISCOVERY/COMPONENT/NODE/KEY/config     for Home Assistant: one entity each, all of one device

Only one message is read: "online" at DISCOVERY/status, by which Home Assistant says that it has started. It causes the
same announcements once more, rarely, and not from a whole fleet at once.
Formats: https://www.home-assistant.io/integrations/mqtt/ (discovery, availability, birth message).
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections.abc import Mapping

from motionsig.errors import InputError

STATE_EVERY_S = 30.0
AGAIN_AFTER_S = 10.0
AGAIN_JITTER_S = 5.0

# fmt: off
_ENTITIES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("signal_quality", "Signal quality", "value_json.signal_quality",
        {"unit_of_measurement": "%", "state_class": "measurement", "icon": "mdi:waveform"}),
    ("backlog", "Backlog", "value_json.backlog",
        {"unit_of_measurement": "signatures", "state_class": "measurement", "icon": "mdi:tray-full"}),
    ("device", "Runs on", "value_json.device", {"icon": "mdi:chip"}),
    # A state holds at most 255 characters; Jinja adds up to 5 to the length that it is given.
    ("last_error", "Last error", "(value_json.last_error or 'none') | truncate(250, true)",
        {"icon": "mdi:alert-circle-outline"}),
)
# fmt: on
"""Sensors by the key of the reported state that they show: key, name, Jinja expression, what else describes it."""


class Announcer:
    """Decides what to announce and when; the caller provides time and network.

    availability, home_assistant: what to announce at all; the latter is the discovery prefix and needs the former.
    status_topic: where Home Assistant says that it has started, None without it.
    """

    def __init__(
        self, *, prefix: str, device: str, availability: bool, home_assistant: str | None, version: str
    ) -> None:
        self._topic = f"{prefix}/{device}"
        self._availability = availability or home_assistant is not None
        self._discovery = _discovery(prefix, device, home_assistant, version) if home_assistant is not None else []
        self.status_topic = f"{home_assistant}/status" if home_assistant is not None else None
        self._state = b""
        self._state_sent = b""
        self._state_sent_s = -math.inf
        self._stream_id_sent: int | None = None
        self._all_sent_s = -math.inf
        self._again_s = math.inf

    def report(self, state: Mapping[str, object]) -> None:
        """Keep the newest state, NaN and infinity as null; raise InputError for what JSON does not know."""
        if not self._discovery:
            return
        odd = {key for key, value in state.items() if isinstance(value, float) and not math.isfinite(value)}
        try:
            self._state = _json({**state, **dict.fromkeys(odd)})
        except (TypeError, ValueError) as error:
            raise InputError(f"state: expected what JSON can hold, got {state!r}: {error}") from error

    def availability(self, state: str, stream_id: int) -> list[tuple[str, bytes]]:
        """Return topic and payload of what says "online" or "offline"; empty unless that is wanted."""
        if not self._availability:
            return []
        return [(f"{self._topic}/availability", _json({"state": state, "epoch": stream_id}))]

    def connected(self, now_s: float) -> None:
        """Begin a connection: everything is announced."""
        self._again_s = now_s

    def heard(self, topic: str, payload: bytes, now_s: float) -> None:
        """Take a message from the network: after "online" from Home Assistant everything is announced again soon."""
        if topic == self.status_topic and payload == b"online" and self._again_s == math.inf:
            self._again_s = max(now_s, self._all_sent_s + AGAIN_AFTER_S) + random.uniform(0, AGAIN_JITTER_S)

    def due(self, now_s: float, stream_id: int) -> list[tuple[str, bytes]]:
        """Return topic and payload of what to announce now; the caller sends it, for the broker to keep."""
        everything = now_s >= self._again_s
        said: list[tuple[str, bytes]] = []
        if everything:
            self._again_s, self._all_sent_s = math.inf, now_s
            said += self._discovery
        if everything or stream_id != self._stream_id_sent:
            self._stream_id_sent = stream_id
            said += self.availability("online", stream_id)
        state = self._state
        changed = state != self._state_sent and now_s >= self._state_sent_s + STATE_EVERY_S
        if state and (everything or changed):
            self._state_sent, self._state_sent_s = state, now_s
            said.append((f"{self._topic}/state", state))
        return said


def _discovery(prefix: str, device: str, discovery: str, version: str) -> list[tuple[str, bytes]]:
    named = f"{prefix}/{device}"
    node = re.sub(r"[^A-Za-z0-9-]", "_", named)[:64]
    if node.replace("_", "/") != named:
        # Two names that differ only in what was replaced must not share their entities.
        node += "-" + hashlib.sha256(named.encode("utf-8")).hexdigest()[:8]
    online = "{{ value_json.state }}"
    machine = {"identifiers": [node], "name": device, "manufacturer": "motionsig", "sw_version": version}
    origin = {"name": "motionsig", "sw_version": version}
    topics = {"state_topic": f"{named}/state", "availability_topic": f"{named}/availability"}
    states = {"value_template": online, "payload_on": "online", "payload_off": "offline"}
    connectivity = {"name": "Connection", "device_class": "connectivity", "state_topic": topics["availability_topic"]}
    entities = [("binary_sensor", "connection", {**connectivity, **states})]
    for key, name, value, more in _ENTITIES:
        shown = {"availability_template": online, "name": name, "value_template": f"{{{{ {value} }}}}"}
        entities.append(("sensor", key, {**topics, **shown, **more}))
    said = []
    for component, key, entity in entities:
        common = {"unique_id": f"{node}_{key}", "entity_category": "diagnostic", "device": machine, "origin": origin}
        said.append((f"{discovery}/{component}/{node}/{key}/config", _json({**entity, **common})))
    return said


def _json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")
