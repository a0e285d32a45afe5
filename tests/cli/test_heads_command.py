"""motionsig heads: a list that one damaged head does not stop, and heads that go from machine to machine."""

import json
import shutil
import subprocess

import pytest
from damaged_heads import valid_heads
from real_heads import moving, still

from motionsig.cli import main
from motionsig.heads.card import CARD_NAME, SIGNATURE_NAME, files_of, load_head
from motionsig.heads.places import write_head

KNOCK = valid_heads()[0]


@pytest.fixture(autouse=True)
def heads(tmp_path, monkeypatch):
    """Heads of one's own: knock (of an encoder that nobody has), moving."""
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    monkeypatch.setattr("motionsig.heads.places.shipped_heads", dict)
    monkeypatch.setattr("motionsig.cli.heads.showing.shipped_heads", dict)
    monkeypatch.chdir(tmp_path)
    measured = {"false_alarms_an_hour": [0.125, 0.0, 1], "found": 9, "given": 10}
    write_head(moving(measured=measured), tmp_path / "heads" / "moving")
    write_head(KNOCK, tmp_path / "heads" / "knock")
    return tmp_path / "heads"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A private key and a folder with its public key, as OpenSSL makes them."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "private.pem", folder / "pinned" / "owner.pem"
    public.parent.mkdir(0o755)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    public.chmod(0o644)
    return str(private), str(public.parent)


def ran(capsys, *arguments):
    code = main(["heads", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_heads_are_listed_with_what_is_known_of_them(capsys):
    code, out, err = ran(capsys)
    assert (code, err) == (0, "")
    assert [line.split("  ") for line in out.splitlines()] and out.splitlines()[0].split() == [
        "name", "kind", "gives", "encoder", "where", "false", "alarms", "an", "hour", "found",
    ]  # fmt: skip
    knock, mine = out.splitlines()[1:]
    assert knock.split()[:6] == ["knock", "prototypes", "event", "unknown", "(00112233aabbccdd)", "yours"]
    assert knock.endswith("not measured") and mine.endswith("0.125 (0 to 1)        9 of 10")
    code, out, _ = ran(capsys, "--json")
    assert [card["name"] for card in json.loads(out)] == ["knock", "moving"]
    assert json.loads(out)[1]["model"] == "motion64" and code == 0


def test_a_damaged_head_is_listed_with_its_error(capsys, heads):
    (heads / "knock" / CARD_NAME).write_bytes(b"\x1b[31m")
    code, out, err = ran(capsys)
    assert code == 1 and "moving" in out and err.count("\n") == 1 and "knock/head.json: expected JSON" in err
    assert "\x1b" not in out + err
    assert ran(capsys, "--json")[0] == 1


def test_without_heads_it_is_said_where_they_go(capsys, heads):
    shutil.rmtree(heads)
    assert ran(capsys) == (0, f"no heads; those that you teach or import go to {heads}\n", "")


@pytest.mark.parametrize(
    "measured",
    [
        {"found": "a\x1b[31m\nb"},
        {"false_alarms_an_hour": [1, 2], "found": None, "given": 3},
        {"found": [1, 2, 3], "x": {"y": ["\u202e"]}},
    ],
)
def test_whatever_was_measured_is_shown_printable(measured, capsys, heads):
    write_head(moving(measured=measured), heads / "moving")
    for arguments in ([], ["show", "moving"]):
        code, out, err = ran(capsys, *arguments)
        assert (code, err) == (0, "") and all(line.isprintable() for line in out.splitlines())
    assert "not measured" in ran(capsys)[1]


def test_one_head_is_shown_whole(capsys, heads, tmp_path):
    code, out, _ = ran(capsys, "show", "knock")
    shown = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0 and shown["where"] == "yours" and shown["folder"] == str(heads / "knock")
    assert (shown["rows"], shown["examples"], shown["performances"], shown["against"]) == ("5", "12", "4", "30")
    write_head(still(), tmp_path / "elsewhere")
    about = json.loads(ran(capsys, "show", tmp_path / "elsewhere", "--json")[1])
    assert about["where"] == "neither yours nor shipped" and about["fingerprint"] == still().fingerprint.hex()
    assert ran(capsys, "show", "nod")[0] == 1


def test_a_head_is_removed_with_its_examples(capsys, heads):
    code, out, _ = ran(capsys, "remove", "knock")
    assert code == 0 and out == f"removed    {heads}/knock, and the examples in it\n"
    assert [path.name for path in heads.iterdir()] == ["moving"]
    code, _, err = ran(capsys, "remove", "knock")
    assert code == 1 and err == "motionsig: head: expected one of moving of yours, got 'knock'\n"


@pytest.mark.parametrize("out", ["knock.zip", "sent"])
def test_a_signed_head_goes_to_another_machine(capsys, heads, keys, out, monkeypatch, tmp_path):
    private, pinned = keys
    assert ran(capsys, "sign", heads / "knock", "--key", private)[:2] == (
        0, f"signed     {heads}/knock/head.json.sig, for knock {KNOCK.fingerprint.hex()}\n",
    )  # fmt: skip
    code, said, _ = ran(capsys, "export", "knock", out)
    assert code == 0 and said.splitlines() == [
        f"exported   knock to {out}, signed", "with       42 signatures that it was taught with: personal data",
    ]  # fmt: skip
    assert (
        ran(capsys, "export", "knock", out)[2]
        == f"motionsig: {out}: expected a new file or folder, got one that is there\n"
    )
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "others"))
    code, said, err = ran(capsys, "import", out, "--keys", pinned)
    assert (code, err) == (0, "") and said.splitlines()[1:] == [
        f"signature  by {pinned}/owner.pem", f"taken      {tmp_path}/others/knock",
    ]  # fmt: skip
    there = {path.name: path.read_bytes() for path in (tmp_path / "others" / "knock").iterdir()}
    assert there == {path.name: path.read_bytes() for path in (heads / "knock").iterdir()} and SIGNATURE_NAME in there
    code, _, err = ran(capsys, "import", out, "--keys", pinned)
    assert code == 1 and "expected no head of this name, got one of yours; --replace takes its place" in err
    code, said, _ = ran(capsys, "import", out, "--keys", pinned, "--replace")
    assert code == 0 and said.endswith(", in place of the former one\n")


