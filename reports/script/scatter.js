// Latency of every operation over time: what quantiles hide.
function scatter() {
  const holder = $('#scatter');
  if (!holder || !H.timed || !H.n) return;
  const canvas = make('canvas', { role: 'img', 'aria-label': 'Latency of every operation over time, on a logarithmic axis' });
  holder.append(canvas);
  holder.closest('section').hidden = false;
  let queued = false;
  const again = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      drawScatter(canvas);
    });
  };
  new ResizeObserver(again).observe(canvas);
  document.addEventListener('themed', again);
  again();
}

function drawScatter(canvas) {
  const height = 250, left = 58, right = 16, top = 8, bottom = 26;
  const [g, width] = prepare(canvas, height);
  const w = Math.max(1, Math.floor(width - left - right)), h = height - top - bottom;
  let least = Infinity, most = 0;
  for (let i = 0; i < H.n; i++) {
    if (ops.open[i]) continue;
    const dur = Math.max(1, ops.end[i] - ops.start[i]);
    least = Math.min(least, dur);
    most = Math.max(most, dur);
  }
  if (!most) return;
  const low = Math.floor(Math.log10(least)), high = Math.max(low + 1, Math.ceil(Math.log10(most * 1.02)));
  const y = dur => (1 - (Math.log10(Math.max(1, dur)) - low) / (high - low)) * h;
  const x = t => t / H.length * w;
  for (const fault of H.faults) {
    const from = left + x(Math.max(0, fault.from));
    g.fillStyle = colours.line2;
    g.fillRect(from, top, left + x(fault.to ?? H.length) - from, h);
  }
  g.font = '11.5px ' + colours.sans;
  for (let p = low; p <= high; p++) {
    g.fillStyle = colours.line;
    g.fillRect(left, Math.round(top + y(10 ** p)), w, 1);
    g.fillStyle = colours.mut;
    g.textAlign = 'right';
    g.fillText(span(10 ** p), left - 6, top + y(10 ** p));
  }
  g.textAlign = 'center';
  const length = H.length * H.unit / 1e9, each = step(length, 8);
  for (let i = 0; i * each <= length; i++) g.fillText(+(i * each).toPrecision(6) + ' s', left + i * each / length * w, height - 10);
  g.textAlign = 'left';
  const ratio = window.devicePixelRatio || 1;
  const W = Math.max(1, Math.round(w * ratio)), T = Math.max(1, Math.round(h * ratio));
  const image = new ImageData(W, T), pixels = image.data;
  const palette = [rgb(colours.ok), rgb(colours.fail), rgb(colours.unk)];
  const size = Math.max(1, Math.round(ratio * (H.n < 5000 ? 2 : H.n < 50000 ? 1.5 : 1)));
  // The many first: what failed or is unknown must not be covered.
  for (const o of [0, 1, 2]) {
    const [red, green, blue] = palette[o], strength = o === 0 ? H.n < 20000 ? 150 : 70 : 220;
    for (let i = 0; i < H.n; i++) {
      if (outcome(i) !== o || ops.open[i]) continue;
      const px = Math.min(W - size, Math.max(0, Math.floor(x(ops.start[i]) * ratio)));
      const py = Math.min(T - size, Math.max(0, Math.floor(y(ops.end[i] - ops.start[i]) * ratio)));
      for (let dy = 0; dy < size; dy++) for (let dx = 0; dx < size; dx++) {
        const at = ((py + dy) * W + px + dx) * 4;
        pixels[at] = red;
        pixels[at + 1] = green;
        pixels[at + 2] = blue;
        pixels[at + 3] = Math.min(255, pixels[at + 3] + strength);
      }
    }
  }
  const sheet = make('canvas', { width: W, height: T });
  sheet.getContext('2d').putImageData(image, 0, 0);
  g.drawImage(sheet, left, top, w, h);
}
