"""Every figure of scripts/benchmarks/README.md comes from a file that a benchmark or a trial wrote."""

import json
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from trials import TRIALS

from motionsig.encoders import find_model
from scripts.benchmarks import figures, write_readme
from scripts.trials import surviving_table

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "scripts/benchmarks"
README = (BENCHMARKS / "README.md").read_text("utf-8")
PARTS = re.search(r"^parts=\((.+)\)$", (ROOT / "scripts/bench").read_text("utf-8"), re.MULTILINE)[1].split()
ANCHORS = (
    *("import", "a-recorded-day", "bytes-per-signature", "on-the-wire", "kill--9", "a-fleet", "flash"),
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
        assert re.fullmatch(r"scripts/(trial\b.*|bench \w+|benchmarks/\w+\.py --.*)", run["who"]["command"])
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


def test_the_sentences_have_the_figures_of_the_files_and_the_speed_of_the_code(copy, monkeypatch):
    for part, *place, value in (
        ("daemon", "wire", "without TLS", "together", 7.77),
        ("edgetpu", "cost", "1 at a time, in this process", "median", 3.33),
    ):
        file = copy / f"{part}.json"
        held = json.loads(file.read_text("utf-8"))
        held["tables"][place[0]]["rows"][place[1]][place[2]] = value
        file.write_text(json.dumps(held), "utf-8")
    shutil.copy(BENCHMARKS / "readme_template.md", copy.parent)
    code = (BENCHMARKS / "daemon.py").read_text("utf-8")
    (copy.parent / "daemon.py").write_text(code.replace("\nSPEED = 60.0\n", "\nSPEED = 45.0\n"), "utf-8")
    monkeypatch.setattr(write_readme, "HERE", copy.parent)
    said = " ".join(write_readme.text(copy).split())
    assert "a message held 7.8 signatures on average" in said
    assert "without a child process, takes 3.3 µs." in said
    assert "played at 45 times its speed, with a delay 45 times shorter" in said


def test_a_figure_that_a_sentence_needs_and_the_file_lacks_is_one_clear_error(copy):
    file = copy / "daemon.json"
    held = json.loads(file.read_text("utf-8"))
    del held["tables"]["wire"]["rows"]["without TLS"]
    file.write_text(json.dumps(held), "utf-8")
    with pytest.raises(figures.FiguresError) as error:
        write_readme.text(copy)
    assert str(error.value) == f"{file}: expected together in the row without TLS, got with TLS"


def test_every_figure_in_the_files_is_shown():
    for section in write_readme.SECTIONS.values():
        held = figures.read(section.part)["tables"]
        for name, columns in section.tables.items():
            shown = {column.partition(":")[0] for column in columns.values()}
            # Why a trial failed is shown in place of its figures.
            assert held[name]["units"].keys() - {"failed"} == shown - {""}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_begins_with_a_look_at_its_file(part):
    assert f'began_s = figures.begin("{part}")\n' in (BENCHMARKS / f"{part}.py").read_text("utf-8")


def test_a_damaged_file_ends_a_run_in_a_line_before_anything_is_measured(tmp_path):
    tree = tmp_path / "scripts/benchmarks"
    shutil.copytree(BENCHMARKS, tree)
    file = tree / "figures/sizes.json"
    file.write_text(f"<<<<<<< HEAD\n{file.read_text('utf-8')}", "utf-8")
    command = [sys.executable, tree / "sizes.py", tmp_path / "no-such-log"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"{file}: expected what scripts/bench sizes writes, got damaged figures (")


def test_a_run_begins_without_a_file_and_with_a_sound_one(tmp_path):
    for _ in range(2):
        before = time.monotonic()
        assert before <= figures.begin("part", tmp_path) <= time.monotonic()
        write(tmp_path)


def test_the_trials_write_the_page_after_a_measurement_alone(monkeypatch, capsys):
    done = []
    monkeypatch.setattr(surviving_table, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(surviving_table, "measure", lambda name: {"failed": name})
    monkeypatch.setattr(surviving_table.figures, "begin", lambda part: done.append(f"begin {part}") or 0.0)
    monkeypatch.setattr(surviving_table.figures, "write", lambda part, tables, **_: done.append(f"figures of {part}"))
    monkeypatch.setattr(surviving_table.write_readme, "main", lambda: done.append("page"))
    monkeypatch.setattr(sys, "argv", ["surviving_table.py", "--list"])
    assert surviving_table.main() == 0 and done == []
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(TRIALS)
    monkeypatch.setattr(sys, "argv", ["surviving_table.py", "killed"])
    assert surviving_table.main() == 1
    assert done == ["begin trials", "figures of trials", "page"]
    # The shell script leaves the page to it.
    assert (ROOT / "scripts/trial").read_text("utf-8").splitlines()[-1].endswith('surviving_table.py "$@"')


def test_the_commit_has_a_plus_where_any_file_differs_except_what_the_runs_write(tmp_path, monkeypatch):
    def git(*arguments):
        who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    monkeypatch.setattr(figures, "ROOT", tmp_path)
    assert figures._commit() == "unknown"
    written = ["scripts/benchmarks/figures/day.json", "scripts/benchmarks/README.md"]
    measured = ["motionsig/wire.py", "scripts/benchmarks/day.py", "scripts/trials/table.py", "tests/daemon/trials.py"]
    for path in [*written, *measured]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1", "utf-8")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message=m")
    head = git("rev-parse", "--short", "HEAD")
    for path in written:
        (tmp_path / path).write_text("2", "utf-8")
    (tmp_path / "scripts/benchmarks/figures/new.json").write_text("1", "utf-8")
    assert figures._commit() == head
    for path in measured:
        (tmp_path / path).write_text("2", "utf-8")
        assert figures._commit() == f"{head}+"
        git("checkout", "--quiet", path)
    (tmp_path / "tests/daemon/double.py").write_text("1", "utf-8")
    assert figures._commit() == f"{head}+"


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


def test_a_million_devices_are_computed_from_the_fleet_and_the_wire():
    held = {part: figures.read(part) for part in ("fleet", "wire")}
    fleet, wire = (held[part]["tables"][part]["rows"] for part in ("fleet", "wire"))
    for row in wire.values():
        row |= {"together": 10.0, "each": 64.0}
    for row in fleet.values():
        row["rate"] = 2000.0
    first = write_readme._million(held).splitlines()[2]
    # 781,250 signatures a second; a receiver stores 10,000, half of which is planned.
    cells = ["default settings", "78,125 /s", "50 MB/s", "4.3 TB", "6,750 USD", "157", "157"]
    assert first == f"| {' | '.join(cells)} |"
    card = find_model()
    assert card.hop / card.rate_hz == write_readme.HOP_S
    assert f"EACH = {write_readme.EACH}  #" in (BENCHMARKS / "fleet.py").read_text("utf-8")
