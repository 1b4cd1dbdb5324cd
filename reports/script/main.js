// Puts the timeline into the page and listens.
const legend = [['ok', 'ok'], ['failed', 'fail'], ['never answered', 'info'], ['anomaly', 'bad']];
const overview = make('canvas', { class: 'overview', role: 'img', 'aria-label': 'The whole run: operations per second, faults and anomalies' });
const heading = make('canvas', { class: 'heading', 'aria-hidden': 'true' });
const canvas = make('canvas', { class: 'rows', 'aria-hidden': 'true' });
const spacer = make('div', { class: 'spacer' });
const scroller = make('div', { class: 'scroller', tabindex: 0, role: 'application',
  'aria-label': 'Timeline of all operations. Arrow keys move, plus and minus zoom, a shows the anomaly, Enter selects an operation, square brackets go to its neighbours. The table below lists what is in view.' }, canvas, spacer);
const filterBox = make('input', { type: 'search', id: 'filter', placeholder: 'filter: key:k7 node:n5 read|write unknown >100ms', spellcheck: 'false',
  autocomplete: 'off', 'aria-describedby': 'found', 'aria-label': 'Filter operations' });
const found = make('output', { id: 'found', 'aria-live': 'polite' });
const info = make('small', { class: 'scale' });
const grouping = make('select', { 'aria-label': 'One row for each' });
const focusBox = make('input', { type: 'checkbox', id: 'focus' });
const focusLabel = make('label', { for: 'focus' }, '');
const HEIGHT_MAX = 612;

let asked = false;
function changed() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    draw();
  });
}

let addressTimer = 0, tableTimer = 0;
function draw() {
  const began = performance.now();
  drawOverview(overview);
  drawHeading(heading);
  const boxes = drawRows(canvas, Math.min(HEIGHT_MAX, Math.max(1, rows.length) * ROW), scroller.scrollTop);
  const length = span(Math.min(view.to, H.length) - Math.max(view.from, 0));
  const every = H.n < H.total ? 'each operation that is in this page by itself' : 'each operation by itself';
  const part = view.to - view.from < H.length * 0.999 ? `${length} of ${span(H.length)}` : length;
  info.textContent = boxes ? `${part}, ${every}` : `${part}; every pixel sums up the operations in it, zoom in to see each`;
  const word = (H.n === 1 ? 'operation' : 'operations') + (H.n < H.total ? ` here, of ${count(H.total)} in all` : '');
  if (!found.classList.contains('wrong')) found.textContent = view.mask ? `${count(view.shown)} of ${count(H.n)} ${word}` : `${count(H.n)} ${word}`;
  const anomaly = H.anomalies[view.anomaly];
  const id = view.focus || (view.selected >= 0 ? ops.key[view.selected] : 0) || (anomaly && anomaly.ops.length ? ops.key[anomaly.ops[0][1]] : 0);
  focusBox.checked = view.focus !== 0;
  focusBox.disabled = id === 0;
  focusLabel.textContent = id ? 'only key ' + shortText(H.keys[id - 1], 24) : 'only one key';
  focusBox.value = String(id);
  describe(view.selected);
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    const now = address();
    if (now !== location.hash.slice(1) && (now || location.hash.includes('='))) {
      try { history.replaceState(null, '', '#' + now); } catch (e) { /* a browser that forbids it for files: the view is not in the address */ }
    }
  }, 250);
  clearTimeout(tableTimer);
  tableTimer = setTimeout(fillTable, 150);
  window.perjury.frame = performance.now() - began;
}

function layout() {
  const full = Math.max(1, rows.length) * ROW;
  scroller.style.height = Math.min(HEIGHT_MAX, full) + 'px';
  spacer.style.height = Math.max(0, full - Math.min(HEIGHT_MAX, full)) + 'px';
}

function scrollToRows(first, last) {
  const top = first * ROW, bottom = (last + 1) * ROW, height = scroller.clientHeight;
  if (top < scroller.scrollTop || bottom > scroller.scrollTop + height) {
    scroller.scrollTop = Math.max(0, bottom - top > height ? top - ROW : (top + bottom - height) / 2);
  }
}

