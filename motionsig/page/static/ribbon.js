// The ribbon: the signatures of about the last minute, a column each, newest on the right.

import { cssColour, dark } from "./dom.js";
import { format } from "./texts.js";

const KEPT = 1200; // rows: some three minutes
const LANES = 2;
const [LANE, AXIS, PART] = [22, 20, 6]; // CSS px; PART parts motion and posture
const REST = 0.2; // so much is left of the colours at rest
const [BRIDGED, AT_REST] = [1, 4];
const STILL_MS = 1000; // where somebody wants less motion, the ribbon steps once a second
const SKEW_MS = 10_000;

const DARK = { ground: [0.17, 0.006], below: [0.8, 0.125, 240], above: [0.82, 0.135, 66] };
const LIGHT = { ground: [0.965, 0.006], below: [0.4, 0.14, 256], above: [0.5, 0.14, 48] };

function ramp({ ground, below, above }, strength) {
	return Array.from({ length: 256 }, (_, index) => {
		const code = index - 128;
		const share = strength * Math.min(1, Math.abs(code) / 110) ** 0.8;
		const [light, chroma, hue] = code < 0 ? below : above;
		const towards = (from, to) => from + share * (to - from);
		return `oklch(${towards(ground[0], light)} ${towards(ground[1], chroma)} ${hue})`;
	});
}

