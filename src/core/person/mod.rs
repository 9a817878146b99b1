//! What HR says about a person: facts, each with its own time, and the record, which is the newest
//! of each.
//!
//! Lives here: identities and their normal forms, events, the record and how an event folds into
//! it, the document that a store keeps for a person. Not here: what to do at the target
//! (`super::reconcile`), and where any of it is stored.

pub use self::aspect::{Aspect, OpenWrite, UnshownWrite};
pub use self::document::{Document, KnownMember, OpenJob, Trouble};
pub use self::email::{AddressHash, Email};
pub use self::employment::{Employment, EmploymentState, EmploymentWord, Scope, TimedWord, Timeline};
pub use self::event::{BesideEnd, Event, EventKind, Facts, Stated};
pub use self::fact::{Fact, Stamp, StatedAt};
pub use self::identity::{Person, PersonId, SourceName};
pub use self::inbox::{Entry, Word};
pub use self::mark::Mark;
pub use self::name::{Locale, Name};
pub use self::record::{Closed, Folded, OwnerNow, Record};
pub use self::text::{InvalidField, Problem};

mod aspect;
pub mod document;
pub mod email;
pub mod employment;
pub mod event;
pub mod fact;
pub mod fold;
pub mod identity;
pub mod inbox;
pub mod job;
pub mod label;
pub mod late_status;
pub mod letter;
pub mod mark;
pub mod name;
pub mod record;
#[cfg(test)]
pub(crate) mod samples;
pub mod story;
pub mod text;
