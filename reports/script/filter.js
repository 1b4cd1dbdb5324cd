// The filter: words that must all hold. `key:k7 node:n5 read|write unknown >100ms time:37.3-37.5 -client:4`.
const FIELDS = ['process', 'client', 'f', 'key', 'value', 'outcome', 'time', 'node', 'error', 'fault', 'line', 'anomaly'];
const SCALE = { ns: 1, us: 1e3, 'µs': 1e3, ms: 1e6, s: 1e9, min: 6e10 };
const OUTCOME_WORDS = {
  ok: 0, succeeded: 0, answered: 0, fail: 1, failed: 1, info: 2, unknown: 2, unanswered: 2,
};

// A function of an operation, or null for an empty filter. Throws a sentence about what cannot be understood.
function compile(text) {
  const tests = [];
  for (const match of text.matchAll(/(-?)(?:([^\s:"<>]+):)?("[^"]*"|[^\s"]+)/g)) {
    const [whole, not, field, word] = match;
    if (field !== undefined && !FIELDS.includes(field.toLowerCase())) {
      throw `There is no field “${field}”. Fields: ${FIELDS.join(', ')}.`;
    }
    const alternatives = (word.startsWith('"') ? [word.slice(1, -1)] : word.split('|')).filter(w => w !== '');
    if (!alternatives.length) throw `“${whole}” asks for nothing.`;
    const each = alternatives.map(w => field === undefined ? bare(w) : fieldTest(field.toLowerCase(), w));
    const any = each.length === 1 ? each[0] : i => each.some(test => test(i));
    tests.push(not ? i => !any(i) : any);
  }
  if (!tests.length) return null;
  return tests.length === 1 ? tests[0] : i => tests.every(test => test(i));
}

// Which entries of a table a word means: those that are it, else those that contain it.
function entries(table, word, exact) {
  const lower = word.toLowerCase();
  const set = new Uint8Array(table.length + 1);
  let found = false;
  table.forEach((text, at) => {
    if (text.toLowerCase() === lower) { set[at + 1] = 1; found = true; }
  });
  if (!found && !exact) table.forEach((text, at) => {
    if (text.toLowerCase().includes(lower)) { set[at + 1] = 1; found = true; }
  });
  return found ? set : null;
}

const never = () => false;
const within = (column, set) => set ? i => set[column[i]] === 1 : never;

function valueTest(word, exact) {
  const wanted = /^-?\d+$/.test(word) ? Number(word) : NaN;
  const set = entries(H.strings, word, exact);
  const is = v => v === wanted || (set !== null && v >= TEXTS && set[v - TEXTS] === 1);
  return i => is(ops.input[i]) || is(ops.output[i]);
}

function bare(word) {
  const duration = /^([<>])(\d+(?:\.\d+)?)(ns|us|µs|ms|s|min)$/.exec(word);
  if (duration) {
    if (!H.timed) throw 'This history records no times.';
    const limit = Number(duration[2]) * SCALE[duration[3]] / H.unit;
    return duration[1] === '>' ? i => ops.end[i] - ops.start[i] > limit : i => ops.end[i] - ops.start[i] < limit;
  }
  if (/^[<>]/.test(word)) throw `“${word}” is no length of time. Write >100ms or <2s.`;
  const wanted = OUTCOME_WORDS[word.toLowerCase()];
  if (wanted !== undefined) return i => outcome(i) === wanted;
  const functions = entries(H.fs, word, true);
  if (functions) return within(ops.f, functions);
  const keys = entries(H.keys, word, true), nodes = entries(H.nodes, word, true), errors = entries(H.strings, word, false);
  const value = valueTest(word, false);
  return i => (keys && keys[ops.key[i]]) || (nodes && nodes[ops.node[i]]) || value(i) || (errors && errors[ops.error[i]]) || false;
}

function fieldTest(field, word) {
  switch (field) {
    case 'process': return numberTest(field, word, i => ops.process[i]);
    case 'client': return numberTest(field, word, i => H.rows[ops.row[i]]);
    case 'line': return numberTest(field, word, i => line(i));
    case 'f': return within(ops.f, entries(H.fs, word, false));
    case 'key': return within(ops.key, entries(H.keys, word, true));
    case 'node': return within(ops.node, entries(H.nodes, word, true));
    case 'error': return within(ops.error, entries(H.strings, word, false));
    case 'value': return valueTest(word, true);
    case 'outcome': {
      const wanted = OUTCOME_WORDS[word.toLowerCase()];
      if (wanted === undefined) throw `“${word}” is no outcome. Outcomes: ok, failed, unknown.`;
      return i => outcome(i) === wanted;
    }
    case 'time': {
      const range = /^(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?$/.exec(word);
      if (!range) throw `“${word}” is no time. Write time:37.3-37.5 (${H.timed ? 'seconds' : 'events'}).`;
      const ticks = text => H.timed ? (Number(text) * 1e9 - H.from) / H.unit : Number(text);
      const from = ticks(range[1]), to = range[2] === undefined ? from : ticks(range[2]);
      return i => ops.start[i] <= to && ops.end[i] >= from;
    }
    case 'fault': {
      const lower = word.toLowerCase();
      const faults = H.faults.filter(f => f.kind.toLowerCase() === lower || String(f.id) === word || lower === 'any');
      return i => faults.some(f => ops.start[i] <= (f.to ?? H.length) && ops.end[i] >= f.from);
    }
    default: {
      const wanted = new Set();
      H.anomalies.forEach(a => {
        if (word === 'any' || String(a.id) === word || a.kind === word) a.ops.forEach(op => wanted.add(op[1]));
      });
      return i => wanted.has(i);
    }
  }
}

function numberTest(field, word, of) {
  const range = /^(-?\d+)(?:-(\d+))?$/.exec(word);
  if (!range) throw `“${word}” is no number. Write ${field}:4 or ${field}:4-9.`;
  const from = Number(range[1]), to = range[2] === undefined ? from : Number(range[2]);
  return i => of(i) >= from && of(i) <= to;
}
