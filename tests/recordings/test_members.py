"""Files, folders and zips that recordings are read from."""

from __future__ import annotations

import zipfile
from pathlib import Path

import made_logs
import pytest

from motionsig.errors import RecordingError
from motionsig.recordings import open_recording
from motionsig.recordings.members import HEAD_BYTES, content_id, single


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("Accelerometer.csv", "w") as member:
        for _ in range(64):
            member.write(b"0" * (1 << 20))
    with pytest.raises(RecordingError, match=r"at most .* 200 times the packed size, got 67108864 bytes"):
        open_recording(path)


def test_a_damaged_zip_is_named(tmp_path: Path) -> None:
    path = made_logs.sensor_logger_zip(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="expected an intact zip, got a damaged one"):
        open_recording(path)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"file_size": 9 << 30, "compress_size": 1 << 30}, r"at most 8589934592 bytes .* got 9663676416 bytes"),
        ({"flag_bits": 1}, "expected a zip without a password, got an encrypted member"),
    ],
)
def test_a_zip_s_list_of_files_is_believed_before_they_are_read(
    tmp_path: Path, claims: dict[str, int], message: str
) -> None:
    path = tmp_path / "log.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("Accelerometer.csv", made_logs.text())
        for name, value in claims.items():
            setattr(archive.filelist[0], name, value)
    with pytest.raises(RecordingError, match=message):
        open_recording(path)


def test_the_id_of_a_long_file_is_of_its_size_and_both_ends(tmp_path: Path) -> None:
    path, content = tmp_path / "log", bytearray(4 * HEAD_BYTES)
    ids = []
    for at in (None, 0, 2 * HEAD_BYTES, 4 * HEAD_BYTES - 1):
        path.write_bytes(content if at is None else content[:at] + b"x" + content[at + 1 :])
        ids.append(content_id((single(path),)))
    path.write_bytes(content + b"\0")
    ids.append(content_id((single(path),)))
    assert ids[0] == ids[2] and len({*ids}) == 4
    assert content_id((single(path),), "g") != content_id((single(path),), "mg") != ids[-1]
