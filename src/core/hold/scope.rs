//! What a hold applies to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::person::SourceName;

/// What a hold applies to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HoldScope {
    /// All work.
    All,
    /// People who would be created or switched on; updates go on.
    Creates,
    /// All writes; reads are served.
    Writes,
    /// People who would be switched off, beyond what the guard allows.
    Deactivations,
    /// People whose address would change, beyond what the guard allows.
    Addresses,
    /// People who must first be read at this source's HR system.
    Fetch(SourceName),
}

impl HoldScope {
    /// Parses the word for it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "all" => Self::All,
            "creates" => Self::Creates,
            "writes" => Self::Writes,
            "deactivations" => Self::Deactivations,
            "addresses" => Self::Addresses,
            other => Self::Fetch(SourceName::parse(other.strip_prefix("fetch:")?).ok()?),
        })
    }

    /// Whether it is one of the guard's: only an operator can let more people through.
    #[must_use]
    pub fn is_guard(&self) -> bool {
        matches!(self, Self::Deactivations | Self::Addresses)
    }
}

impl fmt::Display for HoldScope {
    /// The word for it in metrics, commands and answers, and the tag under which people wait.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Creates => f.write_str("creates"),
            Self::Writes => f.write_str("writes"),
            Self::Deactivations => f.write_str("deactivations"),
            Self::Addresses => f.write_str("addresses"),
            Self::Fetch(source) => write!(f, "fetch:{source}"),
        }
    }
}

impl TryFrom<String> for HoldScope {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a scope is all, creates, writes, deactivations, addresses or fetch:SOURCE")
    }
}

impl From<HoldScope> for String {
    fn from(scope: HoldScope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_round_trip() {
        let fetch = HoldScope::Fetch(SourceName::parse("hr").unwrap());
        for scope in [
            HoldScope::All,
            HoldScope::Creates,
            HoldScope::Writes,
            HoldScope::Deactivations,
            HoldScope::Addresses,
            fetch,
        ] {
            assert_eq!(HoldScope::parse(&scope.to_string()), Some(scope));
        }
        assert_eq!(HoldScope::parse("nobody"), None);
    }
}
