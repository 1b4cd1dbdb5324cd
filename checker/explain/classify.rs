//! Which kind of anomaly a core is: the rules of [`crate::kinds`], for registers and what is like them.

use super::classify_transactions;
use super::edges::sights;
use super::facts::{Act, Fact, Family, Happened, Made};
use super::graph::{Circle, Graph};
use super::scene::Scene;
use super::world::Base;
use history::results::Why;
use history::{NEVER, Op, ValueId};

/// A kind with the operations that show it. Positions in the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: &'static str,
    /// The operation whose answer is wrong, or the first of two that cannot both be right.
    pub(crate) victim: Option<usize>,
    /// The operation that shows it: the newer write or read, the other holder.
    pub(crate) witness: Option<usize>,
    /// What the story adds, as a sentence; may be empty.
    pub(crate) detail: String,
    /// An operation of the history that was refused, although its effect was seen. Index into its ops.
    pub(crate) refused: Option<u32>,
}

impl Finding {
    pub(crate) fn new(kind: &'static str, victim: usize, witness: Option<usize>) -> Finding {
        Finding { kind, victim: Some(victim), witness, detail: String::new(), refused: None }
    }

    pub(crate) fn with(mut self, detail: String) -> Finding {
        self.detail = detail;
        self
    }
}

/// The first rule that applies.
pub(crate) fn classify(scene: &Scene<'_>, graph: &Graph, circle: Option<&Circle>) -> Finding {
    let found = match scene.reading.family {
        Family::Register => register(scene, graph, circle),
        Family::Set => super::classify_elements::set(scene),
        Family::Log => super::classify_elements::log(scene),
        Family::Queue => super::classify_queue::queue(scene),
        Family::Counter => super::classify_other::counter(scene),
        Family::Lock => super::classify_other::lock(scene),
        Family::Permits => super::classify_other::permits(scene),
        Family::Ids => super::classify_numbers::ids(scene),
        Family::Watch => super::classify_watch::watch(scene),
    };
    found.unwrap_or(Finding { victim: None, ..Finding::new("generic", 0, None) })
}

fn register(scene: &Scene<'_>, graph: &Graph, circle: Option<&Circle>) -> Option<Finding> {
    if scene.facts.iter().any(|f| f.act == Act::Changed) {
        return None;
    }
    unwritten(scene)
        .or_else(|| classify_transactions::passed(scene))
        .or_else(|| replaced_twice(scene))
        .or_else(|| super::classify_numbers::twice(scene))
        .or_else(|| store_buffer(scene, graph, circle))
        .or_else(|| opposite_orders(scene, graph, circle))
        .or_else(|| classify_transactions::interleaved(scene))
        .or_else(|| classify_transactions::around(scene, graph, circle))
        .or_else(|| lost_write(scene))
        .or_else(|| not_read_your_writes(scene))
        .or_else(|| backwards(scene, graph, true))
        .or_else(|| stale_read(scene))
        .or_else(|| backwards(scene, graph, false))
        .or_else(|| super::classify_numbers::backwards(scene))
        .or_else(|| super::classify_numbers::skipped(scene))
        .or_else(|| around(scene, graph, circle))
}

/// Completed operations of the core that saw a value.
fn seen<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (usize, Fact, ValueId)> + 'a {
    scene.core_facts().filter_map(|(at, fact)| match fact.act {
        Act::Saw(value) if fact.happened == Happened::Yes => Some((at, fact, value)),
        _ => None,
    })
}

/// Acknowledged puts of the core.
pub(crate) fn acknowledged<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (usize, Fact, ValueId)> + 'a {
    scene.core_facts().filter_map(|(at, fact)| match fact.act {
        Act::Put(value) if fact.happened == Happened::Yes => Some((at, fact, value)),
        _ => None,
    })
}

/// phantom-value, read-of-failed-write, read-of-future.
fn unwritten(scene: &Scene<'_>) -> Option<Finding> {
    seen(scene).find_map(|(at, fact, value)| {
        if scene.initial(fact.key) == Some(value) {
            return None;
        }
        never_put(scene, at, fact.key, value)
    })
}

/// The kind of a value that cannot have been there at all when the operation at `at` saw it.
pub(crate) fn never_put(scene: &Scene<'_>, at: usize, key: ValueId, value: ValueId) -> Option<Finding> {
    let puts = |f: &&Fact| f.key == key && matches!(f.act, Act::Put(v) | Act::Passed(v) if v == value);
    if !scene.facts.iter().any(|f| puts(&f)) {
        return Some(Finding::new("phantom-value", at, None));
    }
    let mut writers = scene.writers(key, value).peekable();
    if writers.peek().is_none() {
        let refused = scene.facts.iter().find(puts).map(|f| f.op);
        let detail = refused.map_or(String::new(), |op| refusal(scene, &scene.history.ops[op as usize]));
        let found = Finding::new("read-of-failed-write", at, None).with(detail);
        return Some(Finding { refused, ..found });
    }
    let mut own = false;
    let all_later = writers.all(|w| {
        own |= scene.position(w.op) == Some(at);
        scene.base.before(scene.op(at), &scene.history.ops[w.op as usize])
    });
    let first = scene.writers(key, value).next().and_then(|w| scene.position(w.op));
    (all_later && !own).then(|| Finding::new("read-of-future", at, first))
}

