//! What the faults of a run were seen to do to its cluster, in numbers.

use history::History;
use history::results::{FaultRecord, Results};

/// What the note of a run that says it begins with.
const BEGIN: &str = "Seen: ";

/// The note: probes of cut links, changes of the primary, clocks. Nothing if nothing of it was seen.
pub fn note(history: &History, faults: &[FaultRecord]) -> Option<String> {
    let bitten = |kind: &str| {
        let of_kind = faults.iter().filter(move |fault| fault.kind == kind && fault.bit.is_some());
        of_kind.filter_map(|fault| fault.evidence.as_deref()).collect::<Vec<_>>()
    };
    let mut said = Vec::new();
    // A partition is seen to bite by one probe that nobody answers.
    let cut = bitten("partition").len();
    if cut > 0 {
        said.push(format!(
            "{cut} {} of cut links without an answer",
            if cut == 1 { "probe" } else { "probes" }
        ));
    }
    let changes = history::reigns(history).len().saturating_sub(1);
    if changes > 0 {
        said.push(format!("{changes} {} of the primary", if changes == 1 { "change" } else { "changes" }));
    }
    let offset =
        bitten("clock").into_iter().flat_map(offsets).fold(0.0, |most: f64, offset| most.max(offset.abs()));
    if offset > 0.0 {
        said.push(format!("clocks up to {offset:.1} s off"));
    }
    (!said.is_empty()).then(|| format!("{BEGIN}{}.", said.join(" · ")))
}

/// The seconds of `n1 says +31.204 s, n2 says -0.500 s`.
fn offsets(evidence: &str) -> impl Iterator<Item = f64> + '_ {
    let one = |part: &str| part.rsplit_once(" says ")?.1.strip_suffix(" s")?.parse().ok();
    evidence.split(", ").filter_map(one)
}

/// The same of results, for a terminal.
pub fn of(results: &Results) -> Option<&str> {
    let notes = results.run.as_ref().map_or(&[][..], |run| &run.notes);
    notes.iter().find_map(|note| note.strip_prefix(BEGIN)).map(|said| said.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::{Event, Kind, Phase, Process, Value};

    #[test]
    fn probes_primaries_and_clocks_are_counted_as_the_nemesis_writes_them() {
        let nemesis = |f: &str, fault: Option<u32>, phase, value: &str| {
            let mut event = Event::client(0, 0, Kind::Info, f, None, Value::text(value));
            event.process = Process::Other("nemesis".to_string());
            (event.fault, event.phase) = (fault, phase);
            event
        };
        let role = |node: &str, term| {
            let text = history::role_text(&[(node.to_string(), term)]);
            nemesis(history::ROLE, None, None, &text)
        };
        let mut events = vec![
            role("n1", 1),
            nemesis("partition", Some(1), Some(Phase::Inject), "n1 | n2 n3"),
            nemesis("partition", Some(1), Some(Phase::Bit), "n1 got no answer from n2"),
            role("n2", 2),
            nemesis("clock", Some(2), Some(Phase::Inject), "n1 -31.5 s"),
            nemesis("clock", Some(2), Some(Phase::Bit), "n1 says -31.512 s, n3 says +2.000 s"),
            role("n3", 3),
            nemesis("partition", Some(3), Some(Phase::Inject), "n1 | n2 n3"),
        ];
        events.iter_mut().enumerate().for_each(|(at, event)| event.time = at as i64 * 1_000_000);
        let history = history::pair(events).expect("well-formed");
        let note = note(&history, &crate::faults::from_events(&history));
        let expected = "Seen: 1 probe of cut links without an answer · 2 changes of the primary · clocks up to 31.5 s off.";
        assert_eq!(note.as_deref(), Some(expected));
        assert_eq!(super::note(&history::pair([]).expect("empty"), &[]), None);
    }
}
