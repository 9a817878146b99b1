//! Where one part of the signed text ends and the next begins. A signature covers the parts in sequence, but not their
//! boundaries: somebody with a genuine delivery could move bytes from one part to the next. So a delivery is accepted
//! only if its text splits into parts in exactly one way.

use super::fields::Tolerance;
use super::scheme::{Scheme, TimeUnit};
use super::seen::Seen;
use super::template::Part;
use crate::core::time::UnixMs;

/// Longest id, in bytes, next to other parts.
const ID_BYTES_MAX: usize = 1024;
/// Longest timestamp: RFC 3339 with nanoseconds and offset has 35 bytes.
const TIME_BYTES_MAX: usize = 40;
/// Longest query, in bytes, next to other parts.
const QUERY_BYTES_MAX: usize = 2048;
/// How far from either end a boundary can lie: the longest possible length of all parts but the body.
const WINDOW_BYTES: usize = 8 * 1024;
/// More than one way; the exact number does not matter.
const SEVERAL: u8 = 2;

/// A part of the text, by what it may contain.
enum Piece<'a> {
    Fixed(&'a [u8]),
    /// Digits only.
    Digits,
    Rfc3339,
    /// Ten digits (seconds, until the year 2286), or an RFC 3339 timestamp.
    SecondsOrRfc3339,
    /// Any text that a header can hold, up to this many bytes.
    Text(usize),
    /// This address, with or without a query.
    Address(&'a [u8]),
}

/// Whether the text splits into its parts in this way only.
pub(super) fn is_clear(scheme: &Scheme, seen: &Seen<'_>) -> bool {
    let parts = scheme.signed.parts();
    let movable = |part: &&Part| matches!(part, Part::Body | Part::Timestamp | Part::Id | Part::Url);
    if parts.iter().filter(movable).count() < 2 {
        return true;
    }
    // Without a body, or with two, this cannot be decided.
    let Some(body_at) = parts.iter().position(|part| *part == Part::Body) else { return false };
    if parts.iter().filter(|part| **part == Part::Body).count() > 1 {
        return false;
    }
    let (head, tail) = (&parts[..body_at], &parts[body_at + 1..]);
    let piece = |part| piece(part, scheme, seen);
    let before: Vec<_> = head.iter().map(piece).collect();
    let after: Vec<_> = tail.iter().rev().map(piece).collect();
    let as_given = |pieces: &[Piece<'_>], part: &mut dyn Iterator<Item = &Part>| {
        pieces.iter().zip(part).all(|(piece, part)| piece.may_be(value(part, seen)))
    };
    if !as_given(&before, &mut head.iter()) || !as_given(&after, &mut tail.iter().rev()) {
        return false;
    }
    let values = |parts: &[Part]| parts.iter().flat_map(|part| value(part, seen)).copied().collect::<Vec<_>>();
    let (head, tail) = (values(head), values(tail));
    let is_json = looks_like_json(seen.body);
    let text = Text { head: &head, body: seen.body, tail: &tail };
    let begins = cuts(&before, &text.first_bytes(longest(&before)), Towards::End);
    let ends = cuts(&after, &text.last_bytes(longest(&after)), Towards::Start);
    let len = head.len() + seen.body.len() + tail.len();
    let mut ways = 0_u8;
    for (begin, begin_ways) in &begins {
        for (from_end, end_ways) in &ends {
            let end = len.saturating_sub(*from_end);
            if *begin <= end && (!is_json || text.is_json_between(*begin, end)) {
                ways = SEVERAL.min(ways + begin_ways * end_ways);
            }
        }
    }
    ways == 1
}

fn piece<'a>(part: &'a Part, scheme: &Scheme, seen: &Seen<'a>) -> Piece<'a> {
    match part {
        Part::Literal(text) => Piece::Fixed(text.as_bytes()),
        Part::Method => Piece::Fixed(seen.method.as_bytes()),
        Part::Id => Piece::Text(ID_BYTES_MAX),
        Part::Url => Piece::Address(path(seen.url).as_bytes()),
        Part::Timestamp => match &scheme.timestamp {
            // The time is not checked, so it may be any text.
            Some(rule)
                if rule.past_s == Tolerance::Off && rule.future_s == Tolerance::Off && rule.unit != TimeUnit::Auto =>
            {
                Piece::Text(TIME_BYTES_MAX)
            }
            Some(rule) => match rule.unit {
                TimeUnit::S | TimeUnit::Ms => Piece::Digits,
                TimeUnit::Rfc3339 => Piece::Rfc3339,
                TimeUnit::Auto => Piece::SecondsOrRfc3339,
            },
            None => Piece::Text(TIME_BYTES_MAX),
        },
        // Fields have bounds of their own: see `Verifier::prove`.
        Part::Body | Part::Json(_) => Piece::Fixed(&[]),
    }
}

fn value<'a>(part: &'a Part, seen: &Seen<'a>) -> &'a [u8] {
    match part {
        Part::Literal(text) => text.as_bytes(),
        Part::Method => seen.method.as_bytes(),
        Part::Id => seen.id,
        Part::Timestamp => seen.timestamp,
        // The text before the path is the same in every delivery, so it cannot move.
        Part::Url => seen.url.as_bytes(),
        Part::Body | Part::Json(_) => &[],
    }
}

/// The maximum length of these pieces together.
fn longest(pieces: &[Piece<'_>]) -> usize {
    let bytes_max = |piece: &Piece<'_>| match piece {
        Piece::Fixed(bytes) => bytes.len(),
        Piece::Digits | Piece::Rfc3339 | Piece::SecondsOrRfc3339 => TIME_BYTES_MAX,
        Piece::Text(max) => *max,
        Piece::Address(path) => path.len() + 1 + QUERY_BYTES_MAX,
    };
    pieces.iter().map(bytes_max).sum::<usize>().min(WINDOW_BYTES)
}

/// The path without its query and trailing slash, which the sender may choose.
fn path(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.strip_suffix('/').unwrap_or(path)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Towards {
    Start,
    End,
}

/// Every distance from the start at which these pieces, in this order, can end, with the number of ways to get there
/// (at most [`SEVERAL`]).
fn cuts(pieces: &[Piece<'_>], text: &[u8], towards: Towards) -> Vec<(usize, u8)> {
    let mut ways = vec![0_u8; text.len() + 1];
    ways[0] = 1;
    for piece in pieces {
        let mut next = vec![0_u8; text.len() + 1];
        if let Piece::Fixed(bytes) = piece {
            // After an id, almost every position is possible.
            behind_fixed(bytes, text, towards, &ways, &mut next);
        } else {
            for (at, ways) in ways.iter().enumerate().filter(|(_, ways)| **ways > 0) {
                let rest = match towards {
                    Towards::End => &text[at..],
                    Towards::Start => &text[..text.len() - at],
                };
                piece.each_end(rest, towards, &mut next[at..], |there| *there = SEVERAL.min(*there + ways));
            }
        }
        ways = next;
    }
    ways.into_iter().enumerate().filter(|(_, ways)| *ways > 0).collect()
}

/// The ways to get past these bytes. A single byte is compared first, to skip most positions quickly.
fn behind_fixed(fixed: &[u8], text: &[u8], towards: Towards, ways: &[u8], next: &mut [u8]) {
    let Some(last_place) = text.len().checked_sub(fixed.len()) else { return };
    let (Some(first), Some(last)) = (fixed.first(), fixed.last()) else {
        next.copy_from_slice(ways);
        return;
    };
    let mut goes_on = |at: usize, begin: usize| {
        if ways[at] > 0 && text[begin..].starts_with(fixed) {
            next[at + fixed.len()] = ways[at];
        }
    };
    match towards {
        Towards::End => {
            let places = text[..=last_place].iter().enumerate();
            places.filter(|(_, byte)| *byte == first).for_each(|(at, _)| goes_on(at, at));
        }
        Towards::Start => {
            let places = text[fixed.len() - 1..].iter().rev().enumerate();
            places.filter(|(_, byte)| *byte == last).for_each(|(at, _)| goes_on(at, last_place - at));
        }
    }
}

impl Piece<'_> {
    /// Calls `reached` with the end of each match of this piece in `text`, from its start or from its end.
    fn each_end(&self, text: &[u8], towards: Towards, places: &mut [u8], mut reached: impl FnMut(&mut u8)) {
        let taken = |length: usize| match towards {
            Towards::End => text.get(..length),
            Towards::Start => text.len().checked_sub(length).and_then(|from| text.get(from..)),
        };
        let lengths = match self {
            Self::Fixed(bytes) => bytes.len()..=bytes.len(),
            Self::Digits | Self::Rfc3339 | Self::SecondsOrRfc3339 => 1..=TIME_BYTES_MAX,
            Self::Text(max) => {
                let run = match towards {
                    Towards::End => text.iter().take(*max).take_while(|byte| is_text(**byte)).count(),
                    Towards::Start => text.iter().rev().take(*max).take_while(|byte| is_text(**byte)).count(),
                };
                return places[1..=run].iter_mut().for_each(reached);
            }
            Self::Address(path) => path.len()..=path.len() + 1 + QUERY_BYTES_MAX,
        };
        for length in lengths {
            if taken(length).is_some_and(|bytes| self.may_be(bytes)) {
                reached(&mut places[length]);
            }
        }
    }

    fn may_be(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Fixed(fixed) => bytes == *fixed,
            Self::Digits => !bytes.is_empty() && bytes.len() <= TIME_BYTES_MAX && bytes.iter().all(u8::is_ascii_digit),
            Self::Rfc3339 => {
                let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= TIME_BYTES_MAX);
                text.is_some_and(|text| UnixMs::parse_rfc3339(text).is_some())
            }
            Self::SecondsOrRfc3339 => {
                (bytes.len() == 10 && Self::Digits.may_be(bytes))
                    || (bytes.first().is_some_and(u8::is_ascii_digit) && Self::Rfc3339.may_be(bytes))
            }
            Self::Text(max) => !bytes.is_empty() && bytes.len() <= *max && bytes.iter().all(|byte| is_text(*byte)),
            Self::Address(path) => bytes.strip_prefix(*path).is_some_and(|rest| {
                let query = rest.strip_prefix(b"/").unwrap_or(rest);
                query.is_empty()
                    || (query[0] == b'?' && query.len() <= QUERY_BYTES_MAX && query.iter().copied().all(is_of_address))
            }),
        }
    }
}

