// The rows of the timeline: one for each client, or for each node or key as many as its operations need.
const LANES_MAX = 60;

// Rows as { label, lead, list, reach }: operations by their start, and the latest end among those up to each.
function rowsBy(how) {
  const rows = how === 'node' ? packed(ops.node, H.nodes, 'no node')
    : how === 'key' ? packed(ops.key, H.keys, 'no key')
      : byClient();
  for (const row of rows) {
    let latest = -Infinity;
    row.reach = new Float64Array(row.list.length);
    for (let j = 0; j < row.list.length; j++) {
      const end = ops.end[row.list[j]];
      row.reach[j] = latest = end > latest ? end : latest;
    }
  }
  return rows;
}

function inOrder() {
  const order = new Uint32Array(H.n);
  for (let i = 0; i < H.n; i++) order[i] = i;
  for (let i = 1; i < H.n; i++) if (ops.start[i] < ops.start[i - 1]) return order.sort((a, b) => ops.start[a] - ops.start[b] || a - b);
  return order;
}


function byClient() {
  const sizes = new Uint32Array(H.rows.length);
  for (let i = 0; i < H.n; i++) sizes[ops.row[i]]++;
  const rows = H.rows.map((first, at) => ({ label: 'client ' + first, lead: true, list: new Uint32Array(sizes[at]), reach: null }));
  sizes.fill(0);
  for (const i of inOrder()) rows[ops.row[i]].list[sizes[ops.row[i]]++] = i;
  return rows;
}

// Puts each operation into the first lane of its group that is free.
function packed(column, names, none) {
  const groups = Array.from({ length: names.length + 1 }, () => []);
  for (const i of inOrder()) {
    const lanes = groups[column[i]];
    let lane = lanes.find(l => l.end <= ops.start[i]);
    if (!lane) {
      if (lanes.length < LANES_MAX) lanes.push(lane = { end: 0, list: [] });
      else lane = lanes[LANES_MAX - 1];
    }
    lane.end = ops.end[i];
    lane.list.push(i);
  }
  const order = names.map((text, at) => at + 1).sort((a, b) => byName(names[a - 1], names[b - 1]));
  return [...order, 0].flatMap(id => groups[id].map((lane, at) => ({
    label: at ? '' : id ? names[id - 1] : none, lead: at === 0, list: Uint32Array.from(lane.list), reach: null,
  })));
}

// k2 before k10.
function byName(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

// The first of a row's operations that reaches `from`, by its place in the row.
function firstIn(row, from) {
  let low = 0, high = row.list.length;
  while (low < high) {
    const middle = low + high >> 1;
    if (row.reach[middle] < from) low = middle + 1; else high = middle;
  }
  return low;
}

// The first of a row's operations that starts after `to`.
function firstAfter(row, to) {
  let low = 0, high = row.list.length;
  while (low < high) {
    const middle = low + high >> 1;
    if (ops.start[row.list[middle]] <= to) low = middle + 1; else high = middle;
  }
  return low;
}
