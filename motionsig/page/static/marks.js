// How the events of a head look: a shape and a colour each, so that nobody has to tell them by colour alone. Filled is
// what was told then, hollow what the head would tell as it is now, and pale what it told then and would not tell now.
// And how a strip of time is drawn, on a canvas.

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
const SVG = "http://www.w3.org/2000/svg";
const TOP = 4; // pixels above the first lane
const MOVES = 22; // pixels for how much moved

// The mark of the head with this number in the list of heads; as its event has it, where one is given.
export function shape(number, { told = true, now = true } = {}) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[number % SHAPES.length]);
  svg.setAttribute("viewBox", "-1 -1 18 18");
  svg.setAttribute("class", `shape shape-${number % SHAPES.length}${told ? "" : " hollow"}${now ? "" : " pale"}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}

// The colours of the theme that is on.
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(name).trim();
  const parts = ["ground", "covered", "moving", "gap", "line", "now", "chosen"];
  return {
    heads: SHAPES.map((_, number) => get(`--head-${number}`)),
    ...Object.fromEntries(parts.map((name) => [name, get(`--strip-${name}`)])),
  };
}

// Draws one strip, and returns where its events are: [{x0, x1, y, event}], in pixels.
// width: of the canvas, in pixels. span: [from, to]. scale: milliseconds in that width. answer: of `lookback`.
// shown: [{number, events}], a lane each of `lane` pixels. like: windows to be framed. chosen: [from, to] or null.
// ticks: times of thin lines. now: until then there is something to know.
export function drawStrip(canvas, { width, span, scale, answer, shown, lane, like, chosen, ticks, now, colour }) {
  const [from, to] = span;
  const ratio = window.devicePixelRatio || 1;
  const height = TOP + Math.max(1, shown.length) * lane + MOVES;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const g = canvas.getContext("2d");
  const x = (ms) => ((ms - from) / scale) * width;
  const within = (begin, end) => end > from && begin < to;
  g.scale(ratio, ratio);
  g.save();
  g.beginPath();
  g.roundRect(0, 0, x(to), height, 5);
  g.clip();
  g.fillStyle = colour.ground;
  g.fillRect(0, 0, width, height);
  drawCover(g, { from, to: Math.min(to, now), x, height, answer, colour });
  g.fillStyle = colour.line;
  for (const tick of ticks.slice(1)) g.fillRect(Math.round(x(tick)), 0, 1, height);
  if (chosen && within(...chosen)) {
    g.fillStyle = colour.chosen;
    g.globalAlpha = 0.3;
    g.fillRect(x(chosen[0]) - 2, 0, x(chosen[1]) - x(chosen[0]) + 4, height);
    g.globalAlpha = 1;
  }
  if (now > from && now < to) {
    g.fillStyle = colour.now;
    g.fillRect(Math.round(x(now)) - 1, 0, 2, height);
  }
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

// What is stored, and how much of it moved. What is not covered is hatched, until now.
function drawCover(g, { from, to, x, height, answer, colour }) {
  if (to <= from) return;
  const { since_ms, bin_ms, covered, moving } = answer;
  g.save();
  g.beginPath();
  g.rect(0, 0, x(to), height);
  g.clip();
  g.strokeStyle = colour.gap;
  g.beginPath();
  for (let at = -height; at < x(to); at += 6) {
    g.moveTo(at, height);
    g.lineTo(at + height, 0);
  }
  g.stroke();
  const first = Math.max(0, Math.floor((from - since_ms) / bin_ms));
  const last = Math.min(covered.length, Math.ceil((to - since_ms) / bin_ms));
  const left = (bin) => x(since_ms + bin * bin_ms);
  g.fillStyle = colour.covered;
  for (let bin = first; bin < last; bin += 1) {
    // Half a pixel more, so that no line shows between two bins. A bin of which little is stored stays narrow.
    const wide = (left(bin + 1) - left(bin)) * Math.min(1, covered[bin] ?? 0);
    if (wide) g.fillRect(left(bin), 0, wide + (covered[bin] > 0.99 ? 0.5 : 0), height);
  }
  g.fillStyle = colour.moving;
  for (let bin = first; bin < last; bin += 1) {
    if (!moving[bin]) continue;
    const tall = Math.max(1.5, moving[bin] * (MOVES - 4));
    g.fillRect(left(bin), height - tall, Math.max(1, left(bin + 1) - left(bin)), tall);
  }
  g.restore();
}

// What lasts is a bar, with the shape at its beginning.
function drawEvent(g, { x0, x1, y, size, number, event, colour }) {
  const lasts = x1 - x0 > size;
  const path = PATHS[number % PATHS.length];
  g.strokeStyle = colour.heads[number % PATHS.length];
  g.fillStyle = event.told ? g.strokeStyle : colour.ground;
  g.globalAlpha = event.now === false ? 0.4 : 1;
  g.lineWidth = 1.75;
  if (lasts) {
    g.beginPath();
    g.roundRect(x0, y - size / 4, x1 - x0, size / 2, 2);
    g.fill();
    g.stroke();
  }
  g.save();
  g.translate(lasts ? x0 : (x0 + x1 - size) / 2, y - size / 2);
  g.scale(size / 16, size / 16);
  g.lineWidth = (1.75 * 16) / size;
  g.fill(path);
  g.stroke(path);
  g.restore();
  g.globalAlpha = 1;
}
