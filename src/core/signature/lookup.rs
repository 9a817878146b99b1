//! Finds one value in a JSON body without building a tree: the tree of a 1 MB body may take 100 MB.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The text, number, boolean or null at the end of `steps`; none if it does not exist, or if the body is not JSON. If a
/// name occurs twice, the last one counts, as it does in a tree.
pub(super) fn scalar_at(steps: &[String], body: &[u8]) -> Option<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let found = At(steps).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    found
}

/// Looks for the value this many steps down.
#[derive(Clone, Copy)]
struct At<'s>(&'s [String]);

impl At<'_> {
    /// A scalar counts only if there are no more steps.
    fn here(self, scalar: Value) -> Option<Value> {
        self.0.is_empty().then_some(scalar)
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            match self.0.split_first() {
                Some((step, rest)) if *step == name => found = map.next_value_seed(At(rest))?,
                Some(_) | None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<Value>, A::Error> {
        let wanted = self.0.split_first().and_then(|(step, rest)| Some((index(step)?, rest)));
        let mut found = None;
        for at in 0.. {
            match wanted {
                Some((index, rest)) if index == at => match list.next_element_seed(At(rest))? {
                    Some(value) => found = value,
                    None => break,
                },
                Some(_) | None => {
                    if list.next_element::<IgnoredAny>()?.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<Value>, E> {
        Ok(self.here(text.into()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Option<Value>, E> {
        Ok(self.here(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Option<Value>, E> {
        Ok(self.here(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Option<Value>, E> {
        Ok(self.here(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Option<Value>, E> {
        Ok(self.here(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(self.here(Value::Null))
    }
}

/// An array index, as JSON Pointer writes it (RFC 6901 §4).
fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    step.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(pointer: &str, body: &str) -> Option<Value> {
        let steps: Vec<String> = pointer.split('/').skip(1).map(str::to_owned).collect();
        scalar_at(&steps, body.as_bytes())
    }

    #[test]
    fn only_scalars_are_found_wherever_they_stand() {
        let body = r#"{"a":{"b":[1,{"c":"x"},null]},"d":true,"a2":{},"e":1,"e":2}"#;
        for (pointer, value) in [
            ("/a/b/0", Some(Value::from(1))),
            ("/a/b/1/c", Some("x".into())),
            ("/a/b/2", Some(Value::Null)),
            ("/d", Some(true.into())),
            ("/e", Some(2.into())),
            ("/a", None),
            ("/a/b", None),
            ("/a/b/00", None),
            ("/d/x", None),
            ("/no", None),
        ] {
            assert_eq!(find(pointer, body), value, "{pointer}");
        }
        assert_eq!(find("/d", &format!("{body} x")), None, "this is not JSON");
    }

    proptest! {
        #[test]
        fn the_scanner_agrees_with_a_parsed_tree(
            body in r#"(\{"a":(1|"x"|\[[12],\{"b":null\}\]|\{"a":2,"b":"y"\})(,"b":(-1|1\.5|true))?(,"a":3)?\}|\[\[1\]\]|x)"#,
            pointer in "(/(a|b|0|1)){1,3}",
        ) {
            let tree: Option<Value> = serde_json::from_str(&body).ok();
            let there = tree.as_ref().and_then(|tree| tree.pointer(&pointer));
            let scalar = there.filter(|value| !value.is_object() && !value.is_array()).cloned();
            prop_assert_eq!(find(&pointer, &body), scalar);
        }
    }
}
