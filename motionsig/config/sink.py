"""[sink] and [spool], checked as `open_sink` does, and what others see of the device: `name` and [status]."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from motionsig import wire
from motionsig.config.credentials import credential_path
from motionsig.config.draft import Draft
from motionsig.config.keys import SCHEMES, known_keys, meant, shown, sink_key, sink_options
from motionsig.errors import InputError
from motionsig.files import read_file
from motionsig.publishers import BROKER_SCHEMES, split_url
from motionsig.publishers.brokers import UNIX, Broker, check_alpn, check_topic_part, parse_broker
from motionsig.publishers.messages import check_max_message_bytes
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.proxies import parse_proxy
from motionsig.publishers.transport import read_secret, tls_context

_CHECKED_WITH = {"retry_s": "max_retry_s", "max_retry_s": "retry_s", "compress": "format"}
_MAX_PEM_BYTES = 1024 * 1024
_MOST_KEEPALIVE_S = 65535  # two bytes (MQTT 3.1.1, 3.1.2.10)


def check_url(draft: Draft) -> str:
    """Return the scheme of the sink's URL, "" for an unknown one. No message repeats the URL: it may hold secrets."""
    url = draft.given.get("sink.url")
    if not isinstance(url, str):
        near = {meant(key, value, known_keys()) for key, value in draft.given.items()}
        # A misspelt key is reported as such.
        if url is None and not near & {"sink", "sink.url"}:
            draft.note("sink.url", "expected where signatures go, such as mqtts://HOST or store:PATH, got nothing")
        return ""
    scheme, _, rest = url.partition(":")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        expected = "mqtt://HOST[:PORT], the same with mqtts, ws or wss, mqtt+unix:/PATH, store:PATH or file:PATH"
        draft.note("sink.url", f"expected {expected}, got something else")
        return ""
    broker = scheme in BROKER_SCHEMES
    with draft.noting("sink.url"):
        if broker and "@" in rest:
            raise InputError("expected no user in it: username and password_credential are keys of their own")
        if "?" in rest or (broker and "#" in rest):
            raise InputError("expected no options in it: each is a key of its own in [sink] or [spool]")
        if broker:
            parse_broker(url)
        elif ".." in Path(split_url(url)[1]).parts:
            raise InputError(f"expected {scheme}:PATH without .., from / on or in the state folder, got {shown(rest)}")
    return scheme


def check_name(draft: Draft, scheme: str, instance: str | None) -> str:
    """Return the device's name in what is published: by default that of this machine, and of the instance."""
    name: str | None = draft.value("name")
    if name is None:
        name = socket.gethostname() + ("" if instance is None else f"-{instance}")
    with draft.noting("name"):
        wire.check_origin(name, 0)
        if scheme in BROKER_SCHEMES:
            check_topic_part("name", name)
    return name


def check_sink(draft: Draft, scheme: str) -> dict[str, Any]:
    """Return the options of the sink, with the files of the credentials."""
    options = sink_options(draft.values)
    if scheme == "store":
        from motionsig.publishers.retention import Limits

        options.setdefault("keep_bytes", known_keys("store")["sink.keep_bytes"].default)
        for option in ("keep_days", "keep_bytes"):
            with draft.noting(sink_key(option)):
                Limits(**{option: options.get(option, 0)})
    if scheme not in BROKER_SCHEMES:
        if "max_message_bytes" in options:
            with draft.noting("sink.max_message_bytes"):
                check_max_message_bytes(options["max_message_bytes"])
        return options
    _check_files(draft, options)
    _check_route(draft, scheme, options)
    _check_mqtt(draft, options)
    _check_certificates(draft, scheme, options)
    return options


def _check_files(draft: Draft, options: dict[str, Any]) -> None:
    """Put the files of secrets in their places; those of the password and the key are read at each connection."""
    for key in ("sink.password_file", "sink.key_file", "sink.ca", "sink.cert"):
        if not (path := draft.values.get(key, "/")).startswith("/"):
            draft.note(key, f"expected a path from / on, got {shown(path)}")
            del options[key.removeprefix("sink.")]
    for given, option in (("password", "password_file"), ("key", "key"), ("proxy_credential", "proxy")):
        if given in options:
            if option in draft.table("sink"):
                draft.note(sink_key(given), f"expected this or sink.{option}, got both")
            name = options.pop(given)
            with draft.noting(sink_key(given)):
                options[option] = credential_path(draft.credentials, name)
    if "key_file" in options:
        if "key" in options:
            draft.note("sink.key_file", "expected this or sink.key_credential, got both")
        options["key"] = options.pop("key_file")
    if "password_file" in options:
        key = "sink.password_file" if "sink.password_file" in draft.values else "sink.password_credential"
        if not options.get("username"):
            draft.note(key, "expected a username with it, got none")
        with draft.noting(key):
            read_secret(options["password_file"])


