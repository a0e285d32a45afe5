"""Ranges of refused records, held against a plain list of records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from motionsig.publishers.refused import Refused

RECORDS = [(10 * number, 10 * number + 10) for number in range(8)]
STEPS = st.lists(st.tuples(st.sampled_from(["add", "arrive", "finish"]), st.integers(0, len(RECORDS) - 1)), max_size=40)


@given(STEPS, st.integers(0, len(RECORDS)))
def test_ranges_say_what_a_list_of_records_says(steps: list[tuple[str, int]], cleared: int) -> None:
    ranges = Refused()
    waiting, arrived, done = set[int](), set[int](), set[int]()
    for what, number in steps:
        start, end = RECORDS[number]
        if what == "add":
            ranges.add(start, end, arrived=False)
            waiting |= {number} - arrived
        elif what == "arrive" and number in waiting | arrived:
            assert ranges.arrive(end) == (number in waiting)
            waiting.discard(number)
            arrived.add(number)
        elif what == "finish" and number in arrived:
            ranges.finish(start, end)
            done.add(number)
        held = waiting | arrived
        assert [number for number, (_, end) in enumerate(RECORDS) if ranges.holds(end)] == sorted(held)
        assert [number for number, (_, end) in enumerate(RECORDS) if ranges.waits(end)] == sorted(held - done)
        assert (ranges.left, bool(ranges)) == (len(waiting), bool(held))
        assert not held or ranges.first == RECORDS[min(held)][0]
    reached = ranges.settle(10 * cleared) // 10
    # What is done and lies before it, or directly behind that, is gone.
    while reached in done:
        raise AssertionError("it stopped too early")
    assert set(range(cleared, reached)) <= done
    left = (waiting | arrived) - {number for number in done if number < reached}
    assert [number for number, (_, end) in enumerate(RECORDS) if ranges.holds(end)] == sorted(left)


def test_neighbours_are_one_range() -> None:
    """A topic that is refused for days must not fill the memory."""
    ranges = Refused()
    for number in range(10_000):
        ranges.add(number, number + 1, arrived=False)
    assert (len(ranges._starts), ranges.left) == (1, 10_000)
