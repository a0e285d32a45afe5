from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from motionsig.collector.session import session_id
from motionsig.errors import SinkError

BROKER = "mqtt://here:1883\nmotionsig"


def test_the_name_stays_with_the_store_and_is_one_of_each_receiver_that_runs(tmp_path: Path) -> None:
    store = str(tmp_path / "cloud.db")
    with session_id("store", store, BROKER) as first, session_id("store", store, BROKER) as second:
        assert first != second
    with session_id("store", store, BROKER) as again:
        assert again == first
    with session_id("store", store, "mqtt://there:1883\nmotionsig") as other:
        assert other not in (first, second)
    # Moved with the store, as into another container.
    (tmp_path / "new").mkdir()
    for file in tmp_path.glob("cloud.db.receiver-*"):
        file.rename(tmp_path / "new" / file.name)
    with session_id("store", str(tmp_path / "new" / "cloud.db"), BROKER) as moved:
        assert moved == first
    assert len(first) <= 65


def test_a_killed_receiver_leaves_its_name_free(tmp_path: Path) -> None:
    store = str(tmp_path / "cloud.db")
    code = (
        "import os, sys; from motionsig.collector.session import session_id\n"
        "with session_id('store', sys.argv[1], sys.argv[2]) as name: print(name, flush=True); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, store, BROKER], stdout=subprocess.PIPE, text=True)
    with session_id("store", store, BROKER) as name:
        assert name == killed.stdout.strip()


def test_of_another_kind_of_store_it_is_in_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    with session_id("postgresql", "user:secret@db/cloud", BROKER) as name:
        assert name.startswith("motionsig-collect-")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 1 and "secret" not in str(files[0]) and files[0].stat().st_mode & 0o077 == 0


def test_a_damaged_file_gives_a_new_name_and_a_folder_that_is_none_an_error(tmp_path: Path) -> None:
    store = str(tmp_path / "cloud.db")
    with session_id("store", store, BROKER) as first:
        pass
    next(tmp_path.glob("cloud.db.receiver-*")).write_bytes(b"\0" * 100)
    with session_id("store", store, BROKER) as second:
        assert second != first
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SinkError, match="keep the receiver's client id there"),
        session_id("store", str(tmp_path / "file" / "cloud.db"), BROKER),
    ):
        pass
