"""The options of a sink at a broker: what `open_sink("mqtt://…")` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from motionsig import wire
from motionsig.errors import InputError
from motionsig.fewer_bits import check_bits
from motionsig.publishers.brokers import check_topic_part
from motionsig.publishers.messages import DEFAULT_MAX_MESSAGE_BYTES, FORMS, Form, check_max_message_bytes
from motionsig.publishers.protocol import check_protocol
from motionsig.publishers.spool import DEFAULT_MAX_BYTES, check_limits

UNHEARD = ("forget", "keep")


@dataclass(frozen=True, kw_only=True)
class MqttOptions:
    """Options by their keyword; raises InputError for what cannot be meant.

    password_file: a file with the password, in place of it. ca, cert, key: PEM files for mqtts and wss; without ca the
    system's authorities count. All of these files are read at each connection, so they may be renewed. alpn: the
    protocol that TLS asks for, by default "mqtt" on port 443 and none on others. proxy: http:// or socks5:// URL of a
    proxy. client_id: by default always the same for this device, machine and spool, so that the broker ends a
    connection it has not yet given up before it takes the next one.
    prefix: messages go to PREFIX/DEVICE/signatures. format: "cbor", or "json" for programs that read UTF-8 only; JSON
    goes to PREFIX/DEVICE/signatures/json, and `collect` does not read it. availability: keep whether the device is
    there at PREFIX/DEVICE/availability. home_assistant: the prefix ("homeassistant") under which Home Assistant
    discovers the device; includes availability.
    spool: directory of the queue, one publisher each. buffer: directory in RAM where signatures wait before that, by
    default one in $RUNTIME_DIRECTORY if that is set. max_bytes, full: size of the queue and what happens beyond it:
    "oldest" or "newest" are dropped, or "wait" for free space. strict: publish survives a power cut, at the price of a
    disk write each and without a buffer; otherwise a power cut costs the last 16 s at most.
    delay_s: how long signatures wait to travel together, 0 sends each at once; more than 12 has them written to disk
    first. max_message_bytes: a full message leaves earlier, and what was spooled with a larger limit or for another
    format is cut; only a single signature may be larger. compress: one of wire.COMPRESS; JSON is never
    packed. bits: of a code, 8 or 4; codes of 4 bits are those of another encoder, see `fewer_bits`.
    rest: signatures at rest get the codes of the first of their run, see `resting`, and wait up to `rest_delay_s`, or
    until something moves. They are in RAM for as long, and a power cut costs them. Only with packed codes.
    in_flight: messages on their way at most. ack_timeout_s: after so long without an acknowledgement the connection is
    given up. hold_s: how long an acknowledged message is kept to be sent again should the broker have lost it.
    retry_s, max_retry_s: pauses between attempts are random, up to a bound that doubles from one to the other.
    close_timeout_s, close_limit_s: how long close waits without an acknowledgement, and altogether.
    protocol: "auto" tries MQTT 5 and then 3.1.1, "5" and "3.1.1" only that one. unheard: what becomes of a message to
    which nobody subscribes, as far as the broker says so (MQTT 5): "forget" counts it as delivered and says so, "keep"
    sends it again until somebody subscribes.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    alpn: str | None = None
    proxy: str | None = field(default=None, repr=False)
    client_id: str | None = None
    prefix: str = "motionsig"
    format: str = "cbor"
    availability: bool = False
    home_assistant: str | None = None
    spool: str | None = None
    buffer: str | None = None
    max_bytes: int = DEFAULT_MAX_BYTES
    full: str = "oldest"
    strict: bool = False
    delay_s: float = 12.0
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    compress: str | bool = "trained"
    bits: int = 8
    rest: bool = False
    rest_delay_s: float = 600.0
    in_flight: int = 20
    ack_timeout_s: float = 20.0
    hold_s: float = 10.0
    keepalive_s: int = 30
    retry_s: float = 10.0
    max_retry_s: float = 300.0
    close_timeout_s: float = 5.0
    close_limit_s: float = 30.0
    protocol: str = "auto"
    unheard: str = "forget"

    def __post_init__(self) -> None:
        for name, value in (("prefix", self.prefix), ("home_assistant", self.home_assistant)):
            for part in value.split("/") if value is not None else []:
                check_topic_part(name, part)
        if self.format not in FORMS:
            raise InputError(f"format: expected one of {', '.join(FORMS)}, got {self.format!r}")
        if wire.check_compress(self.compress) == "deflate" and self.format != "cbor":
            raise InputError(f"compress: expected format cbor with it, got {self.format}: only CBOR can be packed")
        check_bits(self.bits)
        if self.rest and (self.format != "cbor" or wire.check_compress(self.compress) == "no"):
            raise InputError(
                "rest: expected format cbor, and not compress=no with it: only packed codes become smaller"
            )
        if self.rest and self.rest_delay_s < self.delay_s:
            raise InputError(f"rest_delay_s: expected delay_s or more, {self.delay_s:g}, got {self.rest_delay_s:g}")
        check_max_message_bytes(self.max_message_bytes)
        check_limits(self.max_bytes, self.full)
        check_protocol(self.protocol)
        if self.unheard not in UNHEARD:
            raise InputError(f"unheard: expected one of {', '.join(UNHEARD)}, got {self.unheard!r}")
        least_s = min(self.retry_s, self.ack_timeout_s)
        if min(self.in_flight, self.keepalive_s) < 1 or least_s <= 0 or self.max_retry_s < self.retry_s:
            raise InputError(
                "mqtt: expected in_flight and keepalive_s from 1 up, 0 < retry_s <= max_retry_s and 0 < ack_timeout_s, "
                f"got {self.in_flight}, {self.keepalive_s}, {self.retry_s}, {self.max_retry_s} and {self.ack_timeout_s}"
            )

    @property
    def form(self) -> Form:
        """How messages go to the broker."""
        form = FORMS[self.format]
        packing = partial(wire.encode, compress=self.compress)
        return replace(form, encode=packing) if self.format == "cbor" else form

    @property
    def keep(self) -> Callable[[wire.Message], bytes]:
        """What records of the spool are cut with. They are read without tables: a later model may have other ones."""
        deflate = wire.check_compress(self.compress) == "deflate"
        return partial(wire.encode, compress="deflate") if deflate else FORMS[self.format].encode
