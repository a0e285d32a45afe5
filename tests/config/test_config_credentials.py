"""Credentials and certificates: secrets are in files of their own, and in no message."""

from __future__ import annotations

from pathlib import Path

import pytest
from broker import make_certificates
from configurations import MQTT, Write, credential, problems

from motionsig.config import check_config, load_config
from motionsig.publishers.transport import read_secret


def test_a_secret_is_a_file_that_only_root_reads(write: Write) -> None:
    path = write(MQTT + 'username = "hall"\npassword_credential = "mqtt-password"')
    assert "sink.password_credential: expected a file" in problems(path)[0]
    file = credential(path, "mqtt-password", b" s3cret \n")
    config = load_config(path)
    assert config.sink_options == {"username": "hall", "password_file": str(file)}
    assert read_secret(config.sink_options["password_file"]) == " s3cret "
    assert "s3cret" not in repr(config) + "".join(check_config(config))
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        (line,) = problems(path)
        assert line.endswith(f"expected a file that only its owner can read; sudo chmod 600 {file}")
    for content in (b"", b"\n", b"x" * 4097, b"a\0b", b"\xff", b"x" * 100_000):
        credential(path, "mqtt-password", content)
        (line,) = problems(path)
        assert "config.toml: sink.password_credential: " in line


def test_a_service_gets_its_secrets_from_systemd(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(MQTT + 'username = "hall"\npassword_credential = "mqtt-password"')
    given = tmp_path / "given"
    given.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    (line,) = problems(path)
    assert f"made from {path.parent}/credentials/mqtt-password when the service starts" in line
    (given / "motionsig_mqtt-password").write_text("s3cret")
    # What systemd 254 and later show of a file that an access list gives to the service.
    (given / "motionsig_mqtt-password").chmod(0o440)
    assert read_secret(load_config(path).sink_options["password_file"]) == "s3cret"
    source = credential(path, "mqtt-password", b"s3cret", 0o644)
    (line,) = problems(path)
    assert line.endswith(f"; sudo chmod 600 {source}")
    source.chmod(0o600)
    (given / "motionsig_mqtt-password").chmod(0o444)
    assert "motionsig_mqtt-password: expected a file that only its owner can read" in problems(path)[0]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (MQTT + "password = 's3cret'", "sink.password: expected no secret here"),
        (MQTT + "key = 's3cret'", "sink.key: expected no secret here"),
        (MQTT + "passwrd = 's3cret'", "sink.passwrd: "),
        (MQTT + "username = 'x'\npassword_credential = 's3cret!'", "sink.password_credential: expected the name of"),
        (MQTT + "username = 'x'\npassword_credential = '../s3cret'", "sink.password_credential: expected the name of"),
        (MQTT + "proxy = 'socks5://x:s3cret@h'", "sink.proxy: expected no user in it"),
        ("[sink]\nurl = 'mqtt://u:s3cret@h'", "sink.url: expected no user in it"),
        ("[sink]\nurl = 'mqtt://h?password=s3cret'", "sink.url: expected no options in it"),
        ("[sink]\nurl = 'mqt://u:s3cret@h'", "sink.url: expected mqtt://HOST"),
        ("[sink]\nurl = 's3cret'", "sink.url: expected mqtt://HOST"),
    ],
)
def test_no_secret_stands_in_the_file_nor_in_the_error(write: Write, text: str, key: str) -> None:
    (line,) = problems(write(text))
    assert line.startswith(f"config.toml: {key}")
    assert "s3cret" not in line


def test_a_password_needs_a_user(write: Write) -> None:
    path = write(MQTT + 'password_credential = "p"')
    credential(path, "p", b"x")
    assert problems(path) == ("config.toml: sink.password_credential: expected a username with it, got none",)


def test_certificates_are_read(write: Write, tmp_path: Path) -> None:
    made = tmp_path / "made"
    make_certificates(made)
    ca, cert = made / "ca.pem", made / "client.pem"
    path = write(MQTT + f'ca = "{ca}"\ncert = "{cert}"\nkey_credential = "client.key"')
    key = credential(path, "client.key", (made / "client.key").read_bytes())
    options = load_config(path).sink_options
    assert (options["ca"], options["cert"], options["key"]) == (str(ca), str(cert), str(key))
    credential(path, "client.key", (made / "server.key").read_bytes())
    assert "config.toml: sink.cert: mqtts://broker:0: expected readable PEM files" in problems(path)[0]
    credential(path, "client.key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert "expected a key without a password, got an encrypted one" in problems(path)[0]
    credential(path, "client.key", b"x", 0o644)
    (line,) = problems(path)
    assert line.endswith(f"; sudo chmod 600 {key}")
    credential(path, "client.key", (made / "client.key").read_bytes())
    ca.write_text("junk")
    assert "config.toml: sink.ca: " in problems(path)[0]
