"""The asks by their names; `live` is the listener's, as it never ends."""

from __future__ import annotations

from collections.abc import Mapping

from motionsig.control import greeting, lessons, looking_back, page_heads
from motionsig.control.asking import Ask, head_name, head_names, milliseconds, one_of, or_null, whole, yes_or_no

_SPAN = {"from_ms": milliseconds, "to_ms": milliseconds}
_RANGE = {"since_ms": milliseconds, "until_ms": milliseconds}
_NUMBER = {"number": whole(1, 10_000)}

_HEAD = {"head": head_name}

ASKS: Mapping[str, Ask] = {
    "hello": Ask(greeting.hello, {}),
    "status": Ask(greeting.status, {}),
    "heads": Ask(page_heads.listed, {}),
    "pause": Ask(page_heads.pause, {**_HEAD, "paused": yes_or_no}, changes=True),
    "rename": Ask(page_heads.rename, {**_HEAD, "name": head_name}, changes=True),
    "remove": Ask(page_heads.remove, _HEAD, changes=True),
    "export": Ask(page_heads.export, _HEAD),
    "import": Ask(page_heads.take, {"zip": page_heads.zip_file}, changes=True),
    "lesson.begin": Ask(
        lessons.begin,
        {"name": head_name, "for": one_of("examples", "counter"), "times": whole(1, 50), "better": yes_or_no},
        changes=True,
    ),
    "lesson.keep": Ask(lessons.keep, _NUMBER, changes=True),
    "lesson.drop": Ask(lessons.drop, _NUMBER, changes=True),
    "lesson.end": Ask(lessons.end, {"save": yes_or_no}, changes=True),
    "lookback": Ask(looking_back.look_back, {**_RANGE, "heads": or_null(head_names)}),
    "alike": Ask(looking_back.alike, {**_SPAN, **_RANGE, "most": whole(1, 200)}),
    "not_this": Ask(looking_back.not_this, {"head": head_name, **_SPAN}, changes=True),
    "this_too": Ask(looking_back.this_too, {"head": head_name, **_SPAN}, changes=True),
}
