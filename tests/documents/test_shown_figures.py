"""Every figure in a document agrees with what measured it, or with the code that sets it."""

import pytest
from checked_figures import FIGURE, Fact, Setting, figures_of, holds, problems_of_figures, problems_of_linked, used
from documents import DOCUMENTS, GENERATED, read_document
from known_figures import FACTS, SETTINGS, TIMES_OF_SCRIPTS

WRITTEN = sorted(DOCUMENTS.keys() - GENERATED)

MEASURED = read_document(
    "scripts/benchmarks/README.md",
    "# Figures\n\n[On the wire](#on-the-wire)\n\n## On the wire\n| a day | **4.1 / 3.9 x as much** |\n| --- | --- |\n"
    "| lost | 1,204 |\n\n## Flash\n1.5 kB and 77 %\n",
)


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("in 1.28 s, 2.56 s", ["1.28 s", "2.56 s"]),
        ("20 to 200 Hz", ["20 to 200 Hz"]),
        ("the 16 MiB queue of 67,500 signatures", ["16 MiB", "67,500 signatures"]),
        ("a 3.9 x as much (50 %)", ["3.9 x", "50 %"]),
        ("a 30-second watchdog", ["30-second"]),
        ("probe .972 [.941, .992]", [".972", ".941", ".992"]),
        ("eighteen chips, between two windows, ten or two minutes", ["eighteen chips", "two minutes"]),
        ("4 GB or 5,250 windows.", ["4 GB", "5,250 windows"]),
        ("Python 3.11, Debian 12, port 1883, pin 3 and 3V3, RFC 8610, version 0.1, two of them, QoS 1, numpy 1.24", []),
        ("/dev/i2c-1, 2026-09-21T14:13:20.25Z, 192.168.1.10, 104 sensors", []),
    ],
)
def test_a_figure_is_a_number_with_its_unit(text, figures):
    assert [" ".join(found[0].split()) for found in FIGURE.finditer(text)] == figures


def test_figures_in_code_and_links_to_what_measured_them_are_left_out():
    text = "Ten minutes in `5 s`, [7 s](x.md) or\n[3.9 x](../scripts/benchmarks/README.md#a), 8 s\n\n```\n9 s\n```\n"
    (passage,) = read_document("a/README.md", text).passages
    assert list(figures_of(passage)) == [(1, "ten minutes"), (1, "7 s"), (2, "8 s")]


KNOWN = [Setting("watchdog", lambda: "30 s"), Setting("queue", lambda: "16 MiB")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("The watchdog (30 s) and the queue, 16 MiB.", None),
        ("A USB call takes 0.28 ms.", None),
        ("The watchdog (20 s).", "a/README.md:1: 20 s: expected a link to what measured it, or a known setting; the "
         "settings spoken of here are 30 s"),
        ("It takes 30 s.", "a/README.md:1: 30 s: expected a link to what measured it, or a known setting"),
        ("| watchdog |\n| --- |\n| 30 s |", "a/README.md:3: 30 s: "),
        ("A PCIe call takes 0.28 ms.", "a/README.md:1: 0.28 ms: "),
    ],
)  # fmt: skip
def test_a_figure_that_nobody_vouches_for_is_named(text, problem):
    facts = [Fact("USB", "0.28 ms", "a data sheet")]
    found = list(problems_of_figures(read_document("a/README.md", text), KNOWN, facts))
    assert len(found) == (problem is not None) and all(each.startswith(problem) for each in found)


@pytest.mark.parametrize(
    ("text", "anchor", "problems"),
    [
        ("3.9 x as much", "on-the-wire", 0),
        ("all figures", "on-the-wire", 0),
        ("1.5 kB", "flash", 0),
        ("4.1 x as much", "on-the-wire", 1),
        ("3.9 x as much", "flash", 1),
        ("204", "on-the-wire", 1),
        ("7 %", "flash", 1),
        ("1.5 kB", "none", 1),
    ],
)
def test_a_figure_that_no_longer_agrees_is_named(text, anchor, problems):
    document = read_document("a/b/README.md", f"[{text}](../../scripts/benchmarks/README.md#{anchor})")
    found = list(problems_of_linked(document, {MEASURED.path: MEASURED}))
    expected = f"a/b/README.md:1: {text}: expected it in scripts/benchmarks/README.md#{anchor}, which does not have it"
    assert found == [expected] * problems


def test_a_known_figure_that_no_document_has_is_found():
    document = read_document("a/README.md", "The watchdog (30 s).\n\nIn `16 MiB` of the queue.\n")
    assert [used(known, [document]) for known in (*KNOWN, Fact("watchdog", "20 s", "x"))] == [True, False, False]


def test_a_figure_is_held_whole():
    assert holds("1.5 kB", "1.5 kB") and holds("(0.5 s).", "0.5 s") and holds("a **3 x**, b", "3 x")
    assert not any(holds(text, "20") for text in ("1,204", "3.20", "20.5", "x20", "205"))


@pytest.mark.parametrize("path", WRITTEN)
def test_every_figure_is_measured_set_or_sourced(path):
    assert list(problems_of_figures(DOCUMENTS[path], (*SETTINGS, *TIMES_OF_SCRIPTS), FACTS)) == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_linked_figure_agrees_with_what_measured_it(path):
    assert list(problems_of_linked(DOCUMENTS[path], DOCUMENTS)) == []


@pytest.mark.parametrize("known", [*SETTINGS, *FACTS], ids=lambda known: known.near)
def test_no_known_figure_is_left_over(known):
    assert used(known, DOCUMENTS.values())