function build() {
  const groups = [['client', 'a row for each client', true], ['node', 'rows by node', H.nodes.length > 0], ['key', 'rows by key', H.keys.length > 0]];
  for (const [value, text, there] of groups) if (there) grouping.append(make('option', { value }, text));
  const button = (text, hint, act) => make('button', { type: 'button', title: hint, onclick: act }, text);
  const buttons = make('span', { class: 'buttons' }, button('whole run', '0', () => setView(...widest())));
  if (H.anomalies.length > 1) buttons.append(button('‹', 'previous anomaly (k)', () => showAnomaly(view.anomaly - 1)));
  if (H.anomalies.length) buttons.append(button('anomaly', 'a', () => showAnomaly(view.anomaly)));
  if (H.anomalies.length > 1) buttons.append(button('›', 'next anomaly (j)', () => showAnomaly(view.anomaly + 1)));
  buttons.append(button('−', 'zoom out', () => zoom(1.6)), button('+', 'zoom in', () => zoom(1 / 1.6)), button('keys', '?', () => help.showModal()));
  const bar = make('div', { class: 'bar', role: 'search' }, filterBox, found, grouping, make('span', { class: 'check' }, focusBox, focusLabel), buttons);
  const notes = [];
  const reduced = H.n < H.total ? [make('p', { class: 'note reduced' }, H.held)] : [];
  if (H.logs && H.logs.more) notes.push(`${count(H.logs.more)} more warnings and errors of the nodes' logs have no tick here.`);
  if (H.cut < 256) notes.push(`Values longer than ${H.cut} characters are cut here; the history has all of them.`);
  const browser = make('div', { class: 'browse' }, ...reduced, bar, overview, heading, scroller, panel, table, ...notes.map(text => make('p', { class: 'note' }, text)));
  const section = $('#timeline');
  const title = $('h2', section);
  $('small', title).replaceWith(info);
  $('.static', section).before(browser);
  section.append(help);
  document.body.append(tip);
  document.documentElement.classList.add('js');
  window.perjury.rows = () => rows.length;
}

const help = make('dialog', { class: 'help', 'aria-label': 'Keys' }, make('h3', {}, 'Keys of the timeline'),
  make('dl', {}, ...[['a', 'the anomaly'], ['j k', 'next and previous anomaly'], ['0', 'the whole run'], ['+ −', 'zoom'], ['← →', 'move; with Shift, far'],
    ['↑ ↓', 'rows'], ['/', 'filter'], ['f', 'only the key'], ['Enter', 'select an operation'], ['[ ]', 'its neighbours of the same client'],
    ['{ }', 'its neighbours on the same key'], ['Esc', 'let go'], ['t', 'light or dark'], ['wheel', 'with Ctrl or Alt: zoom; with Shift: move']]
    .map(([k, text]) => make('div', {}, make('dt', {}, k), make('dd', {}, text)))),
  make('p', {}, 'Filter: words that must all hold. Fields: ' + FIELDS.join(', ') + '. Also ok, failed, unknown, >100ms, <2s, -not, this|that, "with blanks".'),
  make('form', { method: 'dialog' }, make('button', {}, 'close')));

// What is under the pointer, with a little patience for what is thin.
function under(e) {
  const box = canvas.getBoundingClientRect();
  const row = rows[Math.floor((e.clientY - box.top + scroller.scrollTop) / ROW)];
  if (!row || e.clientX < box.left + LEFT) return -1;
  const k = scale(box.width), t = view.from + (e.clientX - box.left - LEFT) / k, patience = 3 / k;
  let best = -1, distance = Infinity;
  const end = firstAfter(row, t + patience);
  for (let j = firstIn(row, t - patience); j < end; j++) {
    const i = row.list[j];
    if (ops.end[i] < t - patience) continue;
    const off = t < ops.start[i] ? ops.start[i] - t : t > ops.end[i] ? t - ops.end[i] : 0;
    if (off < distance || (off === distance && inMask(i))) { best = i; distance = off; }
  }
  return best;
}

