//! SARIF 2.1.0, for code scanning: a rule per kind of anomaly, a result per violation, its operations as a code flow.

use super::headline;
use crate::clean;
use history::results::{Anomaly, CoreOp, Results, Verdict};
use serde_json::{Value, json};

/// What there is to say about a kind of anomaly, for the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `stale-read`.
    pub name: String,
    /// `a client read a value after it had been overwritten`.
    pub sentence: String,
    /// A paragraph: what it means.
    pub meaning: String,
}

/// One document for all `results`: a run each.
///
/// `kinds` are the rules, all that there are. `anchor` is the file of the repository that results are shown at, because
/// code scanning shows nothing elsewhere; without it, they are at the lines of the history.
pub fn sarif(results: &[&Results], kinds: &[Kind], anchor: Option<&str>) -> String {
    let runs: Vec<Value> =
        results.iter().map(|results| run(&clean::results(results), kinds, anchor)).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": runs,
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn run(results: &Results, kinds: &[Kind], anchor: Option<&str>) -> Value {
    let mut rules = Rules { rules: Vec::new(), kinds };
    let mut found: Vec<Value> =
        results.anomalies.iter().map(|anomaly| violation(results, anomaly, &mut rules, anchor)).collect();
    // A verdict that is no pass is a result, too, though not of something that is wrong.
    let (kind, rule, reason) = match results.verdict {
        Verdict::Undecided => ("open", "undecided", headline(results)),
        Verdict::Vacuous => {
            ("review", "vacuous", format!("{} {}", headline(results), results.vacuous.join(" ")))
        }
        Verdict::Valid | Verdict::Invalid => ("", "", String::new()),
    };
    if !rule.is_empty() {
        let index = rules.index(rule);
        found.push(json!({
            "ruleId": rule,
            "ruleIndex": index,
            "kind": kind,
            "level": "none",
            "message": { "text": plain(&reason) },
            "locations": [location(&results.checker.history, 1, anchor)],
        }));
    }
    let mut run = json!({
        "tool": { "driver": {
            "name": "perjury",
            "version": results.checker.version,
            "rules": rules.rules,
        } },
        "columnKind": "unicodeCodePoints",
        "results": found,
        "properties": { "verdict": results.verdict, "asked": results.asked },
    });
    if let Some(told) = &results.run {
        run["automationDetails"] = json!({ "id": format!("{}/{}/", told.system, told.workload) });
        run["properties"]["seed"] = json!(told.seed.to_string());
        run["properties"]["systemVersion"] = json!(told.version);
        run["properties"]["command"] = json!(told.command);
    }
    run
}

struct Rules<'a> {
    rules: Vec<Value>,
    kinds: &'a [Kind],
}

impl Rules<'_> {
    /// The number of the rule of that name, which is added at its first use.
    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.rules.iter().position(|rule| rule["id"] == name) {
            return index;
        }
        let other = match name {
            "undecided" => (
                "a budget ended before there was an answer",
                "Neither a pass nor a violation: give it more time or memory.",
            ),
            "vacuous" => (
                "too little was tested to mean anything",
                "Everything holds, but the run did not put it to the test.",
            ),
            _ => (
                "no legal order explains these operations",
                "No order of these operations is allowed by the model.",
            ),
        };
        let (sentence, meaning) = match self.kinds.iter().find(|kind| kind.name == name) {
            Some(kind) => (kind.sentence.clone(), kind.meaning.clone()),
            None => (other.0.to_string(), other.1.to_string()),
        };
        let level = if matches!(name, "undecided" | "vacuous") { "none" } else { "error" };
        self.rules.push(json!({
            "id": name,
            "name": pascal(name),
            "shortDescription": { "text": format!("{}.", crate::text::title(&sentence)) },
            "fullDescription": { "text": meaning },
            "help": { "text": format!("{meaning}\n\nperjury explain {name}") },
            "defaultConfiguration": { "level": level },
        }));
        self.rules.len() - 1
    }
}

