//! Templates of a system file: text with `{{ node }}` and the like in it.
//!
//! In a script of a node every value is one word of the shell, quoted if it must be (`{{ nodes }}`: a word each); behind
//! `| safe` it stands as it is. In an argument of the client's command nothing is quoted, because no shell reads it.

use super::source::{FileError, Source};
use crate::control::host::quote;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What templates may speak of, beside what a `for` or a `set` names.
const NAMES: [&str; 10] =
    ["node", "nodes", "others", "dir", "name", "port", "ports", "with", "workload", "first"];

/// A string of the file that is a template.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    /// Where its token stands in the file.
    span: std::ops::Range<usize>,
    shell: bool,
}

/// What a template is filled with.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The system's name.
    pub name: String,
    /// Its directory on a node.
    pub dir: String,
    /// Its ports.
    pub ports: Vec<u16>,
    /// Names and addresses of all nodes.
    pub nodes: Vec<(String, String)>,
    /// Every option's value.
    pub with: Vec<(String, String)>,
    /// What clients do.
    pub workload: String,
    /// The node that it is for.
    pub node: usize,
    /// Whether a new cluster is started.
    pub first: bool,
}

/// A node in a template: its address, and more by name.
#[derive(Debug)]
struct NodeValue {
    number: usize,
    name: String,
    address: String,
}

impl Object for NodeValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "number" => Some(Value::from(self.number)),
            "name" => Some(Value::from(self.name.as_str())),
            "address" => Some(Value::from(self.address.as_str())),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl Facts {
    fn value(&self) -> Value {
        let node = |at: usize| {
            let (name, address) = self.nodes.get(at).cloned().unwrap_or_default();
            Value::from_object(NodeValue { number: at + 1, name, address })
        };
        let all = 0..self.nodes.len();
        let others: Vec<Value> = all.clone().filter(|&at| at != self.node).map(node).collect();
        let with: BTreeMap<String, Value> =
            self.with.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Value::from(BTreeMap::from([
            ("node", node(self.node)),
            ("nodes", Value::from(all.map(node).collect::<Vec<Value>>())),
            ("others", Value::from(others)),
            ("dir", Value::from(self.dir.as_str())),
            ("name", Value::from(self.name.as_str())),
            ("port", Value::from(self.ports.first().copied().unwrap_or_default())),
            ("ports", Value::from(self.ports.iter().copied().map(Value::from).collect::<Vec<Value>>())),
            ("with", Value::from(with)),
            ("workload", Value::from(self.workload.as_str())),
            ("first", Value::from(self.first)),
        ]))
    }
}

impl Template {
    /// A string of the file, for the shell of a node or not.
    pub fn new(text: &toml::Spanned<String>, shell: bool) -> Template {
        Template { text: text.get_ref().clone(), span: text.span(), shell }
    }

    /// Refuses what cannot be read, and names that there are not.
    pub fn check(&self, source: &Source, sample: &Facts) -> Result<(), FileError> {
        let environment = self.environment();
        let failed = |error: Error| self.locate(source, &error);
        let template = environment.template_from_str(&self.text).map_err(failed)?;
        let mut unknown: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|n| !NAMES.contains(&n.as_str()))
            .collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            let hint = crate::config::nearest(name, NAMES).map(|near| format!("; did you mean {near:?}?"));
            let why = format!(
                "no such name: {name:?}{} (there are: {})",
                hint.unwrap_or_default(),
                NAMES.join(", ")
            );
            return Err(source.error_in(self.span.clone(), find_word(&self.text, name), why));
        }
        template.render(sample.value()).map(drop).map_err(failed)
    }

    /// The text with everything filled in.
    pub fn render(&self, facts: &Facts) -> Result<String, String> {
        let environment = self.environment();
        let template = environment.template_from_str(&self.text).map_err(|e| e.to_string())?;
        template.render(facts.value()).map_err(|e| e.to_string())
    }

    fn environment(&self) -> Environment<'static> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let lines = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(lines.expect("the usual delimiters"));
        environment.set_debug(true);
        let shell = self.shell;
        environment.set_formatter(move |out, _, value| {
            let text = if !shell || value.is_safe() { value.to_string() } else { words(value)? };
            out.write_str(&text)?;
            Ok(())
        });
        environment
    }

    fn locate(&self, source: &Source, error: &Error) -> FileError {
        let line = || {
            let before = error.line().unwrap_or(1).saturating_sub(1);
            self.text.split_inclusive('\n').take(before).map(str::len).sum()
        };
        let at = error.range().map_or_else(line, |range| range.start);
        let kind = error.kind().to_string();
        let why = error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"));
        source.error_in(self.span.clone(), at, format!("in this template: {why}"))
    }
}

