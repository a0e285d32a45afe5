"""The double of libedgetpu (fake_edgetpu.c) and what it needs: a model that looks compiled, answers and a control file.

    library = build(folder)
    model = fake_model(folder / "model")
    control = Control(folder / "control", write_answers(folder / "answers", load_card(model), windows))
    control.write("err every 100", "slow 300")  # the lines are explained in fake_edgetpu.c

Like the library, the double takes two seconds to open a device on USB; `second_us=QUICK_US` of a Control shortens that.

A process whose environment has `control.environment(library)` from its start finds the double where it would look for
the real library.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from made_models import FAKE, compiled_from, ends_of
from numpy.typing import NDArray

from motionsig.encoders import shipped_models
from motionsig.model_card import CARD_NAME, MODEL_NAME, ModelCard

COMPILED_NAME = "fake_compiled.tflite"
LIBRARY_NAME = "libedgetpu.so.1"
RUNTIME_VERSION = 14
"""LIBRARY_VERSION of fake_edgetpu.c."""


QUICK_US = 2000
"""For `Control.second_us`, where the library's sleeps are not what is tested."""


class Counts(NamedTuple):
    """How often the library was entered by all processes together, and how many calls it answered rightly."""

    creations: int = 0
    preparations: int = 0
    calls: int = 0
    answered: int = 0


@dataclass(frozen=True)
class Control:
    """What the double is told. file: the control file; answers: its table; second_us: of the library's sleeps.

    Both are in every version of the file.
    """

    file: Path
    answers: Path
    second_us: int = 1_000_000

    def write(self, *lines: str) -> None:
        """Tell the double, from its next call on, these lines and no others."""
        fresh = self.file.with_name(f"{self.file.name}.fresh")
        self.file.parent.chmod(self.file.parent.stat().st_mode | 0o011)  # for a process that has given up its user
        fresh.write_text("\n".join((f"answers {self.answers}", f"second {self.second_us}", *lines, "")))
        fresh.replace(self.file)

    def counts(self) -> Counts:
        """Return the counts so far; faults at the Nth call are meant by them."""
        try:
            return Counts(*struct.unpack_from("=4Q", self.file.with_name(f"{self.file.name}.count").read_bytes()))
        except FileNotFoundError:
            return Counts()

    def resets(self) -> tuple[int, ...]:
        """Return how often the port of each device was reset, by all processes together, in the order of listing."""
        return struct.unpack_from("=8Q", self.file.with_name(f"{self.file.name}.count").read_bytes(), 32)

    def environment(self, library: Path) -> dict[str, str]:
        """Return the variables with which a process finds `library`, by its bare name too, and this control."""
        return {"FAKE_EDGETPU": str(self.file), "LD_LIBRARY_PATH": str(library.parent)}


def build(folder: Path, *flags: str) -> Path:
    """Compile the double into `folder`, with -DOLD_ABI or -DNO_PLUGIN if wanted, and return its path."""
    if shutil.which("gcc") is None:
        raise RuntimeError("the double of libedgetpu: expected gcc, got none; on Debian: apt-get install gcc libc6-dev")
    library = folder / LIBRARY_NAME
    source = Path(__file__).with_suffix(".c")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-pthread", "-O1", "-Wall", "-Wextra", *flags, str(source), "-o", str(library)],
        check=True,
    )
    return library


def compiled_like(twin: bytes) -> bytes:
    """Return a model with the twin's input and output around one operator, as the Edge TPU compiler makes it.

    The operator's options are a sentence in place of a program, and no hardware would take them.
    """
    file: bytes = compiled_from(ends_of(twin), FAKE.encode())
    return file


def fake_model(folder: Path, model: str = "motion64") -> Path:
    """Make `folder`, a copy of a shipped model's with a fake compiled file that its card names, and return it."""
    shutil.copytree(shipped_models()[model], folder)
    compiled = compiled_like((folder / MODEL_NAME).read_bytes())
    (folder / COMPILED_NAME).write_bytes(compiled)
    card = json.loads((folder / CARD_NAME).read_text())
    card["files"][COMPILED_NAME] = {"sha256": hashlib.sha256(compiled).hexdigest(), "bytes": len(compiled)}
    card["compiled"] = {"file": COMPILED_NAME, "compiler": "none, it is a fake", "min_runtime": RUNTIME_VERSION}
    (folder / CARD_NAME).write_text(json.dumps(card, indent=1))
    return folder


def input_codes(card: ModelCard, windows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return what an encoder gives its network for windows (k, length, 6): (k, 1, length, channels)."""
    return np.ascontiguousarray(card.input.quantize(card.front_end.apply(windows)[0]))[:, None]


def twin_outputs(card: ModelCard, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return what the runtime makes of input codes (k, 1, length, channels) with the twin, on the CPU: (k, motion)."""
    interpreter = runtime().Interpreter(model_content=card.model_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = np.empty((len(inputs), card.motion_dim), np.int8)
    for row, codes in enumerate(inputs[:, None]):
        interpreter.set_tensor(given["index"], codes)
        interpreter.invoke()
        outputs[row] = interpreter.get_tensor(made["index"])
    return outputs


def write_answers(file: Path, card: ModelCard, windows: NDArray[np.float32]) -> Path:
    """Write the twin's answers to windows (k, length, 6) for the double to give, and return `file`."""
    inputs = input_codes(card, windows)
    rows = np.hstack([inputs.reshape(len(inputs), -1), twin_outputs(card, inputs)])
    file.write_bytes(rows.tobytes())
    return file


def runtime() -> Any:
    """Return the installed runtime's module with Interpreter and load_delegate."""
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        from tflite_runtime import interpreter
    return interpreter
