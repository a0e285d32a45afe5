// The view "Teach". The lesson is the service's.

import { ask, change, headOf, latest, listen } from "./api.js";
import { asking, button, confirmed, h, input, notice, pressed, put, say, select, setText, why } from "./dom.js";
import { texts } from "./texts.js";

const t = texts.teach;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/; // as the service has it
const TIMES = 3; // performances, after which a lesson says that it is enough
const WEEK_MS = 7 * 86400e3;

const keptOf = ({ performances }) => performances.filter(({ kept }) => kept).length;

export function create(panel) {
	let lesson = null;
	let was = null; // the head of the lesson's name, before the lesson
	let ended = null; // the lesson that is over, until it is known what came of it
	let result = null; // {head, counter}: what came of the last lesson

	const form = makeForm(start);
	const course = makeCourse(end);
	const outcome = makeOutcome((name) => start(name, "counter", true), again);
	const stored = h("div.view", notice(texts.live.trouble.noSensor), h("p", t.stored));
	panel.append(h("h2", t.title), stored, form.element, course.element, outcome.element);
	listen("hello", show);
	listen("lesson", take);
	listen("heads", (heads) => {
		form.heads(heads);
		settle();
	});
	listen("event", (event) => outcome.event(event));
	show();
	return { shown: (parameters) => form.choose(parameters.get("better")) };

	async function start(name, what, better) {
		take(await change("lesson.begin", { name, for: what, times: TIMES, better }));
		course.focus();
	}

	async function end(save) {
		const over = lesson;
		try {
			const head = await change("lesson.end", { save });
			ended = lesson = null;
			result = head && resultOf(over, head);
		} catch (error) {
			if (error.kind !== "nothing") throw error;
			take(null); // another window was first
		}
		show();
		(result ? outcome : form).focus();
	}

	function again() {
		result = null;
		show();
		form.focus();
	}

	function take(value) {
		const before = lesson;
		lesson = value;
		if (value) {
			ended = result = null;
			if (before?.id !== value.id) was = headOf(value.name);
			course.update(value, before?.id === value.id ? before : null);
		} else if (before) {
			ended = before;
			settle();
		}
		show();
	}
	function settle() {
		const head = ended && headOf(ended.name);
		const same = (key) => head[key] === was?.[key];
		if (!head || (same("examples") && same("counter_examples"))) return;
		result = resultOf(ended, head);
		say(t.endedElsewhere(ended.name));
		ended = null;
		show();
	}

	function show() {
		const teaches = latest.hello?.live !== false;
		stored.hidden = teaches;
		form.element.hidden = Boolean(!teaches || lesson || result);
		course.element.hidden = !lesson;
		outcome.element.hidden = Boolean(lesson || !result);
		if (result && !lesson) outcome.show(result);
	}
}

// counter: how many counter-examples there were in the lesson, or null where it was of examples.
const resultOf = (lesson, head) => ({ head, counter: lesson.for === "counter" ? keptOf(lesson) : null });

function makeForm(start) {
	const id = "teach-name";
	const name = input({ id, placeholder: t.placeholder, oninput: typed, "aria-describedby": `${id}-hint` });
	const hint = h("p.hint#teach-name-hint", { "aria-live": "polite" }, t.nameHint);
	const begin = button(t.begin, null, ".primary");
	const form = h(
		"form.card.field",
		{ novalidate: true, onsubmit: submit },
		h("label", { for: id }, t.name),
		name,
		hint,
		h("div.actions", begin),
	);
	const which = select({ id: "teach-better" }, []);
	const improve = (what) => asking(t.betterHow[what], () => start(which.value, what, true));
	const better = h(
		"div.card.field",
		h("h3", t.betterTitle),
		h("label", { for: "teach-better" }, t.betterWhich),
		which,
		h("div.actions", improve("examples"), improve("counter")),
	);

	function wrong(value) {
		if (!value) return t.nameMissing;
		if (!NAME.test(value)) return t.nameWrong;
		return headOf(value) ? t.nameTaken(value) : "";
	}

	function check(asked) {
		const value = name.value.trim();
		const text = value || asked ? wrong(value) : "";
		setText(hint, text || t.nameHint);
		hint.classList.toggle("error", Boolean(text));
		name.setAttribute("aria-invalid", String(Boolean(text)));
		return !text;
	}

	// A space is what people type; what the service takes in its place is offered as they type.
	function typed() {
		if (/\s/.test(name.value)) name.value = name.value.replace(/\s/g, "_");
		check(false);
	}

	function submit(event) {
		event.preventDefault();
		if (!check(true)) return name.focus();
		pressed(begin, async () => {
			await start(name.value.trim(), "examples", false);
			name.value = "";
		});
	}

	return {
		element: h("div.columns.tops", form, better),
		focus: () => name.focus(),
		choose(head) {
			if (!head) return;
			which.value = head;
			which.focus();
		},
		heads(heads) {
			const able = heads.filter(({ may }) => may.includes("improve"));
			const before = which.value;
			better.hidden = !able.length;
			put(which, able.map((head) => h("option", { value: head.name }, head.name)));
			if (able.some((head) => head.name === before)) which.value = before;
			check(false);
		},
	};
}

