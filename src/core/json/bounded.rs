//! Values that are JSON, but that the parser cannot hold.

/// As deep as values may be nested: the parser's own bound.
const DEPTH_MAX: usize = 127;

/// The text with a replacement for each value that is JSON but cannot be held by the parser: a number beyond the
/// range of `f64` becomes 1e308, which is not an id either, and what is nested too deep becomes null. None if there is no
/// such value.
#[must_use]
pub fn bounded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut taken_to) = (String::new(), 0);
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        let (end, instead) = match byte {
            b'"' => (end_of_string(bytes, at), None),
            b'[' | b'{' if depth >= DEPTH_MAX => (end_of_container(bytes, at)?, Some("null")),
            b'[' | b'{' => {
                depth += 1;
                (at + 1, None)
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                (at + 1, None)
            }
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(bytes, at);
                let number = text.get(at..end).and_then(|number| number.parse::<f64>().ok());
                let instead = number.filter(|number| number.is_infinite());
                (end, instead.map(|number| if number > 0.0 { "1e308" } else { "-1e308" }))
            }
            _ => (at + 1, None),
        };
        if let Some(instead) = instead {
            out.push_str(text.get(taken_to..at)?);
            out.push_str(instead);
            taken_to = end;
        }
        at = end;
    }
    (taken_to > 0).then(|| out + text.get(taken_to..).unwrap_or_default())
}

/// Where the string that begins at `at` ends.
fn end_of_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_number(bytes: &[u8], at: usize) -> usize {
    let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
    at + bytes.iter().skip(at).take_while(is_part).count()
}

/// Where the list or object that begins at `at` ends; none if it does not.
fn end_of_container(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => at = end_of_string(bytes, at),
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::json::Json;

    #[test]
    fn values_beyond_the_parser_are_bounded_and_the_rest_is_unchanged() {
        let deep = |depth: usize| format!("{}7{}", r#"[{"a":"#.repeat(depth / 2), "}]".repeat(depth / 2));
        let body = format!(r#"{{"n":1e400,"m":-1{}, "deep":{},"t":"1e999 [\"","id":7}}"#, "0".repeat(400), deep(300));
        assert!(Json::parse(&body).is_err());
        let read = |json: &Json<'_>| {
            let word = |name| json.get(name).unwrap().type_word();
            let id = json.get("id").unwrap().scalar().unwrap().into_owned();
            (word("n"), word("m"), word("deep"), json.get("t").unwrap().as_text().unwrap().to_owned(), id)
        };
        let fraction = "a fraction or a number beyond 64 bits";
        let expected = (fraction, fraction, "array", "1e999 [\"".to_owned(), "7".to_owned());
        assert_eq!(Json::with(&body, read).unwrap(), expected);
        assert_eq!(bounded(&deep(126)), None);
        assert!(Json::parse(&deep(126)).is_ok() && Json::parse(&deep(128)).is_err());
        assert!(Json::parse(&bounded(&deep(128)).unwrap()).is_ok());
        for not_json in ["[".repeat(1_000), "{\"a\":1e400".to_owned(), format!("{}1", deep(300))] {
            assert!(Json::with(&not_json, |_| ()).is_err(), "{not_json:.20}");
        }
    }
}
