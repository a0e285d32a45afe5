"""Every block of Python in a document runs as it stands, in a folder that has the logs it names and nothing else.

A block that imports something begins anew; one that does not goes on with the names of the block before it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from documents import DOCUMENTS, Block, Document, read_document

import motionsig

DEADLINE_S = 120
RATE_HZ = 100

SAYS = {
    "print(motion @ motion[0])": r"\[\s*(1\.|0\.9999).*\]\n",
    "print(signatures.to_pandas().shape)": r"\(22, 66\)\n",
    "for block in sensor:": r"\d+ False (19|20|21|22)\d\.\d+ SensorCounts\(.*\)\n",
    "print(motionsig.run(sensor, encoder, sink))": r".*windows=[1-9].*\n",
    'motionsig.open_encoder("motion64", device="auto")': r".* \(22, 48\) \(22, 16\)\n",
}
"""What a block prints that holds one of these texts; each text is in some document."""

_RUN = """
import sys
names = {"__name__": "__main__"}
for text in sys.argv[1:]:
    exec(compile(text, "block", "exec"), names)
"""


def chains_of(document: Document) -> list[list[Block]]:
    """Return the blocks of Python that run together."""
    chains: list[list[Block]] = []
    for block in document.blocks:
        if block.language == "python":
            if not chains or re.search(r"^(import|from) ", block.content, re.M):
                chains.append([])
            chains[-1].append(block)
    return chains


def make_logs(content: str, folder: Path, motion: Callable) -> None:
    """Make each log that the blocks open."""
    for name in re.findall(r"""["']([\w-]+\.(?:csv|msig))["']""", content):
        data = motion(30, RATE_HZ)
        time_ns = np.arange(len(data)) * (1_000_000_000 // RATE_HZ)
        if name.endswith(".csv"):
            header = "time,acc_x[m/s^2],acc_y[m/s^2],acc_z[m/s^2],gyr_x[rad/s],gyr_y[rad/s],gyr_z[rad/s]"
            rows = np.column_stack([time_ns / 1e9, data])
            np.savetxt(folder / name, rows, delimiter=",", header=header, comments="")
        elif not (folder / name).exists():
            with motionsig.Recorder(folder / name, rate_hz=RATE_HZ, stream_id=1) as log:
                log.write(motionsig.SampleBlock(time_ns, data))


def stored(content: str, folder: Path) -> int:
    """Return how many signatures are in the stores that the blocks name."""
    count = 0
    for name in set(re.findall(r"store:([\w.-]+)", content)):
        with suppress(motionsig.MotionsigError):
            count += len(motionsig.read_signatures(f"store:{folder / name}"))
    return count


def run_blocks(blocks: list[Block], folder: Path) -> str:
    """Run blocks in one process; return what they print."""
    contents = [block.content for block in blocks]
    env = dict(os.environ, MPLBACKEND="Agg", OPENBLAS_NUM_THREADS="1")
    command = [sys.executable, "-W", "error", "-c", _RUN, *contents]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=DEADLINE_S)
    # Which kernels LiteRT takes is its own news, and no error.
    errors = re.sub(r"^INFO: .*\n", "", done.stderr, flags=re.M)
    assert (done.returncode, errors) == (0, "")
    return done.stdout


CHAINS = [
    pytest.param(chain, id=f"{path}:{chain[0].line}") for path in DOCUMENTS for chain in chains_of(DOCUMENTS[path])
]


def test_a_block_without_an_import_goes_on_with_the_one_before():
    text = "".join(f"```python\n{code}\n```\n" for code in ("import os", "x = 1", "from os import path", "y = 2"))
    chains = chains_of(read_document("made.md", f"{text}```js\nlet z\n```\n"))
    assert [[block.content for block in chain] for chain in chains] == [
        ["import os\n", "x = 1\n"], ["from os import path\n", "y = 2\n"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "x = undefined\n", "import motionsig\nmotionsig.extrct\n", "import sys; print('x', file=sys.stderr)\n",
        "import warnings; warnings.warn('old', PendingDeprecationWarning)\n", "open('none.csv')\n",
    ],
)  # fmt: skip
def test_a_block_that_does_not_run_fails(content, tmp_path):
    with pytest.raises(AssertionError, match=r"Traceback|x"):
        run_blocks([Block("python", content, 1)], tmp_path)


def test_blocks_share_names_and_find_their_logs(tmp_path, motion):
    first = "import motionsig\nlog = motionsig.open_recording('walk.msig')\n"
    blocks = [Block("python", first, 1), Block("python", "print(sum(map(len, log)), log.rate_hz)\n", 5)]
    make_logs(first, tmp_path, motion)
    assert run_blocks(blocks, tmp_path) == "3000 100.0\n"


@pytest.mark.parametrize("chain", CHAINS)
def test_a_block_runs_as_it_stands(chain, tmp_path, motion):
    content = "\n".join(block.content for block in chain)
    make_logs(content, tmp_path, motion)
    printed = run_blocks(chain, tmp_path)
    for text, pattern in SAYS.items():
        if text in content:
            assert re.fullmatch(pattern, printed, re.S), printed
    if 'open_sink("store:' in content:
        count = stored(content, tmp_path)
        assert count > 0
        if "open_recording" in content:
            # A recording that is replayed again is stored once.
            run_blocks(chain, tmp_path)
            assert stored(content, tmp_path) == count


@pytest.mark.parametrize("text", SAYS)
def test_what_a_block_is_known_by_is_in_some_document(text):
    assert any(text in block.content for document in DOCUMENTS.values() for block in document.blocks)
