//! Whether they should be in the team by HR's word, and under which addresses they may be there by now.

use super::Document;
use crate::core::person::{Email, Record, Timeline};
use crate::core::time::UnixMs;

/// How many addresses are noted between two attempts. A claim on one that is not noted counts for nothing: the next
/// person to whom HR gives that address gets it.
const ADDRESSES_MAX: usize = 16;

impl Document {
    /// Whether HR has said something about the membership that was not applied yet; none if HR has said nothing.
    #[must_use]
    pub fn has_new_word(&self, now: UnixMs) -> Option<bool> {
        if self.record.is_out_of_scope(now) {
            return Some(!self.left_scope);
        }
        if self.is_back_in_scope(now) {
            return Some(true);
        }
        let word = self.record.employment.at(now)?;
        Some(self.employment_done.is_none_or(|done| word.stamp > done))
    }

    /// Whether they came back into scope since the member was last up to date, which counts like a new statement on
    /// employment.
    #[must_use]
    pub fn is_back_in_scope(&self, now: UnixMs) -> bool {
        self.was_out_of_scope && !self.record.is_out_of_scope(now)
    }

    /// Drops scope if the source has no rules for it (any more): then everybody is in scope.
    pub fn heed_scope(&mut self, has_rules: bool, now: UnixMs) {
        self.was_out_of_scope |= self.record.is_out_of_scope(now);
        if !has_rules {
            self.record.scope = Timeline::default();
        }
        self.left_scope &= self.record.is_out_of_scope(now);
        self.note_format();
    }

    /// If an operator discarded what blocked them, an announced change that takes effect later counts as HR's next
    /// statement.
    pub fn follow_next(&mut self, now: UnixMs) {
        let Some(since) = self.not_followed_since else { return };
        let employment = self.record.employment.at(now).map(|word| (word.is_announced(), word.from));
        let scope = self.record.scope.at(now).map(|word| (word.is_announced(), word.from));
        if employment.into_iter().chain(scope).any(|(is_announced, from)| is_announced && from > since) {
            self.not_followed_since = None;
        }
    }

    /// Notes that the membership is as HR wants it: if somebody switches the member off at the target from now on,
    /// that is not undone.
    pub fn note_in_line(&mut self, now: UnixMs) {
        if let Some(word) = self.record.employment.at(now) {
            self.employment_done = Some(word.stamp);
        }
        self.left_scope = self.record.is_out_of_scope(now);
        self.was_out_of_scope = self.left_scope;
    }

    /// When there is something to do without another event: an announced change of employment, another read where a
    /// status seems to be late, or another try with the groups.
    #[must_use]
    pub fn next_change(&self, now: UnixMs) -> Option<UnixMs> {
        let groups = self.groups_wait.map(|wait| wait.due);
        let read = self.record.end_stands_until().filter(|until| *until > now);
        self.record.next_change(now).into_iter().chain(read).chain(groups).min()
    }

    /// Folds something that states this address. Notes this address and the previous one, since a create may go out,
    /// or have gone out, under either; and whether the person is, or was until now, out of scope.
    pub fn folding<T>(&mut self, told: Option<&Email>, now: UnixMs, fold: impl FnOnce(&mut Record) -> T) -> T {
        let before = self.record.email().filter(|_| told.is_some()).cloned();
        for email in before.iter().chain(told) {
            self.note_address(email);
        }
        self.was_out_of_scope |= self.record.is_out_of_scope(now);
        let folded = fold(&mut self.record);
        self.forget_earlier();
        self.was_out_of_scope |= self.record.is_out_of_scope(now);
        self.left_scope &= self.record.is_out_of_scope(now);
        self.note_format();
        folded
    }

    /// Forgets HR's earlier addresses once they are of no more use: a member is known, or was handed over.
    pub fn forget_earlier(&mut self) {
        let is_known = self.member.as_ref().is_some_and(|member| member.id.is_some());
        if is_known || self.record.closed.is_some() {
            self.record.earlier_emails.clear();
        }
    }

    /// The keys of HR's earlier addresses.
    pub(in crate::core::person) fn earlier_keys(&self) -> impl Iterator<Item = &str> {
        self.record.earlier_emails.iter().map(|earlier| earlier.email.key())
    }

    fn note_address(&mut self, email: &Email) {
        let place = self.addresses.binary_search_by(|known| known.key().cmp(email.key()));
        if let (Err(place), false) = (place, self.addresses.len() >= ADDRESSES_MAX) {
            self.addresses.insert(place, email.clone());
        }
    }
}
