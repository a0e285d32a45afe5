"""Every piece of configuration and of JSON in a document is one that is accepted."""

import json
import tomllib

import pytest
from checked_commands import PROGRAMS
from documents import DOCUMENTS, ROOT, Document, read_document
from made_heads import by_rest
from shell_lines import commands_of

from motionsig.config import load_config
from motionsig.encoders import find_model
from motionsig.errors import ConfigError
from motionsig.heads.places import heads_folder, shipped_heads, write_head
from motionsig.recordings import GROUP

OF_OWNERS = ("sink.ca: ", "sink.cert: ")
"""Keys whose value is a file that the owner has; what they hold is the owner's, too."""


def tomls_of(document: Document) -> list[tuple[int, str]]:
    """Return the line and the content of every TOML in a document: in a block of its own, or written by a command."""
    found = [(block.line, block.content) for block in document.blocks if block.language == "toml"]
    for block in document.blocks:
        commands = commands_of(block, PROGRAMS)
        found += [(it.line + 1, it.text) for it in commands if it.text and it.written.endswith(".toml")]
    return found


@pytest.fixture(autouse=True)
def heads(tmp_path, monkeypatch):
    """The folder of an owner's heads, which holds none."""
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))


def make_heads(given) -> None:
    """Make the heads that a configuration names: states where programs wait for their beginning or end."""
    programs = given.get("exec", {})
    for name in set(given.get("heads", {}).get("names", [])) - shipped_heads().keys():
        head = by_rest(name, encoder=find_model().fingerprint, is_state=isinstance(programs.get(name), dict))
        write_head(head, heads_folder() / name)


def problems_of_toml(content: str, folder) -> list[str]:
    """Return what motionsig says is wrong with a piece of configuration, read after the one that is shipped."""
    try:
        given = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        return [f"expected TOML, got: {error}"]
    if "project" in given:
        # Not ours, but of a package that adds a reader.
        groups = set(given["project"].get("entry-points", {}))
        return [] if groups <= {GROUP} else [f"expected the entry points {GROUP}, got {', '.join(groups)}"]
    make_heads(given)
    (folder / "conf.d").mkdir()
    (folder / "credentials").mkdir()
    (folder / "config.toml").write_bytes((ROOT / "systemd/config.toml").read_bytes())
    (folder / "conf.d/part.toml").write_text(content)
    for key in ("password_credential", "key_credential"):
        if name := given.get("sink", {}).get(key):
            file = folder / "credentials" / name
            file.write_text("secret\n")
            file.chmod(0o600)
    try:
        load_config(folder / "config.toml")
    except ConfigError as error:
        lines = [problem.removeprefix(f"{folder}/conf.d/part.toml: ") for problem in error.problems]
        return [line for line in lines if not (line.startswith(OF_OWNERS) and "No such file" in line)]
    return []


@pytest.mark.parametrize(
    "content",
    [
        '[sensor]\nname = "simulated"\n',
        'name = "hall"\n[sink]\nurl = "mqtts://b.example"\nca = "/etc/motionsig/ca.pem"\n[spool]\nstrict = true\n',
        '[sink]\nurl = "mqtt://192.168.1.10"\nusername = "hall"\npassword_credential = "mqtt-password"\n',
        '[project.entry-points."motionsig.readers"]\nbleep = "bleep_reader:READER"\n',
    ],
)
def test_a_configuration_that_is_accepted_has_no_problem(content, tmp_path):
    assert problems_of_toml(content, tmp_path) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('[sensor]\nname = "lsm6dsp"\n', "sensor.name: "),
        ("[sensor]\nrate = 104\n", "sensor.rate: no such key"),
        ('[sink]\nurl = "mqtt://HOST"\ndelay_s = "6"\n', "sink.delay_s: "),
        ('[sinks]\nurl = "mqtt://HOST"\n', "sinks: no such table"),
        ("[sensor]\nname = simulated\n", "expected TOML"),
        ('[sink]\nurl = "mqtts://b.example"\nca = "ca.pem"\n', "sink.ca: expected a path from / on"),
        ('[project.entry-points."motionsig.reader"]\nx = "y:Z"\n', "expected the entry points motionsig.readers"),
    ],
)
def test_a_configuration_that_is_refused_is_named(content, problem, tmp_path):
    (found,) = problems_of_toml(content, tmp_path)
    assert found.startswith(problem)


def test_toml_is_found_in_its_own_block_and_in_a_command():
    text = "```toml\nx = 1\n```\n\n```\nsudo tee /etc/motionsig/conf.d/b.toml <<'END'\ny = 2\nEND\n```\n"
    assert tomls_of(read_document("made.md", text)) == [(2, "x = 1\n"), (7, "y = 2\n")]


@pytest.mark.parametrize(
    ("path", "line", "content"),
    [pytest.param(path, *toml, id=f"{path}:{toml[0]}") for path in DOCUMENTS for toml in tomls_of(DOCUMENTS[path])],
)
def test_every_configuration_is_accepted(path, line, content, tmp_path):
    assert problems_of_toml(content, tmp_path) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_json_is_json(path):
    for block in DOCUMENTS[path].blocks:
        if block.language == "json":
            json.loads(block.content)
