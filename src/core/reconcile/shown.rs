//! Updates what is known about a member from what a reply shows.

use super::attempt::AttemptState;
use super::conclusion::Aspect;
use super::request::{Member, Operation};
use super::rules::within;
use crate::core::person::KnownMember;
use crate::core::time::UnixMs;

/// Which kind of reply shows the member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShownBy {
    /// The reply to a write.
    Write,
    /// A read, which may lag behind what was written.
    Read {
        /// By this much.
        lag_ms: u64,
    },
}

impl AttemptState {
    /// Updates the known member from a reply. A read may lag behind our write: within that time, a value from before
    /// the write is ignored, unless HR does not want it and a write of unknown outcome may have brought it back. Any
    /// other value is newer than ours.
    pub(super) fn note_shown(&mut self, member: Member, by: ShownBy, now: UnixMs) {
        let wanted = |aspect| self.document.wanted(aspect, now);
        let wanted = (wanted(Aspect::Address), wanted(Aspect::Names));
        let before = self
            .document
            .member
            .take()
            .filter(|known| known.id.is_none() || known.id.as_deref() == Some(member.id.as_str()));
        let written = |at: fn(&KnownMember) -> Option<UnixMs>| before.as_ref().and_then(at);
        let wrote_lately = |at: fn(&KnownMember) -> Option<UnixMs>| match by {
            ShownBy::Write => None,
            ShownBy::Read { lag_ms } => before.as_ref().filter(|known| within(at(known), lag_ms, now)),
        };
        let user_name = wrote_lately(|known| known.user_name_written_at)
            .filter(|known| {
                let shown = KnownMember::address_hash(&member.user_name);
                let is_undone = wanted.0 != Some(shown) && known.may_have(Aspect::Address, shown);
                known.address_hashes_before.contains(&shown) && !is_undone
            })
            .map(|known| known.user_name.clone());
        let names = wrote_lately(|known| known.names_written_at)
            .filter(|known| {
                let (given, family) = (member.given_name.as_deref(), member.family_name.as_deref());
                let shown = KnownMember::open_names(given, family);
                let is_undone = wanted.1 != Some(shown) && known.may_have(Aspect::Names, shown);
                known.name_hashes_before.contains(&KnownMember::name_hash(given, family)) && !is_undone
            })
            .map(|known| (known.given_name.clone(), known.family_name.clone()));
        let (given_name, family_name) =
            names.unwrap_or_else(|| (member.given_name.clone(), member.family_name.clone()));
        let active = wrote_lately(|known| known.active_written_at).and_then(|known| known.active);
        self.document.member = Some(KnownMember {
            id: Some(member.id.clone()),
            user_name: user_name.unwrap_or_else(|| member.user_name.clone()),
            given_name,
            family_name,
            active: active.or(member.active.known()).or(before.as_ref().and_then(|known| known.active)),
            seen_at: now,
            created_at: written(|known| known.created_at),
            is_unshown: false,
            user_name_written_at: written(|known| known.user_name_written_at),
            address_hashes_before: before.as_ref().map(|known| known.address_hashes_before.clone()).unwrap_or_default(),
            names_written_at: written(|known| known.names_written_at),
            name_hashes_before: before.as_ref().map(|known| known.name_hashes_before.clone()).unwrap_or_default(),
            active_written_at: written(|known| known.active_written_at),
            open_writes: before.as_ref().map(|known| known.open_writes.clone()).unwrap_or_default(),
        });
        self.note_guessed();
        self.shown = Some(member);
    }

    /// Notes that a write has been shown to be in effect.
    pub(super) fn note_written(&mut self, operation: Operation, now: UnixMs) {
        if let Some(aspect) = Aspect::written_by(operation) {
            self.document.progress.note_shown(aspect);
        }
        let Some(known) = &mut self.document.member else { return };
        if let Some(aspect) = Aspect::written_by(operation) {
            known.cover(aspect, now);
        }
        match Aspect::written_by(operation) {
            Some(Aspect::Membership) => known.active_written_at = Some(now),
            Some(Aspect::Address) => known.user_name_written_at = Some(now),
            Some(Aspect::Names) => known.names_written_at = Some(now),
            Some(Aspect::Groups) | None => {}
        }
    }
}
