import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from fake_edgetpu import COMPILED_NAME, fake_model
from made_models import compiled_from, program, sensor_network

from motionsig.cli import main
from motionsig.encoders import models, shipped_models
from motionsig.model_card import CARD_NAME, GOLDEN_NAME, MODEL_NAME, load_card

VERSION = load_card(shipped_models()["motion64"]).version


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty folder of installed models."""
    monkeypatch.setenv("MOTIONSIG_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def model(tmp_path):
    """A copy of the shipped model."""
    return shutil.copytree(shipped_models()["motion64"], tmp_path / "model")


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A private key and a folder with its public key, as OpenSSL makes them."""
    folder = tmp_path_factory.mktemp("keys")
    private, public = folder / "private.pem", folder / "pinned" / "owner.pem"
    public.parent.mkdir(0o755)
    for arguments in (
        ["genpkey", "-algorithm", "ed25519", "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ):
        subprocess.run(["openssl", *arguments], check=True)
    public.chmod(0o644)
    return private, public.parent


@pytest.fixture
def dead_runtime(tmp_path, monkeypatch):
    """The function that puts a runtime in place which, whatever the model, does what a line of Python says."""

    def make(says):
        folder = tmp_path / "runtime" / "ai_edge_litert"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("__version__ = '0'")
        interpreter = f"class Interpreter:\n    def __init__(self, **_):\n        {says}\n"
        (folder / "interpreter.py").write_text(f"import os, time\nload_delegate = None\n{interpreter}")
        monkeypatch.syspath_prepend(tmp_path / "runtime")

    return make


def ran(capsys, *arguments):
    code = main(["models", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def restate(folder, name, content):
    """Change a model's file, and its card with it."""
    (folder / name).write_bytes(content)
    card = json.loads((folder / CARD_NAME).read_text())
    card["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / CARD_NAME).write_text(json.dumps(card))


def test_a_signed_model_is_installed_listed_and_rolled_back(model, store, keys, capsys):
    private, pinned = keys
    assert ran(capsys, "install", model, "--keys", pinned)[0] == 1 and not store.exists()
    code, out, _ = ran(capsys, "sign", model, "--key", private)
    assert code == 0 and out == f"signed     {model}/card.json.sig, for version {VERSION} of motion64\n"
    assert sorted(path.name for path in model.iterdir() if path.name.startswith(".")) == []

    code, out, err = ran(capsys, "install", model, "--keys", pinned)
    folder = models.current("motion64")
    assert code == 0 and err == "" and f"signature  by {pinned / 'owner.pem'}" in out
    assert "tried      on cpu" in out and f"installed  {folder}, and current" in out
    assert (folder / CARD_NAME).read_bytes() == (model / CARD_NAME).read_bytes()
    assert "way back   sudo motionsig models rollback motion64\n" in out

    out = ran(capsys)[1]
    assert out.index(f"{VERSION}, current, signed by owner.pem, in use") < out.index(f"{VERSION}, shipped\n")
    assert f"network: {folder / MODEL_NAME}" in ran(capsys, "motion64")[1]
    listed = json.loads(ran(capsys, "--json")[1])
    assert [(card["where"], card["in_use"], card["version"]) for card in listed] == [
        ("current", True, VERSION),
        ("shipped", False, VERSION),
    ]
    assert listed[0]["signed_by"] == "owner.pem"

    assert ran(capsys, "rollback", "motion64")[1].startswith("current    the shipped motion64\n")
    out = ran(capsys)[1]
    assert out.index(f"{VERSION}, shipped, in use") < out.index(f"{VERSION}, previous, signed by owner.pem\n")
    assert ran(capsys, "rollback", "motion64")[1].startswith(f"current    {folder}\n")


def test_what_openssl_signed_is_taken_and_what_is_signed_openssl_takes(model, keys, tmp_path, capsys):
    private, pinned = keys
    card, raw = model / CARD_NAME, tmp_path / "raw"
    assert ran(capsys, "sign", model, "--key", private)[0] == 0
    raw.write_bytes(subprocess.run(["base64", "-d", model / "card.json.sig"], capture_output=True, check=True).stdout)
    verify = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", pinned / "owner.pem"]
    assert subprocess.run([*verify, "-in", card, "-sigfile", raw], capture_output=True).returncode == 0
    ours = (model / "card.json.sig").read_text()
    sign = f"openssl pkeyutl -sign -rawin -inkey {private} -in {card} | base64 -w 0"
    assert subprocess.run(["sh", "-c", sign], capture_output=True, text=True).stdout == ours.rstrip("\n")


def test_an_unsigned_one_only_on_demand_and_loudly(model, store, keys, capsys):
    files = [model / name for name in (CARD_NAME, GOLDEN_NAME, MODEL_NAME)]
    code, out, err = ran(capsys, "install", *files, "--keys", keys[1])
    assert code == 1 and "--unsigned installs without" in err and not store.exists()
    code, out, err = ran(capsys, "install", *files, "--unsigned", "--into", store)
    assert code == 0 and "signature  NOT CHECKED" in out and "WARNING: UNSIGNED" in err
    # `rollback` and the service look elsewhere than in --into, so neither is spoken of.
    assert f"next       MOTIONSIG_MODELS={store} before a command" in out and "way back" not in out
    assert f"{VERSION}, current, UNSIGNED, in use" in ran(capsys)[1]
    assert json.loads(ran(capsys, "--json")[1])[0]["in_use"]


def test_a_signature_by_nobody_pinned_comes_before_anything_is_written(model, store, keys, tmp_path, capsys):
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", other], check=True)
    assert ran(capsys, "sign", model, "--key", other)[0] == 0
    code, _, err = ran(capsys, "install", model, "--keys", keys[1])
    assert code == 1 and "somebody else signed it" in err and err.count("\n") == 1
    # A card that was changed after it was signed, by as much as a space.
    assert ran(capsys, "sign", model, "--key", keys[0])[0] == 0
    (model / CARD_NAME).write_bytes((model / CARD_NAME).read_bytes() + b" ")
    assert "was changed after it was signed" in ran(capsys, "install", model, "--keys", keys[1])[2]
    # What the card says of its files is looked at first.
    (model / MODEL_NAME).write_bytes(b"x")
    assert "expected sha256" in ran(capsys, "install", model, "--keys", keys[1])[2]
    assert ran(capsys, "sign", model, "--key", keys[0])[0] == 1
    assert not store.exists()


def test_codes_that_are_off_are_refused(model, store, capsys):
    with np.load(model / GOLDEN_NAME) as arrays:
        changed = dict(arrays)
    changed["codes"][3, 5] ^= 64
    np.savez(model / "other.npz", **changed)
    restate(model, GOLDEN_NAME, (model / "other.npz").read_bytes())
    code, _, err = ran(capsys, "install", model, "--unsigned")
    assert code == 1 and "expected codes at most 3 steps off, got 6" in err
    assert list(store.iterdir()) == [] and models.current("motion64") is None
    restate(model, GOLDEN_NAME, (model / "other.npz").read_bytes()[:-30])
    code, _, err = ran(capsys, "install", model, "--unsigned")
    assert code == 1 and f"{GOLDEN_NAME}: expected windows, codes and a tolerance, got: " in err


@pytest.mark.parametrize(
    ("says", "what"),
    [
        ("os.kill(os.getpid(), 11)", "the model died of signal 11"),
        ("os._exit(3)", "the model failed: nothing said"),
        ("raise ValueError('junk')", "LiteRT 0 cannot run it: junk"),
    ],
)
def test_a_model_that_its_runtime_does_not_survive_is_refused(model, store, dead_runtime, capsys, says, what):
    dead_runtime(says)
    code, _, err = ran(capsys, "install", model, "--unsigned")
    assert code == 1 and what in err and err.count("\n") == 2
    assert list(store.iterdir()) == []


def test_a_model_that_hangs_is_given_up(model, store, dead_runtime, capsys, monkeypatch):
    dead_runtime("time.sleep(60)")
    monkeypatch.setattr("motionsig.encoders.trial.DEADLINE_S", 0.5)
    code, _, err = ran(capsys, "install", model, "--unsigned")
    assert code == 1 and "the model did not finish within 0.5 s" in err and list(store.iterdir()) == []


def test_a_network_that_is_not_the_cards_is_refused(model, store, capsys):
    restate(model, MODEL_NAME, sensor_network().file())
    change = json.loads((model / CARD_NAME).read_text()) | {"version": VERSION + 1}
    (model / CARD_NAME).write_text(json.dumps(change))
    code, _, err = ran(capsys, "install", model, "--unsigned")
    assert code == 1 and "expected input int8 [1, 1, 128, 12]" in err
    restate(model, MODEL_NAME, b"junk" * 1000)
    assert ran(capsys, "install", model, "--unsigned")[0] == 1 and list(store.iterdir()) == []


@pytest.mark.skipif(
    subprocess.run(["unshare", "--map-root-user", "true"], capture_output=True).returncode != 0,
    reason="needs user namespaces",
)
def test_where_root_is_the_only_user_an_unsigned_network_is_not_run(model, store, keys):
    """As in a container without other users: root cannot become another one."""
    install = ["unshare", "--map-root-user", sys.executable, "-m", "motionsig", "models", "install", model]
    done = subprocess.run([*install, "--unsigned"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "could not be tried as another user than root" in done.stderr
    assert "Traceback" not in done.stderr and list(store.iterdir()) == []
    assert main(["models", "sign", str(model), "--key", str(keys[0])]) == 0
    done = subprocess.run([*install, "--keys", keys[1]], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "tried      on cpu" in done.stdout


def test_an_older_model_is_taken_where_that_is_said(model, store, capsys):
    def version(number):
        card = json.loads((model / CARD_NAME).read_text()) | {"version": number}
        (model / CARD_NAME).write_text(json.dumps(card))

    version(VERSION + 2)
    assert ran(capsys, "install", model, "--unsigned")[0] == 0 and ran(capsys, "rollback", "motion64")[0] == 0
    version(VERSION + 1)
    code, _, err = ran(capsys, "install", model, "--unsigned")
    assert code == 1 and f"expected version {VERSION + 2}" in err and "--lower" in err
    assert ran(capsys, "install", model, "--unsigned", "--lower")[0] == 0
    assert models.current("motion64").name.startswith(f"{VERSION + 1}-")


def test_a_changed_card_is_said(model, store, capsys):
    card = json.loads((model / CARD_NAME).read_text()) | {"hop": 63, "version": VERSION + 1}
    (model / CARD_NAME).write_text(json.dumps(card))
    assert "CHANGED after the model was made" in ran(capsys, "install", model, "--unsigned")[1]
    assert (
        "CHANGED" in ran(capsys, str(model))[1] and "CHANGED" not in ran(capsys, str(shipped_models()["motion64"]))[1]
    )


def test_a_compiled_model_is_checked_against_its_twin(tmp_path, store, capsys):
    folder = fake_model(tmp_path / "m")
    # Of the shipped model's version, as the network is the same.
    code, out, _ = ran(capsys, "install", folder, "--unsigned")
    assert code == 0 and f"compiled   {COMPILED_NAME}: of the same inputs and outputs as {MODEL_NAME}" in out
    assert (models.current("motion64") / COMPILED_NAME).is_file()
    restate(folder, COMPILED_NAME, compiled_from(sensor_network(), program(13, "16.0", 1000, 24)))
    code, _, err = ran(capsys, "install", folder, "--unsigned")
    assert code == 1 and "the compiled model: input 0: expected int8 [1, 1, 128, 12]" in err


def test_a_damaged_model_is_listed_as_such(model, store, capsys):
    assert ran(capsys, "install", model, "--unsigned")[0] == 0
    (models.current("motion64") / MODEL_NAME).write_bytes(b"x")
    code, out, err = ran(capsys)
    assert code == 1 and f"{VERSION}, shipped\n" in out and "current" not in out and "expected sha256" in err
    assert ran(capsys, "install", model, "--unsigned")[0] == 0 and ran(capsys)[0] == 0


def test_a_wrong_usage_is_one_line(capsys):
    for arguments in (["install"], ["rollback"], ["sign", "x"], ["install", "x", "--json"], ["a", "b"]):
        with pytest.raises(SystemExit, match="2"):
            main(["models", *arguments])
        assert capsys.readouterr().err.count("\n") == 1
