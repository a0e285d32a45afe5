"""The connection: TLS, passwords, and what is no broker."""

from __future__ import annotations

import logging
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, make_certificates
from made import numbered, wait_until
from receiving import mqtt

from motionsig.publishers import sending


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


def tls_broker(folder: Path, certificates: Path) -> Broker:
    listener = (
        f"cafile {certificates}/ca.pem\ncertfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n"
        "require_certificate true\n"
    )
    return Broker(folder, listener=listener)


def test_tls_with_a_client_certificate(tmp_path: Path, certificates: Path) -> None:
    files = {"ca": f"{certificates}/ca.pem", "cert": f"{certificates}/client.pem", "key": f"{certificates}/client.key"}
    with tls_broker(tmp_path / "broker", certificates) as broker:
        with mqtt(f"mqtts://localhost:{broker.port}", tmp_path / "spool", **files) as sink:
            for number in range(300):
                sink.publish(numbered(10, 10 * number))
        assert (sink.counts.delivered, sink.counts.pending) == (3000, 0)


@pytest.mark.parametrize(
    ("ca", "cert", "host", "reason"),
    [
        ("other-ca.pem", True, "localhost", "certificate was refused"),
        ("ca.pem", True, "127.0.0.2", "certificate was refused"),
        ("ca.pem", False, "localhost", "client certificate"),
    ],
)
def test_tls_that_does_not_fit(tmp_path: Path, certificates: Path, ca: str, cert: bool, host: str, reason: str) -> None:
    options: dict[str, Any] = {"ca": f"{certificates}/{ca}", "close_timeout_s": 0.2}
    if cert:
        options |= {"cert": f"{certificates}/client.pem", "key": f"{certificates}/client.key"}
    with tls_broker(tmp_path / "broker", certificates) as broker:
        if host == "127.0.0.2":
            broker.stop()
            broker.config.write_text(broker.config.read_text().replace("127.0.0.1", "127.0.0.2"))
            broker.start("127.0.0.2")
        with mqtt(f"mqtts://{host}:{broker.port}", tmp_path / "spool", **options) as sink:
            sink.publish(numbered(3))
            wait_until(lambda: sink.last_error is not None and reason in sink.last_error)
        assert sink.counts.pending == 3


def test_a_password_is_needed_and_never_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, certificates: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "me", "p@ss word"], check=True, capture_output=True)
    with Broker(tmp_path / "broker", settings=f"allow_anonymous false\npassword_file {passwords}\n") as broker:
        right = f"mqtt://me:p%40ss%20word@127.0.0.1:{broker.port}"
        with mqtt(right, tmp_path / "spool") as sink:
            sink.publish(numbered(2))
        assert sink.counts.delivered == 2
        with mqtt(broker.url, tmp_path / "spool", username="me", password="p@ss word") as sink:
            sink.publish(numbered(2))
        assert sink.counts.delivered == 2
        for wrong in (right.replace("word", "what"), broker.url):
            with mqtt(wrong, tmp_path / "spool", close_timeout_s=0.3) as sink:
                sink.publish(numbered(1))
                wait_until(lambda: sink.last_error is not None and "uthori" in sink.last_error)
                assert str(sink.last_error).endswith("; are user name and password right?")
    assert "word" not in caplog.text.replace("password", "").replace("passwords", "")
    assert "p@ss" not in caplog.text + repr(sink.broker)


def test_something_that_is_no_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CONNECT_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        sink = mqtt(f"mqtt://127.0.0.1:{server.getsockname()[1]}", tmp_path / "spool", close_timeout_s=0.2)
        client, _ = server.accept()
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(200))
        wait_until(lambda: "mqtt://127.0.0.1" in str(sink.last_error))
        sink.close()
        client.close()
