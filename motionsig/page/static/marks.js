// How the events of a head look, and how a strip is drawn.

import { cssColour, h } from "./dom.js";

const SHAPES = [
	"M8 1.5A6.5 6.5 0 1 1 8 14.5A6.5 6.5 0 1 1 8 1.5Z", // circle
	"M2.5 2.5H13.5V13.5H2.5Z", // square
	"M8 1.5L15 14H1Z", // triangle
	"M8 .5L15.5 8L8 15.5L.5 8Z", // diamond
	"M5.5 1.5H10.5V5.5H14.5V10.5H10.5V14.5H5.5V10.5H1.5V5.5H5.5Z", // cross
	"M8 14.5L1 2H15Z", // triangle, point down
	"M8 .5L10 6H15.5L11 9.5L12.8 15L8 11.6L3.2 15L5 9.5L.5 6H6Z", // star
];
const PATHS = SHAPES.map((shape) => new Path2D(shape));
const TOP = 4; // pixels above the first lane
const MOVES = 22; // pixels for how much moved

const numbers = new Map();

// The number of a head's shape and colour: its name gives it, or the next one that no other head has.
export function numberOf(name) {
	if (!numbers.has(name)) {
		const hash = [...name].reduce((sum, letter) => (31 * sum + letter.charCodeAt(0)) % 9973, 0);
		const taken = new Set(numbers.values());
		const free = SHAPES.map((_, i) => (hash + i) % SHAPES.length).find((number) => !taken.has(number));
		numbers.set(name, free ?? hash % SHAPES.length);
	}
	return numbers.get(name);
}

export function shape(number, { told = true, now = true } = {}) {
	const kind = `svg.shape${told ? "" : ".hollow"}${now ? "" : ".pale"}`;
	const svg = h(kind, { viewBox: "-1 -1 18 18", "aria-hidden": "true" }, h("path", { d: SHAPES[number] }));
	svg.style.color = `var(--head-${number})`;
	return svg;
}

export const colours = () => ({
	heads: SHAPES.map((_, number) => cssColour(`head-${number}`)),
	ground: cssColour("ground"),
	covered: cssColour("covered"),
	moving: cssColour("line-strong"),
	faint: cssColour("faint"),
	now: cssColour("danger"),
	chosen: cssColour("focus"),
});

// Draws one strip, and returns where its events are: [{x0, x1, y, event}], in pixels.
// width: in pixels, of `scale` milliseconds. span, chosen: [from, to]. answer: of `lookback`. shown: [{number, events}], a lane
// each. like: windows to be framed. ticks: times of thin lines. now: until then there is something to know.
export function drawStrip(canvas, { width, span, scale, answer, shown, lane, like, chosen, ticks, now, colour }) {
	const [from, to] = span;
	const ratio = devicePixelRatio || 1;
	const height = TOP + Math.max(1, shown.length) * lane + MOVES;
	canvas.style.height = `${height}px`;
	canvas.width = Math.round(width * ratio);
	canvas.height = Math.round(height * ratio);
	const g = canvas.getContext("2d");
	const x = (ms) => ((ms - from) / scale) * width;
	const within = (begin, end) => end > from && begin < to;
	const rect = (fill, ...box) => {
		g.fillStyle = fill;
		g.fillRect(...box);
	};
	g.scale(ratio, ratio);
	g.save();
	g.beginPath();
	g.roundRect(0, 0, x(to), height, 5);
	g.clip();
	rect(colour.ground, 0, 0, width, height);
	if (now > from) drawCover(g, { from, to: Math.min(to, now), x, height, answer, colour, rect });
	for (const tick of ticks.slice(1)) rect(colour.faint, Math.round(x(tick)), 0, 1, height);
	if (chosen && within(...chosen)) {
		g.globalAlpha = 0.3;
		rect(colour.chosen, x(chosen[0]) - 2, 0, x(chosen[1]) - x(chosen[0]) + 4, height);
		g.globalAlpha = 1;
	}
	if (now > from && now < to) rect(colour.now, Math.round(x(now)) - 1, 0, 2, height);
	g.restore();
	const places = [];
	shown.forEach(({ number, events }, row) => {
		const y = TOP + (row + 0.5) * lane;
		for (const event of events) {
			if (!within(event.from_ms, Math.max(event.to_ms, event.from_ms + 1))) continue;
			const x0 = Math.max(0, x(event.from_ms));
			const x1 = Math.max(x0, Math.min(x(to), x(event.to_ms)));
			drawEvent(g, { x0, x1, y, size: Math.min(12, lane - 3), number, event, colour });
			places.push({ x0, x1, y, event });
		}
	});
	g.strokeStyle = colour.chosen;
	g.lineWidth = 1.5;
	for (const { from_ms, to_ms } of like) {
		if (!within(from_ms, to_ms)) continue;
		const half = Math.max(5, (x(to_ms) - x(from_ms)) / 2);
		g.strokeRect((x(from_ms) + x(to_ms)) / 2 - half, 1, 2 * half, height - 2);
	}
	return places;
}

function drawCover(g, { from, to, x, height, answer: { since_ms, bin_ms, covered, moving }, colour, rect }) {
	g.save();
	g.beginPath();
	g.rect(0, 0, x(to), height);
	g.clip();
	g.strokeStyle = colour.faint;
	g.beginPath();
	for (let at = -height; at < x(to); at += 6) {
		g.moveTo(at, height);
		g.lineTo(at + height, 0);
	}
	g.stroke();
	const first = Math.max(0, Math.floor((from - since_ms) / bin_ms));
	const last = Math.min(covered.length, Math.ceil((to - since_ms) / bin_ms));
	const left = (bin) => x(since_ms + bin * bin_ms);
	for (let bin = first; bin < last; bin += 1) {
		// Half a pixel more, so that no line shows between two bins.
		const wide = (left(bin + 1) - left(bin)) * Math.min(1, covered[bin] ?? 0);
		if (wide) rect(colour.covered, left(bin), 0, wide + (covered[bin] > 0.99 ? 0.5 : 0), height);
	}
	for (let bin = first; bin < last; bin += 1) {
		const tall = Math.max(1.5, moving[bin] * (MOVES - 4));
		if (moving[bin]) rect(colour.moving, left(bin), height - tall, Math.max(1, left(bin + 1) - left(bin)), tall);
	}
	g.restore();
}

function drawEvent(g, { x0, x1, y, size, number, event, colour }) {
	const lasts = x1 - x0 > size;
	g.save();
	g.strokeStyle = colour.heads[number];
	g.fillStyle = event.told ? g.strokeStyle : colour.ground;
	g.globalAlpha = event.now === false ? 0.4 : 1;
	g.lineWidth = 1.75;
	if (lasts) {
		g.beginPath();
		g.roundRect(x0, y - size / 4, x1 - x0, size / 2, 2);
		g.fill();
		g.stroke();
	}
	g.translate(lasts ? x0 : (x0 + x1 - size) / 2, y - size / 2);
	g.scale(size / 16, size / 16);
	g.lineWidth = (1.75 * 16) / size;
	g.fill(PATHS[number]);
	g.stroke(PATHS[number]);
	g.restore();
}
