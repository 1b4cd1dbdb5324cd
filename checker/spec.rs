//! Which model a history is held against, and what it assumes where a history leaves it open.

use crate::model::Model;
use history::{History, Interner, Op, Outcome, Value, ValueId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A model by name, with what the command line says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Which one.
    pub model: ModelName,
    /// `--initial`: what the object starts with; `None` is null, the empty string, 0 or nothing, as the model has it.
    pub initial: Option<Value>,
    /// `--failed-cas`.
    pub failed_cas: FailedCas,
    /// `--nil-read`.
    pub nil_read: NilRead,
}

impl Spec {
    /// A model with everything else as it is without options, for a history of this format
    /// ([`history::Source::format`]).
    pub fn new(model: ModelName, format: &str) -> Spec {
        Spec { model, initial: None, failed_cas: FailedCas::auto(format), nil_read: NilRead::Observe }
    }

    /// What a verdict under this specification assumes, one sentence each.
    pub fn assumptions(&self) -> Vec<String> {
        let initial = match (&self.initial, self.model.starts_empty()) {
            (Some(value), _) => value.to_string(),
            (None, Some(empty)) => empty.to_string(),
            (None, None) => "null".to_string(),
        };
        let mut said = vec![format!("the initial state is {initial}")];
        if self.model == ModelName::CasRegister {
            said.push(match self.failed_cas {
                FailedCas::Observe => {
                    "a failed cas found another value than it expected (--failed-cas observe)".to_string()
                }
                FailedCas::Drop => "a failed cas says nothing (--failed-cas drop)".to_string(),
                FailedCas::IfStated => {
                    "a failed cas says nothing unless its error states a mismatch (--failed-cas auto)"
                        .to_string()
                }
            });
        }
        if self.nil_read == NilRead::Unknown {
            said.push("a read that returned null says nothing (--nil-read unknown)".to_string());
        }
        said
    }
}

/// What a cas of type `fail` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailedCas {
    /// The register did not hold what it expected.
    Observe,
    /// That it did not happen, and nothing else.
    Drop,
    /// `Observe` where the event's error states a mismatch, else `Drop`.
    IfStated,
}

impl FailedCas {
    /// What `--failed-cas auto` means for a format: Porcupine's etcd logs write `fail` for a false comparison; Jepsen's
    /// clients write it for many things; in our own format it means that nothing happened.
    pub fn auto(format: &str) -> FailedCas {
        match format {
            "porcupine-log" => FailedCas::Observe,
            "jsonl" => FailedCas::Drop,
            _ => FailedCas::IfStated,
        }
    }
}

/// What a read of null says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NilRead {
    /// The object held null.
    Observe,
    /// Nothing (Knossos' rule).
    Unknown,
}

/// The models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModelName {
    /// [`crate::register::Register`] without cas.
    Register,
    /// [`crate::register::Register`] with cas.
    CasRegister,
    /// [`crate::multi_register::MultiRegister`].
    MultiRegister,
    /// [`crate::kv::Kv`].
    Kv,
    /// [`crate::set::GrowSet`].
    Set,
    /// [`crate::queue::Queue`].
    Queue,
    /// [`crate::counter::Counter`].
    Counter,
    /// [`crate::mutex::Mutex`].
    Mutex,
    /// [`crate::lock::Lock`].
    Lock,
    /// [`crate::versioned::Versioned`], growing by one.
    VersionedRegister,
    /// [`crate::versioned::Versioned`], growing.
    RevisionRegister,
    /// [`crate::log::Log`] with offsets.
    AppendLog,
    /// [`crate::log::Log`] without offsets.
    ListAppend,
    /// [`crate::fetch_add::FetchAdd`].
    FetchAdd,
    /// [`crate::ids::Ids`] that are different.
    UniqueIds,
    /// [`crate::ids::Ids`] that grow.
    MonotonicIds,
    /// [`crate::container::Container`] without order.
    Bag,
    /// [`crate::container::Container`], last in, first out.
    Stack,
    /// [`crate::container::Container`], the smallest first.
    PriorityQueue,
    /// [`crate::delivery::Delivery`].
    Delivery,
    /// [`crate::element_set::ElementSet`].
    ElementSet,
    /// [`crate::semaphore::Semaphore`].
    Semaphore,
    /// [`crate::watch::Watch`].
    Watch,
}

