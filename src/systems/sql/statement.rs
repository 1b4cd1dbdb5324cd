//! Calls as statements, answers as outcomes.
//!
//! Keys and values are kept as their JSON, counters as numbers. Every call is one request, and one transaction of the
//! server's own making; what it does more than its one statement would, it does to hear what it has compared with.

use super::reply::{Refusal, Reply, Rows};
use crate::systems::json;
use history::{Call, Completion, Value};

/// How a system wants things said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Maria,
}

/// Our tables, in which nothing but our runs' data is.
pub const TABLES: [&str; 3] = ["perjury_registers", "perjury_elements", "perjury_counters"];

/// Statements that make our tables, empty.
pub fn create(dialect: Dialect) -> String {
    let [registers, elements, counters] = TABLES;
    // A key must have an end for an index of MariaDB's.
    let (key, value) = match dialect {
        Dialect::Postgres => ("text", "text"),
        Dialect::Maria => ("varchar(255)", "text"),
    };
    let drop: Vec<String> = TABLES.iter().map(|table| format!("DROP TABLE IF EXISTS {table}; ")).collect();
    format!(
        "{}CREATE TABLE {registers} (k {key} PRIMARY KEY, v {value} NOT NULL, n bigint NOT NULL DEFAULT 1); \
         CREATE TABLE {elements} (k {key}, e {key}, PRIMARY KEY (k, e)); \
         CREATE TABLE {counters} (k {key} PRIMARY KEY, n bigint NOT NULL)",
        drop.concat()
    )
}

/// A call as a request, and how its answer is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What is sent.
    pub text: String,
    /// Whether it changes nothing, so that without an answer it did not happen.
    pub pure: bool,
    dialect: Dialect,
    reading: Reading,
}

/// How an answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reading {
    /// The value of the one row, or null.
    Value,
    /// The elements of a set.
    Elements,
    /// The number of the one row, or 0.
    Sum,
    /// Nothing but that it was done.
    Done(Value),
    /// What it was compared with, and whether that was what was expected.
    Compared(Value),
    /// Version and value of the one row, or null.
    Version,
    /// The version that the value has got.
    Put(Value),
    /// Version and value that it was compared with.
    ComparedVersion(Value),
}

impl Dialect {
    /// A call of `workload` as a request. `Err` names what is not offered.
    pub fn statement(self, workload: &str, call: &Call) -> Result<Statement, String> {
        let key = call.key.as_ref().map_or(Ok("null".to_string()), encoded)?;
        let key = self.quote(&key);
        let [registers, elements, counters] = TABLES;
        let made = |text, pure, reading| Ok(Statement { text, pure, dialect: self, reading });
        match (workload, call.f.as_str()) {
            ("set", "add") => {
                let element = self.quote(&encoded(&call.value)?);
                let text = format!("INSERT INTO {elements} (k, e) VALUES ({key}, {element})");
                made(text, false, Reading::Done(call.value.clone()))
            }
            ("set", "read") => {
                made(format!("SELECT e FROM {elements} WHERE k = {key}"), true, Reading::Elements)
            }
            ("counter", "add") => {
                let by = call.value.as_int().ok_or("an add takes a whole number")?;
                let insert = format!("INSERT INTO {counters} (k, n) VALUES ({key}, {by})");
                let text = match self {
                    Dialect::Postgres => {
                        format!("{insert} ON CONFLICT (k) DO UPDATE SET n = {counters}.n + EXCLUDED.n")
                    }
                    Dialect::Maria => format!("{insert} ON DUPLICATE KEY UPDATE n = n + VALUES(n)"),
                };
                made(text, false, Reading::Done(call.value.clone()))
            }
            ("counter", "read") => {
                made(format!("SELECT n FROM {counters} WHERE k = {key}"), true, Reading::Sum)
            }
            ("versioned-register", "read") => {
                made(format!("SELECT n, v FROM {registers} WHERE k = {key}"), true, Reading::Version)
            }
            ("versioned-register", "write") => {
                let value = self.quote(&encoded(&call.value)?);
                let insert = format!("INSERT INTO {registers} (k, v, n) VALUES ({key}, {value}, 1)");
                let text = match self {
                    Dialect::Postgres => format!(
                        "{insert} ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v, n = {registers}.n + 1 RETURNING n"
                    ),
                    Dialect::Maria => {
                        format!("{insert} ON DUPLICATE KEY UPDATE v = VALUES(v), n = n + 1 RETURNING n")
                    }
                };
                made(text, false, Reading::Put(call.value.clone()))
            }
            ("versioned-register", "cas") => {
                let [expected, new] = two(&call.value)?;
                let version = expected.as_int().ok_or("a cas expects the number of a version")?;
                let text = self.compare_version_and_set(&key, version, &self.quote(&encoded(new)?));
                made(text, false, Reading::ComparedVersion(call.value.clone()))
            }
            (_, "read") => made(format!("SELECT v FROM {registers} WHERE k = {key}"), true, Reading::Value),
            (_, "write") => {
                let value = self.quote(&encoded(&call.value)?);
                let insert = format!("INSERT INTO {registers} (k, v) VALUES ({key}, {value})");
                let text = match self {
                    Dialect::Postgres => format!("{insert} ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v"),
                    Dialect::Maria => format!("{insert} ON DUPLICATE KEY UPDATE v = VALUES(v)"),
                };
                made(text, false, Reading::Done(call.value.clone()))
            }
            (_, "cas") => {
                let [expected, new] = two(&call.value)?;
                let text = self.compare_and_set(
                    &key,
                    &self.quote(&encoded(expected)?),
                    &self.quote(&encoded(new)?),
                    *expected == Value::Null,
                );
                made(text, false, Reading::Compared(call.value.clone()))
            }
            (_, f) => Err(format!("there is no function {f} here")),
        }
    }

