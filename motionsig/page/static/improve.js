import { change } from "./api.js";
import { asking, h, placeOf, say } from "./dom.js";
import { texts } from "./texts.js";

// A button that makes a head better. verb: not_this or this_too. head: returns its name.
export function improving(text, verb, head, fromMs, toMs, { done, ...more } = {}) {
	const act = asking(text, improve, "", more);
	async function improve() {
		const place = placeOf(act);
		place.querySelector(":scope > .improved")?.remove();
		const span = { from_ms: Math.floor(fromMs), to_ms: Math.ceil(toMs) };
		const said = texts.improve.better(await change(verb, { head: head(), ...span }));
		place.append(h("p.improved.small", said));
		say(said);
		done?.();
	}
	return act;
}
