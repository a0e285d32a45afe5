"""Every command that a document shows is one that the product takes, with files, options and values that there are."""

import importlib
import re
from collections.abc import Iterator

import pytest
from checked_commands import (
    PROGRAMS,
    all_options,
    is_placeholder,
    problem_of_device,
    problem_of_sink,
    problems_of_command,
)
from documents import DOCUMENTS, ROOT, Document, read_document
from shell_lines import Command, commands_of, split_words

from motionsig.cli.command_line import COMMANDS
from motionsig.collector import collect_options
from motionsig.config import known_keys
from motionsig.config.keys import TABLES
from motionsig.publishers import SCHEMES, sink_options
from motionsig.recordings import GROUP

TREE = re.compile(r"(?:scripts|systemd|tests|motionsig|firmware_models|\.github|\.ci)/[\w./@-]*")
KEYS = {key.rpartition(".")[2] for key in known_keys()}
SENTENCE = re.compile(
    r"(?:sudo )?(?:motionsig |scripts/|systemctl |journalctl |pip )|python3? -m (?:scripts|motionsig)"
    rf"|(?:{'|'.join(COMMANDS)}) -"
)


def problems_of_blocks(document: Document) -> Iterator[str]:
    """Yield what is wrong with the commands of a document's blocks."""
    made: set[str] = set()
    for block in document.blocks:
        try:
            commands = commands_of(block, PROGRAMS)
        except ValueError as error:
            yield f"{document.at(block.line)}: expected lines of a shell, got {error}"
            continue
        for command in commands:
            made |= {after for word, after in zip(command.words, command.words[1:], strict=False) if word == "-o"}
            if command.words[0] == "scripts/compile_edgetpu" and len(command.words) == 3:
                made.add(command.words[2])
            for problem in problems_of_command(command, made):
                yield f"{document.at(command.line)}: {problem}"


def problems_of_sentences(document: Document) -> Iterator[str]:
    """Yield what is wrong with commands, options, URLs, files and names that stand in a document's sentences."""
    for piece in document.pieces:
        if piece.kind == "code":
            for problem in problems_of_code(piece.text):
                yield f"{document.at(piece.line)}: {problem}"


def problems_of_code(text: str) -> Iterator[str]:
    """Yield what is wrong with one piece of code in a sentence."""
    if SENTENCE.match(text) and not TREE.fullmatch(text):
        yield from _problems_of_synopsis(text)
    elif (option := re.match(r"--[a-z][\w-]*|-[a-z](?![\w-])", text)) is not None:
        if option[0] not in all_options():
            yield f"expected an option of a command or script, got {option[0]}"
    elif re.match(rf"(?:{'|'.join(SCHEMES)}):.", text):
        if (problem := problem_of_sink(re.sub(r"\[.*?\]", "", text))) and "client_id" not in text:
            yield problem
    elif text.startswith("?"):
        known = set(collect_options()).union(*(sink_options(scheme) for scheme in SCHEMES))
        for name in re.findall(r"[?&](\w+)", text):
            if name not in known:
                yield f"expected an option of a sink, got {name}"
    elif (key := re.match(r"""([a-z_]+) = (?!"\w+:\w+")""", text)) is not None:
        if key[1] not in KEYS:
            yield f"expected a key of the configuration, got {key[1]}"
    elif (table := re.fullmatch(r"\[([a-z]+)\]", text)) is not None:
        if table[1] not in TABLES:
            yield f"expected a table of the configuration, got {text}"
    elif re.fullmatch(r"edgetpu(:\w+)*", text):
        if problem := problem_of_device(text):
            yield problem
    elif TREE.fullmatch(text):
        if not any(map(is_placeholder, text.split("/"))) and not (ROOT / text).exists():
            yield f"expected a file of the tree, got {text}"
    elif (unit := re.fullmatch(r"(motionsig[\w-]*@?)\w*\.service", text)) is not None:
        if not (ROOT / "systemd" / f"{unit[1]}.service").is_file():
            yield f"expected a unit of systemd/, got {text}"
    elif (name := re.match(r"motionsig((?:\.\w+)+)", text)) is not None and text != GROUP:
        yield from _problems_of_name(name[0].split("."))


