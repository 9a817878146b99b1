//! JSON as senders write it: parsed without copying, small in memory, and tolerant of single bad escapes.
//!
//! Lives here: the value, reading it out of a body in any charset, and forms as JSON. Not here: what
//! any of it means.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use encoding_rs::{Encoding, REPLACEMENT, UTF_8};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A JSON value that borrows its texts. An object is a list of its members: with one member, it takes a tenth of the
/// memory of a map, since a body of a million tiny objects must not fill the memory.
#[derive(Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number. One beyond 64 bits is a fraction.
    Number(Number),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object, in order; if a name occurs twice, the last one counts.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Parses a text; nested [`DEPTH_MAX`] deep at most.
    ///
    /// # Errors
    /// What is wrong and where, without values.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Parses a text, and looks at the value. Values that the parser cannot hold are [`bounded`]: most likely, nobody
    /// needs them.
    ///
    /// # Errors
    /// What is wrong and where, without values.
    pub fn with<R>(text: &str, look: impl FnOnce(&Json<'_>) -> R) -> Result<R, serde_json::Error> {
        let error = match Json::parse(text) {
            Ok(json) => return Ok(look(&json)),
            Err(error) => error,
        };
        let bounded = bounded(text).ok_or(error)?;
        Json::parse(&bounded).map(|json| look(&json))
    }

    /// Whether a text or name in it contains U+FFFD, at any depth.
    #[must_use]
    pub fn has_lost_characters(&self) -> bool {
        let is_lossy = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => false,
            Self::Text(text) => is_lossy(text),
            Self::List(items) => items.iter().any(Self::has_lost_characters),
            Self::Object(members) => members.iter().any(|(name, value)| is_lossy(name) || value.has_lost_characters()),
        }
    }

    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The member of this name, or the entry at this index (RFC 6901 §4).
    #[must_use]
    pub fn step(&self, token: &str) -> Option<&Self> {
        match self {
            Self::Object(_) => self.get(token),
            Self::List(items) => items.get(index(token)?),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => None,
        }
    }

    /// A text, or a whole number of 64 bits as text; an empty text is none.
    #[must_use]
    pub fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(Cow::Borrowed(text)),
            Self::Number(number) if !number.is_f64() => Some(Cow::Owned(number.to_string())),
            Self::Text(_) | Self::Number(_) | Self::Null | Self::Bool(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The word for its type in details and explanations.
    #[must_use]
    pub fn type_word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(number) if number.is_f64() => "a fraction or a number beyond 64 bits",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

impl fmt::Debug for Json<'_> {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({})", self.type_word())
    }
}

