"""The configuration: what loads, and what each mistake is told as."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker import make_certificates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motionsig.config import MAX_FILE_BYTES, Config, check_config, differences, known_keys, load_config
from motionsig.errors import ConfigError, MotionsigError
from motionsig.publishers import SCHEMES

EXAMPLE = Path(__file__).parents[1] / "systemd" / "config.toml"
STORE = '[sink]\nurl = "store:signatures.db"\n'
MQTT = '[sink]\nurl = "mqtts://broker.example"\n'

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files below a folder, the first of them config.toml, and return its path."""

    def write(config: str | bytes = STORE, /, **others: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_bytes(config if isinstance(config, bytes) else config.encode())
        for name, text in others.items():
            file = tmp_path / f"{name.replace('__', '/')}.toml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return path

    return write


def problems(path: Path, *, name: str | None = None) -> tuple[str, ...]:
    """Return what is wrong, each line without the folder."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, name=name)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert isinstance(caught.value, MotionsigError)
    assert all(line.startswith(f"{path.parent}/") and "\n" not in line for line in caught.value.problems)
    return tuple(line.removeprefix(f"{path.parent}/") for line in caught.value.problems)


def credential(path: Path, name: str, content: bytes, mode: int = 0o600) -> Path:
    file = path.parent / "credentials" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_a_sink_is_enough(write: Write) -> None:
    config = load_config(write())
    assert config.name == os.uname().nodename
    assert (config.sensor, config.model, config.device, config.hop) == ({}, "motion64", "auto", None)
    assert (config.sink_url, config.sink_options) == ("store:signatures.db", {})
    assert (config.home_assistant, config.prometheus) == (None, None)


def test_the_example_loads_and_names_every_key() -> None:
    config = load_config(EXAMPLE)
    assert (config.sensor, config.sink_url) == ({"name": "auto"}, "store:signatures.db")
    # With each commented key in force the tables are those of the keys: none is missing, none is another's.
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text().splitlines()]
    table, named = "", set()
    for line in lines:
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif " = " in line and line.split(" = ")[0].isidentifier():
            assert tomllib.loads(line), line
            named.add(table + line.split(" = ")[0])
    assert named == set(known_keys())


def test_every_option_of_sensor_and_sinks_is_a_key_or_the_daemons() -> None:
    keys = known_keys()
    assert {"sensor.name", "sensor.rate_hz", "sensor.mount", "sink.durable", "sink.compress", "spool.path"} <= set(keys)
    assert keys["sensor.rate_hz"].default == 100.0
    assert keys["sensor.bus"].kinds == ("int",)
    assert not {"sensor.clock", "sink.busy_timeout_s", "sink.close_limit_s"} & set(keys)
    assert not {f"{table}.{secret}" for table in ("sink", "spool") for secret in ("password", "key")} & set(keys)
    assert all(key.kinds for key in keys.values())
    assert set(known_keys("mqtt")) == set(known_keys("mqtts"))


def test_later_files_win_key_by_key(write: Write) -> None:
    path = write(
        STORE + '[sensor]\nname = "simulated"\nrate_hz = 100\n[model]\nhop = 64',
        conf_d__20="[sensor]\nrate_hz = 400",
        conf_d__10="[sensor]\nrate_hz = 200\naccel_range_g = 4",
        left='name = "left"\n[model]\nhop = 32',
    )
    (path.parent / "conf_d").rename(path.parent / "conf.d")
    for backup in ("30.toml~", ".#10.toml", "30.toml.dpkg-old", "README"):
        (path.parent / "conf.d" / backup).write_text("junk")
    config = load_config(path, name="left")
    assert config.sensor == {"name": "simulated", "rate_hz": 400.0, "accel_range_g": 4.0}
    assert (config.name, config.hop) == ("left", 32)
    assert [file.name for file in config.files] == ["config.toml", "10.toml", "20.toml", "left.toml"]
    assert config.origins["sensor.rate_hz"].name == "20.toml"
    assert load_config(path).hop == 64


def test_an_instance_is_named_after_its_file(write: Write) -> None:
    path = write(STORE, left="")
    assert load_config(path, name="left").name == f"{os.uname().nodename}-left"
    assert problems(path, name="right") == ("right.toml: expected a file to read, got: No such file or directory",)
    for wrong in ("../left", "", ".left", "config", "a/b", "a\n"):
        assert "--name: expected the name of an instance" in problems(path, name=wrong)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[sink]\nurl = \"mqtt://a\\u0000\"\nca = '/x'",
            ["sink.url: expected text in quotes", "sink.url: expected mqtts"],
        ),
        ("", ["sink.url: expected where signatures go, such as mqtts://HOST or store:PATH, got nothing"]),
        ("nmae = 'x'\n" + STORE, ["nmae: no such key; did you mean name?"]),
        ("[sensor]\nnam = 'x'\n" + STORE, ["sensor.nam: no such key; did you mean sensor.name?"]),
        ("[sensors]\nname = 'x'\n" + STORE, ["sensors: no such table; did you mean [sensor]?"]),
        ("[mqtt]\n" + STORE, ["mqtt: no such table; expected one of [sensor], [model], [sink], [spool], [status]"]),
        ("[sink]\nulr = 'x'", ["sink.ulr: no such key; did you mean sink.url?"]),
        ("[snk]\nurl = 'x'", ["snk: no such table; did you mean [sink]?"]),
        ("rate_hz = 1\n" + STORE, ["rate_hz: no such key; did you mean sensor.rate_hz?"]),
        ("sensor = 3\n" + STORE, ["sensor: expected one table, [sensor], got 3"]),
        ("[[sensor]]\n" + STORE, ["sensor: expected one table, [sensor], got [{}]"]),
        ("[sensor.name]\n" + STORE, ["sensor.name: expected text in quotes, got {}"]),
        ('"sensor.rate_hz" = 3\n' + STORE, ['"sensor.rate_hz": no such key; did you mean sensor']),
        ("[sensor]\nrate_hz = true\n" + STORE, ["sensor.rate_hz: expected a number, got true"]),
        ('[sensor]\nrate_hz = "100"\n' + STORE, ['sensor.rate_hz: expected a number, got "100"']),
        ("[sensor]\nrate_hz = nan\n" + STORE, ["sensor.rate_hz: expected a number from 0 up, got nan"]),
        ("[sensor]\nrate_hz = inf\n" + STORE, ["sensor.rate_hz: expected a number from 0 up, got inf"]),
        ("[sensor]\nrate_hz = 0\n" + STORE, ["sensor.rate_hz: expected a number above 0, got 0"]),
        ("[sensor]\nrate_hz = 5\n" + STORE, ["sensor.rate_hz: expected 10 to 8000 samples per second, got 5.0"]),
        (
            '[sensor]\nname = "lsm6dso"\nrate_hz = 9999\naccel_range_g = 99\n' + STORE,
            ["sensor.rate_hz: expected at most 1666 Hz, one of", "sensor.accel_range_g: expected at most 16 g, one of"],
        ),
        ('[sensor]\nname = "lsm6dsoxx"\n' + STORE, ['got "lsm6dsoxx"; did you mean lsm6dsox?']),
        ('[sensor]\nname = "auto:x"\n' + STORE, ["sensor.name: expected auto, iio[:NAME]"]),
        ('[sensor]\nname = "adxl345"\n' + STORE, ["sensor.name: expected a sensor with a gyroscope"]),
        ('[sensor]\nname = "iio"\nbus = 1\n' + STORE, ["sensor.bus: expected none"]),
        ("[sensor]\nbus = 1.0\n" + STORE, ["sensor.bus: expected a whole number, got 1.0"]),
        ("[sensor]\naddress = 0x80\n" + STORE, ["sensor.address: expected 0x03 to 0x77"]),
        ("[sensor]\nmount = [[1, 0], [0, 1]]\n" + STORE, ["sensor.mount: expected 3 x 3 finite numbers"]),
        ("[sensor]\nmount = [[1, 0, 0], [0, 1, 0], [0, 0, true]]\n" + STORE, ["sensor.mount: expected text in"]),
        ("[sensor]\nmount = '1, 0, 0; 0, 1, 0; 0, 0, -1'\n" + STORE, ["sensor.mount: expected a rotation, got the"]),
        ("[sensor]\ncalibration = 'x'\n" + STORE, ["sensor.calibration: expected a Calibration, "]),
        ("[model]\nname = 'motion65'\n" + STORE, ["model.name: expected one of motion64"]),
        ("[model]\nname = 'a/b'\n" + STORE, ["model.name: expected a model's name, or its folder's path from / on"]),
        ("[model]\ndevice = 'gpu'\n" + STORE, ["model.device: expected auto, cpu, edgetpu"]),
        ("[model]\ndevice = 'edgetpu:usb'\n" + STORE, ["model.device: "]),
        ("[model]\nhop = 0\n" + STORE, ["model.hop: windower: expected length and hop of 1 to"]),
        ("[sink]\nurl = 'http://x'", ["sink.url: expected mqtt://HOST[:PORT], mqtts://HOST[:PORT], store:PATH"]),
        ("[sink]\nurl = 'mqtt://h/x'", ["sink.url: broker URL: expected mqtt://"]),
        ("[sink]\nurl = 'mqtt://['", ["sink.url: "]),
        ("[sink]\nurl = 'store:'", ["sink.url: 'store:': expected store:PATH, got no path"]),
        ("[sink]\nurl = 'file:a/../x'", ['sink.url: expected file:PATH without .., from / on or in the state folder']),
        (STORE + "prefix = 'x'", ["sink.prefix: expected one of the options of store:, got one of another sink"]),
        (STORE + "[spool]\nstrict = true", ["spool.strict: expected no [spool] with store:"]),
        (STORE + "max_message_bytes = 1", ["sink.max_message_bytes: expected 128 to 262144, got 1"]),
        (STORE + "[status]\nhome_assistant = true", ["status.home_assistant: expected a broker to announce it at"]),
        (STORE + "[status]\nprometheus = 80", ["status.prometheus: expected a port from 1024 to 65535"]),
        (MQTT + "prefix = 'a/#'", ["sink.prefix: expected 1 to 1024 bytes of UTF-8 without"]),
        (MQTT + "in_flight = 0", ["sink.in_flight: mqtt: expected in_flight and keepalive_s from 1 up"]),
        (MQTT + "keepalive_s = 70000", ["sink.keepalive_s: expected at most 65535"]),
        (MQTT + "retry_s = 999", ["sink.retry_s: mqtt: expected in_flight and"]),
        (MQTT + "max_bytes = 70000", ["sink.max_bytes: no such key; did you mean spool.max_bytes?"]),
        (MQTT + "[spool]\nfull = 'wait'", ["spool.full: expected oldest or newest, got wait"]),
        (MQTT + "[spool]\nmax_bytes = 1", ["spool.max_bytes: expected at least 65536, got 1"]),
        (MQTT + "[spool]\npath = 'x'", ["spool.path: expected a folder's path from / on"]),
        (MQTT + "cert = '/x'", ["sink.url: expected cert and key_credential together"]),
        (MQTT + "ca = 'ca.pem'", ['sink.ca: expected a path from / on, got "ca.pem"']),
        (MQTT + "ca = '/nowhere.pem'", ["sink.ca: /nowhere.pem: No such file or directory"]),
        ("[sink]\nurl = 'mqtt://h'\nca = '/x'", ["sink.url: expected mqtts:// with ca, got mqtt://"]),
        ("name = 'a#'\n" + MQTT, ["name: expected 1 to 1024 bytes of UTF-8 without"]),
        ("name = 'hall/pi'\n" + MQTT, ["name: expected 1 to 1024 bytes of UTF-8 without /, +"]),
        ("name = ''\n" + STORE, ["name: device: expected a name of 1 to 128 characters"]),
        ("name = \"a\\u0000\"\n" + STORE, ["name: expected text in quotes without control characters"]),
        (MQTT + "[status]\nhome_assistant = 'a+'", ["status.home_assistant: expected 1 to 1024 bytes"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(write: Write, text: str, said: list[str]) -> None:
    found = problems(write(text))
    assert len(found) == len(said), found
    for line, part in zip(found, said, strict=True):
        assert line.startswith("config.toml: ") and part in line, line


def test_all_that_is_wrong_is_told_at_once_and_by_its_file(write: Write) -> None:
    path = write(
        STORE + "[sensor]\nbus = true\nrate_hz = 'x'\nx = 1", left="[model]\nhop = 'y'\n[status]\nprometheus = 1"
    )
    assert [re.split(": (?:expected|no such)", line)[0] for line in problems(path, name="left")] == [
        "config.toml: sensor.bus",
        "config.toml: sensor.rate_hz",
        "config.toml: sensor.x",
        "left.toml: model.hop",
        "left.toml: status.prometheus",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\0\x01", "expected TOML, got: 'utf-8' codec"),
        (b"a = 1\na = 2", "expected TOML, got: Cannot overwrite a value"),
        (b"a = 1\0", "expected TOML, got: "),
        (b"[sensor]\nname = simulated", '(text stands in straight quotes: name = "simulated")'),
        (b"[sink]\n[sink]", "; its keys belong below one [sink], or into a file in conf.d/"),
        (b"a = " + b"[" * 30_000, "expected TOML, got brackets"),
        (b"a = " + b"9" * 5_000, "expected TOML, got: "),
        (b"#" * (MAX_FILE_BYTES + 1), f"expected at most {MAX_FILE_BYTES:,} bytes, got more"),
    ],
)
def test_what_is_no_toml_is_told(write: Write, content: bytes, said: str) -> None:
    (line,) = problems(write(content))
    assert line.startswith("config.toml: ") and said in line


def test_a_mark_and_line_ends_of_other_systems_are_fine(write: Write) -> None:
    assert load_config(write(b"\xef\xbb\xbf" + STORE.replace("\n", "\r\n").encode())).sink_url.startswith("store:")


def test_what_is_no_file_is_told_without_waiting(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert problems(path) == ("config.toml: expected a file to read, got: No such file or directory",)
    path.mkdir()
    assert problems(path) == ("config.toml: expected a file to read, got: Is a directory",)
    path.rmdir()
    os.mkfifo(path)
    assert problems(path) == ("config.toml: expected a file, got a pipe or a device",)
    path.unlink()
    path.touch()
    os.truncate(path, 100 << 20)
    assert problems(path) == (f"config.toml: expected at most {MAX_FILE_BYTES:,} bytes, got more",)
    path.write_text(STORE)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").symlink_to("nowhere")
    assert problems(path) == ("conf.d/a.toml: expected a file to read, got: No such file or directory",)
    (tmp_path / "conf.d" / "a.toml").unlink()
    (tmp_path / "conf.d").rmdir()
    (tmp_path / "conf.d").write_text("")
    assert problems(path) == ("conf.d: expected a folder to read, got: Not a directory",)


def test_a_secret_is_a_file_that_only_root_reads(write: Write) -> None:
    path = write(MQTT + 'username = "hall"\npassword_credential = "mqtt-password"')
    assert "sink.password_credential: expected a file" in problems(path)[0]
    file = credential(path, "mqtt-password", b" s3cret \n")
    config = load_config(path)
    assert (config.sink_options["username"], config.sink_options["password"]) == ("hall", " s3cret ")
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
    assert load_config(path).sink_options["password"] == "s3cret"
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


def test_the_check_says_all_in_the_language_of_the_file(write: Write, tmp_path: Path) -> None:
    text = MQTT + "[sensor]\nname = 'lsm6dsox'\nrate_hz = 200\nmount = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]\n"
    path = write('name = "hall \\"1\\" ä"\n' + text + "[status]\nhome_assistant = 'ha'\nprometheus = 9107")
    config = load_config(path)
    lines = check_config(config)
    assert f"sensor.rate_hz = 200.0  # {path}" in lines
    assert "sensor.accel_range_g = 8.0" in lines
    assert "# sensor: ST LSM6DSOX, 208 Hz, 8 g, 1000 deg/s" in lines
    again = write("\n".join(lines))
    assert _what(load_config(again)) == {**_what(config), "sensor": config.sensor | {
        "accel_range_g": 8.0, "gyro_range_dps": 1000.0,
    }, "sink_options": load_config(again).sink_options}  # fmt: skip
    assert differences(config, load_config(again)) == ((), ())
    assert {path.name for path in tmp_path.iterdir()} == {"config.toml"}


def _what(config: Config) -> dict[str, object]:
    return {name: value for name, value in vars(config).items() if name not in ("files", "values", "origins")}


def test_the_check_reads_the_whole_model(write: Write, tmp_path: Path) -> None:
    from motionsig.encoders import find_model

    model = tmp_path / "model"
    model.mkdir()
    for file in find_model("motion64").path.iterdir():
        if file.is_file():
            (model / file.name).write_bytes(file.read_bytes())
    config = load_config(write(STORE + f'[model]\nname = "{model}"'))
    check_config(config)
    network = model / "encoder_int8.tflite"
    network.write_bytes(network.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigError, match=r"config\.toml: model\.name: .*expected sha256"):
        check_config(config)


def test_what_differs_is_split_by_what_it_takes(write: Write) -> None:
    old = load_config(write(MQTT))
    new = load_config(
        write(MQTT + "delay_s = 1\n[model]\ndevice = 'cpu'\n[status]\nprometheus = 9107\n[sensor]\nrate_hz = 200")
    )
    assert differences(old, new) == (("model.device", "status.prometheus"), ("sensor.rate_hz", "sink.delay_s"))
    assert differences(old, old) == ((), ())
    # A default that is written down changes nothing; another sink does.
    assert differences(old, load_config(write(MQTT + "[sensor]\nrate_hz = 100"))) == ((), ())
    assert "sink.url" in differences(old, load_config(write(STORE))).restart


def test_another_password_is_a_difference(write: Write) -> None:
    path = write(MQTT + 'username = "hall"\npassword_credential = "p"')
    credential(path, "p", b"old")
    old = load_config(path)
    credential(path, "p", b"new")
    assert differences(old, load_config(path)).restart == ("sink.password_credential",)


def test_a_certificate_renewed_in_its_place_is_a_difference(write: Write, tmp_path: Path) -> None:
    made = tmp_path / "made"
    make_certificates(made)
    files = f'ca = "{made}/ca.pem"\ncert = "{made}/client.pem"\nkey_credential = "client.key"'
    path = write(MQTT + files)
    credential(path, "client.key", (made / "client.key").read_bytes())
    old = load_config(path)
    assert differences(old, load_config(path)) == ((), ())
    for file in (made / "ca.pem", made / "client.pem", path.parent / "credentials" / "client.key"):
        file.write_bytes(file.read_bytes() + b"\n")
    renewed = ("sink.ca", "sink.cert", "sink.key_credential")
    assert differences(old, load_config(path)) == ((), renewed)
    assert set(renewed) <= set(differences(old, load_config(write(STORE))).restart)


@pytest.fixture
def etc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of /etc/motionsig, where everybody can look: below pytest's only its owner can."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    folder.chmod(0o755)
    monkeypatch.setattr("motionsig.config.DEFAULT_PATH", folder / "config.toml")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_for_what_only_root_may_read_root_is_asked(etc: Path) -> None:
    path = etc / "config.toml"
    path.write_text(MQTT + 'username = "hall"\npassword_credential = "p"')
    file = credential(path, "p", b"s3cret")
    load_config(path)
    os.seteuid(65534)
    try:
        (secret,) = problems(path)
    finally:
        os.seteuid(0)
    assert secret.endswith(f"password_credential: {file}: Permission denied; sudo motionsig run --check")
    path.chmod(0o600)
    os.seteuid(65534)
    try:
        (itself,) = problems(path)
    finally:
        os.seteuid(0)
    assert itself == "config.toml: expected a file to read, got: Permission denied; sudo motionsig run --check"


def refused(path: Path, name: str | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        check_config(load_config(path, name=name))
    return caught.value.problems


def test_a_relative_path_is_in_the_state_folder(
    etc: Path, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    assert f"# sink: signatures.db in {tmp_path}/state" in check_config(load_config(write()))
    for file, text in (("config.toml", STORE), ("left.toml", "")):
        (etc / file).write_text(text)
    assert "# sink: signatures.db in /var/lib/motionsig" in check_config(load_config(etc / "config.toml"))
    said = check_config(load_config(etc / "config.toml", name="left"))
    assert "# sink: signatures.db in /var/lib/motionsig-left" in said
    assert not any(line.startswith("# sink: ") for line in check_config(load_config(write(MQTT))))


def test_what_the_service_may_not_write_to_is_told(etc: Path) -> None:
    path = etc / "config.toml"
    for place in ("/var/lib/motionsig/s.db", "/var/lib/motionsig/a/s.db"):
        path.write_text(f"[sink]\nurl = 'store:{place}'")
        assert check_config(load_config(path))
    for place in ("/srv/s.db", "/var/lib/motionsig", "/var/lib/motionsig-left/s.db"):
        path.write_text(f"[sink]\nurl = 'file:{place}'")
        expected = f"{path}: sink.url: the service can write below /var/lib/motionsig alone, got {place}"
        assert refused(path) == (expected,)
    (etc / "left.toml").write_text(f"{MQTT}[spool]\npath = '/var/lib/motionsig/spool'")
    (problem,) = refused(path, "left")
    assert problem == (
        f"{etc}/left.toml: spool.path: the service can write below /var/lib/motionsig-left alone, "
        "got /var/lib/motionsig/spool"
    )


def test_what_the_service_may_not_read_is_told(etc: Path, write: Write, tmp_path: Path) -> None:
    make_certificates(etc / "made")
    path, ca = etc / "config.toml", etc / "made" / "ca.pem"
    path.write_text(MQTT + f'ca = "{ca}"')
    (etc / "conf.d").mkdir()
    (etc / "conf.d" / "10.toml").write_text("")
    (etc / "made").chmod(0o755)
    ca.chmod(0o644)
    assert check_config(load_config(path))
    for file, mode, rights in (
        (path, 0o640, "r"),
        (etc / "conf.d" / "10.toml", 0o600, "r"),
        (etc / "conf.d", 0o750, "x"),
        (ca, 0o600, "r"),
        (ca.parent, 0o700, "x"),
    ):
        before = file.stat().st_mode
        file.chmod(mode)
        assert all("the service cannot read it" in line for line in refused(path))
        assert any(line.endswith(f"; sudo chmod a+{rights} {file}") for line in refused(path)), refused(path)
        file.chmod(before)
    path.write_text(MQTT + f'ca = "{shutil.copy(ca, tmp_path)}"')
    assert refused(path) == (
        f"{path}: sink.ca: {tmp_path}/ca.pem: the service sees nothing of /tmp; move it to /etc/motionsig",
    )
    # Whose configuration lies elsewhere runs the daemon as himself.
    assert check_config(load_config(write(MQTT + f'ca = "{tmp_path}/ca.pem"')))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return TOML of keys there are and of others, with values of any kind."""
    value = st.sampled_from([
        "true", "1", "0", "-1", "1e400", "nan", "-0.0", "9223372036854775808", '""', '"auto"', '"a:b"', '"\\u0000"',
        "1979-05-27T07:32:00Z", "[]", "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]", "[[1], 2]", "{}", "{ a.b = 1 }", '"x/y"',
        '"mqtt://["', '"mqtt://h:99999"', '"mqtts://h"', '"store:/x"', '"file:/"', '"mqtt://\\u0130"', '"iio:"',
        '"simulated:"', '"simulated"', '"%s"' % ("x" * 5000), '"/%s"' % ("y" * 300), '"/etc"', '"edgetpu:1"',
    ])  # fmt: skip
    keys = st.sampled_from(
        [*sorted(known_keys()), "sink.password", "x", "sensor.x.y", "model", "''.a", "sink", '"a.b"']
    )
    chosen = draw(st.dictionaries(keys, value, max_size=8))
    return "\n".join(f"{key} = {one}" for key, one in chosen.items())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=documents() | st.text(max_size=200))
def test_any_document_loads_or_is_told_with_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        config = load_config(path)
    except ConfigError as error:
        assert error.problems
        assert all(line.startswith(f"{path}: ") for line in error.problems)
    else:
        assert check_config(config)


def test_every_scheme_has_its_keys() -> None:
    for scheme in SCHEMES:
        assert "sink.max_message_bytes" in known_keys(scheme)


def test_a_damaged_installed_model_does_not_keep_the_daemon_from_starting(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path / "models"))
    folder = tmp_path / "models" / "motion64"
    (folder / "2-damaged").mkdir(parents=True)
    (folder / "current").symlink_to("2-damaged")
    config = load_config(write())  # it goes back to the shipped one
    with pytest.raises(ConfigError, match=r"model\.name: .*2-damaged"):
        check_config(config)
    (folder / "current").rename(tmp_path / "models" / "nowhere")
    assert check_config(config)


def test_where_nothing_is_set_up_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("motionsig.config.files.DEFAULT_PATH", tmp_path / "config.toml")
    (said,) = problems(tmp_path / "config.toml")
    assert "sudo scripts/install" in said
    assert "--config FILE" in said
