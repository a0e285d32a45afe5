"""What a receiver meets at a broker: `motionsig doctor --broker URL`.

It connects with a client id of its own, so that no receiver is disturbed, and hears one message that it sends itself,
under a topic that no receiver subscribes to.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from motionsig.cli.doctor.findings import Finding, note, ok, wrong
from motionsig.collector import collect_options
from motionsig.collector.inbox import DROPPED_TOPIC
from motionsig.daemon.collecting import NAME, is_well, status_line
from motionsig.daemon.status_socket import NotLetInError, NotRunningError, ask
from motionsig.errors import SinkError
from motionsig.options import parse_options
from motionsig.publishers import split_url
from motionsig.publishers.brokers import BROKER_OPTIONS, parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.protocol import MQTT_5
from motionsig.publishers.transport import check_files

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

WAIT_S = 5.0


def broker(url: str) -> Iterator[Finding]:
    """Yield the findings on the broker of a URL, as `motionsig collect --from` takes it, and on the receiver here."""
    _, location, query = split_url(url)
    options = parse_options(query, collect_options(), where="--broker:", lowest=0)
    there = parse_broker(location, **{name: options[name] for name in BROKER_OPTIONS if name in options})
    check_files(there)
    heard: dict[str, MQTTMessage] = {}
    own = f"motionsig-doctor-{secrets.token_hex(4)}"
    connection = Connection(
        there,
        client_id=own,
        clean_session=True,
        keepalive_s=30,
        protocol=options.get("protocol", "auto"),
        on_message=lambda message: heard.update({message.topic: message}),
    )
    try:
        connection.open(WAIT_S, lambda: False)
        most = connection.limits.max_packet_bytes
        limit = f", packets of up to {most:,} bytes" if most else ""
        if connection.version == MQTT_5:
            yield ok(f"broker: {there} speaks MQTT 5{limit}")
        else:
            yield note(f"broker: {there} speaks MQTT 3.1.1, which cannot say why a message is refused")
        yield from _messages(connection, heard, str(options.get("prefix", "motionsig")), own)
        connection.close()
    except SinkError as error:
        connection.drop()
        yield wrong(f"broker: {error}", "compare URL, login and certificate with the broker's")
    yield from _receiver()


def _messages(connection: Connection, heard: dict[str, MQTTMessage], prefix: str, own: str) -> Iterator[Finding]:
    """Yield what becomes of the receiver's subscription, of a message, and of messages that the broker dropped."""
    topics = prefix.removeprefix("$share/").partition("/")[2] if prefix.startswith("$share/") else prefix
    test = f"{topics}/{own}/doctor"
    connection.subscribe(f"{topics}/+/signatures", WAIT_S)
    connection.subscribe(test, WAIT_S)
    connection.listen(DROPPED_TOPIC)
    yield ok(f"subscription: the broker accepts {topics}/+/signatures")
    try:
        yield _test_message(connection, heard, test)
        _wait(connection, lambda: DROPPED_TOPIC in heard)
    except SinkError as error:
        # Mosquitto 2.0.11 ends the connection after a message that its access list denies; others may do so, too.
        yield note(f"test message: may this user send one? The broker ended the connection: {error}")
        return
    if DROPPED_TOPIC not in heard:
        yield note(f"dropped: the broker does not say, or this user may not read {DROPPED_TOPIC}")
    elif (dropped := bytes(heard[DROPPED_TOPIC].payload)[:20].decode("ascii", "replace")) != "0":
        yield note(f"dropped: the broker has dropped {dropped} messages since its start", "max_queued_messages 0")
    else:
        yield ok("dropped: the broker has dropped no message since its start")


def _test_message(connection: Connection, heard: dict[str, MQTTMessage], topic: str) -> Finding:
    mid = connection.publish(topic, b"heard?")
    answers = _wait(connection, lambda: [each for each in connection.acknowledged if each.mid == mid])
    if not answers:
        return wrong(f"test message: no acknowledgement within {WAIT_S:g} s", "read the broker's log")
    if answers[0].reason.refused:
        return note("test message: this user may not send one, so whether messages arrive is not known")
    if _wait(connection, lambda: topic in heard):
        return ok("test message: it has arrived")
    return note(
        "test message: acknowledged, but it did not arrive: the access list may allow less than the broker says",
        "read the broker's log for Denied",
    )


def _wait(connection: Connection, what: Any) -> Any:
    """Return what `what` returns as soon as it is true, or after some seconds."""
    end_s = time.monotonic() + WAIT_S
    while not (found := what()) and time.monotonic() < end_s:
        connection.loop(0.1)
    return found


def _receiver() -> Iterator[Finding]:
    """Yield how the receiver of this machine is; none where there is none."""
    try:
        status = ask(NAME)
    except NotRunningError:
        return
    except NotLetInError:
        yield note("receiver: this user may not ask it", "sudo motionsig status --collect")
        return
    if is_well(status):
        yield ok(f"receiver: {status_line(status)}")
    else:
        yield wrong(f"receiver: {status_line(status)}", "sudo motionsig status --collect")
