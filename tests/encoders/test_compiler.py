"""edgetpu_compiler is not to be had here: a script that writes its logs stands in for it. See compiler_logs.py."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from compiler_logs import BAD_FORMS, GOOD, GOOD_FORMS, ON_CPU, ON_CPU_BY_TABLE, STREAMED, stand_in
from hypothesis import given
from hypothesis import strategies as st
from made import wait_until
from made_models import FAKE, compiled_from, program, sensor_network
from processes import STALL_S, is_running

from motionsig.encoders.compiling.compiler import COMPILER, check_twin, compile_model, find_compiler, read_log
from motionsig.errors import EncoderError, InputError, MissingExtraError, ModelError

NETWORK = sensor_network()
TWIN = NETWORK.file()
COMPILED = compiled_from(NETWORK)


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Make a stand-in in a folder with a space; afterwards nothing it worked on is left."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work))
    yield lambda *given, **more: stand_in(tmp_path / "a compiler" / COMPILER, *given, **more)
    assert list(work.iterdir()) == []


def arguments(compiler):
    return (compiler.parent / "arguments").read_text().split()


@pytest.mark.parametrize("form", GOOD_FORMS)
def test_every_form_of_success_is_read(form):
    log = read_log(GOOD_FORMS[form])
    assert log.succeeded and log.version.startswith(form[:3])
    assert (log.on_chip_bytes, log.streamed_bytes) == (321_024, 0)
    assert log.on_chip_left_bytes == round(7.33 * 2**20)
    assert (log.subgraphs, log.operators, log.on_cpu or 0) == (1, 11, 0)
    assert sum(count for _, count, _ in log.table) == (0 if "without" in form else 11)


@pytest.mark.parametrize("text", [ON_CPU, ON_CPU_BY_TABLE])
def test_operators_on_the_cpu_are_counted(text):
    log = read_log(text)
    assert log.succeeded and log.on_cpu == 2
    assert log.table[-1] == ("FULLY_CONNECTED", 2, "More than one subgraph is not supported")


@pytest.mark.parametrize("text", [ON_CPU.replace("on CPU: 2", "on CPU: 0"), ON_CPU.replace("on CPU: 2", "on CPU: 3")])
def test_where_count_and_table_disagree_the_worse_is_taken(text):
    assert read_log(text).on_cpu == (2 if "on CPU: 0" in text else 3)


@pytest.mark.parametrize("form", BAD_FORMS)
def test_no_form_of_failure_passes_for_success(form):
    assert not read_log(BAD_FORMS[form][0]).succeeded


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    log = read_log(f"Operator Count Status\n{text}\nTotal number of operations: {text}")
    assert not log.succeeded or "compiled successfully" in text


def test_a_compiled_model_comes_with_what_is_known_of_it(compiler):
    program = compiler(GOOD, COMPILED)
    made = compile_model(TWIN, program)
    assert made.content == COMPILED
    assert (made.min_runtime, made.program.cached_bytes, made.log.on_chip_bytes) == (14, 1000, 321_024)
    assert "-m" not in arguments(program) and "-s" in arguments(program)
    compile_model(TWIN, program, min_runtime=14)
    assert arguments(program)[arguments(program).index("-m") + 1] == "14"


def test_what_the_operator_does_not_say_is_not_known(compiler):
    program = compiler(GOOD, compiled_from(NETWORK, FAKE.encode()))
    made = compile_model(TWIN, program)
    assert made.min_runtime is None and made.program is None
    # Which is not good enough for somebody who needs a certain one.
    with pytest.raises(ModelError, match="expected a model for runtime 14, got one whose operator does not say"):
        compile_model(TWIN, program, min_runtime=14)


def test_a_table_in_the_log_file_alone_is_read(compiler):
    program = compiler(GOOD_FORMS["16.0 without -s"], COMPILED)
    (program.parent / "table").write_text(ON_CPU)
    program.write_text(program.read_text().replace("cp made", 'cp table "$2/model_edgetpu.log"; cp made'))
    with pytest.raises(ModelError, match="got 2 on the CPU"):
        compile_model(TWIN, program)


@pytest.mark.parametrize("text", [GOOD, ON_CPU_BY_TABLE])
def test_lines_may_end_as_on_windows(compiler, text):
    program = compiler(text.replace("\n", "\r\n"), COMPILED)
    if text is GOOD:
        log = compile_model(TWIN, program).log
        assert log.table and (log.version, log.on_cpu, log.streamed_bytes) == ("16.0.384591198", 0, 0)
    else:
        with pytest.raises(ModelError, match="got 2 on the CPU: 2 x FULLY_CONNECTED"):
            compile_model(TWIN, program)


def test_of_a_long_log_the_end_counts(compiler):
    program = compiler("x" * 3_000_000 + "\n" + GOOD, COMPILED)
    assert compile_model(TWIN, program).log.on_chip_bytes == 321_024


def test_the_log_steers_no_terminal(compiler):
    with pytest.raises(ModelError) as refused:
        compile_model(TWIN, compiler("ERROR: Encountered unresolved custom op: \x1b[2Jevil.\n"))
    assert "[2Jevil" in str(refused.value) and str(refused.value).isprintable()


@pytest.mark.parametrize("text", [ON_CPU, ON_CPU_BY_TABLE])
def test_operators_left_on_the_cpu_are_refused_unless_allowed(compiler, text):
    program = compiler(text, compiled_from(NETWORK, on_cpu=True))
    with pytest.raises(ModelError, match=r"got 2 on the CPU: 2 x FULLY_CONNECTED \(More than one subgraph"):
        compile_model(TWIN, program)
    assert compile_model(TWIN, program, allow_cpu=True).log.on_cpu == 2


@pytest.mark.parametrize("form", BAD_FORMS)
@pytest.mark.parametrize("code", [0, 1])
def test_every_form_of_failure_says_what_to_do(compiler, form, code):
    text, what = BAD_FORMS[form]
    with pytest.raises(ModelError, match=what):
        compile_model(TWIN, compiler(text, code=code))


def test_a_failure_that_says_success_is_none(compiler):
    with pytest.raises(EncoderError, match="exit code 3"):
        compile_model(TWIN, compiler(GOOD, COMPILED, code=3))
    with pytest.raises(EncoderError, match=r"expected model_edgetpu.tflite, as its log says, got: No such file"):
        compile_model(TWIN, compiler(GOOD))


@pytest.mark.parametrize(
    ("die", "what"),
    [
        ("kill -ILL $$", "got SIGILL: this processor is too old"),
        ("kill -SEGV $$", "got SIGSEGV$"),
        ("sh -c 'kill -ABRT $$'; exit $?", "got SIGABRT$"),
    ],
)
def test_a_compiler_that_dies_says_of_what(compiler, die, what):
    with pytest.raises(EncoderError, match=what):
        compile_model(TWIN, compiler("", before=die))


@pytest.mark.parametrize("put", ["mkfifo", "ln -s /dev/zero", "mkdir"])
def test_what_it_puts_down_must_be_a_file(compiler, put):
    program = compiler(GOOD, COMPILED)
    program.write_text(program.read_text().replace("cp made", put))
    with pytest.raises((ModelError, EncoderError), match=r"model_edgetpu.tflite"):
        compile_model(TWIN, program)


def test_no_room_to_work_is_said(compiler, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(EncoderError, match=r"none: expected free space for the compiler's work, got: No such file"):
        compile_model(TWIN, compiler(GOOD, COMPILED))


@pytest.mark.parametrize("text", ["", "usage: something else", "\x00\xff" * 50, "Model compiled"])
def test_nonsense_is_no_success(compiler, text):
    with pytest.raises(EncoderError, match="expected a log of success or failure, got exit code 0"):
        compile_model(TWIN, compiler(text, COMPILED))


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (TWIN, "expected one operator, the Edge TPU's, got CONV_2D, MEAN, FULLY_CONNECTED"),
        (compiled_from(NETWORK, on_cpu=True), "got edgetpu-custom-op, LOGISTIC"),
        (
            compiled_from(NETWORK, scale=0.25),
            r"output 0: expected int8 \[1, 5\] with scale \[0.5\] and zero point \[3\]",
        ),
        (compiled_from(NETWORK, zero=4), r"got int8 .* zero point \[4\]"),
        (compiled_from(NETWORK, shape=[5]), r"got int8 \[5\]"),
        (compiled_from(NETWORK, kind="UINT8"), r"got uint8 \[1, 5\]"),
        (compiled_from(NETWORK, scale=None), r"got int8 .* scale \[\]"),
        (b"junk", "the compiled model: expected a .tflite file"),
        (COMPILED[:200], "the compiled model: .*(damaged|expected)"),
    ],
)
def test_another_model_than_its_twin_is_refused(compiler, made, what):
    with pytest.raises(ModelError, match=what):
        compile_model(TWIN, compiler(GOOD, made))


def test_a_model_of_which_nothing_is_compiled_is_refused_even_if_a_part_may_stay():
    with pytest.raises(ModelError, match="expected one operator, the Edge TPU's"):
        check_twin(TWIN, TWIN, allow_cpu=True)


def test_a_runtime_newer_than_wanted_is_refused(compiler):
    with pytest.raises(ModelError, match="expected a model for runtime 12, got one that needs 13"):
        compile_model(TWIN, compiler(GOOD, compiled_from(NETWORK, program(13))), min_runtime=12)


def test_streamed_bytes_are_reported(compiler):
    assert compile_model(TWIN, compiler(STREAMED, COMPILED)).log.streamed_bytes == round(126.81 * 1024)


def test_a_compiler_that_does_not_end_is_ended_with_its_children(compiler):
    program = compiler(GOOD, COMPILED, before="sleep 60 & echo $! >child; wait")
    start = time.monotonic()
    with pytest.raises(EncoderError, match=r"expected it to end within 0.5 s"):
        compile_model(TWIN, program, deadline_s=0.5)
    assert time.monotonic() - start < 10 + STALL_S
    child = (program.parent / "child").read_text().strip()
    wait_until(lambda: not is_running(child))


def test_a_child_left_behind_is_not_waited_for(compiler):
    program = compiler(GOOD, COMPILED, before="sleep 60 &")
    start = time.monotonic()
    assert compile_model(TWIN, program).content == COMPILED
    assert time.monotonic() - start < 50


def test_a_compiler_that_writes_without_end_does_not_fill_memory(compiler):
    with pytest.raises(EncoderError, match=r"expected it to end within 0.5 s"):
        compile_model(TWIN, compiler(GOOD, before="yes"), deadline_s=0.5)


def test_a_program_that_cannot_run_here(compiler):
    program = compiler(GOOD)
    program.write_bytes(b"\x7fELF for another machine")
    with pytest.raises(EncoderError, match="expected a program for this machine, got: Exec format error"):
        compile_model(TWIN, program)


def test_the_compiler_is_found_or_it_is_said_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match=r"coral-edgetpu-stable.*scripts/compile_edgetpu.*edgetpu\.yml"):
        find_compiler()
    found = stand_in(tmp_path / COMPILER, GOOD)
    assert find_compiler() == found
    assert find_compiler(found) == found
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="--compiler: expected a program"):
            find_compiler(path)
    found.chmod(0o644)
    with pytest.raises(InputError, match="--compiler: expected a program"):
        find_compiler(found)


def test_a_compiler_is_found_through_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stand_in(tmp_path / "tools" / COMPILER, GOOD, COMPILED)
    monkeypatch.setenv("PATH", f"tools{os.pathsep}{os.environ['PATH']}")
    for path in (None, Path("tools") / COMPILER):
        assert compile_model(TWIN, find_compiler(path)).content == COMPILED


def test_the_stand_in_says_that_it_is_one(tmp_path):
    script = stand_in(tmp_path / COMPILER, GOOD)
    assert "compiles nothing" in script.read_text()
    assert subprocess.run([script], capture_output=True, text=True, check=True).stdout == GOOD