export function createRibbon(canvas) {
	const pen = canvas.getContext("2d");
	const picture = document.createElement("canvas");
	const ink = picture.getContext("2d");
	const rows = []; // of the newest KEPT: { stream, ms, slot, before (slot of the row before it), codes, quality }
	const marks = []; // { head, fromMs, toMs (null: it goes on), lane }
	const arrivals = []; // how late rows came by this browser's clock; the least of the last seconds is the clocks' difference
	let shape = { hop: 160, length: 2560, motion: [0, 48], posture: [48, 64] };
	let size = { width: 0 };
	let colours = {};
	let frame = 0;
	let drawn = null;
	let changed = true;

	// Rows in a run keep one column each, also where rounding would put two into one, or leave one out.
	function slotOf(ms, stream, before) {
		const slot = Math.round(ms / shape.hop);
		if (!before) return slot;
		const ahead = slot - before.slot;
		const follows = before.stream === stream && ms - before.ms < 1.5 * shape.hop && Math.abs(ahead - 1) < 3;
		return follows || (ahead <= 0 && ahead > -3) ? before.slot + 1 : slot;
	}

	function add({ stream, start_ms: starts, codes, quality }) {
		const bytes = Int8Array.from(atob(codes), (letter) => letter.charCodeAt(0));
		const dim = bytes.length / starts.length;
		const now = performance.timeOrigin + performance.now();
		const newest = rows.at(-1)?.slot;
		const taken = starts.map((ms, at) => {
			let before = rows.at(-1);
			if (before && before.stream !== stream && ms < before.ms - shape.hop) before = rows.length = 0; // its clock went back
			const slot = slotOf(ms, stream, before);
			const cells = bytes.subarray(at * dim, (at + 1) * dim);
			const row = { stream, ms, slot, before: before ? before.slot : slot - 1, codes: cells, quality: quality[at] ?? 0 };
			rows.push(row);
			return row;
		});
		if (size.width) {
			ink.globalCompositeOperation = "copy";
			ink.drawImage(picture, (newest - rows.at(-1).slot) * size.wide || 0, 0);
			ink.globalCompositeOperation = "source-over";
			taken.forEach(paint);
		}
		rows.splice(0, rows.length - KEPT);
		arrivals.push([now, now - starts.at(-1) - shape.length]);
		while (arrivals[0][0] < now - SKEW_MS) arrivals.shift();
		changed = true;
	}

	function mark({ head, phase, start_ns, end_ns }) {
		const fromMs = start_ns / 1e6 + shape.length - shape.hop; // the column of its first signature
		const toMs = phase === "began" ? null : end_ns / 1e6;
		const known = marks.find((one) => one.head === head && Math.abs(one.fromMs - fromMs) < 1);
		if (known) {
			known.toMs = toMs;
		} else {
			const busy = marks.filter((one) => (one.toMs ?? Infinity) > fromMs).map((one) => one.lane);
			let lane = 0;
			while (lane < LANES - 1 && busy.includes(lane)) lane += 1;
			marks.push({ head, fromMs, toMs, lane });
		}
		if (marks.length > 60) marks.shift();
		changed = true;
	}

	function unmark(head) {
		const going = marks.filter((one) => one.head === head && one.toMs === null);
		for (const one of going) one.toMs = (rows.at(-1)?.ms ?? one.fromMs) + shape.length;
		changed = true;
	}

	function measure() {
		const scale = devicePixelRatio || 1;
		const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * scale));
		if (!width || !height) return;
		const [top, axis, gap] = [LANES * LANE, AXIS, PART].map((side) => Math.round(side * scale));
		const cells = shape.posture[1] - shape.motion[0];
		const cell = Math.max(1, Math.floor((height - top - axis - gap) / cells));
		const wide = Math.max(1, Math.round((width * shape.hop) / 60_000));
		if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
		size = { scale, width, height, wide, cell, gap, top, body: cells * cell + gap };
		Object.assign(picture, { width: width + 2 * wide, height: size.body });
		const theme = dark.matches ? DARK : LIGHT;
		colours = { moving: ramp(theme, 1), rest: ramp(theme, REST) };
		for (const name of ["muted", "accent", "accent-soft", "line-strong"]) colours[name] = cssColour(name);
		rows.forEach(paint);
		changed = true;
	}

	// Paints a row into the picture, whose right column is that of the newest row.
	function paint({ slot, before, codes, quality }) {
		if (!size.width) return;
		const { scale, wide, cell, gap, body } = size;
		const x = picture.width - (rows.at(-1).slot - slot + 1) * wide;
		const palette = quality & AT_REST ? colours.rest : colours.moving;
		const split = shape.motion[1] - shape.motion[0];
		codes.forEach((code, index) => {
			ink.fillStyle = palette[code + 128];
			ink.fillRect(x, index * cell + (index < split ? 0 : gap), wide, cell);
		});
		if (quality & BRIDGED) {
			const hatch = Math.round(3 * scale);
			ink.fillStyle = palette[128];
			for (let y = -((slot * wide) % (3 * hatch)); y < body; y += 3 * hatch) ink.fillRect(x, y, wide, hatch);
		}
		ink.clearRect(x, split * cell, wide, gap);
		ink.fillStyle = colours["line-strong"];
		const from = Math.max(x - (slot - before - 1) * wide, 0);
		for (let at = from + 2 * scale; at < x - scale; at += 6 * scale) ink.fillRect(at, body / 2, 2 * scale, scale);
	}

	// The time at the right edge, by this browser's clock, so that it flows evenly.
	const edgeMs = () => performance.timeOrigin + performance.now() - Math.min(...arrivals.map(([, late]) => late));

	function draw(edge) {
		const { scale, width, height, wide, top, body } = size;
		pen.clearRect(0, 0, width, height);
		// Column `slot` ends at the moment its window ends.
		const xOf = (ms) => width - Math.round(((edge - ms) / shape.hop) * wide);
		pen.drawImage(picture, xOf(rows.at(-1).slot * shape.hop + shape.length) - picture.width, top);
		axis(xOf, edge, top + body);
		pen.font = `600 ${12 * scale}px system-ui, sans-serif`;
		pen.textBaseline = "middle";
		pen.textAlign = "left";
		for (const one of marks) label(one, xOf);
	}

	function axis(xOf, edge, y) {
		const { scale, width } = size;
		const every = width / scale < 600 ? 20_000 : 10_000;
		pen.font = `${12 * scale}px system-ui, sans-serif`;
		pen.textBaseline = "top";
		pen.textAlign = "center";
		for (let ms = Math.floor(edge / every) * every; xOf(ms) > 24 * scale; ms -= every) {
			const x = xOf(ms);
			pen.fillStyle = colours["line-strong"];
			pen.fillRect(x, y, scale, 4 * scale);
			pen.fillStyle = colours.muted;
			if (x < width - 24 * scale) pen.fillText(format.clock(ms), x, y + 6 * scale);
		}
	}
	function label({ head, fromMs, toMs, lane }, xOf) {
		const { scale, width, top, body } = size;
		const [from, to] = [xOf(fromMs), toMs === null ? width : xOf(toMs)];
		if (to < 0 || from > width) return;
		const later = marks.filter((one) => one.lane === lane && one.fromMs > fromMs);
		const room = Math.min(width, ...later.map((one) => xOf(one.fromMs)));
		const [left, y, tall] = [Math.max(0, from), lane * LANE * scale, (LANE - 4) * scale];
		pen.fillStyle = colours["accent-soft"];
		pen.fillRect(left, y, Math.min(to, room) - left, tall);
		pen.fillStyle = colours.accent;
		if (from >= 0) {
			pen.fillRect(from, y, 3 * scale, tall);
			pen.fillRect(from, y, scale, top + body - y);
		}
		// What just began has no room to the right: its name then stands to the left.
		const x = Math.min(left + 8 * scale, width - pen.measureText(head).width - 8 * scale);
		pen.save();
		pen.beginPath();
		pen.rect(Math.min(x, left), y, room - Math.min(x, left), tall);
		pen.clip();
		pen.fillText(head, x, y + tall / 2);
		pen.restore();
	}

	function step() {
		frame = requestAnimationFrame(step);
		if (!rows.length || !size.width) return;
		const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
		const at = still ? Math.floor(edgeMs() / STILL_MS) * STILL_MS : edgeMs();
		const column = Math.round((at / shape.hop) * size.wide);
		if (column === drawn && (still || !changed)) return;
		drawn = column;
		changed = false;
		draw(at);
	}

	new ResizeObserver(measure).observe(canvas);
	dark.addEventListener("change", measure);

	return {
		add,
		mark,
		unmark,
		shaped: ({ hop_ms: hop, length_ms: length, motion, posture }) => {
			shape = { hop, length, motion, posture };
			measure();
		},
		start: () => {
			cancelAnimationFrame(frame);
			measure();
			step();
		},
		stop: () => cancelAnimationFrame(frame),
		summary: () => {
			const shown = rows.filter((row) => row.slot > rows.at(-1).slot - (size.width / size.wide || 1));
			return {
				seconds: (shown.length * shape.hop) / 1000,
				rest: shown.filter((row) => row.quality & AT_REST).length / Math.max(1, shown.length),
				gaps: shown.filter((row) => row.slot > row.before + 1).length,
			};
		},
	};
}
