// The frame: which view is shown, the theme, the banner, and whether this browser is let in.

import { follow, latest, leave, listen, pair, session } from "./api.js";
import { h, icon, put, setText } from "./dom.js";
import * as heads from "./heads.js";
import * as live from "./live.js";
import * as lookback from "./lookback.js";
import * as people from "./people.js";
import * as teach from "./teach.js";
import { texts } from "./texts.js";

// Each module exports create(panel), which builds into the panel and returns shown(parameters) and hidden(), or neither.
// The address's fragment names the view: #teach?better=knock shows Teach with URLSearchParams of better=knock.
const VIEWS = { live, teach, lookback, heads, people };
const THEMES = ["auto", "light", "dark"];
const AWAY_MS = 1500; // a shorter one is not worth a word
const BACK_MS = 12_000;

const made = new Map();
let current = null;
let letIn = false;

const byId = (id) => document.getElementById(id);
const panel = (name) => byId(`view-${name}`); // not the fragment's own name, to which a browser would scroll
const textOf = (path) => path.split(".").reduce((at, name) => at[name], texts);

function words() {
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = textOf(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", textOf(element.dataset.label));
  }
}

function theme() {
  const button = byId("theme");
  const stored = () => {
    try {
      return localStorage.getItem("theme") ?? "auto";
    } catch {
      return "auto"; // storage is switched off
    }
  };
  const apply = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.setAttribute("aria-label", texts.frame.theme[name]);
    button.title = texts.frame.theme[name];
    document.dispatchEvent(new Event("theme"));
  };
  let name = THEMES.includes(stored()) ? stored() : "auto";
  apply(name);
  button.addEventListener("click", () => {
    name = THEMES[(THEMES.indexOf(name) + 1) % THEMES.length];
    try {
      localStorage.setItem("theme", name);
    } catch {
      // it holds for this page alone
    }
    apply(name);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(name));
}

function place() {
  const [name, query = ""] = location.hash.slice(1).split("?");
  return [name in VIEWS ? name : "live", new URLSearchParams(query)];
}

function show() {
  if (location.hash.startsWith("#pair=")) return location.reload(); // a link that was opened in this tab
  if (!letIn) return;
  const [name, parameters] = place();
  if (current !== name) made.get(current)?.hidden?.();
  for (const id of ["pair", ...Object.keys(VIEWS)]) panel(id).hidden = id !== name;
  for (const id of Object.keys(VIEWS)) {
    const tab = byId(`tab-${id}`);
    tab.setAttribute("aria-selected", String(id === name));
    tab.tabIndex = id === name ? 0 : -1;
  }
  if (!made.has(name)) made.set(name, VIEWS[name].create(panel(name)) ?? {});
  if (current !== name) scrollTo(0, 0);
  current = name;
  made.get(name).shown?.(parameters);
  title();
}

function title() {
  const device = latest.hello?.name ?? "motionsig";
  setText(byId("device"), device);
  document.title = texts.frame.title(letIn ? texts[current ?? "live"].title : texts.pair.title, device);
}

function keys(event) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const at = tabs.indexOf(document.activeElement);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (event.key === " ") document.activeElement.click();
  else if (to === undefined) return;
  else {
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    location.hash = tab.hash;
  }
  event.preventDefault();
}

// The banner says what is wrong with the connection as long as it is, and once that it is over.
let away = null;
let hide = null;

function banner(kind, [line, more], forMs) {
  const element = byId("banner");
  clearTimeout(hide);
  element.dataset.kind = kind;
  const close = h("button", { class: "button quiet icon-only", type: "button", "aria-label": texts.frame.close }, icon("close"));
  close.addEventListener("click", () => (element.hidden = true));
  put(element, h("p", {}, line), more ? h("p", {}, more) : null, forMs ? close : null);
  element.hidden = false;
  if (forMs) hide = setTimeout(() => (element.hidden = true), forMs);
}

function connected({ state }) {
  const element = byId("connection");
  element.dataset.state = state;
  const word = state === "open" && latest.hello && !latest.hello.live ? "stored" : state;
  setText(element, texts.frame.connection[word]);
  if (state === "unpaired") {
    clearTimeout(away);
    away = null;
    unpaired(letIn ? texts.pair.ended : "");
  } else if (state === "away") {
    const tellWhy = () => banner("away", texts.banner[latest.connection.why]);
    if (away === "told") tellWhy();
    away ??= setTimeout(() => {
      away = "told";
      tellWhy();
    }, AWAY_MS);
  } else if (state === "open") {
    if (away === "told") banner("back", texts.banner.back, BACK_MS);
    else clearTimeout(away);
    away = null;
  }
}

function gap({ missed, why }) {
  if (why === "restarted") banner("back", texts.banner.restarted, BACK_MS);
  else banner("back", texts.banner.missed(missed), BACK_MS);
}

function unpaired(why) {
  leave();
  letIn = false;
  made.get(current)?.hidden?.();
  byId("nav").hidden = true;
  byId("banner").hidden = true;
  for (const id of Object.keys(VIEWS)) panel(id).hidden = true;
  panel("pair").hidden = false;
  people.ask(panel("pair"), why, enter);
  title();
}

async function enter() {
  for (let wait = 500; ; wait = Math.min(2 * wait, 5000)) {
    try {
      await session();
      break;
    } catch (error) {
      if (error.status === 401) return unpaired("");
      latest.connection = { state: "away", why: error.status === 503 ? "service" : "network" };
      connected(latest.connection);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  letIn = true;
  latest.connection = { state: "connecting" }; // that it was not let in is over
  byId("nav").hidden = false;
  if (!made.has("live")) made.set("live", live.create(panel("live"))); // it keeps the ribbon's rows also while another view is shown
  show();
  follow();
}

// A link's code is used once and leaves the address, so that it is in no history and no bookmark.
async function begin() {
  words();
  theme();
  listen("connection", connected);
  listen("gap", gap);
  listen("hello", ({ live: sensor }) => {
    if (!sensor && !location.hash) location.replace("#lookback");
    title();
    connected(latest.connection);
  });
  byId("nav").addEventListener("keydown", keys);
  addEventListener("hashchange", show);
  const code = /^#pair=(.*)$/.exec(location.hash)?.[1];
  if (code !== undefined) {
    history.replaceState(null, "", location.pathname);
    try {
      await pair(decodeURIComponent(code));
    } catch (error) {
      return unpaired(people.why(error));
    }
  }
  await enter();
}

begin();
