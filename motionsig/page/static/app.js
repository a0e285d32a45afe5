// The frame: views, banner, way in.

import { follow, latest, leave, listen, pair, pause, session } from "./api.js";
import { byId, h, icon, put, setText } from "./dom.js";
import * as heads from "./heads.js";
import * as live from "./live.js";
import * as lookback from "./lookback.js";
import * as people from "./people.js";
import * as teach from "./teach.js";
import { texts } from "./texts.js";

// Each module exports create(panel), which builds into the panel and returns shown(parameters) and hidden(), or neither.
// The address's fragment names the view: #teach?better=knock shows Teach with URLSearchParams of better=knock.
const VIEWS = { live, teach, lookback, heads, people };
const AWAY_MS = 1500; // a shorter one is not worth a word
const BACK_MS = 12_000;

const made = {};
let current = "live";
let letIn = false;

const panel = (name) => byId(`view-${name}`); // not the fragment's own name, to which a browser would scroll

function frame() {
	const views = Object.keys(VIEWS);
	const tab = (name) =>
		h(`a#tab-${name}`, { role: "tab", href: `#${name}` }, icon(name), h("span", texts[name].tab));
	byId("nav").append(h("div", { role: "tablist", "aria-label": texts.frame.nav, onkeydown: keys }, views.map(tab)));
	const view = (name) => h(`section.view#view-${name}`, { role: "tabpanel", "aria-labelledby": `tab-${name}`, hidden: true });
	byId("main").append(...views.map(view));
}

function show() {
	if (location.hash.startsWith("#pair=")) return location.reload(); // a link opened in this tab
	if (!letIn) return;
	const [asked, query] = location.hash.slice(1).split("?");
	const name = Object.hasOwn(VIEWS, asked) ? asked : "live";
	if (current !== name) {
		made[current]?.hidden?.();
		scrollTo(0, 0);
	}
	current = name;
	panel("pair").hidden = true;
	for (const id in VIEWS) {
		panel(id).hidden = id !== name;
		byId(`tab-${id}`).setAttribute("aria-selected", String(id === name));
		byId(`tab-${id}`).tabIndex = id === name ? 0 : -1;
	}
	make(name).shown?.(new URLSearchParams(query));
	title();
}

const make = (name) => (made[name] ??= VIEWS[name].create(panel(name)) ?? {});

function title() {
	const device = latest.hello?.name ?? "motionsig";
	setText(byId("device"), device);
	document.title = `${letIn ? texts[current].tab : texts.pair.title} · ${device}`;
}

function keys(event) {
	const tabs = [...event.currentTarget.children];
	const at = tabs.indexOf(document.activeElement);
	const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: -1, " ": at }[event.key];
	if (to === undefined) return;
	const tab = tabs.at(to % tabs.length);
	tab.focus();
	tab.click();
	event.preventDefault();
}

let away = null;
let wasLong = null; // whether nothing was heard for long, as on a phone that sleeps
let hide = null;

function banner(kind, lines, forMs) {
	const element = byId("banner");
	clearTimeout(hide);
	element.classList.toggle("trouble", kind === "away");
	put(element, lines.map((text) => h("p", text)));
	element.hidden = false;
	if (forMs) hide = setTimeout(() => (element.hidden = true), forMs);
}

const back = (lines) => banner("back", lines, BACK_MS);

function connected({ state, why, slept }) {
	byId("connection").dataset.state = state;
	const word = state === "open" && latest.hello?.live === false ? "stored" : state;
	setText(byId("connection"), texts.frame.connection[word]);
	if (state === "away") {
		wasLong ||= slept;
		if (away === "told") banner("away", texts.banner[why]);
		away ??= setTimeout(() => {
			away = "told";
			connected(latest.connection);
		}, AWAY_MS);
		return;
	}
	if (state === "open" && (away === "told" || wasLong)) back(texts.banner.back);
	clearTimeout(away);
	away = wasLong = null;
	if (state === "unpaired") unpaired(letIn && texts.pair.ended);
}

function unpaired(why) {
	leave();
	letIn = false;
	made[current]?.hidden?.();
	for (const element of [byId("nav"), byId("banner"), ...Object.keys(VIEWS).map(panel)]) element.hidden = true;
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
			if (error.status === 401) return unpaired();
			latest.connection = { state: "away", why: error.status === 503 ? "service" : "network" };
			connected(latest.connection);
			await pause(wait);
		}
	}
	letIn = true;
	latest.connection = { state: "connecting" }; // that it was not let in is over
	byId("nav").hidden = false;
	make("live"); // it keeps the ribbon's rows also while another view is shown
	show();
	follow();
}

// A link's code is used once and leaves the address, so that it is in no history and no bookmark.
async function begin() {
	frame();
	listen("connection", connected);
	listen("gap", ({ missed, why }) => back(why === "restarted" ? texts.banner.restarted : texts.banner.missed(missed)));
	listen("hello", ({ live: sensor }) => {
		if (!sensor && !location.hash) location.replace("#lookback");
		title();
		connected(latest.connection);
	});
	addEventListener("hashchange", show);
	const code = /^#pair=(.*)$/.exec(location.hash)?.[1];
	if (code !== undefined) {
		history.replaceState(null, "", location.pathname);
		try {
			await pair(decodeURIComponent(code));
		} catch (error) {
			return unpaired(people.refusal(error));
		}
	}
	await enter();
}

begin();
