"""One connection to an MQTT broker, driven by the thread that owns it.

paho's own threads are not used. Its client is called from one thread, and no callback takes a lock: paho holds its own
meanwhile, and the two would deadlock. A connection is opened once; after a failure a new one with a new client follows.
MQTT 5 is tried first: only there a broker says why it refuses a message. A broker that does not speak it gets 3.1.1.
Both paho-mqtt 2 and 1.6 work; Debian Bookworm has 1.6, so its branches can go in June 2028, with that.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from motionsig.errors import InputError, MissingExtraError, SinkError
from motionsig.escaping import own_logger
from motionsig.hints import install_hint
from motionsig.publishers import reasons
from motionsig.publishers.brokers import SCHEMES, Broker
from motionsig.publishers.cutting import cut_packets, drop_properties
from motionsig.publishers.protocol import MQTT_3, MQTT_5, PROTOCOLS, Limits, Spoken, limits_of
from motionsig.publishers.reasons import Reason, connack_reason
from motionsig.publishers.transport import HANDSHAKE_TIMEOUT_S, dial, password_of

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

logger = own_logger(__name__)

LOOP_S = 1.0  # paho has to run this often to send its pings and to notice missing answers
_PUBACK = 0x40
FOR_EVER_S = 0xFFFFFFFF  # a session that never expires (MQTT 5, 3.1.2.11.2)
PUBLISH_BYTES = 16  # of a PUBLISH at most, beside topic and payload: header, lengths, number, topic alias
_PACKETS_AT_ONCE = 64  # read before the owner has its turn: each turn costs as much as a packet


def import_paho() -> Any:
    """Return paho's client module; raise MissingExtraError where it is not installed."""
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise MissingExtraError(
            f"mqtt:// needs paho-mqtt, which is not installed; {install_hint('paho-mqtt')}", name="paho"
        ) from error
    return paho.mqtt.client


class Acknowledgement(NamedTuple):
    """What the broker answered to a message: its number, and why it was refused, if it was."""

    mid: int
    reason: Reason


