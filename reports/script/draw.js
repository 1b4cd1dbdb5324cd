// Draws the rows: a box for each operation where there is room, else what most of them came to, pixel by pixel.
const BOXES_MAX = 2000;
const colours = {};
const COLOUR_NAMES = ['bg', 'card', 'ink', 'mut', 'faint', 'line', 'line2', 'ok', 'okbg', 'okln', 'okf', 'unk', 'unkbg', 'unkln',
  'unkf', 'fail', 'failf', 'bad', 'badbg', 'badln', 'onglyph', 'b0', 'b0t', 'b1', 'b1t', 'b2', 'b2t', 'b3', 'b3t', 'sans', 'mono'];

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const colour of COLOUR_NAMES) colours[colour] = style.getPropertyValue('--' + colour).trim();
  hatched = null;
}

// A canvas as sharp as the screen, cleared, and its width in CSS pixels.
function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.height = height + 'px';
  }
  const g = canvas.getContext('2d');
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.textBaseline = 'middle';
  return [g, width];
}

let hatched = null;
function hatch(g) {
  if (hatched) return hatched;
  const tile = make('canvas', { width: 6, height: 6 });
  const t = tile.getContext('2d');
  t.strokeStyle = colours.unkln;
  t.globalAlpha = 0.75;
  for (const x of [-6, 0, 6]) {
    t.beginPath();
    t.moveTo(x - 1, 7);
    t.lineTo(x + 7, -1);
    t.stroke();
  }
  return hatched = g.createPattern(tile, 'repeat');
}

const scale = width => (width - LEFT - RIGHT) / (view.to - view.from);

// Text in at most `room` pixels, ending in … if it was cut; empty if nothing would be left.
function fitted(g, text, room) {
  if (room < 10) return '';
  if (g.measureText(text).width <= room) return text;
  let low = 0, high = Math.min(text.length, Math.ceil(room / 2));
  while (low < high) {
    const middle = low + high + 1 >> 1;
    if (g.measureText(text.slice(0, middle) + '…').width <= room) low = middle; else high = middle - 1;
  }
  return low > 1 ? text.slice(0, low).trimEnd() + '…' : '';
}

function rounded(g, x, y, width, height) {
  g.beginPath();
  if (width > 5 && g.roundRect) g.roundRect(x, y, width, height, 3); else g.rect(x, y, width, height);
}

function drawRows(canvas, height, top) {
  const [g, width] = prepare(canvas, height);
  const right = width - RIGHT, k = scale(width);
  const x = t => LEFT + (t - view.from) * k;
  const first = Math.max(0, Math.floor(top / ROW)), last = Math.min(rows.length, Math.ceil((top + height) / ROW));
  shade(g, x, right, height);
  ticks(g, x, right, height);
  let many = 0;
  for (let r = first; r < last; r++) many += firstAfter(rows[r], view.to) - firstIn(rows[r], view.from);
  const boxes = many <= BOXES_MAX;
  for (let r = first; r < last; r++) {
    const y = r * ROW - top;
    if (rows[r].lead && r > 0) {
      g.fillStyle = colours.line2;
      if (view.rows !== 'client') g.fillRect(0, Math.round(y), right, 1);
    }
    g.fillStyle = colours.mut;
    g.font = '11.5px ' + colours.sans;
    g.textAlign = 'right';
    g.fillText(fitted(g, rows[r].label, LEFT - 14), LEFT - 9, y + ROW / 2);
    g.textAlign = 'left';
  }
  const marks = [];
  if (boxes) {
    g.save();
    g.beginPath();
    g.rect(LEFT, 0, right - LEFT, height);
    g.clip();
    for (let r = first; r < last; r++) drawBoxes(g, rows[r], r * ROW - top, x, right, marks);
    for (const mark of marks) drawMark(g, mark, right);
    g.restore();
  } else {
    drawPixels(g, first, last, top, right, many);
    for (const [i, core] of ops.core) drawDot(g, i, core, first, last, top, x, right);
  }
  return boxes;
}

function shade(g, x, right, height) {
  g.globalAlpha = 0.42;
  for (const fault of H.faults) {
    const from = Math.max(LEFT, x(fault.from)), to = Math.min(right, x(fault.to ?? H.length));
    if (to <= LEFT || from >= right) continue;
    g.fillStyle = colours[fault.look];
    g.fillRect(from, 0, Math.max(to - from, 1), height);
  }
  g.globalAlpha = 1;
}

// 1, 2 or 5 times a power of ten.
function step(length, most) {
  const rough = length / most, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map(m => m * power).find(s => s >= rough * 0.9999);
}

function tickList(width) {
  const unit = H.timed ? 1e9 / H.unit : 1, offset = H.timed ? H.from / H.unit : 0;
  let length = step((view.to - view.from) / unit, Math.max(2, (width - LEFT - RIGHT) / 105));
  if (!H.timed) length = Math.max(1, length);
  const out = [];
  const decimals = Math.max(0, Math.min(9, -Math.floor(Math.log10(length) + 1e-9)));
  const start = Math.ceil((view.from + offset) / unit / length);
  for (let i = start; out.length < 60; i++) {
    const at = i * length * unit - offset;
    if (at > view.to) break;
    if (at + offset >= -1e-9) out.push([at, H.timed ? (i * length).toFixed(decimals) + ' s' : count(Math.round(i * length))]);
  }
  return out;
}

