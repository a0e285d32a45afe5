"""Codes of an encoder to fewer bytes and back, without loss, by tables that were trained for that encoder.

`pack` and `unpack` for one message, `unpack_all` for many at once. The README here describes every step.
"""

from motionsig.packing.coding import MAX_ROWS, pack, unpack, unpack_all
from motionsig.packing.finding import find_tables
from motionsig.packing.tables import FILE_NAME, Tables, read_tables

__all__ = ["FILE_NAME", "MAX_ROWS", "Tables", "find_tables", "pack", "read_tables", "unpack", "unpack_all"]
