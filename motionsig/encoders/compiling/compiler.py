"""Run edgetpu_compiler on a model, read its log, and check what it made against the model it was made from.

It works in a folder of its own with a deadline, and nothing leaves that folder before it has passed. The forms of its
log, from 2.0 to 16.0, are those in the issues of google-coral/edgetpu; none was seen here.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from motionsig.encoders.compiling.program import Program, read_program
from motionsig.encoders.tflite import Tensor, printable, read_graph, read_model_file
from motionsig.errors import EncoderError, InputError, MissingExtraError, ModelError
from motionsig.escaping import own_logger

logger = own_logger(__name__)

COMPILER = "edgetpu_compiler"

DEADLINE_S = 600.0
"""The compiler's own timer stops it after 180 s from 16.0 on; older ones have run for hours (issues 270, 315)."""

_MAX_LOG_BYTES = 1 << 20

_NUMBERS: Mapping[str, str] = {
    "on_chip_bytes": r"On-chip memory used for caching model parameters: *(\S+)",
    "on_chip_left_bytes": r"On-chip memory (?:remaining|available) for caching model parameters: *(\S+)",
    "streamed_bytes": r"Off-chip memory used for streaming uncached model parameters: *(\S+)",
    "subgraphs": r"Number of Edge TPU subgraphs: *(\d+)",
    "operators": r"Total number of operations: *(\d+)",
    "on_tpu": r"Number of operations that will run on Edge TPU: *(\d+)",
    "on_cpu": r"Number of operations that will run on CPU: *(\d+)",
}

_ROW = re.compile(r"^([A-Za-z0-9_]+) +(\d+) +(\S.*?) *$", re.MULTILINE)
_MAPPED = "Mapped to Edge TPU"

_FAILURES: tuple[tuple[str, str], ...] = (
    (
        r"Didn't find op for builtin opcode '(\w+)' version '(\d+)'",
        r"it knows no \1 of version \2; convert with an older TensorFlow (2.8 or before)",
    ),
    (r"Op builtin_code out of range: (\d+)", r"it knows no operator number \1; convert with an older TensorFlow"),
    (r"Encountered unresolved custom op: (\S+?)\.?\s", r"it knows no custom operator \1; replace it"),
    (r"Model not quantized", "the model is not quantised; convert it to int8 with example data"),
    (r"dynamic-sized tensors", "a shape may change; fix the input's shape, batch included, before converting"),
    (r"large activation tensors", "an activation is too large for the chip; make the input or the layers smaller"),
    (r"Compilation timeout", "it ran out of its time, mostly because of large activations; make the layers smaller"),
    (r"terminating with uncaught exception of type ([^\n]+)", r"it crashed (\1); change the model a little"),
    (r"Internal compiler error", "it crashed; run it again, and if that does not help change the model a little"),
    (r"Model could not be parsed", "it cannot read the model; motionsig compile --check may say why"),
    (r"Invalid model", "it takes the file for no model; motionsig compile --check may say why"),
    (r"Compilation failed: ([^\n]+)", r"\1"),
    (r"Compilation failed", "it gives no reason; recurrent layers do that, and motionsig compile --check may say more"),
)
"""What the log says when it failed, from the most specific form to the least."""


@dataclass(frozen=True)
class Log:
    """What the compiler says, None for what it does not. table: operators, how many, where they run or why not."""

    version: str | None
    succeeded: bool
    on_chip_bytes: int | None
    on_chip_left_bytes: int | None
    streamed_bytes: int | None
    subgraphs: int | None
    operators: int | None
    on_tpu: int | None
    on_cpu: int | None
    table: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, eq=False)
class Compilation:
    """A compiled model that passed, with what is known of it. program: None where it could not be read."""

    content: bytes
    log: Log
    program: Program | None

    @property
    def min_runtime(self) -> int | None:
        """The oldest Edge TPU runtime that takes it."""
        return self.program.min_runtime if self.program else None


