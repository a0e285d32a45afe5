// How like a head the newest signature is: a bar, with a mark at the level from which on the head tells.

import { h, setText } from "./dom.js";
import { texts } from "./texts.js";

// name: an element that stands before it. label: what a screen reader calls it.
export function makeMeter(name, label) {
  const words = texts.live.likeness;
  const value = h("span.value");
  const bar = h("div.bar", { role: "meter", "aria-label": label, "aria-valuemin": "0" }, h("i.score"), h("i.threshold"));
  const element = h("div.meter", name, value, bar);
  let on = 1;
  let why = ""; // it has none
  let most = 1; // 0 to 1 as most scores go, and further where the level or a score lies beyond
  return {
    element,
    of(level, reason = "") {
      [on, why] = [level ?? 1, reason];
    },
    score(score) {
      const text = why || (score == null ? words.silent : score.toFixed(2));
      most = Math.max(most, 1.25 * on, score ?? 0);
      const known = Math.max(0, score ?? 0);
      bar.style.setProperty("--score", known / most);
      bar.style.setProperty("--on", Math.max(0, on) / most);
      element.classList.toggle("over", known >= on && !why);
      element.classList.toggle("off", Boolean(why));
      setText(value, text);
      bar.setAttribute("aria-valuemax", most);
      bar.setAttribute("aria-valuenow", known);
      bar.setAttribute("aria-valuetext", words.bar(text, on.toFixed(2)));
    },
  };
}
