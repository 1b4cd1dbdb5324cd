//! The faults of a history, from the events that the nemesis wrote into it.

use history::results::FaultRecord;
use history::{FaultEvent, History, Phase};

/// One record per fault, in order of injection.
///
/// Our own runs number their faults and name each phase. Jepsen's only pair a start with a stop, so there a fault
/// begins with any event that is not a stop and ends with the next event that is.
pub fn from_events(history: &History) -> Vec<FaultRecord> {
    let mut records: Vec<FaultRecord> = Vec::new();
    for event in &history.faults {
        match (event.fault, event.phase) {
            (Some(id), Some(phase)) => numbered(&mut records, event, id, phase),
            // What our nemesis has seen, and not done.
            (Some(_) | None, None)
                if matches!(event.f.as_str(), "trigger" | "log" | history::ROLE | history::STALL) => {}
            (Some(_) | None, None) | (None, Some(_)) => foreign(&mut records, event),
        }
    }
    records
}

fn numbered(records: &mut Vec<FaultRecord>, event: &FaultEvent, id: u32, phase: Phase) {
    let what = event.value.as_text().map_or_else(|| event.value.to_string(), str::to_string);
    let at = match records.iter().position(|record| record.id == id) {
        Some(at) => at,
        None => {
            records.push(record(id, event, what.clone()));
            records.len() - 1
        }
    };
    let record = &mut records[at];
    match phase {
        Phase::Inject | Phase::Heal => {}
        Phase::Bit => {
            record.bit = Some(event.time);
            record.evidence = Some(what);
        }
        Phase::Healed => record.healed = Some(event.time),
    }
}

fn foreign(records: &mut Vec<FaultRecord>, event: &FaultEvent) {
    let stops = ["stop", "heal", "resume", "reset", "recover"].iter().any(|word| event.f.contains(word));
    let open = records.iter_mut().find(|record| record.healed.is_none());
    match (stops, open) {
        (true, Some(record)) => record.healed = Some(event.time),
        (true, None) => {}
        // The second half of a Jepsen start tells what was done.
        (false, Some(record)) if record.kind == event.f => record.what = event.value.to_string(),
        (false, Some(_) | None) => {
            let id = records.len() as u32 + 1;
            records.push(record(id, event, event.value.to_string()));
        }
    }
}

fn record(id: u32, event: &FaultEvent, what: String) -> FaultRecord {
    FaultRecord {
        id,
        kind: event.f.clone(),
        nodes: nodes_in(&what),
        what,
        injected: event.time,
        bit: None,
        evidence: None,
        healed: None,
        error: None,
    }
}

/// The words of a description that look like our node names: `n1`, `n12`, `c3`.
fn nodes_in(what: &str) -> Vec<String> {
    let mut nodes: Vec<String> = what
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| {
            word.len() > 1 && word.starts_with(['n', 'c']) && word[1..].chars().all(|c| c.is_ascii_digit())
        })
        .map(str::to_string)
        .collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::{Event, Kind, Process, Value};

    fn nemesis(f: &str, fault: Option<u32>, phase: Option<Phase>, value: &str) -> Event {
        let mut event = Event::client(0, 0, Kind::Info, f, None, Value::text(value));
        event.process = Process::Other("nemesis".to_string());
        (event.fault, event.phase) = (fault, phase);
        event
    }

    #[test]
    fn a_trigger_that_fires_between_two_faults_is_none() {
        let events = [
            nemesis("slow", Some(1), Some(Phase::Inject), "links of n1 +200 ms"),
            nemesis("trigger", None, None, "2 was acknowledged by n1 alone"),
            nemesis("role", None, None, "n2 (term 2)"),
            nemesis("partition", Some(2), Some(Phase::Inject), "n1 | n2 n3"),
            nemesis("partition", Some(2), Some(Phase::Bit), "n1 got no answer from n2"),
        ];
        let records = from_events(&history::pair(events).expect("well-formed"));
        let kinds: Vec<(&str, bool)> = records.iter().map(|r| (r.kind.as_str(), r.bit.is_some())).collect();
        assert_eq!(kinds, [("slow", false), ("partition", true)]);
    }
}
