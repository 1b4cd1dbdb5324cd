//! A register: a cell that is read and written, and with compare-and-set replaced if it holds what was expected.

use crate::decode::{Functions, function, must_apply, pair, refuse, unknown};
use crate::exact::{self, Exact};
use crate::model::{Access, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::sources::{self, Sees};
use crate::spec::{FailedCas, NilRead, Setup, Specified};
use crate::verdict::Property;
use history::{Applied, Interner, Op, Outcome, Value, ValueId};
use std::sync::atomic::AtomicBool;

/// A register, with or without compare-and-set.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    initial: ValueId,
    failed_cas: FailedCas,
    nil_read: NilRead,
    with_cas: bool,
    functions: Functions<3>,
}

const READ: usize = 0;
const WRITE: usize = 1;
const CAS: usize = 2;

/// What a client did with a register, and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// It read this value.
    Read(ValueId),
    /// It wrote this value.
    Write(ValueId),
    /// It replaced `expected` by `new`.
    Cas {
        /// What it found.
        expected: ValueId,
        /// What it left.
        new: ValueId,
    },
    /// A cas whose comparison is not held against the system, because its source is outside a core: a write of `new`.
    CasUnchecked {
        /// What it found, unchecked.
        expected: ValueId,
        /// What it left.
        new: ValueId,
    },
    /// A cas that found something else than `expected`.
    CasRefused {
        /// What it did not find.
        expected: ValueId,
        /// What it would have left.
        new: ValueId,
    },
    /// A cas that found `observed` instead of `expected`.
    CasSaw {
        /// What it did not find.
        expected: ValueId,
        /// What it would have left.
        new: ValueId,
        /// What it found.
        observed: ValueId,
    },
}

impl Register {
    /// A register that holds `initial`. Without `with_cas`, a cas is refused.
    pub fn new(initial: ValueId, with_cas: bool, failed_cas: FailedCas, nil_read: NilRead) -> Register {
        let functions = Functions::new(["read", "write", "cas"]);
        Register { initial, failed_cas, nil_read, with_cas, functions }
    }

    fn decode_cas(&self, values: &mut Interner, op: &Op) -> Result<Option<RegisterOp>, IllFormed> {
        let [expected, new] = pair(values, op.input, "a list [expected, new] as the value of a cas")?;
        let refused = match op.observed {
            Some(observed) => RegisterOp::CasSaw { expected, new, observed },
            None => RegisterOp::CasRefused { expected, new },
        };
        Ok(match (op.outcome, op.applied) {
            (Outcome::Ok, Applied::No) => Some(refused),
            (Outcome::Ok, Applied::Unsaid | Applied::Yes) | (Outcome::Info, _) => {
                Some(RegisterOp::Cas { expected, new })
            }
            (Outcome::Fail, _) => match self.failed_cas {
                FailedCas::Observe => Some(refused),
                FailedCas::IfStated if states_mismatch(values.get(op.error)) => Some(refused),
                FailedCas::IfStated | FailedCas::Drop => None,
            },
        })
    }
}

/// Whether the error of a failed cas says that the comparison was made and was false.
/// (A `did not succeed` of a client may stand for a timeout or a missing leader, and is not believed.)
fn states_mismatch(error: &Value) -> bool {
    match error {
        Value::Text(text) => {
            let text = text.to_lowercase().replace(['_', ' '], "-");
            [
                "mismatch",
                "compare-failed",
                "comparison-failed",
                "precondition-failed",
                "cas-failed",
                "not-equal",
            ]
            .iter()
            .any(|stated| text.contains(stated))
        }
        Value::List(items) => items.first().is_some_and(states_mismatch),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Number(_) | Value::Map(_) => false,
    }
}

impl Specified for Register {
    fn setup(setup: &mut Setup<'_>) -> Result<Register, String> {
        let initial = setup.values.intern(setup.spec.initial.as_ref().unwrap_or(&Value::Null));
        let with_cas = setup.spec.model == crate::spec::ModelName::CasRegister;
        let mut register = Register::new(initial, with_cas, setup.spec.failed_cas, setup.spec.nil_read);
        register.functions = register.functions.learned(setup.values);
        Ok(register)
    }
}

