//! What clients and nodes say to each other: one JSON object per line, each with a number that its answer repeats.
//!
//! ```text
//!   n2 greets whoever connects      {"hello":"n2"}
//!   a client asks                   {"id":1,"do":{"call":{"f":"write","key":"x","value":3}}}
//!   and is answered                 {"id":1,"ok":{"value":3}}   {"id":1,"fail":"…"}   {"id":1,"info":"…"}
//!   a peer asks                     {"id":9,"do":{"ask":{"from":0,"body":…}}}
//!   and is answered                 {"id":9,"reply":…}
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The first line that a node sends on every connection. Behind a proxy, only this tells a live node from a dead one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Greeting {
    /// Its name.
    pub hello: String,
}

/// A numbered line to a node. `A` is what its peers ask it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request<A> {
    /// Repeated by the answer; unique on the connection.
    pub id: u64,
    /// What to do.
    #[serde(rename = "do")]
    pub act: Act<A>,
}

/// What a node can be asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act<A> {
    /// A client's operation.
    Call(ClientCall),
    /// A peer's question.
    Ask {
        /// Number of the peer.
        from: usize,
        /// The question.
        body: A,
    },
    /// Nothing, but answer.
    Ping,
}

/// An operation as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientCall {
    /// The function.
    pub f: String,
    /// The key; `null` if it has none.
    pub key: Json,
    /// The argument.
    pub value: Json,
}

/// A numbered line from a node. `R` is what it replies to its peers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Response<R> {
    /// Of the request.
    pub id: u64,
    /// The answer, in the same object.
    #[serde(flatten)]
    pub said: Said<R>,
}

/// What a node says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said<R> {
    /// The call happened.
    Ok(Done),
    /// The call did not happen, ever.
    Fail(String),
    /// The node does not know either.
    Info(String),
    /// To a peer.
    Reply(R),
    /// To a ping.
    Pong(()),
}

/// The answer to a client's operation, before it travels.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It happened.
    Ok(Done),
    /// It did not happen, ever.
    Fail(String),
    /// It may have happened, or may happen later.
    Info(String),
}

/// The result of an operation that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// What was read, or the argument again.
    pub value: Json,
    /// Said where the operation can succeed without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// What such an operation saw instead.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some")]
    pub observed: Option<Json>,
}

/// `null` that is there is an observation of null.
fn some<'d, D: serde::Deserializer<'d>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

impl Answer {
    /// `Ok` with a value and nothing else to say.
    pub fn ok(value: Json) -> Answer {
        Answer::Ok(Done { value, applied: None, observed: None })
    }

    /// The answer to a call of a function that the system does not have.
    pub fn unknown(f: &str) -> Answer {
        Answer::Fail(format!("there is no function {f} here"))
    }

    /// As it travels.
    pub fn said<R>(self) -> Said<R> {
        match self {
            Answer::Ok(done) => Said::Ok(done),
            Answer::Fail(why) => Said::Fail(why),
            Answer::Info(why) => Said::Info(why),
        }
    }
}

impl ClientCall {
    /// The key as text, to look it up by.
    pub fn key(&self) -> String {
        self.key.to_string()
    }
}
