// What the script adds to the rest of the page: a theme button, tables that sort, links into the timeline.
function theme(next) {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const root = document.documentElement;
  const now = root.dataset.theme || (dark ? 'dark' : 'light');
  if (next) {
    root.dataset.theme = now === 'dark' ? 'light' : 'dark';
    readColours();
    if (H) changed();
    document.dispatchEvent(new Event('themed'));
  }
  return root.dataset.theme || now;
}

function themeButton() {
  const button = make('button', { type: 'button', class: 'icon', 'aria-label': 'Switch between light and dark', title: 'light or dark (t)', onclick: () => theme(true) });
  button.textContent = '◐';
  $('header.top .wrap').append(button);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    readColours();
    if (H) changed();
    document.dispatchEvent(new Event('themed'));
  });
}

// 1 204 before 12, 24 ms before 1.2 s: numbers by their size, with their units.
function weight(text) {
  const match = /^(-?[<>]?)([\d\u00a0.]+)\s*\u00a0?\s*(%|ns|µs|ms|s|min|h|B|KiB|MiB|GiB)?/.exec(text.trim());
  if (!match) return null;
  const size = { ns: 1, 'µs': 1e3, ms: 1e6, s: 1e9, min: 6e10, h: 3.6e12, KiB: 1024, MiB: 1048576, GiB: 1073741824 };
  const number = Number(match[2].replace(/\u00a0/g, ''));
  return Number.isNaN(number) ? null : number * (size[match[3]] || 1);
}

function sortable(table) {
  const body = $('tbody', table);
  if (!body || body.rows.length < 3) return;
  table.querySelectorAll('thead th').forEach((head, at) => {
    const button = make('button', { type: 'button', class: 'sort', onclick: () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      table.querySelectorAll('th[aria-sort]').forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const keyed = [...body.rows].map(row => [row, row.cells[at] ? row.cells[at].textContent : '']);
      const order = (a, b) => {
        const [x, y] = [weight(a[1]), weight(b[1])];
        return x !== null && y !== null ? x - y : a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0;
      };
      body.append(...keyed.sort((a, b) => down ? order(b, a) : order(a, b)).map(pair => pair[0]));
    } });
    button.append(...head.childNodes);
    head.append(button);
  });
}

// The terminal's form of an anomaly, for a bug report.
function copyButtons() {
  document.querySelectorAll('.proof').forEach(card => {
    const text = $('details pre', card), buttons = $('h2 .buttons', card);
    if (!text || !buttons) return;
    const button = make('button', { type: 'button', onclick: async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = 'copied';
        setTimeout(() => button.textContent = 'copy as text', 1500);
      } catch (e) {
        // A browser that gives no clipboard away: the text is shown and marked instead.
        text.closest('details').open = true;
        getSelection().selectAllChildren(text);
      }
    } }, 'copy as text');
    buttons.prepend(button);
  });
}

// The run for Perfetto or chrome://tracing: made of what the page holds, when somebody asks.
function traceLink() {
  const list = $('#data .files');
  if (!list || !H || !H.n) return;
  const micros = t => H.timed ? (t * H.unit) / 1e3 : t;
  const row = (pid, tid, name, from, to, args) => ({ ph: 'X', pid, tid, name, ts: micros(from), dur: Math.max(0, micros(to - from)), args });
  const link = make('a', { class: 'button', download: 'trace.json', href: '#data', onclick: () => {
    const events = [[1, 'clients'], [2, 'faults'], [3, 'primary']].map(([pid, text]) => ({ ph: 'M', pid, tid: 0, name: 'process_name', args: { name: text } }));
    H.rows.forEach((first, tid) => events.push({ ph: 'M', pid: 1, tid, name: 'thread_name', args: { name: 'client ' + first } },
      { ph: 'M', pid: 1, tid, name: 'thread_sort_index', args: { sort_index: tid } }));
    for (let i = 0; i < H.n; i++) {
      events.push(row(1, ops.row[i], (key(i) ? key(i) + ': ' : '') + words(i), ops.start[i], ops.end[i],
        { outcome: OUTCOMES[outcome(i)], node: node(i), line: line(i), error: error(i) }));
    }
    for (const f of H.faults) events.push(row(2, f.id, f.kind + ' ' + f.what, f.from, f.to ?? H.length, {}));
    for (const r of H.roles) events.push(row(3, 1, r.node + ' · term ' + r.term, r.from, r.to ?? H.length, {}));
    if (link.href.startsWith('blob:')) URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([JSON.stringify({ displayTimeUnit: 'ms', traceEvents: events })], { type: 'application/json' }));
  } }, 'trace.json');
  list.append(make('li', {}, link, ' ', make('small', {}, 'for Perfetto')));
}

// Each chart as a file: with the colours that it has now, for alone it has no style sheet.
function chartLinks() {
  const list = $('#data .files');
  if (!list) return;
  document.querySelectorAll('section[id] .plot > svg').forEach(svg => {
    const title = svg.closest('section').id === 'spectrum' ? 'percentiles' : svg.closest('section').id;
    const link = make('a', { class: 'button', 'data-chart': true, download: title + '.svg', href: '#data', onclick: () => {
      const copy = svg.cloneNode(true), from = svg.querySelectorAll('*');
      copy.setAttribute('xmlns', 'http:' + '//www.w3.org/2000/svg');
      copy.querySelectorAll('*').forEach((element, at) => {
        const style = getComputedStyle(from[at]);
        for (const part of ['fill', 'stroke']) if (element.hasAttribute(part)) element.setAttribute(part, style[part]);
      });
      link.href = 'data:image/svg+xml;base64,' + btoa(unescape(encodeURIComponent(new XMLSerializer().serializeToString(copy))));
    } }, title + '.svg');
    list.append(make('li', {}, link));
  });
}
