//! E-mail addresses, which become a `userName`.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::fact;
use super::text::{self, InvalidField, Problem};

/// Longest e-mail address, in bytes (RFC 5321 §4.5.3.1.3 less the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;

/// An e-mail address in its normal form, with the spellings that a target may use.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    as_received: String,
    lower: String,
    key: String,
}

impl Email {
    /// Parses `local@domain`. Any stricter check is the target's.
    ///
    /// A letter that is not ASCII but folds or normalises into it (the Kelvin sign, full-width
    /// letters) is refused before it is normalised: it must never reach another person's account.
    pub fn parse(raw: &str) -> Result<Self, InvalidField> {
        let as_received = text::stripped(raw);
        if let Some(c) = lookalike(as_received) {
            return Err(Problem::Lookalike { code_point: u32::from(c) }.of("email"));
        }
        let as_received = text::identifier("email", as_received, EMAIL_BYTES_MAX)?;
        let not_an_email = || {
            let chars = as_received.chars().count();
            Problem::NotAnEmail { chars, at_signs: as_received.matches('@').count() }.of("email")
        };
        let well_formed = as_received.len() <= EMAIL_BYTES_MAX
            && as_received.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty()
                    && local.len() <= 64
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && !domain.starts_with(['.', '-'])
                    && !domain.ends_with(['.', '-'])
                    && !domain.contains("..")
            })
            && !as_received.contains(|c: char| {
                c.is_whitespace() || matches!(c, ',' | ';' | ':' | '<' | '>' | '"' | '\\' | '(' | ')' | '[' | ']')
            });
        if !well_formed {
            return Err(not_an_email());
        }
        let (lower, key) = if is_plain(&as_received) {
            let lower = as_received.to_ascii_lowercase();
            (lower.clone(), lower)
        } else {
            let lower = as_received.rsplit_once('@').map_or_else(String::new, |(local, domain)| {
                format!("{}@{}", lower_local(local), domain.to_lowercase().nfc().collect::<String>())
            });
            (lower, compare_key(&as_received))
        };
        Ok(Self { as_received, lower, key })
    }

    /// As the source wrote it, stripped, in NFC.
    #[must_use]
    pub fn as_received(&self) -> &str {
        &self.as_received
    }

    /// Lower-cased: the `userName` that we send.
    #[must_use]
    pub fn lower(&self) -> &str {
        &self.lower
    }

    /// The key shared by all spellings of one address: see [`compare_key`].
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The domain in ASCII, lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The spellings to look for, likeliest first: as received, lower-cased, and each with the domain
    /// in its other script.
    #[must_use]
    pub fn spellings(&self) -> Vec<String> {
        let mut distinct: Vec<String> = Vec::new();
        let mut add = |spelling: String| {
            if !distinct.contains(&spelling) {
                distinct.push(spelling);
            }
        };
        add(self.as_received.clone());
        add(self.lower.clone());
        if let Some((local, domain)) = self.lower.rsplit_once('@') {
            let ascii = ascii_domain(domain);
            add(format!("{local}@{ascii}"));
            add(in_own_script(&self.lower));
        }
        distinct
    }

    /// Whether a `userName` is this address, in whatever spelling.
    #[must_use]
    pub fn is(&self, user_name: &str) -> bool {
        self.key == compare_key(user_name)
    }
}

/// The key shared by all spellings of one address: NFC, lower case, the domain in ASCII (IDNA).
#[must_use]
pub fn compare_key(user_name: &str) -> String {
    let text = text::stripped(user_name);
    if is_plain(text) {
        return text.to_ascii_lowercase();
    }
    let text: String = text.nfc().collect();
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{}@{}", lower_local(local), ascii_domain(domain)),
        None => text.to_ascii_lowercase(),
    }
}