impl ModelName {
    /// All of them, in the order of the table in `docs/architecture.md`.
    pub fn all() -> [ModelName; 23] {
        use ModelName::*;
        [
            Register,
            CasRegister,
            VersionedRegister,
            RevisionRegister,
            MultiRegister,
            Kv,
            ListAppend,
            AppendLog,
            Set,
            ElementSet,
            Queue,
            Bag,
            Delivery,
            Stack,
            PriorityQueue,
            Counter,
            FetchAdd,
            UniqueIds,
            MonotonicIds,
            Mutex,
            Semaphore,
            Lock,
            Watch,
        ]
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            ModelName::Register => "register",
            ModelName::CasRegister => "cas-register",
            ModelName::MultiRegister => "multi-register",
            ModelName::Kv => "kv",
            ModelName::Set => "set",
            ModelName::Queue => "queue",
            ModelName::Counter => "counter",
            ModelName::Mutex => "mutex",
            ModelName::Lock => "lock",
            ModelName::VersionedRegister => "versioned-register",
            ModelName::RevisionRegister => "revision-register",
            ModelName::AppendLog => "append-log",
            ModelName::ListAppend => "list-append",
            ModelName::FetchAdd => "fetch-add",
            ModelName::UniqueIds => "unique-ids",
            ModelName::MonotonicIds => "monotonic-ids",
            ModelName::Bag => "bag",
            ModelName::Stack => "stack",
            ModelName::PriorityQueue => "priority-queue",
            ModelName::Delivery => "delivery",
            ModelName::ElementSet => "element-set",
            ModelName::Semaphore => "semaphore",
            ModelName::Watch => "watch",
        }
    }

    /// The model of that name.
    pub fn find(name: &str) -> Option<ModelName> {
        ModelName::all().into_iter().find(|model| model.name() == name)
    }

    /// What it is, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            ModelName::Register => "A cell per key that is read and written.",
            ModelName::CasRegister => "A register that also replaces its value if it holds the expected one.",
            ModelName::MultiRegister => "Registers that transactions read and write together.",
            ModelName::Kv => "A string per key with get, put and append; a missing key is the empty string.",
            ModelName::Set => "A set that only grows, with reads of the whole set.",
            ModelName::Queue => "A first-in-first-out queue; null is the answer of an empty one.",
            ModelName::Counter => "A sum to which amounts are added.",
            ModelName::Mutex => "A lock that one process at a time holds and only its holder gives back.",
            ModelName::Lock => {
                "A lease with growing fencing tokens and the resource that refuses tokens older than it has seen."
            }
            ModelName::VersionedRegister => {
                "A register that tells versions, which every write raises by one; cas names the version."
            }
            ModelName::RevisionRegister => {
                "The same where versions grow by any amount: etcd's revisions, NATS' sequence numbers."
            }
            ModelName::AppendLog => "A log: append answers with the offset; reads of one offset or of all.",
            ModelName::ListAppend => "A list that is appended to, with reads of the whole list.",
            ModelName::FetchAdd => "A sum that tells whoever adds where it stood: tickets, sequences.",
            ModelName::UniqueIds => "A generator of ids of which no two are the same.",
            ModelName::MonotonicIds => "A generator of numbers, each larger than all before.",
            ModelName::Bag => "An unordered queue: each element comes out at most once; null is empty.",
            ModelName::Stack => "Last in, first out; null is the answer of an empty one.",
            ModelName::PriorityQueue => "A queue of numbers, the smallest first; null is empty.",
            ModelName::Delivery => {
                "At-least-once delivery: nothing confirmed is missing after a drain, nothing comes that was not sent."
            }
            ModelName::ElementSet => "A set with add, remove and contains, judged element by element.",
            ModelName::Watch => {
                "Changes with growing revisions, and watches that are told of all of them from a revision on, in order."
            }
            ModelName::Semaphore => "Permits that are acquired and released; --initial says how many.",
        }
    }

    /// The functions that it knows.
    pub fn functions(self) -> &'static [&'static str] {
        match self {
            ModelName::Register => &["read", "write"],
            ModelName::CasRegister => &["read", "write", "cas"],
            ModelName::MultiRegister => &["txn"],
            ModelName::Kv => &["get", "put", "append"],
            ModelName::Set | ModelName::Counter => &["add", "read"],
            ModelName::Queue => &["enqueue", "dequeue"],
            ModelName::Mutex => &["acquire", "release"],
            ModelName::Lock => &["acquire", "release", "read", "write"],
            ModelName::VersionedRegister | ModelName::RevisionRegister => &["read", "write", "cas"],
            ModelName::AppendLog | ModelName::ListAppend => &["append", "read"],
            ModelName::FetchAdd => &["fetch-add", "add-fetch", "add", "read"],
            ModelName::UniqueIds | ModelName::MonotonicIds => &["generate"],
            ModelName::Bag => &["enqueue", "dequeue"],
            ModelName::Stack => &["push", "pop", "peek"],
            ModelName::PriorityQueue => &["insert", "delete-min", "peek"],
            ModelName::Delivery => &["enqueue", "dequeue", "drain"],
            ModelName::ElementSet => &["add", "remove", "contains"],
            ModelName::Semaphore => &["acquire", "release"],
            ModelName::Watch => &["put", "delete", "watch", "catch-up"],
        }
    }

    /// Whether `--model auto` takes it only where no other model knows the functions: it reads the same functions as
    /// another one differently, and only a person can know.
    fn on_request(self) -> bool {
        match self {
            ModelName::VersionedRegister
            | ModelName::RevisionRegister
            | ModelName::AppendLog
            | ModelName::MonotonicIds
            | ModelName::Bag
            | ModelName::Delivery
            | ModelName::Semaphore
            | ModelName::Watch => true,
            ModelName::Register
            | ModelName::CasRegister
            | ModelName::MultiRegister
            | ModelName::Kv
            | ModelName::Set
            | ModelName::Queue
            | ModelName::Counter
            | ModelName::Mutex
            | ModelName::Lock
            | ModelName::ListAppend
            | ModelName::FetchAdd
            | ModelName::UniqueIds
            | ModelName::Stack
            | ModelName::PriorityQueue
            | ModelName::ElementSet => false,
        }
    }

    /// How the empty initial state is called, where it is not null.
    fn starts_empty(self) -> Option<&'static str> {
        match self {
            ModelName::Register | ModelName::CasRegister | ModelName::MultiRegister => None,
            ModelName::Kv => Some("the empty string"),
            ModelName::Set => Some("the empty set"),
            ModelName::Queue => Some("the empty queue"),
            ModelName::Counter => Some("0"),
            ModelName::Mutex => Some("a free lock"),
            ModelName::Lock => Some("a free lock without tokens, and null in the resource"),
            ModelName::VersionedRegister | ModelName::RevisionRegister => Some("null at version 0"),
            ModelName::AppendLog | ModelName::ListAppend => Some("the empty list"),
            ModelName::FetchAdd => Some("0"),
            ModelName::UniqueIds | ModelName::MonotonicIds => Some("no ids"),
            ModelName::Bag => Some("the empty bag"),
            ModelName::Stack => Some("the empty stack"),
            ModelName::PriorityQueue | ModelName::Delivery => Some("the empty queue"),
            ModelName::ElementSet => Some("the empty set"),
            ModelName::Semaphore => Some("1 permit, not taken"),
            ModelName::Watch => Some("no changes"),
        }
    }
}

