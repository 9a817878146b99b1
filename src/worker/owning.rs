//! Claims on members and addresses, and taking them over from other people.

use bytes::Bytes;
use tracing::warn;

use super::Worker;
use super::commit::placeholder;
use super::lease::{Interrupted, LeaseGuard};
use crate::clock::new_job_id;
use crate::core::person::document::Groups;
use crate::core::person::{AddressHash, Document, Entry, KnownMember, Person, PersonId, Word};
use crate::core::reconcile::attempt::AttemptState;
use crate::core::reconcile::claim_result::ClaimResult;
use crate::core::reconcile::groups;
use crate::core::reconcile::owner::{self, Owner};
use crate::core::time::UnixMs;
use crate::store::{Former, LaneState, NewEntry, Own, Owned, PersonRow, StoreError};

/// How far to follow a ring of people who swap addresses. In a longer chain of people who wait for each other, the
/// last one's trouble is reported.
const RING_MAX: usize = 64;

/// Nobody waits for longer than this for somebody who comes first in a plan, and whose attempts end in vain.
const YIELDS_MS_MAX: u64 = 600_000;

/// A person as others see them.
enum Found {
    /// A person whose document can be read.
    Settled(Box<Settled>),
    /// There is no readable document, or it is about to change.
    Between {
        /// Who, if known.
        person: Option<Person>,
        stands_still: bool,
    },
}

struct Settled {
    /// What blocked them counts only while they are still blocked.
    document: Document,
    /// The document as stored.
    bytes: Bytes,
    state: LaneState,
    stands_still: bool,
    /// Whether claims can be taken over from them: see [`Former`].
    is_at_rest: bool,
}

/// What to take over from somebody.
struct Taking {
    former: Former,
    along: Vec<String>,
    /// The owner, if they hand over their member; none if they do not need the claims.
    from: Option<Giving>,
    stands_still: bool,
}

/// An owner who hands over their member.
struct Giving {
    person: Person,
    member: Option<Box<KnownMember>>,
    groups: Groups,
}

impl Worker {
    /// Claims members and addresses, and finds their owners if that fails. Returns the keys in question: claims of
    /// several people are taken over from one person at a time.
    pub(super) async fn own(
        &self,
        state: &mut AttemptState,
        guard: &LeaseGuard<'_>,
        keys: &[String],
    ) -> Result<(Vec<String>, ClaimResult), Interrupted> {
        if let Some(first) = self.comes_first(state, keys).await? {
            let owner = Owner::in_between(first, keys.first().map_or("", String::as_str), false);
            return Ok((keys.to_vec(), ClaimResult::Others(owner)));
        }
        let state = &*state;
        let Err(refused) = self.claim_keys(guard, keys, None).await? else {
            return Ok((keys.to_vec(), ClaimResult::Ours));
        };
        let wanted = keys.first().map_or("", String::as_str);
        let owners = self.owners(keys, &state.document).await?;
        // Look at all owners before taking anything from one.
        let mut takings = Vec::new();
        for (whose, has) in &owners {
            match self.judge(state, keys, *whose, has).await? {
                Ok(taking) => takings.push(taking),
                Err(owner) => return Ok((keys.to_vec(), ClaimResult::Others(*owner))),
            }
        }
        let between = |whose, person: Option<Person>, stands_still| {
            let person = person.or_else(|| placeholder(whose)).unwrap_or_else(|| state.document.person.clone());
            let owner = Owner::in_between(person, wanted, stands_still);
            (keys.to_vec(), ClaimResult::Others(owner))
        };
        let Some(Taking { former, along, from, stands_still }) = takings.into_iter().next() else {
            // It was given up just now.
            return Ok(between(refused, None, false));
        };
        let of_others: Vec<_> = owners.iter().skip(1).flat_map(|(_, has)| has).collect();
        let taken: Vec<_> = keys.iter().filter(|key| !of_others.contains(key)).cloned().collect();
        let whose = former.person;
        if let Err(other) = self.claim_keys(guard, &[&taken[..], &along].concat(), Some(former)).await? {
            // If there is a new owner by now, they are looked at next time.
            let (person, stands_still) = match from {
                Some(Giving { person, .. }) if other == whose => (Some(person), stands_still),
                _ => (None, stands_still && other == whose),
            };
            return Ok(between(other, person, stands_still));
        }
        let Some(Giving { person, member, groups }) = from else { return Ok((taken, ClaimResult::Ours)) };
        warn!(from = %person, "the member is taken over from another record");
        Ok((taken, ClaimResult::TakenFrom { person, member, along, groups }))
    }

