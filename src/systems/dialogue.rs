//! One session of a client process with one server, for systems in which one call may take more than one request: one
//! connection, one request at a time, nothing asked twice.
//!
//! ```text
//!   no connection                              nothing was sent, so the call fails
//!   request ─▶ answer                          ok, fail, info or the next request: what the server says (api.rs)
//!   request ─▶ … ─▶ deadline                   info; the answer may still come on this connection
//!   request ─▶ … ─▶ connection lost, nonsense  info; a request without effect did not happen, so it fails
//! ```
//! A call goes on after an answer only if that answer says that nothing has happened so far.

use super::http::NoAnswer;
use crate::client::Client;
use history::{Call, Completion};
use std::time::Instant;

/// A connection that carries the requests and answers of one protocol, one after the other.
pub trait Wire: Send {
    /// What is asked.
    type Request;
    /// What comes back.
    type Answer;

    /// Sends a request. An error does not say how much of it went out.
    fn send(&mut self, request: &Self::Request, deadline: Instant) -> Result<(), String>;

    /// The answer to the request that was sent last. After [`NoAnswer::Late`] it may be asked for again.
    fn answer(&mut self, deadline: Instant) -> Result<Self::Answer, NoAnswer>;

    /// Ends the connection: nothing that is still under way will be heard of.
    fn close(&mut self);
}

/// What comes next in a call: a request, or the end.
pub enum Next<W: Wire + ?Sized> {
    /// A request.
    Ask(Asked<W>),
    /// The call is over.
    Done(Completion),
    /// The call is over, and the session too: the server is not the one to talk to any more.
    Over(Completion),
}

/// A request, and what its answer means.
pub struct Asked<W: Wire + ?Sized> {
    request: W::Request,
    /// Whether it changes nothing that a history tells of: without an answer, the call did not happen.
    pure: bool,
    /// `Err` is an answer that cannot be understood.
    then: Box<dyn FnOnce(W::Answer) -> Result<Next<W>, String> + Send>,
}

impl<W: Wire + ?Sized> Next<W> {
    /// A request that changes something.
    pub fn change(
        request: W::Request,
        then: impl FnOnce(W::Answer) -> Result<Next<W>, String> + Send + 'static,
    ) -> Next<W> {
        Next::Ask(Asked { request, pure: false, then: Box::new(then) })
    }

    /// A request that changes nothing that a history tells of.
    pub fn look(
        request: W::Request,
        then: impl FnOnce(W::Answer) -> Result<Next<W>, String> + Send + 'static,
    ) -> Next<W> {
        Next::Ask(Asked { request, pure: true, then: Box::new(then) })
    }

    /// The call did not happen.
    pub fn fail(why: impl Into<String>) -> Next<W> {
        Next::Done(Completion::Fail(why.into()))
    }

    /// The call is over, and this is its result.
    pub fn ok(value: history::Value) -> Next<W> {
        Next::Done(Completion::ok(value))
    }
}

#[cfg(test)]
impl<W: Wire + ?Sized> Next<W> {
    /// Plays a call to its end against a server in memory.
    ///
    /// # Errors
    /// An answer that the client cannot understand.
    pub fn play(self, mut server: impl FnMut(&W::Request) -> W::Answer) -> Result<Completion, String> {
        let mut next = self;
        loop {
            next = match next {
                Next::Ask(asked) => (asked.then)(server(&asked.request))?,
                Next::Done(completion) | Next::Over(completion) => return Ok(completion),
            }
        }
    }
}

/// Turns a call into its first request; `Err` names what is not offered.
pub type Begin<W> = Box<dyn Fn(&Call) -> Result<Next<W>, String> + Send>;

/// What becomes of the answer that is waited for.
type Then<W> = Box<dyn FnOnce(<W as Wire>::Answer) -> Result<Next<W>, String> + Send>;

/// A session. It never dials again: once it is broken, it stays so.
pub struct Dialogue<W: Wire> {
    wire: W,
    begin: Begin<W>,
    alive: bool,
    /// The request that is open, if the deadline has passed without an answer.
    open: Option<(bool, Then<W>)>,
}

impl<W: Wire> Dialogue<W> {
    /// A session over a connection.
    pub fn new(wire: W, begin: Begin<W>) -> Dialogue<W> {
        Dialogue { wire, begin, alive: true, open: None }
    }

    /// Goes on until the call is over, or its deadline.
    fn run(&mut self, mut next: Next<W>, deadline: Instant) -> Completion {
        loop {
            let Asked { request, pure, then } = match next {
                Next::Ask(asked) => asked,
                Next::Done(completion) => return completion,
                Next::Over(completion) => {
                    self.end();
                    return completion;
                }
            };
            // An error of the write does not say how much of it went out.
            if let Err(why) = self.wire.send(&request, deadline) {
                return self.broken(pure, format!("sending: {why}"));
            }
            next = match self.wait(pure, then, deadline) {
                Ok(next) => next,
                Err(completion) => return completion,
            };
        }
    }

