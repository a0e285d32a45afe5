"""scripts/README.md has every script, and says of each how long it takes as the script itself does."""

import pytest
from documents import DOCUMENTS
from known_figures import SCRIPTS, head_of

ROWS = {
    passage.pieces[0].text: "".join(piece.text for piece in passage.pieces).split(" | ")
    for passage in DOCUMENTS["scripts/README.md"].passages
    if passage.kind == "row" and passage.pieces[0].kind == "code"
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_in_the_table_with_the_time_that_it_takes(script):
    cells = ROWS[f"scripts/{script}"]
    for part in cells[2].split(", then "):
        assert part in head_of(script).lower()


def test_the_table_has_no_script_that_there_is_not():
    assert {row.removeprefix("scripts/") for row in ROWS} == set(SCRIPTS)
