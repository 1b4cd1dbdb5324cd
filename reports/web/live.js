// Shows a run that goes on. Everything that came from the system under test is set as text, never as markup.
'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const NS = 'http://www.w3.org/2000/svg';
  const W = 640, H = 220, L = 46, R = 8, T = 8, B = 22;
  let ticks = [], faults = [], found = [], source = null;

  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, '\u00a0');
  const ms = (v) => v === null ? '–' : v < 1 ? (v * 1000).toFixed(0) + '\u00a0µs' : v < 10 ? v.toFixed(1) + '\u00a0ms' : v < 10000 ? v.toFixed(0) + '\u00a0ms' : (v / 1000).toFixed(1) + '\u00a0s';
  const clock = (s) => String(Math.floor(s / 60)).padStart(2, '0') + ':' + String(Math.floor(s % 60)).padStart(2, '0');
  const el = (name, attributes, text) => {
    const e = document.createElementNS(NS, name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const row = (cells, numbers) => {
    const tr = document.createElement('tr');
    cells.forEach((text, i) => {
      const td = document.createElement('td');
      if (numbers && i > 0) td.className = 'num';
      td.textContent = text;
      tr.append(td);
    });
    return tr;
  };

  function frame(svg, end, labels) {
    svg.replaceChildren();
    const x = (t) => L + (W - L - R) * t / Math.max(end, 1);
    for (const f of faults) {
      const from = x(f.from), to = x(f.to === null ? end : f.to);
      const band = el('rect', { x: from, y: T, width: Math.max(to - from, 1), height: H - T - B, class: 'band' });
      band.append(el('title', {}, f.kind + ' ' + f.what));
      svg.append(band);
    }
    for (const [y, label] of labels) {
      svg.append(el('line', { x1: L, x2: W - R, y1: y, y2: y, class: 'grid' }));
      svg.append(el('text', { x: L - 5, y: y + 4, class: 'tick end' }, label));
    }
    const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600].find((s) => end / s <= 8) || 86400;
    for (let t = 0; t <= end; t += step) svg.append(el('text', { x: x(t), y: H - 6, class: 'tick' }, step < 60 ? t + ' s' : clock(t)));
    for (const a of found) if (a.at !== null) svg.append(el('line', { x1: x(a.at), x2: x(a.at), y1: T, y2: H - B, class: 'bad' }));
    return x;
  }

  const nice = (v) => { const p = Math.pow(10, Math.floor(Math.log10(v))); return [1, 2, 5, 10].map((k) => k * p).find((k) => k >= v); };

  function drawRate(end) {
    const svg = $('rate-chart');
    const top = nice(Math.max(1, ...ticks.map((k) => (k.ok + k.fail + k.info) / k.w)));
    const y = (v) => H - B - (H - T - B) * v / top;
    const x = frame(svg, end, [0, 0.5, 1].map((s) => [y(s * top), grouped(Math.round(s * top))]));
    let below = ticks.map(() => 0);
    for (const part of ['ok', 'fail', 'info']) {
      const above = ticks.map((k, i) => below[i] + k[part] / k.w);
      if (above.some((v, i) => v > below[i])) {
        const up = ticks.map((k, i) => x(k.t).toFixed(1) + ',' + y(above[i]).toFixed(1) + ' ' + x(k.t + k.w).toFixed(1) + ',' + y(above[i]).toFixed(1));
        const down = ticks.map((k, i) => x(k.t + k.w).toFixed(1) + ',' + y(below[i]).toFixed(1) + ' ' + x(k.t).toFixed(1) + ',' + y(below[i]).toFixed(1)).reverse();
        svg.append(el('polygon', { points: up.concat(down).join(' '), class: 'a' + part }));
      }
      below = above;
    }
  }

  function drawLatency(end) {
    const svg = $('latency-chart');
    const seen = ticks.filter((k) => k.max !== null);
    const low = Math.floor(Math.log10(Math.min(1, ...seen.map((k) => Math.max(k.p50, 0.001)))));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(1, ...seen.map((k) => k.max)))));
    const y = (v) => H - B - (H - T - B) * (Math.log10(Math.max(v, 0.001)) - low) / (high - low);
    const labels = [];
    for (let p = low; p <= high; p++) labels.push([y(Math.pow(10, p)), ms(Math.pow(10, p))]);
    const x = frame(svg, end, labels);
    for (const line of ['max', 'p99', 'p50']) {
      let part = [];
      const flush = () => { if (part.length) svg.append(el('polyline', { points: part.join(' '), class: 'l' + line })); part = []; };
      for (const k of ticks) {
        if (k[line] === null) { flush(); continue; }
        part.push(x(k.t + k.w / 2).toFixed(1) + ',' + y(k[line]).toFixed(1));
      }
      flush();
    }
  }

  let due = false;
  function draw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      const last = ticks[ticks.length - 1];
      const end = last ? last.t + last.w : 1;
      drawRate(end);
      drawLatency(end);
      $('faults').replaceChildren(...faults.slice().reverse().map((f) => row([f.kind + ' ' + f.what, f.from.toFixed(1) + ' s', f.bit ? 'yes' : 'not yet', f.to === null ? 'in force' : f.to.toFixed(1) + ' s'])));
      $('violations').hidden = found.length === 0;
      $('found').replaceChildren(...found.map((a) => {
        const li = document.createElement('li');
        li.textContent = a.kind + ': ' + a.sentence + (a.key === null ? '' : ' (' + a.key + ')') + (a.at === null ? '' : ', at ' + a.at.toFixed(3) + ' s');
        return li;
      }));
      if (last) {
        $('rate').textContent = grouped(Math.round((last.ok + last.fail + last.info) / last.w)) + '/s';
        $('p50').textContent = ms(last.p50);
        $('p99').textContent = ms(last.p99);
      }
    });
  }

  function state(s) {
    $('time').textContent = clock(s.time);
    $('ops').textContent = grouped(s.invoked);
    const all = Math.max(1, s.ok + s.fail + s.info);
    for (const part of ['ok', 'fail', 'info']) $(part).textContent = (100 * s[part] / all).toFixed(1) + ' %';
    $('nodes').replaceChildren(...s.nodes.map((n) => row([n[0], grouped(n[1]), grouped(n[2]), grouped(n[3])], true)));
    $('phase').textContent = s.phase;
    $('checked').textContent = s.checked;
  }

  function merge(list, item) {
    const at = list.findIndex((other) => other.id === item.id);
    if (at < 0) list.push(item); else list[at] = item;
  }

  function listen() {
    source = new EventSource('events');
    const on = (name, act) => source.addEventListener(name, (e) => { $('lost').hidden = true; act(JSON.parse(e.data)); draw(); });
    on('hello', (d) => { ticks = d.ticks; faults = d.faults; found = d.found; state(d.state); });
    on('ticks', (d) => { ticks = d; });
    on('tick', (d) => { ticks.push(d); });
    on('state', state);
    on('fault', (d) => merge(faults, d));
    on('anomaly', (d) => merge(found, d));
    source.addEventListener('done', () => { source.close(); location.reload(); });
    source.onerror = () => {
      $('lost').hidden = false;
      // The server has nothing more to tell: the run has ended, and its page says how.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
    };
  }
  listen();
})();