function listen() {
  brush(overview);
  let drag = null;
  const pointers = new Map();
  canvas.addEventListener('pointerdown', e => {
    pointers.set(e.pointerId, e.clientX);
    drag = { x: e.clientX, y: e.clientY, from: view.from, to: view.to, moved: false, pinch: null };
    if (pointers.size === 2) drag.pinch = Math.abs([...pointers.values()][0] - [...pointers.values()][1]);
    canvas.setPointerCapture(e.pointerId);
  });
  canvas.addEventListener('pointermove', e => {
    if (!drag) {
      const i = under(e);
      if (i !== view.hover) { view.hover = i; changed(); }
      showTip(i, e.clientX, e.clientY);
      return;
    }
    pointers.set(e.pointerId, e.clientX);
    if (drag.pinch && pointers.size === 2) {
      const now = Math.abs([...pointers.values()][0] - [...pointers.values()][1]);
      const middle = (drag.from + drag.to) / 2, half = (drag.to - drag.from) / 2 * drag.pinch / Math.max(8, now);
      setView(middle - half, middle + half);
      return;
    }
    drag.moved ||= Math.abs(e.clientX - drag.x) > 3;
    if (!drag.moved) return;
    tip.hidden = true;
    const shift = (drag.x - e.clientX) / scale(canvas.clientWidth) * (drag.to - drag.from) / (view.to - view.from);
    const [low, high] = widest();
    const bounded = Math.max(low - drag.from, Math.min(high - drag.to, shift));
    setView(drag.from + bounded, drag.to + bounded);
  });
  const release = e => {
    pointers.delete(e.pointerId);
    if (drag && !drag.moved && !drag.pinch && e.type === 'pointerup') {
      view.selected = under(e);
      scroller.focus({ preventScroll: true });
      changed();
    }
    drag = null;
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('pointerleave', () => {
    tip.hidden = true;
    if (view.hover >= 0) { view.hover = -1; changed(); }
  });
  canvas.addEventListener('dblclick', e => zoom(0.25, view.from + (e.clientX - canvas.getBoundingClientRect().left - LEFT) / scale(canvas.clientWidth)));
  // The page goes on scrolling under a wheel: it zooms with a modifier, or where the rows have the focus and do not scroll.
  canvas.addEventListener('wheel', e => {
    const sideways = e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY);
    const still = document.activeElement === scroller && rows.length * ROW <= HEIGHT_MAX;
    if (sideways) pan((e.deltaX || e.deltaY) / canvas.clientWidth);
    else if (e.ctrlKey || e.metaKey || e.altKey || still) {
      zoom(Math.exp(e.deltaY * 0.0016), view.from + (e.clientX - canvas.getBoundingClientRect().left - LEFT) / scale(canvas.clientWidth));
    } else return;
    e.preventDefault();
  }, { passive: false });
  scroller.addEventListener('scroll', changed, { passive: true });
  heading.addEventListener('pointermove', e => {
    const box = heading.getBoundingClientRect(), k = scale(box.width), y = e.clientY - box.top;
    const inLane = logLane >= 0 && y >= logLane - 2 && y < logLane + LANE;
    const at = view.from + (e.clientX - box.left - LEFT) / k;
    showLogs(inLane ? logged().filter(line => Math.abs(line[0] - at) * k <= 4) : [], e.clientX, e.clientY);
  });
  heading.addEventListener('pointerleave', () => tip.hidden = true);
  let typing = 0;
  filterBox.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(applyFilter, H.n > 2e5 ? 250 : 60);
  });
  grouping.addEventListener('change', () => setRows(grouping.value));
  focusBox.addEventListener('change', () => setFocus(focusBox.checked ? Number(focusBox.value) : 0));
  new ResizeObserver(changed).observe(scroller);
  window.addEventListener('hashchange', arrive);
  document.addEventListener('keydown', keys);
  document.querySelectorAll('[data-anomaly]').forEach(link => {
    link.hidden = false;
    link.addEventListener('click', () => {
      const at = H.anomalies.findIndex(a => String(a.id) === link.dataset.anomaly);
      if (at >= 0) showAnomaly(at);
    });
  });
}

