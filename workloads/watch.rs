//! Watches: some workers write, the others are told of every change, each from where it was told last.
//!
//! ```text
//!   watcher  ─ watch 12 ─▶ [14, [[12, a, 7], [14, b, 8]]] ─ watch 15 ─▶ … ─ session lost ─ watch 15 (a new stream) ─▶ …
//! ```
//! A watcher's place in the store's count is kept here, whatever becomes of its session, so each call says from where it
//! goes on, and the history shows where a stream was taken up again. Now and then a worker leaves its place to
//! another one and goes on from where somebody else was: the other's node may be further, or not as far.

use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Slot, Told, sooner};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Completion, Value};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// `put`, `delete`, `watch`, and at the end `catch-up` where a watcher does not hear of the last write.
pub struct Watch;

impl Workload for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn about(&self) -> &'static str {
        "writes of many keys, and watchers that are told of every change from a revision on: in order, without gaps, without repetitions, and after a cut from where they were"
    }

    fn model(&self) -> &'static str {
        "watch"
    }

    /// What else could hold of it is judged by no quick method, and says less.
    fn informs(&self) -> &'static [&'static str] {
        &[]
    }

    fn functions(&self) -> &'static [&'static str] {
        &["put", "delete", "watch", "catch-up"]
    }

    fn reads(&self) -> &'static [&'static str] {
        &["watch", "catch-up"]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["put", "delete"]
    }

    fn shows(&self, output: &Value, f: &str, input: &Value) -> bool {
        let (name, value) = match (f, input.as_list()) {
            ("put", Some([name, value])) => (name, value),
            _ => (input, &Value::Null),
        };
        let told = output.as_list().and_then(|answer| answer.get(1)).and_then(Value::as_list);
        told.is_some_and(|events| {
            events
                .iter()
                .any(|event| event.as_list().is_some_and(|e| e[1..] == [name.clone(), value.clone()]))
        })
    }

    /// Share of the workers that watch.
    fn default_read_share(&self) -> f64 {
        0.5
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let places = Arc::new(Mutex::new(Places::default()));
        let writers = Writes {
            rng: Rng::stream(seed, "watch writes"),
            ops_per_name: options.ops_per_key,
            names: (0..options.keys as u64).map(|name| (name, options.ops_per_key)).collect(),
            fresh: options.keys as u64,
            value: 0,
        };
        let watching = watchers(options);
        Plan {
            main: Box::new(Main {
                rng: Rng::stream(seed, "watch"),
                watching,
                both: options.workers == 1,
                share: options.read_share,
                places: places.clone(),
                writers,
            }),
            last: Box::new(Last { watching, places, marker: Marker::Due(0), tries: TRIES, left: None }),
        }
    }
}

/// How many workers watch: the first ones. One writes at least, if there are two; one alone does both.
fn watchers(options: &Options) -> usize {
    let most = options.workers.saturating_sub(1).max(1);
    ((options.workers as f64 * options.read_share).round() as usize).clamp(1, most)
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.to_string(), key: None, value }
}

/// How far each watcher is.
#[derive(Debug, Default)]
struct Places {
    of: Vec<Place>,
    /// The place of one who has no worker for the moment.
    spare: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The first revision that it was not told of; unknown until its first answer.
    from: Option<i64>,
    /// Not asked again before this time.
    rests: i64,
}

impl Places {
    fn of(&mut self, watcher: usize) -> &mut Place {
        if self.of.len() <= watcher {
            self.of.resize(watcher + 1, Place::default());
        }
        &mut self.of[watcher]
    }

    /// The worker goes on for another watcher, and leaves its own place to the next who changes.
    fn swap(&mut self, watcher: usize) {
        let spare = self.spare;
        let place = self.of(watcher);
        let left = place.from;
        place.from = spare.or(left);
        self.spare = left;
    }

    fn told(&mut self, told: &Told<'_>) {
        let place = self.of(told.slot.worker);
        match told.completion {
            // What it asked for is gone: it goes on with what is left.
            Completion::Ok { applied: Some(false), observed, .. } => {
                place.from = observed.as_ref().and_then(Value::as_int).or(place.from);
            }
            Completion::Ok { value, .. } => {
                let upto = value.as_list().and_then(|answer| answer.first()).and_then(Value::as_int);
                let next = upto.map(|upto| upto.saturating_add(1));
                place.from = next.max(place.from);
            }
            Completion::Fail(_) | Completion::Info { .. } => place.rests = told.time + AGAIN_NS,
        }
    }
}

