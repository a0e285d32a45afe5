// The view "Live".

import { headOf, latest, listen } from "./api.js";
import { card, h, line, notice, put, say, set, setText } from "./dom.js";
import { improving } from "./improve.js";
import { createRibbon } from "./ribbon.js";
import { texts } from "./texts.js";

const EVENTS = 6;
const WORDS_MS = 15_000;
const FRESH_MS = 15_000; // an event that is older comes from a feed that was resumed, and is not said

const words = texts.live;

export function create(panel) {
	const canvas = h("canvas", { role: "img", "aria-label": words.ribbon.label, "aria-describedby": "ribbon-words" });
	const ribbon = createRibbon(canvas);
	const inWords = h("p.unseen#ribbon-words");
	const trouble = h("div.troubles");
	const readout = h("div.readout");
	const bars = h("ul.likeness");
	const list = h("ul.rows");
	const device = h("dl.facts");
	const parts = [h("span.part", words.ribbon.motion), h("span.part.posture", words.ribbon.posture)];
	const key = (name) => h("span", h(`i.key.${name}`), words.ribbon.legend[name]);
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
			h("p.legend", h("span", low, h("i.key.ramp"), high), ["rest", "bridged", "gap"].map(key)),
		),
		h(
			"div.columns",
			card(words.likeness.title, h("p.muted.small", words.likeness.about), bars),
			card(words.events.title, list),
		),
		card(words.device, device),
	);

	let visible = false;
	const since = new Map(); // states that hold: when they began, in ms, or null where nobody told
	const events = []; // newest first; a state is one, from its beginning to its end
	const meters = {};
	const newest = {};

	function states() {
		const held = [...since].map(([name, from]) => {
			const { off, hold_s: seconds } = headOf(name) ?? {};
			const holds = from && words.now.holds(from, (Date.now() - from) / 1000);
			const pauses = newest[name] < off && words.now.pauses(seconds);
			return h("p", h("strong", name), " ", h("span.muted", [holds, pauses].filter(Boolean).join("; ")));
		});
		put(readout, held.length ? held : h("p.muted", words.now.none));
	}

	function judged(heads) {
		bars.replaceChildren(...heads.map(({ name }) => (meters[name] ??= makeMeter(name)).element));
		for (const head of heads) meters[head.name].show(head, newest[head.name]);
		tellEvents();
	}

	function signatures(batch) {
		ribbon.add(batch);
		for (const [name, values] of Object.entries(batch.scores)) newest[name] = values.at(-1);
		if (visible) for (const head of latest.heads ?? []) meters[head.name]?.show(head, newest[head.name]);
	}

	function event(one) {
		const { head, phase, score } = one;
		ribbon.mark(one);
		const [fromMs, toMs] = [one.start_ns / 1e6, one.end_ns / 1e6];
		const at = events.findIndex((other) => other.head === head && Math.abs(other.fromMs - fromMs) < 1);
		if (at >= 0 && [phase, "ended"].includes(events[at].phase)) return;
		if (at >= 0) events.splice(at, 1);
		events.push({ head, phase, fromMs, toMs, score });
		events.sort((a, b) => b.fromMs - a.fromMs).splice(EVENTS);
		tellEvents();
		if (visible && Date.now() - toMs < FRESH_MS) say(words.events.said(one));
	}

	// The row of an event stays as long as what it says, with what was said beside it.
	function tellEvents() {
		for (const one of events) {
			const may = headOf(one.head)?.may.includes("improve") && one.phase !== "began";
			if (!one.row || one.may !== may) Object.assign(one, { may, row: rowOf(one, may) });
		}
		const rows = events.length ? events.map(({ row }) => row) : [h("li.muted", words.events.none)];
		if (rows.some((row, at) => row !== list.children[at])) list.replaceChildren(...rows);
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
		const held = (status.heads ?? []).filter((head) => head.holds);
		for (const name of since.keys()) {
			if (held.some((head) => head.name === name)) continue;
			since.delete(name);
			ribbon.unmark(name); // though no event told its end, as after a restart
		}
		for (const { name, last } of held) {
			if (since.get(name) != null) continue;
			const from = last?.phase === "began" ? Date.parse(last.when) : null;
			since.set(name, from);
			if (from) ribbon.mark({ head: name, phase: "began", start_ns: from * 1e6 });
		}
		states();
		if (visible) put(device, words.facts(status).filter(Boolean).map(factOf));
	}

	const tellInWords = () => setText(inWords, words.ribbon.words(ribbon.summary()));

	listen("hello", (hello) => {
		ribbon.shaped(hello);
		told(latest.status);
	});
	listen("signatures", signatures);
	listen("heads", judged);
	listen("event", event);
	listen("status", told);
	tellEvents();
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

const factOf = ([term, value]) => h("div", h("dt", term), h("dd", value));

function makeMeter(name) {
	const value = h("span.value");
	const bar = h("div.bar", { role: "meter", "aria-label": name, "aria-valuemin": "0" }, h("i.score"), h("i.threshold"));
	const element = h("li.meter", h("span.name", name), value, bar);
	let most = 1; // 0 to 1 as most scores go, and further where the level or a score lies beyond
	function show({ on, paused, judges }, score) {
		const why = paused ? words.likeness.paused : judges ? "" : words.likeness.idle;
		const text = why || (score == null ? words.likeness.silent : score.toFixed(2));
		const known = Math.max(0, score ?? 0);
		most = Math.max(most, 1.25 * on, known);
		bar.style.setProperty("--score", known / most);
		bar.style.setProperty("--on", Math.max(0, on) / most);
		element.classList.toggle("over", known >= on && !why);
		element.classList.toggle("off", Boolean(why));
		setText(value, text);
		set(bar, "aria-valuemax", most);
		set(bar, "aria-valuenow", known);
		set(bar, "aria-valuetext", words.likeness.bar(text, on));
	}
	return { element, show };
}
