// What is known of one operation: beside the pointer in a line, below the rows in full.
const tip = make('div', { class: 'tip', 'aria-hidden': 'true', hidden: true });
const panel = make('div', { class: 'detail', hidden: true, role: 'region', 'aria-label': 'The selected operation' });

function showTip(i, clientX, clientY) {
  if (i < 0) {
    tip.hidden = true;
    return;
  }
  const core = ops.core.get(i);
  tip.replaceChildren(
    make('b', {}, (core ? core.label + ' ' : '') + (key(i) ? key(i) + ': ' : '') + words(i)),
    make('span', {}, `client ${ops.process[i]}${node(i) ? ' → ' + node(i) : ''} · ${ended(i)}`),
    make('span', {}, `${moment(ops.start[i])}${line(i) ? ' · line ' + line(i) : ''}`));
  if (error(i)) tip.append(make('span', { class: 'warn' }, error(i)));
  placeTip(clientX, clientY);
}

function placeTip(clientX, clientY) {
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const x = Math.min(clientX + 14, document.documentElement.clientWidth - box.width - 8);
  const y = clientY + 18 + box.height > window.innerHeight ? clientY - box.height - 12 : clientY + 18;
  tip.style.transform = `translate(${Math.max(4, x)}px,${Math.max(4, y)}px)`;
}

// Lines of the nodes' logs under the pointer.
const LOGS_MAX = 6;
function showLogs(lines, clientX, clientY) {
  if (!lines.length) {
    tip.hidden = true;
    return;
  }
  const said = ([at, error, node, text]) => make('span', {}, make('b', {}, `${moment(at)} ${node} ${error ? 'error' : 'warning'}`), ' ' + text);
  tip.replaceChildren(...lines.slice(0, LOGS_MAX).map(said));
  if (lines.length > LOGS_MAX) tip.append(make('span', {}, `${lines.length - LOGS_MAX} more: zoom in`));
  placeTip(clientX, clientY);
}

function ended(i) {
  const what = ['ok', 'failed', 'never answered'][outcome(i)];
  if (ops.open[i]) return what;
  const after = span(ops.end[i] - ops.start[i]);
  return outcome(i) === 2 ? `${what}, given up after ${after}` : `${what} after ${after}`;
}

let described = -1;
function describe(i) {
  if (i === described) return;
  described = i;
  if (i < 0) {
    panel.hidden = true;
    panel.replaceChildren();
    return;
  }
  const core = ops.core.get(i);
  const during = H.faults.filter(f => ops.start[i] <= (f.to ?? H.length) && ops.end[i] >= f.from);
  const warned = H.logs ? H.logs.lines.filter(line => line[2] === node(i) && line[0] >= ops.start[i] && line[0] <= ops.end[i]) : [];
  const facts = [
    ['operation', words(i)],
    ['key', key(i)],
    ['client', String(ops.process[i]) + (ops.process[i] === H.rows[ops.row[i]] ? '' : ` (went on from client ${H.rows[ops.row[i]]})`)],
    ['node', node(i)],
    ['outcome', ended(i)],
    ['error', error(i)],
    ['sent', moment(ops.start[i])],
    ['answered', ops.open[i] || outcome(i) === 2 ? '' : moment(ops.end[i])],
    ['lines', line(i) ? line(i) + (back(i) ? ' and ' + back(i) : '') : ''],
    ['primary', H.roles.filter(r => r.from <= ops.end[i] && (r.to ?? H.length) >= ops.start[i]).map(r => `${r.node} (term ${r.term})`).join(', ')],
    ['stalled', H.stalls.some(([from, to]) => from <= ops.end[i] && to >= ops.start[i]) ? 'the controller stood still meanwhile' : ''],
    ['warned', warned.length ? warned.slice(0, 3).map(line => line[3]).join(' ¶ ') + (warned.length > 3 ? ` ¶ ${warned.length - 3} more` : '') : ''],
    ['during', during.map(f => `${f.kind} ${f.what}`).join('; ')],
  ].filter(fact => fact[1] !== '');
  const list = make('dl', {}, ...facts.map(([term, text]) => make('div', {}, make('dt', {}, term), make('dd', {}, text))));
  const go = (text, to) => make('button', { type: 'button', disabled: to < 0, onclick: () => to >= 0 && select(to) }, text);
  const buttons = make('p', { class: 'buttons' },
    go('‹ client', neighbour(i, -1, ops.row)), go('client ›', neighbour(i, 1, ops.row)));
  if (ops.key[i]) {
    buttons.append(go('‹ key', neighbour(i, -1, ops.key)), go('key ›', neighbour(i, 1, ops.key)),
      make('button', { type: 'button', onclick: () => setFocus(view.focus === ops.key[i] ? 0 : ops.key[i]) }, 'focus on ' + shortText(key(i), 24)));
  }
  buttons.append(make('button', { type: 'button', onclick: () => select(-1) }, 'close'));
  const heading = make('h3', {}, core ? `Operation ${core.label} of anomaly ${H.anomalies[core.anomaly].id}` : 'Operation');
  panel.replaceChildren(heading, list, buttons);
  panel.hidden = false;
}

const shortText = (text, most) => text.length <= most ? text : text.slice(0, most - 1) + '…';

// The next operation, in the order of the history, with the same entry in a column.
function neighbour(i, way, column) {
  for (let j = i + way; j >= 0 && j < H.n; j += way) if (column[j] === column[i]) return j;
  return -1;
}

function select(i) {
  view.selected = i;
  if (i >= 0) showOperation(i);
  changed();
}

// The operations in view as a table, for those who cannot see a canvas or want to copy.
const TABLE_MAX = 500;
const tableBody = make('tbody');
const tableNote = make('p', { class: 'note' });
const table = make('details', { class: 'inview', ontoggle: () => fillTable() }, make('summary', {}, 'Operations in view, as a table'),
  make('div', { class: 'scroll', tabindex: 0 }, make('table', {}, make('thead', {}, make('tr', {},
    ...['sent', 'took', 'client', 'node', 'key', 'operation', 'outcome', 'line'].map(text => make('th', { scope: 'col' }, text)))), tableBody)),
  tableNote);

function fillTable() {
  if (!table.open) return;
  const lines = [];
  let more = 0;
  for (let i = 0; i < H.n; i++) {
    if (ops.start[i] > view.to || ops.end[i] < view.from || !inMask(i)) continue;
    if (lines.length >= TABLE_MAX) { more++; continue; }
    const cells = [moment(ops.start[i]), ops.open[i] ? '' : span(ops.end[i] - ops.start[i]), String(ops.process[i]), node(i), key(i),
      words(i), OUTCOMES[outcome(i)] + (error(i) ? ': ' + error(i) : ''), line(i) ? String(line(i)) : ''];
    lines.push(make('tr', {}, ...cells.map(text => make('td', {}, text))));
  }
  tableBody.replaceChildren(...lines);
  tableNote.textContent = more ? `${count(more)} more are in view: zoom in or filter to see them here.` : `${count(lines.length)} in view.`;
}
