// What goes between this page and the device: asks, the live feed, the session.

const TRIES_MS = [0, 700, 1500, 3000, 5000]; // a change is asked for again under its own id: it happens once
const AGAIN_MS = [250, 500, 1000, 2000, 4000]; // between attempts at the live feed
const SILENT_MS = 10_000; // the feed says something each second; after this it is taken for dead
const NOT_FOR_GOOD = [429, 502, 503, 504];

let csrf = "";

// What an answer says is wrong. kind: of the control socket, or `page`, or `offline`: there was no answer.
export class ApiError extends Error {
	constructor(kind, text, status = 0) {
		super(text);
		Object.assign(this, { kind, text, status });
	}
}

// 128 random bits. crypto.randomUUID exists only where the page came by HTTPS or from this machine.
const requestId = () => crypto.getRandomValues(new Uint32Array(4)).join("n");

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function call(path, body) {
	let response, answer;
	try {
		const headers = { "Content-Type": "application/json", "X-Motionsig-CSRF": csrf };
		const post = body && { method: "POST", headers, body: JSON.stringify(body) };
		response = await fetch(path, { cache: "no-store", ...post });
		answer = await response.json();
	} catch {
		throw new ApiError("offline", "", response?.status ?? 0);
	}
	if (response.status === 401 && path !== "/api/pair") tell("connection", { state: "unpaired" });
	if (answer.error || !response.ok) {
		throw new ApiError(answer.error?.kind ?? "page", answer.error?.text ?? "", response.status);
	}
	return answer;
}

export const pair = (code) => call("/api/pair", { code });

export async function session() {
	const answer = await call("/api/session");
	csrf = answer.csrf;
	return answer;
}

export const endSession = (id) => call("/api/session/end", { id });
export const ask = async (name, parameters = {}) => (await call("/api/ask", { ask: name, ...parameters })).ok;

export async function change(name, parameters = {}) {
	const request = requestId();
	let lost;
	for (const wait of TRIES_MS) {
		await pause(wait);
		try {
			return await ask(name, { ...parameters, request });
		} catch (error) {
			if (error.kind !== "offline" && !NOT_FOR_GOOD.includes(error.status)) throw error;
			lost = error;
		}
	}
	throw lost;
}

// The newest of each kind. Signatures and events are not kept here.
export const latest = { hello: null, status: null, heads: null, lesson: null, connection: { state: "connecting" } };

export const headOf = (name) => latest.heads?.find((head) => head.name === name);

const listeners = {};

// Calls `listener` with each of that kind, at once with the newest where there is one.
export function listen(kind, listener) {
	(listeners[kind] ??= []).push(listener);
	if (latest[kind] != null) listener(latest[kind]);
}

function tell(kind, value) {
	if (kind in latest) latest[kind] = value;
	for (const listener of listeners[kind] ?? []) {
		try {
			listener(value);
		} catch (error) {
			console.error(error); // the others and the feed go on
		}
	}
}

export const freshHeads = async () => tell("heads", await ask("heads"));

const OLDEST = "0:0"; // a place that never was: the feed begins with all that is kept
let lastId = OLDEST;
let ending = null; // ends the feed that is open
let heardAt = 0; // by the clock that goes on while a phone sleeps
let run = 0; // counts the calls of follow, of which only the last one goes on; 0: there is none
let runs = 0;

// Keeps the live feed open until there is no session.
export async function follow() {
	const mine = (run = runs += 1);
	for (let failed = 0; run === mine; failed += 1) {
		const began = Date.now();
		let status = 0;
		try {
			ending = new AbortController();
			heardAt = began;
			const headers = { Accept: "text/event-stream", "Last-Event-ID": lastId };
			const response = await fetch("/api/live", { headers, signal: ending.signal, cache: "no-store" });
			status = response.status;
			if (status === 401) tell("connection", { state: "unpaired" });
			if (response.ok) {
				await greet();
				tell("connection", { state: "open" });
				await read(response.body.getReader());
			}
		} catch (error) {
			status = error.status ?? status;
		}
		ending?.abort();
		if (Date.now() - began > 5000) failed = 0;
		const why = { 429: "crowded", 503: "service" }[status] ?? "network";
		if (run === mine) tell("connection", { state: "away", why, slept: Date.now() - heardAt > SILENT_MS });
		await pause(AGAIN_MS[Math.min(failed, AGAIN_MS.length - 1)]);
	}
}

export function leave() {
	run = 0;
	ending?.abort();
}

async function greet() {
	tell("hello", await ask("hello"));
	await freshHeads();
}

async function read(reader) {
	const decoder = new TextDecoder();
	let rest = "";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		heardAt = Date.now();
		rest += decoder.decode(value, { stream: true });
		const messages = rest.replaceAll("\r\n", "\n").split("\n\n");
		rest = messages.pop();
		messages.forEach(take);
	}
}

function take(message) {
	const { id, event, data } = Object.fromEntries(message.split("\n").map((line) => line.split(/: ?(.*)/s)));
	lastId = id ?? lastId;
	if (data && (event !== "gap" || lastId !== OLDEST)) tell(event, JSON.parse(data));
}

listen("service", async ({ up }) => {
	if (latest.hello?.live === false) return;
	if (!up) return tell("connection", { state: "away", why: "service" });
	if (latest.connection.why !== "service") return;
	tell("connection", { state: "open" });
	await greet().catch(() => ending?.abort());
});

// A phone that slept, or a cable that was pulled, leaves a feed that looks open and is dead.
setInterval(() => {
	const expected = run && latest.hello?.live && latest.connection.state === "open";
	if (expected && document.visibilityState === "visible" && Date.now() - heardAt > SILENT_MS) ending?.abort();
}, 1000);
document.addEventListener("visibilitychange", () => {
	if (document.visibilityState === "visible" && Date.now() - heardAt > 3000) ending?.abort();
});
addEventListener("online", () => ending?.abort());
