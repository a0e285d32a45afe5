// What Live and Look back do with a stretch of time: "not this" and "this, too". A head gets better by one example of
// signatures that are stored already, and its new rate is said at once.

import { change } from "./api.js";
import { h, pressed, say } from "./dom.js";
import { texts } from "./texts.js";

// Asks for a counter-example of a head between two times, and says the new rate beside the button. Resolves to the
// head, or to undefined where the device did not take it: then the reason stands there.
export const notThis = (head, fromMs, toMs, button) => improve("not_this", head, fromMs, toMs, button);

// The same for one more example.
export const thisToo = (head, fromMs, toMs, button) => improve("this_too", head, fromMs, toMs, button);

async function improve(verb, name, fromMs, toMs, button) {
  const place = button.closest("[data-errors]") ?? button.parentElement;
  place.querySelector(":scope > .improved")?.remove();
  const head = await pressed(button, () =>
    change(verb, { head: name, from_ms: Math.floor(fromMs), to_ms: Math.ceil(toMs) }),
  );
  if (!head) return undefined;
  const text = texts.improve.better(head);
  place.append(h("p", { class: "improved small" }, text));
  say(text);
  return head;
}
