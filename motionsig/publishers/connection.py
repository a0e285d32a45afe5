"""One connection to an MQTT broker, driven by the thread that owns it.

paho's own threads are not used. Its client is called from one thread, and no callback takes a lock: paho holds its own
meanwhile, and the two would deadlock. A connection is opened once; after a failure a new one with a new client follows.
Both paho-mqtt 2 and 1.6 work; Debian Bookworm has 1.6, so its branch can go in June 2028, with that.
"""

from __future__ import annotations

import logging
import os
import re
import select
import ssl
import struct
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from motionsig.errors import MissingExtraError, SinkError
from motionsig.hints import install_hint
from motionsig.publishers.brokers import Broker

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

logger = logging.getLogger(__name__)

LOOP_S = 1.0  # paho has to run this often to send its pings and to notice missing answers
_LOGIN_REFUSED = (4, 5, 134, 135)
"""Bad user name or password, not authorised (MQTT 3.1.1, 3.2.2.3); paho 2 gives them MQTT 5's numbers."""


def import_paho() -> Any:
    """Return paho's client module; raise MissingExtraError where it is not installed."""
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise MissingExtraError(
            f"mqtt:// needs paho-mqtt, which is not installed; {install_hint('paho-mqtt')}", name="paho"
        ) from error
    return paho.mqtt.client


class Connection:
    """A connection from its first packet to its end; every failure is a SinkError and ends it.

    will: a topic and what the broker shall publish there, retained, should the connection end without a DISCONNECT.
    acknowledged: numbers of acknowledged messages; the owner clears it. heard_s: time.monotonic() of the last packet.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        client_id: str,
        clean_session: bool,
        keepalive_s: int,
        context: ssl.SSLContext | None = None,
        on_message: Callable[[MQTTMessage], None] | None = None,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self._broker = broker
        self._mqtt = import_paho()
        self._keepalive_s = keepalive_s
        self._accepted = False
        self._refused: str | None = None
        self._subscribed: int | None = None
        self._listening: int | None = None
        self.acknowledged: list[int] = []
        self.heard_s = 0.0
        arguments = (self._mqtt.CallbackAPIVersion.VERSION2,) if hasattr(self._mqtt, "CallbackAPIVersion") else ()
        self._client: Client = self._mqtt.Client(*arguments, client_id=client_id, clean_session=clean_session)
        if broker.username is not None:
            self._client.username_pw_set(broker.username, broker.password)
        if context is not None:
            self._client.tls_set_context(context)
        if will is not None:
            self._client.will_set(*will, qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_publish = lambda client, userdata, mid, *rest: self.acknowledged.append(mid)
        self._client.on_subscribe = self._on_subscribe
        if on_message is not None:
            self._client.on_message = lambda client, userdata, message: on_message(message)
        # The owner limits what is on its way; a queue of paho's own would be lost with the process.
        self._client.max_inflight_messages_set(65535)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, code: Any, properties: Any = None) -> None:
        self._accepted = not (code if isinstance(code, int) else code.is_failure)
        if not self._accepted:
            said = self._mqtt.connack_string(code).rstrip(".") if isinstance(code, int) else str(code)
            hint = "; are user name and password right?" if getattr(code, "value", code) in _LOGIN_REFUSED else ""
            self._refused = f"the broker refused the connection: {said}{hint}"

    def _on_subscribe(self, client: Any, userdata: Any, mid: int, granted: Any, properties: Any = None) -> None:
        code = getattr(granted[0], "value", granted[0])
        if code >= 128 and mid == self._listening:
            logger.warning("%s: the broker refused a subscription that can be done without", self._broker)
        elif code >= 128:
            self._refused = "the broker refused the subscription: not authorised"
        self._subscribed = mid

    def open(self, timeout_s: float, give_up: Callable[[], bool]) -> None:
        """Connect and wait until the broker has let us in; `give_up` is asked now and then whether to stop."""
        deadline = time.monotonic() + timeout_s
        try:
            self._client.connect(self._broker.host, self._broker.port, self._keepalive_s)
        except (OSError, ValueError) as error:
            odd = self._broker.tls and isinstance(error, ssl.SSLError | ConnectionResetError)
            known = isinstance(error, ssl.SSLCertVerificationError)
            hint = "; does the broker speak TLS on this port?" if odd and not known else ""
            raise SinkError(f"{self._broker}: {_reason(error)}{hint}") from error
        while not self._accepted:
            if time.monotonic() > deadline or give_up():
                raise SinkError(f"{self._broker}: connected, but no answer; is it an MQTT broker?")
            try:
                self.loop(min(LOOP_S / 4, deadline - time.monotonic()))
            except SinkError as error:
                if self._refused is not None:
                    raise
                wanted = "a client certificate (cert=, key=)" if self._broker.tls else "mqtts://"
                raise SinkError(f"{error} before the broker let us in; does it want {wanted}?") from error

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send at QoS 1; return the number that will appear in `acknowledged`."""
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        self._check(info.rc)
        return info.mid

    def subscribe(self, topic: str, timeout_s: float) -> None:
        """Subscribe at QoS 1 and wait for the broker's consent; messages may arrive meanwhile."""
        deadline = time.monotonic() + timeout_s
        code, mid = self._client.subscribe(topic, qos=1)
        self._check(code)
        while self._subscribed != mid:
            if time.monotonic() > deadline:
                raise SinkError(f"{self._broker}: no answer to the subscription within {timeout_s:g} s")
            self.loop(LOOP_S)

    def listen(self, topic: str) -> None:
        """Subscribe without waiting, and without minding if the broker does not consent."""
        code, self._listening = self._client.subscribe(topic, qos=0)
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
        buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        events = dict(poll.poll(0 if buffered else max(0.0, timeout_s) * 1000))
        if wake_fd is not None and wake_fd in events:
            os.read(wake_fd, 4096)
        mask = events.get(sock.fileno(), 0)
        try:
            if buffered or mask & ~select.POLLOUT:
                self._check(self._client.loop_read())
                self.heard_s = time.monotonic()
            if mask & select.POLLOUT and self._client.socket() is not None:
                self._check(self._client.loop_write())
            self._check(self._client.loop_misc())
        except SinkError:
            raise
        except (OSError, ValueError, IndexError, struct.error) as error:
            raise SinkError(f"{self._broker}: {_reason(error)}") from error

    def _check(self, code: int) -> None:
        if self._refused is not None:
            raise SinkError(f"{self._broker}: {self._refused}")
        if code != 0:
            raise SinkError(f"{self._broker}: {_sentence(self._mqtt.error_string(code))}")

    def close(self) -> None:
        """Send DISCONNECT if the connection still stands, without waiting for an answer."""
        if self._client.socket() is not None:
            self._client.disconnect()

    def drop(self) -> None:
        """Close the socket without DISCONNECT, as after a failure."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()


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
