"""Which paths of a configuration the service may read and write."""

from __future__ import annotations

import shutil
from pathlib import Path

import fake_edgetpu
import pytest
from broker import make_certificates
from configurations import MQTT, STORE, Write

from motionsig.config import check_config, load_config
from motionsig.errors import ConfigError
from motionsig.model_card import load_card


def refused(path: Path, name: str | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        check_config(load_config(path, name=name))
    return caught.value.problems


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


def test_a_model_that_the_service_may_not_read_is_told(etc: Path) -> None:
    path, model = etc / "config.toml", fake_edgetpu.fake_model(etc / "model")
    path.write_text(f'{STORE}[model]\nname = "{model}"')
    for file in (model, *model.iterdir()):
        file.chmod(0o755)
    assert check_config(load_config(path))
    for file in model.iterdir():
        file.chmod(0o600)
        if file.name in ("card.json", "encoder_int8.tflite", "golden.npz", load_card(model).compiled.file):
            expected = f"{path}: model.name: {file}: the service cannot read it; sudo chmod a+r {file}"
            assert refused(path) == (expected,)
        file.chmod(0o644)
