//! A body as it may have been before something in between rewrote it.

use std::fmt::Write as _;

use super::variants::Variant;
use crate::core::delivery::Delivery;
use crate::core::json::{Charset, Json};

/// Larger bodies are tried only unchanged: every variant costs several hashes of the whole body.
const REWRITTEN_BYTES_MAX: usize = 65_536;

/// How JSON is formatted.
#[derive(Clone, Copy)]
struct Style {
    /// Between a name and its value.
    colon: &'static str,
    /// Between entries on one line.
    comma: &'static str,
    /// Spaces per level, if each entry has a line of its own.
    indent: Option<usize>,
    /// Whether non-ASCII letters are escaped.
    is_ascii: bool,
    /// Additional characters to escape: `/` as PHP does, `<`, `>` and `&` as Go does.
    escaped: &'static str,
    /// Whether members are sorted by name.
    is_sorted: bool,
}

const COMPACT: Style = Style { colon: ":", comma: ",", indent: None, is_ascii: false, escaped: "", is_sorted: false };
const SPACED: Style = Style { colon: ": ", comma: ", ", ..COMPACT };

/// The body as received and as it may have been signed, each with what may have happened to it on the way.
pub(super) fn bodies(delivery: &Delivery) -> Vec<Variant<Vec<u8>>> {
    let body = &*delivery.body;
    let mut all = vec![Variant { value: body.to_vec(), change: None }];
    if body.len() > REWRITTEN_BYTES_MAX {
        return all;
    }
    let mut try_as = |value: Vec<u8>, change: &str| {
        if !all.iter().any(|known| known.value == value) {
            all.push(Variant { value, change: Some(change.to_owned()) });
        }
    };
    try_as(body.trim_ascii_end().to_vec(), "the body without the line break at its end, which a proxy may have added");
    try_as([body, b"\n"].concat(), "the body with a line break at its end, which a proxy may have removed");
    try_as([body, b"\r\n"].concat(), "the body with a line break at its end, which a proxy may have removed");
    let Ok(text) = std::str::from_utf8(body) else { return all };
    let line_feeds = text.replace("\r\n", "\n");
    try_as(line_feeds.replace('\n', "\r\n").into_bytes(), "the body with CR LF at the end of each line");
    try_as(line_feeds.into_bytes(), "the body with only LF at the end of each line");
    let text = Charset::utf8().decode(body);
    let Some(json) = text.as_deref().and_then(|text| Json::parse(text).ok()) else { return all };
    for (style, change) in [
        (COMPACT, "the body as compact JSON"),
        (SPACED, "the body as JSON with a space after `:` and `,`"),
        (Style { indent: Some(2), comma: ",", ..SPACED }, "the body as JSON indented by 2"),
        (Style { indent: Some(4), comma: ",", ..SPACED }, "the body as JSON indented by 4"),
        (Style { escaped: "/", ..COMPACT }, "the body as compact JSON with `/` escaped"),
        (Style { escaped: "<>&", ..COMPACT }, "the body as compact JSON with `<`, `>` and `&` escaped"),
        (Style { is_sorted: true, ..COMPACT }, "the body as compact JSON with its names sorted"),
        (Style { is_sorted: true, ..SPACED }, "the body as JSON with a space after `:` and `,`, with its names sorted"),
    ] {
        for is_ascii in [false, true] {
            let mut written = String::new();
            write(&json, Style { is_ascii, ..style }, 0, &mut written);
            try_as(written.into_bytes(), &format!("{change}: a proxy may have rewritten it"));
        }
    }
    all
}

fn write(json: &Json<'_>, style: Style, level: usize, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Json::Number(number) => out.push_str(&number.to_string()),
        Json::Text(text) => quoted(text, style, out),
        Json::List(items) => {
            enclosed('[', ']', items, style, level, out, |item, out| write(item, style, level + 1, out));
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if style.is_sorted {
                members.sort_by(|a, b| a.0.cmp(&b.0));
            }
            enclosed('{', '}', &members, style, level, out, |(name, value), out| {
                quoted(name, style, out);
                out.push_str(style.colon);
                write(value, style, level + 1, out);
            });
        }
    }
}

fn enclosed<T>(
    open: char,
    close: char,
    items: &[T],
    style: Style,
    level: usize,
    out: &mut String,
    each: impl Fn(&T, &mut String),
) {
    let line = |level: usize, out: &mut String| {
        if let Some(indent) = style.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * level));
        }
    };
    out.push(open);
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push_str(style.comma);
        }
        line(level + 1, out);
        each(item, out);
    }
    if !items.is_empty() {
        line(level, out);
    }
    out.push(close);
}

fn quoted(text: &str, style: Style, out: &mut String) {
    // Serialising text cannot fail.
    let quoted = serde_json::to_string(text).unwrap_or_default();
    for c in quoted.chars() {
        if c == '/' && style.escaped.contains(c) {
            out.push_str("\\/");
        } else if (c.is_ascii() || !style.is_ascii) && !style.escaped.contains(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_body_is_written_as_others_write_it() {
        let body = Bytes::from_static("{\"b\" :1,\"a\":[true, \"é😀\"],\"e\":{}}\n".as_bytes());
        let delivery = Delivery { method: "POST".into(), url: "/".into(), headers: vec![], body };
        let written: Vec<String> =
            bodies(&delivery).into_iter().map(|body| String::from_utf8(body.value).unwrap()).collect();
        // python3: json.dumps(v), json.dumps(v, indent=2), json.dumps(v, separators=(",", ":"), ensure_ascii=False)
        for expected in [
            r#"{"b": 1, "a": [true, "\u00e9\ud83d\ude00"], "e": {}}"#,
            "{\n  \"b\": 1,\n  \"a\": [\n    true,\n    \"\\u00e9\\ud83d\\ude00\"\n  ],\n  \"e\": {}\n}",
            r#"{"b":1,"a":[true,"é😀"],"e":{}}"#,
            // json.dumps(v, sort_keys=True, separators=(",", ":"))
            r#"{"a":[true,"\u00e9\ud83d\ude00"],"b":1,"e":{}}"#,
        ] {
            assert!(written.contains(&expected.to_owned()), "{expected} {written:?}");
        }
    }
}
