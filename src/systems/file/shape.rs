//! What a system file says: its keys, and what is refused.

use super::source::{FileError, Source};
use super::template::{Facts, Template};
use crate::config::nearest;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// Most nodes that a file may ask for.
const NODES_MAX: usize = 100;

/// The whole file. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Shape {
    name: Spanned<String>,
    about: Option<String>,
    nodes: Option<Spanned<usize>>,
    ports: Spanned<Vec<u16>>,
    #[serde(default)]
    packages: Vec<Spanned<String>>,
    node: NodeShape,
    #[serde(default)]
    options: BTreeMap<Spanned<String>, OptionShape>,
    client: ClientShape,
    #[serde(default)]
    claims: Vec<ClaimShape>,
}

/// `[node]`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct NodeShape {
    setup: Option<Spanned<String>>,
    start: Spanned<String>,
    process: Option<Spanned<String>>,
    pid_file: Option<Spanned<String>>,
    #[serde(default)]
    logs: Vec<Spanned<String>>,
    #[serde(default)]
    data: Vec<Spanned<String>>,
    ready: Spanned<String>,
    role: Option<Spanned<String>>,
    version: Option<Spanned<String>>,
    clock: Option<Spanned<String>>,
    clear: Option<Spanned<String>>,
}

/// `[options.NAME]`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct OptionShape {
    default: Spanned<toml::Value>,
    #[serde(default)]
    about: String,
    #[serde(default)]
    values: Vec<toml::Value>,
}

/// `[client]`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ClientShape {
    command: Spanned<Vec<Spanned<String>>>,
    workloads: Spanned<Vec<Spanned<String>>>,
}

/// `[[claims]]`
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ClaimShape {
    claim: Spanned<String>,
    workload: Option<Spanned<String>>,
    #[serde(default)]
    with: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
}

/// How a node's process is found after it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// By its name, as the kernel has it.
    Name(String),
    /// Its number stands in this file.
    PidFile(String),
}

/// An option, with the values that it takes (any, if there are none).
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// Its value unless told otherwise.
    pub default: String,
    /// One sentence.
    pub about: String,
    /// What it takes; empty for anything.
    pub values: Vec<String>,
}

/// What the system promises, for which workload, where these options have these values.
#[derive(Clone, Debug)]
pub struct Promise {
    /// `linearizable`, `sequential`, or whatever it says.
    pub claim: String,
    /// For this workload alone.
    pub workload: Option<String>,
    /// Where these options have these values.
    pub with: Vec<(String, String)>,
}

/// A system file, understood.
#[derive(Clone, Debug)]
pub struct Description {
    /// `mydb`
    pub name: String,
    /// One sentence.
    pub about: String,
    /// How many nodes, unless told otherwise.
    pub nodes: usize,
    /// Its ports: the first is the clients', the last the other nodes'.
    pub ports: Vec<u16>,
    /// Debian packages that it needs.
    pub packages: Vec<String>,
    /// Once on each node, before a new cluster starts.
    pub setup: Option<Template>,
    /// Starts a node; returns.
    pub start: Template,
    /// How its process is found then.
    pub found: Found,
    /// Files worth keeping.
    pub logs: Vec<String>,
    /// Files and directories that are its own.
    pub data: Vec<String>,
    /// Ends with 0 when the node serves.
    pub ready: Template,
    /// Prints `primary TERM` or `replica TERM`.
    pub role: Option<Template>,
    /// Prints its version.
    pub version: Option<Template>,
    /// Prints the node's wall clock in seconds since 1970.
    pub clock: Option<Template>,
    /// Removes what earlier runs have left in a cluster of somebody else, and nothing else.
    pub clear: Option<Template>,
    /// What `--with` takes.
    pub options: Vec<Choice>,
    /// The client's program and its arguments.
    pub command: Vec<Template>,
    /// What the client can do, the default first.
    pub workloads: Vec<String>,
    /// What is promised; the first that fits counts.
    pub promises: Vec<Promise>,
}

/// The directory of a system on its nodes.
pub fn dir_of(name: &str) -> String {
    format!("/var/lib/perjury-{name}")
}

impl Description {
    /// Reads a file. `taken` are names that it may not have; `workloads` are those that there are.
    pub fn read(source: &Source, taken: &[&str], workloads: &[&str]) -> Result<Description, FileError> {
        let shape: Shape = toml::from_str(source.text()).map_err(|error| parse_error(source, &error))?;
        let checked = Checked { source, taken, workloads };
        checked.description(shape)
    }
}

