"""A state folder of its own for each test, in which the certificate of all tests lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from motionsig.page.certificates import keep_certificate

pytest.importorskip("uvicorn")
pytest.importorskip("cryptography")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "certificate"
    keep_certificate(folder)
    return folder


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    shutil.copytree(certificate, tmp_path / "motionsig" / "page")
    return tmp_path / "motionsig"