/// A byte that a header's value can hold (RFC 9110 §5.5).
fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}

/// A byte that an address can hold (RFC 3986): no brace, quote or space.
fn is_of_address(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// Whether a body looks like an object or a list, by its first and last character.
fn looks_like_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    body.first().is_some_and(|byte| b"{[".contains(byte)) && body.last().is_some_and(|byte| b"}]".contains(byte))
}

/// The signed text as bytes.
struct Text<'a> {
    head: &'a [u8],
    body: &'a [u8],
    tail: &'a [u8],
}

impl Text<'_> {
    /// At most this many of its first bytes.
    fn first_bytes(&self, bytes_max: usize) -> Vec<u8> {
        let mut window = Vec::with_capacity(bytes_max);
        for part in [self.head, self.body, self.tail] {
            window.extend_from_slice(&part[..part.len().min(bytes_max - window.len())]);
        }
        window
    }

    /// At most this many of its last bytes.
    fn last_bytes(&self, bytes_max: usize) -> Vec<u8> {
        let mut left = bytes_max;
        let [tail, body, head] = [self.tail, self.body, self.head].map(|part| {
            let last = &part[part.len() - part.len().min(left)..];
            left -= last.len();
            last
        });
        [head, body, tail].concat()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        let after_head = at.checked_sub(self.head.len());
        let after_body = after_head.and_then(|at| at.checked_sub(self.body.len()));
        match (after_head, after_body) {
            (None, _) => self.head.get(at),
            (Some(at), None) => self.body.get(at),
            (_, Some(at)) => self.tail.get(at),
        }
        .copied()
    }

    /// Whether this range looks like an object or a list, by its first and last character.
    fn is_json_between(&self, begin: usize, end: usize) -> bool {
        let is_mark = |byte: u8| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(&byte);
        let first = (begin..end).map_while(|at| self.byte(at)).find(|byte| is_mark(*byte));
        let last = (begin..end).rev().map_while(|at| self.byte(at)).find(|byte| !byte.is_ascii_whitespace());
        first.is_some_and(|byte| b"{[".contains(&byte)) && last.is_some_and(|byte| b"}]".contains(&byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(signed: &str, more: &str, id: &str, timestamp: &str, url: &str, body: &str) -> bool {
        let scheme: Scheme = toml::from_str(&format!("header = 'x'\nsigned = '{signed}'\n{more}")).unwrap();
        let (timestamp, id) = (timestamp.as_bytes(), id.as_bytes());
        let seen = Seen { method: "POST", url, body: body.as_bytes(), timestamp, id, fields: &[] };
        is_clear(&scheme, &seen)
    }

    #[test]
    fn the_search_agrees_with_a_naive_one() {
        let letters = |count: u32| {
            (0..3_u32.pow(count)).map(move |n| (0..count).map(move |at| b"ab."[(n / 3_u32.pow(at) % 3) as usize]))
        };
        let texts: Vec<Vec<u8>> = (0..=5).flat_map(letters).map(Iterator::collect).collect();
        for (text, fixed) in texts.iter().flat_map(|text| texts.iter().take(13).map(move |fixed| (text, fixed))) {
            for towards in [Towards::End, Towards::Start] {
                let ways: Vec<u8> = (0..=text.len()).map(|at| u8::try_from(at % 3).unwrap()).collect();
                let (mut next, mut looked) = (vec![0; ways.len()], vec![0; ways.len()]);
                behind_fixed(fixed, text, towards, &ways, &mut next);
                for at in 0..=text.len() {
                    let is_there = match towards {
                        Towards::End => text[at..].starts_with(fixed),
                        Towards::Start => text[..text.len() - at].ends_with(fixed),
                    };
                    if is_there {
                        looked[at + fixed.len()] = ways[at];
                    }
                }
                assert_eq!(next, looked, "{text:?} {fixed:?}");
            }
        }
    }

    const SECONDS: &str = "timestamp = { from = { header = 't' } }";
    const RFC3339: &str = "timestamp = { from = { header = 't' }, unit = 'rfc3339' }";

    #[test]
    fn real_signed_content_can_be_split_in_one_way() {
        let big = format!("{{\"a\":\"{}\"}}", "1.".repeat(100_000));
        for body in [r#"{"a":1}"#, "[1]", " {\"a\":\"b.17:1\"}\n", &big] {
            assert!(clear("{id}.{timestamp}.{body}", SECONDS, "msg_2x.1a", "1700000000", "/", body), "{body}");
            assert!(clear("v0:{timestamp}:{body}", SECONDS, "", "1700000000", "/", body));
            assert!(clear("{timestamp}{body}", SECONDS, "", "1700000000", "/", body));
            assert!(clear("{body}{timestamp}", SECONDS, "", "1700000000", "/", body));
            assert!(clear("{body}:{timestamp}", RFC3339, "", "2023-11-14T22:13:20Z", "/", body));
            assert!(clear("{method}{url}{body}{timestamp}", SECONDS, "", "1700000000", "/webhooks/hr?a=1", body));
            assert!(clear("{body}", "", "", "", "/", body));
        }
        assert!(clear("{body}", "", "", "", "/", "anything 1.2"));
        // The body of the other split would not be JSON.
        assert!(clear("{id}.{timestamp}.{body}", SECONDS, "msg.1700000000", "1700000001", "/", "{}"));
    }

    #[test]
    fn content_that_could_shift_between_parts_is_ambiguous() {
        let body = r#"{"a":1}"#;
        for (signed, more, id, timestamp, url, body) in [
            // It could also be the id `msg.1700000000`, the timestamp `1700000001` and the body `{}`.
            ("{id}.{timestamp}.{body}", SECONDS, "msg", "1700000000", "/", "1700000001.{}"),
            ("{id}{timestamp}{body}", SECONDS, "msg", "1700000000", "/", body),
            ("{timestamp}{body}", SECONDS, "", "170000000", "/", r#"0{"a":1}"#),
            ("{body}{timestamp}", SECONDS, "", "700000000", "/", r#"{"a":1}1"#),
            ("{url}{body}", "", "", "", "/webhooks/hr?a", r#"=b{"a":1}"#),
            ("{url}{body}", "", "", "", "/webhooks/hr?a={", r#""b":1}"#),
            ("{url}{body}", "", "", "", "/webhooks/hr?a=[1]", body),
            ("{id}.{body}", "", "a.{", "", "/", r#""b":1}.{}"#),
        ] {
            assert!(!clear(signed, more, id, timestamp, url, body), "{signed} {id} {timestamp} {url} {body}");
        }
    }
}
