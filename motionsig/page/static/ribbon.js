// The ribbon: the signatures of about the last minute, a column each, newest on the right.
//
// A column has a cell for each code, motion above posture. The further a code is from zero, the further its colour is from
// the ground: towards blue below zero, towards orange above, at equal steps of lightness (OKLab), which colour-blind people
// tell apart, too. Columns are drawn once, into a picture that goes round; a frame only copies it. So it costs little.

import { format } from "./texts.js";

const KEPT = 1200; // rows: some three minutes, for a wider window and for another theme
const LANES = 2;
const LANE = 22; // px, as all sizes here before they are multiplied by the screen's scale
const AXIS = 20;
const PART = 6; // between motion and posture
const REST = 0.2; // so much is left of the colours at rest
const [BRIDGED, AT_REST] = [1, 4];
const STILL_MS = 1000; // where somebody wants less motion, the ribbon steps once a second
const SKEW_MS = 10_000;

// Lightness, chroma and hue (degrees) of the ends, and how light the ground is.
const DARK = { ground: [0.17, 0.006, 230], below: [0.8, 0.125, 240], above: [0.82, 0.135, 66] };
const LIGHT = { ground: [0.965, 0.006, 90], below: [0.4, 0.14, 256], above: [0.5, 0.14, 48] };

function srgb([lightness, chroma, hue]) {
  const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => Math.round(255 * Math.min(1, Math.max(0, x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055))));
}