fn locked(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

/// After how long a watcher whose stream was lost asks for another one.
const AGAIN_NS: i64 = 100_000_000;
/// How often a worker changes places: once in so many answers.
const SWAP: usize = 40;

struct Main {
    rng: Rng,
    watching: usize,
    /// Whether the one worker does both.
    both: bool,
    share: f64,
    places: Arc<Mutex<Places>>,
    writers: Writes,
}

impl Generator for Main {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let mut places = locked(&self.places);
        let mut wake = None;
        let ready = |slot: &Slot, places: &mut Places| places.of(slot.worker).rests <= ctx.time;
        let begin = self.rng.below(ctx.free.len().max(1));
        for step in 0..ctx.free.len() {
            let slot = ctx.free[(begin + step) % ctx.free.len()];
            let watches = if self.both { self.rng.chance(self.share) } else { slot.worker < self.watching };
            if !watches {
                return Next::Call(Ask {
                    worker: slot.worker,
                    call: self.writers.call(),
                    timeout: None,
                    due: None,
                });
            }
            if !ready(&slot, &mut places) {
                wake = sooner(wake, Some(places.of(slot.worker).rests));
                continue;
            }
            if self.rng.below(SWAP) == 0 {
                places.swap(slot.worker);
            }
            let from = places.of(slot.worker).from.map_or(Value::Null, Value::Int);
            return Next::Call(Ask {
                worker: slot.worker,
                call: call("watch", from),
                timeout: None,
                due: None,
            });
        }
        Next::Wait(wake)
    }

    fn told(&mut self, told: &Told<'_>) {
        if told.call.f == "watch" {
            locked(&self.places).told(told);
        }
    }
}

/// Share of deletes among the writes.
const DELETES: f64 = 0.1;

/// Writes of different values under a few names; after its number of writes, a name makes room for the next.
struct Writes {
    rng: Rng,
    ops_per_name: u32,
    /// With the writes that are left.
    names: VecDeque<(u64, u32)>,
    fresh: u64,
    value: i64,
}

impl Writes {
    fn call(&mut self) -> Call {
        let at = self.rng.below(self.names.len().max(1));
        let Some((name, left)) = self.names.get_mut(at) else { return self.put("n0".to_string()) };
        *left = left.saturating_sub(1);
        let (name, over) = (format!("n{name}"), *left == 0);
        if over {
            self.names[at] = (self.fresh, self.ops_per_name);
            self.fresh += 1;
        }
        // What is left behind is deleted.
        if over || self.rng.chance(DELETES) {
            return call("delete", Value::text(&name));
        }
        self.put(name)
    }

    fn put(&mut self, name: String) -> Call {
        self.value += 1;
        call("put", Value::list([Value::text(&name), Value::Int(self.value)]))
    }
}

/// How often the last write is tried, and after how long again: a cluster that was just healed may need to elect.
const TRIES: u32 = 100;
const RETRY_NS: i64 = 200_000_000;
/// How often a watcher is asked at the end until it has heard of the last write, and how often to catch up after that.
const ASKED: u32 = 60;
const CAUGHT: u32 = 3;
/// How long it may take to catch up: longer than a stream must be silent to be taken at its word.
const CATCH_UP: Duration = Duration::from_secs(30);

/// Writes once more, and lets every watcher go on until it was told of that. Whoever is not after a while is asked to
/// catch up, and says so if it certainly has all that there is. Whoever has no stream in the end has observed nothing.
struct Last {
    watching: usize,
    places: Arc<Mutex<Places>>,
    marker: Marker,
    tries: u32,
    left: Option<Vec<Left>>,
}

/// The last write.
enum Marker {
    /// To be made at this time.
    Due(i64),
    Open,
    /// It made this revision; none, if it never succeeded.
    Done(Option<i64>),
}

/// What a watcher has left to do.
struct Left {
    asks: u32,
    catches: u32,
    open: bool,
}