def test_a_head_without_a_signature_is_taken_only_where_one_says_so(capsys, keys, monkeypatch, tmp_path):
    ran(capsys, "export", "knock", "knock.zip")
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "others"))
    code, _, err = ran(capsys, "import", "knock.zip", "--keys", keys[1])
    assert code == 1 and err == (
        "motionsig: knock.zip/head.json.sig: expected a signature, got none; --unsigned takes it without\n"
    )
    assert not (tmp_path / "others").exists()
    code, out, err = ran(capsys, "import", "knock.zip", "--unsigned")
    assert code == 0 and "signature  NOT CHECKED" in out and err.startswith("motionsig: WARNING: UNSIGNED: anybody may")
    assert load_head(tmp_path / "others" / "knock").fingerprint == KNOCK.fingerprint


def test_a_signature_of_somebody_else_or_of_another_head_is_refused(capsys, heads, keys, tmp_path):
    private, pinned = keys
    ran(capsys, "sign", heads / "moving", "--key", private)
    shutil.copy(heads / "moving" / SIGNATURE_NAME, heads / "knock")
    for arguments in (["--keys", pinned], ["--keys", tmp_path / "none"]):
        code, _, err = ran(capsys, "import", heads / "knock", *arguments)
        assert (
            code == 1
            and err.count("\n") == 1
            and ("expected a signature of this very card" in err or "got none" in err)
        )
    # Without a check it is not kept: nobody shall think that it was.
    assert ran(capsys, "import", heads / "knock", "--unsigned", "--replace")[0] == 0
    assert sorted(path.name for path in (heads / "knock").iterdir()) == sorted(files_of(KNOCK))


def test_what_cannot_be_signed_or_taken_is_refused_in_a_line(capsys, heads, keys, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"PK")
    for arguments, message in (
        (["sign", tmp_path, "--key", keys[0]], "head.json: expected a head's file, got: No such file"),
        (["sign", heads / "knock", "--key", tmp_path / "none.pem"], "none.pem: expected a file, got: No such file"),
        (["import", tmp_path / "x.zip"], "expected a zip file with a head, got: File is not a zip file"),
        (["import", tmp_path / "none"], "none: expected a head's file, got: No such file"),
        (["export", "nod", "x"], "head: expected one of knock, moving"),
        (["export", "knock", tmp_path / "x.zip"], "expected a new file or folder"),
    ):
        code, out, err = ran(capsys, *arguments)
        assert (code, out, err.count("\n")) == (1, "", 1) and message in err, err
