// All that the page says, in English. A translation is another file with the same names.
//
// A figure stands in a text by a function, so that a language may put it elsewhere. Places that people type stand as they are.

const two = (number) => String(number).padStart(2, "0");
const many = (count, one, more) => (count === 1 ? `1 ${one}` : `${count.toLocaleString("en-US")} ${more}`);

export const format = {
  // 14:05:09, in the browser's time zone
  clock(ms) {
    const date = new Date(ms);
    return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  },
  // 14:05
  minute(ms) {
    const date = new Date(ms);
    return `${two(date.getHours())}:${two(date.getMinutes())}`;
  },
  // Mon 30 Nov
  day: (ms) => new Date(ms).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short" }),
  // Mon 30 Nov, 14:05; only 14:05 where it is today
  when: (ms) =>
    new Date(ms).toDateString() === new Date().toDateString()
      ? format.minute(ms)
      : `${format.day(ms)}, ${format.minute(ms)}`,
  // 8 s, 3 min, 2 h 5 min, 4 days
  span(seconds) {
    const s = Math.max(0, Math.round(seconds));
    if (s < 100) return `${s} s`;
    const minutes = Math.round(s / 60);
    if (minutes < 60) return `${minutes} min`;
    if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
    return `${Math.round(minutes / 1440)} days`;
  },
  number: (value, digits = 0) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
  // 0.12, 3.4, 140: two digits that matter, no exponent
  figure: (value) => (value >= 100 ? format.number(value) : String(Number(value.toPrecision(2)))),
  percent: (share) => `${Math.round(100 * share)} %`,
  many,
};