function applyFilter() {
  const wrong = setFilter(filterBox.value);
  found.classList.toggle('wrong', wrong !== '');
  if (wrong) found.textContent = wrong;
}

function arrive() {
  if (!location.hash.includes('=')) return;
  const wrong = follow(location.hash);
  filterBox.value = view.filter;
  grouping.value = view.rows;
  found.classList.toggle('wrong', wrong !== '');
  if (wrong) found.textContent = wrong;
}

function keys(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || help.open) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) {
    if (e.key === 'Escape') e.target.blur();
    return;
  }
  const inside = document.activeElement === scroller;
  const step = (column, way) => {
    if (view.selected < 0) return selectNearest();
    const next = neighbour(view.selected, way, column);
    if (next >= 0) select(next);
  };
  const anywhere = {
    a: () => { showAnomaly(view.anomaly); toTimeline(); },
    j: () => { showAnomaly(view.anomaly + 1); toTimeline(); },
    k: () => { showAnomaly(view.anomaly - 1); toTimeline(); },
    0: () => setView(...widest()),
    '/': () => { toTimeline(); filterBox.focus({ preventScroll: true }); },
    f: () => { if (!focusBox.disabled) setFocus(view.focus ? 0 : Number(focusBox.value)); },
    t: () => theme(true),
    '?': () => help.showModal(),
  };
  const there = {
    '+': () => zoom(1 / 1.6), '=': () => zoom(1 / 1.6), '-': () => zoom(1.6),
    ArrowLeft: () => pan(e.shiftKey ? -0.8 : -0.12), ArrowRight: () => pan(e.shiftKey ? 0.8 : 0.12),
    Enter: selectNearest, Escape: () => select(-1),
    '[': () => step(ops.row, -1), ']': () => step(ops.row, 1), '{': () => step(ops.key, -1), '}': () => step(ops.key, 1),
  };
  const act = anywhere[e.key] || (inside && there[e.key]);
  if (!act) return;
  act();
  e.preventDefault();
}

function toTimeline() {
  $('#timeline').scrollIntoView({ block: 'start' });
  scroller.focus({ preventScroll: true });
}

// The operation nearest to the middle of the view, of those that the filter lets through.
function selectNearest() {
  const middle = (view.from + view.to) / 2;
  let best = -1, distance = Infinity;
  for (let i = 0; i < H.n; i++) {
    if (!inMask(i)) continue;
    const off = middle < ops.start[i] ? ops.start[i] - middle : middle > ops.end[i] ? middle - ops.end[i] : 0;
    if (off < distance) { best = i; distance = off; }
  }
  select(best);
}

async function start() {
  const source = $('#ops');
  const say = text => $('#timeline .static').before(make('p', { class: 'note' }, text));
  readColours();
  themeButton();
  document.querySelectorAll('main table').forEach(sortable);
  chartLinks();
  copyButtons();
  if (!source) return;
  if (!('DecompressionStream' in window)) {
    say('This browser cannot unpack the operations in this page (it has no DecompressionStream), so the timeline below does not move. Chromium 103, Firefox 113 and Safari 16.4 can.');
    return;
  }
  window.perjury = { began: performance.now() };
  try {
    await load(source);
    source.remove();
    build();
    setRows('client');
    view.shown = H.n;
    setView(...widest());
    listen();
    if (location.hash.includes('=')) arrive();
    else if (H.anomalies.length) showAnomaly(0);
    draw();
    window.perjury.ready = performance.now();
    scatter();
    traceLink();
    (window.requestIdleCallback || setTimeout)(() => { if (unpack) unpack(); });
    document.dispatchEvent(new Event('timeline'));
  } catch (e) {
    document.documentElement.classList.remove('js');
    say('The timeline that moves could not be built: ' + e);
    throw e;
  }
}

// After the page was painted once.
requestAnimationFrame(() => setTimeout(start));
