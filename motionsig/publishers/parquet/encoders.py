"""The encoders of a dataset: which number stands for which spec and hop, and the file that tells strangers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from motionsig.blocks import SignatureSpec
from motionsig.quantization import Group, Quantization


class Made(NamedTuple):
    """How signatures were made."""

    spec: SignatureSpec
    hop_ns: int


def read_encoders(path: Path) -> list[Made]:
    """Return the encoders in the order of their numbers, which count from 0; none where there is no file."""
    import pyarrow.parquet as pq

    if not path.exists():
        return []
    made = []
    for row in pq.ParquetFile(path).read().to_pylist():
        firsts, groups = 0, []
        for size in row["group_sizes"]:
            groups.append(Group(size, row["scale"][firsts], row["zero_point"][firsts]))
            firsts += size
        spec = SignatureSpec(
            bytes.fromhex(row["fingerprint"]), Quantization(tuple(groups)), row["motion_dim"], row["length_ns"]
        )
        made.append(Made(spec, row["hop_ns"]))
    return made


def table_of(encoders: list[Made]) -> Any:
    """Return the table of encoders, one row each.

    scale, zero_point: one for each code; value = (code - zero_point) * scale. A difference of two int8 may need more
    bits, so zero_point has them: engines compute with the wider type.
    """
    import pyarrow as pa

    rows = []
    for number, (spec, hop_ns) in enumerate(encoders):
        groups = spec.quantization.groups
        rows.append(
            {
                "encoder": number,
                "fingerprint": spec.fingerprint.hex(),
                "motion_dim": spec.motion_dim,
                "length_ns": spec.length_ns,
                "hop_ns": hop_ns,
                "scale": [group.scale for group in groups for _ in range(group.size)],
                "zero_point": [group.zero_point for group in groups for _ in range(group.size)],
                "group_sizes": [group.size for group in groups],
            }
        )
    columns = [
        ("encoder", pa.int32()),
        ("fingerprint", pa.string()),
        ("motion_dim", pa.int32()),
        ("length_ns", pa.int64()),
        ("hop_ns", pa.int64()),
        ("scale", pa.list_(pa.float64())),
        ("zero_point", pa.list_(pa.int32())),
        ("group_sizes", pa.list_(pa.int32())),
    ]
    return pa.Table.from_pylist(rows, pa.schema(columns))