def _check_route(draft: Draft, scheme: str, options: dict[str, Any]) -> None:
    """Check how the broker is reached: through a proxy, and by which protocol of TLS."""
    if "sink.proxy_credential" in draft.values and "proxy" in options:
        with draft.noting("sink.proxy_credential"):
            options["proxy"] = read_secret(options["proxy"])
            parse_proxy(options["proxy"])
    elif "proxy" in options:
        with draft.noting("sink.proxy"):
            if "@" in options["proxy"]:
                raise InputError('expected no user in it; write the whole URL into a file: proxy_credential = "FILE"')
            parse_proxy(options["proxy"])
    if "proxy" in options and scheme == UNIX:
        draft.note("sink.proxy", f"expected no proxy with {UNIX}:, a socket of this machine")
    if "alpn" in options:
        with draft.noting("sink.alpn"):
            check_alpn(scheme, options["alpn"])


def _check_mqtt(draft: Draft, options: dict[str, Any]) -> None:
    for option in options:
        # One by one, to know which one is refused; but what some may be depends on another one.
        together = {option, _CHECKED_WITH.get(option, option)}
        with draft.noting(sink_key(option)):
            MqttOptions(**{each: options[each] for each in together if each in options})
    if options.get("keepalive_s", 0) > _MOST_KEEPALIVE_S:
        draft.note("sink.keepalive_s", f"expected at most {_MOST_KEEPALIVE_S}, got {options['keepalive_s']}")
    if options.get("full") == "wait":
        draft.note("spool.full", "expected oldest or newest, got wait: a sensor does not wait")
    if not options.get("spool", "/").startswith("/"):
        draft.note("spool.path", f"expected a folder's path from / on, got {shown(options['spool'])}")


def _check_certificates(draft: Draft, scheme: str, options: dict[str, Any]) -> None:
    given: dict[str, Any] = {option: options[option] for option in ("ca", "cert", "key") if option in options}
    if given and scheme not in ("mqtts", "wss"):
        draft.note("sink.url", f"expected mqtts:// or wss:// with {', '.join(given)}, got {scheme}://")
        return
    keys = {"sink.key_credential", "sink.key_file"}
    if ("sink.cert" in draft.values) != bool(keys & draft.values.keys()):
        wanted = "cert and key_credential (or key_file) together: a certificate and its key"
        draft.note("sink.url", f"expected {wanted}, got one of them")
        return
    for together in (("ca",), ("cert", "key")):
        if all(option in given for option in together):
            files = {option: given[option] for option in together}
            with draft.noting(f"sink.{together[0]}"):
                for path in files.values():
                    content, _ = read_file(Path(path), _MAX_PEM_BYTES)
                    if b"ENCRYPTED" in content:
                        raise InputError(f"{path}: expected a key without a password, got an encrypted one")
                tls_context(Broker("mqtts", "broker", 0, **files))


def check_status(draft: Draft, scheme: str) -> str | None:
    """Return the prefix of Home Assistant's discovery, None for off."""
    port = draft.value("status.prometheus")
    if port and not 1024 <= port <= 65535:
        draft.note("status.prometheus", f"expected a port from 1024 to 65535, or 0 for none, got {port}")
    if draft.value("page.history_days") and scheme == "store":
        draft.note(
            "page.history_days", "expected 0 with store:, which the page looks back on itself; see sink.keep_days"
        )
    wanted = draft.value("status.home_assistant")
    if wanted is False:
        return None
    if scheme not in BROKER_SCHEMES:
        draft.note("status.home_assistant", f"expected a broker to announce it at, got {scheme}:")
    # Home Assistant's own default.
    prefix: str = "homeassistant" if wanted is True else wanted
    with draft.noting("status.home_assistant"):
        MqttOptions(home_assistant=prefix)
    return prefix
