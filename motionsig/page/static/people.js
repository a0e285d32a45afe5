// The view "Access", and the way in for a browser without a session.

import { endSession, pair, session } from "./api.js";
import { button, card, confirmed, h, input, line, pressed, put, say, why } from "./dom.js";
import { texts } from "./texts.js";

const command = (text) => h("code.command", text);

export function create(panel) {
	const words = texts.people;
	const list = h("ul.rows");
	const all = button(words.endAll, endAll, ".danger");
	const more = [h("p", words.moreText), command(texts.pair.command), h("p", words.networkText), command(words.network)];
	panel.append(
		h("h2", words.tab),
		h(
			"div.columns.tops",
			card(words.browsers, list, h("div.actions", all)),
			h("div.view", card(words.more, more), card(words.never, h("p", words.neverText))),
		),
	);

	async function endAll() {
		if (await confirmed(words.endAll, words.endAllText, words.endAll)) pressed(all, () => end("all"));
	}

	async function end(id) {
		await endSession(id);
		say(texts.pair.ended);
		await fresh();
	}

	async function fresh() {
		try {
			const { sessions } = await session();
			all.hidden = sessions.length < 2;
			list.replaceChildren(...sessions.map(row));
		} catch (error) {
			if (error.status !== 401) put(list, h("li", why(error)));
		}
	}

	function row({ id, began, seen, browser, mine }) {
		const label = { "aria-label": words.endOf(browser, mine) };
		const sure = () => !mine || confirmed(words.endOf(browser, mine), words.leaveText, words.leave);
		const act = button(mine ? words.leave : words.end, async () => (await sure()) && pressed(act, () => end(id)), "", label);
		return line(browser, mine && words.mine, words.times(began, seen), act);
	}

	return { shown: fresh };
}

export const refusal = (error) => (error.status === 403 ? texts.pair.wrong : why(error));
export function ask(panel, said, entered) {
	const words = texts.pair;
	const code = input({
		id: "code",
		maxlength: null,
		autocomplete: "one-time-code",
		"aria-describedby": "code-hint",
	});
	const wrong = h("p.error#code-error", { role: "alert" }, said);
	const form = h(
		"form.field",
		{ novalidate: true, onsubmit: submit },
		h("label", { for: "code" }, words.code),
		code,
		h("p.hint#code-hint", words.hint),
		wrong,
		h("div.actions", button(words.act, null, ".primary")),
	);

	async function submit(event) {
		event.preventDefault();
		const typed = code.value.trim().replace(/^.*#pair=/, ""); // a whole link is taken, too
		try {
			if (typed) await pair(typed);
			wrong.textContent = typed ? "" : words.empty;
		} catch (error) {
			wrong.textContent = refusal(error);
		}
		code.setAttribute("aria-invalid", String(Boolean(wrong.textContent)));
		if (wrong.textContent) return code.focus();
		say(words.done);
		entered();
	}

	panel.replaceChildren(
		h(
			"div.card.way-in",
			h("h2", words.title),
			h("p.muted", words.why),
			h("ol.stages", h("li", h("p", words.steps[0]), command(words.command)), h("li", h("p", words.steps[1]), form)),
		),
	);
}
