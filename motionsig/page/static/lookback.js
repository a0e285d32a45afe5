// The view "Look back": strips with what the heads told then and would tell now.

import { ask, headOf, latest, listen } from "./api.js";
import { asking, button, dark, h, icon, select, setText, why } from "./dom.js";
import { improving } from "./improve.js";
import { colours, drawStrip, numberOf, shape } from "./marks.js";
import { RANGES, fromField, oddHours, toField } from "./spans.js";
import { format, texts } from "./texts.js";

const t = texts.lookback;
const TOUCH = 24; // px that a finger may miss by
const DRAG = 8; // px: a touch chooses a stretch
const SOON_MS = 1500; // chosen around a touched moment
const ROWS = 400; // events of the list
const MOST_ALIKE = 20;
const NOW_MS = 20_000; // so often the line of now moves on
const LANES = { hour: 18, day: 24, week: 15 }; // pixels

export function create(panel) {
	let range = "week";
	const newest = () => latest.hello?.newest_ms ?? Date.now();
	let first = RANGES.week.first(newest());
	let heads = [];
	let hides = new Map(); // by name whether it is hidden; null: whether all others are
	let answer = null;
	let chosen = null; // {from_ms, to_ms, head, event}; event: null for a stretch
	let like = []; // windows that are like the chosen one
	let asked = 0; // number of the question whose answer is waited for
	let visible = false;
	let drawnAt = 0;

	const title = h("h3.range");
	const step = (label, by, text) => button(text, () => go(by), ".quiet.icon-only.step", { "aria-label": label });
	const next = step(t.next, 1, "›");
	const kinds = Object.keys(RANGES).map((name) => button(t.ranges[name], () => look(name, centre())));
	const chips = h("div.actions.heads-shown", { role: "group", "aria-label": texts.heads.tab });
	const state = h("p.muted.small", { role: "status" });
	const bar = h("div.progress", { role: "progressbar", "aria-label": t.progress });
	const strips = h("div.strips", { "aria-hidden": "true" });
	const details = h("section.card.chosen", { "aria-label": t.chosen, tabindex: "-1" });
	const list = h("section.card.events");
	const key = (sign, text) => h("span", sign, text);
	panel.append(
		h("h2", t.tab),
		h(
			"div.tools",
			h("div.actions", { role: "group", "aria-label": t.range }, kinds),
			h("div.steps", step(t.previous, -1, "‹"), title, next),
			button(t.now, () => look(range, newest())),
		),
		h(
			"div.beside",
			h(
				"div.card",
				chips,
				h("div.progress-place", bar),
				state,
				strips,
				h(
					"p.legend",
					key(shape(0), t.told),
					key(shape(0, { told: false }), t.would),
					key(shape(0, { now: false }), t.wouldNot),
					key(h("i.key.moving"), t.moving),
					key(h("i.key.missing"), t.gap),
				),
			),
			details,
		),
		list,
	);
	new ResizeObserver(() => visible && strips.clientWidth !== drawnAt && draw()).observe(strips);
	dark.addEventListener("change", () => visible && draw());
	setInterval(() => visible && draw(), NOW_MS);
	listen("heads", (value) => {
		const names = (some) => some.map(({ name }) => name).join();
		const changed = names(heads) !== names(value);
		heads = value;
		heads.forEach(({ name }) => numberOf(name));
		if (!visible || !changed) return;
		showDetails();
		refresh({ keep: true });
	});
	listen("event", take);
	listen("hello", ({ newest_ms: ms }) => visible && ms && ms < first && look(range, ms));

	const end = () => RANGES[range].strips(first).at(-1)[1];
	const until = () => Math.min(end(), Date.now());
	const names = () => [...new Set([...heads, ...(answer?.heads ?? [])].map(({ name }) => name))];
	const isHidden = (name) => hides.get(name) ?? hides.get(null);
	const shown = () => (answer?.heads ?? heads.map(({ name }) => ({ name, events: [] }))).filter(({ name }) => !isHidden(name));

	// What to look at in another range.
	const centre = () => chosen?.from_ms ?? end() - 1;

	function go(by) {
		first = RANGES[range].go(first, by);
		refresh();
	}

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
			if (chosen && (chosen.to_ms < first || chosen.from_ms >= end())) chosen = null;
			showDetails();
			setText(state, t.looking);
		}
		bar.hidden = strips.hidden = false;
		show();
		try {
			const got = await ask("lookback", { since_ms: first, until_ms: until(), heads: null });
			if (mine !== asked) return;
			answer = got;
			const count = got.heads.reduce((sum, { events }) => sum + events.length, 0);
			setText(state, got.covered.some(Boolean) ? t.found(count) : t.nothing);
		} catch (error) {
			const text = why(error);
			if (mine !== asked) return;
			strips.hidden = !answer;
			setText(state, text);
		}
		bar.hidden = true;
		const began = performance.now();
		show();
		performance.measure("lookback-draw", { start: began });
	}

	function show() {
		setText(title, t.title_of[range](first, end() - 1));
		next.disabled = end() - 1 > Date.now();
		Object.keys(RANGES).forEach((name, i) => kinds[i].setAttribute("aria-pressed", String(name === range)));
		showChips();
		draw();
		showList();
	}

	function showChips() {
		const chip = (name, index) => {
			const toggle = () => {
				hides.set(name, !isHidden(name));
				show();
				chips.children[index].focus();
			};
			const act = button(shape(numberOf(name)), toggle, ".toggle", { "aria-pressed": String(!isHidden(name)) });
			const events = answer?.heads.find((head) => head.name === name)?.events;
			act.append(name, events ? h("span.muted", format.number(events.length)) : "");
			return act;
		};
		chips.replaceChildren(...names().map(chip));
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
			shown: shown().map(({ name, events }) => ({ number: numberOf(name), events })),
			lane: LANES[range],
			like,
			chosen: chosen && [chosen.from_ms, chosen.to_ms],
			now: answer ? Date.now() : 0, // nothing is known before
			colour: colours(),
		};
		const name = { week: format.day, day: () => "", hour: format.minute }[range];
		parts.forEach((span, index) => {
			const [label, canvas, hours] = strips.children[index].children;
			const ticks = RANGES[range].ticks(span[0]);
			setText(label, oddHours(span) ? t.odd(format.day(span[0]), oddHours(span)) : name(span[0]));
			canvas.span = { from: span[0], scale };
			canvas.places = drawStrip(canvas, { span, ticks, ...common });
			hours.hidden = range === "hour" || index < parts.length - 1;
			const text = (at) => {
				const hour = h("span", format.minute(at));
				hour.style.left = `${((at - span[0]) / scale) * 100}%`;
				return hour;
			};
			if (!hours.hidden) hours.replaceChildren(...ticks.map(text));
		});
	}

	function makeStrip() {
		let down = null;
		let dragged = false; // a click follows a drag of a mouse
		const seen = () => canvas.parentElement.scrollIntoView({ block: "nearest" }); // also on a phone, above what came up
		const at = (event) => {
			const box = canvas.getBoundingClientRect();
			const x = Math.max(0, Math.min(box.width, event.clientX - box.left));
			return { x, y: event.clientY - box.top, ms: canvas.span.from + (x / box.width) * canvas.span.scale };
		};
		const canvas = h("canvas", {
			onpointerdown: (event) => {
				if (event.button || !answer) return;
				down = at(event);
				canvas.setPointerCapture(event.pointerId);
			},
			onpointermove: (event) => {
				if (!down) return;
				const to = at(event);
				if (!down.drags && Math.abs(to.x - down.x) < DRAG) return;
				down.drags = true;
				chosen = { from_ms: Math.min(down.ms, to.ms), to_ms: Math.max(down.ms, to.ms) };
				draw();
			},
			onpointerup: () => {
				dragged = down?.drags;
				down = null;
				if (!dragged) return;
				choose(chosen);
				seen();
			},
			onpointercancel: () => (down = null),
			// Not at "pointerup": what is chosen comes up under the finger, and would get the click.
			onclick: (event) => {
				if (dragged || !answer) return;
				const here = at(event);
				const far = ({ x0, x1, y }) => Math.hypot(Math.max(x0 - here.x, 0, here.x - x1), (y - here.y) / 2);
				const near = canvas.places.reduce((best, place) => (!best || far(place) < far(best) ? place : best), null);
				const around = Math.max(SOON_MS, canvas.span.scale / canvas.clientWidth);
				if (near && far(near) <= TOUCH) chooseEvent(near.event);
				else choose({ from_ms: here.ms - around, to_ms: here.ms + around });
				seen();
			},
		});
		return h("div.strip", h("span.when"), canvas, h("div.hours"));
	}

	function chooseEvent(event) {
		const head = answer.heads.find(({ events }) => events.includes(event)).name;
		choose({ from_ms: event.from_ms, to_ms: event.to_ms, head, event });
	}

	function choose(one) {
		chosen = one;
		like = [];
		showDetails();
		draw();
	}

	function shut() {
		choose(null);
		details.focus({ preventScroll: true });
	}

	function showDetails() {
		details.classList.toggle("open", Boolean(chosen));
		if (!chosen) return details.replaceChildren(h("p.muted.small", t.howTo), stretch());
		const { from_ms, to_ms, head, event } = chosen;
		const able = heads.filter((one) => one.may.includes("improve")).map(({ name }) => name);
		const others = able.filter((name) => name !== head);
		const which = select({ "aria-label": t.which }, others.map((name) => [name]));
		const improve = (text, verb, name) =>
			improving(text, verb, name, from_ms, to_ms, { done: () => refresh({ keep: true }) });
		const found = h("div.alike");
		const close = button(icon("close"), shut, ".quiet.icon-only", { "aria-label": t.close });
		const known = headOf(head);
		const notThis = able.includes(head)
			? improve(t.notThis(head), "not_this", () => head)
			: h("p.muted.small", known ? t.notYours(head) : t.isGone(head));
		details.replaceChildren(
			h("header", event && shape(numberOf(head), event), h("h3", head ?? t.stretch), close),
			h("p", t.lasted(from_ms, (to_ms - from_ms) / 1000)),
			event ? h("p", t.judged(event, known)) : "",
			h(
				"div.field",
				event && notThis,
				others.length > 0 && h("div.pair", which, improve(t.thisToo, "this_too", () => which.value)),
			),
			h("div.field", asking(t.alike, () => showAlike(found))),
			found,
			event ? "" : stretch(),
		);
	}

	function stretch() {
		const input = (ms) => h("input.input", { type: "datetime-local", step: "1", required: true, value: toField(ms) });
		const from = input(chosen?.from_ms ?? until() - 10_000);
		const to = input(chosen?.to_ms ?? until());
		const wrong = h("p.error", { role: "alert" });
		const submit = (event) => {
			event.preventDefault();
			const [from_ms, to_ms] = [from, to].map(({ value }) => fromField(value));
			const outside = from_ms < first || from_ms >= end();
			setText(wrong, from_ms < to_ms ? "" : t.wrongOrder);
			if (wrong.textContent) return;
			choose({ from_ms, to_ms });
			if (outside) look(range, from_ms);
			details.focus();
		};
		const field = (text, input) => h("label.field", text, input);
		const form = h("form.field", { onsubmit: submit }, field(t.from, from), field(t.to, to), button(t.choose), wrong);
		return h("details", h("summary", t.chooseStretch), form);
	}

	async function showAlike(place) {
		const mine = chosen;
		const { from_ms, to_ms } = mine;
		const stretch = { from_ms: Math.floor(from_ms), to_ms: Math.ceil(to_ms), since_ms: first, until_ms: until() };
		const status = h("p.muted.small", { role: "status" }, t.searching);
		place.replaceChildren(status);
		const { windows } = await ask("alike", { ...stretch, most: MOST_ALIKE }).catch((error) => {
			place.replaceChildren();
			throw error;
		});
		if (mine !== chosen) return;
		like = windows;
		draw();
		setText(status, t.alikeFound(windows.length));
		const row = ({ from_ms, to_ms, likeness, labels }) => {
			const press = () => {
				choose({ from_ms, to_ms });
				like = windows;
				draw();
			};
			const when = `${format.day(from_ms)}, ${format.clock(from_ms)}`;
			return h("li", rowOf(press, h("b", when), h("span.muted", t.likeness(likeness, labels))));
		};
		place.append(h("ol", windows.map(row)));
	}

	const rowOf = (press, ...parts) => h("button.row", { type: "button", onclick: press }, ...parts);

	// The same as the strips, in words.
	function showList() {
		const events = shown()
			.flatMap(({ name, events: some }) => some.map((event) => ({ name, event })))
			.sort((a, b) => b.event.from_ms - a.event.from_ms);
		const items = [];
		const listed = events.slice(0, ROWS);
		let day = "";
		for (const { name, event } of listed) {
			if (format.date(event.from_ms) !== day) {
				day = format.date(event.from_ms);
				items.push(h("h4.muted.small", day), h("ol"));
			}
			const press = () => {
				chooseEvent(event);
				details.focus();
			};
			const parts = [h("b", format.clock(event.from_ms)), name, h("span.muted", t.row(event, headOf(name)))];
			items.at(-1).append(h("li", rowOf(press, shape(numberOf(name), event), ...parts)));
		}
		list.hidden = !events.length;
		list.replaceChildren(h("h3", t.events(events.length, listed.length)), ...items);
	}
	function take({ head, start_ns, end_ns, score, phase }) {
		const one = answer?.heads.find(({ name }) => name === head);
		const from_ms = start_ns / 1e6;
		if (!visible || !one || phase === "began" || from_ms >= end()) return;
		one.events.push({ from_ms, to_ms: end_ns / 1e6, score, phase, told: true, now: true });
		show();
	}

	showDetails();
	return {
		// head: only its events. range: hour, day or week. Both may be missing.
		shown(parameters) {
			const [head, kind] = ["head", "range"].map((name) => parameters.get(name));
			const isFirst = !visible && !answer;
			visible = true;
			if (head) hides = new Map([[head, false], [null, true]]);
			if (head || kind || isFirst) look(kind in RANGES ? kind : range, newest());
			else refresh({ keep: true });
		},
		hidden() {
			visible = false;
		},
	};
}
