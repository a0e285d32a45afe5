"""The daemon's log: a few lines of each kind, and how many there were."""

import logging

from motionsig.daemon.journal import Repeats, log_to_journal


class _Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def _logger(repeats):
    handler = _Kept()
    handler.addFilter(repeats)
    log = logging.Logger("test")
    log.addHandler(handler)
    return log, handler.lines


def test_what_repeats_is_counted_on_the_next_line_of_its_kind():
    clock = [0.0]
    repeats = Repeats(lambda: clock[0])
    log, lines = _logger(repeats)
    for number in range(100):
        log.warning("the broker refused: %d", number)
        if number == 50:
            log.info("another kind is not held back")
    assert len(lines) == 7
    assert lines[:6] == [f"the broker refused: {number}" for number in range(6)]
    for clock[0] in (3599.0, 3601.0):
        for number in range(2):
            log.warning("once more %d", number)  # a kind of its own: four lines of six
    assert len(lines) == 11
    assert repeats.overdue() == [(logging.WARNING, "94 lines left out, the last: the broker refused: 99")]
    assert repeats.overdue() == []


def test_the_count_stands_on_the_line_that_follows():
    clock = [0.0]
    log, lines = _logger(Repeats(lambda: clock[0]))
    for clock[0] in [0.0] * 10 + [3600.0]:
        log.error("%s is full", "disk")
    assert len(lines) == 7
    assert lines[-1] == "disk is full (and 4 like it before)"


def test_the_journal_gets_priorities(capsys, monkeypatch):
    root = logging.getLogger()
    before, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    try:
        log_to_journal()
        logging.getLogger("motionsig.x").warning("two\nlines")
        logging.getLogger("motionsig.x").debug("not shown")
        logging.getLogger("motionsig.x").error("bad")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        logging.raiseExceptions = raises
    assert capsys.readouterr().err == "<4>two\\nlines\n<3>bad\n"