function ticks(g, x, right, height) {
  g.fillStyle = colours.line;
  g.globalAlpha = 0.7;
  for (const [at] of tickList(right + RIGHT)) g.fillRect(Math.round(x(at)), 0, 1, height);
  g.globalAlpha = 1;
}

function drawBoxes(g, row, y, x, right, marks) {
  const end = firstAfter(row, view.to);
  for (let j = firstIn(row, view.from); j < end; j++) {
    const i = row.list[j];
    if (ops.end[i] < view.from) continue;
    const from = x(ops.start[i]), to = x(ops.end[i]);
    const left = Math.max(from, LEFT - 4), box = Math.max(1.5, Math.min(to, right + 4) - left);
    const core = ops.core.get(i);
    if (core || i === view.selected || i === view.hover) marks.push({ i, core, left, y, box });
    if (core) continue;
    const on = inMask(i), what = outcome(i);
    g.globalAlpha = on ? 1 : 0.3;
    rounded(g, left, y + 2.5, box, ROW - 5);
    if (what === 1) {
      g.fillStyle = colours.card;
      g.strokeStyle = colours.fail;
    } else {
      g.fillStyle = what === 0 ? colours.okbg : colours.unkbg;
      g.strokeStyle = what === 0 ? colours.okln : colours.unkln;
    }
    if (box < 3) {
      g.fillStyle = g.strokeStyle;
      g.fillRect(left, y + 2.5, box, ROW - 5);
    } else {
      g.fill();
      if (what === 2) { g.fillStyle = hatch(g); g.fill(); }
      g.lineWidth = 1;
      g.stroke();
    }
    if (on && box > 26) label(g, i, left, y, box, what === 0 ? colours.ink : what === 1 ? colours.mut : colours.unk);
    if (ops.open[i] && box > 40) fade(g, left, y, box);
  }
  g.globalAlpha = 1;
}

function label(g, i, left, y, box, colour, lead) {
  const k = view.rows !== 'key' && !view.focus && ops.key[i] ? key(i) + ' ' : '';
  g.font = (lead ? '700' : '500') + ' 11px ' + colours.mono;
  g.fillStyle = colour;
  const text = fitted(g, (lead ? lead + ' ' : '') + k + words(i).slice(0, 200), box - 8);
  if (text) g.fillText(text, left + 5, y + ROW / 2 + 0.5);
  return text;
}

// Nobody knows when it ended, if it ever did.
function fade(g, left, y, box) {
  g.fillStyle = colours.unk;
  g.font = '600 11px ' + colours.sans;
  g.fillText('…', left + box - 16, y + ROW / 2 - 1);
}

function drawMark(g, { i, core, left, y, box }, right) {
  if (core) {
    const mine = core.anomaly === view.anomaly, bad = core.fatal, unknown = outcome(i) === 2;
    g.globalAlpha = mine || inMask(i) ? 1 : 0.45;
    const width = Math.max(box, 5);
    rounded(g, left, y + 1.5, width, ROW - 3);
    g.fillStyle = bad ? colours.badbg : unknown ? colours.unkbg : outcome(i) === 1 ? colours.card : colours.okbg;
    g.fill();
    if (unknown) { g.fillStyle = hatch(g); g.fill(); }
    g.strokeStyle = bad ? colours.bad : colours.ink;
    g.lineWidth = bad || mine ? 2 : 1.2;
    g.stroke();
    const ink = bad ? colours.bad : colours.ink;
    if (mine) {
      g.font = '700 11px ' + colours.mono;
      const text = core.label + ' ' + words(i).slice(0, 80);
      const wide = g.measureText(text).width;
      if (wide + 10 <= width) label(g, i, left, y, width, ink, core.label);
      else {
        // Beside the box, on a ground of its own; before it where there is no room behind.
        const at = left + width + wide + 8 < right ? left + width + 3 : left - wide - 9;
        g.globalAlpha = 0.92;
        g.fillStyle = colours.card;
        rounded(g, at, y + 1.5, wide + 6, ROW - 3);
        g.fill();
        g.globalAlpha = 1;
        g.fillStyle = ink;
        g.fillText(text, at + 3, y + ROW / 2 + 0.5);
      }
    }
    g.globalAlpha = 1;
  }
  if (i === view.selected || i === view.hover) {
    g.strokeStyle = colours.ink;
    g.lineWidth = i === view.selected ? 2 : 1.2;
    rounded(g, left - 2, y + 0.5, Math.max(box, 2) + 4, ROW - 1);
    g.stroke();
  }
}

function drawDot(g, i, core, first, last, top, x, right) {
  if (!core.fatal) return;
  const at = x(ops.start[i]);
  if (at < LEFT || at > right) return;
  const r = rowOf(i);
  if (r < first || r >= last) return;
  g.fillStyle = colours.bad;
  g.beginPath();
  g.arc(at, r * ROW - top + ROW / 2, 4.5, 0, 7);
  g.fill();
  g.strokeStyle = colours.card;
  g.lineWidth = 1.5;
  g.stroke();
}

