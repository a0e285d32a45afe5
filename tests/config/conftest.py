"""Configurations in a folder of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from configurations import STORE, Write


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


@pytest.fixture
def etc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of /etc/motionsig, where everybody can look: below pytest's only its owner can."""
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    folder.chmod(0o755)
    monkeypatch.setattr("motionsig.config.DEFAULT_PATH", folder / "config.toml")
    yield folder
    shutil.rmtree(folder)
