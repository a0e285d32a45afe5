"""The tables of a model's README, in Markdown, from the card's figures: a score is [figure, low, high]."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Table = Mapping[str, Any]

ROWS = {
    "signature": "**the signature**",
    "signature_motion": "**its motion part alone**",
    "signature_seed_2": "**the signature**, second seed",
    "signature_motion_seed_2": "**its motion part alone**, second seed",
    "float_twin": "its float twin",
    "float_twin_motion": "its float twin, motion alone",
    "random_weights": "the same network, random weights",
    "random_weights_motion": "the same, motion alone",
    "plain_statistics_216": "plain statistics and spectrum",
    "gravity_statistics_162": "statistics about gravity",
    "minirocket_924": "MiniRocket (aeon)",
    "catch24_144": "catch24 (pycatch22)",
}
OURS = ("signature", "float_twin", "random_weights")
"""How the names of rows begin that are no peers."""

WORTH = {
    "probe": "linear probe",
    "probe_turned": "probe, turned",
    "novelty_mean": "novelty, mean",
    "novelty_worst": "novelty, worst",
    "recognised": "named from a window (lower is better)",
    "recognised_wearing": "named from a wearing (lower is better)",
}
ENROLMENT = {
    f"enrolment_{who}_{shots}": f"{text}, {shots}"
    for who, text in (("worn_again", "worn again"), ("across", "other people"))
    for shots in (1, 3, 5)
} | {"enrolment_across_5_bare": "other people, 5, bare numbers"}
LEFT_OUT = {
    "probe": "probe",
    "probe_turned": "turned",
    "enrolment_across_1": "enrolled, 1",
    "enrolment_across_5": "enrolled, 5",
    "novelty_mean": "novelty",
}
MARGINS = {
    "probe": ("signature", "probe, the signature"),
    "probe_turned": ("signature_motion", "turned, motion alone"),
    "enrolment_across_5": ("signature", "enrolled, 5, the signature"),
    "novelty_mean": ("signature", "novelty, the signature"),
}
FORMER = ("wisdm2019", "dsads", "motionsense", "geotec_spsw", "seglearn_watch", "st_mlc_6axis", "android_digits")
"""The sets that the first version was measured on, each left out by itself."""

LOOK_ALIKES = ("seglearn_watch", "pt_exercises")
"""Sets of exercises that differ by little."""

VECTORS = {"motion": "motion", "all": "all codes"}


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table of texts."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def number(value: float) -> str:
    """Return a figure with three places and no zero before the point."""
    return f"{value:.3f}".removeprefix("0")


def score(found: Sequence[float]) -> str:
    """Return a figure and its interval."""
    value, low, high = map(number, found)
    return f"{value} [{low}, {high}]"


def scores(found: Table, columns: Mapping[str, str]) -> str:
    """Return a line for each vector that was measured, in the order of ROWS."""
    lines = [
        [title, str(found[key]["numbers"]), *(score(found[key][column]) for column in columns)]
        for key, title in ROWS.items()
        if key in found
    ]
    return table(["vector", "numbers", *columns.values()], lines)


def times(found: Table) -> str:
    """Return the time of each vector that was timed."""
    columns = {"microseconds_alone": "one window at a time, µs", "microseconds_in_a_batch": "in a batch of 256, µs"}
    lines = [
        [title, *(f"{found[key][column]:.1f}" for column in columns)]
        for key, title in ROWS.items()
        if "microseconds_alone" in found.get(key, {})
    ]
    return table(["vector", *columns.values()], lines)


def sensors(found: Table) -> str:
    """Return a line for each sensor."""
    columns = ["signature", "signature_motion", "plain_statistics_216", "gravity_statistics_162"]
    lines = [
        [title, number(row["windows_kept"]), *(score(row[column]) for column in columns)]
        for title, row in found.items()
    ]
    return table(["behind", "windows kept", "signature", "motion alone", "plain statistics", "about gravity"], lines)


def kernels(found: Table) -> str:
    """Return a line for each set of kernels: its neighbours, and what heads make of it."""
    lines = []
    for title, near in found["neighbours"]["by"].items():
        judged = found["heads"]["by"][title]
        steps = f"{near['codes_that_differ']:.1%}, by {near['most_steps']} at most"
        otherwise = f"{judged['judged_otherwise']:,} of {judged['judged']:,}"
        shares = (near["same_nearest"], near["activity_of_nearest_right"], judged["found"])
        alarms = str(judged.get("false_alarms", "-"))
        lines.append(
            [title, steps, f"{near['least_cosine']:.4f}", *(f"{share:.1%}" for share in shares), otherwise, alarms]
        )
    columns = ["kernels", "codes that differ", "least cosine", "same nearest", "nearest of the right activity"]
    return table([*columns, "performances found", "judged otherwise", "false alarms"], lines)


def privacy(found: Table) -> str:
    """Return a line for each thing that might be sent."""
    columns = {
        "recognised": "named from a window",
        "recognised_wearing": "from a wearing",
        "probe": "linear probe",
        "enrolment_across_5": "enrolled across people, 5",
    }
    lines = [[title, *(score(row[column]) for column in columns)] for title, row in found.items()]
    return table(["what is sent", *columns.values()], lines)


def prefixes(hapt: Table, left_out: Table) -> str:
    """Return a line for each number of first codes: on hapt, and the mean over the sets left out."""
    columns = ("probe", "enrolment_across_5")
    whole = list(hapt)[-1]
    lines = []
    for count, row in hapt.items():
        line = [f"{score(row[column])} / {_share(row[column][0], hapt[whole][column][0])}" for column in columns]
        for column in columns if left_out else ():
            reached, most = (_mean([one[key][column][0] for one in left_out.values()]) for key in (count, whole))
            line.append(f"{number(reached)} / {_share(reached, most)}")
        lines.append([count, *line])
    head = ["codes", "hapt, linear probe", "hapt, other people, 5"]
    return table([*head, "sets left out, probe", "enrolled, 5"] if left_out else head, lines)


def gait_noise(by_set: Table) -> str:
    """Return a line for each vector on each set."""
    lines = [
        [name, ROWS[rival], score(row["probe"]), score(row["lost"])]
        for name, rows in by_set.items()
        for rival, row in rows.items()
    ]
    return table(["set", "vector", "without noise", "lost"], lines)


def chips(found: Table) -> str:
    """Return a line for each chip."""
    columns = {
        "still_across": "still, across",
        "sway_across": "sway, across",
        "still_against_sway": "still against sway",
    }
    return table(
        ["chip", *columns.values()], [[chip, *(number(row[key]) for key in columns)] for chip, row in found.items()]
    )


def few_shot(found: Table) -> str:
    """Return a line for each set, vector, hop and number of allowed false alarms."""
    lines = [
        [
            name,
            title.replace("motion,", "motion, every").replace("all,", "all codes, every"),
            limit.removeprefix("0"),
            *(score(row["found"]) for row in by_shots.values()),
            score(list(by_shots.values())[-1]["false_alarms_an_hour"]),
        ]
        for name, facts in found["sets"].items()
        for title, by_limit in facts["rows"].items()
        for limit, by_shots in by_limit.items()
    ]
    head = ["set", "vector", "allowed an hour", "found after 1", "after 3", "after 5", "false alarms an hour"]
    return table(head, lines)


def heads_aims(found: Table) -> str:
    """Return a line for each aim of heads, and what was measured."""
    one, three = (found["pooled"]["rows"][shots] for shots in ("1", "3"))
    sets, life, cost = found["sets"], found["life"], found["cost"]
    alike = [name for name in sets if name.startswith(LOOK_ALIKES)]
    lines = [
        ["a person's own, after one performance", "at least .90", _cell(one, "own")],
        ["a person's own, after three", "at least .98", _cell(three, "own")],
        *(
            [f"worn again ({name}), after three", "at least .90", _cell(facts["rows"]["3"], "own")]
            for name, facts in sets.items()
            if name.startswith("hapt")
        ),
        ["false alarms an hour, of one performance", "at most .1", score(life["false_alarms_an_hour"]["1"])],
        ["false alarms an hour, of three", "at most .1", score(life["false_alarms_an_hour"]["3"])],
        ["false alarms within the interval that was stated", "at least .90", score(life["interval_held"])],
        ["the same, give or take one alarm", "", score(life["interval_held_but_for_one_alarm"])],
        ["other motions of that person taken for it, after three", "at most .02", _cell(three, "others")],
        ['the same, after one "not this"', "at most .005", _cell(three, "others_after")],
        ["up to twelve heads at once: the right event", "at least .98", _cell(three, "right")],
        ["up to twelve heads at once: a wrong one", "at most .01", _cell(three, "wrong")],
        *(
            [f"look-alikes ({name}) at once, {words}", aim, _cell(sets[name]["rows"]["3"], key)]
            for name in alike
            for words, aim, key in (
                ("by motion codes alone: the right event and no wrong one", "at least .88", "only_motion"),
                ("by all codes: the right event and no wrong one", "at least .97", "only"),
            )
        ),
        ["from the signatures of three performances to the head, ms", "at most 100", f"{cost['ready_ms']:.0f}"],
        [f"{cost['heads']} heads, one window at a time, µs", "at most 60", f"{cost['microseconds_alone']:.0f}"],
        [f"{cost['heads']} heads, in a batch of 256, µs a window", "", f"{cost['microseconds_in_a_batch']:.1f}"],
        [f"{cost['heads']} heads, memory, MB", "at most 5", f"{cost['megabytes']:.1f}"],
        [f"a stored week ({cost['stored']:,} signatures) searched, s", "at most 1", f"{cost['search_s']:.2f}"],
    ]
    return table(["measure", "aim", "ours"], lines)


def heads(found: Table) -> str:
    """Return a line for each set: what heads find one at a time, after one and three performances."""
    columns = {"own": "own", "others": "others", "own_after": "own, not this", "others_after": "others, not this"}
    lines = [
        [
            _marked(name, facts),
            str(facts["people"]),
            str(facts["heads"]),
            *(_cell(facts["rows"][shots], key) for key in columns for shots in ("1", "3")),
        ]
        for name, facts in found["sets"].items()
    ]
    titles = [f"{title}, {shots}" for title in columns.values() for shots in (1, 3)]
    return table(["set", "people", "heads", *titles], lines)


def heads_at_once(found: Table) -> str:
    """Return a line for each set: what the heads of one person find together."""
    lines = []
    for name, facts in found["sets"].items():
        one, three = facts["rows"]["1"], facts["rows"]["3"]
        cells = [_cell(row, key) for row in (one, three) for key in ("right", "wrong", "only")]
        cells += [_cell(three, key) for key in ("right_motion", "wrong_motion")]
        lines.append([_marked(name, facts), *cells])
    titles = [f"{key}, {shots}" for shots in (1, 3) for key in ("right", "wrong", "only right")]
    return table(["set", *titles, "right, 3, motion codes alone", "wrong, 3, motion codes alone"], lines)


def _cell(row: Table, key: str) -> str:
    """Return a figure and its interval, or a stroke where there was nothing to ask."""
    return score(row[key]) if key in row else "-"


def _marked(name: str, facts: Table) -> str:
    return f"{name} (trained on)" if facts["trained"] else name


def margins(found: Table) -> str:
    """Return how far ours is above the best peer, in means over sets: the mean of the seeds where there are several."""
    lines = []
    for over, names in _means_over(found).items():
        for column, (ours, title) in MARGINS.items():
            means = _means([found[name] for name in names], column)
            own = _mean([value for row, value in means.items() if row in (ours, f"{ours}_seed_2")])
            peers = {row: value for row, value in means.items() if not row.startswith(OURS)}
            if not peers:
                continue
            best = max(peers, key=peers.__getitem__)
            better = f"{own - peers[best]:+.3f}".replace("+0", "+").replace("-0", "-")
            lines.append([over, title, number(own), number(peers[best]), ROWS[best], better])
    return table(["mean over", "measure", "ours", "best peer", "which", "margin"], lines)


def left_out(found: Table) -> str:
    """Return the means over the sets, then a line for each vector on each set."""
    lines = []
    for over, names in _means_over(found).items():
        by_column = [_means([found[name] for name in names], column) for column in LEFT_OUT]
        for rival in by_column[0]:
            means = (f"**{number(mean[rival])}**" for mean in by_column)
            lines.append([f"**mean over {over}**", ROWS[rival], *means])
    for name, row in found.items():
        lines += [[name, ROWS[rival], *(score(row[rival][column]) for column in LEFT_OUT)] for rival in row]
    return table(["left out", "vector", *LEFT_OUT.values()], lines)


def _means_over(found: Table) -> dict[str, list[str]]:
    """Return the names of all sets, and of the FORMER ones if they are not all, under what to call them."""
    former = [name for name in FORMER if name in found]
    over = {f"{len(found)} sets": list(found)}
    return over if len(former) in (0, len(found)) else over | {f"the {len(former)} of version 1": former}


def _means(rows: list[Table], column: str) -> dict[str, float]:
    return {rival: _mean([row[rival][column][0] for row in rows]) for rival in rows[0]}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"
