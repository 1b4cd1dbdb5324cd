// The operations of the run as columns. `H` is the header that the page was made with, `ops` the columns.
let H = null;
const ops = {};
const OUTCOMES = ['ok', 'failed', 'unknown'];
const $ = (selector, within) => (within || document).querySelector(selector);

// An element with attributes, and children as text or elements: never as markup.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function load(source) {
  const packed = new Blob([bytesOf(source.textContent.trim())]);
  const stream = packed.stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  let at = 0;
  const number = () => {
    let sum = 0, scale = 1, byte;
    do {
      byte = raw[at++];
      sum += (byte & 127) * scale;
      scale *= 128;
    } while (byte & 128);
    return sum;
  };
  const signed = () => {
    const n = number();
    return n % 2 ? -(n + 1) / 2 : n / 2;
  };
  const length = number();
  H = JSON.parse(new TextDecoder().decode(raw.subarray(at, at + length)));
  at += length;
  const n = H.n;
  const column = (array, next) => {
    for (let i = 0; i < n; i++) array[i] = next(i);
    return array;
  };
  let last = 0;
  ops.start = column(new Float64Array(n), () => last += signed());
  ops.open = new Uint8Array(n);
  ops.end = column(new Float64Array(n), i => {
    const dur = number();
    ops.open[i] = dur === 0 ? 1 : 0;
    return dur === 0 ? Math.max(H.length, ops.start[i]) : ops.start[i] + dur - 1;
  });
  ops.row = column(new Uint32Array(n), number);
  const process = Float64Array.from(H.rows);
  ops.process = column(new Float64Array(n), i => process[ops.row[i]] += signed());
  ops.flags = column(new Uint8Array(n), number);
  ops.f = column(new Uint16Array(n), number);
  ops.node = column(new Uint32Array(n), number);
  ops.key = column(new Uint32Array(n), number);
  // Integers as they are; entries of the table of texts as NaN, with their number beside.
  const input = column(new Float64Array(n), number), output = column(new Float64Array(n), number);
  ops.error = column(new Uint32Array(n), number);
  const lines = at;
  ops.input = new Float64Array(n);
  ops.output = new Float64Array(n);
  const integers = new Float64Array(H.keys.length + 1);
  const value = (token, key) => {
    if (token === 0) return NaN;
    if (token % 2 === 0) return TEXTS + token / 2;
    const distance = (token - 1) / 2;
    return integers[key] += distance % 2 ? -(distance + 1) / 2 : distance / 2;
  };
  for (let i = 0; i < n; i++) {
    ops.input[i] = value(input[i], ops.key[i]);
    ops.output[i] = value(output[i], ops.key[i]);
  }
  unpack = () => {
    unpack = null;
    unpackLines(raw, lines);
  };
  ops.core = new Map();
  H.anomalies.forEach((anomaly, a) => anomaly.ops.forEach(([label, i, fatal]) => {
    if (!ops.core.has(i)) ops.core.set(i, { label, fatal, anomaly: a });
  }));
}

// The lines of the events in the file, unpacked when somebody asks: they are numbered in the order of their times.
function unpackLines(raw, at) {
  const n = H.n, ends = [];
  ops.line = new Uint32Array(n);
  ops.back = new Uint32Array(n);
  for (let i = 0; i < n; i++) if (ops.flags[i] & 8) ends.push(i);
  const sorted = Uint32Array.from(ends).sort((a, b) => ops.end[a] - ops.end[b] || a - b);
  const starts = inOrder();
  let last = 0;
  for (let s = 0, e = 0; s < n || e < sorted.length;) {
    const begins = s < n && (e >= sorted.length || ops.start[starts[s]] <= ops.end[sorted[e]]);
    let number = 0, scale = 1, byte;
    do {
      byte = raw[at++];
      number += (byte & 127) * scale;
      scale *= 128;
    } while (byte & 128);
    last += 1 + (number % 2 ? -(number + 1) / 2 : number / 2);
    if (begins) ops.line[starts[s++]] = last; else ops.back[sorted[e++]] = last;
  }
}

let unpack = null;
function line(i) {
  if (unpack) unpack();
  return ops.line[i];
}
function back(i) {
  if (unpack) unpack();
  return ops.back[i];
}

// Numbers from here on are entries of the table of texts, not integers: those stay below 2^41.
const TEXTS = 2 ** 50;

const outcome = i => ops.flags[i] & 3;
const applied = i => !(ops.flags[i] & 4);
const name = i => ops.f[i] ? H.fs[ops.f[i] - 1] : '';
const node = i => ops.node[i] ? H.nodes[ops.node[i] - 1] : '';
const key = i => ops.key[i] ? H.keys[ops.key[i] - 1] : '';
const error = i => ops.error[i] ? H.strings[ops.error[i] - 1] : '';
const valueText = v => v !== v ? '' : v >= TEXTS ? H.strings[v - TEXTS - 1] : String(v);

// `write 41`, `read → 42`, `cas [1, 2]`.
function words(i) {
  const input = ops.input[i], output = ops.output[i];
  let text = name(i);
  if (input === input) text += ' ' + valueText(input);
  if (output === output && outcome(i) === 0 && output !== input) text += ' → ' + valueText(output);
  else if (input !== input && outcome(i) === 0) text += ' → null';
  if (!applied(i)) text += ' (refused)';
  return text;
}

const seconds = ticks => (ticks * H.unit + H.from) / 1e9;

function span(ticks) {
  if (!H.timed) return ticks + ' events';
  const ns = ticks * H.unit;
  for (const [size, unit] of [[3.6e12, 'h'], [60e9, 'min'], [1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']]) {
    if (ns >= size * (unit === 'min' || unit === 'h' ? 2 : 1)) return +(ns / size).toPrecision(3) + ' ' + unit;
  }
  return '0 s';
}

function moment(ticks) {
  return H.timed ? seconds(ticks).toFixed(H.unit === 1 ? 6 : 3) + ' s' : 'event ' + Math.round(ticks);
}

const count = n => String(n).replace(/\B(?=(\d{3})+$)/g, '\u00a0');
