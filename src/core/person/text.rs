//! The normal form of text that identifies or names a person, and what can be wrong with a field.
//!
//! Invisible characters at the ends are stripped like whitespace: they come from copying. Inside they are refused,
//! because two names that look the same must be the same.

use unicode_normalization::UnicodeNormalization;

/// Why a field of a payload was refused. Shows the field and the shape of the value, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// The event's field, in the words of the default payload: `employee_id`, `email`, …
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not there, null, or blank.
    #[error("missing or blank")]
    Missing,
    /// There, but of another JSON type.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// The JSON types that are accepted.
        expected: &'static str,
        /// The JSON type that is there.
        found: &'static str,
    },
    /// Longer than we accept.
    #[error("{found} characters, at most {max}")]
    TooLong {
        /// Characters found.
        found: usize,
        /// Characters allowed.
        max: usize,
    },
    /// Contains control characters (Unicode category Cc), such as NUL or a line break.
    #[error("contains a control character")]
    ControlCharacter,
    /// Contains invisible characters, such as a zero-width space, between visible ones.
    #[error("contains an invisible character")]
    InvisibleCharacter,
    /// Contains a replacement character (one was lost on the way), or a code point that is not a character.
    #[error("contains U+FFFD or another code point that is not a character: part of it was lost on the way")]
    LostCharacter,
    /// Contains a non-ASCII letter that becomes ASCII when folded, such as the Kelvin sign, and would reach another
    /// person's account.
    #[error("contains a letter that passes for an ASCII one (U+{code_point:04X})")]
    Lookalike {
        /// The letter.
        code_point: u32,
    },
    /// Not of the form `local@domain`.
    #[error("not an e-mail address ({chars} characters, {at_signs} at signs)")]
    NotAnEmail {
        /// Characters found.
        chars: usize,
        /// How many `@` it has.
        at_signs: usize,
    },
    /// Not an instant in the configured unit.
    #[error("not a timestamp ({chars} characters; RFC 3339, or Unix seconds or milliseconds, is expected)")]
    NotATimestamp {
        /// Characters found.
        chars: usize,
    },
    /// An instant so long ago that no webhook can be about it.
    #[error("a time before 1990, as from a clock or a field that was never set")]
    LongPast,
    /// An address whose domain is not among those that the source's mapping allows.
    #[error("of a domain that `address_domains` does not name")]
    OtherDomain,
    /// The mapping's jq filter ends with an error.
    #[error("its jq filter fails on this record: put `?` after each part that may be missing or have another shape")]
    FilterFailed,
    /// The record could cost too much.
    #[error("the record ({values} values) is too large for its jq filter: send a smaller record, or use a path")]
    TooLargeToFilter {
        /// The record's values, at all depths.
        values: usize,
    },
    /// What a spreadsheet left in a roster's cell instead of the value.
    #[error("{what}")]
    Spreadsheet {
        /// What it is, and what to do.
        what: &'static str,
    },
    /// A value that the mapping does not list.
    #[error("a value that the mapping does not name ({chars} characters)")]
    UnknownValue {
        /// Characters found.
        chars: usize,
    },
}

impl Problem {
    /// Makes this the problem of a field.
    #[must_use]
    pub fn of(self, field: &'static str) -> InvalidField {
        InvalidField { field, problem: self }
    }
}

/// Whether a character is invisible: format characters and fillers (Unicode's `Default_Ignorable_Code_Point`),
/// variation selectors, and blanks of any kind.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Joins letters of a word in Arabic, Persian and Indic scripts, and parts of emoji: visible, in a name.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// The text without blanks and invisible characters at its ends.
#[must_use]
pub fn stripped(raw: &str) -> &str {
    let is_seen = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if is_seen(raw.as_bytes().first()) && is_seen(raw.as_bytes().last()) {
        return raw;
    }
    raw.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// An identifier in its normal form: stripped, NFC, nothing invisible and nothing lost inside, 1 to `chars_max`
/// characters.
pub(super) fn identifier(field: &'static str, raw: &str, chars_max: usize) -> Result<String, InvalidField> {
    let text = normal(field, raw, chars_max, is_invisible)?;
    if text.contains(is_no_character) { Err(Problem::LostCharacter.of(field)) } else { Ok(text) }
}

/// Replacement characters (for half of a surrogate pair, or a byte of another charset), and code points that are
/// never characters. Two ids that lost different characters would look the same.
fn is_no_character(c: char) -> bool {
    c == char::REPLACEMENT_CHARACTER || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

/// A name in its normal form: like an identifier, but joiners within a word stay.
pub(super) fn name(field: &'static str, raw: &str, chars_max: usize) -> Result<String, InvalidField> {
    normal(field, raw, chars_max, |c| is_invisible(c) && !is_joiner(c) && !is_mark(c))
}

/// Directional marks and variation selectors, which right-to-left and CJK names carry.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn normal(
    field: &'static str,
    raw: &str,
    chars_max: usize,
    is_refused: impl Fn(char) -> bool,
) -> Result<String, InvalidField> {
    let text = stripped(raw);
    // The usual case: nothing to refuse or compose.
    if (1..=chars_max).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(text.to_owned());
    }
    let chars = text.chars().count();
    if text.is_empty() {
        Err(Problem::Missing.of(field))
    } else if chars > chars_max {
        Err(Problem::TooLong { found: chars, max: chars_max }.of(field))
    } else if text.chars().any(char::is_control) {
        Err(Problem::ControlCharacter.of(field))
    } else if text.chars().any(is_refused) {
        Err(Problem::InvisibleCharacter.of(field))
    } else {
        Ok(text.nfc().collect())
    }
}