function makeCourse(end) {
	const doing = h("h3.doing", { tabindex: "-1" });
	const how = h("p");
	const said = h("p.notice");
	const cards = h("ol.performances.rows", { "aria-label": t.performances });
	const enough = asking("", () => end(true), ".primary");
	const forget = button(t.forget, forgetIt, ".quiet");
	const element = h("div.card.course", doing, how, said, cards);
	let shown = null;
	element.append(h("div.actions", enough, forget));

	async function forgetIt() {
		const sure = !keptOf(shown) || (await confirmed(t.forgetTitle(shown.name), "", t.forget));
		if (sure) pressed(forget, () => end(false));
	}

	function cardOf(one) {
		const { number, kept } = one;
		const text = kept ? t.drop : t.keep;
		const act = () => change(kept ? "lesson.drop" : "lesson.keep", { number });
		return h(
			`li.line.performance${kept ? ".kept" : ".muted"}`,
			{ "data-number": number },
			h("div", h(kept ? "strong" : "p", t.performed(one)), h("p.muted.small", t.judged(one))),
			one.may_keep !== false && asking(text, act, ".quiet", { "aria-label": t.which(text, number) }),
		);
	}

	return {
		element,
		focus: () => doing.focus(),
		// before: the same lesson as it was, or null where it is new to this tab.
		update(value, before) {
			const { state, performances } = (shown = value);
			const kept = keptOf(value);
			setText(doing, t.doing[state](value));
			setText(how, t.how[state](value, kept));
			element.dataset.state = state;
			said.hidden = !value.said;
			setText(said, value.said ?? "");
			const number = document.activeElement.closest(".performance")?.dataset.number;
			put(cards, performances.map(cardOf).reverse()); // the newest on top: there the eye is
			if (number) cards.querySelector(`[data-number="${number}"] button`)?.focus();
			setText(enough, t.enough(kept));
			enough.hidden = !kept;
			const fresh = before ? performances.slice(before.performances.length) : [];
			const news = fresh.map((one) => t.said(one, kept, value.times));
			if (value.said && value.said !== before?.said) news.unshift(value.said);
			if (before?.state !== state) news.push(`${doing.textContent}. ${how.textContent}`);
			if (news.length) say(news.join(" "));
			// What follows is one press away, also for a keyboard.
			const reached = before && before.state !== "enough" && state === "enough";
			if (reached && !cards.contains(document.activeElement)) enough.focus();
		},
	};
}

function makeOutcome(counter, again) {
	const title = h("h3", { tabindex: "-1" });
	const facts = h("ul.facts");
	const week = h("div.actions.week");
	const told = h("p.told", { "aria-live": "polite" });
	const against = asking(t.betterHow.counter, () => counter(shown.head.name));
	let shown = null;
	let count = 0;

	async function lookBack({ name }) {
		const mine = shown;
		const tell = (text, ...more) => mine === shown && put(week, h("p.muted", text), ...more);
		const until_ms = Date.now();
		tell(t.lookingBack);
		try {
			const answer = await ask("lookback", { since_ms: until_ms - WEEK_MS, until_ms, heads: [name] });
			const fires = answer.heads.find((head) => head.name === name)?.would_tell ?? 0;
			tell(t.lastWeek(fires), h("a.button", { href: `#lookback?head=${name}` }, t.show(fires)));
			say(t.lastWeek(fires));
		} catch (error) {
			tell(error.kind === "nothing" ? t.noStore : why(error));
		}
	}

	return {
		element: h("div.card.outcome", title, facts, week, told, h("div.actions", button(t.another, again, ".primary"), against)),
		focus: () => title.focus(),
		show(result) {
			if (result === shown) return;
			const { head, counter } = (shown = result);
			count = 0;
			setText(told, t.notYet);
			setText(title, t.live(head.name, counter));
			put(facts, t.facts(head, counter).map((line) => h("li", line)));
			lookBack(head);
		},
		event(event) {
			if (event.head !== shown?.head.name || event.phase === "ended") return;
			count += 1;
			setText(told, t.toldNow(count, event.score));
		},
	};
}