impl Model for Register {
    type State = ValueId;
    type Op = RegisterOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<RegisterOp>, IllFormed> {
        match self.functions.which(values, op)? {
            Some(READ) => {
                must_apply(op, "read")?;
                Ok(match op.outcome {
                    Outcome::Fail | Outcome::Info => None,
                    Outcome::Ok if op.output == ValueId::NULL && self.nil_read == NilRead::Unknown => None,
                    Outcome::Ok => Some(RegisterOp::Read(op.output)),
                })
            }
            Some(WRITE) => {
                must_apply(op, "write")?;
                Ok((op.outcome != Outcome::Fail).then_some(RegisterOp::Write(op.input)))
            }
            Some(CAS) if self.with_cas => self.decode_cas(values, op),
            _ => {
                let known = if self.with_cas { "read, write or cas" } else { "read or write" };
                Err(unknown(known, function(values, op)?))
            }
        }
    }

    fn init(&self) -> ValueId {
        self.initial
    }

    fn step(&self, &state: &ValueId, op: RegisterOp, out: &mut impl FnMut(ValueId)) {
        match op {
            RegisterOp::Read(v) if state == v => out(state),
            RegisterOp::Write(v) => out(v),
            RegisterOp::Cas { expected, new } if state == expected => out(new),
            RegisterOp::CasUnchecked { new, .. } => out(new),
            RegisterOp::CasRefused { expected, .. } if state != expected => out(state),
            RegisterOp::CasSaw { expected, observed, .. } if state == observed && observed != expected => {
                out(state);
            }
            RegisterOp::Read(_)
            | RegisterOp::Cas { .. }
            | RegisterOp::CasRefused { .. }
            | RegisterOp::CasSaw { .. } => {}
        }
    }

    fn is_pure(&self, op: RegisterOp) -> bool {
        match op {
            RegisterOp::Read(_) | RegisterOp::CasRefused { .. } | RegisterOp::CasSaw { .. } => true,
            RegisterOp::Write(_) | RegisterOp::Cas { .. } | RegisterOp::CasUnchecked { .. } => false,
        }
    }

    fn is_blind(&self, op: RegisterOp) -> bool {
        match op {
            RegisterOp::Write(_) | RegisterOp::CasUnchecked { .. } => true,
            RegisterOp::Read(_)
            | RegisterOp::Cas { .. }
            | RegisterOp::CasRefused { .. }
            | RegisterOp::CasSaw { .. } => false,
        }
    }

    fn only_in(&self, op: RegisterOp) -> Option<ValueId> {
        match op {
            RegisterOp::Read(value) | RegisterOp::Cas { expected: value, .. } => Some(value),
            RegisterOp::CasSaw { expected, observed, .. } => (expected != observed).then_some(observed),
            RegisterOp::Write(_) | RegisterOp::CasUnchecked { .. } | RegisterOp::CasRefused { .. } => None,
        }
    }

    fn project(&self, ops: &[ObjOp<RegisterOp>], keep: &mut [bool], property: Property) -> Problem<Register> {
        let explained = sources::close(ops, keep, property, |op| self.is_pure(op), sees, leaves);
        let mut ops: Vec<_> = ops.to_vec();
        for (op, explained) in ops.iter_mut().zip(explained) {
            if let (RegisterOp::Cas { expected, new }, false) = (op.op, explained) {
                op.op = RegisterOp::CasUnchecked { expected, new };
            }
        }
        Problem { model: *self, ops: crate::model::kept(&ops, keep) }
    }