/// RFC 6901 §4: no leading zeros, no sign.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
    canonical.then(|| token.parse().ok()).flatten()
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Json<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
                Ok(Json::Number(value.into()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
                Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
                Ok(Json::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
                Ok(Json::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                items.shrink_to_fit();
                Ok(Json::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                members.shrink_to_fit();
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A member's name, borrowed if it has no escapes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key<'a>(Cow<'a, str>);

impl Key<'_> {
    /// The name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The character encoding of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// The charset that a `Content-Type` names (RFC 9110 §8.3.2); UTF-8 if it names none.
    ///
    /// # Errors
    /// It names an unknown one.
    pub fn of(content_type: Option<&str>) -> Result<Self, UnknownCharset> {
        let parameters = content_type.unwrap_or_default().split(';').skip(1);
        let named = parameters
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        let Some((_, label)) = named else { return Ok(Self(UTF_8)) };
        let known = Encoding::for_label(label.trim().trim_matches('"').as_bytes());
        known.filter(|encoding| *encoding != REPLACEMENT).map(Self).ok_or(UnknownCharset)
    }

    /// UTF-8, the usual encoding of JSON.
    #[must_use]
    pub fn utf8() -> Self {
        Self(UTF_8)
    }

    /// The body's text, without a byte order mark; none if it is not in this charset.
    ///
    /// Text beyond ASCII that is valid UTF-8 is UTF-8, whatever single-byte charset the sender declares: many
    /// senders label every body `iso-8859-1` or `us-ascii`, and real text in these is hardly ever valid UTF-8.
    #[must_use]
    pub fn decode(self, body: &[u8]) -> Option<Cow<'_, str>> {
        if self.0.is_single_byte()
            && !body.is_ascii()
            && let Ok(text) = std::str::from_utf8(body)
        {
            return Some(Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)));
        }
        let (encoding, mark) = Encoding::for_bom(body).unwrap_or((self.0, 0));
        encoding.decode_without_bom_handling_and_without_replacement(body.get(mark..).unwrap_or_default())
    }

    /// The same with U+FFFD in place of everything that is not in this charset.
    #[must_use]
    pub fn decode_with_loss(self, body: &[u8]) -> Cow<'_, str> {
        let (encoding, mark) = Encoding::for_bom(body).unwrap_or((self.0, 0));
        encoding.decode_without_bom_handling(body.get(mark..).unwrap_or_default()).0
    }
}

/// An unknown charset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the charset is not known")]
pub struct UnknownCharset;

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

/// Steps that a form's field name may have, such as the three of `a[b][c]`.
const FORM_STEPS_MAX: usize = 16;

/// A form (`application/x-www-form-urlencoded`) as JSON: `a[b][0]=x` is a nested member, and all values are texts.
#[must_use]
pub fn form(text: &str) -> Json<'_> {
    let mut root = Json::Object(Vec::new());
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let mut steps = name
            .split('[')
            .take(FORM_STEPS_MAX)
            .enumerate()
            .map(|(n, step)| if n == 0 { step } else { step.strip_suffix(']').unwrap_or(step) });
        let place = steps.try_fold(&mut root, |place, step| {
            if !matches!(place, Json::Object(_)) {
                *place = Json::Object(Vec::new());
            }
            let Json::Object(members) = place else { return None };
            let step = if step.is_empty() { members.len().to_string() } else { step.to_owned() };
            let known = members.iter().rposition(|(other, _)| *other == step);
            let at = known.unwrap_or_else(|| {
                members.push((Cow::Owned(step), Json::Null));
                members.len() - 1
            });
            members.get_mut(at).map(|(_, value)| value)
        });
        if let Some(place) = place {
            *place = Json::Text(Cow::Owned(value.into_owned()));
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_value_borrows_and_the_last_of_two_members_counts() {
        let json = Json::parse(r#"{"a":{"b":[1,"x"]},"a":{"b":["y",2.5]}}"#).unwrap();
        let b = json.get("a").unwrap().get("b").unwrap();
        assert!(matches!(b.step("0"), Some(Json::Text(Cow::Borrowed("y")))));
        assert_eq!(b.step("1").unwrap().scalar(), None);
        assert_eq!((b.step("01"), b.step("+1"), b.step("2")), (None, None, None));
        assert_eq!(format!("{json:?}"), "Json(object)");
    }

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

    #[test]
    fn a_charset_is_read_from_the_content_type_and_an_unknown_one_is_reported() {
        let decoded = |kind: &str, body: &[u8]| Charset::of(Some(kind)).unwrap().decode(body).map(Cow::into_owned);
        assert_eq!(decoded("application/json; charset=ISO-8859-1", b"Jos\xe9").as_deref(), Some("José"));
        assert_eq!(decoded("application/json;x=1;Charset=\"windows-1252\"", b"\x80").as_deref(), Some("€"));
        assert_eq!(decoded("text/plain; charset=utf-16le", b"A\0\xe9\0").as_deref(), Some("Aé"));
        assert_eq!(decoded("application/json", b"\xef\xbb\xbf{}").as_deref(), Some("{}"));
        assert_eq!(decoded("application/json", b"\xff\xfeA\0").as_deref(), Some("A"));
        assert_eq!(decoded("application/json", b"Jos\xe9"), None);
        for label in ["us-ascii", "ISO-8859-1", "windows-1252"] {
            let labelled = format!("application/json; charset={label}");
            assert_eq!(decoded(&labelled, "Jos\u{e9}".as_bytes()).as_deref(), Some("Jos\u{e9}"), "{label}");
        }
        for unknown in
            ["application/json; charset=klingon", "application/json; charset=", "text/plain; charset=iso-2022-kr"]
        {
            assert_eq!(Charset::of(Some(unknown)), Err(UnknownCharset), "{unknown}");
        }
        assert_eq!(Charset::of(None), Ok(Charset::utf8()));
    }

    #[test]
    fn a_form_is_members_of_members() {
        let form = form("type=a+b&data%5BemployeeId%5D=7&employees[12][First%20Name]=Ada&x[]=p&x[]=q&y=1&y[z]=2");
        assert_eq!(form.get("type").unwrap().as_text(), Some("a b"));
        assert_eq!(form.get("data").unwrap().get("employeeId").unwrap().as_text(), Some("7"));
        assert_eq!(form.get("employees").unwrap().get("12").unwrap().get("First Name").unwrap().as_text(), Some("Ada"));
        assert_eq!(form.get("x").unwrap().get("1").unwrap().as_text(), Some("q"));
        assert_eq!(form.get("y").unwrap().get("z").unwrap().as_text(), Some("2"));
    }

    #[test]
    fn a_tiny_object_takes_little_memory() {
        assert!(size_of::<Json<'_>>() <= 32 && size_of::<(Cow<'_, str>, Json<'_>)>() <= 56);
    }

    proptest! {
        #[test]
        fn mending_never_makes_parsing_worse(text in "[\\[\\]{}\":,\\\\u0-9a-fd\n]{0,40}") {
            if Json::parse(&text).is_ok() {
                prop_assert_eq!(mended(&text), None);
            }
            let is_json = Json::parse(&text).is_ok();
            prop_assert!(!is_json || bounded(&text).is_none());
            let _ = form(&text);
        }

        #[test]
        fn mending_a_string_of_anything_makes_it_parse(text in "[ -~\n]{0,30}") {
            let body = format!("\"{}\"", text.replace('"', ""));
            prop_assume!(!body.ends_with("\\\""));
            let mended = mended(&body).unwrap_or(body);
            prop_assert!(Json::parse(&mended).is_ok(), "{}", mended);
        }
    }
}