/// An address with its domain in its own script, not in ASCII; as it is if IDNA rejects the domain.
#[must_use]
pub fn in_own_script(address: &str) -> String {
    if let Some((local, domain)) = address.rsplit_once('@')
        && let (unicode, Ok(())) = idna::domain_to_unicode(domain)
    {
        return format!("{local}@{unicode}");
    }
    address.to_owned()
}

/// Whether an address is all ASCII, and no part of it encodes other letters (`xn--`): then lower case is its only
/// other spelling.
fn is_plain(address: &str) -> bool {
    address.is_ascii() && !address.as_bytes().windows(4).any(|part| part.eq_ignore_ascii_case(b"xn--"))
}

/// A local part in lower case, letter by letter. A non-ASCII letter whose lower case is ASCII (a capital I with a
/// dot) stays as it is, since it makes another address.
fn lower_local(local: &str) -> String {
    let lower = local.chars().flat_map(|c| {
        let becomes_ascii = !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
        let lower: Vec<char> = if becomes_ascii { vec![c] } else { c.to_lowercase().collect() };
        lower
    });
    lower.nfc().collect()
}

/// A domain in ASCII and lower case; just in lower case if IDNA rejects it.
fn ascii_domain(domain: &str) -> String {
    idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase())
}

/// The first letter that is not ASCII but becomes ASCII when case-folded or normalised. In a domain, IDNA's
/// own case folding applies, so only normalisation counts.
fn lookalike(address: &str) -> Option<char> {
    if address.is_ascii() {
        return None;
    }
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    local
        .chars()
        .find(|&c| folds_into_ascii(c) || normalises_into_ascii(c))
        .or_else(|| domain.chars().find(|&c| normalises_into_ascii(c)))
}

/// For example the Kelvin sign, the long s, ß (`ss`), the dotless i.
fn folds_into_ascii(c: char) -> bool {
    !c.is_ascii() && (c.to_lowercase().any(|c| c.is_ascii()) || c.to_uppercase().all(|c| c.is_ascii()))
}

/// For example full-width letters and signs, ligatures, and letters in circles. Not é: NFKC composes it again, and
/// the result is not ASCII.
fn normalises_into_ascii(c: char) -> bool {
    !c.is_ascii() && c.to_string().nfkc().any(|c| c.is_ascii_graphic())
}

impl fmt::Debug for Email {
    /// Personal data stays out of logs, `{:?}` included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({} bytes)", self.as_received.len())
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidField;
    fn try_from(raw: String) -> Result<Self, InvalidField> {
        Self::parse(&raw)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.as_received
    }
}

/// A hash of an address, to recognise it: a record keeps nothing more of somebody else, who may be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct AddressHash(u32);

/// As it is stored; older versions kept the address.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kept {
    Hash(u32),
    Address(String),
}

impl From<Kept> for AddressHash {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Hash(hash) => Self(hash),
            Kept::Address(address) => Self::of(&address),
        }
    }
}