/// A value as words of the shell: a list has a word for each of its elements.
fn words(value: &Value) -> Result<String, Error> {
    if value.kind() == minijinja::value::ValueKind::Seq {
        let each: Vec<String> = value.try_iter()?.map(|item| quote(&item.to_string())).collect();
        return Ok(each.join(" "));
    }
    Ok(quote(&value.to_string()))
}

/// Where a name first stands as a whole word.
fn find_word(text: &str, name: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let whole =
        |&(at, _): &(usize, &str)| !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part);
    text.match_indices(name).find(whole).map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let node = |i: usize| (format!("n{i}"), format!("10.0.0.{i}"));
        Facts {
            name: "mydb".into(),
            dir: "/var/lib/perjury-mydb".into(),
            ports: vec![7000, 7001],
            nodes: (1..=3).map(node).collect(),
            with: vec![("mode".into(), "it's".into())],
            workload: "register".into(),
            node: 1,
            first: true,
        }
    }

    fn parsed(text: &str, shell: bool) -> (Source, Template) {
        #[derive(serde::Deserialize)]
        struct Shape {
            a: toml::Spanned<String>,
        }
        let file = format!("a = '''\n{text}'''");
        let shape: Shape = toml::from_str(&file).unwrap();
        (Source::of(&file), Template::new(&shape.a, shell))
    }

    fn rendered(text: &str, shell: bool) -> String {
        let (source, template) = parsed(text, shell);
        template.check(&source, &facts()).unwrap();
        template.render(&facts()).unwrap()
    }

    #[test]
    fn values_are_words_of_the_shell_and_plain_in_arguments() {
        assert_eq!(rendered("run {{ node }} {{ with.mode }}", true), r"run 10.0.0.2 'it'\''s'");
        assert_eq!(rendered("{{ with.mode }}", false), "it's");
        assert_eq!(rendered("{{ with.mode | safe }}", true), "it's");
        assert_eq!(rendered("{{ nodes }}", true), "10.0.0.1 10.0.0.2 10.0.0.3");
        assert_eq!(rendered("{{ nodes | join(',') }}", true), "10.0.0.1,10.0.0.2,10.0.0.3");
        assert_eq!(
            rendered("{{ node.name }} {{ node.number }} {{ others }}", true),
            "n2 2 10.0.0.1 10.0.0.3"
        );
    }

    #[test]
    fn loops_and_conditions_leave_no_empty_lines() {
        let text = "{% for n in nodes %}\npeer {{ n.name }}={{ n }}:{{ port }}\n{% endfor %}\n{% if first %}\nnew\n{% endif %}\nend";
        assert_eq!(
            rendered(text, true),
            "peer n1=10.0.0.1:7000\npeer n2=10.0.0.2:7000\npeer n3=10.0.0.3:7000\nnew\nend"
        );
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused_where_it_stands() {
        let refused = |text: &str| {
            let (source, template) = parsed(text, true);
            template.check(&source, &facts()).unwrap_err().to_string()
        };
        let unknown = refused("echo\necho {{ nod }}");
        assert!(
            unknown.starts_with("mydb.toml:3:9: no such name: \"nod\"; did you mean \"node\"?"),
            "{unknown}"
        );
        let open = refused("echo\n\n{% for n in nodes %}x");
        assert!(open.starts_with("mydb.toml:4:"), "{open}");
        let option = refused("echo\n {{ with.speed }}");
        assert!(option.starts_with("mydb.toml:3:"), "{option}");
        let wrong = refused("{{ node.adress }}");
        assert!(wrong.starts_with("mydb.toml:2:"), "{wrong}");
    }
}