impl Generator for Last {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let Some(first) = ctx.free.first() else { return Next::Wait(None) };
        let last = match self.marker {
            Marker::Due(at) if at > ctx.time => return Next::Wait(Some(at)),
            Marker::Due(_) => {
                self.marker = Marker::Open;
                let call = call("put", Value::list([Value::text("last"), Value::Int(i64::from(self.tries))]));
                // Another node each time.
                let slot = ctx.free.get(self.tries as usize % ctx.free.len()).unwrap_or(first);
                return Next::Call(Ask { worker: slot.worker, call, timeout: None, due: None });
            }
            Marker::Open => return Next::Wait(None),
            Marker::Done(None) => return Next::Done,
            Marker::Done(Some(revision)) => revision,
        };
        let watching = self.watching.min(ctx.workers);
        let left = self.left.get_or_insert_with(|| {
            (0..watching).map(|_| Left { asks: ASKED, catches: CAUGHT, open: false }).collect()
        });
        let mut places = locked(&self.places);
        let (mut busy, mut wake) = (false, None);
        for (worker, left) in left.iter_mut().enumerate() {
            let place = *places.of(worker);
            let behind = place.from.is_none_or(|from| from <= last);
            if left.open {
                busy = true;
            } else if behind && left.asks + left.catches > 0 {
                busy = true;
                if place.rests > ctx.time {
                    wake = sooner(wake, Some(place.rests));
                    continue;
                }
                let Some(slot) = ctx.free.iter().find(|slot| slot.worker == worker) else { continue };
                left.open = true;
                let from = place.from.map_or(Value::Null, Value::Int);
                let (f, timeout) = if left.asks > 0 {
                    left.asks -= 1;
                    ("watch", None)
                } else {
                    left.catches -= 1;
                    ("catch-up", Some(CATCH_UP))
                };
                return Next::Call(Ask { worker: slot.worker, call: call(f, from), timeout, due: None });
            }
        }
        if busy { Next::Wait(wake) } else { Next::Done }
    }

    fn told(&mut self, told: &Told<'_>) {
        if told.call.f == "put" {
            self.tries -= 1;
            self.marker = match told.completion {
                Completion::Ok { value, .. } => Marker::Done(value.as_int()),
                Completion::Fail(_) | Completion::Info { .. } if self.tries == 0 => Marker::Done(None),
                Completion::Fail(_) | Completion::Info { .. } => Marker::Due(told.time + RETRY_NS),
            };
            return;
        }
        locked(&self.places).told(told);
        let Some(left) = self.left.as_mut().and_then(|left| left.get_mut(told.slot.worker)) else { return };
        left.open = false;
        if told.call.f == "catch-up" && matches!(told.completion, Completion::Ok { .. }) {
            // It has said that this is all.
            (left.asks, left.catches) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Answers, Done, simulate};

    fn options(workers: usize) -> Options {
        Options { keys: 2, ops_per_key: 20, read_share: 0.5, workers }
    }

    fn calls(workers: usize, answers: Answers) -> (Vec<Done>, Vec<Done>) {
        let plan = Watch.plan(&options(workers), 7);
        let whole = crate::phases(vec![Box::new(crate::limit(400, plan.main)), plan.last]);
        let mut all = simulate(whole, workers, 3, answers);
        let last = all.split_off(400);
        (all, last)
    }

    #[test]
    fn some_write_and_the_others_go_on_from_where_they_were() {
        let (main, last) = calls(6, Answers::Watched);
        assert!(main.iter().all(|d| (d.call.f == "watch") == (d.worker < 3)), "{main:?}");
        let mut written: Vec<&Value> =
            main.iter().filter(|d| d.call.f == "put").map(|d| &d.call.value).collect();
        let all = written.len();
        written.sort_by_key(|value| value.to_string());
        written.dedup();
        assert!(all > 100 && written.len() == all, "every value is written once");
        assert!(main.iter().any(|d| d.call.f == "delete"));
        assert!(main.iter().filter(|d| d.call.f == "watch" && d.call.value != Value::Null).count() > 100);
        // At the end everybody hears of the last write.
        assert_eq!(last.iter().filter(|d| d.call.f == "put").count(), 1);
        let asked: Vec<usize> = last.iter().skip(1).map(|d| d.worker).collect();
        assert!((0..3).all(|worker| asked.contains(&worker)), "{asked:?}");
        assert!(last.iter().all(|d| d.call.f != "catch-up"), "{last:?}");
    }

    #[test]
    fn a_worker_leaves_its_place_to_another_one() {
        let mut places = Places::default();
        (places.of(0).from, places.of(1).from) = (Some(5), Some(9));
        places.swap(0);
        assert_eq!((places.of(0).from, places.spare), (Some(5), Some(5)), "there was no other place yet");
        places.of(0).from = Some(7);
        places.swap(1);
        places.swap(0);
        assert_eq!((places.of(0).from, places.of(1).from, places.spare), (Some(9), Some(5), Some(7)));
    }

    #[test]
    fn one_worker_does_both() {
        let (main, last) = calls(1, Answers::Watched);
        assert!(main.iter().any(|d| d.call.f == "watch") && main.iter().any(|d| d.call.f == "put"));
        assert!(last.len() < 5, "{last:?}");
    }

    #[test]
    fn whoever_never_hears_of_the_last_write_is_asked_to_catch_up_and_then_left_alone() {
        let (_, last) = calls(6, Answers::Deaf);
        for worker in 0..3 {
            let asked = |f: &str| last.iter().filter(|d| d.worker == worker && d.call.f == f).count();
            assert_eq!((asked("watch"), asked("catch-up")), (ASKED as usize, 1));
        }
        let (_, lost) = calls(6, Answers::AllInfo);
        assert_eq!(lost.len(), TRIES as usize, "without a last write there is nothing to wait for");
    }
}
