// The view "Access": who sees this page, and what never leaves the device. And the way in for a browser without a session.

import { endSession, listen, pair, session } from "./api.js";
import { confirmed, h, pressed, put, say } from "./dom.js";
import { texts } from "./texts.js";

export function create(panel) {
  const list = h("ul", { class: "rows" });
  const words = texts.people;
  const all = h("button", { class: "button danger", type: "button" }, words.endAll);
  const facts = h("dl", { class: "facts" });
  all.addEventListener("click", async () => {
    const yes = await confirmed({ title: words.endAllTitle, text: words.endAllText, action: words.endAll, danger: true });
    if (yes) pressed(all, () => end("all"));
  });
  panel.append(
    h("h2", {}, words.title),
    h(
      "div",
      { class: "columns tops" },
      h("section", { class: "card" }, h("h3", {}, words.browsers), list, h("div", { class: "actions" }, all)),
      h(
        "div",
        { class: "view" },
        h("section", { class: "card" }, h("h3", {}, words.more), h("p", {}, words.moreText), h("code", { class: "command" }, words.command), h("p", {}, words.networkText), h("code", { class: "command" }, words.network)),
        h("section", { class: "card" }, h("h3", {}, words.never), ...words.neverText.map((line) => h("p", {}, line))),
        h("section", { class: "card" }, h("h3", {}, words.device), facts),
      ),
    ),
  );

  async function end(id) {
    await endSession(id);
    say(words.ended);
    await fresh();
  }

  async function fresh() {
    let sessions;
    try {
      ({ sessions } = await session());
    } catch (error) {
      if (error.status !== 401) put(list, h("li", {}, texts.errors.of(error)));
      return;
    }
    all.hidden = sessions.length < 2;
    list.replaceChildren(...sessions.map(row));
  }

  function row({ id, began, seen, browser, mine }) {
    const button = h("button", { class: "button", type: "button", "aria-label": words.endOf(browser, mine) }, mine ? words.leave : words.end);
    button.addEventListener("click", () => pressed(button, () => end(id)));
    return h(
      "li",
      { class: "line" },
      h(
        "div",
        {},
        h("p", {}, h("strong", {}, browser), " ", mine ? h("span", { class: "chip on" }, words.mine) : null),
        h("p", { class: "muted small" }, words.times(began, seen)),
      ),
      button,
    );
  }

  listen("hello", (hello) => {
    put(facts, words.facts(hello).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  });
  return { shown: fresh };
}

// What is said of a code that was refused.
export function why(error) {
  return error.status === 403 ? texts.pair.wrong : texts.errors.of(error);
}

// Shows the way in; `entered` is called once the browser is let in.
export function ask(panel, said, entered) {
  const words = texts.pair;
  const code = h("input", { class: "input code", id: "code", name: "code", autocomplete: "one-time-code", autocapitalize: "none", spellcheck: "false", "aria-describedby": "code-hint" });
  const wrong = h("p", { class: "error", role: "alert", id: "code-error" }, said);
  const button = h("button", { class: "button primary", type: "submit" }, words.act);
  const form = h(
    "form",
    { class: "view", novalidate: true },
    h("div", { class: "field" }, h("label", { for: "code" }, words.code), code, h("p", { class: "hint", id: "code-hint" }, words.hint)),
    wrong,
    h("div", { class: "actions" }, button),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // A whole link is taken, too.
    const typed = code.value.trim().replace(/^.*#pair=/, "");
    wrong.textContent = typed ? "" : words.empty;
    code.setAttribute("aria-invalid", String(!typed));
    if (!typed) return code.focus();
    button.disabled = true;
    try {
      await pair(typed);
      say(words.done);
      entered();
    } catch (error) {
      if (!error.kind) throw error;
      wrong.textContent = why(error);
      code.setAttribute("aria-invalid", "true");
      code.focus();
    } finally {
      button.disabled = false;
    }
  });
  panel.replaceChildren(
    h(
      "div",
      { class: "card way-in" },
      h("h2", {}, words.title),
      h("p", { class: "muted" }, words.why),
      h("ol", { class: "stages" }, h("li", {}, h("p", {}, words.steps[0]), h("code", { class: "command" }, words.command)), h("li", {}, h("p", {}, words.steps[1]), form)),
      h("p", { class: "muted small" }, words.byHand),
    ),
  );
}
