// The view "Heads".

import { ask, change, freshHeads, latest, listen } from "./api.js";
import { asking, button, byId, card, confirmed, h, input, pressed, say } from "./dom.js";
import { texts } from "./texts.js";

const MOST_BYTES = 3 << 20; // of a file: as base64 it is a third longer

const words = texts.heads;

export function create(panel) {
	const list = h("div.columns.heads");
	const onchange = () => file.files.length && pressed(open, take);
	const file = h("input.unseen#import", { type: "file", accept: ".zip", tabindex: "-1", "aria-hidden": "true", onchange });
	const open = button(words.import, () => file.click());
	const imports = card(words.importTitle, h("p.muted", words.importText), h("div.actions", open, file));
	panel.append(h("h2", { tabindex: "-1" }, words.tab), list, imports);

	let shown = "";
	let renaming = false; // while a name is typed, the cards are left alone

	function tell(heads) {
		const text = JSON.stringify(heads.map((head) => ({ ...head, holds: null })));
		if (renaming || text === shown) return;
		shown = text;
		const focus = document.activeElement.id;
		list.replaceChildren(...heads.map(cardOf));
		if (focus && !document.activeElement.id) byId(focus)?.focus();
	}

	function cardOf(head) {
		const { name, may } = head;
		const label = (text) => ({ "aria-label": words.of(text, name) });
		const link = (view, text) =>
			h("a.button", { href: `#${view}${encodeURIComponent(name)}`, ...label(text) }, text);
		const verb = (verb, text, make, act, kind = ".quiet") =>
			may.includes(verb) && make(text, act, kind, { id: `${verb}-${name}`, ...label(text) });
		const chip = (text, kind = "") => text && h(`span.chip${kind}`, text);
		const lines = [...head.expectation, words.examples(head)].filter(Boolean).map((line) => h("li", line));
		return h(
			"article.card",
			{ "aria-label": name },
			h(
				"header",
				h("h3", name),
				h(
					"p.actions",
					chip(head.paused ? words.paused : !head.judges && words.idle, ".off"),
					chip(words.gives[head.gives ?? "event"]),
					chip(words.whose[head.whose]),
				),
			),
			head.why_not && h("p.error", words.whyNot(head.why_not)),
			h("ul.small.muted", lines),
			!may.includes("rename") && h("p.muted.small", words.fixed[head.whose]),
			h(
				"div.actions",
				may.includes("improve") && latest.hello?.live && link("teach?better=", words.improve),
				latest.hello?.store && link("lookback?head=", words.show),
				verb("pause", head.paused ? words.resume : words.pause, asking, () => pause(head)),
				verb("rename", words.rename, button, (self) => rename(head, self)),
				verb("export", words.export, asking, () => download(name)),
				verb("remove", words.remove, button, (self) => remove(head, self), ".quiet.danger"),
			),
		);
	}

	async function pause({ name, paused }) {
		await change("pause", { head: name, paused: !paused });
		say(paused ? words.resumed(name) : words.isPaused(name));
		await freshHeads();
	}

	function rename(head, act) {
		const id = `name-${head.name}`;
		const typed = input({ id, value: head.name });
		const save = button(words.save, null, ".primary");
		const end = () => {
			renaming = false;
			form.replaceWith(act);
			act.focus();
			tell(latest.heads);
		};
		const send = async (event) => {
			event.preventDefault();
			const name = typed.value.trim();
			if (name === head.name) return end();
			if (!(await pressed(save, () => change("rename", { head: head.name, name })))) return typed.focus();
			say(words.renamed(name));
			end();
			await freshHeads();
		};
		const form = h(
			"form.field.rename",
			{ novalidate: true, onsubmit: send, onkeydown: (event) => event.key === "Escape" && end() },
			h("label", { for: id }, words.newName),
			typed,
			h("div.actions", save, button(texts.frame.cancel, end)),
		);
		renaming = true;
		act.replaceWith(form);
		typed.select();
	}

	async function remove({ name, examples }, act) {
		if (!(await confirmed(words.removeTitle(name), words.removeText(examples), words.remove))) return;
		if (!(await pressed(act, () => change("remove", { head: name })))) return;
		say(words.removed(name));
		await freshHeads();
		panel.querySelector("h2").focus();
	}

	async function download(head) {
		const { name, zip, signed } = await ask("export", { head });
		h("a", { href: `data:application/zip;base64,${zip}`, download: name.replace(/(\.zip)?$/, ".zip") }).click();
		say(words.exported(name, signed));
	}

	async function take() {
		const [chosen] = file.files;
		if (chosen.size > MOST_BYTES) throw { kind: "request", text: words.tooLarge };
		const url = await new Promise((resolve) => {
			const reader = new FileReader();
			reader.onloadend = () => resolve(reader.result ?? "");
			reader.readAsDataURL(chosen);
		});
		file.value = ""; // so that the same one may be chosen again
		const head = await change("import", { zip: url.replace(/^.*,/, "") });
		say(words.imported(head.name));
		await freshHeads();
	}

	listen("heads", tell);
}
