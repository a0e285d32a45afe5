"""Strips of time in a browser's time zone: days of 23 and 25 hours, and what is drawn where, in time."""

from __future__ import annotations

from importlib.resources import files

import pytest

ORIGIN = "http://127.0.0.1:1"  # nobody listens there: this test answers
STATIC = files("motionsig.page") / "static"

SPANS = """async (middles) => {
  const { RANGES, oddHours, toField, fromField } = await import("/static/spans.js");
  return middles.map((text) => {
    const ms = new Date(text).getTime();
    const first = RANGES.week.first(ms);
    const strips = RANGES.week.strips(first);
    return {
      last: [strips[6][0] <= ms, ms < strips[6][1]],
      joined: strips.slice(1).every(([from], i) => from === strips[i][1]),
      hours: strips.map(([from, to]) => (to - from) / 3600e3),
      odd: strips.map(oddHours),
      back: RANGES.week.go(RANGES.week.go(first, -3), 3) === first,
      midnight: strips.every(([from]) => new Date(from).getHours() === 0),
      ticks: strips.map(([from]) => RANGES.day.ticks(from).map((at) => new Date(at).getHours()).join()),
      field: fromField(toField(ms)) === ms,
      hour: RANGES.hour.strips(RANGES.hour.first(ms)).length,
    };
  });
}"""

DRAWN = """async () => {
  const { colours, drawStrip } = await import("/static/marks.js");
  const canvas = document.querySelector("canvas");
  const [hour, day] = [3600e3, 24 * 3600e3];
  const event = (at, told, now = true) => ({ from_ms: at * hour, to_ms: at * hour + 2560, told, now });
  const events = [event(6, true), event(12, false), event(18, true, false), event(30, true)];
  const covered = Array.from({ length: 24 }, (_, i) => (i < 3 ? null : 1));
  const answer = { since_ms: 0, bin_ms: hour, covered, moving: covered.map((share) => share && 0.5) };
  const places = drawStrip(canvas, {
    width: 480, span: [0, day], scale: day, answer, shown: [{ number: 1, events }], lane: 24, like: [], chosen: null,
    ticks: [], now: 20 * hour, colour: colours(),
  });
  const colour = (x, y) => canvas.getContext("2d").getImageData(x, y, 1, 1).data.join();
  return {
    places: places.map(({ x0, event }) => [Math.round(x0), events.indexOf(event)]),
    middles: places.map(({ x0, y }) => colour(Math.round(x0), Math.round(y))),
    covered: colour(200, 2), later: colour(470, 2), moving: colour(200, canvas.height - 3),
    gap: new Set(Array.from({ length: 12 }, (_, i) => colour(20 + i, 10))).size > 1,
  };
}"""


@pytest.fixture
def shown(browser):
    """A page of that origin with the modules, in a time zone."""

    def answer(route):
        name = route.request.url.rpartition("/")[2]
        if name:
            kinds = {"js": "text/javascript", "css": "text/css"}
            route.fulfill(body=(STATIC / name).read_bytes(), content_type=kinds[name.rpartition(".")[2]])
        else:
            head = '<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="/static/style.css">'
            route.fulfill(body=f"{head}<canvas></canvas>", content_type="text/html")

    def show(context):
        context.route(f"{ORIGIN}/**", answer)
        tab = context.new_page()
        tab.goto(f"{ORIGIN}/")
        return tab

    return lambda **more: browser.context(ORIGIN, **more), show


def test_a_day_has_the_hours_that_clocks_give_it(shown):
    opened, show = shown
    with opened(timezone_id="Europe/Berlin") as (context, seen):
        autumn, spring, plain = show(context).evaluate(
            SPANS, ["2026-10-27T12:00:00", "2026-03-29T23:59:59", "2026-11-30T00:00:00"]
        )
        seen.assert_well()
    assert autumn["hours"] == [24, 24, 24, 24, 25, 24, 24]
    assert autumn["odd"] == [None] * 4 + [25, None, None]
    assert spring["hours"] == [24] * 6 + [23]
    assert plain["odd"] == [None] * 7
    for each in (autumn, spring, plain):
        assert each["last"] == [True, True]
        assert each["joined"] and each["back"] and each["midnight"] and each["field"]
        assert each["ticks"] == ["0,6,12,18"] * 7
        assert each["hour"] == 6


def test_what_was_told_and_what_would_be_told_look_different_in_both_themes(shown):
    opened, show = shown
    grounds = set()
    for scheme in ("light", "dark"):
        with opened(scheme=scheme) as (context, seen):
            drawn = show(context).evaluate(DRAWN)
            seen.assert_well()
        # A day is 480 pixels; what begins on the next day is not in it.
        assert drawn["places"] == [[120, 0], [240, 1], [360, 2]]
        assert len(set(drawn["middles"])) == 3, "filled, hollow and pale"
        assert drawn["gap"], "what is not stored is hatched"
        assert len({drawn["covered"], drawn["later"], drawn["moving"]}) == 3
        grounds.add(drawn["covered"])
    assert len(grounds) == 2
