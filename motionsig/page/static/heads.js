// The view "Heads": all that judge, with what is to be expected of each; what may be done with a head stands beside it.

import { ask, change, latest, listen, tellHeads } from "./api.js";
import { confirmed, h, pressed, say } from "./dom.js";
import { format, texts } from "./texts.js";

const MOST_BYTES = 3 << 20; // of a file: as base64 it is a third longer

const words = texts.heads;

export function create(panel) {
  const list = h("div", { class: "heads" });
  const file = h("input", { type: "file", id: "import", class: "unseen", accept: ".zip,application/zip", tabindex: "-1", "aria-hidden": "true" });
  const open = h("button", { class: "button", type: "button", onclick: () => file.click() }, words.import);
  file.addEventListener("change", () => file.files.length && pressed(open, take));
  panel.append(
    h("div", { class: "line" }, h("h2", {}, words.title), h("a", { class: "button primary", href: "#teach" }, words.teach)),
    list,
    h("section", { class: "card", "data-errors": "" }, h("h3", {}, words.importTitle), h("p", { class: "muted measure" }, words.importText), h("div", { class: "actions" }, open, file)),
  );

  let shown = "";
  let renaming = null; // the head whose name is being typed: its card is left alone meanwhile

  function tell(heads) {
    const text = JSON.stringify(heads.map((head) => ({ ...head, holds: null })));
    if (renaming || text === shown) return;
    shown = text;
    const focus = document.activeElement?.id;
    list.replaceChildren(...(heads.length ? heads.map(card) : [h("p", { class: "card empty" }, words.none)]));
    if (focus && list.querySelector(`#${CSS.escape(focus)}`)) document.getElementById(focus).focus();
  }

  function card(head) {
    const { name, may } = head;
    const button = (verb, text, act) => {
      const element = h("button", { class: verb === "remove" ? "button quiet danger" : "button quiet", type: "button", id: `${verb}-${name}`, "aria-label": words.of(text, name) }, text);
      element.addEventListener("click", () => act(element));
      return may.includes(verb) ? element : null;
    };
    const link = (href, text) => h("a", { class: "button", href: `${href}${encodeURIComponent(name)}`, "aria-label": words.of(text, name) }, text);
    const state = head.paused ? words.paused : head.judges ? null : words.idle;
    return h(
      "article",
      { class: "card", "data-errors": "", "aria-label": name },
      h("header", {}, h("h3", {}, name), h("p", { class: "chips" }, state ? h("span", { class: "chip off" }, state) : null, h("span", { class: "chip" }, words.gives[head.gives ?? "event"]), h("span", { class: "chip" }, words.whose[head.whose]))),
      head.why_not ? h("p", { class: "error" }, words.whyNot(head.why_not)) : null,
      h("dl", { class: "facts" }, words.facts(head).map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))),
      head.expectation.length
        ? h("details", { open: head.whose === "page" }, h("summary", {}, words.expect), h("ul", { class: "small" }, head.expectation.map((line) => h("li", {}, line))))
        : null,
      may.includes("rename") ? null : h("p", { class: "muted small measure" }, words.fixed[head.whose]),
      h(
        "div",
        { class: "actions" },
        may.includes("improve") ? link("#teach?better=", words.improve) : null,
        latest.hello?.store ? link("#lookback?head=", words.show) : null,
        button("pause", head.paused ? words.resume : words.pause, (self) => pressed(self, () => pause(head))),
        button("rename", words.rename, (self) => rename(head, self)),
        button("export", words.export, (self) => pressed(self, () => download(name))),
        button("remove", words.remove, (self) => remove(head, self)),
      ),
    );
  }

  const fresh = async () => tellHeads(await ask("heads"));

  async function pause({ name, paused }) {
    await change("pause", { head: name, paused: !paused });
    say(paused ? words.resumed(name) : words.isPaused(name));
    await fresh();
  }

  function rename(head, button) {
    const input = h("input", { class: "input", id: `name-${head.name}`, value: head.name, maxlength: "64", autocapitalize: "none", spellcheck: "false" });
    const save = h("button", { class: "button primary", type: "submit" }, words.save);
    const end = () => {
      renaming = null;
      form.replaceWith(button);
      button.focus();
      tell(latest.heads);
    };
    const form = h(
      "form",
      { class: "field rename", novalidate: true },
      h("label", { for: input.id }, words.newName),
      input,
      h("div", { class: "actions" }, save, h("button", { class: "button", type: "button", onclick: end }, texts.frame.cancel)),
    );
    form.addEventListener("keydown", (event) => event.key === "Escape" && end());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (name === head.name) return end();
      const done = await pressed(save, () => change("rename", { head: head.name, name }));
      if (!done) return input.focus();
      say(words.renamed(name));
      end();
      await fresh();
    });
    renaming = head.name;
    button.replaceWith(form);
    input.select();
  }

  async function remove({ name, examples }, button) {
    const yes = await confirmed({ title: words.removeTitle(name), text: words.removeText(examples), action: words.remove, danger: true });
    if (!yes) return;
    const done = await pressed(button, () => change("remove", { head: name }));
    if (done === undefined) return;
    say(words.removed(name));
    await fresh();
    panel.querySelector("a")?.focus();
  }

  async function download(head) {
    const { name, zip, signed } = await ask("export", { head });
    const url = URL.createObjectURL(new Blob([Uint8Array.from(atob(zip), (letter) => letter.charCodeAt(0))], { type: "application/zip" }));
    h("a", { href: url, download: /\.zip$/.test(name) ? name : `${name}.zip` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    say(words.exported(name, signed));
  }

  async function take() {
    const [chosen] = file.files;
    try {
      if (chosen.size > MOST_BYTES) throw Object.assign(new Error(), { kind: "request", text: words.tooLarge });
      const bytes = new Uint8Array(await chosen.arrayBuffer());
      let letters = "";
      for (let at = 0; at < bytes.length; at += 8192) letters += String.fromCharCode(...bytes.subarray(at, at + 8192));
      const head = await change("import", { zip: btoa(letters) });
      say(words.imported(head.name));
      await fresh();
    } finally {
      file.value = "";
    }
  }

  listen("heads", tell);
}