impl AddressHash {
    /// The hash that all spellings of an address share.
    #[must_use]
    pub fn of(user_name: &str) -> Self {
        Self(fact::hash(&compare_key(user_name)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_email_is_stripped_and_matches_all_its_spellings() {
        let email = Email::parse("\u{feff}  Ada.Lovelace@Example.com\u{200b} ").unwrap();
        assert_eq!(email.as_received(), "Ada.Lovelace@Example.com");
        assert_eq!(email.lower(), "ada.lovelace@example.com");
        assert_eq!(email.spellings(), ["Ada.Lovelace@Example.com", "ada.lovelace@example.com"]);
        assert!(email.is("ADA.lovelace@EXAMPLE.com"));
    }

    #[test]
    fn letters_of_any_script_are_one_address_in_either_case() {
        let email = Email::parse("\u{c5}se@example.com").unwrap();
        assert_eq!(email.lower(), "\u{e5}se@example.com");
        assert_eq!(compare_key(email.lower()), email.key());
        assert!(email.is("\u{e5}se@example.com") && email.is("A\u{30a}SE@example.com"));
        // A letter that would become an ASCII letter makes another address.
        assert_ne!(compare_key("k\u{130}m@example.com"), compare_key("kim@example.com"));
    }

    #[test]
    fn a_domain_is_compared_in_ascii_and_searched_in_both_spellings() {
        let email = Email::parse("ada@Bücher.example").unwrap();
        assert!(email.is("ada@xn--bcher-kva.example"));
        let spellings = email.spellings();
        assert!(spellings.contains(&"ada@bücher.example".to_owned()), "{spellings:?}");
        assert!(spellings.contains(&"ada@xn--bcher-kva.example".to_owned()), "{spellings:?}");
        let ascii = Email::parse("ada@xn--bcher-kva.example").unwrap();
        assert_eq!(ascii.key(), email.key());
        assert!(ascii.spellings().contains(&"ada@bücher.example".to_owned()));
    }

    #[test]
    fn a_letter_that_folds_into_ascii_is_refused_before_normalising() {
        for raw in [
            "\u{212a}im@example.com",
            "ada@e\u{ff58}ample.com",
            "me\u{17f}s@example.com",
            "a\u{ff20}b.c",
            "\u{fb01}n@example.com",
            "straße@example.com",
            "\u{131}da@example.com",
        ] {
            assert!(matches!(Email::parse(raw).unwrap_err().problem, Problem::Lookalike { .. }), "{raw:?}");
        }
        for raw in [
            "josé@example.com",
            "ada@straße.example",
            "ådne@example.com",
            "Åse@example.com",
            "пётр@example.com",
            "李@例え.jp",
        ] {
            assert!(Email::parse(raw).is_ok(), "{raw:?}");
        }
    }

    #[test]
    fn malformed_addresses_are_refused_without_showing_their_value() {
        for raw in [
            "ada",
            "@",
            "ada@",
            "@example.com",
            "a@b@c",
            "ada@exa mple.com",
            "ada@.com",
            "a\"b@c.d",
            "x@y..z",
            "a,b@c.d",
        ] {
            let error = Email::parse(raw).unwrap_err();
            assert_eq!(error.field, "email");
            assert!(!error.to_string().contains("example"), "{error}");
        }
        assert_eq!(Email::parse(" ").unwrap_err().problem, Problem::Missing);
        assert_eq!(Email::parse("a\u{200b}da@example.com").unwrap_err().problem, Problem::InvisibleCharacter);
        assert_eq!(Email::parse("ada@x.com\u{fe0f}").unwrap().as_received(), "ada@x.com");
        assert_eq!(Email::parse("ada\u{fffd}@example.com").unwrap_err().problem, Problem::LostCharacter);
        let long = format!("{}@example.com", "a".repeat(300));
        assert!(matches!(Email::parse(&long).unwrap_err().problem, Problem::TooLong { .. }));
    }

    proptest! {
        #[test]
        fn the_fast_path_gives_a_plain_address_the_same_key(local in "[ -?A-~]{1,20}", domain in "[ -?A-~]{1,30}") {
            let address = format!("{local}@{domain}");
            prop_assume!(is_plain(&address) && text::stripped(&address) == address);
            let long = format!("{}@{}", lower_local(&local), ascii_domain(&domain));
            prop_assert_eq!(compare_key(&address), long);
        }
    }

    #[test]
    fn a_kept_hash_is_read_as_it_is_and_made_of_an_address_that_an_older_version_kept() {
        let hash = AddressHash::of("Ada@Example.com");
        let stored = serde_json::to_string(&hash).unwrap();
        assert!(stored.parse::<u32>().is_ok(), "{stored}");
        for kept in [stored.as_str(), "\"ada@example.com\""] {
            assert_eq!(serde_json::from_str::<AddressHash>(kept).unwrap(), hash, "{kept}");
        }
        assert_ne!(AddressHash::of("bob@example.com"), hash);
    }
}