def _problems_of_synopsis(text: str) -> Iterator[str]:
    """Yield what is wrong with a command in which [x] may be left out, a|b is one of the two, and x... any number."""
    # Brackets within quotes or after a dot are the extras' own.
    for command in split_words(re.sub(r"\|[^\s\]]+|\.\.\.|…|(?<!\S)\[|\](?!\S)|[<>]", "", text)):
        words = command.words if command.words[0] not in COMMANDS else ("motionsig", *command.words)
        yield from problems_of_command(Command(words, 0), {"FOLDER"}, whole=False)


def _problems_of_name(parts: list[str]) -> Iterator[str]:
    for place in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:place]))
        except ModuleNotFoundError:
            continue
        for part in parts[place:]:
            if not hasattr(found, part):
                yield f"expected a name of the package, got {'.'.join(parts)}"
                return
            found = getattr(found, part)
        return


def made_document(*lines: str) -> Document:
    return read_document("made.md", "\n".join(("```", *lines, "```")) + "\n")


@pytest.mark.parametrize(
    "line",
    [
        "motionsig replay walk.msig --to store:mine.db --plot walk.png   # what it's for",
        "motionsig replay LOG --to 'mqtt://HOST?delay_s=0&compress=true' --option rate_hz=26 --option acc_unit=g",
        "sudo motionsig run --check && sudo systemctl restart motionsig",
        "OPENBLAS_NUM_THREADS=1 .venv-demo/bin/motionsig record --sensor iio:NAME --bus N --out walk.msig | tee x",
        "motionsig compile motion64 -o edge; motionsig replay a.csv --to store:x.db --model edge --device edgetpu:usb",
        "motionsig models install FOLDER; motionsig models motion64; motionsig --version",
        "motionsig collect --from 'mqtt://HOST?client_id=NAME' --into store:cloud.db",
        "python3 -m venv .venv && . .venv/bin/activate && pip install -e '.[litert,i2c]'",
        "python -m motionsig export store:mine.db OUT.csv",
        "sudo sh -c 'umask 077; cat >/etc/motionsig/credentials/mqtt-password'",
        "scripts/test tests/test_wire.py -- -k cbor",
        "scripts/trial --jobs 2 --list",
        "scripts/compile_edgetpu motion64 edge --allow-cpu",
        ".venv/bin/python -m scripts.evaluate --data FOLDER --model firmware_models/NAME",
        "python3 scripts/demo_recording.py WHEEL OUT --all",
        "journalctl -u motionsig -f; systemctl status motionsig@hall mosquitto",
    ],
)
def test_a_command_that_there_is_has_no_problem(line):
    assert list(problems_of_blocks(made_document(line))) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("motionsig replai a.csv --to store:x.db", "expected a command, got 'replai'"),
        ("motionsig replay a.csv", "arguments are required: --to"),
        ("motionsig replay a.csv --to store:x.db --plott x.png", "expected an option, got --plott"),
        ("motionsig replay a.csv --to store:x.db --hop many", "invalid int value: 'many'"),
        ("motionsig replay a.csv --to stor:x.db", "got stor"),
        ("motionsig replay a.csv --to mqtt://HOST?delays=0", "got 'delays'"),
        ("motionsig replay a.csv --to 'mqtt://HOST?delay_s=soon'", "expected a number, got 'soon'"),
        ("motionsig replay a.csv --to store:x.db --option rate=26", "got 'rate'"),
        ("motionsig replay a.csv --to store:x.db --option rate_hz=fast", "expected a number, got 'fast'"),
        ("motionsig replay a.csv --to store:x.db --device tpu", "got 'tpu'"),
        ("motionsig replay a.csv --to store:x.db --model motion65", "got motion65"),
        ("sudo -E motionsig statuses", "got 'statuses'"),
        ("motionsig record --sensor lsm6dsp --out x", "expected a sensor, got lsm6dsp"),
        ("motionsig record --sensor simulated:bmi160 --out x", "expected a sensor, got simulated:bmi160"),
        ("motionsig export store:x.db x.xlsx", "expected .csv, .npz or .parquet"),
        ("motionsig export mqtt://HOST x.csv", "got mqtt"),
        ("motionsig collect --from mqtt://HOST?delay_s=1 --into store:x.db", "got 'delay_s'"),
        ("motionsig models instal FOLDER", "unrecognized arguments: FOLDER"),
        ("motionsig doctor; motionsig models sign FOLDER", "required: --key"),
        ("pip install '.[litert,tpu]'", "expected an extra of setup.cfg, got tpu"),
        ("scripts/tests", "expected a file of the tree, got scripts/tests"),
        ("scripts/check --repair", "check: expected [--fix], got --repair"),
        ("scripts/demo now", "got now"),
        ("scripts/try_package --onli daemon", "--onli"),
        ("python -m scripts.train --data FOLDER", "required: --out"),
        ("python -m scripts.trains --data FOLDER", "No module named scripts.trains"),
        ("motionsig replay tests/none.csv --to store:x.db", "expected a file of the tree, got tests/none.csv"),
        ("sudo systemctl restart motionsigd", "expected a unit of systemd/, got motionsigd"),
        ("journalctl -u motionsig2", "got motionsig2"),
        ("sudo sh -c 'motionsig status --nam x --frob'", "got --frob"),
        ("motionsig replay 'a.csv --to store:x.db", "expected lines of a shell"),
        ("motionsi status; motionsig status", "expected a program that is known, got motionsi"),
    ],
)
def test_a_command_that_there_is_not_is_named(line, problem):
    found = list(problems_of_blocks(made_document(line)))
    assert len(found) == 1 and found[0].startswith("made.md:2: ") and problem in found[0]


