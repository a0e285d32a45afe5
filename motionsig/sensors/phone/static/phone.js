// The phone's page: it listens to the motion sensors, and sends each sample until the device has said that it has it.
import { texts } from "./texts.js";

const MOST_WAITING = 6000; // samples that are kept while the device does not answer: over a minute
const MOST_IN_BATCH = 128;
const EVERY_MS = 120;
const ANSWER_MS = 4000;
const BEAT_MS = 1000; // without motion the device hears so often that the page is there
const JUMP_MS = 500; // by how much the clock of the events may stand still before a new run begins

const at = (id) => document.getElementById(id);
const remember = (key, value) => {
  try {
    if (value !== undefined) sessionStorage.setItem(key, value);
    return sessionStorage.getItem(key) ?? value;
  } catch {
    return value; // a browser that stores nothing
  }
};
const random = (bytes) => crypto.getRandomValues(new Uint8Array(bytes));
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const base64 = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

const token = remember("token", location.hash.slice(1) || undefined);
// The token is not left in the address bar, which people photograph and share.
history.replaceState(null, "", location.pathname);
const phone = remember("phone") ?? remember("phone", base64(random(16)));

let run, number, tap, lead, last, own; // of this run: its id, the next number, the last tap; how far ahead Unix time is
let waiting = [];
let sent = 0;
let dropped = 0;
let posted = 0;
let sending = false;
let begun = false;
let ended = false;
let again = 0;
let locked = false;
let hadMotion = false;

function newRun() {
  run = hex(random(8));
  number = 0;
  tap = 0;
  last = -1;
  own = null;
  lead = Date.now() - performance.now();
}

function say(text) {
  if (at("said").textContent !== text) at("said").textContent = text;
}

function show() {
  at("sent").textContent = sent;
  at("waiting").textContent = waiting.length;
  at("dropped").textContent = dropped;
}

function end(text) {
  ended = true;
  removeEventListener("devicemotion", take);
  at("go").hidden = true;
  say(text);
}

function take(event) {
  const acc = event.accelerationIncludingGravity;
  if (!acc || acc.x === null || acc.y === null || acc.z === null) return;
  hadMotion = true;
  const now = performance.now();
  // The clock of events is that of performance.now(), but in old browsers, where it is another one.
  own ??= Math.abs(now - event.timeStamp) > 5000;
  const time = own ? now : event.timeStamp;
  if (time <= last) return;
  last = time;
  const rate = event.rotationRate;
  waiting.push({ run, number, row: [time, acc.x, acc.y, acc.z, rate?.alpha ?? null, rate?.beta ?? null, rate?.gamma ?? null] });
  number += 1;
  if (waiting.length > MOST_WAITING) {
    waiting.shift();
    dropped += 1;
  }
}

async function post(path, said, keepalive = false) {
  const leaving = new AbortController();
  const timer = setTimeout(() => leaving.abort(), ANSWER_MS);
  try {
    const headers = { "Content-Type": "application/json", "X-Motionsig-Phone": phone };
    const got = await fetch(path, { method: "POST", headers, body: JSON.stringify(said), keepalive, signal: leaving.signal });
    return { status: got.status, ...(await got.json()) };
  } catch {
    return null; // out of the Wi-Fi, or the device is gone
  } finally {
    clearTimeout(timer);
  }
}

function batch() {
  const first = waiting[0];
  const rows = [];
  for (const each of waiting) {
    if (each.run !== first.run || each.number !== first.number + rows.length || rows.length === MOST_IN_BATCH) break;
    rows.push(each.row);
  }
  return { run: first?.run ?? run, first: first?.number ?? number, sent_ms: performance.now(),
    hidden: document.hidden, tap: !first || first.run === run ? tap : 0, samples: rows };
}

function heed(answer) {
  if (answer.refused) end(texts[answer.refused]);
  else if (answer.ask === "flat") {
    say(texts.flat);
    at("go").textContent = texts.isFlat;
    at("go").hidden = false;
  } else {
    say(locked ? texts.sending : texts.sendingNoLock);
    at("go").hidden = true;
  }
  if (answer.again > again && !ended) {
    again = answer.again;
    removeEventListener("devicemotion", take);
    addEventListener("devicemotion", take);
  }
}

async function pump() {
  if (sending || ended || !begun) return;
  if (Math.abs(Date.now() - performance.now() - lead) > JUMP_MS) newRun(); // it slept, or its clock was set
  if (!waiting.length && performance.now() - posted < BEAT_MS) return;
  sending = true;
  posted = performance.now();
  const said = batch();
  const answer = await post("motion", said);
  sending = false;
  if (ended) return;
  if (answer === null || answer.status >= 500) say(texts.offline);
  else if (answer.status === 200) {
    const before = waiting.length;
    waiting = waiting.filter((each) => each.run !== said.run || each.number >= answer.next);
    sent += before - waiting.length;
    if (hadMotion) heed(answer);
  } else if (answer.status === 403) end(texts.refused);
  else if (answer.status !== 429) {
    // It is not taken, and would not be the next time either.
    waiting = waiting.filter((each) => each.run !== said.run || each.number >= said.first + said.samples.length);
    dropped += said.samples.length;
  }
  show();
  if (waiting.length > MOST_IN_BATCH && answer?.status === 200) setTimeout(pump, 50);
}

async function lock() {
  try {
    await navigator.wakeLock.request("screen");
    locked = true;
  } catch {
    locked = false;
  }
}

async function start() {
  if (begun) {
    tap = number;
    at("go").hidden = true;
    return;
  }
  if (typeof DeviceMotionEvent === "undefined") return end(texts.noSensor);
  // Before anything else: the browser asks only in answer to a tap.
  if (typeof DeviceMotionEvent.requestPermission === "function") {
    const given = await DeviceMotionEvent.requestPermission().catch(() => "denied");
    if (given !== "granted") return end(texts.denied);
  }
  at("go").hidden = true;
  await lock();
  newRun();
  addEventListener("devicemotion", take);
  setTimeout(() => hadMotion || ended || say(texts.nothing), 3000);
  const apple = navigator.vendor.startsWith("Apple");
  let answer = null;
  while (!ended && (answer = await post("begin", { token, phone, apple }))?.status !== 200) {
    if (answer?.status === 403 || answer?.status === 400) return end(texts.refused);
    say(texts.offline);
    await new Promise((done) => setTimeout(done, 1000));
  }
  begun = true;
  at("figures").hidden = false;
  setInterval(pump, EVERY_MS);
}

document.addEventListener("visibilitychange", () => {
  if (!begun || ended) return;
  if (document.hidden) post("motion", { ...batch(), samples: [], hidden: true }, true);
  else lock();
});

at("title").textContent = texts.title;
for (const key of ["sent", "waiting", "dropped"]) at(`${key}-label`).textContent = texts[key];
at("go").textContent = texts.start;
at("go").addEventListener("click", start);
if (!token) end(texts.noLink);
else {
  say(texts.ready);
  at("go").hidden = false;
}
