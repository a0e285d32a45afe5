"""What the doctor says of Python, numpy, the inference runtime and libraries, with runtimes that fail in every way."""

import sys
import textwrap
from dataclasses import replace

import pytest
from doctors_trees import PI, check_lines, grow

from motionsig.cli.doctor import software
from motionsig.cli.doctor.findings import Mark
from motionsig.hints import install_hint

INTERPRETER = software.Interpreter("aarch64", 64, "3.11.2")


@pytest.mark.parametrize(
    ("interpreter", "mark", "found"),
    [
        (replace(INTERPRETER, bits=32), Mark.NOTE, "a 64-bit kernel under 32-bit programs, which take armv7l wheels"),
        (replace(INTERPRETER, machine="armv7l", bits=32), Mark.OK, "armv7l, 32 bits"),
    ],
)
def test_32_bit_programs(tmp_path, interpreter, mark, found):
    finding = software.python(grow(tmp_path, PI), interpreter)
    check_lines([finding])
    assert finding.mark is mark and found in finding.found
    assert mark is Mark.OK or "Raspberry Pi OS (64-bit)" in finding.advice


def test_numpy_of_another_age():
    assert software.numpy_version().mark is Mark.OK
    assert software.numpy_version("1.24.2").mark is Mark.OK
    assert software.numpy_version("1.23.5").mark is Mark.WRONG


def fake(root, **modules):
    """Return a search path on which these modules come first."""
    for name, code in modules.items():
        package = root / name
        package.mkdir()
        (package / "__init__.py").write_text("__version__ = '2.14.0'\n")
        (package / "interpreter.py").write_text(textwrap.dedent(code))
    return [str(root), *sys.path]


ABSENT = "raise ImportError('not here')"
ZEROS = """
    import numpy as np
    from motionsig.encoders import find_model

    load_delegate = None

    class Interpreter:
        def __init__(self, **options):
            self.card = find_model()
        def allocate_tensors(self):
            print("INFO: loaded", end="")
        def tensor(self, shape, scale):
            return [{"index": 0, "dtype": np.int8, "shape": np.array(shape), "quantization": scale}]
        def get_input_details(self):
            group = self.card.input.groups[0]
            return self.tensor([1, 1, self.card.length, self.card.input.dim], (group.scale, group.zero_point))
        def get_output_details(self):
            group = self.card.motion.groups[0]
            return self.tensor([1, self.card.motion_dim], (group.scale, group.zero_point))
        def set_tensor(self, index, data):
            pass
        def invoke(self):
            pass
        def get_tensor(self, index):
            return np.zeros((1, self.card.motion_dim), np.int8)
"""


# The last wheels of tflite-runtime are for Python 3.11.
OF_32_BITS = "'tflite-runtime>=" if sys.version_info < (3, 12) else "--device reference"


@pytest.mark.parametrize(
    ("litert", "interpreter", "mark", "found", "advice"),
    [
        (ABSENT, INTERPRETER, Mark.WRONG, "no inference runtime", "pip install 'ai-edge-litert>="),
        (ABSENT, replace(INTERPRETER, bits=32), Mark.WRONG, "no inference runtime", OF_32_BITS),
        (ABSENT, replace(INTERPRETER, machine="armv6l"), Mark.NOTE, "no inference runtime", "--device reference"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            INTERPRETER,
            Mark.WRONG,
            "the inference runtime died of signal 11",
            "pip install --force-reinstall --no-deps 'ai-edge-litert>=",
        ),
        (
            "import os; os._exit(3)",
            replace(INTERPRETER, machine="riscv64"),
            Mark.WRONG,
            "the inference runtime failed",
            "--device reference",
        ),
        ("raise OSError('wrong ELF class')", INTERPRETER, Mark.WRONG, "wrong ELF class", "--device reference"),
        ("1 / 0", INTERPRETER, Mark.WRONG, "failed: ZeroDivisionError", "--device reference"),
        ("import time; time.sleep(60)", INTERPRETER, Mark.WRONG, "did not finish within 2 s", "--device reference"),
        (ZEROS, INTERPRETER, Mark.WRONG, "are allowed: not to be trusted", "--device reference"),
    ],
    ids=["none", "none, 32 bits", "none to be had", "segfault", "exit", "library", "bug", "hangs", "wrong numbers"],
)
def test_a_runtime_that_is_not_well(tmp_path, litert, interpreter, mark, found, advice):
    path = fake(tmp_path, ai_edge_litert=litert, tflite_runtime=ABSENT)
    finding = software.runtime(interpreter, path, deadline_s=2 if "sleep" in litert else software.DEADLINE_S)
    check_lines([finding])
    assert finding.mark is mark and found in finding.found and advice in finding.advice


def test_the_runtime_here_runs_the_shipped_model():
    finding = software.runtime(software.this_interpreter(), sys.path)
    assert finding.mark is not Mark.WRONG and "runs the shipped model" in finding.found


def test_litert_without_its_usual_kernels(tmp_path):
    real = pytest.importorskip("ai_edge_litert").__path__[0]
    built_in_alone = f"""
        import functools, importlib.util, sys

        sys.modules["ai_edge_litert"].__path__.append({real!r})
        spec = importlib.util.spec_from_file_location("ai_edge_litert.real", {real!r} + "/interpreter.py")
        real = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(real)
        load_delegate, kind = real.load_delegate, real.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        Interpreter = functools.partial(real.Interpreter, experimental_op_resolver_type=kind)
    """
    finding = software.runtime(software.this_interpreter(), fake(tmp_path, ai_edge_litert=built_in_alone))
    assert finding.mark is Mark.NOTE and "built-in kernels instead of XNNPACK" in finding.found
    assert "/proc/cpuinfo" in finding.advice


def test_the_old_runtime_where_the_new_one_has_a_wheel(tmp_path):
    card_codes = ZEROS.replace(
        "return np.zeros((1, self.card.motion_dim), np.int8)",
        """
            self.row = (getattr(self, "row", -1) + 1) % len(self.card.golden().windows)
            return np.load(self.card.path / "golden.npz")["codes"][self.row : self.row + 1, : self.card.motion_dim]
        """.strip(),
    )
    # An old numpy by name: the encoder refuses this runtime beside a newer one.
    old = "import numpy; numpy.__version__ = '1.26.4'\n" + textwrap.dedent(card_codes)
    path = fake(tmp_path, ai_edge_litert=ABSENT, tflite_runtime=old)
    finding = software.runtime(INTERPRETER, path)
    assert (
        finding.mark is Mark.NOTE
        and "LiteRT is faster" in finding.found
        and finding.advice == install_hint("ai-edge-litert")
    )
    assert software.runtime(replace(INTERPRETER, bits=32), path).mark is Mark.OK


def test_libraries(tmp_path):
    here = software.libraries(sys.path)
    absent = software.libraries([str(tmp_path)])
    check_lines([*here, *absent])
    assert any(finding.found.startswith("paho-mqtt ") and finding.mark is Mark.OK for finding in here)
    assert [finding.mark for finding in absent] == [Mark.NOTE, Mark.NOTE]
    assert [finding.advice for finding in absent] == [install_hint("smbus2"), install_hint("paho-mqtt")]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\0", b"Name: smbus2\n"])
def test_half_a_package_is_of_unknown_version(tmp_path, content):
    (tmp_path / "smbus2-0.6.1.dist-info").mkdir()
    if content is not None:
        (tmp_path / "smbus2-0.6.1.dist-info/METADATA").write_bytes(content)
    assert software.libraries([str(tmp_path)])[0].found == "smbus2 of unknown version for sensors on I2C"