def test_a_line_that_goes_on_and_a_text_for_a_file_are_one_command():
    block = made_document(
        "sudo tee /etc/x.toml <<'END'", "[sink]", "END", "motionsig replay a.csv \\", "  --to x", "echo"
    )
    commands = commands_of(block.blocks[0], PROGRAMS)
    assert [(it.words[0], it.line, it.text) for it in commands] == [
        ("tee", 2, "[sink]\n"), ("motionsig", 5, ""), ("echo", 7, ""),
    ]  # fmt: skip
    assert commands[0].written == "/etc/x.toml" and commands[1].words[-2:] == ("--to", "x")


def test_a_drawing_and_what_a_console_shows_are_no_commands():
    assert commands_of(made_document("Source ──▶ Sink (x)").blocks[0], PROGRAMS) == []
    console = read_document("made.md", "```console\n$ motionsig doctor\nwell  it's all there\n```\n")
    assert [it.words for it in commands_of(console.blocks[0], PROGRAMS)] == [("motionsig", "doctor")]


@pytest.mark.parametrize(
    "code",
    [
        "motionsig replay", "sudo motionsig status --name NAME", "motionsig models [NAME|PATH]", "replay --plot", "run",
        "motionsig replay LOG... --to URL [--option KEY=VALUE]", "run --check", "--device", "--hop N", "-o", "9 x",
        "scripts/test FILE... -- OPTION...", "scripts/bench [LOG...]", "scripts/check --fix",
        "systemctl reload motionsig",
        "mqtt://HOST?delay_s=0", "mqtts://...?ca=FILE&cert=FILE&key=FILE", "store:PATH", "store:", "?client_id=NAME",
        "edgetpu:N",
        "motionsig/pipeline.py", "firmware_models/NAME",
        "tests/NAME.json", "tests/chips", "motionsig@hall.service", "motionsig.readers",
        "motionsig.wire.decode(data)", "motionsig.Reader", "pip install -e '.[all]'", "scripts/train/data.py",
        "python -m scripts.train --data FOLDER", "mqtt://[user:password@]HOST[:PORT]",
        "-ankle", "home_assistant = true", "[sink]", "persistence true", 'bleep = "bleep_reader:READER"',
    ],
)  # fmt: skip
def test_code_in_a_sentence_that_there_is_has_no_problem(code):
    assert list(problems_of_code(code)) == []


@pytest.mark.parametrize(
    "code",
    [
        "motionsig repla", "motionsig replay --plott", "replay --plott", "run --checked", "--devise", "-q",
        "scripts/benchs [LOG...]", "scripts/check --fixed", "systemctl reload motionsigs", "mqtt://HOST?delay=0",
        "mqtts://...?cas=FILE", "?client=NAME", "edgetpu:isa", "motionsig/pipelines.py", "tests/chip",
        "motionsig-x.service", "motionsig.wire.decoded(data)", "motionsig.Readers", "pip install -e '.[al]'",
        "python -m scripts.train --date FOLDER", "motionsig export [--fingerprints HEX]",
        "homeassistant = true", "[sinks]",
    ],
)  # fmt: skip
def test_code_in_a_sentence_that_there_is_not_is_named(code):
    assert len(list(problems_of_code(code))) == 1


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_product_takes_every_command(path):
    assert list(problems_of_blocks(DOCUMENTS[path])) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_what_sentences_name_is_there(path):
    assert list(problems_of_sentences(DOCUMENTS[path])) == []
