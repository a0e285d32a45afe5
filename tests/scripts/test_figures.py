"""Every figure of scripts/benchmarks/README.md comes from a file that a benchmark or a trial wrote."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trials import TRIALS

from scripts.benchmarks import figures, write_readme

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "scripts/benchmarks"
README = (BENCHMARKS / "README.md").read_text("utf-8")
PARTS = re.search(r"^parts=\((.+)\)$", (ROOT / "scripts/bench").read_text("utf-8"), re.MULTILINE)[1].split()
ANCHORS = (
    *("import", "a-recorded-day", "bytes-per-signature", "on-the-wire", "kill--9", "flash"),
    *("the-service", "trials", "edge-tpu", "sensors", "time-stamps", "polling"),
)
FIRST = {"a": {"took": 1.23456789, "on": figures.REAL}, "b": {"took": 2, "on": "a model"}}


def table(rows):
    return figures.Table(what="time", against="nothing", units={"took": "s"}, rows=rows)


def write(folder, name="t", rows=FIRST, **options):
    figures.write("part", {name: table(rows)}, began_s=time.monotonic(), folder=folder, **options)
    return figures.read("part", folder)


def values(held, name="t"):
    return {row: each["took"] for row, each in held["tables"][name]["rows"].items()}


@pytest.fixture
def copy(tmp_path):
    """The figures in a folder of their own."""
    return Path(shutil.copytree(figures.FOLDER, tmp_path / "figures"))


def test_the_committed_readme_is_what_the_committed_figures_make():
    assert write_readme.text() == README, "run scripts/benchmarks/write_readme.py"


def test_every_part_has_its_file_and_every_file_its_part():
    assert {path.stem for path in figures.FOLDER.iterdir()} == {*PARTS, "trials"}
    other = {"figures", "write_readme"}
    assert {path.stem for path in BENCHMARKS.glob("*.py")} - other == set(PARTS)


@pytest.mark.parametrize("part", [*PARTS, "trials"])
def test_a_file_says_who_when_where_and_against_what(part):
    held = figures.read(part)
    assert held["runs"] and held["tables"]
    for date, run in held["runs"].items():
        assert re.fullmatch(r"scripts/(trial\b.*|bench \w+)", run["who"]["command"])
        assert re.fullmatch(r"[0-9a-f]{7,}", run["who"]["commit"]), "measured with changes that nobody can see"
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:]{8}\+00:00", date) and run["when"]["date"] == date
        assert run["when"]["took_s"] > 0
        assert run["where"]["cores"] > 0 and run["where"]["python"].startswith("3.") and run["where"]["processor"]
        assert {"numpy", "ai-edge-litert", "mosquitto"} < run["where"]["packages"].keys()
    for each in held["tables"].values():
        assert each["rows"]


def test_the_trials_have_a_row_for_each_fault_and_none_failed():
    rows = figures.read("trials")["tables"]["trials"]["rows"]
    assert rows.keys() == TRIALS.keys()
    assert [row["failed"] for row in rows.values() if "failed" in row] == []
    assert {name: row["fault"] for name, row in rows.items()} == {name: it.words for name, it in TRIALS.items()}


def test_what_a_double_or_a_model_measured_says_so_in_its_row():
    for part, word in (("edgetpu", "double"), ("sensors", "model"), ("polling", "umockdev"), ("time_error", "model")):
        for each in figures.read(part)["tables"].values():
            assert all(word in row["on"] for row in each["rows"].values())
    rows = figures.read("trials")["tables"]["trials"]["rows"]
    assert all("simulated sensor" in row["on"] or "model" in row["on"] for row in rows.values())
    assert all("double" in row["on"] for name, row in rows.items() if name.startswith("edgetpu"))
    assert all("model" in row["on"] for name, row in rows.items() if name.startswith("sensor"))
    service = figures.read("daemon")["tables"]
    assert all("simulated sensor" in row["on"] for row in service["response"]["rows"].values())
    lines = [line for line in README.splitlines() if line.startswith("| ")]
    assert sum("a double of the Edge TPU's library |" in line for line in lines) >= 12


def test_the_contents_lead_to_every_section():
    links = re.findall(r"^\* \[(.+)\]\(#(.+)\)$", README, re.MULTILINE)
    assert [title for title, _ in links] == re.findall(r"^## (.+)$", README, re.MULTILINE)
    assert set(ANCHORS) < {anchor for _, anchor in links}


def test_a_table_has_as_many_cells_in_each_row_and_a_unit_in_each_figure():
    for block in re.findall(r"(?:^\|.*\n)+", README, re.MULTILINE):
        assert len({line.count(" | ") for line in block.splitlines()}) == 1
    sizes = re.search(r"## Bytes per signature\n.*?\n## ", README, re.DOTALL)[0]
    assert re.search(r"\| 10 in a message \| \d+\.\d B \| .*\| \d\.\d x as much \|", sizes)


def damage(key, value):
    """Return what puts a value at a place of a file, or takes away what is there (None)."""

    def change(held):
        (run,) = list(held["runs"])[:1]
        (name,) = list(held["tables"])[:1]
        (row,) = list(held["tables"][name]["rows"])[:1]
        at = {"RUN": run, "TABLE": name, "ROW": row}
        place = held
        for each in key[:-1]:
            place = place[at.get(each, each)]
        last = at.get(key[-1], key[-1])
        if value is None:
            del place[last]
        else:
            place[last] = value
        return json.dumps(held)

    return change


ROW = ("tables", "TABLE", "rows", "ROW")
DAMAGES = {
    "cut short": lambda held: json.dumps(held)[:-20],
    "empty": lambda held: "",
    "no object": lambda held: "[]",
    "no runs": damage(["runs"], None),
    "no such run": damage(["runs"], {}),
    "nobody": damage(["runs", "RUN", "who"], None),
    "no commit": damage(["runs", "RUN", "who", "commit"], None),
    "no date": damage(["runs", "RUN", "when", "date"], None),
    "nowhere": damage(["runs", "RUN", "where"], {}),
    "rows that are no rows": damage(["tables", "TABLE", "rows"], 3),
    "on nothing": damage([*ROW, "on"], None),
    "against nothing": damage(["tables", "TABLE", "against"], ""),
    "no unit": damage(["tables", "TABLE", "units"], {}),
    "a table less": damage(["tables", "TABLE"], None),
    "a table more": damage(["tables", "more"], {"what": "w", "against": "a", "units": {}, "rows": {}}),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_one_clear_error(copy, how):
    file = copy / "sizes.json"
    file.write_text(DAMAGES[how](json.loads(file.read_text("utf-8"))), "utf-8")
    with pytest.raises(figures.FiguresError) as error:
        write_readme.text(copy)
    said = str(error.value)
    assert said.startswith(f"{file}: expected ") and ", got " in said and "\n" not in said


def test_a_missing_file_is_one_line_of_the_command(tmp_path):
    tree = tmp_path / "scripts/benchmarks"
    shutil.copytree(BENCHMARKS, tree)
    (tree / "figures/flash.json").unlink()
    done = subprocess.run([sys.executable, tree / "write_readme.py"], capture_output=True, text=True, timeout=60)
    expected = f"{tree}/figures/flash.json: expected what scripts/bench flash writes, got no such file\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    shutil.copy(figures.FOLDER / "flash.json", tree / "figures")
    (tree / "README.md").unlink()
    done = subprocess.run([sys.executable, tree / "write_readme.py"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tree / "README.md").read_text("utf-8") == README


def test_a_run_replaces_its_table_and_leaves_the_others(tmp_path):
    write(tmp_path, "other")
    held = write(tmp_path, rows={"a": {"took": 1.0, "on": "x"}, "c": {"took": 0.1, "on": "x"}})
    assert values(held, "other") == {"a": 1.23457, "b": 2}
    held = write(tmp_path)
    assert values(held) == {"a": 1.23457, "b": 2}


def test_a_run_in_part_keeps_the_other_rows_and_the_run_they_came_from(tmp_path, monkeypatch):
    dates = iter(["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00"])

    class Clock(figures.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromisoformat(next(dates))

    monkeypatch.setattr(figures, "datetime", Clock)
    write(tmp_path)
    held = write(tmp_path, rows={"b": {"took": 7, "on": "x"}}, keep_rows=True, by="scripts/part b")
    assert values(held) == {"a": 1.23457, "b": 7}
    rows = held["tables"]["t"]["rows"]
    assert [rows[name]["run"][:10] for name in "ab"] == ["2026-01-01", "2026-01-02"]
    assert [run["who"]["command"] for run in held["runs"].values()] == ["scripts/bench part", "scripts/part b"]
    held = write(tmp_path)
    assert [run[:10] for run in held["runs"]] == ["2026-01-03"]


def test_what_cannot_be_a_figure_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path, rows={"a": {"took": float("nan"), "on": "x"}})