/// The smallest model that knows every function of the history, with what choosing it assumes.
///
/// # Errors
/// The candidates in words, if there is no smallest one, or none at all.
pub fn auto_model(history: &History) -> Result<(ModelName, Vec<String>), String> {
    // A part of a history is judged as the whole would be, even if it lacks some of the functions.
    let elsewhere = history.part.iter().flat_map(|part| part.functions.iter().copied());
    let ids: BTreeSet<_> = history.ops.iter().map(|op| op.f).chain(elsewhere).collect();
    let mut seen: Vec<String> = ids
        .into_iter()
        .map(|f| match history.values.get(f) {
            Value::Text(name) => name.to_string(),
            other => other.to_string(),
        })
        .collect();
    seen.sort_unstable();
    let listed = seen.join(", ");
    let knows = |model: &ModelName| seen.iter().all(|f| model.functions().contains(&f.as_str()));
    let smaller = |a: &ModelName, b: &ModelName| {
        let contained = a.functions().iter().all(|f| b.functions().contains(f));
        contained && a.functions().len() < b.functions().len()
    };
    let mut known: Vec<ModelName> = ModelName::all().into_iter().filter(knows).collect();
    if known.iter().any(|model| !model.on_request()) {
        known.retain(|model| !model.on_request());
    }
    let smallest: Vec<ModelName> =
        known.iter().filter(|m| !known.iter().any(|other| smaller(other, m))).copied().collect();
    match smallest[..] {
        [] => {
            let names: Vec<&str> = ModelName::all().iter().map(|m| m.name()).collect();
            Err(format!("no model knows the functions {listed}: choose --model {}", names.join("|")))
        }
        [model] => {
            let mut assumed = vec![format!("the functions are {listed}, so the model is {}", model.name())];
            assumed.extend(another_reading(history, model).map(str::to_string));
            Ok((model, assumed))
        }
        [..] => {
            let names: Vec<&str> = smallest.iter().map(|m| m.name()).collect();
            Err(if seen.is_empty() {
                format!("the history has no operations that name a model: choose --model {}", names.join("|"))
            } else {
                format!(
                    "more than one model knows the functions {listed}: choose --model {}",
                    names.join("|")
                )
            })
        }
    }
}