/// What the parser of TOML refuses, where it does.
fn parse_error(source: &Source, error: &toml::de::Error) -> FileError {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field").then(|| quoted.next()).flatten();
    let near = unknown.and_then(|word| nearest(word, quoted));
    let hint = near.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
    let at = error.span().map_or(0, |span| span.start);
    source.error(at, format!("{}{hint}", message.replace("unknown field", "no such key:")))
}

/// Checks one file.
struct Checked<'a> {
    source: &'a Source,
    taken: &'a [&'a str],
    workloads: &'a [&'a str],
}

impl Checked<'_> {
    fn refuse<T>(&self, what: &Spanned<T>, why: impl Into<String>) -> FileError {
        self.source.error(what.span().start, why)
    }

    fn no_such<T>(&self, at: &Spanned<T>, what: &str, word: &str, known: &[&str]) -> FileError {
        let hint = nearest(word, known.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
        let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
        self.refuse(at, format!("no such {what}: {word:?}{} (there are: {known})", hint.unwrap_or_default()))
    }

    fn description(&self, shape: Shape) -> Result<Description, FileError> {
        let name = self.name(&shape.name)?;
        let nodes = shape.nodes.as_ref().map_or(3, |nodes| *nodes.get_ref());
        if let Some(at) = shape.nodes.as_ref().filter(|_| !(1..=NODES_MAX).contains(&nodes)) {
            return Err(self.refuse(at, format!("expected 1 to {NODES_MAX} nodes, found {nodes}")));
        }
        let ports = shape.ports.get_ref().clone();
        if ports.is_empty() || ports.contains(&0) {
            return Err(self.refuse(&shape.ports, "expected at least one port, each from 1 to 65535"));
        }
        let options = self.options(&shape.options)?;
        let command = shape.client.command.get_ref();
        if command.is_empty() {
            return Err(self.refuse(&shape.client.command, "expected a program and its arguments"));
        }
        let workloads = self.offered(&shape.client.workloads)?;
        let promises = self.promises(&shape.claims, &options, &workloads)?;
        let node = &shape.node;
        let found = match (&node.process, &node.pid_file) {
            (Some(name), None) => Found::Name(self.word(name)?),
            (None, Some(file)) => Found::PidFile(self.path(file, &name, 2)?),
            (Some(_), Some(file)) => {
                return Err(
                    self.refuse(file, "process and pid-file both say how the process is found; say one")
                );
            }
            (None, None) => {
                return Err(self.refuse(
                    &node.start,
                    "how is the process found that this starts? process = \"NAME\", or pid-file = \"PATH\"",
                ));
            }
        };
        let paths = |list: &[Spanned<String>], parts| -> Result<Vec<String>, FileError> {
            list.iter().map(|path| self.path(path, &name, parts)).collect()
        };
        let script = |text: &Option<Spanned<String>>| text.as_ref().map(|text| Template::new(text, true));
        let description = Description {
            about: shape
                .about
                .clone()
                .unwrap_or_else(|| format!("described by {}", self.source.path().display())),
            nodes,
            packages: shape.packages.iter().map(|package| self.package(package)).collect::<Result<_, _>>()?,
            setup: script(&node.setup),
            start: Template::new(&node.start, true),
            found,
            logs: paths(&node.logs, 2)?,
            data: paths(&node.data, 3)?,
            ready: Template::new(&node.ready, true),
            role: script(&node.role),
            version: script(&node.version),
            clock: script(&node.clock),
            clear: script(&node.clear),
            command: command.iter().map(|argument| Template::new(argument, false)).collect(),
            options,
            workloads,
            promises,
            ports,
            name,
        };
        self.templates(&description)?;
        Ok(description)
    }

    fn name(&self, name: &Spanned<String>) -> Result<String, FileError> {
        let text = name.get_ref();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(plain) || text.len() > 40
        {
            return Err(self.refuse(
                name,
                format!(
                    "a name is a small letter and then small letters, digits and -, at most 40, not {text:?}"
                ),
            ));
        }
        if self.taken.contains(&text.as_str()) {
            return Err(self.refuse(name, format!("{text} is the name of a built-in system")));
        }
        Ok(text.clone())
    }

    /// A name of a process: one word, for the kernel knows no other.
    fn word(&self, name: &Spanned<String>) -> Result<String, FileError> {
        let text = name.get_ref();
        if text.is_empty() || text.contains(['/', '\n']) {
            return Err(self.refuse(name, "expected the name of a process, without its directory"));
        }
        Ok(text.clone())
    }

    fn package(&self, name: &Spanned<String>) -> Result<String, FileError> {
        let text = name.get_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-.:".contains(c);
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(plain) {
            return Err(self.refuse(name, format!("{text:?} is no name of a package")));
        }
        Ok(text.clone())
    }

    /// An absolute path of at least so many parts: what is removed with all that it holds should not be `/var`.
    fn path(&self, path: &Spanned<String>, name: &str, parts: usize) -> Result<String, FileError> {
        let facts = Facts { name: name.to_string(), dir: dir_of(name), ..Facts::default() };
        // A path is no shell's word yet: it is quoted where it becomes one.
        let template = Template::new(path, false);
        template.check(self.source, &facts)?;
        let text = template.render(&facts).map_err(|why| self.refuse(path, why))?;
        let deep = text.split('/').skip(1).filter(|part| !part.is_empty()).count();
        if !text.starts_with('/') || text.split('/').any(|part| part == ".." || part == ".") || deep < parts {
            return Err(self.refuse(
                path,
                format!(
                    "expected an absolute path of at least {parts} parts, without . and .., found {text:?}"
                ),
            ));
        }
        Ok(text)
    }

    fn options(&self, options: &BTreeMap<Spanned<String>, OptionShape>) -> Result<Vec<Choice>, FileError> {
        let mut choices = Vec::new();
        for (name, option) in options {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.get_ref().is_empty() || !name.get_ref().chars().all(plain) {
                return Err(self.refuse(name, "the name of an option is letters, digits, - and _"));
            }
            let default = text_of(option.default.get_ref())
                .ok_or_else(|| self.refuse(&option.default, "expected text, a number, true or false"))?;
            let values: Option<Vec<String>> = option.values.iter().map(text_of).collect();
            let values = values.ok_or_else(|| {
                self.refuse(name, "the values of an option are text, numbers, true or false")
            })?;
            if !values.is_empty() && !values.contains(&default) {
                let why = format!("the default {default:?} is none of the values: {}", values.join(", "));
                return Err(self.refuse(&option.default, why));
            }
            let (name, about) = (name.get_ref().clone(), option.about.clone());
            choices.push(Choice { name, default, about, values });
        }
        Ok(choices)
    }

    fn offered(&self, workloads: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, FileError> {
        if workloads.get_ref().is_empty() {
            return Err(self.refuse(workloads, "expected at least one workload"));
        }
        for name in workloads.get_ref() {
            if !self.workloads.contains(&name.get_ref().as_str()) {
                return Err(self.no_such(name, "workload", name.get_ref(), self.workloads));
            }
        }
        Ok(workloads.get_ref().iter().map(|name| name.get_ref().clone()).collect())
    }

    fn promises(
        &self,
        claims: &[ClaimShape],
        options: &[Choice],
        workloads: &[String],
    ) -> Result<Vec<Promise>, FileError> {
        let offered: Vec<&str> = workloads.iter().map(String::as_str).collect();
        let names: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
        let mut promises = Vec::new();
        for claim in claims {
            if let Some(workload) = &claim.workload {
                if !offered.contains(&workload.get_ref().as_str()) {
                    return Err(self.no_such(
                        workload,
                        "workload of its client",
                        workload.get_ref(),
                        &offered,
                    ));
                }
            }
            let mut with = Vec::new();
            for (name, value) in &claim.with {
                let option = options.iter().find(|option| option.name == *name.get_ref());
                let option = option.ok_or_else(|| self.no_such(name, "option", name.get_ref(), &names))?;
                let text = text_of(value.get_ref())
                    .ok_or_else(|| self.refuse(value, "expected text, a number, true or false"))?;
                if !option.values.is_empty() && !option.values.contains(&text) {
                    let known: Vec<&str> = option.values.iter().map(String::as_str).collect();
                    return Err(self.no_such(value, &format!("value of {}", option.name), &text, &known));
                }
                with.push((name.get_ref().clone(), text));
            }
            let workload = claim.workload.as_ref().map(|workload| workload.get_ref().clone());
            promises.push(Promise { claim: claim.claim.get_ref().clone(), workload, with });
        }
        Ok(promises)
    }

    /// Every template, filled in for a cluster that is only thought of.
    fn templates(&self, description: &Description) -> Result<(), FileError> {
        let node = |i: usize| (format!("n{i}"), format!("10.0.0.{i}"));
        let facts = Facts {
            name: description.name.clone(),
            dir: dir_of(&description.name),
            ports: description.ports.clone(),
            nodes: (1..=description.nodes).map(node).collect(),
            with: description.options.iter().map(|o| (o.name.clone(), o.default.clone())).collect(),
            workload: description.workloads[0].clone(),
            node: 0,
            first: true,
        };
        let Description { setup, role, version, clock, clear, .. } = description;
        let scripts = [setup, role, version, clock, clear];
        let scripts = scripts.into_iter().flatten().chain([&description.start, &description.ready]);
        for template in scripts.chain(&description.command) {
            for first in [true, false] {
                template.check(self.source, &Facts { first, ..facts.clone() })?;
            }
        }
        Ok(())
    }
}

/// A plain value as its text.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(n) => Some(n.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"name = "mydb"
ports = [7000]
packages = ["mydb-server"]
[node]
setup = "mkdir -p {{ dir }}"
start = "mydbd --peers {{ others | join(',') }} --mode {{ with.mode }}"
process = "mydbd"
logs = ["{{ dir }}/mydb.log"]
ready = "nc -z {{ node }} {{ port }}"
[options.mode]
default = "fast"
values = ["fast", "safe"]
[client]
command = ["python3", "client.py", "{{ node }}"]
workloads = ["register"]
[[claims]]
claim = "linearizable"
with = { mode = "safe" }
"#;

    fn read(text: &str) -> Result<Description, String> {
        Description::read(&Source::of(text), &["etcd"], &["register", "set"]).map_err(|e| e.to_string())
    }

    #[test]
    fn a_whole_file_is_understood() {
        let description = read(WHOLE).unwrap();
        assert_eq!((description.name.as_str(), description.nodes), ("mydb", 3));
        assert_eq!(description.logs, ["/var/lib/perjury-mydb/mydb.log"]);
        assert_eq!(description.found, Found::Name("mydbd".into()));
        assert_eq!(description.promises[0].with, [("mode".to_string(), "safe".to_string())]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_its_column() {
        for (from, to, expected) in [
            ("ports = [7000]", "port = [7000]", "mydb.toml:2:1: no such key: `port`"),
            ("ports = [7000]", "port = [7000]", "did you mean \"ports\"?"),
            ("ports = [7000]", "ports = [70000]", "mydb.toml:2:10: invalid value"),
            ("ports = [7000]", "ports = []", "mydb.toml:2:9: expected at least one port"),
            ("ports = [7000]", "ports = [7000", "mydb.toml:3:1: missing comma"),
            ("\"mydb\"", "\"etcd\"", "mydb.toml:1:8: etcd is the name of a built-in system"),
            ("\"mydb\"", "\"My DB\"", "mydb.toml:1:8: a name is a small letter"),
            (
                "{{ dir }}\"\nstart",
                "{{ dirr }}\"\nstart",
                "mydb.toml:5:22: no such name: \"dirr\"; did you mean \"dir\"?",
            ),
            ("with.mode", "with.mod", "mydb.toml:6:59: in this template: undefined value"),
            ("process = \"mydbd\"\n", "", "mydb.toml:6:9: how is the process found"),
            (
                "process = \"mydbd\"",
                "process = \"mydbd\"\npid-file = \"/run/x.pid\"",
                "mydb.toml:8:12: process and pid-file",
            ),
            ("process =", "proces =", "mydb.toml:7:1: no such key: `proces`"),
            ("{{ dir }}/mydb.log", "mydb.log", "mydb.toml:8:9: expected an absolute path"),
            (
                "logs =",
                "data = [\"/var/lib\"]\nlogs =",
                "mydb.toml:8:9: expected an absolute path of at least 3",
            ),
            (
                "\"register\"",
                "\"regster\"",
                "mydb.toml:15:14: no such workload: \"regster\"; did you mean \"register\"?",
            ),
            (
                "default = \"fast\"",
                "default = \"slow\"",
                "mydb.toml:11:11: the default \"slow\" is none of the values",
            ),
            ("mode = \"safe\"", "mode = \"save\"", "no such value of mode: \"save\"; did you mean \"safe\"?"),
            ("{ mode", "{ speed", "mydb.toml:18:10: no such option: \"speed\" (there are: mode)"),
        ] {
            assert!(WHOLE.contains(from), "{from}");
            let error = read(&WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{to}: expected {expected:?}, found {error:?}");
        }
    }
}