    /// Waits for the answer to the request that is open.
    fn wait(&mut self, pure: bool, then: Then<W>, deadline: Instant) -> Result<Next<W>, Completion> {
        match self.wire.answer(deadline) {
            Ok(answer) => then(answer).map_err(|why| self.broken(pure, why)),
            Err(NoAnswer::Late) => {
                self.open = Some((pure, then));
                Err(Completion::Info { error: "no answer by the deadline".into(), late: true })
            }
            Err(NoAnswer::Broken(why)) => Err(self.broken(pure, why)),
        }
    }

    fn end(&mut self) {
        self.alive = false;
        self.wire.close();
    }

    /// The session is over, and nobody will ever hear what became of the request.
    fn broken(&mut self, pure: bool, why: String) -> Completion {
        self.end();
        if pure { Completion::Fail(why) } else { Completion::lost(why) }
    }
}

impl<W: Wire> Client for Dialogue<W> {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        if !self.alive || self.open.is_some() {
            return Completion::Fail("the session is over".into());
        }
        match (self.begin)(call) {
            Ok(next) => self.run(next, deadline),
            Err(why) => Completion::Fail(why),
        }
    }

    /// A late answer may still end the call, or lead it on to its next request.
    fn late(&mut self, until: Instant) -> Completion {
        let Some((pure, then)) = self.open.take() else { return Completion::lost("no call is open") };
        let completion = match self.wait(pure, then, until) {
            Ok(next) => self.run(next, until),
            Err(completion) => completion,
        };
        match (completion, &self.open) {
            // Nothing that the call has sent changes anything, and nothing more will be sent.
            (Completion::Info { error, .. }, Some((true, _))) => Completion::Fail(error),
            (completion, _) => completion,
        }
    }

    fn alive(&self) -> bool {
        self.alive && self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Value;
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    /// Says what it was told to say, and remembers what it was asked.
    struct Script {
        answers: VecDeque<Result<&'static str, NoAnswer>>,
        asked: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Wire for Script {
        type Request = &'static str;
        type Answer = &'static str;

        fn send(&mut self, request: &&'static str, _: Instant) -> Result<(), String> {
            self.asked.lock().unwrap().push(request);
            Ok(())
        }

        fn answer(&mut self, _: Instant) -> Result<&'static str, NoAnswer> {
            self.answers.pop_front().unwrap_or(Err(NoAnswer::Late))
        }

        fn close(&mut self) {
            self.asked.lock().unwrap().push("(closed)");
        }
    }

    /// A call that looks, and then changes.
    fn look_and_change() -> Next<Script> {
        Next::look("look", |answer| match answer {
            "go on" => Ok(Next::change("change", |answer| match answer {
                "done" => Ok(Next::ok(Value::Int(1))),
                other => Err(other.to_string()),
            })),
            "elsewhere" => Ok(Next::Over(Completion::Fail("not here".into()))),
            other => Err(other.to_string()),
        })
    }

    /// What becomes of such a call by its deadline and after it, what was asked, and whether the session lives.
    fn played(
        answers: impl IntoIterator<Item = Result<&'static str, NoAnswer>>,
    ) -> (Completion, Completion, Vec<&'static str>, bool) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let wire = Script { answers: answers.into_iter().collect(), asked: asked.clone() };
        let mut session = Dialogue::new(wire, Box::new(|_| Ok(look_and_change())));
        let call = Call { f: "f".into(), key: None, value: Value::Null };
        let first = session.invoke(&call, Instant::now());
        let alive = session.alive();
        let late = session.late(Instant::now());
        let asked = asked.lock().unwrap().clone();
        (first, late, asked, alive)
    }

    #[test]
    fn a_call_goes_on_until_it_is_over_also_after_its_deadline() {
        let (first, _, asked, alive) = played([Ok("go on"), Ok("done")]);
        assert_eq!((first, asked, alive), (Completion::ok(Value::Int(1)), vec!["look", "change"], true));
        let (first, late, asked, alive) = played([Err(NoAnswer::Late), Ok("go on"), Ok("done")]);
        assert!(matches!(first, Completion::Info { late: true, .. }) && !alive, "{first:?}");
        assert_eq!((late, asked), (Completion::ok(Value::Int(1)), vec!["look", "change"]));
    }

    #[test]
    fn what_has_only_looked_has_failed_and_what_may_have_changed_something_is_unknown() {
        // Nothing comes any more, first of the look, then of the change.
        let (_, late, asked, _) = played([]);
        assert!(matches!(late, Completion::Fail(_)), "{late:?}");
        assert_eq!(asked, ["look"]);
        let (_, late, asked, _) = played([Ok("go on")]);
        assert!(matches!(late, Completion::Info { .. }), "{late:?}");
        assert_eq!(asked, ["look", "change"]);
        // Nonsense.
        let (first, _, asked, alive) = played([Ok("what?")]);
        assert!(matches!(first, Completion::Fail(_)) && !alive, "{first:?}");
        assert_eq!(asked, ["look", "(closed)"]);
        let (first, _, _, alive) = played([Ok("go on"), Ok("what?")]);
        assert!(matches!(first, Completion::Info { late: false, .. }) && !alive, "{first:?}");
    }

    #[test]
    fn a_server_that_is_not_the_one_to_ask_ends_the_session() {
        let (first, _, asked, alive) = played([Ok("elsewhere")]);
        assert_eq!((first, alive), (Completion::Fail("not here".into()), false));
        assert_eq!(asked, ["look", "(closed)"]);
    }
}
