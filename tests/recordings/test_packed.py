"""Files that gzip, bzip2 or xz packed, by themselves and in folders and zips; standard input; folders in folders."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import made_logs
import numpy as np
import pytest

from motionsig import Recorder, SampleBlock, open_recording
from motionsig.errors import RecordingError
from motionsig.recordings.members import content_id, members, single, spooled

PACKERS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
TEXT = made_logs.text().encode() * 20


@pytest.fixture(params=PACKERS)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_packed_file_is_unpacked_while_it_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(PACKERS[suffix](TEXT))
    member = single(path)
    assert (member.name, member.where) == ("log.csv", str(path))
    assert member.head() == TEXT[: 1 << 16]
    with member.open() as file:
        assert file.read() == TEXT


def test_packed_files_in_folders_and_zips(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / f"acc.csv{suffix}").write_bytes(PACKERS[suffix](TEXT))
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr(f"walk/acc.csv{suffix}", PACKERS[suffix](TEXT))
    for (member,) in (members(tmp_path / "walk"), members(tmp_path / "log.zip")):
        assert member.name in ("acc.csv", "walk/acc.csv")
        with member.open() as file:
            assert file.read() == TEXT


def test_a_file_that_is_only_called_packed_is_read_as_it_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(TEXT)
    assert single(path).head() == TEXT[: 1 << 16]


def test_our_own_log_is_read_whatever_it_is_called_packed_or_not(tmp_path: Path, suffix: str) -> None:
    log = tmp_path / "walk.msig"
    with Recorder(log, rate_hz=100, stream_id=7) as recorder:
        recorder.write(SampleBlock(np.arange(250) * 10_000_000, np.full((250, 6), 0.5, np.float32), label="sat"))
    names = {tmp_path / name: log.read_bytes() for name in ("walk.csv", "walk.npz", "walk.parquet", f"a.msig{suffix}")}
    names[tmp_path / f"walk.msig{suffix}"] = PACKERS[suffix](log.read_bytes())
    for path, content in names.items():
        path.write_bytes(content)
        with open_recording(path) as source:
            blocks = list(source)
            assert (sum(map(len, blocks)), {it.label for it in blocks}, source.info.stream_id) == (250, {"sat"}, 7)
            assert sum(map(len, source)) == 250


def test_a_packed_bomb_is_not_unpacked(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(PACKERS[suffix](bytes(20 << 20)))
    with (
        single(path).open() as file,
        pytest.raises(RecordingError, match=r"200 times the packed size, got \d{8} bytes"),
    ):
        while file.read(1 << 20):
            pass


@pytest.mark.parametrize("damage", [lambda it: it[: len(it) // 2], lambda it: it[:100] + b"\xff" * 50 + it[150:]])
def test_a_damaged_packed_file_is_named(tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"log.csv{suffix}"
    path.write_bytes(damage(PACKERS[suffix](TEXT)))
    with pytest.raises(RecordingError, match=rf"log\.csv\{suffix}: expected"), single(path).open() as file:
        file.read()


def test_the_id_of_a_packed_file_needs_no_unpacking(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log.csv{suffix}"
    content = PACKERS[suffix](TEXT)
    path.write_bytes(content)
    first = content_id((single(path),))
    path.write_bytes(content[:20])  # no end, so it could not be unpacked
    assert content_id((single(path),)) != first


def test_standard_input_is_a_file_like_another() -> None:
    path = spooled(io.BytesIO(TEXT))
    for _ in range(2):
        member = single(path)
        assert member.where == "standard input"
        with member.open() as file:
            assert file.read(10) == TEXT[:10]
            assert file.seek(0, 2) == len(TEXT)
    with pytest.raises(RecordingError, match="standard input: expected a recording, got nothing"):
        spooled(io.BytesIO())


def test_packed_standard_input_is_unpacked(suffix: str) -> None:
    assert single(spooled(io.BytesIO(PACKERS[suffix](TEXT)))).head() == TEXT[: 1 << 16]


def test_folders_in_folders(tmp_path: Path) -> None:
    for name in ("a.csv", "walk/b.csv", "walk/2/c.csv", "walk/.hidden/d.csv", "meta/e.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(TEXT)
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [it.name for it in members(tmp_path)] == ["a.csv", "meta/e.csv"]
    assert [it.name for it in members(tmp_path, deepest=1)] == ["a.csv", "meta/e.csv", "walk/b.csv"]
    assert [it.name for it in members(tmp_path, deepest=3)] == ["a.csv", "meta/e.csv", "walk/2/c.csv", "walk/b.csv"]