    /// What was there is seen and changed under the same lock. A register without a row holds null.
    fn compare_and_set(self, key: &str, expected: &str, new: &str, absent: bool) -> String {
        let registers = TABLES[0];
        match self {
            // One request is one transaction.
            Dialect::Postgres => {
                let change = if absent {
                    format!(
                        "INSERT INTO {registers} (k, v) VALUES ({key}, {new}) ON CONFLICT (k) \
                         DO UPDATE SET v = EXCLUDED.v WHERE {registers}.v = {expected}"
                    )
                } else {
                    format!("UPDATE {registers} SET v = {new} WHERE k = {key} AND v = {expected}")
                };
                format!("SELECT v FROM {registers} WHERE k = {key} FOR UPDATE; {change}")
            }
            // One statement is one transaction; what it saw is kept by the session, of which the last one asks.
            Dialect::Maria => {
                let change = if absent {
                    format!(
                        "INSERT INTO {registers} (k, v) VALUES ({key}, {new}) \
                         ON DUPLICATE KEY UPDATE v = IF((@seen := v) = {expected}, VALUES(v), v)"
                    )
                } else {
                    format!(
                        "UPDATE {registers} SET v = IF((@seen := v) = {expected}, {new}, v) WHERE k = {key}"
                    )
                };
                format!("SET @seen = NULL; {change}; SELECT @seen")
            }
        }
    }

    /// The same with versions, of which a register without a row has 0.
    fn compare_version_and_set(self, key: &str, version: i64, new: &str) -> String {
        let registers = TABLES[0];
        let insert = format!("INSERT INTO {registers} (k, v, n) VALUES ({key}, {new}, 1)");
        match self {
            Dialect::Postgres => {
                let change = if version == 0 {
                    format!("{insert} ON CONFLICT (k) DO NOTHING")
                } else {
                    format!("UPDATE {registers} SET v = {new}, n = n + 1 WHERE k = {key} AND n = {version}")
                };
                format!("SELECT n, v FROM {registers} WHERE k = {key} FOR UPDATE; {change}")
            }
            Dialect::Maria => {
                // Assignments are done from left to right, and no value is null.
                let saw = format!("(@seen := v) IS NOT NULL AND (@version := n) = {version}");
                let change = if version == 0 {
                    format!("{insert} ON DUPLICATE KEY UPDATE v = IF({saw}, v, v)")
                } else {
                    format!(
                        "UPDATE {registers} SET v = IF({saw}, {new}, v), \
                         n = IF(@version = {version}, n + 1, n) WHERE k = {key}"
                    )
                };
                format!("SET @seen = NULL, @version = NULL; {change}; SELECT @version, @seen")
            }
        }
    }

    fn quote(self, text: &str) -> String {
        let text = match self {
            Dialect::Postgres => text.to_string(),
            Dialect::Maria => text.replace('\\', "\\\\"),
        };
        format!("'{}'", text.replace('\'', "''"))
    }

    /// Whether a refusal says that nothing of the request was done, and never will be.
    fn definite(self) -> fn(&Refusal) -> bool {
        match self {
            Dialect::Postgres => postgres_definite,
            Dialect::Maria => maria_definite,
        }
    }
}

