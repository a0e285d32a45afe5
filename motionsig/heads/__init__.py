"""From signatures to events: heads, which judge them.

A head is a folder (`card`), found by its name (`places`), taught from examples (`teaching`) with a bank of other
people's motion (`background`) or from labels (`labelled`), and judged with others in one go (`judging`). Nothing here
reads a sensor, a clock or a sample.
"""

from __future__ import annotations

from motionsig.heads.card import HeadCard, load_head
from motionsig.heads.head import Head, open_head
from motionsig.heads.judging import Judge
from motionsig.heads.places import (
    all_heads,
    find_head,
    heads_folder,
    owned_heads,
    remove_head,
    shipped_heads,
    with_needed,
)

__all__ = [
    "Head", "HeadCard", "Judge",
    "all_heads", "find_head", "heads_folder", "load_head", "open_head", "owned_heads", "remove_head", "shipped_heads",
    "with_needed",
]  # fmt: skip