    /// Somebody to whom an applied plan gave one of these keys before this person, and who has not claimed it yet, but still
    /// needs it.
    async fn comes_first(&self, state: &mut AttemptState, keys: &[String]) -> Result<Option<Person>, StoreError> {
        if keys.iter().any(|key| groups::is_claim(key)) {
            return Ok(None);
        }
        let now = self.clock.now();
        let has_waited = state.document.waiting_since.is_some_and(|since| now.ms_since(since) > YIELDS_MS_MAX);
        while let Some(first) = state.document.yields_to.first() {
            let needs_it = self.is_about_to_claim(first.id(), keys, &state.document, has_waited).await?;
            if needs_it && self.keys_of(keys, first.id()).await?.is_empty() {
                return Ok(Some(first.clone()));
            }
            state.document.yields_to.remove(0);
        }
        Ok(None)
    }

    /// Whether somebody's attempt is under way, or about to begin, and needs one of these keys, but nothing that the person
    /// has who asks.
    async fn is_about_to_claim(
        &self,
        whose: PersonId,
        keys: &[String],
        by: &Document,
        has_waited: bool,
    ) -> Result<bool, StoreError> {
        let Some(row) = self.store.person(whose).await? else { return Ok(false) };
        if row.inbox_entries > 0 {
            return Ok(true);
        }
        let is_at_work = matches!(row.lane.state, LaneState::Waiting | LaneState::Running | LaneState::Held);
        let document = row.document.as_ref().and_then(|bytes| Document::from_bytes(bytes).ok());
        let needs = document.as_ref().map(needed).unwrap_or_default();
        let has = by.member.as_ref().map(owner::claims_on).unwrap_or_default();
        let is_mutual = has.iter().any(|key| needs.contains(key));
        Ok(is_at_work && !has_waited && !is_mutual && keys.iter().any(|key| needs.contains(key)))
    }

    /// Whether an owner hands over those of the wanted keys that they have: what to take over, or why they keep it.
    async fn judge(
        &self,
        state: &AttemptState,
        keys: &[String],
        whose: PersonId,
        has: &[String],
    ) -> Result<Result<Taking, Box<Owner>>, StoreError> {
        let (document, now) = (&state.document, self.clock.now());
        let first = has.first().map_or("", String::as_str);
        let theirs = match self.find(whose).await? {
            Found::Settled(theirs) => theirs,
            Found::Between { person, stands_still } => {
                let person = person.unwrap_or_else(|| document.person.clone());
                return Ok(Err(Box::new(Owner::in_between(person, first, stands_still))));
            }
        };
        let stands_still = theirs.stands_still;
        let former = |entry| Former { person: whose, entry, document: theirs.bytes.clone(), state: theirs.state };
        let uses = owner::claims(&theirs.document);
        let Some(wanted) = has.iter().find(|key| uses.contains(*key) || groups::is_claim(key)) else {
            // For example, left behind by a worker that was killed.
            return Ok(Ok(Taking { former: former(None), along: Vec::new(), from: None, stands_still }));
        };
        let mut owner_is = Owner::of(&theirs.document, wanted, now).without(&state.gone);
        if !owner_is.hands_over_to(document, now) {
            owner_is.stands_still = stands_still;
            owner_is.ring = self.ring(&owner_is, document).await?;
            return Ok(Err(Box::new(owner_is)));
        }
        let Document { person, member, .. } = &theirs.document;
        let (to, is_another) = (document.person.clone(), !owner_is.may_be_one_with(document));
        // Their record may outlive this person's.
        let address_hash = document.record.email().map(|email| AddressHash::of(email.key()));
        let word = Word::HandedOver { to, is_another, address_hash, said_at: document.record.said_at() };
        let bytes = Bytes::from(Entry { accepted_at: now, word, trace: None }.to_bytes());
        let entry = Some(NewEntry { job: new_job_id(whose), person: person.clone(), bytes });
        // The member and the address go in one step, so that neither stays behind if the attempt is interrupted.
        let of_member = member.as_ref().map(owner::claims_on).unwrap_or_default();
        let mut along = Vec::new();
        if of_member.iter().any(|key| keys.contains(key)) {
            along = self.keys_of(&of_member, whose).await?;
            along.retain(|key| !keys.contains(key));
        }
        let (person, member) = (person.clone(), member.clone().map(Box::new));
        let giving = Giving { person, member, groups: Groups::of(&theirs.document) };
        Ok(Ok(Taking { former: former(entry), along, from: Some(giving), stands_still }))
    }

    /// The people who swap addresses with this person: each waits for the next one's address, and the last for this
    /// person's. Empty if the chain does not lead back to this person.
    async fn ring(&self, first: &Owner, by: &Document) -> Result<Vec<Person>, StoreError> {
        let Some(mine) = owner::address_given_up(by) else { return Ok(Vec::new()) };
        let mut ring = vec![first.person.clone()];
        let mut wants = first.moves_to().map(str::to_owned);
        while let Some(key) = wants.filter(|_| ring.len() < RING_MAX) {
            if key == mine {
                return Ok(ring);
            }
            let Some(whose) = self.store.owner(&key).await?.filter(|whose| *whose != by.person.id()) else { break };
            let Found::Settled(next) = self.find(whose).await? else { break };
            let next = Owner::of(&next.document, &key, self.clock.now());
            if ring.contains(&next.person) {
                break;
            }
            wants = next.moves_to().map(str::to_owned);
            ring.push(next.person);
        }
        Ok(Vec::new())
    }

