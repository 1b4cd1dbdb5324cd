//! `perjury verify`: a certificate against its history, with the small verifier alone.

use crate::certificate::{Certificate, Names, Statement};
use crate::cli::{OrderArg, ReadArgs, VerifyArgs};
use crate::exit::{self, Failure};
use crate::judging::{count, grouped};
use crate::show;
use crate::subject::{Subject, property};
use checker::{Confirmed, Rung, Unconfirmed, confirm};
use history::results::Answer;
use history::{History, content_name};

/// Checks every statement; 0 if all of them are confirmed, 1 with one line if one is refused.
pub fn run(args: &VerifyArgs) -> Result<u8, Failure> {
    let file = args.certificate.display().to_string();
    let bytes = std::fs::read(&args.certificate)
        .map_err(|error| Failure::new(exit::HISTORY, format!("{file}: cannot be read: {error}")))?;
    let certificate = Certificate::read(&file, &bytes)?;
    drop(bytes);
    let malformed =
        |what: String| Failure::new(exit::HISTORY, format!("{file}: expected a certificate: {what}"));
    let spec = certificate.model.spec().map_err(malformed)?;
    let mut properties: Vec<Rung> = Vec::new();
    for said in &certificate.statements {
        let property = property(&said.property).map_err(|failure| malformed(failure.message))?;
        if !properties.contains(&property) {
            properties.push(property);
        }
    }
    let read = ReadArgs {
        input: "auto".to_string(),
        independent: certificate.read.independent,
        order: certificate.read.by_time.then_some(OrderArg::Time),
        allow_truncated: certificate.read.allow_truncated,
        no_cache: true,
    };
    let mut history = Subject::open(&args.history, &read, None)?.history;
    let refuse = |why: String| {
        show::out(&format!("refused: {file}: {why}\n"));
        Ok(exit::VIOLATED)
    };
    let content = content_name(&history);
    if content != certificate.history.content {
        return refuse(format!(
            "it speaks of another history ({}, content {}) than {} ({content})",
            certificate.history.name, certificate.history.content, history.source.name
        ));
    }
    if properties.is_empty() {
        return refuse("it makes no statement".to_string());
    }
    let names = Names::of(&history);
    let mut said: Vec<String> = Vec::new();
    let mut proven: Vec<Rung> = Vec::new();
    let mut claimed = false;
    for property in properties {
        let of_it: Vec<&Statement> =
            certificate.statements.iter().filter(|s| s.property == property.name()).collect();
        if let [one] = of_it[..] {
            if let Some(by) = &one.implied_by {
                if one.answer != Answer::Holds || !implies(by, property, &proven) {
                    return refuse(format!("{} does not follow from {by}", property.name()));
                }
                said.push(format!("{}: holds, because {by} does.", property.name()));
                proven.push(property);
                claimed = true;
                continue;
            }
        }
        if let Some(unclaimed) = of_it.iter().find(|s| s.unclaimed.is_some() && s.answer != Answer::Undecided)
        {
            let why = unclaimed.unclaimed.clone().unwrap_or_default();
            said.push(format!("{}: nothing is claimed: {why}.", property.name()));
            continue;
        }
        if of_it.iter().all(|s| s.answer == Answer::Undecided && s.order.is_none() && s.core.is_none()) {
            said.push(format!("{}: nothing is claimed: it is undecided.", property.name()));
            continue;
        }
        let Some(of_one_order) = property.of_one_order() else {
            return refuse(format!("{} has no evidence that can be checked here", property.name()));
        };
        let claims = match certificate.claims(of_one_order, &mut history) {
            Ok(claims) => claims,
            Err(why) => return refuse(format!("{}: {why}", property.name())),
        };
        match confirm(&mut history, &spec, of_one_order, &claims) {
            Ok(confirmed) => {
                claimed |= confirmed.held + confirmed.violated > 0;
                if confirmed.violated + confirmed.undecided == 0 {
                    proven.push(property);
                }
                said.push(sentence(property, &confirmed));
            }
            Err(Unconfirmed::Malformed(error)) => return Err(Failure::new(exit::HISTORY, error.to_string())),
            Err(Unconfirmed::Spec(what)) => return Err(malformed(what)),
            Err(Unconfirmed::Refused(keys, why)) => {
                let keys: Vec<String> = keys.iter().map(|&key| history.values.get(key).to_string()).collect();
                let of = if keys.is_empty() { String::new() } else { format!(" of {}", few(&keys)) };
                return refuse(format!("{}{of}: {}", property.name(), names.said(&why)));
            }
        }
    }
    if !claimed {
        return refuse(format!("it claims nothing ({})", said.join(" ")));
    }
    let model = &certificate.model;
    let assumed = if model.assumptions.is_empty() {
        String::new()
    } else {
        format!("; {}", spec.assumptions().join("; "))
    };
    said.push(format!("{}, model {}{assumed}.", of_history(&history), model.name));
    show::out(&format!("{}\n", said.join("\n")));
    Ok(exit::HOLDS)
}

/// Whether a property that was confirmed everywhere is stronger than another.
fn implies(stronger: &str, property: Rung, proven: &[Rung]) -> bool {
    proven.iter().any(|p| p.name() == stronger && p.reaches(property))
}

fn few(keys: &[String]) -> String {
    match keys {
        [] | [_] | [_, _] | [_, _, _] => keys.join(", "),
        [first, .., last] => format!("{first} … {last} ({} keys)", grouped(keys.len() as u64)),
    }
}

fn of_history(history: &History) -> String {
    format!("{}: {}", history.source.name, count(history.ops.len() as u64, "operation"))
}

/// What was confirmed about one property.
fn sentence(property: Rung, confirmed: &Confirmed) -> String {
    let Confirmed { held, ordered, violated, refuted, undecided } = *confirmed;
    let mut parts = Vec::new();
    let objects =
        |n: usize| if n == 1 { "1 object".to_string() } else { format!("{} objects", grouped(n as u64)) };
    if held > 0 {
        let ordered = count(ordered as u64, "operation");
        parts.push(format!(
            "holds for {}: {ordered} replayed in the order given, each step legal",
            objects(held)
        ));
    }
    if violated > 0 {
        let refuted = count(refuted as u64, "operation");
        parts.push(format!("violated for {}: {refuted} of which no order is legal", objects(violated)));
    }
    if undecided > 0 {
        parts.push(format!("nothing is claimed about {}", objects(undecided)));
    }
    format!("{}: {}.", property.name(), parts.join("; "))
}
