"""What the tests of the configuration share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from motionsig.config import load_config
from motionsig.errors import ConfigError, MotionsigError

EXAMPLE = Path(__file__).parents[2] / "systemd" / "config.toml"
STORE = '[sink]\nurl = "store:signatures.db"\n'
MQTT = '[sink]\nurl = "mqtts://broker.example"\n'

Write = Callable[..., Path]


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
