//! Jobs: accepted events until they have ended, and how they end.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::identity::PersonId;

/// A job's id, also that of the dead letter it may become: 32 hex digits, time-ordered (a UUID of
/// version 7). Its last 62 bits are the number of the person it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(pub u128);

const PERSON_MASK: u128 = (1 << 62) - 1;

impl JobId {
    /// Makes an id for this person from a fresh random one.
    #[must_use]
    pub fn about(fresh: u128, person: PersonId) -> Self {
        Self((fresh & !PERSON_MASK) | u128::from(person.0) & PERSON_MASK)
    }

    /// The person that the job is about. For an id that [`JobId::about`] did not make, this is nobody who exists.
    #[must_use]
    pub fn person(self) -> PersonId {
        PersonId(u64::try_from(self.0 & PERSON_MASK).unwrap_or_default())
    }

    /// Parses 32 hex digits; dashes, as in a UUID, are allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a job id is 32 hex digits")
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

/// How a job ended well: the `outcome` in metrics, console and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finished {
    /// We created the member.
    Created,
    /// The member was in the team already, and belongs to this person from now on.
    Adopted,
    /// The outcome of our POST is unknown, the next one was answered "already a member", and no look-up finds them:
    /// most likely our invitation is open. No SCIM id is known.
    Invited,
    /// Something was written.
    Updated,
    /// Switched off.
    Deactivated,
    /// Everything was as it should be; nothing was written.
    Unchanged,
    /// Newer statements had outdated it, or everything was known already.
    Superseded,
    /// There is nobody to change: the person is not in the team, and HR has not said that they should be.
    NotAMember,
    /// The person's member was handed over to another person's record; nothing was applied.
    HandedOver,
    /// An operator discarded it.
    Discarded,
}

impl Finished {
    /// The word for it in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "adopted",
            Self::Invited => "invited",
            Self::Updated => "updated",
            Self::Deactivated => "deactivated",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::NotAMember => "not_a_member",
            Self::HandedOver => "handed_over",
            Self::Discarded => "discarded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_person_and_round_trips() {
        let id = JobId::about(0x0193_7b2c_0000_7abc_8fff_ffff_ffff_ffff, PersonId(42));
        assert_eq!(id.person(), PersonId(42));
        assert_eq!(id.to_string(), "01937b2c00007abc800000000000002a");
        assert_eq!(JobId::parse(&id.to_string()), Some(id));
        assert_eq!(JobId::parse("01937b2c-0000-7abc-8000-00000000002a"), Some(id));
        assert_eq!(JobId::parse("x"), None);
    }
}
