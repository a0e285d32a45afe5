"""Nothing is written under an ending that promises another format, whoever writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from motionsig import InputError, Recorder, open_recording, open_sink
from motionsig.cli import main
from motionsig.encoders.compiling.files import open_model, out_folder
from motionsig.endings import require_ending


@pytest.mark.parametrize("name", ["walk.csv", "walk.NPZ", "walk.parquet", "walk.txt", "walk.msig.gz"])
def test_a_log_is_not_called_as_another_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"expected a name that does not end as another format, got .*walk.msig; "):
        Recorder(tmp_path / name, rate_hz=100, stream_id=1)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["walk.msig", "walk", "walk.log", "2026-11-30.morning"])
def test_an_ending_that_promises_nothing_is_free(tmp_path: Path, name: str) -> None:
    Recorder(tmp_path / name, rate_hz=100, stream_id=1).close()
    assert open_recording(tmp_path / name).rate_hz == 100


@pytest.mark.parametrize(
    ("url", "own"), [("store:{}/a", ".db"), ("file:{}/a", ".cbor"), ("parquet:{}/a", ".parquet"), ("store:{}/b", "")]
)
def test_signatures_are_not_called_as_another_format(tmp_path: Path, url: str, own: str) -> None:
    where = url.format(tmp_path)
    with pytest.raises(InputError, match=r"^\w+: expected a name .* another format, got .*\.csv'; "):
        open_sink(f"{where}.csv", device="d", stream_id=1)
    assert not [*tmp_path.iterdir()]
    open_sink(f"{where}{own}", device="d", stream_id=1).close()


def test_a_store_that_has_such_a_name_already_goes_on(tmp_path: Path) -> None:
    open_sink(f"store:{tmp_path}/a.db", device="d", stream_id=1).close()
    (tmp_path / "a.db").rename(tmp_path / "a.csv")
    open_sink(f"store:{tmp_path}/a.csv", device="d", stream_id=1).close()


def test_a_folder_is_not_called_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="it is a folder: name it such as"):
        out_folder(open_model("motion64"), tmp_path / "model.tflite")
    assert main(["heads", "export", "walking", str(tmp_path / "walking.csv")]) == 2
    assert "a name in .zip makes a zip, any other a folder" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_what_to_do_ends_the_message() -> None:
    with pytest.raises(InputError, match=r"^OUT: expected .* got 'a\.CSV'; call it a\.zip$"):
        require_ending(Path("a.CSV"), (".zip",), where="OUT: ", instead="call it a.zip")
    require_ending(Path("a.ZIP"), (".zip",), where="OUT: ", instead="")