def find_compiler(path: Path | None = None) -> Path:
    """Return the compiler at `path`, or the one in PATH. Raises InputError, or MissingExtraError for none in PATH."""
    if path is not None:
        if not path.is_file() or not os.access(path, os.X_OK):
            raise InputError(f"--compiler: expected a program, got {str(path)!r}")
        return path.absolute()
    found = shutil.which(COMPILER)
    if found is None:
        raise MissingExtraError(
            f"expected {COMPILER} in PATH, got none. It is Google's, closed, and for x86-64 Debian or Ubuntu: add the "
            "apt repository https://packages.cloud.google.com/apt coral-edgetpu-stable main, with its key "
            "https://packages.cloud.google.com/apt/doc/apt-key.gpg, and install edgetpu-compiler. With Docker on any "
            "x86-64 machine, scripts/compile_edgetpu MODEL OUT of motionsig's repository does that in a container and "
            "leaves nothing else behind; .github/workflows/edgetpu.yml does it on GitHub."
        )
    return Path(found).absolute()  # it runs in another folder, and PATH may hold relative ones


def compile_model(
    twin: bytes,
    compiler: Path,
    *,
    min_runtime: int | None = None,
    allow_cpu: bool = False,
    deadline_s: float = DEADLINE_S,
) -> Compilation:
    """Return `twin` compiled for the Edge TPU.

    min_runtime: the oldest Edge TPU runtime it has to run on; the compiler's own without. allow_cpu: take a result of
    which some operators stay on the CPU, too.

    Raises ModelError for a model that the compiler refuses, or of which it makes something else; EncoderError for a
    compiler that does not start, end or say what it did, or has no free space to work.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="motionsig-compile-") as name:
            log, content = _compiled(twin, compiler, Path(name), min_runtime, deadline_s)
    except OSError as error:
        raise EncoderError(
            f"{tempfile.gettempdir()}: expected free space for the compiler's work, got: {error.strerror}; TMPDIR "
            "names another folder"
        ) from error
    if log.on_cpu and not allow_cpu:
        left = [f"{count} x {name} ({status})" for name, count, status in log.table if status != _MAPPED]
        raise ModelError(
            f"expected every operator on the Edge TPU, got {log.on_cpu} on the CPU{': ' * bool(left)}"
            f"{', '.join(left[:8])}; motionsig compile --check may say why, and --allow-cpu takes it as it is"
        )
    program = check_twin(twin, content, allow_cpu=allow_cpu)
    if min_runtime is not None and (program is None or program.min_runtime > min_runtime):
        needs = f"one that needs {program.min_runtime}" if program else "one whose operator does not say what it needs"
        raise ModelError(f"expected a model for runtime {min_runtime}, got {needs}")
    return Compilation(content, log, program)


def _compiled(
    twin: bytes, compiler: Path, folder: Path, min_runtime: int | None, deadline_s: float
) -> tuple[Log, bytes]:
    """Run the compiler in a folder; return its log and what it made."""
    # Own names: a user's may contain what the compiler, or a script that starts it, does not expect.
    (folder / "model.tflite").write_bytes(twin)
    wanted = [] if min_runtime is None else ["-m", str(min_runtime)]
    command = [str(compiler), "-s", "-o", str(folder), *wanted, str(folder / "model.tflite")]
    text, code = _run(command, folder, deadline_s)
    made = folder / "model_edgetpu.tflite"
    own_log = made.with_suffix(".log")
    if own_log.is_file() and "Status" not in text:
        text += _text(read_model_file(own_log)[-_MAX_LOG_BYTES:])
    logger.info("%s", text.strip())
    log = read_log(text)
    if code or not log.succeeded:
        raise _failure(text, code)
    try:
        return log, read_model_file(made)
    except OSError as error:
        raise EncoderError(f"{compiler}: expected {made.name}, as its log says, got: {error.strerror}") from error


def read_log(text: str) -> Log:
    """Return what the compiler wrote; of anything else, that it did not succeed."""
    version = re.search(r"Edge TPU Compiler version (\S+)", text)
    found = {name: re.search(pattern, text) for name, pattern in _NUMBERS.items()}
    numbers = {name: _amount(match[1]) if match else None for name, match in found.items()}
    rows = _ROW.findall(text.partition("Status\n")[2])
    table = tuple((name, int(count), status) for name, count, status in rows if len(count) < 10)
    if table:
        # Where the two disagree, the worse is taken.
        on_cpu = sum(count for _, count, status in table if status != _MAPPED)
        numbers["on_cpu"] = max(on_cpu, numbers["on_cpu"] or 0)
    succeeded = re.search(r"Models? compiled successfully", text) is not None and "Compilation failed" not in text
    return Log(version[1] if version else None, succeeded, **numbers, table=table)


def check_twin(twin: bytes, compiled: bytes, *, allow_cpu: bool = False) -> Program | None:
    """Check a compiled model against the one it was made from, and return what its operator holds.

    Raises ModelError where an input or output has become another, or operators beside the Edge TPU's are left.
    """
    before, after = read_graph(twin, "the model to compile"), read_graph(compiled, "the compiled model")
    names, ours = [operator.name for operator in after.operators], after.edgetpu_operators
    if not before.subgraphs:
        raise ModelError("the model to compile: expected a network, got none")
    if not ours or len(after.subgraphs) != 1 or (not allow_cpu and len(names) != 1):
        found = f"{', '.join(names[:8]) or 'none'} in {len(after.subgraphs)} subgraphs"
        raise ModelError(f"the compiled model: expected one operator, the Edge TPU's, got {found}")
    for what in ("inputs", "outputs"):
        expected, got = (
            [_spec(graph.subgraphs[0].tensors[index]) for index in getattr(graph.subgraphs[0], what)]
            for graph in (before, after)
        )
        if len(expected) != len(got):
            raise ModelError(f"the compiled model: expected {len(expected)} {what}, got {len(got)}")
        for number, pair in enumerate(zip(expected, got, strict=True)):
            if pair[0] != pair[1]:
                one, other = (f"{kind} with scale {scale[:4]} and zero point {zero[:4]}" for kind, scale, zero in pair)
                place = f"the compiled model: {what[:-1]} {number}"
                raise ModelError(f"{place}: expected {one} as in the model it was made from, got {other}")
    return read_program(ours[0]) if len(ours) == 1 else None


def _spec(tensor: Tensor) -> tuple[str, list[float], list[int]]:
    return f"{tensor.kind} {list(tensor.shape)}", tensor.scale.tolist(), tensor.zero_point.tolist()


def _failure(text: str, code: int) -> ModelError | EncoderError:
    for pattern, meaning in _FAILURES:
        if match := re.search(pattern, text):
            return ModelError(f"{COMPILER} refused the model: {match.expand(meaning)}")
    # A shell in between adds 128 to a signal's number.
    names = {number.value: number.name for number in signal.Signals}
    if died := names.get(-code if code < 0 else code - 128):
        why = ": this processor is too old for it" if died == "SIGILL" else ""
        return EncoderError(f"{COMPILER}: expected it to end by itself, got {died}{why}")
    said = " ".join(text.split())[-200:] or "nothing"
    return EncoderError(f"{COMPILER}: expected a log of success or failure, got exit code {code} and: {said}")


def _amount(text: str) -> int | None:
    """Return a count, or bytes of a size such as 1.92MiB."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)(?:([KMG]i)?B)?", text)
    return round(float(match[1]) * 1024 ** ("", "Ki", "Mi", "Gi").index(match[2] or "")) if match else None