/// Everything that is found before the transaction commits; not what ends a server or a session, which may have
/// committed already.
fn postgres_definite(refusal: &Refusal) -> bool {
    let code = refusal.code.as_str();
    // Not offered; bad data; constraints; read-only and other wrong states; not allowed; no such database; bad statements.
    let classes = ["0A", "22", "23", "25", "28", "3D", "42"];
    // Not to be put in an order; deadlock; too many clients; a lock that is not to be had; starting up.
    let codes = ["40001", "40P01", "53300", "55P03", "57P03"];
    codes.contains(&code) || (code.len() == 5 && classes.iter().any(|class| code.starts_with(class)))
}

fn maria_definite(refusal: &Refusal) -> bool {
    // Changed since it was read; out of connections; not allowed; no such database; the node is not part of the cluster;
    // there already; bad statements; no such table; waited for a lock; deadlock, which is also what a write that lost
    // against another node's is told; read-only; bad data; read-only.
    const CODES: [&str; 14] = [
        "1020", "1040", "1045", "1049", "1047", "1062", "1064", "1146", "1205", "1213", "1290", "1366",
        "1406", "1836",
    ];
    CODES.contains(&refusal.code.as_str())
}

fn encoded(value: &Value) -> Result<String, String> {
    json::to_json(value).map(|json| json.to_string())
}

fn decoded(text: &str) -> Result<Value, String> {
    let json = serde_json::from_str(text).map_err(|e| format!("the value {text:?}: {e}"))?;
    json::from_json(&json)
}

fn two(value: &Value) -> Result<&[Value; 2], String> {
    let pair = value.as_list().and_then(|pair| pair.try_into().ok());
    pair.ok_or_else(|| "a cas takes two values".to_string())
}

/// Version and value of the one row; null where there is none.
fn versioned(rows: &Rows) -> Result<Value, String> {
    match rows.rows.first().map(Vec::as_slice) {
        Some([Some(version), Some(value)]) => {
            Ok(Value::list([Value::Int(number("version", version)?), decoded(value)?]))
        }
        // A variable that was not set.
        Some([None, None]) | None => Ok(Value::Null),
        Some(row) => {
            Err(format!("a row of {} values, where a version and a value were asked for", row.len()))
        }
    }
}

fn number(what: &str, text: &str) -> Result<i64, String> {
    text.parse().map_err(|e| format!("the {what} {text:?}: {e}"))
}

/// The value of the one row; null where there is none.
fn value(rows: &Rows) -> Result<Value, String> {
    rows.first().map_or(Ok(Value::Null), decoded)
}

impl Statement {
    /// What an answer means. `Err` is one that cannot be understood.
    pub fn read(&self, reply: &Reply) -> Result<Completion, String> {
        if let Some(refused) = reply.refused(self.pure, self.dialect.definite()) {
            return Ok(refused);
        }
        let rows = reply.rows()?;
        match &self.reading {
            Reading::Value => value(rows).map(Completion::ok),
            Reading::Elements => {
                let element =
                    |row: &Vec<Option<String>>| decoded(row.first().and_then(Option::as_deref).unwrap_or(""));
                let elements = rows.rows.iter().map(element).collect::<Result<Vec<Value>, String>>()?;
                Ok(Completion::ok(Value::list(elements)))
            }
            Reading::Sum => {
                number("counter", rows.first().unwrap_or("0")).map(|sum| Completion::ok(Value::Int(sum)))
            }
            Reading::Done(value) => Ok(Completion::ok(value.clone())),
            Reading::Version => versioned(rows).map(Completion::ok),
            Reading::Put(value) => {
                let version = number("version", rows.first().unwrap_or(""))?;
                Ok(Completion::ok(Value::list([Value::Int(version), value.clone()])))
            }
            Reading::Compared(pair) => {
                let [expected, _] = two(pair)?;
                let (saw, applied) = self.compared(reply)?;
                let saw = value(saw)?;
                let applied = applied.unwrap_or(saw == *expected);
                Ok(told(pair.clone(), applied, saw, *expected == Value::Null))
            }
            Reading::ComparedVersion(pair) => {
                let [expected, new] = two(pair)?;
                let version = expected.as_int().unwrap_or_default();
                let (saw, applied) = self.compared(reply)?;
                let saw = versioned(saw)?;
                let seen = saw.as_list().and_then(|pair| pair.first()).and_then(Value::as_int);
                let applied = applied.unwrap_or(seen.unwrap_or(0) == version);
                let value =
                    if applied { Value::list([Value::Int(version + 1), new.clone()]) } else { pair.clone() };
                Ok(told(value, applied, saw, version == 0))
            }
        }
    }