export const texts = {
  frame: {
    skip: "Skip to the content",
    nav: "Views",
    cancel: "Cancel",
    close: "Close this message",
    title: (view, device) => `${view} · ${device}`,
    theme: { auto: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" },
    connection: {
      connecting: "connecting",
      open: "live",
      stored: "stored signatures only",
      away: "no connection",
      unpaired: "not paired",
    },
    loading: "Loading …",
  },

  // What is said while something is wrong with the connection, or after it was: a line and what it means.
  banner: {
    network: ["The device does not answer.", "The page tries again by itself. Check that this device is still in the same network."],
    service: [
      "The service does not answer.",
      "The page tries again by itself. On the device, sudo systemctl status motionsig says what is wrong.",
    ],
    restarted: ["The service restarted; nothing was lost.", "What it had measured is stored. The ribbon goes on from here."],
    missed: (rows) => [
      "The ribbon has a gap.",
      rows == null
        ? "This browser was away for too long. What was measured meanwhile is stored; see Look back."
        : `${many(rows, "signature was", "signatures were")} measured while this browser was away. They are stored; see Look back.`,
    ],
    back: ["The connection is back; nothing was lost.", ""],
  },

  errors: {
    // One text for each kind of error; what the device said of it follows.
    of: ({ kind, text, status }) => {
      const said = text ? ` ${text[0].toUpperCase()}${text.slice(1)}.`.replace(/([.!?])\.$/, "$1") : "";
      return ((status === 429 && texts.errors.often) || texts.errors[kind] || texts.errors.failed) + said;
    },
    request: "The device does not take this.",
    head: "This cannot be done with that head.",
    busy: "The device is busy with something else.",
    nothing: "There is nothing to show.",
    failed: "The device could not do this.",
    page: "The page does not take this.",
    offline: "There was no answer from the device. Try again.",
    often: "Too many attempts. Wait a minute, then try again.",
  },

  pair: {
    title: "Let this browser in",
    why: "This page shows how a device moves, so it is shown only to browsers that were let in.",
    steps: ["On the device, run:", "Open the link that it prints, or scan its QR code. Or type the code here:"],
    command: "sudo motionsig page",
    code: "Code",
    hint: "A code works once and for a few minutes.",
    act: "Let in",
    empty: "Type the code that the device shows.",
    wrong: "This code does not work: it is mistyped, was used before, or is too old. Run the command again for a new one.",
    ended: "This session has ended. A new code lets this browser in again.",
    done: "This browser is let in.",
  },

  live: {
    tab: "Live",
    title: "Live",
    ribbon: {
      title: "Signatures",
      label: "Signatures of about the last minute, newest on the right",
      motion: "motion",
      posture: "posture",
      now: "now",
      ago: (seconds) => `${seconds} s`,
      legend: { low: "below zero", high: "above", rest: "at rest", bridged: "samples filled in", gap: "nothing measured" },
      about:
        "Each column is one signature. Alike motion has alike colours. The upper part is how it moves, the lower part how it lies.",
      // The picture in words.
      words: ({ seconds, rest, gaps, states, likest }) =>
        [
          seconds ? `The last ${format.span(seconds)}: ${rest >= 0.995 ? "at rest" : rest <= 0.005 ? "in motion" : `at rest for ${format.percent(rest)} of it`}.` : "No signature yet.",
          gaps ? `${many(gaps, "gap", "gaps")}.` : "",
          states.length ? `Now: ${states.join(", ")}.` : "",
          likest ? `Most like ${likest.name}, ${likest.over ? "above" : "below"} its threshold.` : "",
        ]
          .filter(Boolean)
          .join(" "),
    },
    now: {
      title: "Now",
      none: "No state holds.",
      holds: (since) => `since ${since}`,
      noStates: "No head that tells a state is switched on.",
    },
    likeness: {
      title: "Likeness",
      about: "How alike the newest signature is to what each head knows. At the mark, a head tells an event.",
      bar: (name, score, on) => `${name}: ${score}, threshold ${on}`,
      silent: "no score",
      paused: "paused",
      idle: "does not judge",
      none: "There are no heads yet. Teach one: it takes ten seconds.",
      teach: "Teach a motion",
    },
    events: {
      title: "Last events",
      none: "No event yet. When a head finds what it knows, it stands here.",
      phase: { once: "", began: "began", ended: "ended" },
      line: (event) => [event.head, texts.live.events.phase[event.phase]].filter(Boolean).join(" "),
      lasted: (seconds) => format.span(seconds),
      score: (score) => `score ${score.toFixed(2)}`,
      notThis: "Not this",
      notThisOf: (head, clock) => `Not this: ${head} at ${clock}`,
      said: (event) => `${texts.live.events.line(event)}, ${format.clock(event.start_ns / 1e6)}`,
    },
    device: {
      title: "Device",
      sensor: "Sensor",
      rate: "Rate",
      gaps: "Gaps",
      quality: "Windows without a loss",
      backlog: "Waiting to be sent",
      encoder: "Encoder",
      since: "Running since",
      version: "Version",
      clock: "Clock",
      error: "Last error",
      rateOf: (hz) => `${format.number(hz, 1)} Hz`,
      gapsOf: (gaps) => (gaps ? format.number(gaps) : "none"),
      backlogOf: (count) => (count ? many(count, "signature", "signatures") : "nothing"),
      encoderOf: (model, device) => `${model} on ${device}`,
      qualityOf: (share) => (share == null ? "not known yet" : `${format.percent(share)} of the last 5 minutes`),
      unsetClock: "No time server has set it: times may be wrong",
      over: (when) => `${when}; it is over`,
    },
    // What is wrong or not there yet: a line, what to do, and a command where there is one.
    trouble: {
      starting: { title: "The service starts.", text: "The first signatures come within a few seconds." },
      missing: (name, error) => ({
        title: "No motion sensor.",
        text: `${error ?? `The service looks for ${name}.`} The service tries again by itself. This command says which sensors are here, and what is missing:`,
        command: "sudo motionsig doctor",
      }),
      silent: (seconds) => ({
        title: `The sensor has sent nothing for ${format.span(seconds)}.`,
        text: "The service tries to reach it by itself. Check its cable. This command says more:",
        command: "motionsig status",
      }),
      doubt: (text) => ({ title: "The sensor's values are in doubt.", text }),
      sink: (text) => ({ title: "Signatures cannot be sent at the moment.", text: `${text} They wait on the device and are sent later.` }),
      heads: (text) => ({ title: "A head cannot be used.", text }),
      noSensor: {
        title: "This page only looks back.",
        text: "It was started on stored signatures, without a sensor. To see motion live, start it with a sensor:",
        command: "motionsig page --sensor auto",
      },
    },
  },

  teach: {
    tab: "Teach",
    title: "Teach",
    // C2
  },

  lookback: {
    tab: "Look back",
    title: "Look back",
    // C2
  },

  heads: {
    tab: "Heads",
    title: "Heads",
  },

  people: {
    tab: "Access",
    title: "Access",
    browsers: "Browsers that are let in",
    mine: "this browser",
    leave: "Sign out",
    end: "End",
    endOf: (browser, mine) => (mine ? "Sign out this browser" : `End the session of ${browser}`),
    times: (began, seen) => `let in ${format.when(began)}, last seen ${format.when(seen)}`,
    endAll: "End all sessions",
    endAllTitle: "End all sessions?",
    endAllText: "Every browser, also this one, then needs a new code.",
    ended: "The session has ended.",
    more: "Let another browser in",
    moreText: "On the device, run this command. It prints a link and a QR code, which let one browser in, once:",
    command: "sudo motionsig page",
    networkText: "For phones and other devices in your network, switch that on first. The page is then encrypted:",
    network: "sudo motionsig page --network",
    never: "What never leaves the device",
    neverText: [
      "The sensor's values are turned into signatures on the device. This page gets signatures and events, and never the values themselves.",
      "The page comes from the device alone, asks no other computer, and works without the internet.",
      "No program can be started from here. What an event starts is configured by root on the device.",
    ],
    device: "This device",
    facts: (hello) => [
      ["Name", hello.name],
      ["Version", hello.version],
      ["Look back reads", hello.store ?? hello.why_no_store ?? "nothing"],
      ["A signature", `${hello.dim} codes from ${format.figure(hello.length_ms / 1000)} s of motion, every ${format.figure(hello.hop_ms / 1000)} s`],
    ],
  },
};
