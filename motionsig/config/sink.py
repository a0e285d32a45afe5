"""[sink] and [spool], checked as `open_sink` does, and what others see of the device: `name` and [status]."""

from __future__ import annotations

import socket
from hashlib import sha256
from pathlib import Path
from typing import Any

from motionsig import wire
from motionsig.config.credentials import key_file, password
from motionsig.config.draft import Draft
from motionsig.config.keys import known_keys, meant, shown, sink_key, sink_options
from motionsig.errors import InputError
from motionsig.files import read_file
from motionsig.publishers import SCHEMES, split_url
from motionsig.publishers.brokers import Broker, check_topic_part, parse_broker, tls_context
from motionsig.publishers.messages import check_max_message_bytes
from motionsig.publishers.mqtt_options import MqttOptions

_BROKERS = ("mqtt", "mqtts")
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
        expected = "mqtt://HOST[:PORT], mqtts://HOST[:PORT], store:PATH or file:PATH"
        draft.note("sink.url", f"expected {expected}, got something else")
        return ""
    broker = scheme in _BROKERS
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
        if scheme in _BROKERS:
            check_topic_part("name", name)
    return name


def check_sink(draft: Draft, scheme: str) -> dict[str, Any]:
    """Return the options of the sink, with the content of the credentials."""
    options = sink_options(draft.values)
    if scheme not in _BROKERS:
        if "max_message_bytes" in options:
            with draft.noting("sink.max_message_bytes"):
                check_max_message_bytes(options["max_message_bytes"])
        return options
    for option, read in (("password", password), ("key", key_file)):
        if option in options:
            name = options.pop(option)
            with draft.noting(sink_key(option)):
                options[option] = read(draft.credentials, name)
    _check_mqtt(draft, options)
    _check_certificates(draft, scheme, options)
    return options


def _check_mqtt(draft: Draft, options: dict[str, Any]) -> None:
    if "password" in options and not options.get("username"):
        draft.note("sink.password_credential", "expected a username with it, got none")
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
    if given and scheme == "mqtt":
        draft.note("sink.url", f"expected mqtts:// with {', '.join(given)}, got mqtt://")
        return
    if ("cert" in given) != ("sink.key_credential" in draft.values):
        draft.note("sink.url", "expected cert and key_credential together: a certificate and its key, got one of them")
        return
    for together in (("ca",), ("cert", "key")):
        if all(option in given for option in together):
            files = {option: given[option] for option in together}
            with draft.noting(f"sink.{together[0]}"):
                for option, path in files.items():
                    if option != "key" and not Path(path).is_absolute():
                        raise InputError(f"expected a path from / on, got {shown(path)}")
                    content, _ = read_file(Path(path), _MAX_PEM_BYTES)
                    if b"ENCRYPTED" in content:
                        raise InputError(f"{path}: expected a key without a password, got an encrypted one")
                    draft.digests[sink_key(option)] = sha256(content).digest()
                tls_context(Broker("broker", 0, tls=True, **files))


def check_status(draft: Draft, scheme: str) -> str | None:
    """Return the prefix of Home Assistant's discovery, None for off."""
    port = draft.value("status.prometheus")
    if port and not 1024 <= port <= 65535:
        draft.note("status.prometheus", f"expected a port from 1024 to 65535, or 0 for none, got {port}")
    wanted = draft.value("status.home_assistant")
    if wanted is False:
        return None
    if scheme not in _BROKERS:
        draft.note("status.home_assistant", f"expected a broker to announce it at, got {scheme}:")
    # Home Assistant's own default.
    prefix: str = "homeassistant" if wanted is True else wanted
    with draft.noting("status.home_assistant"):
        MqttOptions(home_assistant=prefix)
    return prefix
