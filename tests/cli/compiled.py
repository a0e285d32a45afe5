"""`motionsig compile` with a stand-in for edgetpu_compiler and recorded forms of its log (compiler_logs.py)."""

import contextlib
import tempfile

from compiler_logs import GOOD, stand_in
from made_models import compiled_from, ends_of, program

from motionsig.cli import main
from motionsig.encoders import shipped_models
from motionsig.model_card import MODEL_NAME

COMPILED_NAME = "encoder_int8_edgetpu.tflite"


def compiled_twin(options=None):
    """What stands for the shipped model compiled: its ends, around an operator that does nothing."""
    return compiled_from(ends_of((shipped_models()["motion64"] / MODEL_NAME).read_bytes()), options)


COMPILED, OTHER = compiled_twin(), compiled_twin(program(13))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def compiling(tmp_path, monkeypatch):
    """The command with a stand-in; afterwards nothing is left of what it worked on."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work))

    def run(*arguments, log=GOOD, made=COMPILED):
        compiler = stand_in(tmp_path / "tools" / "edgetpu_compiler", log, made)
        return main(["compile", *map(str, arguments), "--compiler", str(compiler)])

    yield run
    assert list(work.iterdir()) == []
