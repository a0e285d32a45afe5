"""What a device announces of itself, retained, beside its signatures: whether it is online, its state, what it is.

    PREFIX/DEVICE/availability              {"state": "online", "epoch": N}, or "offline": at the end, or by the will;
                                            N is the stream id, in the will that of when the connection began
    PREFIX/DEVICE/state                     what the owner reports
    DISCOVERY/COMPONENT/NODE/KEY/config     for Home Assistant: one entity each, all of one device
    PREFIX/DEVICE/events/HEAD               empty, where a head that gave a state is gone, or where a process begins
                                            that does not know the state that another one left: its last event goes

What the broker keeps of us and no longer holds is removed by an empty message: topics of another name or prefix, of a
discovery that was switched off, of heads that are gone. That must not block anything. Where a broker refuses it, or
ends the connection twice, it is tried again an hour later. The old name may be another device's by now: so each device
listens to one topic of its own, and announces everything again when somebody has emptied it.

Two messages are read: that, and "online" at DISCOVERY/status, by which Home Assistant says that it has started. Both
cause the same announcements once more, rarely, and not from a whole fleet at once.
Formats: https://www.home-assistant.io/integrations/mqtt/ (discovery, availability, birth message), event.mqtt/ and
binary_sensor.mqtt/ beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections.abc import Mapping

from motionsig.errors import InputError
from motionsig.events import BEGAN, ENDED, HEAD_NAME

STATE_EVERY_S = 30.0
AGAIN_AFTER_S = 10.0
AGAIN_JITTER_S = 5.0
REMOVED_BY_OTHER_S = 1.0  # who empties one topic of ours is about to empty the others
REFUSED_S = 3600.0
MOST_HEADS = 256

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

_SHOWN = ("start", "end", "duration_s", "score", "stream_id", "seq")
"""What of an event Home Assistant shows; of an event that comes twice it knows by the last two that it had it."""

_NOTHING_NEW = (
    "value_json is not defined or "
    "this.attributes.get('stream_id') == value_json.stream_id and this.attributes.get('seq', -1) >= value_json.seq"
)
"""Whether a message is empty, as where a state was removed, or tells an event that an entity has shown or passed."""


_WILLED = ("/availability", "/connection/config")
"""How the topic of a will ends, and that by which another device that has the name by now notices the removal."""


class Announcer:
    """Decides what to announce and when; the caller provides time and network.

    availability, home_assistant: what to announce at all; the latter is the discovery prefix and needs the former.
    listened: topics whose messages the caller passes to `heard`. remembered: the topics at which the broker may keep
    something of ours; `noted`: those that the caller has noted for the next process, which it does before it sends
    what is `due`. cut_off: the last process did not end in order. hold_s: how long a removal that was acknowledged may
    still be lost with the broker. late_s: for how long a connection under an old name may still be open, whose will
    then says "offline" there; what it concerns is removed once more thereafter. 0: no connection can be.
    """

    def __init__(
        self,
        *,
        prefix: str,
        device: str,
        availability: bool,
        home_assistant: str | None,
        version: str,
        remembered: frozenset[str] = frozenset(),
        cut_off: bool = False,
        hold_s: float = 0.0,
        late_s: float = 0.0,
    ) -> None:
        self._topic = f"{prefix}/{device}"
        self._availability = availability or home_assistant is not None
        self._home_assistant = _HomeAssistant(prefix, device, home_assistant, version) if home_assistant else None
        self._discovery = self._home_assistant.service() if self._home_assistant is not None else []
        self._status_topic = f"{home_assistant}/status" if home_assistant is not None else None
        self._guarded = next((topic for topic, _ in self._discovery), None)
        self.listened = tuple(topic for topic in (self._status_topic, self._guarded) if topic is not None)
        self._state = b""
        self._state_sent = b""
        self._state_sent_s = -math.inf
        self._stream_id_sent: int | None = None
        self._all_sent_s = -math.inf
        self._again_s = math.inf
        self._always = frozenset(
            [topic for topic, _ in self._discovery]
            + [f"{self._topic}/availability"] * self._availability
            + [f"{self._topic}/state"] * bool(self._discovery)
        )
        self.noted = remembered
        self.remembered = remembered | self._always
        self._hold_s, self._late_s = hold_s, late_s
        self._heads: Mapping[str, bool] | None = None
        self._heads_sent: Mapping[str, bool] | None = None
        self._kept: frozenset[str] = frozenset()
        self._removed: dict[str, float] = {}
        self._asked: set[str] = set()
        self._unanswered: dict[str, int] = {}
        self._refused: dict[str, float] = {}
        self._once: dict[str, float] = {}
        self._twice: set[str] = set()
        # A process that was killed told nobody that a state ended, and this one does not know whether it did.
        self._cut_off = cut_off
        self._stale = {topic for topic in remembered if cut_off and topic.startswith(f"{self._topic}/events/")}
        self._doubtful: set[str] = set()

    def announce_heads(self, heads: Mapping[str, bool]) -> None:
        """Take the heads that there are, each with whether it gives a state; raise InputError for what is no name."""
        for name in heads:
            if not HEAD_NAME.fullmatch(name):
                raise InputError(f"head: expected 1 to 64 of A-Z, a-z, 0-9, _ and -, got {name!r:.80}")
        if len(heads) > MOST_HEADS:
            raise InputError(f"heads: expected at most {MOST_HEADS}, got {len(heads)}")
        # Replaced whole: the sending thread reads it.
        self._heads = dict(heads)

    def keeps(self, head: str, *, topic: str | None = None, earlier: bool = False, left: bool = False) -> bool:
        """Return whether the broker is to keep the state of this head that is sent now: not of one known to be gone.

        topic: where it goes, by default to this device's. earlier: an earlier process took it; then the topic of
        another device may be that of our old name, and nothing is kept there. left: that it began, and an earlier
        process says so, which may have been cut off; then it is unknown thereafter.
        """
        own = f"{self._topic}/events/{head}"
        if topic is not None and topic != own:
            heads = self._heads
            return not earlier and topic not in self.remembered and (heads is None or heads.get(head, False))
        topic = own
        if left and self._cut_off:
            self._doubtful.add(topic)
            return False
        self._stale.discard(topic)
        self._doubtful.discard(topic)
        heads = self._heads
        kept = heads is None or heads.get(head, False)
        if kept:
            self.remembered |= {topic}
        return kept

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
        # A broker may end the connection in place of a refusal, and a network at any time: once is no refusal.
        for topic in self._asked:
            self._unanswered[topic] = self._unanswered.get(topic, 0) + 1
            if self._unanswered[topic] > 1:
                self._refused[topic] = now_s
        for each in (self._asked, self._removed, self._once, self._twice):
            each.clear()

    def heard(self, topic: str, payload: bytes, now_s: float) -> None:
        """Take a message from the network; after some, everything is announced again soon."""
        emptied = topic == self._guarded and not payload
        if self._again_s == math.inf and (emptied or (topic == self._status_topic and payload == b"online")):
            earliest_s = max(now_s + REMOVED_BY_OTHER_S * emptied, self._all_sent_s + AGAIN_AFTER_S)
            self._again_s = earliest_s + random.uniform(0, AGAIN_JITTER_S)

    def due(self, now_s: float, stream_id: int) -> list[tuple[str, bytes]]:
        """Return topic and payload of what to announce now; the caller sends it, for the broker to keep."""
        everything = now_s >= self._again_s
        said: list[tuple[str, bytes]] = []
        if everything:
            self._again_s, self._all_sent_s = math.inf, now_s
            said += self._discovery
        heads = self._heads
        others = heads is not None and (everything or heads is not self._heads_sent)
        if heads is not None and others:
            self._heads_sent = heads
            said += self._of_heads(heads)
        allowed = {topic for topic, refused_s in self._refused.items() if now_s >= refused_s + REFUSED_S}
        self._refused = {topic: s for topic, s in self._refused.items() if topic not in allowed}
        if everything or others or allowed:
            said += self._gone()
        late = [topic for topic, s in self._once.items() if now_s >= s + self._late_s]
        for topic in late:
            del self._once[topic]
        said += [(topic, b"") for topic in late]
        self._asked |= {topic for topic, payload in said if not payload and topic not in self._kept}
        said += [(topic, b"") for topic in sorted(self._doubtful)]
        self._doubtful.clear()
        if everything or stream_id != self._stream_id_sent:
            self._stream_id_sent = stream_id
            said += self.availability("online", stream_id)
        state = self._state
        changed = state != self._state_sent and now_s >= self._state_sent_s + STATE_EVERY_S
        if state and (everything or changed):
            self._state_sent, self._state_sent_s = state, now_s
            said.append((f"{self._topic}/state", state))
        return said

    def _of_heads(self, heads: Mapping[str, bool]) -> list[tuple[str, bytes]]:
        """Return what describes the heads, and what removes the states that nobody knows any more."""
        described = self._home_assistant.heads(heads) if self._home_assistant is not None else []
        states = {f"{self._topic}/events/{name}" for name, is_state in heads.items() if is_state}
        self._kept = frozenset(topic for topic, _ in described) | states
        self.remembered |= self._kept
        self._removed = {topic: s for topic, s in self._removed.items() if topic not in self._kept}
        return [*described, *((topic, b"") for topic in sorted(self._stale & states))]

    def _gone(self) -> list[tuple[str, bytes]]:
        """Return what removes all that is remembered and no longer holds."""
        gone = self.remembered - self._always - self._kept - self._refused.keys()
        if self._heads is None:
            # Nobody said yet which heads there are.
            gone -= {topic for topic in gone if topic.startswith(f"{self._topic}/events/")}
            if self._home_assistant is not None:
                gone -= {topic for topic in gone if self._home_assistant.is_of_head(topic)}
        # Home Assistant forgets an entity before the state goes that it would not understand.
        return [(topic, b"") for topic in sorted(gone, key=lambda topic: (not topic.endswith("/config"), topic))]

    def acknowledged(self, topic: str, payload: bytes, heard_s: float) -> None:
        """Take the broker's word that it has what was `due`."""
        if payload:
            return
        self._stale.discard(topic)
        self._asked.discard(topic)
        self._unanswered.pop(topic, None)
        if topic in self._kept:
            return
        if self._late_s and topic not in self._twice and topic.endswith(_WILLED):
            self._twice.add(topic)
            self._once[topic] = heard_s
        else:
            self._removed[topic] = heard_s

    def refused(self, topic: str, now_s: float) -> None:
        """Take the broker's word that it does not let us remove what was `due`."""
        self._asked.discard(topic)
        self._refused[topic] = now_s

    def forget(self, heard_s: float) -> None:
        """Forget topics whose removal was acknowledged long enough before `heard_s`, when the broker last spoke."""
        sure = {topic for topic, acknowledged_s in self._removed.items() if acknowledged_s <= heard_s - self._hold_s}
        if sure:
            self.remembered -= sure
            self._removed = {topic: s for topic, s in self._removed.items() if topic not in sure}