    fn access(&self, op: RegisterOp) -> Option<Access> {
        match op {
            // Illegal in every state, which no access is.
            RegisterOp::CasSaw { expected, observed, .. } if expected == observed => None,
            RegisterOp::Read(_)
            | RegisterOp::Write(_)
            | RegisterOp::Cas { .. }
            | RegisterOp::CasUnchecked { .. }
            | RegisterOp::CasRefused { .. }
            | RegisterOp::CasSaw { .. } => Some(Access { sees: sees(op), leaves: leaves(op) }),
        }
    }

    fn initial_value(&self) -> Option<ValueId> {
        Some(self.initial)
    }

    fn exact(&self, ops: &[ObjOp<RegisterOp>], stop: &AtomicBool) -> Option<Exact> {
        exact::cell(ops, stop, Some(self.initial), |op| self.access(op))
    }

    fn describe_op(&self, values: &Interner, op: RegisterOp) -> String {
        let v = |id| values.get(id);
        match op {
            RegisterOp::Read(value) => format!("read → {}", v(value)),
            RegisterOp::Write(value) => format!("write {}", v(value)),
            RegisterOp::Cas { expected, new } | RegisterOp::CasUnchecked { expected, new } => {
                format!("cas {} → {}", v(expected), v(new))
            }
            RegisterOp::CasRefused { expected, new } => format!("cas {} → {} refused", v(expected), v(new)),
            RegisterOp::CasSaw { expected, new, observed } => {
                format!("cas {} → {} refused, saw {}", v(expected), v(new), v(observed))
            }
        }
    }

    fn describe_state(&self, values: &Interner, state: &ValueId) -> String {
        values.get(*state).to_string()
    }

    fn describe_conflict(&self, values: &Interner, state: &ValueId, op: RegisterOp, object: &str) -> String {
        let v = |id| values.get(id);
        let held = v(*state);
        match op {
            RegisterOp::Read(value) => format!("it read {}, but {object} holds {held}", v(value)),
            RegisterOp::Cas { expected, .. } => {
                format!("it replaced {}, but {object} holds {held}", v(expected))
            }
            RegisterOp::CasRefused { expected, .. } => {
                format!("it was refused for want of {}, but {object} holds {held}", v(expected))
            }
            RegisterOp::CasSaw { expected, observed, .. } if expected == observed => {
                format!("it was refused although it saw {}, which it expected", v(observed))
            }
            RegisterOp::CasSaw { observed, .. } => {
                format!("it saw {}, but {object} holds {held}", v(observed))
            }
            RegisterOp::Write(_) | RegisterOp::CasUnchecked { .. } => {
                format!("nothing speaks against it: {object} holds {held}")
            }
        }
    }
}

/// What an operation tells about the value before it.
fn sees(op: RegisterOp) -> Option<Sees> {
    match op {
        RegisterOp::Read(value) => Some(Sees::Is(value)),
        RegisterOp::Cas { expected, .. } => Some(Sees::Is(expected)),
        RegisterOp::CasRefused { expected, .. } => Some(Sees::IsNot(expected)),
        RegisterOp::CasSaw { observed, .. } => Some(Sees::Is(observed)),
        RegisterOp::Write(_) | RegisterOp::CasUnchecked { .. } => None,
    }
}

/// The value that an operation leaves behind, if it changes anything.
fn leaves(op: RegisterOp) -> Option<ValueId> {
    match op {
        RegisterOp::Write(new) | RegisterOp::Cas { new, .. } | RegisterOp::CasUnchecked { new, .. } => {
            Some(new)
        }
        RegisterOp::Read(_) | RegisterOp::CasRefused { .. } | RegisterOp::CasSaw { .. } => None,
    }
}

/// The value of `--initial` as a list, where a model starts with several things.
pub(crate) fn initial_list(setup: &mut Setup<'_>, what: &str) -> Result<Vec<ValueId>, String> {
    match &setup.spec.initial {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::List(items)) => Ok(items.iter().map(|v| setup.values.intern(v)).collect()),
        Some(other) => {
            let refusal = refuse(what, other, false);
            Err(format!("--initial: expected {}, found {}", refusal.expected, refusal.found))
        }
    }
}
