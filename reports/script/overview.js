// The whole run above the rows: operations per second, faults, anomalies, and a brush for the part that is shown;
// and under it the heading of the rows: time, and the faults of that part by name.
const OVERVIEW = 64, LANE = 16, LANES = 5;
let histogram = null;

function counts(columns) {
  if (H.overview) return H.overview;
  const all = Array.from({ length: columns }, () => [0, 0, 0]);
  const k = columns / Math.max(1, H.length);
  for (let i = 0; i < H.n; i++) all[Math.max(0, Math.min(columns - 1, Math.floor(ops.start[i] * k)))][outcome(i)]++;
  return all;
}

const place = width => t => LEFT + t / H.length * (width - LEFT - RIGHT);

function drawOverview(canvas) {
  const [g, width] = prepare(canvas, OVERVIEW);
  const columns = Math.max(8, Math.min(Math.floor((width - LEFT - RIGHT) / 3), Math.max(8, Math.floor(H.n / 4)), H.timed ? 1e9 : H.length));
  if (!histogram || histogram.columns !== columns) {
    const all = counts(columns);
    const sums = all.map(c => c[0] + c[1] + c[2]);
    const most = sums.reduce((a, b) => Math.max(a, b), 1);
    // A burst at the end must not press all the rest to the ground: it is cut, and said to be.
    const usual = sums.filter(sum => sum).sort((a, b) => a - b)[Math.floor(sums.filter(sum => sum).length * 0.97)] || 1;
    histogram = { columns, all, most: Math.min(most, usual * 1.5), cut: most > usual * 1.5 };
  }
  const x = place(width), { all, most } = histogram, ground = OVERVIEW - 2, tall = OVERVIEW - 20;
  for (const fault of H.faults) {
    const from = x(fault.from), to = x(fault.to ?? H.length);
    g.globalAlpha = 0.8;
    g.fillStyle = colours[fault.look];
    g.fillRect(from, 0, Math.max(1.5, to - from), OVERVIEW);
  }
  g.globalAlpha = 1;
  const bar = (width - LEFT - RIGHT) / all.length;
  all.forEach((slice, at) => {
    let base = ground;
    [colours.okf, colours.failf, colours.unkf].forEach((colour, o) => {
      if (!slice[o]) return;
      const high = Math.min(base - 6, Math.max(1, slice[o] / most * tall));
      if (high <= 0) return;
      g.fillStyle = colour;
      g.fillRect(LEFT + at * bar, base - high, Math.max(0.7, bar - (bar > 2 ? 0.5 : 0)), high);
      base -= high;
    });
  });
  g.fillStyle = colours.mut;
  g.textAlign = 'right';
  g.font = '11px ' + colours.sans;
  const rate = most / (H.length / all.length) * (H.timed ? 1e9 / H.unit : 1);
  g.fillText((histogram.cut ? '> ' : '') + (H.timed ? count(rate >= 10 ? Math.round(rate) : +rate.toPrecision(2)) + '/s' : 'events'), LEFT - 9, 18);
  g.fillText('0', LEFT - 9, OVERVIEW - 7);
  const [low, high] = [Math.max(0, view.from), Math.min(H.length, view.to)];
  if (high - low < H.length * 0.999) {
    const from = x(low), to = Math.max(from + 3, x(high));
    g.fillStyle = colours.card;
    g.globalAlpha = 0.55;
    g.fillRect(LEFT, 0, from - LEFT, OVERVIEW);
    g.fillRect(to, 0, width - RIGHT - to, OVERVIEW);
    g.globalAlpha = 1;
    g.strokeStyle = colours.ink;
    g.lineWidth = 1.5;
    g.strokeRect(from, 1, to - from, OVERVIEW - 2);
    if (to - from > 16) {
      g.fillStyle = colours.ink;
      for (const at of [from, to]) g.fillRect(at - 2, OVERVIEW / 2 - 8, 4, 16);
    }
  }
  // Its own scale: the one below is that of the part that is shown.
  if (H.timed) {
    g.font = '10px ' + colours.sans;
    const last = +seconds(H.length).toPrecision(3) + ' s', wide = g.measureText(last).width + 6;
    g.globalAlpha = 0.85;
    g.fillStyle = colours.card;
    g.fillRect(width - RIGHT - wide, OVERVIEW - 13, wide, 12);
    g.globalAlpha = 1;
    g.textAlign = 'right';
    g.fillStyle = colours.mut;
    g.fillText(last, width - RIGHT - 3, OVERVIEW - 6);
    g.textAlign = 'left';
  }
  drawFlags(g, x);
}

