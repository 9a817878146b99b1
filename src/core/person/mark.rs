//! What an operator should know about a person although nothing blocks them. Each mark is a search
//! term that nobody can type: a store finds marked people without knowing what a mark is.

/// A mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// HR sent something about them after their member was handed over to another record.
    AfterClose,
    /// The member was switched off at the target, although HR says employed.
    SwitchedOff,
    /// Their attempts keep failing.
    Failing,
    /// The HR system's API knows nobody with their id, and an operator discarded that, but they have an active member.
    GoneAtHr,
    /// They are a member, and no group has accepted them for more than a day.
    Groupless,
    /// They are a member, and the target forbids putting anybody into groups.
    GroupsForbidden,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::AfterClose, Self::SwitchedOff, Self::Failing, Self::GoneAtHr, Self::Groupless, Self::GroupsForbidden];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfterClose => "after_close",
            Self::SwitchedOff => "switched_off",
            Self::Failing => "failing",
            Self::GoneAtHr => "gone_at_hr",
            Self::Groupless => "groupless",
            Self::GroupsForbidden => "groups_forbidden",
        }
    }

    /// The search term for it: it begins with a control character, which no name, address or employee id contains.
    #[must_use]
    pub fn term(self) -> String {
        format!("\u{1}{}", self.as_str())
    }
}
