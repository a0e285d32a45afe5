// The view "Live": the ribbon, what holds now, the likeness to each head, the last events, and what the service tells of itself.

import { latest, listen } from "./api.js";
import { h, put, say, setText } from "./dom.js";
import { notThis } from "./improve.js";
import { createRibbon } from "./ribbon.js";
import { format, texts } from "./texts.js";

const EVENTS = 6;
const WORDS_MS = 15_000; // so often the ribbon is put into words
const FRESH_MS = 15_000; // an event that is older comes from a feed that was resumed, and is not said

const words = texts.live;

export function create(panel) {
  const canvas = h("canvas", { role: "img", "aria-label": words.ribbon.label, "aria-describedby": "ribbon-words" });
  const ribbon = createRibbon(canvas);
  const inWords = h("p", { class: "unseen", id: "ribbon-words" });
  const trouble = h("div", { class: "troubles" });
  const readout = h("div", { class: "readout" });
  const bars = h("ul", { class: "likeness" });
  const list = h("ul", { class: "rows" });
  const facts = h("dl", { class: "facts" });
  const scores = h("section", { class: "card" }, h("h3", {}, words.likeness.title), h("p", { class: "muted small" }, words.likeness.about), bars);
  panel.append(
    h("h2", { class: "unseen" }, words.title),
    trouble,
    h(
      "section",
      { class: "card ribbon", "aria-label": words.ribbon.title },
      readout,
      h("div", { class: "canvas" }, canvas, h("span", { class: "part" }, words.ribbon.motion), h("span", { class: "part posture" }, words.ribbon.posture)),
      inWords,
      legend(),
    ),
    h("div", { class: "columns" }, scores, h("section", { class: "card" }, h("h3", {}, words.events.title), list)),
    h("section", { class: "card" }, h("h3", {}, words.device.title), facts),
  );

  let visible = false;
  const since = new Map(); // by head, of states that hold: when they began, in ms, or null where nobody told
  const events = []; // newest first; a state is one, from its beginning to its end
  const meters = new Map(); // by head: its elements
  let newest = {}; // the newest score by head

  // What holds now, as the headline.
  function states() {
    const held = [...since].map(([name, from]) =>
      h("p", {}, h("strong", {}, name), " ", from ? h("span", { class: "muted" }, words.now.holds(format.clock(from), (Date.now() - from) / 1000)) : null),
    );
    const states = (latest.heads ?? []).filter((head) => head.gives === "state" && !head.paused);
    put(readout, h("h3", { class: "unseen" }, words.now.title), held.length ? held : h("p", { class: "muted" }, states.length ? words.now.none : words.now.noStates));
  }

  function holds(name, from) {
    if (from === undefined) {
      if (since.delete(name)) ribbon.unmark(name);
    } else if (!since.has(name) || since.get(name) === null) {
      since.set(name, from);
      if (from !== null) ribbon.mark({ head: name, phase: "began", start_ns: from * 1e6, end_ns: from * 1e6 });
    }
    states();
  }

  function judged(heads) {
    for (const head of heads) {
      if (head.gives === "state") holds(head.name, head.holds ? (since.get(head.name) ?? null) : undefined);
    }
    const names = new Set(heads.map((head) => head.name));
    for (const [name, meter] of meters) if (!names.has(name)) (meter.row.remove(), meters.delete(name));
    for (const head of heads) {
      if (!meters.has(head.name)) meters.set(head.name, meterOf(head));
      const meter = meters.get(head.name);
      meter.on = head.on;
      meter.why = head.paused ? words.likeness.paused : head.judges ? "" : words.likeness.idle;
      bars.append(meter.row);
      level(head.name);
    }
    scores.querySelector(".empty")?.remove();
    if (!heads.length) scores.append(nothingTaught());
    for (const event of events) event.row = null;
    tellEvents();
  }

  function meterOf(head) {
    const value = h("span", { class: "value" });
    const bar = h("div", { class: "meter", role: "meter", "aria-label": head.name, "aria-valuemin": "0" }, h("i", { class: "score" }), h("i", { class: "threshold" }));
    const row = h("li", {}, h("span", { class: "name" }, head.name), value, bar);
    return { row, bar, value, on: head.on, most: 1 };
  }

  // Sets a bar: 0 to 1 as most scores go, and further where a threshold or a score lies beyond.
  function level(name) {
    const meter = meters.get(name);
    const score = newest[name] ?? null;
    meter.most = Math.max(meter.most, meter.on * 1.25, score ?? 0);
    const share = (value) => String(Math.min(1, Math.max(0, value / meter.most)));
    meter.bar.style.setProperty("--score", share(score ?? 0));
    meter.bar.style.setProperty("--on", share(meter.on));
    meter.row.classList.toggle("over", score !== null && score >= meter.on && !meter.why);
    meter.row.classList.toggle("off", Boolean(meter.why));
    const text = meter.why || (score === null ? words.likeness.silent : score.toFixed(2));
    setText(meter.value, text);
    meter.bar.setAttribute("aria-valuemax", String(meter.most));
    meter.bar.setAttribute("aria-valuenow", String(Math.max(0, score ?? 0)));
    meter.bar.setAttribute("aria-valuetext", words.likeness.bar(text, meter.on.toFixed(2)));
  }

  function signatures(batch) {
    if (!ribbon.add(batch)) return;
    for (const [name, values] of Object.entries(batch.scores)) newest[name] = values.at(-1);
    if (visible) for (const name of meters.keys()) level(name);
  }

  function event(one) {
    ribbon.mark(one);
    const [fromMs, toMs] = [one.start_ns / 1e6, one.end_ns / 1e6];
    if (one.phase === "began") (since.delete(one.head), holds(one.head, fromMs));
    if (one.phase === "ended") holds(one.head, undefined);
    const known = events.find((other) => other.head === one.head && Math.abs(other.fromMs - fromMs) < 1);
    if (known?.phase === one.phase || known?.phase === "ended") return;
    if (known) Object.assign(known, { phase: one.phase, toMs, score: one.score, row: null });
    else events.unshift({ head: one.head, phase: one.phase, fromMs, toMs, score: one.score, row: null });
    events.sort((a, b) => b.fromMs - a.fromMs).splice(EVENTS);
    tellEvents();
    if (visible && Date.now() - toMs < FRESH_MS) say(words.events.said(one));
  }

  function tellEvents() {
    if (!events.length) return put(list, h("li", { class: "muted" }, words.events.none));
    for (const one of events) one.row ??= rowOf(one);
    if ([...list.children].some((row, at) => row !== events[at]?.row) || list.children.length !== events.length) {
      list.replaceChildren(...events.map((one) => one.row));
    }
  }

  function rowOf({ head, phase, fromMs, toMs, score }) {
    const may = latest.heads?.find((one) => one.name === head)?.may ?? [];
    const button = h("button", { class: "button", type: "button", "aria-label": words.events.notThisOf(head, format.clock(fromMs)) }, words.events.notThis);
    button.addEventListener("click", () => notThis(head, Math.round(fromMs), Math.round(toMs), button));
    return h(
      "li",
      { class: "line", "data-errors": "" },
      h(
        "div",
        {},
        h("p", {}, h("strong", {}, head), " ", phase === "began" ? h("span", { class: "chip on" }, words.events.holds) : null),
        h("p", { class: "muted small" }, words.events.details(format.clock(fromMs), phase === "began" ? null : (toMs - fromMs) / 1000, score)),
      ),
      phase !== "began" && may.includes("improve") ? button : null,
    );
  }

  function told(status) {
    const hello = latest.hello;
    put(trouble, troubles(hello, status).map(notice));
    panel.classList.toggle("stored", hello?.live === false);
    if (!status) return;
    for (const head of status.heads ?? []) {
      const began = head.last?.phase === "began" ? Date.parse(head.last.when) : null;
      if (head.holds != null) holds(head.name, head.holds ? (since.get(head.name) ?? began) : undefined);
    }
    if (visible) put(facts, factsOf(status));
  }

  function tellInWords() {
    const over = [...meters].filter(([name, meter]) => !meter.why && newest[name] != null);
    const likest = over.sort(([a, one], [b, other]) => newest[b] / other.on - newest[a] / one.on)[0];
    setText(
      inWords,
      words.ribbon.words({
        ...ribbon.summary(),
        states: [...since.keys()],
        likest: likest && { name: likest[0], over: newest[likest[0]] >= likest[1].on },
      }),
    );
  }

  listen("hello", (hello) => {
    ribbon.shaped(hello);
    told(latest.status);
  });
  listen("signatures", signatures);
  listen("heads", judged);
  listen("event", event);
  listen("status", told);
  tellEvents();
  states();
  setInterval(() => visible && tellInWords(), WORDS_MS);

  return {
    shown() {
      visible = true;
      ribbon.start();
      told(latest.status);
      setTimeout(tellInWords, 1000);
    },
    hidden() {
      visible = false;
      ribbon.stop();
    },
  };
}