// Returns for each code from -128 to 127 its colour as a word of an ImageData (little end first: alpha, blue, green, red).
function ramp({ ground, below, above }, strength) {
  const words = new Uint32Array(256);
  for (let code = -128; code < 128; code += 1) {
    const share = strength * Math.min(1, Math.abs(code) / 110) ** 0.8;
    const end = code < 0 ? below : above;
    const [red, green, blue] = srgb([ground[0] + share * (end[0] - ground[0]), ground[1] + share * (end[1] - ground[1]), end[2]]);
    words[code + 128] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  return words;
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function createRibbon(canvas) {
  const pen = canvas.getContext("2d");
  const picture = document.createElement("canvas");
  const ink = picture.getContext("2d");
  const rows = []; // of the newest KEPT: { stream, seq, ms, slot, codes, quality }
  const lastSeq = new Map(); // by stream: what comes again is not taken twice
  const marks = []; // { head, fromMs, toMs (null: it goes on), lane }
  const arrivals = []; // how late rows came by this browser's clock; the least of the last seconds is the clocks' difference
  let shape = { hop: 160, length: 2560, motion: [0, 48], posture: [48, 64] };
  let size = { scale: 1, width: 0, height: 0, wide: 1, cell: 1, gap: 1, top: 0, body: 0 };
  let colours = {};
  let frame = 0;
  let drawn = null;
  let changed = true;

  const slotMs = (slot) => slot * shape.hop;

  function place(row) {
    const before = rows.at(-1);
    let slot = Math.round(row.ms / shape.hop);
    // Rows in a run keep one column each, also where rounding would put two into one, or leave one out.
    const follows = before && before.stream === row.stream && row.ms - before.ms < 1.5 * shape.hop;
    if (follows && Math.abs(before.slot + 1 - slot) < 3) slot = before.slot + 1;
    else if (before && slot <= before.slot && before.slot - slot < 3) slot = before.slot + 1;
    return slot;
  }

  // Takes a `signatures` of the live feed; returns how many rows of it are new.
  function add({ stream, seq, start_ms: starts, codes, quality }) {
    const bytes = Uint8Array.from(atob(codes), (letter) => letter.charCodeAt(0));
    const dim = bytes.length / Math.max(1, starts.length);
    const now = performance.timeOrigin + performance.now();
    let taken = 0;
    starts.forEach((ms, at) => {
      if (seq + at <= (lastSeq.get(stream) ?? -1)) return;
      lastSeq.set(stream, seq + at);
      const row = { stream, seq: seq + at, ms, codes: new Int8Array(bytes.buffer, at * dim, dim), quality: quality[at] ?? 0 };
      if (rows.length && rows.at(-1).stream !== stream && ms < rows.at(-1).ms - shape.hop) rows.length = 0; // its clock went back
      row.slot = place(row);
      rows.push(row);
      paint(row);
      taken += 1;
    });
    if (!taken) return 0;
    if (rows.length > KEPT) rows.splice(0, rows.length - KEPT);
    arrivals.push([now, now - starts.at(-1) - shape.length]);
    while (arrivals[0][0] < now - SKEW_MS) arrivals.shift();
    changed = true;
    return taken;
  }

  // Takes an event: a mark from its start to its end; what began goes on until its end is told.
  function mark(event) {
    const [fromMs, toMs] = [event.start_ns / 1e6, event.end_ns / 1e6];
    const known = marks.find((one) => one.head === event.head && Math.abs(one.fromMs - fromMs) < 1);
    if (known) {
      known.toMs = event.phase === "began" ? null : toMs;
    } else {
      const busy = new Set(marks.filter((one) => (one.toMs ?? Infinity) > fromMs).map((one) => one.lane));
      let lane = 0;
      while (lane < LANES - 1 && busy.has(lane)) lane += 1;
      marks.push({ head: event.head, fromMs, toMs: event.phase === "began" ? null : toMs, lane });
    }
    if (marks.length > 60) marks.shift();
    changed = true;
  }

  // The state of that head has ended, though no event told it, as after a restart.
  function unmark(head) {
    for (const one of marks) if (one.head === head && one.toMs === null) one.toMs = (rows.at(-1)?.ms ?? one.fromMs) + shape.length;
    changed = true;
  }

  function measure() {
    const scale = devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (!width || !height) return false;
    const top = Math.round(LANES * LANE * scale);
    const room = height - top - Math.round(AXIS * scale);
    const gap = Math.round(PART * scale);
    const cells = shape.posture[1] - shape.motion[0];
    const cell = Math.max(1, Math.floor((room - gap) / cells));
    const wide = Math.max(1, Math.round((width * shape.hop) / 60_000));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    size = { scale, width, height, wide, cell, gap, top, body: cells * cell + gap, columns: Math.ceil(width / wide) + 2 };
    Object.assign(picture, { width: size.columns * wide, height: size.body });
    const theme = isDark() ? DARK : LIGHT;
    const style = getComputedStyle(document.documentElement);
    const css = (name) => style.getPropertyValue(name).trim();
    colours = {
      moving: ramp(theme, 1),
      rest: ramp(theme, REST),
      muted: css("--muted"), text: css("--text"), accent: css("--accent"), soft: css("--accent-soft"), line: css("--line"), strong: css("--line-strong"),
    };
    rows.filter((row) => row.slot > rows.at(-1).slot - size.columns).forEach(paint);
    return true;
  }

  function paint(row, at, visible) {
    if (!size.width) return;
    const { wide, cell, gap, body, columns } = size;
    // What lies between the row before and this one was not measured.
    const before = visible ? visible[at - 1] : rows[rows.indexOf(row) - 1];
    const from = before ? Math.max(before.slot + 1, row.slot - columns) : row.slot;
    for (let slot = from; slot < row.slot; slot += 1) {
      const x = (((slot % columns) + columns) % columns) * wide;
      ink.clearRect(x, 0, wide, body);
    }
    const image = ink.createImageData(wide, body);
    const words = new Uint32Array(image.data.buffer);
    const ground = (row.quality & AT_REST ? colours.rest : colours.moving)[128];
    const palette = row.quality & AT_REST ? colours.rest : colours.moving;
    const hatch = Math.round(3 * size.scale);
    const split = shape.motion[1] - shape.motion[0];
    for (let index = 0; index < row.codes.length; index += 1) {
      const y = index * cell + (index >= split ? gap : 0);
      const word = palette[row.codes[index] + 128];
      for (let dy = 0; dy < cell; dy += 1) words.fill(word, (y + dy) * wide, (y + dy + 1) * wide);
    }
    if (row.quality & BRIDGED) {
      for (let y = 0; y < body; y += 1) {
        for (let x = 0; x < wide; x += 1) {
          const on = Math.floor((row.slot * wide + x + y) / hatch) % 3 === 0;
          if (on && words[y * wide + x]) words[y * wide + x] = ground;
        }
      }
    }
    ink.putImageData(image, (((row.slot % columns) + columns) % columns) * wide, 0);
  }

  // The time at the right edge: that of the newest samples, by this browser's clock, so that it flows evenly.
  function edgeMs() {
    if (!arrivals.length) return null;
    return performance.timeOrigin + performance.now() - Math.min(...arrivals.map(([, late]) => late));
  }

  function draw(edge) {
    const { scale, width, height, wide, top, body, columns } = size;
    pen.clearRect(0, 0, width, height);
    const newest = rows.at(-1);
    if (!newest) return;
    // Column `slot` ends at the moment its window ends.
    const xOf = (ms) => width - Math.round(((edge - ms) / shape.hop) * wide);
    const right = xOf(slotMs(newest.slot) + shape.length); // of the newest column
    const oldest = Math.max(rows[0].slot, newest.slot - columns + 1);
    const count = newest.slot - oldest + 1;
    const start = ((oldest % columns) + columns) % columns;
    const first = Math.min(count, columns - start);
    const left = right - count * wide;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(picture, start * wide, 0, first * wide, body, left, top, first * wide, body);
    if (count > first) {
      pen.drawImage(picture, 0, 0, (count - first) * wide, body, left + first * wide, top, (count - first) * wide, body);
    }
    gaps(left, right, oldest);
    axis(xOf, edge, top + body);
    pen.font = `600 ${12 * scale}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    for (const one of marks) label(one, xOf, edge);
  }

  function gaps(left, right, oldest) {
    const { scale, wide, top, body } = size;
    pen.fillStyle = colours.strong;
    for (let at = rows.length - 1; at > 0 && rows[at - 1].slot >= oldest; at -= 1) {
      if (rows[at].slot === rows[at - 1].slot + 1) continue;
      const from = left + (rows[at - 1].slot + 1 - oldest) * wide;
      const to = left + (rows[at].slot - oldest) * wide;
      for (let x = from + 2 * scale; x < to - scale; x += 6 * scale) pen.fillRect(x, top + body / 2, 2 * scale, Math.max(1, scale));
    }
  }

  function axis(xOf, edge, y) {
    const { scale, width } = size;
    const every = width / scale < 600 ? 20_000 : 10_000;
    pen.font = `${12 * scale}px system-ui, sans-serif`;
    pen.textBaseline = "top";
    pen.textAlign = "center";
    for (let ms = Math.floor(edge / every) * every; xOf(ms) > 24 * scale; ms -= every) {
      const x = xOf(ms);
      pen.fillStyle = colours.strong;
      pen.fillRect(x, y, Math.max(1, scale), 4 * scale);
      pen.fillStyle = colours.muted;
      if (x < width - 24 * scale) pen.fillText(format.clock(ms), x, y + 6 * scale);
    }
  }

  // A mark: a bar over its time with the head's name, and a line through the signatures where it began. The name has room up
  // to the next mark of its lane.
  function label({ head, fromMs, toMs, lane }, xOf, edge) {
    const { scale, width, top, body } = size;
    const [from, to] = [xOf(fromMs), toMs === null ? width : xOf(toMs)];
    const next = marks.filter((one) => one.lane === lane && one.fromMs > fromMs).map((one) => xOf(one.fromMs));
    const room = Math.min(width, ...next);
    if (to < 0 || from > width) return;
    const [left, y, tall, thin] = [Math.max(0, from), lane * LANE * scale, (LANE - 4) * scale, Math.max(1, Math.round(scale))];
    pen.fillStyle = colours.soft;
    pen.fillRect(left, y, Math.min(to, room) - left, tall);
    pen.fillStyle = colours.accent;
    if (from >= 0) {
      pen.fillRect(from, y, 3 * thin, tall);
      pen.fillRect(from, y, thin, top + body - y);
    }
    const long = pen.measureText(head).width;
    const pad = 8 * scale;
    // What just began has no room to the right: its name stands to the left of it, where nothing else does.
    const late = left + pad + long > width;
    const free = marks.every((one) => one.lane !== lane || one.fromMs >= fromMs || xOf(one.toMs ?? edge) < width - long - 2 * pad);
    const x = late && free ? width - long - pad : left + pad;
    pen.save();
    pen.beginPath();
    pen.rect(Math.min(x, left), y, room - Math.min(x, left) - pad / 2, tall);
    pen.clip();
    pen.fillText(head, x, y + tall / 2);
    pen.restore();
  }

  function step() {
    frame = requestAnimationFrame(step);
    const edge = edgeMs();
    if (edge === null || !size.width) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const at = still ? Math.floor(edge / STILL_MS) * STILL_MS : edge;
    const column = Math.round((at / shape.hop) * size.wide);
    if (column === drawn && (still || !changed)) return;
    drawn = column;
    changed = false;
    draw(at);
  }

  function again() {
    if (measure()) changed = true;
  }

  new ResizeObserver(again).observe(canvas);
  document.addEventListener("theme", again);

  return {
    add,
    mark,
    unmark,
    // hello: of the feed.
    shaped: (hello) => {
      shape = { hop: hello.hop_ms, length: hello.length_ms, motion: hello.motion, posture: hello.posture };
      again();
    },
    start: () => {
      cancelAnimationFrame(frame);
      again();
      step();
    },
    stop: () => cancelAnimationFrame(frame),
    // What the picture shows, in figures: its length, the share of it at rest, and how often nothing was measured.
    summary: () => {
      const newest = rows.at(-1);
      const shown = newest ? rows.filter((row) => row.slot > newest.slot - Math.max(1, size.columns)) : [];
      const gapsIn = shown.filter((row, at) => at && row.slot > shown[at - 1].slot + 1).length;
      return {
        seconds: (shown.length * shape.hop) / 1000,
        rest: shown.filter((row) => row.quality & AT_REST).length / Math.max(1, shown.length),
        gaps: gapsIn,
      };
    },
  };
}
