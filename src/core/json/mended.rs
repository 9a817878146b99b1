//! Texts that are nearly JSON: bad escapes and bare control characters.

use std::fmt::Write as _;

/// The text with its strings mended where a parser would reject them: half of a surrogate pair and an unknown escape
/// become U+FFFD, and a bare control character is escaped. None if there is nothing to mend.
#[must_use]
pub fn mended(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut in_string = false;
    let mut is_mended = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                in_string = !in_string;
                out.push(c);
            }
            '\\' if in_string => {
                let (escape, length, bad) = escape(rest);
                out.push_str(escape);
                taken = length;
                is_mended |= bad;
            }
            c if in_string && c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
                is_mended = true;
            }
            c => out.push(c),
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    is_mended.then_some(out)
}

/// The replacement for the escape that `rest` begins with, its length, and whether it was bad.
fn escape(rest: &str) -> (&str, usize, bool) {
    const BAD: &str = "\\ufffd";
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    };
    match rest.as_bytes().get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => (rest.get(..2).unwrap_or_default(), 2, false),
        Some(b'u') => match (unit(0), unit(6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (rest.get(..12).unwrap_or_default(), 12, false),
            (Some(0xd800..=0xdfff), _) => (BAD, 6, true),
            (Some(_), _) => (rest.get(..6).unwrap_or_default(), 6, false),
            (None, _) => (BAD, 1, true),
        },
        Some(_) | None => (BAD, 1, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::json::Json;

    #[test]
    fn half_a_pair_a_bad_escape_and_a_bare_control_character_are_mended() {
        for (bad, good) in [
            (r#"{"n":"Bob \ud83d"}"#, "Bob \u{fffd}"),
            (r#"{"n":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (r#"{"n":"\udc00x\"y"}"#, "\u{fffd}x\"y"),
            (r#"{"n":"a\xb"}"#, "a\u{fffd}xb"),
            (r#"{"n":"a\u12"}"#, "a\u{fffd}u12"),
            ("{\"n\":\"a\nb\"}", "a\nb"),
        ] {
            assert!(Json::parse(bad).is_err(), "{bad}");
            let mended = mended(bad).unwrap();
            assert_eq!(Json::parse(&mended).unwrap().get("n").unwrap().as_text(), Some(good), "{bad}");
        }
        assert_eq!(mended(r#"{"n":"\ud83d\ude00 \\ \n"}"#), None);
    }
}
