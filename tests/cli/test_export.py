import csv

import numpy as np
import pytest

import motionsig
from motionsig.cli import main


def fill(motion, path, stream_id, hop):
    signatures = motionsig.extract(motion(60, 50), rate_hz=50, start_ns=10**18, hop=hop)
    with motionsig.open_sink(f"store:{path}", device="wrist", stream_id=stream_id) as sink:
        sink.publish(signatures)


@pytest.fixture
def store(motion, tmp_path):
    fill(motion, tmp_path / "db", 3, 64)
    return f"store:{tmp_path / 'db'}"


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_export(kind, store, tmp_path, capsys):
    out = tmp_path / f"out.{kind}"
    assert main(["export", store, str(out)]) == 0
    signatures = motionsig.read_signatures(store)
    assert f"{len(signatures):,} signatures" in capsys.readouterr().out
    if kind == "csv":
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
        codes = [[int(row[f"code_{i}"]) for i in range(64)] for row in rows]
        starts = [int(row["start_ns"]) for row in rows]
        assert rows[0]["start_utc"] == "2001-09-09T01:46:40.000000000Z" and rows[0]["device"] == "wrist"
    elif kind == "npz":
        with np.load(out) as table:
            codes, starts = table["codes"].tolist(), table["start_ns"].tolist()
            values = (table["codes"] - table["zero_point"]) * table["scale"]
            assert np.allclose(values, signatures.values) and table["seq"].tolist() == list(range(len(starts)))
    else:
        import pyarrow.parquet as pq

        table = pq.read_table(out)
        codes = table["codes"].to_pylist()
        starts = table["start"].cast("int64").to_pylist()
    assert codes == signatures.codes.tolist() and starts == signatures.start_ns.tolist()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_an_export_that_fails_leaves_the_old_table(kind, store, motion, tmp_path, capsys):
    out = tmp_path / f"out.{kind}"
    assert main(["export", store, str(out)]) == 0
    whole = out.read_bytes()
    fill(motion, tmp_path / "db", 4, 32)
    assert main(["export", store, str(out)]) == 2
    assert "choose a log with --stream-id" in capsys.readouterr().err
    assert out.read_bytes() == whole and not list(tmp_path.glob("*.part"))


def test_a_stream_goes_by_its_old_name_for_one_version(store, motion, tmp_path, capsys, caplog):
    out = tmp_path / "out.csv"
    fill(motion, tmp_path / "db", 4, 32)
    assert main(["export", store, str(out), "--epoch", "4"]) == 0
    assert "export: option 'epoch' is called 'stream_id'; the old name goes with version 0.2" in caplog.text
    with open(out, newline="") as file:
        assert {row["stream_id"] for row in csv.DictReader(file)} == {"4"}
    assert main(["export", store, str(out), "--epoch", "4", "--stream-id", "4"]) == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "epoch" not in capsys.readouterr().out


def test_only_what_one_device_or_one_encoder_made(store, motion, tmp_path, capsys):
    out = tmp_path / "out.csv"
    signatures = motionsig.extract(motion(60, 50, seed=1), rate_hz=50, start_ns=10**18)
    with motionsig.open_sink(store, device="ankle", stream_id=5) as sink:
        sink.publish(signatures)
    assert main(["export", store, str(out), "--device", "ankle"]) == 0
    with open(out, newline="") as file:
        assert {row["device"] for row in csv.DictReader(file)} == {"ankle"}
    assert main(["export", store, str(out), "--fingerprint", signatures.spec.fingerprint.hex()]) == 0
    assert main(["export", store, str(out), "--fingerprint", "00" * 8]) == 2
    assert "expected signatures of encoder 0000000000000000" in capsys.readouterr().err