def _text(log: bytes) -> str:
    return "".join(f"{printable(line)}\n" for line in log.decode("utf-8", "replace").splitlines())


def _run(command: list[str], folder: Path, deadline_s: float) -> tuple[str, int]:
    """Return what a command wrote and its exit code. Raises EncoderError if it does not start, or end in time."""
    try:
        # A session of its own, because the compiler has children, which would outlive it.
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise EncoderError(f"{command[0]}: expected a program for this machine, got: {error.strerror}") from error
    with process:
        try:
            return _listen(process, deadline_s), process.wait()
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise EncoderError(
                f"{command[0]}: expected it to end within {deadline_s:g} s, got none and stopped it; large activations "
                "take it long"
            ) from error
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and so have its children
                os.killpg(process.pid, signal.SIGKILL)


def _listen(process: subprocess.Popen[bytes], deadline_s: float) -> str:
    """Return what a process writes until it ends, the last of it; a child left behind that holds it open may stay."""
    assert process.stdout is not None
    end, log = time.monotonic() + deadline_s, b""
    while True:
        left_s = end - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        ended = process.poll() is not None
        if select.select([process.stdout], [], [], 0 if ended else min(left_s, 0.1))[0]:
            more = os.read(process.stdout.fileno(), 1 << 16)
            log = (log + more)[-_MAX_LOG_BYTES:]
            if not more:
                process.wait(left_s)
                return _text(log)
        elif ended:
            return _text(log)
