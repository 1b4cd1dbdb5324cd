//! A reader of the part of JSON Schema that ours uses. A word that it does not know is a failure, not a pass.

use serde_json::Value;

/// What is wrong with `value`, one line each. A field that is not described is wrong, too.
pub fn violations(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        match word.as_str() {
            "$schema" | "title" | "description" | "$defs" | "required" => {}
            "$ref" => {
                let path = rule.as_str().unwrap().trim_start_matches('#');
                check(
                    root,
                    root.pointer(path).unwrap_or_else(|| panic!("{path} leads nowhere")),
                    value,
                    at,
                    found,
                );
            }
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    name => panic!("no such type: {name}"),
                };
                let any = rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is));
                if !any {
                    found.push(format!("{at}: expected {rule}, found {value}"));
                }
            }
            "const" if value != rule => found.push(format!("{at}: expected {rule}, found {value}")),
            "const" => {}
            "minimum" if value.as_f64().is_some_and(|v| v < rule.as_f64().unwrap()) => {
                found.push(format!("{at}: {value} is below {rule}"));
            }
            "minimum" => {}
            "anyOf" | "oneOf" => {
                let tries = rule.as_array().unwrap().iter().map(|option| {
                    let mut inner = Vec::new();
                    check(root, option, value, at, &mut inner);
                    inner
                });
                let tries: Vec<Vec<String>> = tries.collect();
                let fitting = tries.iter().filter(|inner| inner.is_empty()).count();
                if fitting == 0 || (word == "oneOf" && fitting > 1) {
                    found.push(format!("{at}: {fitting} of {} options fit {value}", tries.len()));
                    found.extend(tries.into_iter().flatten());
                }
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{i}]"), found);
                }
            }
            "prefixItems" => {
                for (i, (item, rule)) in
                    value.as_array().into_iter().flatten().zip(rule.as_array().unwrap()).enumerate()
                {
                    check(root, rule, item, &format!("{at}[{i}]"), found);
                }
            }
            "minItems" | "maxItems" => {
                let (length, limit) = (value.as_array().map_or(0, Vec::len), rule.as_u64().unwrap() as usize);
                if (word == "minItems" && length < limit) || (word == "maxItems" && length > limit) {
                    found.push(format!("{at}: {length} items"));
                }
            }
            "properties" => {
                let Some(fields) = value.as_object() else { continue };
                for name in schema["required"].as_array().into_iter().flatten() {
                    if !fields.contains_key(name.as_str().unwrap()) {
                        found.push(format!("{at}: {name} is missing"));
                    }
                }
                for (name, field) in fields {
                    match rule.get(name) {
                        Some(rule) => check(root, rule, field, &format!("{at}.{name}"), found),
                        None => found.push(format!("{at}.{name} is not described")),
                    }
                }
            }
            "additionalProperties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    check(root, rule, field, &format!("{at}.{name}"), found);
                }
            }
            word => panic!("{at}: this reader does not know {word:?}"),
        }
    }
}
