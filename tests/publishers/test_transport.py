"""The ways to a broker, each to a real one: WebSockets, TLS, a Unix socket, proxies; and files that are renewed."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, free_port, make_certificates
from made import numbered, wait_until
from receiving import mqtt
from tunnel import Tunnel

from motionsig.collector import collect
from motionsig.errors import InputError
from motionsig.publishers import connection, transport
from motionsig.publishers.brokers import parse_broker


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[dict[str, Any]]:
    """Yield the URLs of one broker that listens in all ways, by scheme, and the file of its log."""
    folder = tmp_path_factory.mktemp("everywhere")
    ports = {scheme: free_port() for scheme in ("mqtts", "ws", "wss")}
    tls = f"certfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n"
    listener = (
        f"listener {ports['mqtts']} 127.0.0.1\n{tls}"
        f"listener {ports['ws']} 127.0.0.1\nprotocol websockets\n"
        f"listener {ports['wss']} 127.0.0.1\nprotocol websockets\n{tls}"
        f"listener 0 {folder}/socket\n"
    )
    with Broker(folder, listener=listener) as broker:
        # The last one that it opens.
        wait_until((folder / "socket").exists)
        urls = {scheme: f"{scheme}://localhost:{port}" for scheme, port in ports.items()}
        for scheme in ("mqtts", "wss"):
            urls[scheme] += f"?ca={certificates}/ca.pem"
        urls |= {"mqtt": f"mqtt://localhost:{broker.port}", "mqtt+unix": f"mqtt+unix:{folder}/socket"}
        yield {"log": folder / "log", **urls}


@pytest.mark.parametrize("scheme", ["mqtts", "ws", "wss", "mqtt+unix"])
def test_what_is_published_is_collected(everywhere: dict[str, Any], tmp_path: Path, scheme: str) -> None:
    url, prefix = everywhere[scheme], {"prefix": scheme.replace("+", "-")}
    into = f"store:{tmp_path}/a.db"
    with ThreadPoolExecutor(1) as pool:
        collected = pool.submit(collect, url, into, count=600, timeout_s=60, client_id=f"{scheme}-collector", **prefix)
        wait_until(lambda: everywhere["log"].read_text("utf-8", "replace").count(f"SUBACK to {scheme}-collector") >= 2)
        with mqtt(url, tmp_path / "spool", delay_s=0, **prefix) as sink:
            for number in range(6):
                sink.publish(numbered(100, 100 * number))
        assert (sink.counts.delivered, sink.counts.pending) == (600, 0)
        assert collected.result().stored == 600


@pytest.mark.parametrize("through", ["http", "socks5"])
@pytest.mark.parametrize("login", [None, ("us er", "p:ss/word")])
@pytest.mark.parametrize("scheme", ["mqtt", "wss"])
def test_a_proxy_takes_us_there(
    everywhere: dict[str, Any], tmp_path: Path, through: str, login: tuple[str, str] | None, scheme: str
) -> None:
    user = "" if login is None else "us%20er:p%3Ass%2Fword@"
    with Tunnel(through, login) as tunnel:
        proxy = f"{through}://{user}127.0.0.1:{tunnel.port}"
        with mqtt(everywhere[scheme], tmp_path / "spool", proxy=proxy) as sink:
            sink.publish(numbered(30))
        assert sink.counts.delivered == 30
        # The name, which the proxy looks up: there may be no DNS here.
        assert tunnel.asked == [("localhost", sink.broker.port)]
        assert "p:ss" not in repr(sink.broker) + repr(sink._options)


@pytest.mark.parametrize(
    ("through", "given", "options", "said"),
    [
        ("http", "http", {"status": 403}, "it refused to connect to localhost:1883 with HTTP status 403: its rules"),
        ("http", "http", {"login": ("u", "p")}, "with HTTP status 407: it wants a user and a password"),
        ("socks5", "socks5", {"login": ("u", "p")}, "it wants a user and a password"),
        ("socks5", "socks5", {"refusal": 4}, "it did not connect to localhost:1883: it cannot reach the host"),
        ("socks5", "http", {}, "no answer in time; is it a proxy for http?"),
        ("http", "socks5", {}, "no answer in time; is it a proxy for socks5?"),
    ],
)
def test_what_a_proxy_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: str, given: str, options: dict[str, Any], said: str
) -> None:
    if through != given:
        monkeypatch.setattr(transport, "HANDSHAKE_TIMEOUT_S", 0.3)
    with Tunnel(through, **options) as tunnel:
        proxy = f"{given}://127.0.0.1:{tunnel.port}"
        with mqtt("mqtt://localhost", tmp_path / "spool", proxy=proxy, close_timeout_s=0.1) as sink:
            wait_until(lambda: f"proxy {proxy}: " in str(sink.last_error) and said in str(sink.last_error))


def test_a_proxy_that_is_not_there(tmp_path: Path) -> None:
    proxy = f"socks5://127.0.0.1:{free_port()}"
    with mqtt("mqtt://localhost", tmp_path / "spool", proxy=proxy, close_timeout_s=0.1) as sink:
        wait_until(lambda: sink.last_error == f"mqtt://localhost:1883: proxy {proxy}: connection refused")


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    with mqtt(f"mqtt+unix:{tmp_path}/none", tmp_path / "spool", close_timeout_s=0.1) as sink:
        wait_until(lambda: sink.last_error == f"mqtt+unix:{tmp_path}/none: no such file or directory")


@pytest.mark.parametrize("alpn", [None, "x-amzn-mqtt-ca", ""])
def test_tls_asks_for_a_protocol(tmp_path: Path, certificates: Path, alpn: str | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.set_alpn_protocols(["x-amzn-mqtt-ca", "mqtt", "http/1.1"])
    chosen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with context.wrap_socket(client, server_side=True) as secured:
                chosen.append(secured.selected_alpn_protocol())

        thread = threading.Thread(target=serve)
        thread.start()
        broker = parse_broker("mqtts://localhost:443", ca=f"{certificates}/ca.pem", alpn=alpn)
        to_server = type(broker)(**{**vars(broker), "port": server.getsockname()[1]})
        transport.dial(to_server).close()
        thread.join(60)
    assert chosen == [{None: "mqtt", "": None}.get(alpn, alpn)]


def test_what_is_renewed_is_read_at_the_next_connection(tmp_path: Path, certificates: Path) -> None:
    files = {name: tmp_path / name for name in ("ca", "cert", "key", "password")}
    for name, source in (("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key")):
        shutil.copy(certificates / source, files[name])
    files["password"].write_text("old\n")
    made, passwords = tmp_path / "made", tmp_path / "passwords"
    make_certificates(made)
    settings = (
        "cafile {0}/ca.pem\ncertfile {0}/server.pem\nkeyfile {0}/server.key\nrequire_certificate true\n"
        f"allow_anonymous false\npassword_file {passwords}\n"
    )

    def let_in(password: str) -> None:
        passwords.unlink(missing_ok=True)
        passwords.touch(mode=0o600)
        subprocess.run(["mosquitto_passwd", "-b", passwords, "me", password], check=True, capture_output=True)

    let_in("old")
    options: dict[str, Any] = {"ca": files["ca"], "cert": files["cert"], "key": files["key"], "username": "me"}
    options = {name: str(value) for name, value in options.items()} | {"password_file": str(files["password"])}
    with Broker(tmp_path / "broker", settings=settings.format(certificates)) as broker:
        url = f"mqtts://localhost:{broker.port}"
        with mqtt(url, tmp_path / "spool", close_timeout_s=0.5, hold_s=0, **options) as sink:
            sink.publish(numbered(3))
            wait_until(lambda: sink.counts.delivered == 3)
            broker.stop()
            let_in("new")
            broker.config.write_text(broker.config.read_text().replace(str(certificates), str(made)))
            broker.start()
            sink.publish(numbered(3, 3))
            wait_until(lambda: "the broker's certificate was refused" in str(sink.last_error))
            # Half of it is there: a certificate and another one's key.
            shutil.copy(made / "ca.pem", files["ca"])
            shutil.copy(made / "client.pem", files["cert"])
            wait_until(lambda: f"expected readable PEM files that fit, got {files['ca']}, " in str(sink.last_error))
            shutil.copy(made / "client.key", files["key"])
            wait_until(lambda: "are user name and password right?" in str(sink.last_error))
            files["password"].unlink()
            wait_until(lambda: f"expected a readable file {files['password']}, got: No such" in str(sink.last_error))
            files["password"].write_text("new")
            wait_until(lambda: sink.counts.delivered == 6)
            files["password"].unlink()
            assert (sink.last_error, sink.counts.pending) == (None, 0)
        with pytest.raises(InputError, match="expected a readable file"):
            mqtt(url, tmp_path / "spool", **options)
        with pytest.raises(InputError, match="expected a readable file"):
            collect(url, f"store:{tmp_path}/a.db", timeout_s=1, **options)


def test_a_websocket_that_answers_byte_by_byte_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_TIMEOUT_S", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}"
        with mqtt(url, tmp_path / "spool", close_timeout_s=0.1, retry_s=9, max_retry_s=9) as sink:
            client, _ = server.accept()
            deadline_s = time.monotonic() + 60
            while sink.last_error == "no connection yet" and time.monotonic() < deadline_s:
                time.sleep(0.05)
                try:
                    client.sendall(b"x")
                except OSError:
                    break
            wait_until(lambda: "ebSocket handshake error" in str(sink.last_error))
            client.close()
