//! Values of histories as JSON, and back.

use history::Value;
use serde_json::Value as Json;

/// A history's value as JSON. `Err` if it is not one that survives the way there and back.
pub fn to_json(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(i) => Json::from(*i),
        Value::Number(n) => return Err(format!("only whole numbers of 64 bits are taken, not {n}")),
        Value::Text(s) => Json::from(&**s),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(entries) => {
            let mut map = serde_json::Map::new();
            for (key, value) in entries {
                let key = key.as_text().ok_or_else(|| format!("a key of a map must be text, not {key}"))?;
                map.insert(key.to_string(), to_json(value)?);
            }
            Json::Object(map)
        }
    })
}

/// JSON as a history's value. `Err` if it holds a number that is not a whole one of 64 bits.
pub fn from_json(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Int(n.as_i64().ok_or_else(|| format!("an unexpected number {n}"))?),
        Json::String(s) => Value::text(s),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect::<Result<_, _>>()?),
        Json::Object(map) => {
            let mut entries = Vec::new();
            for (key, value) in map {
                entries.push((Value::text(key), from_json(value)?));
            }
            entries.sort();
            Value::Map(entries.into())
        }
    })
}