    /// What a compare-and-set saw, and whether it was applied, where the server says so itself.
    fn compared<'a>(&self, reply: &'a Reply) -> Result<(&'a Rows, Option<bool>), String> {
        match (self.dialect, &reply.results[..]) {
            (Dialect::Postgres, [saw, change]) => Ok((saw, Some(change.affected > 0))),
            (Dialect::Maria, [_, _, saw]) => Ok((saw, None)),
            (_, other) => Err(format!("{} results of a compare-and-set", other.len())),
        }
    }
}

/// What became of a compare-and-set. Who expected nothing and saw nothing, but came too late, saw what was there before.
fn told(value: Value, applied: bool, saw: Value, absent: bool) -> Completion {
    let came_too_late = absent && saw == Value::Null;
    let observed = (!applied && !came_too_late).then_some(saw);
    Completion::Ok { value, applied: Some(applied), observed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(f: &str, value: Value) -> Call {
        Call { f: f.into(), key: Some("k1".into()), value }
    }

    fn asked(dialect: Dialect, workload: &str, f: &str, value: Value) -> Statement {
        dialect.statement(workload, &call(f, value)).unwrap()
    }

    fn rows(values: &[&str]) -> Rows {
        Rows { rows: values.iter().map(|v| vec![Some(v.to_string())]).collect(), affected: 0 }
    }

    fn changed(affected: u64) -> Rows {
        Rows { rows: Vec::new(), affected }
    }

    fn gave(results: &[Rows]) -> Reply {
        Reply { results: results.to_vec(), ..Reply::default() }
    }

    fn refused(code: &str) -> Reply {
        let error = Some(Refusal { code: code.into(), words: "no".into() });
        Reply { error, ..Reply::default() }
    }

    #[test]
    fn what_is_quoted_stays_one_word() {
        let odd = Value::text(r"it's a \ and a 'quote'");
        let text = |dialect| asked(dialect, "register", "write", odd.clone()).text;
        assert!(text(Dialect::Postgres).contains(r#"'"it''s a \\ and a ''quote''"'"#));
        assert!(text(Dialect::Maria).contains(r#"'"it''s a \\\\ and a ''quote''"'"#));
        assert!(Dialect::Maria.statement("register", &call("append", Value::Null)).is_err());
    }

    #[test]
    fn answers_are_read_back_as_they_were_written() {
        for dialect in [Dialect::Postgres, Dialect::Maria] {
            let read = asked(dialect, "register", "read", Value::Null);
            assert_eq!(read.read(&gave(&[rows(&[])])), Ok(Completion::ok(Value::Null)));
            assert_eq!(read.read(&gave(&[rows(&["7"])])), Ok(Completion::ok(Value::Int(7))));
            assert!(read.read(&gave(&[rows(&["no JSON"])])).is_err());
            assert!(read.read(&gave(&[])).is_err());
            let all = asked(dialect, "set", "read", Value::Null);
            let both = Value::list([Value::Int(12), Value::Int(3)]);
            assert_eq!(all.read(&gave(&[rows(&["12", "3"])])), Ok(Completion::ok(both)));
            let sum = asked(dialect, "counter", "read", Value::Null);
            assert_eq!(sum.read(&gave(&[rows(&[])])), Ok(Completion::ok(Value::Int(0))));
            assert_eq!(sum.read(&gave(&[rows(&["41"])])), Ok(Completion::ok(Value::Int(41))));
            let write = asked(dialect, "register", "write", Value::Int(7));
            assert_eq!(write.read(&gave(&[changed(1)])), Ok(Completion::ok(Value::Int(7))));
        }
    }

    #[test]
    fn a_compare_and_set_says_what_it_saw() {
        let pair = Value::list([Value::Int(7), Value::Int(8)]);
        let is =
            |applied, observed| Ok(Completion::Ok { value: pair.clone(), applied: Some(applied), observed });
        let postgres = asked(Dialect::Postgres, "cas-register", "cas", pair.clone());
        assert_eq!(postgres.read(&gave(&[rows(&["7"]), changed(1)])), is(true, None));
        assert_eq!(postgres.read(&gave(&[rows(&["9"]), changed(0)])), is(false, Some(Value::Int(9))));
        assert_eq!(postgres.read(&gave(&[rows(&[]), changed(0)])), is(false, Some(Value::Null)));
        assert!(postgres.read(&gave(&[changed(0)])).is_err());
        let maria = asked(Dialect::Maria, "cas-register", "cas", pair.clone());
        let of = |seen| gave(&[changed(0), changed(0), seen]);
        assert_eq!(maria.read(&of(rows(&["7"]))), is(true, None));
        assert_eq!(maria.read(&of(rows(&["9"]))), is(false, Some(Value::Int(9))));
        let none = Rows { rows: vec![vec![None]], affected: 0 };
        assert_eq!(maria.read(&of(none)), is(false, Some(Value::Null)));
    }

    #[test]
    fn versions_are_told() {
        let both = |version, value| Value::list([Value::Int(version), Value::Int(value)]);
        let row = |values: [Option<&str>; 2]| Rows {
            rows: vec![values.iter().map(|v| v.map(str::to_string)).collect()],
            affected: 1,
        };
        for dialect in [Dialect::Postgres, Dialect::Maria] {
            let read = asked(dialect, "versioned-register", "read", Value::Null);
            assert_eq!(read.read(&gave(&[rows(&[])])), Ok(Completion::ok(Value::Null)));
            let there = gave(&[row([Some("3"), Some("7")])]);
            assert_eq!(read.read(&there), Ok(Completion::ok(both(3, 7))));
            assert!(read.read(&gave(&[rows(&["7"])])).is_err());
            let write = asked(dialect, "versioned-register", "write", Value::Int(7));
            assert_eq!(write.read(&gave(&[rows(&["4"])])), Ok(Completion::ok(both(4, 7))));
            let cas = asked(dialect, "versioned-register", "cas", both(3, 9));
            let seen = |version, affected| match dialect {
                Dialect::Postgres => gave(&[row([Some(version), Some("7")]), changed(affected)]),
                Dialect::Maria => gave(&[changed(0), changed(0), row([Some(version), Some("7")])]),
            };
            let hit = Completion::Ok { value: both(4, 9), applied: Some(true), observed: None };
            assert_eq!(cas.read(&seen("3", 1)), Ok(hit));
            let missed =
                Completion::Ok { value: both(3, 9), applied: Some(false), observed: Some(both(5, 7)) };
            assert_eq!(cas.read(&seen("5", 0)), Ok(missed));
        }
        let late = asked(Dialect::Postgres, "versioned-register", "cas", both(0, 9));
        let missed = Completion::Ok { value: both(0, 9), applied: Some(false), observed: None };
        assert_eq!(late.read(&gave(&[rows(&[]), changed(0)])), Ok(missed));
        let new = asked(Dialect::Maria, "versioned-register", "cas", both(0, 9));
        let hit = Completion::Ok { value: both(1, 9), applied: Some(true), observed: None };
        assert_eq!(new.read(&gave(&[changed(0), changed(1), row([None, None])])), Ok(hit));
    }

    #[test]
    fn only_what_certainly_did_not_happen_has_failed() {
        for (dialect, certain, unknown) in [
            (
                Dialect::Postgres,
                &["40001", "40P01", "25006", "57P03", "23505", "42P01", "53300"][..],
                &["57P01", "57P02", "57014", "08006", "XX000", "53100", "40003", "58030", ""][..],
            ),
            (Dialect::Maria, &["1213", "1205", "1020", "1047", "1062"], &["1180", "1317", "1053", "2013"]),
        ] {
            let write = asked(dialect, "register", "write", Value::Int(1));
            let read = asked(dialect, "register", "read", Value::Null);
            for code in certain {
                assert!(matches!(write.read(&refused(code)), Ok(Completion::Fail(_))), "{code}");
            }
            for code in unknown {
                let outcome = write.read(&refused(code));
                assert!(matches!(outcome, Ok(Completion::Info { late: false, .. })), "{code}: {outcome:?}");
                assert!(matches!(read.read(&refused(code)), Ok(Completion::Fail(_))), "{code}");
            }
        }
    }

    #[test]
    fn a_change_with_a_warning_is_unknown() {
        let warning = Refusal {
            code: "01000".into(),
            words: "canceling wait for synchronous replication due to user request".into(),
        };
        let reply = Reply { warnings: vec![warning], ..gave(&[changed(1)]) };
        let write = asked(Dialect::Postgres, "register", "write", Value::Int(1));
        assert!(matches!(write.read(&reply), Ok(Completion::Info { late: false, .. })));
        let reply = Reply { warnings: reply.warnings, ..gave(&[rows(&["7"])]) };
        let read = asked(Dialect::Postgres, "register", "read", Value::Null);
        assert_eq!(read.read(&reply), Ok(Completion::ok(Value::Int(7))));
    }
}
