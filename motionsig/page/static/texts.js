// All that the page says, in English. A translation is another file with the same names.
//
// A figure stands in a text by a function, so that a language may put it elsewhere. Places that people type stand as they are.

const two = (number) => String(number).padStart(2, "0");
const many = (count, one, more) => (count === 1 ? `1 ${one}` : `${count.toLocaleString("en-US")} ${more}`);

// What the device said, as a sentence of its own.
const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?:]$/.test(text) ? "" : "."}` : "");

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
  // Monday 30 November 2026
  date: (ms) =>
    new Date(ms).toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" }),
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
      stored: "no sensor",
      away: "no connection",
      unpaired: "not paired",
    },
    loading: "Loading …",
  },

  // What is said while something is wrong with the connection, or after it was: a line and what it means.
  banner: {
    network: ["The device does not answer.", "The page tries again by itself. Check that this device is still in the same network."],
    crowded: ["Too many browsers watch at once.", "This one is let in as soon as another closes the page."],
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
    of: ({ kind, text, status }) =>
      [(status === 429 && texts.errors.often) || (texts.errors[kind] ?? texts.errors.failed), sentence(text)].join(" ").trim(),
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
    hint: "A code works once, and for ten minutes.",
    byHand: "Was the page started in a terminal? Its link is there; Enter prints another one.",
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
      legend: { low: "below zero", high: "above", rest: "at rest", bridged: "lost samples filled in", gap: "nothing measured" },
      about:
        "Each column is a signature: its numbers as colours. Alike motions look alike. The upper part shows motion, the lower part posture.",
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
      holds: (clock, seconds) => `since ${clock}${seconds >= 60 ? `, for ${format.span(seconds)}` : ""}`,
      noStates: "No head that tells a state is switched on.",
    },
    likeness: {
      title: "Likeness",
      about: "A head finds one motion. A bar shows how like it the newest signature is; from the mark on, the head tells it.",
      bar: (score, on) => `${score}, threshold ${on}`,
      silent: "no score",
      paused: "paused",
      idle: "does not judge",
      none: "There is no head yet. Teaching one takes ten seconds.",
      teach: "Teach a motion",
    },
    events: {
      title: "Last events",
      none: "No event yet. What a head finds stands here.",
      holds: "goes on",
      details: (clock, seconds, score) =>
        [clock, seconds == null ? "" : `for ${format.span(seconds)}`, `likeness ${score.toFixed(2)}`].filter(Boolean).join(" · "),
      notThis: "Not this",
      notThisOf: (head, clock) => `Not this: ${head} at ${clock}`,
      said: ({ head, phase }) => ({ once: head, began: `${head} began`, ended: `${head} ended` })[phase],
    },
    device: {
      title: "Device",
      sensor: "Sensor",
      noSensor: "none",
      rate: "Rate",
      rateOf: (hz) => `${format.number(hz, 1)} Hz`,
      gaps: "Gaps since the start",
      gapsOf: (gaps) => (gaps ? format.number(gaps) : "none"),
      quality: "Complete signatures",
      qualityOf: (share) => (share == null ? "not known yet" : `${Number((100 * share).toFixed(1))} % in the last 5 minutes`),
      backlog: "Waiting to be sent",
      backlogOf: (count) => (count ? many(count, "signature", "signatures") : "nothing"),
      encoder: "Encoder",
      encoderOf: (model, device) => `${model} on ${device}`,
      since: "Running since",
      clock: "Clock",
      unsetClock: "No time server has set it: times may be wrong.",
      error: "Last error",
      errorOf: (text, when, over) => `${text} (${when}${over ? ", it is over" : ""})`,
    },
    // What is wrong or not there yet: a line, what to do, and a command where there is one.
    trouble: {
      starting: { title: "The service starts.", text: "The first signatures come within a few seconds." },
      missing: (name, error) => ({
        title: "No motion sensor.",
        text: `${error ? sentence(error) : `The service looks for ${name}.`} It tries again by itself. This command says which sensors are here, and what is missing:`,
        command: "sudo motionsig doctor",
      }),
      silent: (seconds) => ({
        title: `The sensor has sent nothing for ${format.span(seconds)}.`,
        text: "The service tries to reach it by itself. Check its cable. This command says more:",
        command: "motionsig status",
      }),
      doubt: (text) => ({ title: "The sensor's values are in doubt.", text: sentence(text) }),
      sink: (text) => ({ title: "Signatures cannot be sent at the moment.", text: `${sentence(text)} They wait on the device and are sent later.` }),
      heads: (text) => ({ title: "A head cannot be used.", text: sentence(text) }),
      noSensor: {
        title: "This page only looks back.",
        text: "It was started on stored signatures, without a sensor. To see motion live, start it with a sensor:",
        command: "motionsig page --sensor auto",
      },
    },
  },

  teach: {
    tab: "Teach",
    title: "Teach a motion",
    name: "Name",
    placeholder: "knock_twice",
    nameHint: "After Begin, hold still for two seconds, then perform it, with a rest after each.",
    nameMissing: "Type a name first.",
    nameWrong: (name) =>
      /^[_-]/.test(name) ? "A name begins with a letter or a digit." : "A name can have the letters A to Z and a to z, digits, _ and -.",
    nameTaken: (name, whose) =>
      ({
        page: `A head of the name ${name} is there already. It was taught here: make it better below, or take another name.`,
        root: `The name ${name} is taken by a head that root configured on the device. Take another one.`,
        shipped: `The name ${name} is taken by a head that came with motionsig. Take another one.`,
      })[whose],
    times: (count) => `${count} times`,
    timesLabel: "How many times you perform it",
    begin: "Begin",
    betterTitle: "Make a head better",
    betterWhich: "Head",
    betterHow: { examples: "Perform it again", counter: "Show what it is not" },
    // What is done now; `state` is of the service.
    doing: {
      rest: () => "Hold still",
      perform: ({ name, for: what }) => (what === "counter" ? `Now show what is not ${name}` : `Now perform ${name}`),
      enough: () => "That is enough",
      stopped: () => "The lesson has stopped",
    },
    how: {
      rest: () => "Do not move the sensor for two seconds: so it learns what rest is.",
      perform: ({ times }, kept) =>
        kept < times
          ? `${format.many(times - kept, "time", "times")}${kept ? " more" : ""}, and rest for a second after each.`
          : "Rest for a second after each.",
      enough: () => "Drop what is wrong, then press Learn.",
      stopped: (_, kept) =>
        kept ? "Nothing was performed for ten minutes. What was found is kept." : "Nothing was performed for ten minutes.",
    },
    performances: "Performances",
    performed: ({ number, begin_ms, end_ms }) => `No. ${number} · ${((end_ms - begin_ms) / 1000).toFixed(1)} s`,
    judged: ({ kept, why, likeness }) =>
      !kept ? (why ? `not used: ${why}` : "dropped") : likeness == null ? "" : `likeness to the others ${likeness.toFixed(2)}`,
    which: (verb, number) => `${verb} no. ${number}`,
    said: (one, kept, times) =>
      one.kept ? `${kept} of ${times} found, ${((one.end_ms - one.begin_ms) / 1000).toFixed(1)} s.` : `Not used: ${one.why}.`,
    keep: "Keep",
    drop: "Drop",
    enough: (kept) => (kept ? `Learn from ${format.many(kept, "performance", "performances")}` : "Learn"),
    learning: "Learning …",
    forget: "Cancel the lesson",
    forgetTitle: (name) => `Cancel the lesson ${name}?`,
    forgetText: "The performances of this lesson are deleted.",
    endedElsewhere: (name, head) =>
      head ? `The lesson ${name} was ended in another window: the head is there.` : `The lesson ${name} was ended in another window.`,
    live: (name, counter) => (counter === null ? `${name} is live` : `${name} has learned what it is not`),
    gone: (name) => `${name} was removed`,
    facts: ({ given, found, rate, expectation }, counter) => {
      const lines = [];
      if (found != null) lines.push(`${found} of ${given} found`);
      if (counter) lines.push(`${format.many(counter, "counter-example", "counter-examples")} learned`);
      if (rate) lines.push(texts.improve.expect(rate));
      return lines.length ? lines : expectation;
    },
    lookingBack: "Looking back over the last seven days …",
    lastWeek: (count) => `It would have told you ${count === 0 ? "never" : count === 1 ? "once" : count === 2 ? "twice" : `${format.number(count)} times`} in the last seven days.`,
    show: (count) => (count ? "Show them" : "Look back"),
    noStore: "No signatures are stored here, so nobody can tell how often it would have told you before.",
    tryIt: "Try it now",
    likeness: "Likeness now",
    notYet: "Perform it: from the mark on, the head tells an event.",
    toldNow: (count, score) => `It has told ${format.many(count, "event", "events")} since, the last with likeness ${score.toFixed(2)}.`,
    another: "Teach another motion",
    counter: "Show what it is not",
    counterHint: "Such counter-examples help where something else looks alike, such as a door that slams.",
  },

  improve: {
    // [figure, lowest, highest] an hour
    expect: ([rate, low, high]) =>
      rate ? `expect ${format.figure(rate)} false alarms an hour (probably ${format.figure(low)} to ${format.figure(high)})` : `expect less than ${format.figure(high)} false alarms an hour`,
    better: ({ name, rate }) => `${name} is better by one example${rate ? `: ${texts.improve.expect(rate)}` : ""}.`,
  },

  lookback: {
    tab: "Look back",
    title: "Look back",
    range: "How much is shown",
    ranges: { hour: "Hour", day: "Day", week: "Week" },
    previous: "Earlier",
    next: "Later",
    now: "Now",
    heads: "Heads",
    progress: "Looking back",
    chosen: "What is chosen",
    list: "Events in words",
    title_of: {
      hour: (from, to) => `${format.day(from)}, ${format.minute(from)} to ${format.minute(to + 1)}`,
      day: (from) => format.date(from),
      week: (from, to) => `${format.day(from).replace(/^\w+,? /, "")} to ${format.day(to).replace(/^\w+,? /, "")}`,
    },
    looking: {
      hour: "Looking back over an hour …",
      day: "Looking back over a day …",
      week: "Looking back over seven days …",
    },
    found: (count) => (count ? `${format.many(count, "event", "events")} of all heads.` : "No event."),
    nothing: {
      hour: "Nothing is stored of this hour.",
      day: "Nothing is stored of this day.",
      week: "Nothing is stored of these seven days.",
    },
    odd: (ms, hours) => `${format.day(ms)} has ${hours} hours: the clocks change.`,
    told: "told",
    would: "not told, would be now",
    wouldNot: "told, would not be now",
    moving: "in motion",
    gap: "nothing stored",
    zone: (name) => `time zone: ${name}`,
    howTo: "Touch an event for what it is. Draw along a strip to choose a stretch of time.",
    chooseStretch: "Choose by times",
    from: "From",
    to: "To",
    choose: "Choose",
    wrongOrder: "The time to which it goes must be later than the one from which.",
    stretch: "A stretch of time",
    close: "Close",
    lasted: (from, seconds) => `${format.day(from)}, ${format.clock(from)}, for ${texts.lookback.long(seconds)}`,
    judged: ({ told, now, score }) =>
      `${!told ? "Not told then; the head would tell it now" : now ? "Told then" : "Told then; the head would not tell it now"}. Likeness ${score.toFixed(2)}.`,
    notThis: (name) => `Not this: it is no ${name}`,
    thisToo: "This, too",
    which: "Head that this is an example of",
    notYours: (name) => `${name} was not taught here, so it cannot be made better here.`,
    alike: "Show the windows like this one",
    closer: "Look closer",
    searching: "Searching …",
    alikeFound: (count) => (count ? `${format.many(count, "window is", "windows are")} most like this; a frame marks each.` : "No window is like this."),
    likeness: (likeness, labels) => [`likeness ${likeness.toFixed(2)}`, ...(labels ?? [])].join(", "),
    row: ({ from_ms, to_ms, told, now, score }) =>
      `${texts.lookback.long((to_ms - from_ms) / 1000)}, likeness ${score.toFixed(2)}${told ? (now ? "" : ", would not be told now") : ", not told then"}`,
    long: (seconds) => (seconds < 100 ? `${seconds.toFixed(1)} s` : format.span(seconds)),
    events: (count) => format.many(count, "event", "events"),
    more: (count) => `Show ${format.number(count)} more`,
  },

  heads: {
    tab: "Heads",
    title: "Heads",
    teach: "Teach a motion",
    none: "There is no head yet. A head finds one motion among all others; teach one by performing it three times.",
    whose: { page: "taught here", root: "configured by root", shipped: "came with the model" },
    gives: { event: "tells events", state: "tells a state" },
    fixed: {
      page: "",
      root: "Root configured this head on the device, and programs may start for it. So it cannot be changed here.",
      shipped: "This head came with the model. It can be paused here, and not changed.",
    },
    paused: "paused",
    idle: "does not judge",
    whyNot: (why) => `It does not judge: ${why}`,
    facts: ({ rate, given, found, examples, counter_examples: against }) =>
      [
        ["False alarms", rate ? texts.heads.rate(...rate) : "not known yet"],
        given && ["Performances found", `${found} of ${given}`],
        examples && ["Examples", `${examples}${against ? `, and ${many(against, "counter-example", "counter-examples")}` : ""}`],
      ].filter(Boolean),
    // 0.1 an hour (probably 0 to 0.4)
    rate: (figure, low, high) =>
      figure ? `${format.figure(figure)} an hour (probably ${format.figure(low)} to ${format.figure(high)})` : `less than ${format.figure(high)} an hour`,
    expect: "What to expect",
    of: (action, name) => `${action}: ${name}`,
    improve: "Make it better",
    show: "Look back",
    pause: "Pause",
    resume: "Resume",
    isPaused: (name) => `${name} is paused. It tells nothing until you resume it.`,
    resumed: (name) => `${name} judges again.`,
    rename: "Rename",
    newName: "New name",
    save: "Save",
    renamed: (name) => `The head is now called ${name}.`,
    export: "Export",
    exported: (name, signed) => `${name} is saved. ${signed ? "It is signed." : "It is not signed: another device takes it only with a signature."}`,
    remove: "Remove",
    removeTitle: (name) => `Remove ${name}?`,
    removeText: (examples) => [
      `Its ${many(examples, "example goes", "examples go")}, too. To have it back, it must be taught again.`,
      "Events that it told stay stored.",
    ],
    removed: (name) => `${name} is removed.`,
    import: "Import a file",
    importTitle: "Import a head",
    importText: "A head that was exported on another device. It is taken only if a key of this device's owner signed it.",
    imported: (name) => `${name} is imported, and judges from now on.`,
    tooLarge: "expected a file of at most 3 MB",
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
    moreText: "This command on the device prints a link that lets one browser in, as does Enter in the terminal of a page without a service:",
    command: "sudo motionsig page",
    networkText: "For phones and other devices in your network, switch that on first. The page is then encrypted:",
    network: "sudo motionsig page --network",
    never: "What never leaves the device",
    neverText: [
      "The sensor's values are turned into signatures on the device. This page gets signatures and events, and never the values themselves.",
      "The page comes from the device alone, asks no other computer, and works without the internet.",
      "No program can be started from here. Only root can configure, on the device, what an event starts.",
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
