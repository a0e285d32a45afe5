"""The name by which a broker recognises a publisher."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from spooling import fails_once

from motionsig.publishers.identity import machine_identity, stable_client_id


def test_a_publisher_keeps_its_name_and_shares_it_with_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("one", "two", "clone"):
        (tmp_path / folder).mkdir()
    one = stable_client_id("wrist", [tmp_path / "one"])
    assert one == stable_client_id("wrist", [tmp_path / "one", tmp_path / "two"])
    assert one.startswith("motionsig-wrist-")
    assert len({one, stable_client_id("ankle", [tmp_path / "one"]), stable_client_id("wrist", [tmp_path / "two"])}) == 3
    (tmp_path / "clone" / "identity").write_bytes((tmp_path / "one" / "identity").read_bytes())
    assert one == stable_client_id("wrist", [tmp_path / "clone"])
    monkeypatch.setattr("motionsig.publishers.identity.machine_identity", lambda: "another Pi")
    assert one != stable_client_id("wrist", [tmp_path / "clone"])
    (tmp_path / "two" / "identity").write_bytes(b"\0" * 32)
    stable_client_id("wrist", [tmp_path / "two"])
    assert len((tmp_path / "two" / "identity").read_text("ascii")) == 32, "what was damaged is made anew"
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"identity"}
    assert stable_client_id("wrist", [tmp_path / "nowhere"]) != stable_client_id("wrist", [tmp_path / "nowhere"])


def test_a_machine_is_known_by_what_it_was_born_with(tmp_path: Path) -> None:
    assert machine_identity(tmp_path) == ""
    for name, address, kind, physical in (
        ("eth0", "b8:27:eb:00:00:01", "0", True),
        ("wlan0", "02:00:00:00:00:99", "3", True),
        ("docker0", "02:42:00:00:00:01", "0", False),
    ):
        net = tmp_path / "class/net" / name
        net.mkdir(parents=True)
        (net / "address").write_text(f"{address}\n")
        (net / "addr_assign_type").write_text(f"{kind}\n")
        if physical:
            (net / "device").mkdir()
    assert machine_identity(tmp_path) == "b8:27:eb:00:00:01"
    (tmp_path / "firmware/devicetree/base").mkdir(parents=True)
    (tmp_path / "firmware/devicetree/base/serial-number").write_bytes(b"10000000abcdef01\0")
    assert machine_identity(tmp_path) == "10000000abcdef01"


def test_an_identity_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_once(monkeypatch, "fsync", errno.EIO, lambda _: True)
    stable_client_id("d", [tmp_path])
    assert not (tmp_path / "identity").exists()
    assert stable_client_id("d", [tmp_path]) == stable_client_id("d", [tmp_path])
