"""Every public name has an example in its docstring, and what an example shows is what happens."""

import doctest
from importlib.util import find_spec

import pytest

import motionsig

NEEDS = {"Signatures": "sklearn", "SignatureBatch.to_arrow": "pyarrow", "SignatureBatch.to_pandas": "pandas"}
"""The library that examples need beside those that are always there."""


def run(example, names):
    """Run the examples of one docstring with these names; what they define is added to the names."""
    said = []
    example.globs = names
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    outcome = runner.run(example, out=said.append, clear_globs=False)
    assert outcome.attempted and not outcome.failed, "".join(said)


@pytest.mark.parametrize("name", motionsig.__all__)
def test_a_public_name_has_an_example_and_all_of_its_examples_hold(name, tmp_path, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.setenv("MOTIONSIG_HEADS", str(tmp_path / "heads"))
    found = [each for each in doctest.DocTestFinder().find(getattr(motionsig, name), name) if each.examples]
    assert name in [each.name for each in found], f"{name}: expected an example in its docstring, got none"
    for each in found:
        if each.name in NEEDS and find_spec(NEEDS[each.name]) is None:
            continue
        # As the package's docstring says: an empty folder, and its lines first.
        folder = tmp_path / each.name
        folder.mkdir()
        monkeypatch.chdir(folder)
        names = {}
        run(doctest.DocTestParser().get_doctest(motionsig.__doc__, names, "motionsig", motionsig.__file__, 0), names)
        run(each, names)