/// What else the functions may mean, where the answers look like it.
fn another_reading(history: &History, model: ModelName) -> Option<&'static str> {
    let answered = || history.ops.iter().filter(|op| op.outcome == Outcome::Ok && op.output != ValueId::NULL);
    let named = |op: &Op, f: &str| history.values.get(op.f).as_text() == Some(f);
    match model {
        ModelName::Mutex if history.ops.iter().any(|op| op.output != ValueId::NULL) => {
            Some("values of acquire and release are not looked at; --model lock checks fencing tokens")
        }
        ModelName::Register | ModelName::CasRegister => {
            let mut reads = answered().filter(|op| named(op, "read")).peekable();
            let mut written = answered().filter(|op| named(op, "write"));
            let pair = |op: &Op| matches!(history.values.get(op.output).as_list(), Some([Value::Int(_), _]));
            let told = written.any(|op| op.output != op.input && pair(op));
            (told && reads.peek().is_some() && reads.all(pair)).then_some(
                "answers are taken as values; --model versioned-register or revision-register reads [version, value]",
            )
        }
        ModelName::ListAppend => {
            let told = answered().any(|op| named(op, "append") && op.output != op.input);
            told.then_some("answers of append are not looked at; --model append-log takes them as offsets")
        }
        ModelName::MultiRegister
        | ModelName::Kv
        | ModelName::Set
        | ModelName::Queue
        | ModelName::Counter
        | ModelName::Mutex
        | ModelName::Lock
        | ModelName::VersionedRegister
        | ModelName::RevisionRegister
        | ModelName::AppendLog
        | ModelName::FetchAdd
        | ModelName::UniqueIds
        | ModelName::MonotonicIds
        | ModelName::Bag
        | ModelName::Stack
        | ModelName::PriorityQueue
        | ModelName::Delivery
        | ModelName::ElementSet
        | ModelName::Semaphore
        | ModelName::Watch => None,
    }
}

/// What a model is made from.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The specification.
    pub spec: &'a Spec,
    /// Where values are numbered.
    pub values: &'a mut Interner,
    /// The file's numbers of the processes.
    pub processes: &'a Arc<[i64]>,
}

/// A model that can be made from a [`Spec`].
pub trait Specified: Model {
    /// The model of one object.
    ///
    /// # Errors
    /// If the initial value does not fit, in words.
    fn setup(setup: &mut Setup<'_>) -> Result<Self, String>;
}

/// Runs a block of code with the type `$M` that a [`ModelName`] names.
///
/// ```
/// use checker::{Model, ModelName, with_model};
/// let size = with_model!(ModelName::Queue, M => std::mem::size_of::<<M as Model>::Op>());
/// assert!(size > 0);
/// ```
#[macro_export]
macro_rules! with_model {
    ($name:expr, $M:ident => $body:expr) => {
        match $name {
            $crate::ModelName::Register | $crate::ModelName::CasRegister => {
                type $M = $crate::register::Register;
                $body
            }
            $crate::ModelName::MultiRegister => {
                type $M = $crate::multi_register::MultiRegister;
                $body
            }
            $crate::ModelName::Kv => {
                type $M = $crate::kv::Kv;
                $body
            }
            $crate::ModelName::Set => {
                type $M = $crate::set::GrowSet;
                $body
            }
            $crate::ModelName::Queue => {
                type $M = $crate::queue::Queue;
                $body
            }
            $crate::ModelName::Counter => {
                type $M = $crate::counter::Counter;
                $body
            }
            $crate::ModelName::Mutex => {
                type $M = $crate::mutex::Mutex;
                $body
            }
            $crate::ModelName::Lock => {
                type $M = $crate::lock::Lock;
                $body
            }
            $crate::ModelName::VersionedRegister | $crate::ModelName::RevisionRegister => {
                type $M = $crate::versioned::Versioned;
                $body
            }
            $crate::ModelName::AppendLog | $crate::ModelName::ListAppend => {
                type $M = $crate::log::Log;
                $body
            }
            $crate::ModelName::FetchAdd => {
                type $M = $crate::fetch_add::FetchAdd;
                $body
            }
            $crate::ModelName::UniqueIds | $crate::ModelName::MonotonicIds => {
                type $M = $crate::ids::Ids;
                $body
            }
            $crate::ModelName::Bag | $crate::ModelName::Stack | $crate::ModelName::PriorityQueue => {
                type $M = $crate::container::Container;
                $body
            }
            $crate::ModelName::Delivery => {
                type $M = $crate::delivery::Delivery;
                $body
            }
            $crate::ModelName::ElementSet => {
                type $M = $crate::element_set::ElementSet;
                $body
            }
            $crate::ModelName::Semaphore => {
                type $M = $crate::semaphore::Semaphore;
                $body
            }
            $crate::ModelName::Watch => {
                type $M = $crate::watch::Watch;
                $body
            }
        }
    };
}
