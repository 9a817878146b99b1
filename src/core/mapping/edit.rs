//! Correcting one field of a kept payload: its value is replaced or, if it is missing, inserted. Every other byte
//! stays.

use serde_json::value::RawValue;

use super::kept::step;
use super::path::Path;

/// The body `text`, in which the field at `path` has this value. The path starts at the record at `record_at` (a JSON
/// pointer), unless it is one of the whole body. None if the path is more than a list of names, if it leads through
/// something other than an object, or if the text has no such record.
#[must_use]
pub fn corrected(text: &str, record_at: &str, path: &str, value: &str) -> Option<String> {
    let path = Path::parse(path).ok()?;
    let names = path.plain_names().filter(|names| !names.is_empty())?;
    let mut raw: &RawValue = serde_json::from_str(text).ok()?;
    if !path.is_of_whole_body() {
        for name in record_at.split('/').skip(1) {
            raw = step(raw, name)?;
        }
    }
    let value = serde_json::Value::from(value);
    for (n, name) in names.iter().enumerate() {
        if let Some(next) = step(raw, name) {
            raw = next;
            continue;
        }
        let within = raw.get().strip_prefix('{')?;
        let missing = names[n + 1..].iter().rev().fold(value, |inner, name| serde_json::json!({ (*name): inner }));
        let comma = if within.trim_start().starts_with('}') { "" } else { "," };
        let member = format!("{{{}:{missing}{comma}{within}", serde_json::Value::from(*name));
        return replaced(text, raw, &member);
    }
    replaced(text, raw, &value.to_string())
}

fn replaced(text: &str, raw: &RawValue, by: &str) -> Option<String> {
    let start = raw.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some([text.get(..start)?, by, text.get(start + raw.get().len()..)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_replaced_and_everything_else_stays_byte_for_byte() {
        let text = r#"{ "n": 1.50,"data" : {"email":"a#b", "tags":[1 ,2]} }"#;
        let right = r#"{ "n": 1.50,"data" : {"email":"a@b \"c\"", "tags":[1 ,2]} }"#;
        assert_eq!(corrected(text, "", "/data/email", "a@b \"c\"").as_deref(), Some(right));
        assert_eq!(corrected(text, "", "root:/n", "x").unwrap(), text.replace("1.50", "\"x\""));
    }

    #[test]
    fn a_missing_field_is_inserted() {
        assert_eq!(corrected("{}", "", "/data/email", "a@b").unwrap(), r#"{"data":{"email":"a@b"}}"#);
        let there = r#"{"data":{"id":1}}"#;
        assert_eq!(corrected(there, "", "/data/email", "a@b").unwrap(), r#"{"data":{"email":"a@b","id":1}}"#);
    }

    #[test]
    fn a_record_of_a_batch_is_corrected_in_place() {
        let text = r#"{"events":[{"e":"x"},{"e":"y"}]}"#;
        assert_eq!(corrected(text, "/events/1", "/e", "z").unwrap(), r#"{"events":[{"e":"x"},{"e":"z"}]}"#);
        assert_eq!(corrected(text, "/events/7", "/e", "z"), None, "a record that does not exist");
    }

    #[test]
    fn only_plain_paths_through_objects_are_accepted() {
        for path in ["/emails[type=work]/value", "/tags[*]", "{/a} {/b}", "", "key:", "/n/deeper"] {
            assert_eq!(corrected(r#"{"n":1,"emails":[],"tags":[]}"#, "", path, "x"), None, "{path}");
        }
        assert_eq!(corrected("not json", "", "/a", "x"), None);
    }
}