function legend() {
  const { legend: each, about } = words.ribbon;
  const ramp = h("span", {}, each.low, h("i", { class: "key ramp" }), each.high);
  const key = (name) => h("span", {}, h("i", { class: `key ${name}` }), each[name]);
  return h("div", { class: "legend" }, h("p", {}, about), h("p", { class: "keys" }, ramp, key("rest"), key("bridged"), key("gap")));
}

function nothingTaught() {
  return h("div", { class: "empty" }, h("p", {}, words.likeness.none), h("a", { class: "button primary", href: "#teach" }, words.likeness.teach));
}

// What is wrong, or not there yet, each with what to do.
function troubles(hello, status) {
  if (hello?.live === false) return [words.trouble.noSensor];
  if (!status) return hello ? [words.trouble.starting] : [];
  const { sensor, sink } = status;
  return [
    sensor.state === "missing" && (sensor.error || status.uptime_s > 5 ? words.trouble.missing(sensor.name, sensor.error) : words.trouble.starting),
    sensor.state === "silent" && words.trouble.silent(sensor.silent_s),
    sensor.trouble && words.trouble.doubt(sensor.trouble),
    !sink.well && words.trouble.sink(sink.last_error),
    status.heads_error && words.trouble.heads(status.heads_error),
  ].filter(Boolean);
}

function notice({ title, text, command }) {
  return h("div", { class: "notice trouble" }, h("p", {}, title), h("p", {}, text), command ? h("code", { class: "command" }, command) : null);
}

function factsOf(status) {
  const { sensor, sink, model } = status;
  const name = words.device;
  const here = sensor.state !== "missing";
  const error = status.last_error;
  return [
    [name.sensor, here ? sensor.name : name.noSensor],
    here && [name.rate, name.rateOf(sensor.true_rate_hz)],
    here && [name.gaps, name.gapsOf(sensor.gaps)],
    [name.quality, name.qualityOf(status.signal_quality)],
    [name.backlog, name.backlogOf(sink.pending)],
    [name.encoder, name.encoderOf(model.name, status.device)],
    [name.since, format.when(Date.parse(status.since))],
    status.clock_is_set === false && [name.clock, name.unsetClock],
    error && [name.error, name.errorOf(error.text, format.when(Date.parse(error.when)), error.over)],
  ]
    .filter(Boolean)
    .map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)));
}
