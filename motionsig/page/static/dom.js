// What every view builds its elements with. Text becomes text nodes, never HTML.

import { texts } from "./texts.js";

export const dark = matchMedia("(prefers-color-scheme: dark)");

export const cssColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);

// h("p.muted.small#id", { title: text, onclick: act }, "Text", element): a tag with classes and an id, then attributes and
// children. "on..." is a listener, true sets an attribute; what is null or false is left out.
export function h(selector, ...parts) {
	const [tag, ...names] = selector.split(/(?=[.#])/);
	const inSvg = ["svg", "use", "path"].includes(tag);
	const element = inSvg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
	for (const name of names) {
		if (name[0] === "#") element.id = name.slice(1);
		else element.classList.add(name.slice(1));
	}
	for (const part of parts.flat()) {
		if (part == null || part === false) continue;
		if (part.constructor !== Object) element.append(part);
		else for (const [name, value] of Object.entries(part)) set(element, name, value);
	}
	return element;
}

export function set(element, name, value) {
	if (value == null || value === false) return;
	if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
	else element.setAttribute(name, value === true ? "" : value);
}

export const icon = (name) => h("svg.icon", { "aria-hidden": "true" }, h("use", { href: `#i-${name}` }));

// A button; `act` gets it. Without `act` it sends its form.
export function button(text, act, kind = "", more = {}) {
	const type = act ? "button" : "submit";
	return h(`button.button${kind}`, { type, onclick: act && ((event) => act(event.currentTarget)), ...more }, text);
}

export const asking = (text, action, kind, more) => button(text, (self) => pressed(self, action), kind, more);

export const select = (attributes, options) =>
	h("select.input", attributes, options.map(([value, text = value]) => h("option", { value }, text)));

export const card = (title, ...children) => h("section.card", title && h("h3", title), ...children);

// A field for a head's name, or for what else is typed letter by letter.
export const input = (attributes) =>
	h("input.input", { autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "64", ...attributes });

export const notice = ([title, text, command]) =>
	h("div.notice.trouble", h("p", title), h("p", text), command && h("code.command", command));

export const line = (name, chip, details, act) =>
	h(
		"li.line",
		h("div", h("p", h("strong", name), " ", chip && h("span.chip.on", chip)), h("p.muted.small", details)),
		act,
	);

// Replaces the content of an element only where it differs, so that focus and a reader's place stay.
export function put(element, ...children) {
	const next = h("div", ...children);
	if (element.innerHTML !== next.innerHTML) element.replaceChildren(...next.childNodes);
}

export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

export const byId = (id) => document.getElementById(id);

export const say = (text) => byId("say").replaceChildren(h("p", text));

export function why(error) {
	if (!error.kind) throw error;
	return texts.errors.of(error);
}

// Asks with a dialog; resolves to true where its action was chosen. `cancel` has the focus first.
export function confirmed(title, text, action) {
	return new Promise((resolve) => {
		const close = (value) => () => dialog.close(value);
		const acts = h("div.actions", button(texts.frame.cancel, close("")), button(action, close("yes"), ".danger"));
		const onclose = () => {
			resolve(dialog.returnValue === "yes");
			dialog.remove();
		};
		const about = { "aria-labelledby": "asked", onclose };
		const dialog = h("dialog.card", about, h("h2#asked", title), text && h("p", text), acts);
		document.body.append(dialog);
		dialog.showModal();
	});
}

// Where what came of a press is said.
export const placeOf = (button) => button.closest(".line, .field, .card");

export async function pressed(button, action) {
	const place = placeOf(button);
	place.querySelector(":scope > .error")?.remove();
	button.setAttribute("aria-busy", "true");
	button.disabled = true;
	try {
		return await action();
	} catch (error) {
		place.append(h("p.error", { role: "alert" }, why(error)));
		return undefined;
	} finally {
		button.disabled = false;
		button.removeAttribute("aria-busy");
	}
}