let rowNumbers = null;
function rowOf(i) {
  if (!rowNumbers) {
    rowNumbers = new Map();
    rows.forEach((row, r) => { for (const j of row.list) if (ops.core.has(j)) rowNumbers.set(j, r); });
  }
  return rowNumbers.get(i) ?? -1;
}

// Counts by row and slice, made once for what the filter lets through: drawing a million operations costs no more
// than drawing as many slices.
let bins = null;
let slices = 0;
function forgetBins() {
  bins = null;
  rowNumbers = null;
}

function makeBins() {
  slices = 16384;
  while (slices * rows.length > 3e6 && slices > 256) slices /= 2;
  bins = new Uint16Array(rows.length * slices * 3);
  const k = slices / Math.max(1, H.length), edge = new Int32Array((slices + 1) * 3);
  rows.forEach((row, r) => {
    edge.fill(0);
    for (const i of row.list) {
      if (!inMask(i)) continue;
      const from = Math.max(0, Math.min(slices - 1, Math.floor(ops.start[i] * k)));
      const to = Math.max(from, Math.min(slices - 1, Math.floor(ops.end[i] * k)));
      const o = outcome(i);
      edge[from * 3 + o]++;
      edge[(to + 1) * 3 + o]--;
    }
    let a = 0, b = 0, c = 0;
    for (let s = 0, at = r * slices * 3; s < slices; s++, at += 3) {
      bins[at] = Math.min(65535, a += edge[s * 3]);
      bins[at + 1] = Math.min(65535, b += edge[s * 3 + 1]);
      bins[at + 2] = Math.min(65535, c += edge[s * 3 + 2]);
    }
  });
}

const sheet = document.createElement('canvas');

function rgb(colour) {
  const hex = colour.length === 4 ? colour.replace(/[^#]/g, '$&$&') : colour;
  return [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
}

// One line of pixels per row, stretched to its height. What failed or is unknown weighs more, so that it is seen.
function drawPixels(g, first, last, top, right, many) {
  const width = Math.max(1, Math.floor(right - LEFT)), height = last - first;
  const image = new ImageData(width, height), pixels = image.data;
  const palette = [rgb(colours.okf), rgb(colours.failf), rgb(colours.unkf)];
  const sums = new Float32Array(width * 3);
  const perPixel = (view.to - view.from) / width;
  if (many > 30000 && !bins) makeBins();
  const coarse = bins !== null && perPixel >= H.length / slices;
  for (let r = first; r < last; r++) {
    sums.fill(0);
    if (coarse) sumBins(r, width, perPixel, sums); else sumOps(rows[r], width, perPixel, sums);
    for (let x = 0, at = (r - first) * width * 4; x < width; x++, at += 4) {
      const ok = sums[x * 3], failed = 3 * sums[x * 3 + 1], unknown = 3 * sums[x * 3 + 2], all = ok + failed + unknown;
      if (all === 0) continue;
      for (let c = 0; c < 3; c++) {
        pixels[at + c] = (palette[0][c] * ok + palette[1][c] * failed + palette[2][c] * unknown) / all;
      }
      pixels[at + 3] = 70 + 185 * Math.min(1, all);
    }
  }
  sheet.width = width;
  sheet.height = height;
  sheet.getContext('2d').putImageData(image, 0, 0);
  g.imageSmoothingEnabled = false;
  for (let r = first; r < last; r++) g.drawImage(sheet, 0, r - first, width, 1, LEFT, r * ROW - top + 2, width, ROW - 4);
}

function sumBins(r, width, perPixel, sums) {
  const k = slices / Math.max(1, H.length), base = r * slices;
  for (let x = 0; x < width; x++) {
    const from = Math.floor((view.from + x * perPixel) * k), to = Math.floor((view.from + (x + 1) * perPixel) * k);
    if (to < 0 || from >= slices) continue;
    const low = Math.max(0, from), high = Math.min(slices - 1, Math.max(low, to - 1)), n = high - low + 1;
    let a = 0, b = 0, c = 0;
    for (let at = (base + low) * 3, stop = (base + high) * 3; at <= stop; at += 3) {
      a += bins[at];
      b += bins[at + 1];
      c += bins[at + 2];
    }
    sums[x * 3] = a / n;
    sums[x * 3 + 1] = b / n;
    sums[x * 3 + 2] = c / n;
  }
}

function sumOps(row, width, perPixel, sums) {
  const end = firstAfter(row, view.to);
  for (let j = firstIn(row, view.from); j < end; j++) {
    const i = row.list[j];
    if (!inMask(i) || ops.end[i] < view.from) continue;
    const low = Math.max(0, Math.floor((ops.start[i] - view.from) / perPixel));
    const high = Math.min(width - 1, Math.floor((ops.end[i] - view.from) / perPixel));
    const o = outcome(i), share = Math.min(1, (ops.end[i] - ops.start[i]) / perPixel + 0.15);
    for (let x = low; x <= high; x++) sums[x * 3 + o] += share;
  }
}
