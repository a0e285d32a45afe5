"""The configuration: what loads, what the check prints, what differs."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import fake_edgetpu
import pytest
from broker import make_certificates
from configurations import EXAMPLE, MQTT, STORE, Write, credential, problems
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motionsig.config import Config, check_config, differences, known_keys, load_config
from motionsig.errors import ConfigError
from motionsig.model_card import load_card


def test_a_sink_is_enough(write: Write) -> None:
    config = load_config(write())
    assert config.name == os.uname().nodename
    assert (config.sensor, config.model, config.device, config.hop) == ({}, "motion64", "auto", None)
    assert (config.sink_url, config.sink_options) == ("store:signatures.db", {"keep_bytes": 1 << 30})
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
    model = fake_edgetpu.fake_model(tmp_path / "model")
    config = load_config(write(STORE + f'[model]\nname = "{model}"'))
    check_config(config)
    for name in ("encoder_int8.tflite", "golden.npz", load_card(model).compiled.file):
        file = model / name
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ConfigError, match=r"config\.toml: model\.name: .*expected sha256"):
            check_config(config)
        file.write_bytes(whole)


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


def test_another_proxy_is_a_difference_and_its_password_is_not_shown(write: Write) -> None:
    path = write(MQTT + 'proxy_credential = "p"')
    credential(path, "p", b"http://u:s3cret@proxy")
    old = load_config(path)
    assert old.sink_options["proxy"] == "http://u:s3cret@proxy"
    credential(path, "p", b"http://u:new@proxy\n")
    new = load_config(path)
    assert differences(old, new) == ((), ("sink.proxy_credential",))
    assert "s3cret" not in repr(old) + "".join(check_config(old))
    path = write(MQTT + 'proxy = "http://proxy"')
    assert differences(new, load_config(path)).restart == ("sink.proxy", "sink.proxy_credential")


def test_what_is_renewed_in_its_place_needs_no_restart(write: Write, tmp_path: Path) -> None:
    """Each connection reads it again."""
    made = tmp_path / "made"
    make_certificates(made)
    files = f'ca = "{made}/ca.pem"\ncert = "{made}/client.pem"\nkey_credential = "client.key"'
    files += '\nusername = "hall"\npassword_credential = "p"'
    path = write(MQTT + files)
    credential(path, "client.key", (made / "client.key").read_bytes())
    credential(path, "p", b"old")
    old = load_config(path)
    assert differences(old, load_config(path)) == ((), ())
    for file in (made / "ca.pem", made / "client.pem", path.parent / "credentials" / "client.key"):
        file.write_bytes(file.read_bytes() + b"\n")
    credential(path, "p", b"new")
    assert differences(old, load_config(path)) == ((), ())


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


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
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
