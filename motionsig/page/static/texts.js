// All that the page says, in English. A translation is another file with the same names.

const two = (number) => String(number).padStart(2, "0");
const many = (count, one, more = `${one}s`) => `${format.number(count)} ${count === 1 ? one : more}`;
const dated = (options) => (ms) => new Date(ms).toLocaleDateString("en-GB", options);

const sentence = (text) => (text ? `${text[0].toUpperCase()}${text.slice(1)}${/[.!?:]$/.test(text) ? "" : "."}` : "");

// Times are in the browser's time zone.
export const format = {
	clock: (ms) => `${format.minute(ms)}:${two(new Date(ms).getSeconds())}`, // 14:05:09
	minute: (ms) => `${two(new Date(ms).getHours())}:${two(new Date(ms).getMinutes())}`, // 14:05
	day: dated({ weekday: "short", day: "numeric", month: "short" }), // Mon 30 Nov
	date: dated({ weekday: "long", day: "numeric", month: "long", year: "numeric" }), // Monday 30 November 2026
	// Mon 30 Nov, 14:05; only 14:05 where it is today
	when: (ms) => (format.date(ms) === format.date(Date.now()) ? "" : `${format.day(ms)}, `) + format.minute(ms),
	// 2.6 s, 3 min, 2 h 5 min, 4 days
	span(seconds) {
		const minutes = Math.round(seconds / 60);
		if (seconds < 100) return `${seconds.toFixed(seconds % 1 && seconds < 10 ? 1 : 0)} s`;
		if (minutes < 60) return `${minutes} min`;
		if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
		return `${Math.round(minutes / 1440)} days`;
	},
	number: (value) => value.toLocaleString("en-US"),
	// 0.12, 3.4, 140: two digits that matter, no exponent
	figure: (value) => (value >= 100 ? format.number(Math.round(value)) : String(Number(value.toPrecision(2)))),
};

// False alarms an hour: 0.1 an hour (probably 0 to 0.4)
const rateOf = ([rate, low, high], what = "") =>
	rate
		? `${format.figure(rate)}${what} an hour (probably ${format.figure(low)} to ${format.figure(high)})`
		: `less than ${format.figure(high)}${what} an hour`;
const expected = (rate) => `expect ${rateOf(rate, " false alarms")}`;