/// Who was told that a write failed.
pub(super) fn refusal(scene: &Scene<'_>, op: &Op) -> String {
    let who = super::scene::client(scene.history, op);
    let error = match op.error {
        ValueId::NULL => String::new(),
        error => format!(": {}", scene.value(error)),
    };
    let node = match op.node {
        ValueId::NULL => String::new(),
        node => format!(", through node {},", scene.history.values.get(node)),
    };
    let told = super::story::moment_of(op.ret_time, op.ret_line);
    format!("Only {who} ever tried to write that{node} and was told {told} that it had failed{error}.")
}

/// Two operations that both replaced the same value, which was there only once.
fn replaced_twice(scene: &Scene<'_>) -> Option<Finding> {
    let puts = |at: usize, key| acknowledged(scene).any(|(put, f, _)| put == at && f.key == key);
    let replacing: Vec<(usize, Fact, ValueId)> = seen(scene)
        .filter(|(at, f, value)| {
            puts(*at, f.key)
                && !acknowledged(scene).any(|(put, g, v)| put == *at && g.key == f.key && v == *value)
        })
        .collect();
    for (i, &(first, fact, value)) in replacing.iter().enumerate() {
        let times =
            scene.writers(fact.key, value).count() + usize::from(scene.initial(fact.key) == Some(value));
        if times > 1 {
            continue;
        }
        let second =
            replacing[i + 1..].iter().find(|(at, f, v)| f.key == fact.key && *v == value && *at != first);
        if let Some(&(second, _, _)) = second {
            let cas = scene.history.values.get(scene.op(second).f).as_text() == Some("cas");
            let kind = if cas { "double-cas" } else { "lost-update" };
            return Some(Finding::new(kind, second, Some(first)));
        }
    }
    None
}

/// What did not see which write, by the reasons found: reader, writer, key.
pub(super) fn missed(scene: &Scene<'_>, graph: &Graph) -> Vec<(usize, usize, ValueId)> {
    let puts: Vec<(usize, Fact)> = scene.core_facts().filter(|(_, f)| matches!(f.act, Act::Put(_))).collect();
    let saw: Vec<(usize, Fact)> = scene.core_facts().filter(|(_, f)| matches!(f.act, Act::Saw(_))).collect();
    let mut missed = Vec::new();
    for reason in &graph.reasons {
        if !matches!(reason.why, Why::Overwritten | Why::Initial) {
            continue;
        }
        for (_, put) in puts.iter().filter(|(at, _)| *at == reason.to) {
            if saw.iter().any(|(at, f)| *at == reason.from && f.key == put.key) {
                missed.push((reason.from, reason.to, put.key));
            }
        }
    }
    missed
}

/// Each of two clients wrote one key and then read the other's key as it was before.
fn store_buffer(scene: &Scene<'_>, graph: &Graph, circle: Option<&Circle>) -> Option<Finding> {
    circle?;
    let missed = missed(scene, graph);
    for &(r1, w2, y) in &missed {
        for &(r2, w1, x) in missed.iter().filter(|m| m.2 != y) {
            let sent = |w: usize, r: usize| {
                scene.op(w).process == scene.op(r).process && scene.op(w).invoke < scene.op(r).invoke
            };
            if x != y && sent(w1, r1) && sent(w2, r2) && scene.op(r1).process != scene.op(r2).process {
                return Some(Finding::new("store-buffer", r1.max(r2), Some(r1.min(r2))));
            }
        }
    }
    None
}

