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