    /// Whether a person who was refused a claim would get it by now.
    pub(super) async fn can_be_had(&self, key: &str, by: &Document) -> Result<bool, StoreError> {
        let Some(whose) = self.store.owner(key).await?.filter(|owner| *owner != by.person.id()) else {
            return Ok(true);
        };
        // A person who has waited long enough is woken only if they can take the claim now.
        let has_waited = by.progress.standstill.as_ref().is_some_and(|standstill| standstill.key == key);
        let Found::Settled(theirs) = self.find(whose).await? else { return Ok(!has_waited) };
        if has_waited && !theirs.is_at_rest {
            return Ok(false);
        }
        let now = self.clock.now();
        let mut owner_is = Owner::of(&theirs.document, key, now);
        let is_of_use = owner::claims(&theirs.document).contains(key);
        let can_be_taken = !is_of_use || owner_is.hands_over_to(by, now);
        if can_be_taken || has_waited {
            return Ok(can_be_taken);
        }
        owner_is.ring = self.ring(&owner_is, by).await?;
        Ok(owner_is.can_be_had_by(by, now))
    }

    /// The owners of the keys, other than this person.
    async fn owners(&self, keys: &[String], by: &Document) -> Result<Vec<(PersonId, Vec<String>)>, StoreError> {
        let mut owners: Vec<(PersonId, Vec<String>)> = Vec::new();
        for key in keys {
            let Some(whose) = self.store.owner(key).await?.filter(|whose| *whose != by.person.id()) else { continue };
            match owners.iter_mut().find(|(known, _)| *known == whose) {
                Some((_, has)) => has.push(key.clone()),
                None => owners.push((whose, vec![key.clone()])),
            }
        }
        Ok(owners)
    }

    /// Which of the keys this owner has.
    async fn keys_of(&self, keys: &[String], owner: PersonId) -> Result<Vec<String>, StoreError> {
        let mut has = Vec::new();
        for key in keys {
            if self.store.owner(key).await? == Some(owner) {
                has.push(key.clone());
            }
        }
        Ok(has)
    }

    /// A person as others see them. An inbox entry that cannot be read blocks them.
    async fn find(&self, whose: PersonId) -> Result<Found, StoreError> {
        let Some(row) = self.store.person(whose).await? else {
            return Ok(Found::Between { person: placeholder(whose), stands_still: true });
        };
        let (state, stands_still) = (row.lane.state, stands_still(&row, self.clock.now()));
        let is_at_rest = row.inbox_entries == 0 && state != LaneState::Running;
        let document = row.document.as_ref().and_then(|bytes| Document::from_bytes(bytes).ok());
        let is_settled = row.inbox_entries == 0 || state == LaneState::Blocked;
        match (document, row.document) {
            (Some(mut document), Some(bytes)) if is_settled => {
                if state != LaneState::Blocked {
                    document.trouble = None;
                }
                Ok(Found::Settled(Box::new(Settled { document, bytes, state, stands_still, is_at_rest })))
            }
            (document, _) => {
                let told = || row.inbox.iter().find_map(|entry| Entry::from_bytes(&entry.bytes)?.person());
                let person = document.map(|document| document.person).or_else(told).or_else(|| placeholder(whose));
                Ok(Found::Between { person, stands_still })
            }
        }
    }

    /// Claims keys for the person of this lease. Returns the owner if somebody else has one of them.
    async fn claim_keys(
        &self,
        guard: &LeaseGuard<'_>,
        keys: &[String],
        from: Option<Former>,
    ) -> Result<Result<(), PersonId>, Interrupted> {
        let now = self.clock.now();
        match self.store.own(now, guard.lease(), Own { keys: keys.to_vec(), from }).await? {
            Owned::Yes => Ok(Ok(())),
            Owned::By(owner) => Ok(Err(owner)),
            Owned::Stale => Err(Interrupted::LeaseLost),
        }
    }
}

/// The claims that a person needs now: on their member, and on the address that HR gives them.
fn needed(document: &Document) -> Vec<String> {
    let address = document.record.email().map(|email| owner::address_key(email.as_received()));
    document.member.iter().flat_map(owner::claims_on).chain(address).collect()
}

/// Whether nothing is about to be done about a person: they are in no queue, behind no hold, and not due.
fn stands_still(row: &PersonRow, now: UnixMs) -> bool {
    match row.lane.state {
        LaneState::Waiting | LaneState::Running | LaneState::Held => false,
        LaneState::Idle | LaneState::Scheduled | LaneState::Incomplete | LaneState::Blocked => {
            row.lane.due.is_none_or(|due| due > now)
        }
    }
}
