//! What an HR system says about one person, word by word, and the state after all of it.

use serde_json::{Value, json};

/// One word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// Employed, with address and names.
    Hire,
    GivenName,
    FamilyName,
    Names,
    Address,
    Leave,
}

/// After the first hire, starting at a word that depends on the person's id: a name that changes while the person is
/// away, a return, a new address, two leaves.
const LIFE: [Word; 8] =
    [Word::GivenName, Word::Leave, Word::FamilyName, Word::Hire, Word::Address, Word::Leave, Word::Hire, Word::Names];

fn place(person: &str) -> usize {
    person.bytes().map(usize::from).sum()
}

fn word(person: &str, n: u32) -> Word {
    if n == 0 { Word::Hire } else { LIFE[(place(person) + usize::try_from(n).unwrap()) % LIFE.len()] }
}

/// Whether this person's words carry the time at which they became so: then they may arrive in any order.
pub(crate) fn has_times(person: &str) -> bool {
    place(person).is_multiple_of(2)
}

/// The resulting state: each number is that of the word that set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Truth {
    pub(crate) employed: bool,
    pub(crate) given: u32,
    pub(crate) family: u32,
    pub(crate) address: u32,
}

impl Truth {
    /// The state after the first `count` words about a person.
    pub(crate) fn after(person: &str, count: u32) -> Self {
        (0..count).fold(Self::default(), |truth, n| truth.with(word(person, n), n))
    }

    fn with(self, word: Word, n: u32) -> Self {
        match word {
            Word::Hire => Self { employed: true, given: n, family: n, ..self },
            Word::GivenName => Self { given: n, ..self },
            Word::FamilyName => Self { family: n, ..self },
            Word::Names => Self { given: n, family: n, ..self },
            Word::Address => Self { address: n, ..self },
            Word::Leave => Self { employed: false, ..self },
        }
    }
}

pub(crate) fn given_name(n: u32) -> String {
    format!("Name{n}")
}

pub(crate) fn family_name(n: u32) -> String {
    format!("Of{n}")
}

pub(crate) fn address(person: &str, n: u32) -> String {
    format!("{}.{n}@example.com", person.to_lowercase())
}

/// The number at the end of a text.
pub(crate) fn number(text: &str) -> u32 {
    text.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// The person whose address this is, in lower case, and its number.
pub(crate) fn owner(address: &str) -> (String, u32) {
    let (person, n) = address.trim_end_matches("@example.com").rsplit_once('.').unwrap();
    (person.to_lowercase(), n.parse().unwrap())
}

/// The delivery of word number `n` about a person.
pub(crate) fn body(person: &str, n: u32) -> String {
    let truth = Truth::after(person, n + 1);
    let given = ("first_name", given_name(truth.given));
    let family = ("last_name", family_name(truth.family));
    let email = ("email", address(person, truth.address));
    let (kind, facts) = match word(person, n) {
        Word::Hire => ("employee.hired", vec![given, family, email]),
        Word::GivenName => ("employee.updated", vec![given]),
        Word::FamilyName => ("employee.updated", vec![family]),
        Word::Names => ("employee.renamed", vec![given, family]),
        Word::Address => ("employee.updated", vec![email]),
        Word::Leave => ("employee.left", vec![]),
    };
    let mut data = json!({ "employee_id": person });
    for (key, value) in facts {
        data[key] = Value::from(value);
    }
    let mut body = json!({ "type": kind, "data": data });
    if has_times(person) {
        body["timestamp"] = Value::from(format!("2026-11-01T10:{:02}:{:02}Z", n / 60, n % 60));
    }
    body.to_string()
}
