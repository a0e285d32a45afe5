// The view that looks back: an hour, a day or a week as strips, with what the heads told then and would tell now.

import { ask, latest, listen } from "./api.js";
import { h, icon, put, setText } from "./dom.js";
import { notThis, thisToo } from "./improve.js";
import { colours, drawStrip, shape } from "./marks.js";
import { RANGES, fromField, oddHours, toField, zone } from "./spans.js";
import { format, texts } from "./texts.js";

const t = texts.lookback;
const TOUCH = 24; // pixels that a finger may miss an event by
const DRAG = 8; // pixels after which a touch chooses a stretch
const SOON_MS = 1500; // chosen before and after a touched moment
const ROWS = 50; // events of the list that are shown at first
const MOST_ALIKE = 20;
const NOW_MS = 20_000; // so often the line of now moves on
const LANES = { hour: 18, day: 24, week: 15 }; // pixels

export function create(panel) {
  let range = "week";
  let first = RANGES.week.first(Date.now());
  let heads = []; // of the service
  let hidden = new Set(); // names of those that are not shown
  let answer = null; // of `lookback`
  let chosen = null; // {from_ms, to_ms, head, event}; event: null for a stretch
  let like = []; // windows that are like the chosen one
  let rows = ROWS;
  let asked = 0; // number of the question whose answer is waited for
  let visible = false;
  let drawnAt = 0; // the strips' width
  let opener = null; // what the chosen one was chosen by, of the list

  const title = h("h3", { class: "range" });
  const step = (name, by, text) => {
    const attributes = { class: "button quiet icon-only step", type: "button", "aria-label": name };
    return h("button", { ...attributes, onclick: () => go(by) }, text);
  };
  const [previous, next] = [step(t.previous, -1, "‹"), step(t.next, 1, "›")];
  const kinds = Object.keys(RANGES).map((name) =>
    h("button", { class: "button", type: "button", onclick: () => look(name, centre(name)) }, t.ranges[name]),
  );
  const now = h("button", { class: "button", type: "button", onclick: () => look(range, Date.now()) }, t.now);
  const chips = h("div", { class: "actions heads-shown", role: "group", "aria-label": t.heads });
  const state = h("p", { class: "muted small", role: "status" });
  const bar = h("div", { class: "progress", role: "progressbar", "aria-label": t.progress });
  const strips = h("div", { class: "strips", "aria-hidden": "true" });
  const odd = h("p", { class: "muted small", hidden: true });
  const details = h("section", { class: "card chosen", "aria-label": t.chosen, tabindex: "-1" });
  const list = h("section", { class: "card events", "aria-label": t.list });
  panel.append(
    h("h2", {}, texts.lookback.title),
    h(
      "div",
      { class: "tools" },
      h("div", { class: "segments", role: "group", "aria-label": t.range }, ...kinds),
      now,
      h("div", { class: "steps" }, previous, title, next),
    ),
    h(
      "div",
      { class: "beside" },
      h(
        "div",
        { class: "card" },
        chips,
        h("div", { class: "progress-place" }, bar),
        state,
        strips,
        odd,
        h(
          "p",
          { class: "legend muted small" },
          h("span", {}, shape(0), t.told),
          h("span", {}, shape(0, { told: false }), t.would),
          h("span", {}, shape(0, { now: false }), t.wouldNot),
          h("span", {}, h("i", { class: "key moving" }), t.moving),
          h("span", {}, h("i", { class: "key gap" }), t.gap),
          h("span", {}, t.zone(zone())),
        ),
      ),
      details,
    ),
    list,
  );
  new ResizeObserver(() => visible && strips.clientWidth !== drawnAt && draw()).observe(strips);
  document.addEventListener("theme", () => visible && draw());
  setInterval(() => visible && draw(), NOW_MS);
  listen("heads", (value) => {
    const names = (some) => some.map(({ name }) => name).join();
    const changed = names(heads) !== names(value);
    heads = value;
    if (!visible || !changed) return;
    showDetails();
    refresh({ keep: true });
  });
  listen("event", take);
  // A store may be of last year: what is newest in it is shown first.
  listen("hello", ({ newest_ms: ms }) => {
    if (ms) first = RANGES.week.first(ms);
    if (ms && visible) refresh();
  });

  const end = () => RANGES[range].strips(first).at(-1)[1];
  const number = (name) => Math.max(0, heads.findIndex((head) => head.name === name));
  const mayImprove = (name) => heads.find((head) => head.name === name)?.may.includes("improve");
  // Before there is an answer: without events, so that the strips are as high as they will be.
  const shown = () =>
    (answer?.heads ?? heads.map(({ name }) => ({ name, events: [] })))
      .filter(({ name }) => !hidden.has(name))
      .map(({ name, events }) => ({ name, number: number(name), events }));

  // What to look at in another range: what is chosen, else now where it is shown, else what is shown first or last.
  function centre(name) {
    const now = Date.now();
    if (chosen && name !== "week") return chosen.from_ms;
    if (now >= first && now < end()) return now;
    return name === "week" ? end() - 1 : first;
  }

  function go(by) {
    first = RANGES[range].go(first, by);
    refresh();
  }

  // Looks at the range of that name with `ms` in its last strip.
  function look(name, ms) {
    range = name;
    first = RANGES[name].first(Math.min(ms, Date.now()));
    refresh();
  }

  // keep: what is shown stays until the answer is there.
  async function refresh({ keep = false } = {}) {
    const mine = (asked += 1);
    if (!keep) {
      answer = null;
      like = [];
      rows = ROWS;
      if (chosen && (chosen.to_ms < first || chosen.from_ms >= end())) choose(null);
      else showDetails();
      setText(state, t.looking[range]);
    }
    bar.hidden = false;
    strips.hidden = false;
    show();
    try {
      const until_ms = Math.min(end(), Date.now());
      const got = await ask("lookback", { since_ms: first, until_ms, heads: null });
      if (mine !== asked) return;
      answer = got;
      const count = got.heads.reduce((sum, { events }) => sum + events.length, 0);
      const stored = got.covered.some((share) => share);
      setText(state, stored ? t.found(count) : (latest.hello?.why_no_store ?? t.nothing[range]));
    } catch (error) {
      if (mine !== asked) return;
      if (!error.kind) throw error;
      strips.hidden = !answer;
      setText(state, (error.kind === "nothing" && latest.hello?.why_no_store) || texts.errors.of(error));
    }
    bar.hidden = true;
    const began = performance.now();
    show();
    performance.measure("lookback-draw", { start: began });
  }

  function show() {
    const [from, to] = [first, end()];
    setText(title, t.title_of[range](from, to - 1));
    next.disabled = to > Date.now();
    Object.keys(RANGES).forEach((name, i) => kinds[i].setAttribute("aria-pressed", String(name === range)));
    const odds = RANGES[range].strips(first).filter(oddHours);
    odd.hidden = !odds.length;
    setText(odd, odds.map((span) => t.odd(span[0], oddHours(span))).join(" "));
    showChips();
    draw();
    showList();
  }

  function showChips() {
    const counts = new Map((answer?.heads ?? []).map(({ name, events }) => [name, events.length]));
    chips.hidden = !heads.length;
    chips.replaceChildren(
      ...heads.map(({ name }, index) => {
        const press = () => {
          if (!hidden.delete(name)) hidden.add(name);
          show();
          chips.children[index].focus();
        };
        const count = counts.has(name) ? h("span", { class: "muted" }, format.number(counts.get(name))) : null;
        const pressed = String(!hidden.has(name));
        const attributes = { class: "button toggle", type: "button", "aria-pressed": pressed, onclick: press };
        return h("button", attributes, shape(index), name, count);
      }),
    );
  }

  function draw() {
    const parts = RANGES[range].strips(first);
    while (strips.children.length > parts.length) strips.lastChild.remove();
    while (strips.children.length < parts.length) strips.append(makeStrip());
    strips.dataset.range = range;
    drawnAt = strips.clientWidth;
    const scale = Math.max(...parts.map(([from, to]) => to - from));
    const common = {
      width: strips.querySelector("canvas").clientWidth, // of all; asked for once, as each time costs a layout
      scale,
      answer: answer ?? { since_ms: first, bin_ms: 1, covered: [], moving: [] },
      shown: shown(),
      lane: LANES[range],
      like,
      chosen: chosen && [chosen.from_ms, chosen.to_ms],
      now: answer ? Date.now() : 0, // nothing is known before
      colour: colours(),
    };
    parts.forEach((span, index) => {
      const [label, canvas, hours] = strips.children[index].children;
      const ticks = RANGES[range].ticks(span[0]);
      setText(label, range === "week" ? format.day(span[0]) : range === "hour" ? format.minute(span[0]) : "");
      canvas.span = { from: span[0], scale };
      canvas.places = drawStrip(canvas, { span, ticks, ...common });
      // The hours are written once, below the last strip.
      hours.hidden = range === "hour" || index < parts.length - 1;
      if (hours.hidden) return;
      hours.replaceChildren(
        ...ticks.map((at) => {
          const text = h("span", {}, format.minute(at));
          text.style.insetInlineStart = `${((at - span[0]) / scale) * 100}%`;
          return text;
        }),
      );
    });
  }

  function makeStrip() {
    const canvas = h("canvas");
    let down = null;
    let dragged = false; // a click follows a drag of a mouse
    const seen = () => canvas.parentElement.scrollIntoView({ block: "nearest" }); // also on a phone, above what came up
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const x = Math.max(0, Math.min(box.width, event.clientX - box.left));
      return { x, y: event.clientY - box.top, ms: canvas.span.from + (x / box.width) * canvas.span.scale };
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || !answer) return;
      down = at(event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!down) return;
      const to = at(event);
      if (!down.drags && Math.abs(to.x - down.x) < DRAG) return;
      down.drags = true;
      const [from_ms, to_ms] = [down.ms, to.ms].sort((a, b) => a - b);
      chosen = { from_ms, to_ms, event: null };
      draw();
    });
    canvas.addEventListener("pointerup", () => {
      dragged = down?.drags;
      down = null;
      if (!dragged) return;
      choose(chosen);
      seen();
    });
    // Not at "pointerup": what is chosen comes up under the finger, and would get the click.
    canvas.addEventListener("click", (event) => {
      if (dragged || !answer) return;
      const here = at(event);
      const far = ({ x0, x1, y }) => Math.hypot(Math.max(x0 - here.x, 0, here.x - x1), (y - here.y) / 2);
      const near = canvas.places.reduce((best, place) => (!best || far(place) < far(best) ? place : best), null);
      const around = Math.max(SOON_MS, canvas.span.scale / canvas.clientWidth);
      if (near && far(near) <= TOUCH) chooseEvent(near.event);
      else choose({ from_ms: here.ms - around, to_ms: here.ms + around, event: null });
      seen();
    });
    canvas.addEventListener("pointercancel", () => (down = null));
    return h("div", { class: "strip" }, h("span", { class: "when" }), canvas, h("div", { class: "hours" }));
  }

  function chooseEvent(event) {
    const { name } = answer.heads.find(({ events }) => events.includes(event));
    choose({ from_ms: event.from_ms, to_ms: event.to_ms, head: name, event });
  }

  // {from_ms, to_ms, head, event}, or null for nothing.
  function choose(one) {
    chosen = one;
    like = [];
    opener = null;
    showDetails();
    draw();
  }

  function shut() {
    const back = opener?.isConnected ? opener : details;
    choose(null);
    back.focus({ preventScroll: true });
  }

  function showDetails() {
    details.classList.toggle("open", Boolean(chosen));
    if (!chosen) {
      details.replaceChildren(h("p", { class: "muted small" }, t.howTo), stretch());
      return;
    }
    const { from_ms, to_ms, head: name, event } = chosen;
    const actions = h("div", { class: "improve", "data-errors": true });
    const improve = (how, head) => async (pressed) => {
      if (await how(head(), from_ms, to_ms, pressed.currentTarget)) refresh({ keep: true });
    };
    const button = (text, onclick, more = "") =>
      h("button", { class: `button ${more}`, type: "button", onclick }, text);
    if (event && mayImprove(name)) actions.append(button(t.notThis(name), improve(notThis, () => name)));
    else if (event) actions.append(h("p", { class: "muted small" }, t.notYours(name)));
    const others = heads.filter((one) => one.name !== (event && name) && one.may.includes("improve"));
    if (others.length) {
      const options = others.map((one) => h("option", {}, one.name));
      const which = h("select", { class: "input", "aria-label": t.which }, ...options);
      const press = improve(thisToo, () => which.value);
      actions.append(h("div", { class: "pair" }, which, button(t.thisToo, press)));
    }
    const place = h("div", { class: "alike" });
    details.replaceChildren(
      h(
        "header",
        {},
        h("h3", {}, event ? shape(number(name), event) : null, event ? name : t.stretch),
        h(
          "button",
          { class: "button quiet icon-only", type: "button", "aria-label": t.close, onclick: shut },
          icon("close"),
        ),
      ),
      h("p", {}, t.lasted(from_ms, (to_ms - from_ms) / 1000)),
      event ? h("p", {}, t.judged(event)) : "",
      actions,
      h(
        "div",
        { class: "actions" },
        button(t.alike, () => showAlike(place)),
        range === "hour" ? null : button(t.closer, () => look("hour", from_ms), "quiet"),
      ),
      place,
      ...(event ? [] : [stretch()]),
    );
  }

  // From and to by keyboard.
  function stretch() {
    const until = Math.min(Date.now(), end());
    const field = (text, ms) => {
      const attributes = { class: "input", type: "datetime-local", step: "1", required: true };
      const input = h("input", { ...attributes, value: toField(ms) });
      return [input, h("label", { class: "field" }, text, input)];
    };
    const [from, fromLabel] = field(t.from, chosen?.from_ms ?? until - 10_000);
    const [to, toLabel] = field(t.to, chosen?.to_ms ?? until);
    const wrong = h("p", { class: "error", role: "alert" });
    const submit = (event) => {
      event.preventDefault();
      const [from_ms, to_ms] = [from, to].map((input) => fromField(input.value));
      setText(wrong, from_ms < to_ms ? "" : t.wrongOrder);
      if (!(from_ms < to_ms)) return;
      const outside = from_ms < first || from_ms >= end();
      choose({ from_ms, to_ms, event: null });
      if (outside) look(range, from_ms);
      details.focus();
    };
    const button = h("button", { class: "button", type: "submit" }, t.choose);
    const form = h("form", { class: "stretch", onsubmit: submit }, fromLabel, toLabel, button, wrong);
    return h("details", {}, h("summary", {}, t.chooseStretch), form);
  }

  async function showAlike(place) {
    const mine = chosen;
    const status = h("p", { class: "muted small", role: "status" }, t.searching);
    place.replaceChildren(status);
    try {
      const { windows } = await ask("alike", {
        from_ms: Math.floor(mine.from_ms),
        to_ms: Math.ceil(mine.to_ms),
        since_ms: first,
        until_ms: Math.min(end(), Date.now()),
        most: MOST_ALIKE,
      });
      if (mine !== chosen) return;
      like = windows;
      draw();
      setText(status, t.alikeFound(windows.length));
      place.append(
        h(
          "ol",
          {},
          ...windows.map((one) => {
            const { from_ms, to_ms, likeness, labels } = one;
            const press = () => {
              choose({ from_ms, to_ms, event: null });
              like = windows;
              draw();
            };
            const when = h("b", {}, `${format.day(from_ms)}, ${format.clock(from_ms)}`);
            const how = h("span", { class: "muted" }, t.likeness(likeness, labels));
            return h("li", {}, h("button", { class: "row", type: "button", onclick: press }, when, how));
          }),
        ),
      );
    } catch (error) {
      if (!error.kind) throw error;
      setText(status, texts.errors.of(error));
    }
  }

  // The same as the strips, in words: for screen readers and the keyboard.
  function showList() {
    const events = shown()
      .flatMap(({ name, number: index, events: some }) => some.map((event) => ({ name, index, event })))
      .sort((a, b) => b.event.from_ms - a.event.from_ms);
    const items = [];
    let day = "";
    for (const { name, index, event } of events.slice(0, rows)) {
      if (format.date(event.from_ms) !== day) {
        day = format.date(event.from_ms);
        items.push(h("h4", {}, day), h("ol"));
      }
      const press = (pressed) => {
        chooseEvent(event);
        opener = pressed.currentTarget;
        details.focus();
      };
      const more = h("span", { class: "muted" }, t.row(event));
      const parts = [shape(index, event), h("b", {}, format.clock(event.from_ms)), h("span", {}, name), more];
      items.at(-1).append(h("li", {}, h("button", { class: "row", type: "button", onclick: press }, ...parts)));
    }
    if (events.length > rows)
      items.push(h("button", { class: "button", type: "button", onclick: showMore }, t.more(events.length - rows)));
    list.hidden = !events.length;
    list.replaceChildren(h("h3", {}, t.events(events.length)), ...items);
  }

  function showMore() {
    const before = rows;
    rows += 5 * ROWS;
    showList();
    list.querySelectorAll(".row")[before]?.focus();
  }

  // What a head tells now comes to the strips at once.
  function take(event) {
    const from_ms = event.start_ns / 1e6;
    const one = answer?.heads.find(({ name }) => name === event.head);
    if (!visible || !one || event.phase === "began" || from_ms >= end()) return;
    const { score, phase } = event;
    one.events.push({ from_ms, to_ms: event.end_ns / 1e6, score, phase, told: true, now: true });
    show();
  }

  showDetails();
  return {
    // head: only its events. at: a moment to look at. range: hour, day or week. All may be missing.
    shown(parameters) {
      const [head, at, kind] = ["head", "at", "range"].map((name) => parameters.get(name));
      const isFirst = !visible && !answer;
      visible = true;
      if (head) hidden = new Set(heads.map(({ name }) => name).filter((name) => name !== head));
      if (head || at || kind || isFirst) look(kind in RANGES ? kind : range, Number(at) || Date.now());
      else refresh({ keep: true });
    },
    hidden() {
      visible = false;
    },
  };
}
