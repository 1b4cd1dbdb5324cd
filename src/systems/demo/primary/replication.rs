//! How the primary's log gets to the others, and what the primary may conclude from their answers.

use super::replica::{Entry, Leading, Part, Replica};
use super::{Ask, Primary, Reply};
use std::time::{Duration, Instant};

/// Entries sent at once.
const BATCH: usize = 500;
/// How long to wait for an answer before the same is sent again: it may have been lost with a connection.
const ANSWER: Duration = Duration::from_secs(1);

impl Primary {
    /// Tells everybody, while this node is the primary, that it lives. Never returns.
    pub fn beat(&self) {
        loop {
            let term = {
                let replica = self.replica();
                matches!(replica.part, Part::Primary(_)).then_some(replica.term)
            };
            if let Some(term) = term {
                for to in (0..self.nodes()).filter(|&to| to != self.node.me) {
                    self.node.peers.tell(to, &Ask::Beat { term });
                }
            }
            std::thread::sleep(self.config.heartbeat);
            // Time alone opens a term and ends a lease: let those who wait look again.
            self.advance(&mut self.replica());
            self.changed.notify_all();
        }
    }

    /// Keeps one other node up to date, while this node is the primary. Never returns.
    pub fn replicate(&self, to: usize) {
        let mut last = Instant::now();
        loop {
            let (term, ask, sent_at) = self.next_for(to, last);
            last = Instant::now();
            let Some(reply) = self.node.peers.ask(to, &ask, Instant::now() + ANSWER) else {
                std::thread::sleep(self.config.heartbeat);
                continue;
            };
            let mut replica = self.replica();
            if let Reply::Deposed(newer) = reply {
                self.deposed(&mut replica, newer);
            }
            if replica.term != term {
                continue;
            }
            let Part::Primary(leading) = &mut replica.part else { continue };
            match reply {
                Reply::Matched(position) => {
                    leading.matched[to] = leading.matched[to].max(position);
                    leading.sent[to] = leading.matched[to];
                    leading.answered[to] = leading.answered[to].max(Some(sent_at));
                }
                Reply::Missing(position) => leading.sent[to] = position,
                Reply::Alive
                | Reply::Deposed(_)
                | Reply::Voted(_)
                | Reply::Done(..)
                | Reply::Failed(_)
                | Reply::Unknown(_) => {}
            }
            self.advance(&mut replica);
            drop(replica);
            self.changed.notify_all();
        }
    }

    /// Waits until there is something to tell `to`, or it is time for a heartbeat. When it is sent counts from here, on
    /// the rate-only clock: the lease must not be longer than what the other grants.
    fn next_for(&self, to: usize, last: Instant) -> (u64, Ask, Duration) {
        let mut replica = self.replica();
        loop {
            let due = last.elapsed() >= self.config.heartbeat;
            let Replica { term, commit, log, part, .. } = &mut *replica;
            if let Part::Primary(leading) = part {
                let news = leading.sent[to] < log.len() || leading.told[to] < *commit;
                if news || due {
                    let after = leading.sent[to];
                    let entries: Vec<Entry> = log[after..].iter().take(BATCH).cloned().collect();
                    leading.told[to] = *commit;
                    let (term, commit) = (*term, *commit);
                    let ask =
                        Ask::Append { term, after, after_term: replica.term_at(after), entries, commit };
                    return (term, ask, self.node.clock.rated());
                }
            }
            let waited = self.changed.wait_timeout(replica, self.config.heartbeat);
            replica = waited.expect("nobody panics while holding the replica").0;
        }
    }

    /// Takes entries from a primary.
    pub fn append(
        &self,
        from: usize,
        term: u64,
        after: usize,
        after_term: u64,
        entries: Vec<Entry>,
        commit: usize,
    ) -> Reply {
        let mut replica = self.replica();
        if !self.heard(&mut replica, from, term) {
            return Reply::Deposed(replica.term);
        }
        if replica.log.len() < after || replica.term_at(after) != after_term {
            // What is committed agrees, and that is never far back.
            return Reply::Missing(replica.commit.min(after.saturating_sub(1)));
        }
        let end = after + entries.len();
        // An old message may repeat what has been here for long: only what differs is replaced.
        let same = entries.iter().zip(&replica.log[after..]).take_while(|(new, old)| new == old).count();
        if same < entries.len() {
            replica.replace(after + same, entries[same..].to_vec());
        }
        replica.commit_to(commit.min(end));
        drop(replica);
        self.changed.notify_all();
        Reply::Matched(end)
    }

    /// Commits what may be committed.
    pub fn advance(&self, replica: &mut Replica) {
        let Part::Primary(leading) = &replica.part else { return };
        let commit = if self.config.quorum {
            // The positions that the others have, best first: a majority, this node included, has this one.
            let mut matched: Vec<usize> =
                (0..self.nodes()).filter(|&i| i != self.node.me).map(|i| leading.matched[i]).collect();
            matched.sort_unstable_by(|a, b| b.cmp(a));
            let others = self.majority() - 1;
            let held = others.checked_sub(1).map_or(replica.log.len(), |i| matched[i]);
            let open = self.node.clock.rated() >= leading.open_at;
            // An entry of an older term can be replaced even if a majority has it (Raft, figure 8).
            if !open || replica.term_at(held) != replica.term {
                return;
            }
            held
        } else {
            replica.log.len()
        };
        replica.commit_to(commit);
    }

    /// Whether a majority has answered, within the lease, something that was sent within the lease.
    pub fn holds_lease(&self, leading: &Leading) -> bool {
        let others = self.majority() - 1;
        let Some(last) = others.checked_sub(1) else { return true };
        let mut answered: Vec<Option<Duration>> =
            (0..self.nodes()).filter(|&i| i != self.node.me).map(|i| leading.answered[i]).collect();
        answered.sort_unstable_by(|a, b| b.cmp(a));
        answered[last].is_some_and(|sent| self.node.clock.rated() < sent + self.config.lease)
    }
}