fn violation(results: &Results, anomaly: &Anomaly, rules: &mut Rules<'_>, anchor: Option<&str>) -> Value {
    let history = &results.checker.history;
    let key = anomaly.key.as_ref().map_or(String::new(), |key| format!(" ({key})"));
    let mut text = format!("{}{key}.", anomaly.sentence.trim_end_matches('.'));
    if !anomaly.story.is_empty() {
        text.push(' ');
        text.push_str(&anomaly.story);
    }
    let fatal = anomaly.ops.iter().find(|op| op.fatal).or(anomaly.ops.last());
    let related: Vec<Value> = anomaly
        .ops
        .iter()
        .enumerate()
        .filter(|(_, op)| op.invoke_line > 0)
        .map(|(i, op)| {
            let mut at = location(history, op.invoke_line, None);
            at["id"] = json!(i + 1);
            at["message"] = json!({ "text": plain(&told(op)) });
            at
        })
        .collect();
    let index = rules.index(&anomaly.kind);
    let mut result = json!({
        "ruleId": anomaly.kind,
        "ruleIndex": index,
        "kind": "fail",
        "level": "error",
        "message": { "text": plain(&crate::text::title_sentence(&text)) },
        "locations": [location(history, fatal.map_or(1, |op| op.invoke_line.max(1)), anchor)],
        "codeFlows": [flow(history, anomaly)],
        "partialFingerprints": { "perjuryShape/v1": anomaly.fingerprint },
        "properties": {
            "property": anomaly.property,
            "model": anomaly.model,
            "minimal": anomaly.minimal,
        },
    });
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

/// One thread per client; `executionOrder` is the order in which the operations were sent.
fn flow(history: &str, anomaly: &Anomaly) -> Value {
    let mut order: Vec<&CoreOp> = anomaly.ops.iter().collect();
    order.sort_by_key(|op| op.invoke);
    let mut clients: Vec<i64> = order.iter().map(|op| op.process).collect();
    clients.sort_unstable();
    clients.dedup();
    let threads: Vec<Value> = clients
        .iter()
        .map(|client| {
            let steps: Vec<Value> = order
                .iter()
                .zip(1..)
                .filter(|(op, _)| op.process == *client)
                .map(|(op, number)| {
                    let mut at = location(history, op.invoke_line.max(1), None);
                    at["message"] = json!({ "text": plain(&told(op)) });
                    json!({
                        "location": at,
                        "executionOrder": number,
                        "importance": if op.fatal { "essential" } else { "important" },
                    })
                })
                .collect();
            json!({ "id": format!("client {client}"), "locations": steps })
        })
        .collect();
    let reasons: Vec<String> = anomaly
        .edges
        .iter()
        .map(|edge| format!("{} before {}: {}.", edge.from, edge.to, edge.text))
        .collect();
    let reasons = if reasons.is_empty() {
        "No order of these operations is legal.".to_string()
    } else {
        reasons.join(" ")
    };
    json!({ "message": { "text": plain(&reasons) }, "threadFlows": threads })
}

/// `B: client 11 asked n2: write 42, no reply`
fn told(op: &CoreOp) -> String {
    let whom = op.node.as_ref().map_or(String::new(), |node| format!(" asked {node}"));
    let end = match (op.fatal, op.outcome.as_str()) {
        (true, _) => ", which fits nowhere",
        (false, "ok") => "",
        (false, "fail") => ", which failed",
        (false, _) => ", no reply",
    };
    format!("{}: client {}{whom}: {}{end}", op.label, op.process, op.text)
}

fn location(history: &str, line: u32, anchor: Option<&str>) -> Value {
    let (file, line) = anchor.map_or((history, line), |anchor| (anchor, 1));
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(file) },
        "region": { "startLine": line },
    } })
}

/// A path as a reference: relative as it is, absolute as a `file:` URI, everything unusual percent-encoded.
fn uri(path: &str) -> String {
    let mut out = String::new();
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(byte as char)
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `stale-read` as `StaleRead`.
fn pascal(name: &str) -> String {
    name.split('-').map(crate::text::title).collect()
}

fn plain(text: &str) -> String {
    text.replace(['\u{a0}', '\u{202f}'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_references() {
        assert_eq!(uri("store/a b/history.jsonl"), "store/a%20b/history.jsonl");
        assert_eq!(uri("/srv/x.edn"), "file:///srv/x.edn");
        assert_eq!(pascal("stale-read"), "StaleRead");
    }
}