// Anomalies that would cover each other are one flag with their number.
function drawFlags(g, x) {
  const flags = [];
  const sorted = H.anomalies.map((a, at) => [at, a.ops.find(op => op[2]) || a.ops[a.ops.length - 1]]).filter(f => f[1])
    .map(([at, op]) => [x(ops.start[op[1]]), at]).sort((a, b) => a[0] - b[0]);
  for (const [at, anomaly] of sorted) {
    const last = flags[flags.length - 1];
    if (last && at - last.at < 26) last.of.push(anomaly); else flags.push({ at, of: [anomaly] });
  }
  g.textAlign = 'center';
  g.font = '700 10.5px ' + colours.sans;
  for (const { at, of } of flags) {
    const text = of.length === 1 ? String(H.anomalies[of[0]].id) : of.length + '×';
    const half = Math.max(8, g.measureText(text).width / 2 + 5);
    g.fillStyle = colours.bad;
    g.fillRect(at - 0.75, 14, 1.5, OVERVIEW - 14);
    rounded(g, at - half, 2, half * 2, 16);
    g.fill();
    if (of.includes(view.anomaly)) { g.strokeStyle = colours.ink; g.lineWidth = 1.5; g.stroke(); }
    g.fillStyle = colours.onglyph;
    g.fillText(text, at, 10.5);
  }
  g.textAlign = 'left';
}

// Faults of the part that is shown, each in the first lane that is free.
function lanes() {
  const out = [], free = [];
  for (const fault of [...H.faults].sort((a, b) => a.from - b.from)) {
    const to = fault.to ?? H.length;
    if (to < view.from || fault.from > view.to) continue;
    let lane = free.findIndex(end => end <= fault.from);
    if (lane < 0) lane = free.length < LANES ? free.length : LANES - 1;
    free[lane] = Math.max(free[lane] ?? 0, to);
    out.push({ fault, lane });
  }
  return [out, free.length];
}

// Who was primary in the part that is shown; two at a time take two lanes.
function reigns() {
  const out = [], free = [];
  for (const role of H.roles) {
    const to = role.to ?? H.length;
    if (to < view.from || role.from > view.to) continue;
    let lane = free.findIndex(end => end <= role.from);
    if (lane < 0) lane = Math.min(free.length, LANES - 1);
    free[lane] = Math.max(free[lane] ?? 0, to);
    out.push({ role, lane });
  }
  return [out, free.length];
}

// Warnings and errors of the nodes' logs in the part that is shown, and where their lane is in the heading.
const logged = () => H.logs && H.logs.lines.length ? H.logs.lines.filter(line => line[0] >= view.from && line[0] <= view.to) : [];
let logLane = -1;

