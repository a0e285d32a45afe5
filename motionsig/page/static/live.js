// The view "live".

import { h } from "./dom.js";
import { texts } from "./texts.js";

export function create(panel) {
  panel.append(h("h2", {}, texts.live.title));
}