/// Two readers saw two writes in opposite orders, and nothing but their reads orders the writes.
fn opposite_orders(scene: &Scene<'_>, graph: &Graph, circle: Option<&Circle>) -> Option<Finding> {
    circle?;
    let sights = sights(scene);
    // Who saw which write (`None`: not yet), in which order: on two keys, seeing one and missing the other; on one key,
    // seeing one and then the other.
    let mut orders: Vec<(usize, usize, usize)> = Vec::new();
    for early in &sights {
        let Some(a) = early.writer else { continue };
        for late in &sights {
            let same = scene.op(early.reader).process == scene.op(late.reader).process;
            if !same || scene.op(early.reader).invoke > scene.op(late.reader).invoke {
                continue;
            }
            match late.writer {
                Some(b) if b != a && late.key == early.key && early.reader != late.reader => {
                    orders.push((late.reader, a, b));
                }
                _ => {}
            }
        }
        for &(reader, b, key) in &missed(scene, graph) {
            let same = scene.op(early.reader).process == scene.op(reader).process;
            if same && key != early.key && scene.op(early.reader).invoke <= scene.op(reader).invoke {
                orders.push((reader, a, b));
            }
        }
    }
    for &(r1, a, b) in &orders {
        let opposite = orders
            .iter()
            .find(|&&(r2, c, d)| (c, d) == (b, a) && scene.op(r1).process != scene.op(r2).process);
        let Some(&(r2, _, _)) = opposite else { continue };
        let unordered =
            !scene.base.before(scene.op(a), scene.op(b)) && !scene.base.before(scene.op(b), scene.op(a));
        let others =
            [a, b].iter().all(|&w| [r1, r2].iter().all(|&r| scene.op(w).process != scene.op(r).process));
        if unordered && others {
            return Some(Finding::new("opposite-orders", r1.max(r2), Some(r1.min(r2))));
        }
    }
    None
}

/// Whether everything that can have put `value` there for `reader` to see came before `write`. (A value that was put
/// there once, and was seen before `write` was sent, was put there before.)
pub(crate) fn older(
    scene: &Scene<'_>,
    base: Base,
    key: ValueId,
    value: ValueId,
    write: &Op,
    reader: &Op,
) -> bool {
    if let Some(versions) = versions(scene, key, value, write) {
        return versions.0 < versions.1;
    }
    let initial = scene.initial(key) == Some(value);
    let candidates: Vec<&Op> = scene
        .writers(key, value)
        .map(|f| &scene.history.ops[f.op as usize])
        .filter(|u| !base.before(reader, u) && !std::ptr::eq(*u, reader))
        .collect();
    let once = candidates.len() == 1 && !initial;
    let seen_before = || {
        scene.facts.iter().any(|f| {
            f.key == key
                && f.act == Act::Saw(value)
                && f.happened == Happened::Yes
                && base.before(&scene.history.ops[f.op as usize], write)
        })
    };
    if candidates.is_empty() {
        return initial;
    }
    candidates.iter().all(|u| !std::ptr::eq(*u, write) && (base.before(u, write) || (once && seen_before())))
}

/// The version of `value`, a pair, and the one that `write` was told, where there are versions.
fn versions(scene: &Scene<'_>, key: ValueId, value: ValueId, write: &Op) -> Option<(i64, i64)> {
    let pair = |id: ValueId| scene.history.values.get(id).as_list()?.first()?.as_int();
    let put = |f: &&Fact| f.key == key && std::ptr::eq(&scene.history.ops[f.op as usize], write);
    let made = scene.facts.iter().filter(put).find_map(|f| match f.act {
        Act::Number(version, Made::Here) => Some(version),
        _ => None,
    })?;
    let seen = if value == ValueId::NULL { Some(0) } else { pair(value) };
    Some((seen.filter(|_| scene.reading.versions())?, made))
}

/// Whether the operation at `reader` saw `value` although `write` had replaced it, by its acknowledgement alone.
fn overwritten(scene: &Scene<'_>, key: ValueId, value: ValueId, reader: usize, write: usize) -> bool {
    let (r, w) = (scene.op(reader), scene.op(write));
    w.ret != NEVER && scene.base.before(w, r) && older(scene, scene.base, key, value, w, r)
}

/// An acknowledged write of the core that no completed read of the history returned, while later reads are older: the
/// final ones of every server, or the first ones after it from its own server and another.
fn lost_write(scene: &Scene<'_>) -> Option<Finding> {
    acknowledged(scene).find_map(|(at, fact, value)| {
        let write = scene.op(at);
        if scene.writers(fact.key, value).nth(1).is_some() || scene.initial(fact.key) == Some(value) {
            return None;
        }
        let reads = || {
            scene.facts.iter().filter_map(|f| match f.act {
                Act::Saw(v) if f.key == fact.key && f.happened == Happened::Yes => {
                    Some((&scene.history.ops[f.op as usize], v))
                }
                _ => None,
            })
        };
        if reads().any(|(_, v)| v == value) {
            return None;
        }
        let later: Vec<(&Op, ValueId)> = reads().filter(|(r, _)| write.ret < r.invoke).collect();
        let is_older = |&(r, v): &(&Op, ValueId)| older(scene, Base::RealTime, fact.key, v, write, r);
        let victim = later.iter().find(|l| is_older(l)).and_then(|(r, _)| {
            scene.core.iter().position(|&i| std::ptr::eq(&scene.history.ops[i as usize], *r))
        });
        let victim = victim.or_else(|| {
            seen(scene).find(|(r, f, v)| {
                f.key == fact.key && write.ret < scene.op(*r).invoke && is_older(&(scene.op(*r), *v))
            }).map(|(r, _, _)| r)
        })?;
        let run = later.iter().take_while(|l| is_older(l)).count();
        let detail = if finally(&later, write, &is_older) {
            let (last, v) = later[later.len() - 1];
            let when = super::story::when(last, false);
            format!(
                "None of the {} completed reads of {} that were sent later returned {}; the last, {when}, still returned {}.",
                later.len(),
                scene.object(fact.key),
                scene.value(value),
                scene.value(v)
            )
        } else if from_two_servers(&later[..run], write) {
            format!(
                "No read in the whole history returned {}; the first {} reads of {} after it all returned older values.",
                scene.value(value),
                run,
                scene.object(fact.key)
            )
        } else {
            return None;
        };
        Some(Finding::new("lost-write", at, Some(victim)).with(detail))
    })
}