function drawHeading(canvas) {
  const [shown, many] = lanes(), [roles, deep] = reigns();
  const logs = H.logs && H.logs.lines.length ? 1 : 0;
  const height = 22 + (many + deep + logs) * LANE;
  const [g, width] = prepare(canvas, height);
  const right = width - RIGHT, k = scale(width);
  const x = t => LEFT + (t - view.from) * k;
  g.font = '11px ' + colours.sans;
  g.textAlign = 'center';
  g.fillStyle = colours.faint;
  for (const [at, text] of tickList(width)) {
    const middle = x(at);
    if (middle < LEFT - 1 || middle > right + 1) continue;
    const half = g.measureText(text).width / 2;
    g.fillText(text, Math.min(middle, width - half - 2), 10);
  }
  g.textAlign = 'right';
  g.fillStyle = colours.mut;
  if (many) g.fillText(many > 1 ? 'faults' : 'fault', LEFT - 9, 20 + LANE / 2);
  g.textAlign = 'left';
  g.font = '600 11px ' + colours.sans;
  for (const { fault, lane } of shown) {
    const from = Math.max(LEFT, x(fault.from)), to = Math.min(right, x(fault.to ?? H.length));
    const y = 20 + lane * LANE;
    g.fillStyle = colours[fault.look];
    rounded(g, from, y, Math.max(2, to - from), LANE - 2);
    g.fill();
    g.fillStyle = colours[fault.look + 't'];
    const text = fitted(g, fault.kind + ' ' + fault.what, to - from - 10);
    if (text) g.fillText(text, from + 5, y + LANE / 2 - 0.5);
  }
  if (deep) {
    g.font = '11px ' + colours.sans;
    g.textAlign = 'right';
    g.fillStyle = colours.mut;
    g.fillText('primary', LEFT - 9, 20 + many * LANE + LANE / 2);
    g.textAlign = 'left';
  }
  for (const { role, lane } of roles) {
    const from = Math.max(LEFT, x(role.from)), to = Math.min(right, x(role.to ?? H.length));
    const y = 20 + (many + lane) * LANE;
    rounded(g, from, y, Math.max(1.5, to - from), LANE - 2);
    g.fillStyle = colours.line2;
    g.fill();
    g.lineWidth = 1;
    g.strokeStyle = colours.line;
    g.stroke();
    g.fillStyle = colours.mut;
    const text = fitted(g, role.node + ' · term ' + role.term, to - from - 10);
    if (text) g.fillText(text, from + 5, y + LANE / 2 - 0.5);
  }
  logLane = logs ? 20 + (many + deep) * LANE : -1;
  if (logs) {
    g.font = '11px ' + colours.sans;
    g.textAlign = 'right';
    g.fillStyle = colours.mut;
    g.fillText('logs', LEFT - 9, logLane + LANE / 2);
    g.textAlign = 'left';
    // What is longer or darker is an error.
    for (const [at, error] of logged()) {
      g.fillStyle = error ? colours.ink : colours.faint;
      g.fillRect(x(at) - 0.5, logLane + (error ? 1 : 6), error ? 2 : 1, LANE - (error ? 4 : 9));
    }
  }
  // Where the controller itself stood still, nothing can be told of the system.
  for (const [from, to] of H.stalls) {
    const left = Math.max(LEFT, x(from)), end = Math.min(right, Math.max(x(from) + 2, x(to)));
    if (end <= LEFT || left >= right) continue;
    g.fillStyle = colours.unkln;
    g.fillRect(left, height - 3, end - left, 3);
  }
}

// The brush: inside it moves, its ends stretch it, beside it begins a new one.
function brush(canvas) {
  let drag = null;
  const tick = e => {
    const box = canvas.getBoundingClientRect();
    return (e.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT) * H.length;
  };
  canvas.addEventListener('pointerdown', e => {
    const at = tick(e), near = H.length / (canvas.clientWidth - LEFT - RIGHT) * 6;
    const whole = view.to - view.from > H.length * 0.98;
    const how = whole ? 'new' : Math.abs(at - view.from) < near ? 'from' : Math.abs(at - view.to) < near ? 'to'
      : at > view.from && at < view.to ? 'move' : 'new';
    drag = { how, at, from: view.from, to: view.to, moved: false };
    canvas.setPointerCapture(e.pointerId);
    e.preventDefault();
  });
  canvas.addEventListener('pointermove', e => {
    if (!drag) return;
    const at = tick(e);
    drag.moved ||= Math.abs(at - drag.at) > H.length / 400;
    if (drag.how === 'move') setView(drag.from + at - drag.at, drag.to + at - drag.at);
    else if (drag.how === 'from') setView(Math.min(at, drag.to), Math.max(at, drag.to));
    else if (drag.how === 'to') setView(Math.min(at, drag.from), Math.max(at, drag.from));
    else if (drag.moved) setView(Math.min(at, drag.at), Math.max(at, drag.at));
  });
  canvas.addEventListener('pointerup', () => {
    if (drag && !drag.moved && drag.how === 'new') {
      // A click on a flag shows the anomaly, any other moves the view there.
      const near = H.length / (canvas.clientWidth - LEFT - RIGHT) * 14;
      const flag = H.anomalies.findIndex(a => a.ops.some(op => op[2] && Math.abs(ops.start[op[1]] - drag.at) < near));
      const half = Math.min(view.to - view.from, H.length / 8) / 2;
      if (flag >= 0) showAnomaly(flag); else setView(drag.at - half, drag.at + half);
    }
    drag = null;
  });
  canvas.addEventListener('pointercancel', () => drag = null);
  canvas.addEventListener('dblclick', () => setView(...widest()));
}
