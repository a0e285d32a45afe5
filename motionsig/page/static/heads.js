// The view "heads".

import { h } from "./dom.js";
import { texts } from "./texts.js";

export function create(panel) {
  panel.append(h("h2", {}, texts.heads.title));
}