/// Whether the final reads are older: the last two agree, and so is the last from every server, its own or two others.
fn finally(later: &[(&Op, ValueId)], write: &Op, is_older: &dyn Fn(&(&Op, ValueId)) -> bool) -> bool {
    let [.., a, b] = later else { return false };
    let last_of_each = later
        .iter()
        .enumerate()
        .filter(|(i, (r, _))| !later[i + 1..].iter().any(|(other, _)| server(other) == server(r)));
    let mut servers = Vec::new();
    for (_, last) in last_of_each {
        if !is_older(last) {
            return false;
        }
        servers.push(server(last.0));
    }
    a.1 == b.1 && (servers.len() > 1 || servers.contains(&server(write)))
}

/// Whether these reads come from the server that acknowledged the write, and from another.
fn from_two_servers(reads: &[(&Op, ValueId)], write: &Op) -> bool {
    reads.iter().any(|(r, _)| server(r) == server(write))
        && reads.iter().any(|(r, _)| server(r) != server(write))
}

/// The node that was asked; without one, the client.
fn server(op: &Op) -> (bool, u32) {
    if op.node == ValueId::NULL { (false, op.process) } else { (true, op.node.0) }
}

/// A session that misses its own acknowledged write.
fn not_read_your_writes(scene: &Scene<'_>) -> Option<Finding> {
    seen(scene).find_map(|(r, fact, value)| {
        let own = acknowledged(scene).find(|(w, f, _)| {
            f.key == fact.key
                && scene.op(*w).session == scene.op(r).session
                && overwritten(scene, fact.key, value, r, *w)
        });
        own.map(|(w, _, _)| Finding::new("not-read-your-writes", r, Some(w)))
    })
}

/// A read after a read of something newer: by one session (non-monotonic) or by two (inversion).
fn backwards(scene: &Scene<'_>, graph: &Graph, one_session: bool) -> Option<Finding> {
    let sights = sights(scene);
    for late in &sights {
        for early in sights.iter().filter(|s| s.key == late.key) {
            let (e, l) = (scene.op(early.reader), scene.op(late.reader));
            let (Some(new), true) = (early.writer, (e.session == l.session) == one_session) else { continue };
            if !scene.base.before(e, l) || late.writer == Some(new) {
                continue;
            }
            let is_newer = older(scene, scene.base, late.key, late.value, scene.op(new), l)
                || late.writer.is_some_and(|old| graph.path(old, new).is_some());
            if is_newer {
                let kind = if one_session { "non-monotonic" } else { "inversion" };
                return Some(Finding::new(kind, late.reader, Some(early.reader)));
            }
        }
    }
    None
}

/// A read of what an acknowledged write had replaced.
fn stale_read(scene: &Scene<'_>) -> Option<Finding> {
    seen(scene).find_map(|(r, fact, value)| {
        let newer = acknowledged(scene)
            .find(|(w, f, _)| f.key == fact.key && overwritten(scene, fact.key, value, r, *w));
        newer.map(|(w, _, _)| Finding::new("stale-read", r, Some(w)))
    })
}

/// The circle itself says that a read came after a write that replaced what it saw.
fn around(scene: &Scene<'_>, graph: &Graph, circle: Option<&Circle>) -> Option<Finding> {
    let last = &graph.reasons[*circle?.around.last()?];
    let reads = seen(scene).any(|(at, _, _)| at == last.from);
    let real_time = match scene.base {
        Base::RealTime => true,
        Base::Program => false,
    };
    let replaced = matches!(last.why, Why::Overwritten | Why::Initial);
    (reads && real_time && replaced).then(|| Finding::new("stale-read", last.from, Some(last.to)))
}