class _HomeAssistant:
    """What Home Assistant is told of a device: topic and content of the configuration of each entity."""

    def __init__(self, prefix: str, device: str, discovery: str, version: str) -> None:
        self._named = named = f"{prefix}/{device}"
        node = re.sub(r"[^A-Za-z0-9-]", "_", named)[:64]
        if node.replace("_", "/") != named:
            # Two names that differ only in what was replaced must not share their entities.
            node += "-" + hashlib.sha256(named.encode("utf-8")).hexdigest()[:8]
        self._node = node
        self._discovery = discovery
        self._common = {
            "device": {"identifiers": [node], "name": device, "manufacturer": "motionsig", "sw_version": version},
            "origin": {"name": "motionsig", "sw_version": version},
        }
        self._availability = {
            "availability_topic": f"{named}/availability",
            "availability_template": "{{ value_json.state }}",
        }

    def service(self) -> list[tuple[str, bytes]]:
        """Return the entities that show how the service does."""
        diagnostic = {"entity_category": "diagnostic"}
        online = {"value_template": "{{ value_json.state }}", "payload_on": "online", "payload_off": "offline"}
        connectivity = {"name": "Connection", "device_class": "connectivity"}
        where = {"state_topic": f"{self._named}/availability"}
        said = [self._entity("binary_sensor", "connection", {**where, **connectivity, **online, **diagnostic})]
        where = {"state_topic": f"{self._named}/state", **self._availability}
        for key, name, value, more in _ENTITIES:
            shown = {"name": name, "value_template": f"{{{{ {value} }}}}"}
            said.append(self._entity("sensor", key, {**where, **shown, **more, **diagnostic}))
        return said

    def is_of_head(self, topic: str) -> bool:
        """Return whether a topic is that of an entity of a head of this device."""
        return topic.startswith(f"{self._discovery}/") and f"/{self._node}/head_" in topic

    def heads(self, heads: Mapping[str, bool]) -> list[tuple[str, bytes]]:
        """Return an entity for each head, by name: a binary sensor where it gives a state, else an event."""
        said = []
        for name, is_state in heads.items():
            where = {"name": name, "state_topic": f"{self._named}/events/{name}", **self._availability}
            if is_state:
                # "None" is what Home Assistant takes for unknown.
                phase = "{{ value_json.phase if value_json is defined else 'None' }}"
                states = {"value_template": phase, "payload_on": BEGAN, "payload_off": ENDED}
                said.append(self._entity("binary_sensor", f"head_{name}", {**where, **states}))
            else:
                shown = "".join(f", '{key}': value_json.{key}" for key in _SHOWN)
                template = f"{{{{ '' if {_NOTHING_NEW} else {{'event_type': '{name}'{shown}}} | tojson }}}}"
                event = {"event_types": [name], "value_template": template}
                said.append(self._entity("event", f"head_{name}", {**where, **event}))
        return said

    def _entity(self, component: str, key: str, content: Mapping[str, object]) -> tuple[str, bytes]:
        topic = f"{self._discovery}/{component}/{self._node}/{key}/config"
        return topic, _json({**content, "unique_id": f"{self._node}_{key}", **self._common})


def _json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")
