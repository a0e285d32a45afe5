"""Text from outside cannot forge a line of a log or of a command, nor steer a terminal."""

from __future__ import annotations

import io
import logging
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.escaping import OneLine, escaped, forges, own_logger

FORGED = "x\n<2>kernel: forged \x1b[2J\x9b\x7f\u2028\u202e"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a plain handler of a program that uses the library writes."""
    out, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root.addHandler(handler)
    yield out
    root.removeHandler(handler)


@given(st.text())
def test_what_is_escaped_is_one_line_that_steers_nothing(text: str) -> None:
    said = escaped(text)
    assert len(said.splitlines()) <= 1
    assert not forges(said)
    assert {unicodedata.category(char) for char in said} & {"Cc", "Zl", "Zp", "Cs"} == set()
    assert escaped(said) == said
    assert forges(text) == (said != text)


def test_names_of_the_world_stay_as_they_are() -> None:
    for name in ("Küche", "台所", "می‌خواهم", "👩‍🔬", "a b", "C:\\x"):  # with joiners that show nothing
        assert escaped(name) == name
    assert escaped("a\tb\u2067c") == r"a\tb\u2067c"


def test_a_plain_handler_gets_one_line(lines: io.StringIO) -> None:
    log = own_logger("motionsig.test")
    log.warning("%s of %d: %s, %.1f", FORGED, 3, OSError(FORGED), 0.5)
    log.warning(FORGED)
    log.warning("%(name)s", {"name": FORGED})
    log.warning("%s", Path(FORGED))
    assert len(lines.getvalue().splitlines()) == 4
    assert "\x1b" not in lines.getvalue()
    assert lines.getvalue().startswith(r"x\n<2>kernel: forged \x1b[2J\x9b\x7f\u2028\u202e of 3: x\n<2>")


def test_what_is_harmless_stays_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("harmless")
    own_logger("motionsig.test").warning("%s: %s %s", Path("a"), error, None)
    assert caplog.records[-1].args == (Path("a"), error, None)


def test_the_formatter_of_commands_and_daemon_holds_for_other_libraries() -> None:
    record = logging.LogRecord("paho", logging.INFO, "x.py", 1, "said %s", (FORGED,), None)
    assert OneLine("motionsig: %(message)s").format(record) == f"motionsig: said {escaped(FORGED)}"


def test_every_module_has_a_logger_that_escapes() -> None:
    package = Path(__file__).parents[1] / "motionsig"
    texts = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    assert len(texts) > 100
    foreign = 'getLogger("uvicorn.error")'  # that of a server, which writes lines of its own
    others = [
        str(path)
        for path, text in texts.items()
        if "getLogger" in text.replace(foreign, "") and path.name != "escaping.py"
    ]
    assert others == [], "expected own_logger(__name__) of motionsig.escaping"
    assert [str(path) for path, text in texts.items() if re.search(r"\blogging\.(warning|error|info)\(", text)] == []
