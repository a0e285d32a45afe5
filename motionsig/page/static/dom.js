// What every view builds its elements with. Text becomes text nodes, never HTML.

import { texts } from "./texts.js";

// h("button", { class: "button", type: "button", onclick: act }, "Text"): a property that begins with "on" is a listener,
// a boolean one sets or leaves out the attribute, null and undefined leave it out.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return fill(svg, { class: "icon", "aria-hidden": "true" }, []);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

// Replaces the content of an element only where it differs, so that focus and a reader's place stay.
export function put(element, ...children) {
  const next = h("div", {}, ...children);
  if (element.innerHTML !== next.innerHTML) element.replaceChildren(...next.childNodes);
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Said once to people who listen to the page: for an event, a performance found, the answer to what they asked.
export function say(text) {
  const region = document.getElementById("say");
  region.replaceChildren(h("p", {}, text));
}

// Asks with a dialog; resolves to true where its action was chosen. `cancel` has the focus first.
export function confirmed({ title, text, action, danger = false }) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { class: "card dialog", "aria-labelledby": "dialog-title" },
      h("h2", { id: "dialog-title" }, title),
      ...[text].flat().map((line) => h("p", {}, line)),
      h(
        "div",
        { class: "actions" },
        h("button", { class: "button", type: "button", onclick: () => dialog.close("") }, texts.frame.cancel),
        h(
          "button",
          { class: danger ? "button danger" : "button primary", type: "button", onclick: () => dialog.close("yes") },
          action,
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// Runs an action of a button: it cannot be pressed twice meanwhile, and an error stands beside it, in words.
export async function pressed(button, action) {
  const place = button.closest("[data-errors]") ?? button.parentElement;
  place.querySelector(":scope > .error")?.remove();
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    return await action();
  } catch (error) {
    if (!error.kind) throw error;
    place.append(h("p", { class: "error", role: "alert" }, texts.errors.of(error)));
    return undefined;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}