export const texts = {
	frame: {
		nav: "Views",
		cancel: "Cancel",
		connection: {
			connecting: "connecting",
			open: "live",
			stored: "no sensor",
			away: "no connection",
			unpaired: "not paired",
		},
	},

	// A line, and what it means.
	banner: {
		network: ["The device does not answer.", "The page tries again. Check that both are in the same network."],
		crowded: ["Too many browsers watch at once.", "This one is let in when another closes the page."],
		service: ["The service does not answer.", "The page tries again. On the device, motionsig status says what is wrong."],
		restarted: ["The service restarted; nothing was lost.", "The ribbon goes on from here."],
		missed: (rows) => [
			"The ribbon has a gap.",
			`${rows == null ? "Some" : format.number(rows)} signatures were not received. They are stored; see Look back.`,
		],
		back: ["The connection is back; nothing was lost."],
	},

	errors: {
		of: ({ kind, text, status }) => `${texts.errors[status === 429 ? "often" : kind] ?? texts.errors.failed} ${sentence(text)}`.trim(),
		failed: "This could not be done.",
		offline: "The device did not answer. Try again.",
		often: "Too many attempts. Wait a minute, then try again.",
	},

	pair: {
		title: "Let this browser in",
		why: "Only browsers that were let in see how a device moves.",
		command: "sudo motionsig page",
		steps: ["On the device, run (or press Enter in the page's terminal):", "Open the link that it prints, or scan its QR code. Or type the code here:"],
		code: "Code",
		hint: "A code works once, and for ten minutes.",
		act: "Let in",
		empty: "Type the code that the device shows.",
		wrong: "This code does not work: it is mistyped, used or too old.",
		ended: "This session has ended.",
		done: "This browser is let in.",
	},

	live: {
		tab: "Live",
		ribbon: {
			label: "Signatures of about the last minute, newest on the right",
			motion: "motion",
			posture: "posture",
			legend: { low: "below zero", high: "above", rest: "at rest", bridged: "samples filled in", gap: "nothing measured" },
			about: "A column is a signature, its numbers as colours. Alike motions look alike.",
			words({ seconds, rest, gaps }) {
				const moved = rest > 0.995 ? "at rest" : rest < 0.005 ? "in motion" : `at rest for ${Math.round(100 * rest)} %`;
				return seconds ? `The last ${format.span(seconds)}: ${moved}${gaps ? `, ${many(gaps, "gap")}` : ""}.` : "No signature yet.";
			},
		},
		now: {
			none: "No state holds.",
			holds: (ms, seconds) => `since ${format.clock(ms)}${seconds >= 60 ? `, for ${format.span(seconds)}` : ""}`,
			pauses: (seconds) => `not seen now: it ends after ${format.span(seconds)} without it`,
		},
		likeness: {
			title: "Likeness",
			about: "A head finds one motion. A bar shows how like it the newest signature is: from the mark on, it tells.",
			bar: (score, on) => `${score}, threshold ${on.toFixed(2)}`,
			silent: "no score",
			paused: "paused",
			idle: "does not judge",
		},
		events: {
			title: "Last events",
			none: "No event yet. What a head finds stands here.",
			holds: "goes on",
			details: (ms, seconds, score) =>
				`${format.clock(ms)}${seconds == null ? "" : ` · for ${format.span(seconds)}`} · likeness ${score.toFixed(2)}`,
			notThis: "Not this",
			notThisOf: (head, ms) => `Not this: ${head} at ${format.clock(ms)}`,
			said: ({ head, phase }) => (phase === "once" ? head : `${head} ${phase}`),
		},
		device: "Device",
		facts({ sensor, sink, model, device, since, signal_quality: quality, clock_is_set, last_error: error }) {
			const here = sensor.state !== "missing";
			return [
				["Sensor", here ? sensor.name : "none"],
				here && ["Rate", `${sensor.true_rate_hz.toFixed(1)} Hz`],
				here && ["Gaps since the start", sensor.gaps ? format.number(sensor.gaps) : "none"],
				quality != null && ["Complete signatures", `${Number((100 * quality).toFixed(1))} % in the last 5 minutes`],
				["Waiting to be sent", sink.pending ? many(sink.pending, "signature") : "nothing"],
				["Encoder", `${model.name} on ${device}`],
				["Running since", format.when(Date.parse(since))],
				clock_is_set === false && ["Clock", "No time server has set it: times may be wrong."],
				error && ["Last error", `${error.text} (${format.when(Date.parse(error.when))}${error.over ? ", it is over" : ""})`],
			];
		},
		trouble: {
			starting: ["The service starts.", "The first signatures come within seconds."],
			missing: (name, error) => [
				"No motion sensor.",
				`${sentence(error) || `The service looks for ${name}.`} This command says what is missing:`,
				"sudo motionsig doctor",
			],
			silent: (seconds) => [
				`The sensor has sent nothing for ${format.span(seconds)}.`,
				"Check its cable. This command says more:",
				"motionsig status",
			],
			doubt: (text) => ["The sensor's values are in doubt.", sentence(text)],
			sink: (text) => ["Signatures cannot be sent now.", `${sentence(text)} They wait on the device and are sent later.`],
			heads: (text) => ["A head cannot be used.", sentence(text)],
			noSensor: [
				"This page only looks back.",
				"A store can neither be seen live nor be taught. A sensor can:",
				"motionsig page --sensor auto",
			],
		},
	},

	teach: {
		tab: "Teach",
		title: "Teach a motion",
		stored: "In Look back, “Not this” and “This, too” make a taught head better.",
		name: "Name",
		placeholder: "knock_twice",
		nameHint: "Then hold still, and perform it with rests between.",
		nameMissing: "Type a name first.",
		nameWrong: "A name begins with a letter or a digit, and has letters without accents, digits, _ and -.",
		nameTaken: (name) => `The name ${name} is taken by another head. Take another one.`,
		begin: "Begin",
		betterTitle: "Make a head better",
		betterWhich: "Head",
		betterHow: { examples: "Perform it again", counter: "Show what it is not" },
		doing: {
			rest: () => "Hold still",
			perform: ({ name, for: what }) => (what === "counter" ? `Now show what is not ${name}` : `Now perform ${name}`),
			enough: () => "That is enough",
			stopped: () => "The lesson has stopped",
		},
		how: {
			rest: () => "Do not move the sensor for two seconds.",
			perform: ({ times }, kept) => `${many(times - kept, "time")}${kept ? " more" : ""}, and rest for a second after each.`,
			enough: () => "Drop what is wrong, then press Learn.",
			stopped: () => "Nothing was performed for ten minutes.",
		},
		performances: "Performances",
		performed: ({ number, begin_ms, end_ms }) => `No. ${number} · ${format.span((end_ms - begin_ms) / 1000)}`,
		judged: ({ kept, why, likeness }) => {
			if (!kept) return why ? `not used: ${why}` : "dropped";
			return likeness == null ? "" : `likeness to the others ${likeness.toFixed(2)}`;
		},
		which: (verb, number) => `${verb} no. ${number}`,
		said: (one, kept, times) => (one.kept ? `${kept} of ${times} found.` : `Not used: ${one.why}.`),
		keep: "Keep",
		drop: "Drop",
		enough: (kept) => `Learn from ${many(kept, "performance")}`,
		forget: "Discard the lesson",
		forgetTitle: (name) => `Discard the lesson ${name}?`,
		endedElsewhere: (name) => `The lesson ${name} was ended in another window: the head is there.`,
		live: (name, counter) => (counter === null ? `${name} is live` : `${name} has learned what it is not`),
		facts: ({ given, found, rate, expectation }, counter) => {
			const lines = [
				found != null && `${found} of ${given} found`,
				counter && `${many(counter, "counter-example")} learned`,
				rate && expected(rate),
			].filter(Boolean);
			return lines.length ? lines : expectation;
		},
		lookingBack: "Looking back over the last seven days …",
		lastWeek: (count) =>
			`It would have fired ${["never", "once", "twice"][count] ?? `${format.number(count)} times`} in the last seven days.`,
		show: (count) => (count ? "Show them" : "Look back"),
		noStore: "Nothing is stored here that tells how often it would have fired.",
		notYet: "Try it now: what it tells is counted here.",
		toldNow: (count, score) => `It has told ${many(count, "event")} since, the last with likeness ${score.toFixed(2)}.`,
		another: "Teach another motion",
	},

	improve: {
		better: ({ name, rate }) => `${name} is better by one example${rate ? `: ${expected(rate)}` : ""}.`,
	},

	lookback: {
		tab: "Look back",
		range: "How much is shown",
		ranges: { hour: "Hour", day: "Day", week: "Week" },
		previous: "Earlier",
		next: "Later",
		now: "Now",
		progress: "Looking back",
		chosen: "What is chosen",
		title_of: {
			hour: (from, to) => `${format.day(from)}, ${format.minute(from)} to ${format.minute(to + 1)}`,
			day: (from) => format.date(from),
			week: (from, to) => `${format.day(from)} to ${format.day(to)}`,
		},
		looking: "Looking back …",
		found: (count) => `${many(count, "event")} of all heads.`,
		nothing: "Nothing is stored of this time.",
		odd: (day, hours) => `${day}: ${hours} hours`,
		told: "told",
		would: "not told, would be now",
		wouldNot: "told, would not be now",
		moving: "in motion",
		gap: "nothing stored",
		howTo: "Touch an event, or draw along a strip to choose a stretch of time.",
		chooseStretch: "Choose by times",
		from: "From",
		to: "To",
		choose: "Choose",
		wrongOrder: "The second time must be later than the first one.",
		stretch: "A stretch of time",
		close: "Close",
		lasted: (from, seconds) => `${format.day(from)}, ${format.clock(from)}, for ${format.span(seconds)}`,
		judged: ({ told, now, score }, head) => {
			const then = told ? "Told then" : "Not told then; the head would tell it now";
			return `${then}${now || !head ? "" : "; the head would not tell it now"}. Likeness ${score.toFixed(2)}.`;
		},
		notThis: (name) => `Not this: it is no ${name}`,
		thisToo: "This, too",
		which: "Head that this is an example of",
		notYours: (name) => `${name} was not taught here, so it cannot be made better here.`,
		alike: "Show the windows like this one",
		searching: "Searching …",
		alikeFound: (count) => `${many(count, "window is", "windows are")} most like this.`,
		likeness: (likeness, labels) => [`likeness ${likeness.toFixed(2)}`, ...(labels ?? [])].join(", "),
		isGone: (name) => `${name} was removed or renamed.`,
		row({ from_ms, to_ms, told, now, score }, head) {
			const { wouldNot, would } = texts.lookback;
			const but = !head ? ", head removed or renamed" : told ? (now ? "" : `, ${wouldNot}`) : `, ${would}`;
			return `${format.span((to_ms - from_ms) / 1000)}, likeness ${score.toFixed(2)}${but}`;
		},
		events: (count, listed) => `${many(count, "event")}${listed < count ? `, the newest ${listed} in words` : ""}`,
	},

	heads: {
		tab: "Heads",
		whose: { page: "taught here", root: "configured by root", shipped: "came with the model" },
		gives: { event: "tells events", state: "tells a state" },
		fixed: {
			root: "Root configured this head on the device. It cannot be changed here.",
			shipped: "This head can be paused here, and not changed.",
		},
		paused: "paused",
		idle: "does not judge",
		whyNot: (why) => `It does not judge: ${why}`,
		examples: ({ examples, counter_examples: against }) =>
			examples && `${many(examples, "example")}${against ? `, ${many(against, "counter-example")}` : ""}`,
		of: (action, name) => `${action}: ${name}`,
		improve: "Make it better",
		show: "Look back",
		pause: "Pause",
		resume: "Resume",
		isPaused: (name) => `${name} is paused.`,
		resumed: (name) => `${name} judges again.`,
		rename: "Rename",
		newName: "New name",
		save: "Save",
		renamed: (name) => `The head is now called ${name}.`,
		export: "Export",
		exported: (name, signed) => `${name} is saved. It is ${signed ? "" : "not "}signed.`,
		remove: "Remove",
		removeTitle: (name) => `Remove ${name}?`,
		removeText: (examples) =>
			`Its ${many(examples, "example goes", "examples go")}, too. To have it back, it must be taught again.`,
		removed: (name) => `${name} is removed.`,
		import: "Import a file",
		importTitle: "Import a head",
		importText: "It is taken only if a key of this device's owner signed it.",
		imported: (name) => `${name} is imported, and judges from now on.`,
		tooLarge: "expected a file of at most 3 MB",
	},

	people: {
		tab: "Access",
		browsers: "Browsers that are let in",
		mine: "this browser",
		leave: "Sign out",
		end: "End",
		endOf: (browser, mine) => (mine ? "Sign out this browser" : `End the session of ${browser}`),
		times: (began, seen) => `let in ${format.when(began)}, last seen ${format.when(seen)}`,
		leaveText: "This browser then needs a new code.",
		endAll: "End all sessions",
		endAllText: "Every browser, also this one, then needs a new code.",
		more: "Let another browser in",
		moreText: "This command prints a link for one browser; so does Enter in the terminal of a page without a service:",
		networkText: "For phones and other devices in your network, encrypted, first:",
		network: "sudo motionsig page --network",
		never: "What never leaves the device",
		neverText: "The sensor's values: this page gets the signatures and events that are made of them. It starts no program.",
	},
};