class Connection:
    """A connection from its first packet to its end; every failure is a SinkError and ends it.

    will: a topic and what the broker shall publish there, retained, should the connection end without a DISCONNECT.
    protocol: one of PROTOCOLS. spoken: what is known of the broker; the owner keeps it for the next connection.
    With MQTT 5, and ignored without it: session_expiry_s: how long the broker keeps a session that is not clean;
    receive_maximum, max_packet_bytes: how many messages it may send without an acknowledgement, and how large a packet;
    with MQTT 3.1.1, too, no more of a packet is kept.
    manual_ack: a message is acknowledged by `acknowledge`, and not when `on_message` returns.

    acknowledged: answers to messages; the owner clears it. answered: there was one. consented: numbers of
    subscriptions that are answered.
    heard_s: time.monotonic() of the last packet. accepted_s: of the broker's consent. version: MQTT_5 or MQTT_3.
    limits: of the broker. ended: the reason of its DISCONNECT, if any. lost: the broker closed the connection
    without one.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        client_id: str,
        clean_session: bool,
        keepalive_s: int,
        on_message: Callable[[MQTTMessage], None] | None = None,
        will: tuple[str, bytes] | None = None,
        protocol: str = "auto",
        spoken: Spoken | None = None,
        session_expiry_s: int = FOR_EVER_S,
        receive_maximum: int | None = None,
        max_packet_bytes: int | None = None,
        manual_ack: bool = False,
    ) -> None:
        self._broker = broker
        self._mqtt = import_paho()
        self._mqtt_error: type[Exception] = import_module("paho.mqtt").MQTTException
        self._client_id = client_id
        self._clean_session = clean_session
        self._keepalive_s = keepalive_s
        self._on_message = on_message
        self._will = will
        self._versions = PROTOCOLS[protocol]
        self._spoken = Spoken() if spoken is None else spoken
        self._asked = {"ReceiveMaximum": receive_maximum, "MaximumPacketSize": max_packet_bytes}
        if not clean_session:
            self._asked["SessionExpiryInterval"] = session_expiry_s
        self._manual_ack = manual_ack
        self._refused: str | None = None
        self._broke = False
        self._connack = Reason()
        self._listening: int | None = None
        self._socket: socket.socket | None = None
        self._aliases: dict[str, int] = {}
        self._unretained = False
        self.acknowledged: list[Acknowledgement] = []
        self.answered = False
        self.consented: set[int] = set()
        self.heard_s = 0.0
        self.accepted_s: float | None = None
        self.limits = Limits()
        self.ended: Reason | None = None
        self.lost = False
        self.version = self._spoken.version if self._spoken.version in self._versions else self._versions[0]
        self._client = self._make_client()

    def _make_client(self) -> Client:
        new = hasattr(self._mqtt, "CallbackAPIVersion")
        arguments = (self._mqtt.CallbackAPIVersion.VERSION2,) if new else ()
        transport = "websockets" if self._broker.websockets else "tcp"
        clean = self._clean_session if self.version == MQTT_3 else None
        client: Client = self._mqtt.Client(
            *arguments, client_id=self._client_id, clean_session=clean, protocol=self.version, transport=transport
        )
        if self._broker.websockets:
            client.ws_set_options(path=self._broker.path, headers=self._of_websocket)
        # Both versions call this for TCP and WebSockets; neither has another way to be given a socket.
        client._create_socket_connection = self._dial  # type: ignore[method-assign]
        if self._will is not None:
            client.will_set(*self._will, qos=1, retain=self._spoken.retain)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        if (on_message := self._on_message) is not None:
            client.on_message = lambda client, userdata, message: on_message(message)
        if new:
            client.on_disconnect = self._on_disconnect
        else:
            # 1.6 does not pass on the reason, and without one it takes a DISCONNECT for nothing.
            client._handle_disconnect = self._end_of_old_paho  # type: ignore[method-assign,assignment]
        if (most_bytes := self._asked["MaximumPacketSize"]) is not None:
            cut_packets(client, most_bytes)
        if self.version == MQTT_5:
            drop_properties(client)
        if self._manual_ack and new:
            client.manual_ack_set(True)
        elif self._manual_ack:
            client._send_puback = lambda mid: 0  # type: ignore[method-assign,assignment,return-value]
        # The owner limits what is on its way; a queue of paho's own would be lost with the process.
        client.max_inflight_messages_set(65535)
        return client

    def _on_connect(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any = None) -> None:
        self._connack = connack_reason(code if isinstance(code, int) else code.value)._replace(text=_text(properties))
        if not self._connack.refused:
            self.accepted_s = time.monotonic()
            self.limits = limits_of(properties)
            if (keepalive_s := getattr(properties, "ServerKeepAlive", None)) is not None:
                # paho 1.6 does not obey it.
                client._keepalive = keepalive_s
            return
        self._refused = f"the broker refused the connection: {self._connack.advise(reasons.CONNACK)}"

    def _on_publish(self, client: Any, userdata: Any, mid: int, code: Any = None, properties: Any = None) -> None:
        if code is not None:
            reason = Reason(code.value, _text(properties))
        else:
            # 1.6 reads the reason and keeps it to itself: it is the byte behind the number.
            packet = client._in_packet["packet"]
            reason = Reason(packet[2] if len(packet) > 2 else 0)
        self.answered = True
        self.acknowledged.append(Acknowledgement(mid, reason))

    def _on_subscribe(self, client: Any, userdata: Any, mid: int, granted: Any, properties: Any = None) -> None:
        reason = Reason(getattr(granted[0], "value", granted[0]), _text(properties))
        if reason.refused and mid == self._listening:
            logger.warning("%s: the broker refused a subscription that can be done without", self._broker)
        elif reason.refused:
            self._refused = f"the broker refused the subscription: {reason.advise(reasons.SUBACK)}"
        elif reason.code == 0 and mid != self._listening:
            logger.warning(
                "%s: the broker sends without acknowledgements (QoS 0), so messages may be lost", self._broker
            )
        self.consented.add(mid)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any = None) -> None:
        if flags.is_disconnect_packet_from_server:
            self._note_end(Reason(getattr(code, "value", 0), _text(properties)))

    def _end_of_old_paho(self) -> int:
        packet = self._client._in_packet["packet"]
        self._note_end(Reason(packet[0] if packet else 0))
        return 0

    def _note_end(self, reason: Reason) -> None:
        self.ended = reason
        said = reason.advise(reasons.DISCONNECT, client_id=self._client_id) if reason.code else "without a reason"
        self._refused = f"the broker ended the connection: {said}"

    def open(self, timeout_s: float, give_up: Callable[[], bool]) -> None:
        """Connect and wait until the broker has let us in; `give_up` is asked now and then whether to stop.

        timeout_s: for the broker's answer; `transport` limits what comes before, which takes long over a slow network.
        A broker that does not speak MQTT 5, or does not keep messages, is asked again in the way it can.
        """
        told = closed = False
        while True:
            try:
                # Some that do not speak MQTT 5 wait for more of what they misread.
                other = self.version == MQTT_5 and MQTT_3 in self._versions
                self._attempt(timeout_s / 2 if other else timeout_s, give_up)
                break
            except SinkError:
                told = self._connack.code == reasons.UNSUPPORTED_PROTOCOL
                # Closed, silent, or answered with what is no CONNACK of MQTT 5.
                closed = self._broke
                if self._connack.code == reasons.NO_RETAIN and self._spoken.retain:
                    self._spoken.retain = False
                elif (told or closed) and other and not give_up():
                    self.version = MQTT_3
                else:
                    raise
                self.drop()
                self._refused, self._connack, self._client = None, Reason(), self._make_client()
        self._spoken.note(self.version, told=told, closed=closed)

    def _attempt(self, patience_s: float, give_up: Callable[[], bool]) -> None:
        self._broke = False
        try:
            self._connect()
        except (OSError, ValueError) as error:
            self.drop()
            odd = self._broker.tls and isinstance(error, ssl.SSLError | ConnectionResetError)
            known = isinstance(error, ssl.SSLCertVerificationError)
            hint = "; does the broker speak TLS on this port?" if odd and not known else ""
            raise SinkError(f"{self._broker}: {_reason(error)}{hint}") from error
        deadline = time.monotonic() + patience_s
        while self.accepted_s is None:
            if time.monotonic() > deadline or give_up():
                self._broke = True
                raise SinkError(f"{self._broker}: connected, but no answer; is it an MQTT broker?")
            try:
                self.loop(min(LOOP_S / 4, deadline - time.monotonic()))
            except SinkError as error:
                if self._refused is not None:
                    raise
                self._broke = True
                wanted = "a client certificate (cert=, key=)" if self._broker.tls else "mqtts://"
                raise SinkError(f"{error} before the broker let us in; does it want {wanted}?") from error

    def _dial(self) -> socket.socket:
        self._socket = dial(self._broker)
        return self._socket

    def _cut_off(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # That of TLS would also forget its keys, which the other thread is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _of_websocket(self, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers as they have to be with TLS, of which paho knows nothing here."""
        host = f"[{self._broker.host}]" if ":" in self._broker.host else self._broker.host
        if self._broker.port != SCHEMES[self._broker.scheme].port:
            host += f":{self._broker.port}"
        return {**headers, "Host": host, "Origin": f"{'https' if self._broker.tls else 'http'}://{host}"}

    def _connect(self) -> None:
        # What MQTT 3.1.1 does not know must not be given to it.
        more: dict[str, Any] = {}
        if self.version == MQTT_5:
            more = {"clean_start": self._clean_session, "properties": self._properties("CONNECT", **self._asked)}
        # paho reads a WebSocket's answer byte by byte, and each may take as long as it likes.
        cut_off = threading.Timer(HANDSHAKE_TIMEOUT_S, self._cut_off)
        try:
            if self._broker.username is not None:
                self._client.username_pw_set(self._broker.username, password_of(self._broker))
            if self._broker.websockets:
                cut_off.start()
            # To paho the port is only a number above 0.
            self._client.connect(self._broker.host, self._broker.port or 1, self._keepalive_s, **more)
        except InputError as error:
            raise SinkError(str(error)) from error
        finally:
            cut_off.cancel()

    def _properties(self, packet: str, **values: int | None) -> Any:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties: Any = Properties(getattr(PacketTypes, packet))  # type: ignore[no-untyped-call]
        for name, value in values.items():
            if value is not None:
                setattr(properties, name, value)
        return properties

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send at QoS 1; return the number that will appear in `acknowledged`."""
        if self.limits.max_qos < 1:
            raise SinkError(
                f"{self._broker}: expected a broker that acknowledges messages (QoS 1), got one that takes only QoS 0; "
                "choose another broker"
            )
        if retain and not self.limits.retain:
            if not self._unretained:
                logger.warning(
                    "%s: the broker keeps no messages (retain), so who subscribes later misses them", self._broker
                )
            self._unretained, retain = True, False
        # What is kept is rarely sent twice in a connection, so it needs no alias.
        name, alias = (topic, None) if retain else self._alias(topic)
        more = {"properties": self._properties("PUBLISH", TopicAlias=alias)} if alias is not None else {}
        info = self._client.publish(name, payload, qos=1, retain=retain, **more)
        self._check(info.rc)
        return info.mid

    def _alias(self, topic: str) -> tuple[str, int | None]:
        """Return what stands for a topic in this message: its name, its alias, or both for the first time."""
        if topic in self._aliases:
            return "", self._aliases[topic]
        if len(self._aliases) >= self.limits.topic_alias_maximum:
            return topic, None
        self._aliases[topic] = len(self._aliases) + 1
        return topic, self._aliases[topic]

    def acknowledge(self, messages: Sequence[MQTTMessage]) -> None:
        """Acknowledge messages that `on_message` was given; each once, in the order in which they came (4.6).

        All are one write: paho would take longer for each of them than for all the rest of a message.
        """
        numbers = [message.mid for message in messages if message.qos]
        if numbers:
            packets = b"".join(struct.pack("!BBH", _PUBACK, 2, mid) for mid in numbers)
            self._check(self._client._packet_queue(_PUBACK, packets, numbers[-1], 0))

    def request(self, topic: str) -> int:
        """Ask for a subscription at QoS 1; return the number that appears in `consented`. A refusal ends the loop."""
        for what, missing in (("$share/", not self.limits.shared), ("+", not self.limits.wildcard)):
            if missing and what in topic:
                raise SinkError(f"{self._broker}: the broker supports no {what} in a subscription, got {topic!r}")
        code, mid = self._client.subscribe(topic, qos=1)
        self._check(code)
        assert mid is not None  # only after an error
        return mid

    def subscribe(self, topic: str, timeout_s: float) -> None:
        """Subscribe at QoS 1 and wait for the broker's consent; messages may arrive meanwhile."""
        deadline = time.monotonic() + timeout_s
        mid = self.request(topic)
        while mid not in self.consented:
            if time.monotonic() > deadline:
                raise SinkError(f"{self._broker}: no answer to the subscription within {timeout_s:g} s")
            self.loop(LOOP_S)

    def listen(self, *topics: str) -> None:
        """Subscribe without waiting, and without minding if the broker does not consent."""
        code, self._listening = self._client.subscribe([(topic, 0) for topic in topics])
        self._check(code)

    def loop(self, timeout_s: float, wake_fd: int | None = None) -> None:
        """Wait for the network, or for a byte on `wake_fd`, at most so long; then read, write and keep alive."""
        sock = self._client.socket()
        if sock is None:
            raise SinkError(f"{self._broker}: {self._refused or 'the connection was lost'}")
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        if wake_fd is not None:
            poll.register(wake_fd, select.POLLIN)
        # TLS may already hold decrypted bytes that the kernel does not know of.
        buffered = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        events = dict(poll.poll(0 if buffered else max(0.0, timeout_s) * 1000))
        if wake_fd is not None and wake_fd in events:
            os.read(wake_fd, 4096)
        mask = events.get(sock.fileno(), 0)
        try:
            if buffered or mask & ~select.POLLOUT:
                self._read(sock)
            if mask & select.POLLOUT and self._client.socket() is not None:
                self._check(self._client.loop_write())
            self._check(self._client.loop_misc())
        except SinkError:
            raise
        # paho 1.6 asserts that it knows a reason code.
        except (OSError, ValueError, LookupError, AssertionError, struct.error, self._mqtt_error) as error:
            self.lost = isinstance(error, ConnectionError)
            raise SinkError(f"{self._broker}: {_reason(error)}") from error

    def _read(self, sock: Any) -> None:
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        for _ in range(_PACKETS_AT_ONCE):
            self._check(self._client.loop_read())
            self.heard_s = time.monotonic()
            more = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
            if self._client.socket() is None or not (more or poll.poll(0)):
                return

    def _check(self, code: int) -> None:
        if self._refused is not None:
            raise SinkError(f"{self._broker}: {self._refused}")
        if code != 0:
            self.lost = code == self._mqtt.MQTT_ERR_CONN_LOST
            raise SinkError(f"{self._broker}: {_sentence(self._mqtt.error_string(code))}")

    def close(self) -> None:
        """Send DISCONNECT if the connection still stands, without waiting for an answer."""
        if self._client.socket() is not None:
            self._client.disconnect()

    def drop(self) -> None:
        """Close the socket without DISCONNECT, as after a failure."""
        if self._socket is not None:
            self._socket.close()


def _text(properties: Any) -> str:
    """Return the reason in the broker's own words, empty without one."""
    return str(getattr(properties, "ReasonString", ""))


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate was refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, OSError) and error.strerror:
        # OpenSSL adds the line of its source.
        return _sentence(re.sub(r" \(_ssl\.c:\d+\)", "", error.strerror))
    return _sentence(re.sub(r"^_ssl\.c:\d+: ", "", str(error))) or type(error).__name__


def _sentence(text: str) -> str:
    text = text.rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
