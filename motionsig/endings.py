"""What the ending of a file's name says of the file: nothing is written under an ending that promises another format.

Whatever reads here looks at the content, so such a file would open; other programs, and people, go by the name.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import PurePath

from motionsig.errors import InputError

_TAKEN = frozenset(
    """
    .csv .tsv .txt .json .jsonl .ndjson .xml .xlsx .npz .npy .mat .pkl .parquet .arrow .feather .h5 .hdf5
    .mcap .bag .db .db3 .sqlite .sqlite3 .ulg .cwa .gt3x .msig .tflite .zip .tar .gz .bz2 .xz .zst .png .svg .pdf .jpg
    """.split()  # noqa: SIM905 - one name a line is thirty lines
)
"""Endings that each promise one format, in lower case."""


def require_ending(path: PurePath, own: Container[str], *, where: str, instead: str) -> None:
    """Raise InputError for a name whose ending promises a format that is not among `own`.

    where: what begins the message, such as "--out: ". instead: what to do, the end of the message.
    """
    ending = path.suffix.lower()
    if ending in _TAKEN and ending not in own:
        raise InputError(f"{where}expected a name that does not end as another format, got {str(path)!r}; {instead}")
