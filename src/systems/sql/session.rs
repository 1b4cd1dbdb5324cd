//! A session of a client process with one server, in which every call is one request.

use super::reply::Reply;
use super::statement::Dialect;
use crate::systems::dialogue::{Dialogue, Next, Wire};
use crate::systems::http::NoAnswer;
use history::Call;
use std::time::Instant;

/// What a session does; the other calls fail before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    All,
    /// Reads, and no writes: why.
    Reads(&'static str),
    /// Writes, and no reads: why.
    Writes(&'static str),
}

impl Access {
    fn refuses(self, pure: bool) -> Option<&'static str> {
        match self {
            Access::Reads(why) if !pure => Some(why),
            Access::Writes(why) if pure => Some(why),
            Access::All | Access::Reads(_) | Access::Writes(_) => None,
        }
    }
}

/// A session over a connection on which the server has greeted.
pub fn session<W>(wire: W, dialect: Dialect, workload: &str, access: Access) -> Dialogue<W>
where
    W: Wire<Request = String, Answer = Reply>,
{
    let workload = workload.to_string();
    let begin = move |call: &Call| {
        let asked = dialect.statement(&workload, call)?;
        let (text, pure) = (asked.text.clone(), asked.pure);
        if let Some(why) = access.refuses(pure) {
            return Err(why.to_string());
        }
        let then = move |reply: Reply| {
            let completion = asked.read(&reply)?;
            Ok(if reply.last { Next::Over(completion) } else { Next::Done(completion) })
        };
        Ok(if pure { Next::look(text, then) } else { Next::change(text, then) })
    };
    Dialogue::new(wire, Box::new(begin))
}

/// Sends a request and waits for its answer: for a controller's own questions.
pub fn query<W>(wire: &mut W, text: &str, deadline: Instant) -> Result<Reply, String>
where
    W: Wire<Request = String, Answer = Reply>,
{
    wire.send(&text.to_string(), deadline).map_err(|why| format!("sending: {why}"))?;
    wire.answer(deadline).map_err(|why| match why {
        NoAnswer::Late => "no answer in time".to_string(),
        NoAnswer::Broken(why) => why,
    })
}
