"""Looking back: what heads find in the signatures that are stored, and what is to be learned from it."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from motionsig.control import page_heads
from motionsig.control.asking import GONE, HEAD, NOTHING, REQUEST, AskError
from motionsig.heads.card import HeadCard
from motionsig.heads.judging import in_order

if TYPE_CHECKING:
    from motionsig.control.room import Control

_MOST_SPAN_MS = 32 * 86_400_000
