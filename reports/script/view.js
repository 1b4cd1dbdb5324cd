// What is seen: which part of the run, which rows, which operations; and the address that leads back to it.
const view = {
  from: 0, to: 1, rows: 'client', filter: '', test: null, mask: null, shown: 0,
  focus: 0, anomaly: 0, selected: -1, hover: -1, top: 0,
};
let rows = [];
const LEFT = 92, RIGHT = 10;
let ROW = 18;
const SHORTEST = 4;

const widest = () => [0, H.length];

function setView(from, to) {
  const [low, high] = widest();
  let length = Math.min(Math.max(to - from, Math.min(SHORTEST, high - low)), high - low);
  let start = (from + to) / 2 - length / 2;
  start = Math.max(low, Math.min(start, high - length));
  view.from = start;
  view.to = start + length;
  changed();
}

function zoom(factor, at) {
  const pivot = at ?? (view.from + view.to) / 2;
  setView(pivot - (pivot - view.from) * factor, pivot + (view.to - pivot) * factor);
}

function pan(share) {
  const step = (view.to - view.from) * share;
  const [low, high] = widest();
  if (view.from + step < low) setView(low, low + view.to - view.from);
  else if (view.to + step > high) setView(high - (view.to - view.from), high);
  else setView(view.from + step, view.to + step);
}

function setRows(how) {
  view.rows = how;
  rows = rowsBy(how);
  ROW = rows.length <= 12 ? 26 : 18;
  forgetBins();
  layout();
  changed();
}

// Returns a sentence where the filter cannot be understood; then nothing changes.
function setFilter(text) {
  let test;
  try {
    test = compile(text);
  } catch (sentence) {
    if (typeof sentence !== 'string') throw sentence;
    return sentence;
  }
  view.filter = text.trim();
  view.test = test;
  remask();
  return '';
}

function setFocus(id) {
  view.focus = id;
  remask();
}

// An operation is in if it passes the filter, and is on the key in focus, if there is one.
function remask() {
  const { test, focus } = view;
  if (!test && !focus) {
    view.mask = null;
    view.shown = H.n;
  } else {
    const mask = new Uint8Array(H.n);
    let shown = 0;
    for (let i = 0; i < H.n; i++) {
      if ((!focus || ops.key[i] === focus) && (!test || test(i))) { mask[i] = 1; shown++; }
    }
    view.mask = mask;
    view.shown = shown;
  }
  forgetBins();
  changed();
}

const inMask = i => view.mask === null || view.mask[i] === 1;

// Shows an anomaly with some room around it, and only its key.
function showAnomaly(at) {
  if (!H.anomalies.length) return;
  view.anomaly = (at + H.anomalies.length) % H.anomalies.length;
  const anomaly = H.anomalies[view.anomaly];
  const indices = anomaly.ops.map(op => op[1]);
  if (!indices.length) return;
  // An operation that was never answered would make the view as long as its deadline.
  const answered = indices.filter(i => outcome(i) !== 2);
  const from = Math.min(...indices.map(i => ops.start[i]));
  const to = Math.max(...indices.map(i => ops.start[i]), ...answered.map(i => ops.end[i]));
  const room = Math.max((to - from) * 0.22, 4);
  const keys = new Set(indices.map(i => ops.key[i]));
  view.focus = keys.size === 1 ? ops.key[indices[0]] : 0;
  remask();
  setView(from - room, to + room);
  reveal(indices);
}

// Scrolls so that the rows of these operations are seen.
function reveal(indices) {
  const wanted = new Set(indices);
  const found = [];
  rows.forEach((row, at) => {
    for (let j = firstIn(row, view.from); j < row.list.length && ops.start[row.list[j]] <= view.to; j++) {
      if (wanted.has(row.list[j])) { found.push(at); break; }
    }
  });
  if (found.length) scrollToRows(found[0], found[found.length - 1]);
}

function showOperation(i) {
  view.selected = i;
  const length = view.to - view.from;
  if (ops.start[i] < view.from || ops.start[i] > view.to) {
    const middle = ops.start[i];
    setView(middle - length / 2, middle + length / 2);
  }
  reveal([i]);
  changed();
}

// The address: #t=37.36-37.51&key=k7&q=read&rows=node&op=123. Times are seconds, or numbers of events.
function address() {
  const parts = [];
  const at = t => H.timed ? String(+seconds(t).toPrecision(12)) : String(Math.round(t));
  const [low, high] = widest();
  if (view.from > low || view.to < high) parts.push('t=' + at(Math.max(view.from, 0)) + '-' + at(view.to));
  if (view.focus) parts.push('key=' + encodeURIComponent(H.keys[view.focus - 1]));
  if (view.filter) parts.push('q=' + encodeURIComponent(view.filter));
  if (view.rows !== 'client') parts.push('rows=' + view.rows);
  if (view.selected >= 0) parts.push('op=' + line(view.selected));
  return parts.join('&');
}

function follow(hash) {
  const asked = new Map(hash.replace(/^#/, '').split('&').map(part => {
    const at = part.indexOf('=');
    let text = part.slice(at + 1);
    try { text = decodeURIComponent(text); } catch (e) { /* shown as it is */ }
    return at < 0 ? ['', ''] : [part.slice(0, at), text];
  }));
  const how = asked.get('rows');
  if ((how === 'node' || how === 'key' || how === 'client') && how !== view.rows) setRows(how);
  view.focus = asked.has('key') ? H.keys.indexOf(asked.get('key')) + 1 : 0;
  const wrong = setFilter(asked.get('q') || '');
  const range = /^(-?[\d.e+-]*\d)-([\d.e+]*\d)$/.exec(asked.get('t') || '');
  if (range) {
    const tick = text => H.timed ? (Number(text) * 1e9 - H.from) / H.unit : Number(text);
    const from = tick(range[1]), to = tick(range[2]);
    if (to > from) setView(from, to);
  } else setView(...widest());
  if (asked.has('op')) {
    if (unpack) unpack();
    const i = ops.line.indexOf(Number(asked.get('op')));
    if (i >= 0) { view.selected = i; reveal([i]); }
  }
  return wrong;
}
