//! One byte form for one JSON value, so that a digest or a signature over it means the value.

use serde::Serialize;
use serde_json::Value;

/// `value` with its keys sorted by code point, without white space, strings as serde_json escapes them.
///
/// # Errors
/// When `value` cannot be JSON at all (a map with keys that are not strings).
pub fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::new();
    write(&serde_json::to_value(value)?, &mut out)?;
    Ok(out)
}

/// The first number of `value` that is not an integer, as a path (`a.b[2]`). Signed metadata may
/// not hold any: two libraries rarely print them alike.
pub fn find_float(value: &Value) -> Option<String> {
    match value {
        Value::Number(n) if !n.is_i64() && !n.is_u64() => Some(String::new()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(i, item)| find_float(item).map(|rest| join(&format!("[{i}]"), &rest))),
        Value::Object(map) => map
            .iter()
            .find_map(|(key, item)| find_float(item).map(|rest| join(key, &rest))),
        _ => None,
    }
}

fn join(head: &str, rest: &str) -> String {
    if rest.is_empty() || rest.starts_with('[') {
        format!("{head}{rest}")
    } else {
        format!("{head}.{rest}")
    }
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            // Sorted here: whether serde_json keeps keys sorted depends on a feature that any
            // crate of the build may switch on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            out.push(b'{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key)?;
                out.push(b':');
                write(item, out)?;
            }
            out.push(b'}');
        }
        scalar => serde_json::to_writer(&mut *out, scalar)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [ {"z": 1, "a": "\u{e9}\n"} ], "a": null, "B": true});
        let text = String::from_utf8(to_vec(&value).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"B\":true,\"a\":null,\"b\":[{\"a\":\"\u{e9}\\n\",\"z\":1}]}"
        );
    }

    #[test]
    fn floats_are_found() {
        assert_eq!(
            find_float(&json!({"a": [1, {"b": 0.5}]})).unwrap(),
            "a[1].b"
        );
        assert_eq!(find_float(&json!({"a": [1, -2, u64::MAX]})), None);
    }
}
