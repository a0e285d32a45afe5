"""The keys: which there are, and what each mistake is told as."""

from __future__ import annotations

import pytest
from configurations import MQTT, STORE, Write, problems

from motionsig.config import known_keys
from motionsig.config.keys import SCHEMES


def test_every_option_of_sensor_and_sinks_is_a_key_or_the_daemons() -> None:
    known = known_keys()
    assert {"sensor.name", "sensor.rate_hz", "sensor.mount", "sink.durable", "sink.compress", "spool.path"} <= set(
        known
    )
    assert known["sensor.rate_hz"].default == 100.0
    assert known["sensor.bus"].kinds == ("int", "str")
    assert not {"sensor.clock", "sink.busy_timeout_s", "sink.close_limit_s"} & set(known)
    assert not {f"{table}.{secret}" for table in ("sink", "spool") for secret in ("password", "key")} & set(known)
    assert all(key.kinds for key in known.values())
    assert set(known_keys("mqtt")) == set(known_keys("mqtts"))


def test_every_scheme_has_its_keys() -> None:
    for scheme in SCHEMES:
        assert "sink.max_message_bytes" in known_keys(scheme)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[sink]\nurl = \"mqtt://a\\u0000\"\nca = '/x'",
            ["sink.url: broker URL: expected mqtt:", "sink.url: expected text in quotes", "sink.url: expected mqtts"],
        ),
        ("", ["sink.url: expected where signatures go, such as mqtts://HOST or store:PATH, got nothing"]),
        ("nmae = 'x'\n" + STORE, ["nmae: no such key; did you mean name?"]),
        ("[sensor]\nnam = 'x'\n" + STORE, ["sensor.nam: no such key; did you mean sensor.name?"]),
        ("[sensors]\nname = 'x'\n" + STORE, ["sensors: no such table; did you mean [sensor]?"]),
        ("[mqtt]\n" + STORE, ["mqtt: no such table; expected one of [sensor], [model], [heads], [exec], [sink], [spo"]),
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
            ["sensor.rate_hz: expected above 0 and at most 1666 Hz, one of", "sensor.accel_range_g: expected above 0"],
        ),
        ('[sensor]\nname = "lsm6dsoxx"\n' + STORE, ['got "lsm6dsoxx"; did you mean lsm6dsox?']),
        (
            '[sensor]\nname = "simulated:MPU-6050"\nrate_hz = 9999\n' + STORE,
            ["sensor.rate_hz: expected above 0 and at most 1000 Hz, one of"],
        ),
        ('[sensor]\nname = "simulated:mpu65000"\n' + STORE, ["sensor.name: expected the name of a sensor"]),
        ('[sensor]\nname = "auto:x"\n' + STORE, ["sensor.name: expected the name of a sensor"]),
        ('[sensor]\nname = "bno055"\n' + STORE, ['got "bno055"; the kernel reads it, with bno055: load']),
        ('[sensor]\nchip = "mpu65000"\n' + STORE, ["sensor.chip: expected the name of a chip, got"]),
        ('[sensor]\nname = "lsm6dso"\nchip = "mpu6500"\n' + STORE, ["sensor.chip: expected lsm6dso or no chip, "]),
        ('[sensor]\nname = "simulated"\nchip = "lsm6dso"\n' + STORE, ["sensor.chip: expected none"]),
        ('[sensor]\nname = "adxl345"\n' + STORE, ["sensor.name: expected a sensor with a gyroscope"]),
        ('[sensor]\nname = "iio"\nbus = 1\n' + STORE, ["sensor.bus: expected none"]),
        ('[sensor]\nname = "iio"\nbus_clock_hz = 400000\n' + STORE, ["sensor.bus_clock_hz: expected none"]),
        ('[sensor]\nname = "witmotion:/dev/ttyUSB0"\nbaud = 7\n' + STORE, ["sensor.baud: expected a speed such as 50"]),
        ("[sensor]\nbus = 1.0\n" + STORE, ["sensor.bus: expected a whole number or text in quotes, got 1.0"]),
        ("[sensor]\nbus = 'spi1'\n" + STORE, ["sensor.bus: expected N of /dev/i2c-N, or spi0.0"]),
        ("[sensor]\nbus = 'spi0.0'\naddress = 0x68\n" + STORE, ["sensor.address: expected none on SPI, got 0x68"]),
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
        ("[sink]\nurl = 'http://x'", ["sink.url: expected mqtt://HOST[:PORT], the same with mqtts, ws"]),
        ("[sink]\nurl = 'mqtt://h/x'", ["sink.url: broker URL: expected no path behind mqtt://"]),
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
        (MQTT + "format = 'xml'", ["sink.format: expected one of cbor, json, got 'xml'"]),
        (MQTT + "format = 'json'\ncompress = true", ["sink.compress: expected format cbor with it, got json"]),
        (STORE + "format = 'json'", ["sink.format: expected one of the options of store:, got one of another sink"]),
        (MQTT + "retry_s = 999", ["sink.retry_s: mqtt: expected in_flight and"]),
        (MQTT + "max_bytes = 70000", ["sink.max_bytes: no such key; did you mean spool.max_bytes?"]),
        (MQTT + "[spool]\nfull = 'wait'", ["spool.full: expected oldest or newest, got wait"]),
        (MQTT + "[spool]\nmax_bytes = 1", ["spool.max_bytes: expected at least 65536, got 1"]),
        (MQTT + "[spool]\npath = 'x'", ["spool.path: expected a folder's path from / on"]),
        (MQTT + "cert = '/x'", ["sink.url: expected cert and key_credential (or key_file) together"]),
        (MQTT + "ca = 'ca.pem'", ['sink.ca: expected a path from / on, got "ca.pem"']),
        (MQTT + "ca = '/nowhere.pem'", ["sink.ca: /nowhere.pem: expected a file to read, got: No such file"]),
        ("[sink]\nurl = 'mqtt://h'\nca = '/x'", ["sink.url: expected mqtts:// or wss:// with ca, got mqtt://"]),
        (MQTT + "alpn = 'é'", ["sink.alpn: expected at most 255 characters of ASCII"]),
        ("[sink]\nurl = 'wss://h'\nalpn = 'mqtt'", ["sink.alpn: expected mqtts:// with it, got wss:"]),
        (MQTT + "proxy = 'http://u:s3cret@p'", ["sink.proxy: expected no user in it"]),
        (MQTT + "proxy = 'ftp://p'", ["sink.proxy: expected http://"]),
        ("[sink]\nurl = 'mqtt+unix:/m'\nproxy = 'http://p'", ["sink.proxy: expected no proxy with mqtt+unix:"]),
        (
            MQTT + "username = 'u'\npassword_file = '/x'\npassword_credential = 'p'",
            ["sink.password_credential: expected this or sink.password_file, got both", "a file", "a readable file /x"],
        ),
        ("[sink]\nurl = 'mqtt+unix:m.sock'", ["sink.url: broker URL: expected mqtt+unix:/path of a socket"]),
        (MQTT + "username = 'u'\npassword_file = 'x'", ['sink.password_file: expected a path from / on, got "x"']),
        (MQTT + "username = 'u'\npassword_file = '/x'", ["sink.password_file: expected a readable file /x, got: No"]),
        (MQTT + "password_file = '/dev/null'", ["_file: expected a username", "/dev/null, got: a folder, pipe"]),
        (STORE + "key_file = '/x'", ["sink.key_file: expected one of the options of store:, got one of another sink"]),
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
