//! Histories in which one anomaly is planted, a hundred of each kind.

use super::{Dice, core_of, history, spec};
use checker::explain::explain;
use checker::judge::{Limits, judge};
use checker::{
    Counterexample, Model, ModelName, Problem, Property, Spec, build, certify, oracle, with_model,
};
use history::History;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// A history that is being written down: each operation begins after the one before it has returned, unless it is slow.
pub struct Plan {
    lines: Vec<(u64, String)>,
    clock: u64,
    /// The last fresh value.
    pub value: u64,
    /// For choices.
    pub dice: Dice,
}

/// A client and the node that it asks.
#[derive(Clone, Copy, PartialEq)]
pub struct Client(pub u64);

impl Plan {
    /// An empty one.
    pub fn new(seed: u64) -> Plan {
        Plan { lines: Vec::new(), clock: 1, value: 100, dice: Dice::new(seed) }
    }

    /// Three clients on three nodes, in any order.
    pub fn clients(&mut self) -> [Client; 3] {
        let first = self.dice.below(3);
        let step = 1 + self.dice.below(2);
        [0, 1, 2].map(|i| Client((first + i * step) % 3))
    }

    /// A value that was not there before.
    pub fn fresh(&mut self) -> u64 {
        self.value += 1 + self.dice.below(3);
        self.value
    }

    /// A later time.
    pub fn pass(&mut self) -> u64 {
        self.clock += 1 + self.dice.below(9);
        self.clock
    }

    /// One operation, answered before the next is sent. `*` marks the core.
    pub fn op(&mut self, mark: &str, client: Client, text: &str) {
        let (invoke, ret) = (self.pass(), self.pass());
        self.write(mark, client, invoke, &ret.to_string(), text);
    }

    /// One operation with its times.
    pub fn write(&mut self, mark: &str, Client(p): Client, invoke: u64, ret: &str, text: &str) {
        self.lines.push((invoke, format!("{mark} {p} n{p} {invoke} {ret} {text}")));
    }

    /// A lawful past: writes and reads of it, by anyone, of which nothing is left that matters.
    pub fn past(&mut self, write: &str, read: &str) {
        for _ in 0..self.dice.below(4) {
            let value = self.fresh();
            let client = Client(self.dice.below(3));
            self.op("", client, &write.replace('#', &value.to_string()));
            if self.dice.below(2) == 0 {
                let client = Client(self.dice.below(3));
                self.op("", client, &read.replace('#', &value.to_string()));
            }
        }
    }

    /// The history as lines.
    pub fn sketch(mut self) -> String {
        self.lines.sort();
        self.lines.into_iter().map(|(_, line)| line + "\n").collect()
    }
}

/// Plants `kind` a hundred times. It must be called so, told from the planted core and told from the core that the
/// checker finds on its own, and the table must prove it. Every order of either core is
/// tried by the oracle, and every order of what is left when the checker's own loses any one operation.
pub fn check(kind: &str, model: ModelName, property: Property, plant: impl Fn(&mut Plan)) {
    let (mut right, mut found) = (0, 0);
    for seed in 0..100 {
        let mut plan = Plan::new(seed);
        plant(&mut plan);
        let sketch = plan.sketch();
        let mut history = history(&sketch);
        let anomaly = explain(&history, &spec(model, &history), property, &core_of(&sketch), 1);
        let broken: u64 = anomaly.orders.iter().map(|row| row.count).sum();
        assert!(broken > 0 && broken == anomaly.orders_total, "no counterexample was planted:\n{sketch}");
        if anomaly.kind == kind {
            right += 1;
        } else {
            println!("{kind} was called {}:\n{sketch}", anomaly.kind);
        }
        let spec = spec(model, &history);
        brute(&mut history, &spec, property, &core_of(&sketch), false);
        let limits = Limits {
            stop: &AtomicBool::new(false),
            bytes: 100 << 20,
            threads: 1,
            states: &AtomicU64::new(0),
            progress: None,
        };
        let judged = judge(&mut history, &spec, property, &limits).expect("a verdict");
        let violation = judged.violations.first().expect("a violation was planted");
        assert!(violation.counterexample.minimal, "{kind}: more than is needed:\n{sketch}{violation:#?}");
        brute(&mut history, &spec, property, &violation.counterexample, true);
        let anomaly = explain(&history, &spec, property, &violation.counterexample, 1);
        let broken: u64 = anomaly.orders.iter().map(|row| row.count).sum();
        assert!(
            broken > 0 && broken == anomaly.orders_total,
            "no proof of what was found:\n{sketch}{anomaly:#?}"
        );
        if anomaly.kind == kind {
            found += 1;
        } else {
            println!(
                "{kind}, as it was found, was called {}: {:?}\n{sketch}",
                anomaly.kind, violation.counterexample
            );
        }
    }
    println!("{kind}, {} {}: planted {right}, found {found} of 100", property.name(), model.name());
    assert!(right >= 95, "{kind}: {right} of 100");
    assert!(found >= 95, "{kind}: {found} of 100, as found");
}

/// Tries every order of a core; if it is said to be as small as can be, of all that is smaller, too.
fn brute(history: &mut History, spec: &Spec, property: Property, core: &Counterexample, minimal: bool) {
    with_model!(spec.model, M => {
        let built = build::<M>(history, spec).expect("lawful operations");
        match property {
            Property::Linearizable => {
                let holds = |problem: &Problem<M>| {
                    core.core.iter().all(|source| problem.ops.iter().any(|op| op.source == *source))
                };
                let object = built.objects.into_iter().find(|object| holds(&object.problem));
                refuted(&object.expect("a core of one object").problem, property, core, minimal);
            }
            Property::Sequential => refuted(&built.joined(|_| String::new()), property, core, minimal),
        }
    });
}

fn refuted<M: Model>(problem: &Problem<M>, property: Property, core: &Counterexample, minimal: bool) {
    if !minimal {
        // What was planted may lack what the model asks for beside it.
        let mut keep: Vec<bool> = problem.ops.iter().map(|op| core.core.contains(&op.source)).collect();
        let small = problem.model.project(&problem.ops, &mut keep, property);
        assert!(!oracle::holds(&small, property), "an order of {:#?}", small.ops);
        return;
    }
    let small = certify::small(problem, core, property).expect("a core that may stand alone");
    assert!(!oracle::holds(&small, property), "an order of {:#?}", small.ops);
    for &one in &core.core {
        let rest = core.core.iter().copied().filter(|&source| source != one).collect();
        let rest = Counterexample { core: rest, ..core.clone() };
        // Where the model asks for the operation, it is needed; else the others have an order without it.
        if let Ok(rest) = certify::small(problem, &rest, property) {
            assert!(oracle::holds(&rest, property), "{one} is not needed in {:#?}", small.ops);
        }
    }
}
