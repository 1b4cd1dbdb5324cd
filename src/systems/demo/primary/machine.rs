//! What is replicated: objects by key, changed by commands in the order of the log.

use super::super::wire::{Answer, ClientCall, Done};
use serde_json::Value as Json;
use std::collections::{BTreeMap, VecDeque};

/// The kinds of object. A cluster holds one kind: its workload's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// read, write, cas
    Register,
    /// get, put, append
    Kv,
    /// add, read
    Set,
    /// enqueue, dequeue
    Queue,
    /// add, read
    Counter,
}

impl Kind {
    /// The kind that a workload needs.
    pub fn of(workload: &str) -> Option<Kind> {
        match workload {
            "register" | "cas-register" => Some(Kind::Register),
            "kv" => Some(Kind::Kv),
            "set" => Some(Kind::Set),
            "queue" => Some(Kind::Queue),
            "counter" => Some(Kind::Counter),
            _ => None,
        }
    }

    /// Whether a call only looks, so that it needs no place in the log. `Err` if there is no such call.
    pub fn is_read(self, call: &ClientCall) -> Result<bool, String> {
        let value = &call.value;
        match (self, call.f.as_str()) {
            (Kind::Register | Kind::Set | Kind::Counter, "read") | (Kind::Kv, "get") => Ok(true),
            (Kind::Register, "write") | (Kind::Set, "add") | (Kind::Queue, "enqueue" | "dequeue") => {
                Ok(false)
            }
            (Kind::Register, "cas") if value.as_array().is_some_and(|pair| pair.len() == 2) => Ok(false),
            (Kind::Kv, "put" | "append") if value.is_string() => Ok(false),
            (Kind::Counter, "add") if value.is_i64() => Ok(false),
            (_, f) => Err(format!("there is no {f} of {value} here")),
        }
    }
}

/// All objects.
#[derive(Clone, Debug)]
pub struct Machine {
    kind: Kind,
    objects: BTreeMap<String, Object>,
}

#[derive(Clone, Debug)]
enum Object {
    /// A register's value, or a string.
    One(Json),
    /// A set, in the order of its elements' arrival, or a queue.
    Many(VecDeque<Json>),
    /// A counter.
    Sum(i64),
}

impl Machine {
    /// No objects yet: every key holds nothing.
    pub fn new(kind: Kind) -> Machine {
        Machine { kind, objects: BTreeMap::new() }
    }

    /// What a read of `key` shows.
    pub fn read(&self, key: &str) -> Answer {
        Answer::ok(match (self.objects.get(key), self.kind) {
            (Some(Object::One(value)), _) => value.clone(),
            (Some(Object::Many(values)), _) => values.iter().cloned().collect(),
            (Some(Object::Sum(sum)), _) => Json::from(*sum),
            (None, Kind::Register | Kind::Kv | Kind::Queue) => Json::Null,
            (None, Kind::Set) => Json::Array(Vec::new()),
            (None, Kind::Counter) => Json::from(0),
        })
    }

    /// Does a command that [`Kind::is_read`] knows and that is not a read.
    pub fn apply(&mut self, call: &ClientCall) -> Done {
        let empty = match self.kind {
            Kind::Register | Kind::Kv => Object::One(Json::Null),
            Kind::Set | Kind::Queue => Object::Many(VecDeque::new()),
            Kind::Counter => Object::Sum(0),
        };
        let argument = call.value.clone();
        let done = Done { value: argument.clone(), applied: None, observed: None };
        match (self.objects.entry(call.key()).or_insert(empty), call.f.as_str()) {
            (Object::One(held), "cas") => {
                if *held != argument[0] {
                    return Done { applied: Some(false), observed: Some(held.clone()), ..done };
                }
                *held = argument[1].clone();
            }
            (Object::One(held), "append") => {
                let text = format!("{}{}", held.as_str().unwrap_or(""), argument.as_str().unwrap_or(""));
                *held = Json::from(text);
            }
            (Object::One(held), _) => *held = argument,
            (Object::Many(held), "dequeue") => {
                return Done { value: held.pop_front().unwrap_or(Json::Null), ..done };
            }
            (Object::Many(held), f) => {
                if f == "enqueue" || !held.contains(&argument) {
                    held.push_back(argument);
                }
            }
            (Object::Sum(held), _) => *held = held.wrapping_add(argument.as_i64().unwrap_or(0)),
        }
        done
    }
}
