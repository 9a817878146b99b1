//! What a store fails with.

use crate::core::code::Code;

/// Why a store could not do what was asked. Nothing has changed, unless stated otherwise.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or cannot write (disk full, read-only, timed out). Temporary.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// Another process has the embedded store open.
    #[error(
        "the store at {path} is in use by another process: stop it, give this one another `[store] url`, or use Redis for several processes"
    )]
    InUse {
        /// The store's directory or address.
        path: String,
    },
    /// The store was written by a newer version.
    #[error(
        "the store has schema version {found}, this binary knows up to {known}: run the newer scim-bridge, or restore a backup from before the upgrade"
    )]
    NewerSchema {
        /// Version found.
        found: u32,
        /// Newest version known.
        known: u32,
    },
    /// The store was written by a version from before 0.1.0, whose layout this one does not read.
    #[error(
        "the store has the layout of a version that was never released (schema {found}): give this one another directory or `[store] key_prefix`, and have the HR system send again"
    )]
    OlderSchema {
        /// Version found.
        found: u32,
    },
    /// The store belongs to another target.
    #[error(
        "the store is kept for {theirs}, and this process would serve {ours}: give it another directory or `[store] key_prefix`"
    )]
    OtherTarget {
        /// Whose it is.
        theirs: String,
        /// Who asks.
        ours: String,
    },
    /// A page was asked for by a cursor that no page of that list gave.
    #[error("this cursor does not come from a page of this list")]
    Cursor,
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store's server does not serve. It is tried again automatically. A write may have happened if the code is
    /// [`Code::StoreLost`], [`Code::StoreTimeout`] or [`Code::StoreNotDurable`].
    #[error("{code}: {} ({detail})", code.title())]
    Trouble {
        /// What kind of trouble: one of the `STORE-` codes.
        code: Code,
        /// Where, and the server's error word; never keys, values or secrets.
        detail: String,
    },
}

impl StoreError {
    /// Its stable code, if it has one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Trouble { code, .. } => Some(*code),
            Self::NewerSchema { .. } => Some(Code::StoreNewerSchema),
            Self::Damaged(_) => Some(Code::StoreDamaged),
            Self::Unavailable(_)
            | Self::InUse { .. }
            | Self::OlderSchema { .. }
            | Self::OtherTarget { .. }
            | Self::Cursor => None,
        }
    }

    /// The code under which it is reported and counted.
    #[must_use]
    pub fn told_as(&self) -> Code {
        self.code().unwrap_or(Code::StoreUnwritable)
    }

    /// Whether the call may have taken effect despite the error.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(
            self,
            Self::Trouble { code: Code::StoreLost | Code::StoreTimeout | Code::StoreNotDurable, .. }
                | Self::Unavailable(_)
        )
    }

    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Trouble { .. } => true,
            Self::InUse { .. }
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::OtherTarget { .. }
            | Self::Cursor
            | Self::Damaged(_) => false,
        }
    }
}
