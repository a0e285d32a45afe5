"""URLs of brokers and proxies: what they name, and that no error, text or log repeats a secret in them."""

from __future__ import annotations

from typing import Any

import pytest

from motionsig.errors import InputError, MotionsigError
from motionsig.publishers import BROKER_SCHEMES, open_sink, read_signatures
from motionsig.publishers.brokers import SCHEMES, parse_broker
from motionsig.publishers.connection import Connection
from motionsig.publishers.proxies import parse_proxy


def test_what_opens_sinks_knows_the_schemes() -> None:
    assert tuple(SCHEMES) == BROKER_SCHEMES


@pytest.mark.parametrize(
    ("url", "shown", "path", "tls", "websockets"),
    [
        ("mqtt://h", "mqtt://h:1883", "", False, False),
        ("mqtts://u:p@[::1]", "mqtts://[::1]:8883", "", True, False),
        ("ws://h", "ws://h:80", "/mqtt", False, True),
        ("wss://h/", "wss://h:443", "/mqtt", True, True),
        ("wss://h:8443/a/b%20c", "wss://h:8443", "/a/b%20c", True, True),
        ("mqtt+unix:/run/a%20b", "mqtt+unix:/run/a b", "", False, False),
        ("mqtt+unix:///run/m", "mqtt+unix:/run/m", "", False, False),
    ],
)
def test_a_url_names_a_broker(url: str, shown: str, path: str, tls: bool, websockets: bool) -> None:
    broker = parse_broker(url)
    assert (str(broker), broker.path, broker.tls, broker.websockets) == (shown, path, tls, websockets)


@pytest.mark.parametrize(
    ("url", "cert", "alpn", "asked"),
    [
        ("mqtts://h", None, None, ""),
        ("mqtts://h:443", None, None, "mqtt"),
        ("mqtts://h:443", None, "", ""),
        ("mqtts://x.iot.eu-west-1.amazonaws.com:443", "c", None, "x-amzn-mqtt-ca"),
        ("mqtts://x.iot.eu-west-1.amazonaws.com:443", None, None, "mqtt"),
        ("mqtts://x.iot.eu-west-1.amazonaws.com", "c", None, ""),
        ("mqtts://amazonaws.com.example:443", "c", None, "mqtt"),
        ("mqtts://h:443", "c", "own", "own"),
        ("wss://h", None, None, ""),
    ],
)
def test_what_tls_asks_for(url: str, cert: str | None, alpn: str | None, asked: str) -> None:
    assert parse_broker(url, cert=cert, alpn=alpn).alpn == asked


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("mqtt://u:s3cret@", {}, "and no host"),
        ("mqtt://u:s3cret@a b", {}, "what is no host"),
        ("mqtt://u:s3cret@h:0", {}, "port from 1"),
        ("mqtt://u:s3cret@h:x", {}, "without a valid host and port"),
        ("mqtt://u:1s3cret/2@h", {}, "without a valid host and port"),
        ("mqtt://s3cret/2@h", {}, "expected no path behind mqtt://host"),
        ("mqtt://u@[s3cret", {}, "without a valid host and port"),
        ("ws://u:s3cret@h/a b", {}, "a path of ASCII"),
        ("http://u:s3cret@h", {}, "got scheme 'http'"),
        ("mqtt+unix://u:s3cret@h/x", {}, "got scheme 'mqtt\\+unix'"),
        ("mqtt+unix:s3cret", {}, "begin with /"),
        ("mqtt+unix:/x", {"proxy": "http://u:s3cret@p"}, "does not reach mqtt\\+unix"),
        ("mqtt://h", {"ca": "x"}, "need mqtts:// or wss://"),
        ("wss://h", {"key": "x"}, "key needs cert"),
        ("wss://h", {"alpn": "x"}, "expected mqtts:// with it"),
        ("mqtt://u:s3cret@h", {"password_file": "x"}, "got both"),
        ("mqtt://h", {"password_file": "x"}, "needs username"),
        ("mqtt://h", {"proxy": "ftp://u:s3cret@p"}, "proxy: expected http://"),
        ("mqtt://h", {"proxy": "http://u:s3cret@"}, "proxy: expected http://"),
        ("mqtt://h", {"proxy": "http://u:s3cret@p/x"}, "proxy: expected http://"),
        ("mqtt://h", {"proxy": "http://u:1s3cret/@p"}, "proxy: expected http://.*valid"),
        ("mqtt://h", {"proxy": "http://:s3cret@p"}, "a user with the password"),
        ("mqtt://h", {"proxy": "http://a%3Ab:s3cret@p"}, "without :"),
        ("mqtt://h", {"proxy": f"socks5://u:s3cret{'x' * 255}@p"}, "at most 255 bytes"),
    ],
)
def test_what_cannot_be_meant_is_refused_without_its_secrets(url: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_broker(url, **options)
    assert "s3cret" not in str(caught.value)


def test_no_other_door_shows_a_url() -> None:
    for door, url in ((read_signatures, "mqtt://u:s3cret@h"), (open_sink, "mqtt://u:s3cret@h?x")):
        with pytest.raises(MotionsigError) as caught:
            door(url)
        assert "s3cret" not in str(caught.value)


def test_nothing_shows_a_secret() -> None:
    broker = parse_broker("wss://u:s3cret@h/s3cret", proxy="http://v:s3cret@p")
    proxy = parse_proxy("socks5://v:s3cret@[::1]")
    assert "s3cret" not in f"{broker} {broker!r} {proxy} {proxy!r}"
    assert str(proxy) == "proxy socks5://[::1]:1080"


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("wss://h", "h", "https://h"),
        ("wss://h:8443", "h:8443", "https://h:8443"),
        ("ws://[::1]:80", "[::1]", "http://[::1]"),
    ],
)
def test_a_websocket_says_where_it_goes(url: str, host: str, origin: str) -> None:
    connection = Connection(parse_broker(url), client_id="x", clean_session=True, keepalive_s=5)
    assert connection._of_websocket({"Host": "?", "a": "b"}) == {"Host": host, "Origin": origin, "a": "b"}
