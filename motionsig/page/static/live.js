// The view "Live": the ribbon, what holds now, the likeness to each head, the last events, and what the service tells of itself.

import { latest, listen } from "./api.js";
import { card, facts, h, line, put, say, setText } from "./dom.js";
import { improving } from "./improve.js";
import { makeMeter } from "./meter.js";
import { createRibbon } from "./ribbon.js";
import { format, texts } from "./texts.js";

const EVENTS = 6;
const WORDS_MS = 15_000; // so often the ribbon is put into words
const FRESH_MS = 15_000; // an event that is older comes from a feed that was resumed, and is not said

const words = texts.live;

export function create(panel) {
  const canvas = h("canvas", { role: "img", "aria-label": words.ribbon.label, "aria-describedby": "ribbon-words" });
  const ribbon = createRibbon(canvas);
  const inWords = h("p.unseen#ribbon-words");
  const trouble = h("div.troubles");
  const readout = h("div.readout");
  const bars = h("ul.likeness");
  const none = h("div.empty", h("p", words.likeness.none), h("a.button.primary", { href: "#teach" }, words.likeness.teach));
  const list = h("ul.rows");
  const device = h("dl.facts");
  const parts = [h("span.part", words.ribbon.motion), h("span.part.posture", words.ribbon.posture)];
  const key = (name, text = words.ribbon.legend[name]) => h("span", h(`i.key.${name}`), text);
  const { low, high } = words.ribbon.legend;
  panel.append(
    h("h2.unseen", words.tab),
    trouble,
    h(
      "section.card.ribbon",
      readout,
      h("div.canvas", canvas, parts),
      inWords,
      h("p.muted.small", words.ribbon.about),
      h("p.legend", h("span", low, h("i.key.ramp"), high), ["rest", "bridged", "gap"].map((name) => key(name))),
    ),
    h(
      "div.columns",
      card(words.likeness.title, h("p.muted.small", words.likeness.about), bars, none),
      card(words.events.title, list),
    ),
    card(words.device.title, device),
  );

  let visible = false;
  const since = new Map(); // by head, of states that hold: when they began, in ms, or null where nobody told
  const events = []; // newest first; a state is one, from its beginning to its end
  const meters = new Map(); // by head
  const newest = {}; // the newest score by head

  // What holds now, as the headline.
  function states() {
    const held = [...since].map(([name, from]) =>
      h("p", h("strong", name), " ", from && h("span.muted", words.now.holds(from, (Date.now() - from) / 1000))),
    );
    const some = latest.heads?.some((head) => head.gives === "state" && !head.paused);
    put(readout, held.length ? held : h("p.muted", some ? words.now.none : words.now.noStates));
  }

  function holds(name, from) {
    if (from === undefined) {
      if (since.delete(name)) ribbon.unmark(name);
    } else if (since.get(name) == null) {
      since.set(name, from);
      if (from !== null) ribbon.mark({ head: name, phase: "began", start_ns: from * 1e6 });
    }
    states();
  }

  function judged(heads) {
    for (const { name, gives, holds: it } of heads) {
      if (gives === "state") holds(name, it ? (since.get(name) ?? null) : undefined);
    }
    const former = new Map(meters);
    meters.clear();
    for (const { name, on, paused, judges } of heads) {
      const meter = former.get(name) ?? makeMeter(h("span.name", name), name);
      meters.set(name, meter);
      meter.of(on, paused ? words.likeness.paused : judges ? "" : words.likeness.idle);
      meter.score(newest[name]);
    }
    bars.replaceChildren(...[...meters.values()].map((meter) => h("li", meter.element)));
    none.hidden = heads.length > 0;
    states();
    tellEvents();
  }

  function signatures(batch) {
    if (!ribbon.add(batch)) return;
    for (const [name, values] of Object.entries(batch.scores)) {
      newest[name] = values.at(-1);
      if (visible) meters.get(name)?.score(newest[name]);
    }
  }

  function event(one) {
    const { head, phase, score } = one;
    ribbon.mark(one);
    const [fromMs, toMs] = [one.start_ns / 1e6, one.end_ns / 1e6];
    if (phase === "began") (since.delete(head), holds(head, fromMs));
    if (phase === "ended") holds(head);
    const at = events.findIndex((other) => other.head === head && Math.abs(other.fromMs - fromMs) < 1);
    if (at >= 0 && [phase, "ended"].includes(events[at].phase)) return;
    events.splice(at < 0 ? 0 : at, at < 0 ? 0 : 1, { head, phase, fromMs, toMs, score });
    events.sort((a, b) => b.fromMs - a.fromMs).splice(EVENTS);
    tellEvents();
    if (visible && Date.now() - toMs < FRESH_MS) say(words.events.said(one));
  }

  // The row of an event stays as long as what it says, with what was said beside it.
  function tellEvents() {
    for (const one of events) {
      const may = latest.heads?.find(({ name }) => name === one.head)?.may.includes("improve") && one.phase !== "began";
      if (!one.row || one.may !== may) Object.assign(one, { may, row: rowOf(one, may) });
    }
    const rows = events.length ? events.map(({ row }) => row) : [h("li.muted", words.events.none)];
    if (rows.length !== list.children.length || rows.some((row, at) => row !== list.children[at])) list.replaceChildren(...rows);
  }

  function rowOf({ head, phase, fromMs, toMs, score }, may) {
    const goesOn = phase === "began";
    const label = { "aria-label": words.events.notThisOf(head, fromMs) };
    const act = may && improving(words.events.notThis, "not_this", () => head, fromMs, toMs, label);
    const details = words.events.details(fromMs, goesOn ? null : (toMs - fromMs) / 1000, score);
    return line(head, goesOn && words.events.holds, details, act);
  }

  function told(status) {
    const hello = latest.hello;
    put(trouble, troubles(hello, status).map(notice));
    panel.classList.toggle("stored", hello?.live === false);
    if (!status) return;
    for (const { name, last, holds: it } of status.heads ?? []) {
      const began = last?.phase === "began" ? Date.parse(last.when) : null;
      if (it != null) holds(name, it ? (since.get(name) ?? began) : undefined);
    }
    if (visible) put(device, facts(factsOf(status)));
  }

  function tellInWords() {
    const able = (latest.heads ?? []).filter(({ name, judges }) => judges && newest[name] != null);
    const [likest] = able.sort((one, other) => newest[other.name] / other.on - newest[one.name] / one.on);
    const over = likest && newest[likest.name] >= likest.on;
    setText(inWords, words.ribbon.words({ ...ribbon.summary(), states: [...since.keys()], likest: likest?.name, over }));
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

// What is wrong, or not there yet, each with what to do.
function troubles(hello, status) {
  const say = words.trouble;
  if (hello?.live === false) return [say.noSensor];
  if (!status) return hello ? [say.starting] : [];
  const { sensor, sink } = status;
  const missing = sensor.error || status.uptime_s > 5 ? say.missing(sensor.name, sensor.error) : say.starting;
  return [
    sensor.state === "missing" && missing,
    sensor.state === "silent" && say.silent(sensor.silent_s),
    sensor.trouble && say.doubt(sensor.trouble),
    !sink.well && say.sink(sink.last_error),
    status.heads_error && say.heads(status.heads_error),
  ].filter(Boolean);
}

const notice = ([title, text, command]) =>
  h("div.notice.trouble", h("p", title), h("p", text), command && h("code.command", command));

function factsOf({ sensor, sink, model, last_error: error, ...status }) {
  const name = words.device;
  const here = sensor.state !== "missing";
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
  ];
}
