"""The page of the recipes' figures, in Markdown, from what was measured."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Counts = Mapping[str, Any]

SETS = {
    "android_digits": "ten digits drawn in the air with a phone, one person (the encoder was trained on them)",
    "utd_mhad": "21 actions of the arm, sensor on the wrist, 8 people (not trained on)",
    "cg4002_laser5": "three actions with a glove, several people (not trained on; axes in doubt)",
}
HOW = {"alone": "no", "apart": "yes"}
MACHINES = {
    "nicla_transport": "a board in a lift, on a ship, in a vehicle",
    "boreal": "a wheeled robot on five kinds of ground",
    "quadrotor": "a drone in flight, four sensors",
    "car_road": "a phone in a car that drives",
    "st_mlc_6axis": "a vehicle that drives",
}
OTHER_LIFE = {
    "hapt": "30 people's waists",
    "umafall_wrist": "wrists, umafall",
    "weda_fall": "wrists, weda_fall",
}


def page(figures: Counts) -> str:
    """Return the page; what was not measured is left out of its tables."""
    template = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
    appliance, gestures = figures["appliance"], figures["gestures"]
    washing, walking, unlike = appliance["washing"], figures["walking"], figures["unlike"]
    return string.Template(template).substitute(
        pauses=", ".join(f"{seconds / 60:.1f} min" for seconds in washing["longest_pause_s"]),
        programmes=washing["programmes"],
        washing=_table(
            ("`--least-s`", "`--hold-s`", "told to be done once, at the end", "told to be done too early, in all"),
            (
                (row["least_s"], f"{row['hold_s']} s", f"{row['right']} of {washing['programmes']}", row["too_early"])
                for row in washing["rows"]
            ),
        ),
        machines=_table(
            ("machine", "hours", "windows at rest", "longest rest"),
            (
                (f"{MACHINES[name]} ({name})" if key == "running" else f"the board of {name}, off", row["hours"],
                 f"{100 * row['at_rest']:.1f} %", f"{row['longest_rest_s']:g} s")
                for name, both in appliance["machines"].items() for key, row in both.items()
            ),
        ),
        gestures=_table(
            ("gestures", "with `--not`", "performances asked", "right", "another one, too or instead", "missed",
             "the same person's other gestures taken for one of the three"),
            (
                (SETS[name], HOW[how], f"{row['asked']:,}", _of(row["right"], row["asked"]),
                 _of(row["wrong"], row["asked"]), _of(row["missed"], row["asked"]),
                 _of(row["taken_for_one"], row["others"]) if row["others"] else "none asked")
                for name, both in gestures.items() for how, row in both.items()
            ),
        ),
        life=_table(
            ("gestures", "other life", "hours x heads", "events", "an hour and head"),
            (
                (name, OTHER_LIFE[life], f"{row['head_hours']:,}", row["events"],
                 f"{row['events'] / row['head_hours']:.2f}")
                for name, both in gestures.items() for life, row in both["alone"]["life"].items()
            ),
        ),
        door=_table(
            ("with `--not`", "asked", "right", "wrong", "missed", "seconds in which nobody moves it", "false"),
            (
                (HOW[how], row["asked"], row["right"], row["wrong"], row["missed"], row["still_s"], row["false"])
                for how, row in figures["door"].items()
            ),
        ),
        walking=_table(
            ("what was done", "minutes", "of these told as walking", "share"),
            (
                (name, pair[0], pair[1], f"{100 * pair[1] / pair[0]:.0f} %")
                for name, pair in walking["minutes"].items()
            ),
        ),
        people=walking["people"],
        least=walking["told_of_walked"][0],
        median=walking["told_of_walked"][1],
        most=walking["told_of_walked"][2],
        unlike=_table(
            ("normal life", "`--most-an-hour`", "asked: never in normal life", "told", "hours that are as usual",
             "told there", "an hour"),
            (
                (WHOSE[whose], most, row["asked"], _of(row["found"], row["asked"]), row["hours"], row["false"],
                 f"{row['false'] / row['hours']:.1f}")
                for whose, rows in unlike.items() for most, row in rows.items()
            ),
        ),
    )  # fmt: skip


WHOSE = {"own": "one's own (dsads)", "others": "other people's (motionsense)"}


def _of(part: int, whole: int) -> str:
    """Return a count and its share."""
    return f"{part:,} ({100 * part / whole:.0f} %)"


def _table(heads: Sequence[str], rows: Any) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
