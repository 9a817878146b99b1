//! Claims: they keep two employees from sharing one account.

use std::collections::BTreeSet;

use super::groups;
use crate::core::person::email::compare_key;
use crate::core::person::{Document, EmploymentState, EmploymentWord, KnownMember, Person, Stamp};
use crate::core::time::UnixMs;

const EARLIER: &str = "earlier:";

/// The claim on a member.
#[must_use]
pub fn id_key(id: &str) -> String {
    format!("id:{id}")
}

/// The claim on an address, in whatever spelling.
#[must_use]
pub fn address_key(user_name: &str) -> String {
    format!("address:{}", compare_key(user_name))
}

/// The claim on the account at an address that HR named for somebody before their newest one. Nobody else adopts that
/// account until they were looked for there.
#[must_use]
pub fn earlier_key(user_name: &str) -> String {
    format!("{EARLIER}{}", compare_key(user_name))
}

/// The tag under which people are parked until a claim is given up.
#[must_use]
pub fn tag(key: &str) -> String {
    format!("owned:{key}")
}

/// The claims on a member: on their address, and on their id.
#[must_use]
pub fn claims_on(member: &KnownMember) -> Vec<String> {
    let id = member.id.as_deref().map(id_key);
    [address_key(&member.user_name)].into_iter().chain(id).collect()
}

/// The claims that a person needs: on their member, and on the addresses that HR gives them, or gave them earlier if
/// a create may have gone out under those.
#[must_use]
pub fn claims(document: &Document) -> BTreeSet<String> {
    let mut claims = BTreeSet::new();
    if document.record.closed.is_some() {
        return claims;
    }
    claims.extend(document.member.iter().flat_map(claims_on));
    // No member is created under an address that an operator discarded.
    let is_followed = document.not_followed_since.is_none() || document.progress.create_unknown.is_some();
    let named = document.record.email().filter(|_| is_followed);
    claims.extend(named.into_iter().chain(&document.addresses).map(|email| address_key(email.lower())));
    for earlier in document.record.earlier_emails.iter().filter(|_| is_followed) {
        claims.extend([address_key(earlier.email.lower()), earlier_key(earlier.email.lower())]);
    }
    claims
}

/// Whether everything that this person has may be taken over: HR says that they have left, and they were switched off
/// (or cannot be); or their member was handed over.
#[must_use]
pub fn has_left(document: &Document, is_blocked: bool, now: UnixMs) -> bool {
    // What an operator discarded is not applied until HR says something new.
    let is_stuck = is_blocked || document.not_followed_since.is_some();
    // A member who is handed over is not switched off any more, so the switch-off comes first.
    let word = document.record.employment.at(now).filter(|word| word.state == EmploymentState::Left);
    let is_followed = word.is_some_and(|word| document.employment_done.is_some_and(|done| done >= word.stamp))
        || (document.left_scope && document.record.is_out_of_scope(now));
    let is_left = document.record.membership(now) == Some(EmploymentState::Left);
    document.record.closed.is_some() || (is_left && (is_stuck || is_followed))
}

/// The person who has a claim that somebody else wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Owner {
    /// The person.
    pub person: Person,
    /// HR says that they have left, and they were switched off (or cannot be); or their member was handed over.
    pub has_left: bool,
    /// HR says that they have left, but their member is not switched off yet.
    pub is_leaving: bool,
    /// A dead letter blocks them, so nothing is about to change.
    pub is_blocked: bool,
    /// HR names another address for them than the wanted one, so they are about to give it up.
    pub moves_away: bool,
    /// The key that is wanted.
    pub key: String,
    /// No work is due for them: they are in no queue, or cannot be read.
    pub stands_still: bool,
    /// The people in one swap with the one who wants it: each waits for the next one's address, and the last
    /// for the first one's. Empty: nobody, as far as is known.
    pub ring: Vec<Person>,
    /// The claim on the address that HR names for them.
    wants: Option<String>,
    /// Given and family name, folded for comparison.
    name: (String, String),
    /// People whom HR has shown to be other human beings.
    apart_from: Vec<Person>,
    /// The SCIM id of their member.
    member: Option<String>,
    /// The claim on their member's address.
    address: Option<String>,
    /// Whether the wanted key is one of their member's.
    is_on_member: bool,
    /// When HR named the wanted address for them.
    named: Option<Stamp>,
    /// The member was there before the bridge, and got their names from it.
    is_renamed: bool,
    /// The claim is only on the account at an address that HR named for them before their newest one.
    is_of_earlier: bool,
    /// HR's newest statement about their employment.
    employed: Option<Stamp>,
}

impl Owner {
    /// Reads from the owner's document what matters to a person who wants `key`.
    #[must_use]
    pub fn of(document: &Document, key: &str, now: UnixMs) -> Self {
        // A claim on a group is soon given up, and no member is handed over with it.
        if groups::is_claim(key) {
            return Self::in_between(document.person.clone(), key, false);
        }
        let is_blocked = document.trouble.is_some() || document.not_followed_since.is_some();
        let has_left = has_left(document, is_blocked, now);
        let is_leaving = document.record.membership(now) == Some(EmploymentState::Left) && !has_left;
        let wants = document.record.email().map(|email| address_key(email.as_received()));
        let is_of_earlier = key.starts_with(EARLIER);
        let moves_away =
            is_of_earlier || (key.starts_with("address:") && wants.as_ref().is_some_and(|wanted| wanted != key));
        let newest = document.record.email.iter().map(|fact| (&fact.value, fact.stamp));
        let earlier = document.record.earlier_emails.iter().map(|earlier| (&earlier.email, earlier.stamp));
        let named = newest.chain(earlier).find(|(email, _)| address_key(email.lower()) == key);
        let named = named.map(|(_, stamp)| stamp);
        let is_renamed = document
            .member
            .as_ref()
            .is_some_and(|member| member.created_at.is_none() && member.names_written_at.is_some());
        let name = folded_name(document);
        let (person, key) = (document.person.clone(), key.to_owned());
        let (stands_still, ring) = (false, Vec::new());
        let member = id_of(document).map(str::to_owned);
        let is_on_member = document.member.as_ref().is_some_and(|member| claims_on(member).contains(&key));
        let employed = document.record.employment.at(now).map(|word| word.stamp);
        Self {
            person,
            has_left,
            is_leaving,
            is_blocked,
            moves_away,
            key,
            stands_still,
            ring,
            wants,
            name,
            apart_from: document.apart_from.clone(),
            member,
            address: address_given_up(document),
            is_on_member,
            named,
            is_renamed,
            is_of_earlier,
            employed,
        }
    }

    /// Whether HR named the wanted address for this person, too, but no longer does, and named it for the owner after
    /// that: the account under it is the owner's.
    fn was_named_after(&self, document: &Document) -> bool {
        let earlier =
            document.record.earlier_emails.iter().find(|earlier| address_key(earlier.email.lower()) == self.key);
        earlier.zip(self.named).is_some_and(|(earlier, named)| named > earlier.stamp)
    }

    /// Whether the owner's account may be this person's: HR had named its address for them before, and the owner
    /// got it with somebody else's name.
    #[must_use]
    pub fn may_have_account_of(&self, document: &Document) -> bool {
        self.is_on_member && self.is_renamed && self.was_named_after(document)
    }

    /// Whether their member has the wanted key.
    #[must_use]
    pub fn has_member_there(&self) -> bool {
        self.is_on_member
    }

    /// Whether the claim is only on the account at an address that HR named for them before their newest one.
    #[must_use]
    pub fn is_of_earlier(&self) -> bool {
        self.is_of_earlier
    }

    /// The claim on the address to which they should move, if they should.
    #[must_use]
    pub fn moves_to(&self) -> Option<&str> {
        self.wants.as_deref().filter(|_| self.moves_away)
    }

    /// Sets the ring that the owner is part of.
    #[must_use]
    pub fn in_ring(self, ring: Vec<Person>) -> Self {
        Self { ring, ..self }
    }

    /// Sets whether something blocks the owner.
    #[must_use]
    pub fn blocked(self, is_blocked: bool) -> Self {
        Self { is_blocked: self.is_blocked || is_blocked, ..self }
    }

    /// The claims on their member.
    pub fn claims_on_member(&self) -> impl Iterator<Item = String> {
        self.member.as_deref().map(id_key).into_iter().chain(self.address.clone())
    }

    /// The owner as they will be once HR's statements about them have been applied.
    #[must_use]
    pub fn followed(self) -> Self {
        Self { has_left: self.has_left || self.is_leaving, is_leaving: false, ..self }
    }

    /// Whether the person who wants it may have it, or should ask again soon instead of waiting for a change.
    #[must_use]
    pub fn can_be_had_by(&self, document: &Document, now: UnixMs) -> bool {
        self.hands_over_to(document, now) || (self.gives_it_up() && !self.changes_places_with(document))
    }

    /// Whether waiting makes sense, because they are about to give it up.
    #[must_use]
    pub fn gives_it_up(&self) -> bool {
        (self.moves_away || self.is_leaving) && !self.is_blocked
    }

    /// Whether they keep it: HR says neither that they leave nor that their address changes.
    #[must_use]
    pub fn keeps_it(&self) -> bool {
        !self.moves_away && !self.is_leaving && !self.has_left
    }

    /// An owner about whom nothing is committed yet, or whose document is just changing: the claim is tried again soon.
    #[must_use]
    pub fn in_between(person: Person, key: &str, stands_still: bool) -> Self {
        Self {
            person,
            key: key.to_owned(),
            has_left: false,
            is_leaving: false,
            is_blocked: false,
            moves_away: true,
            stands_still,
            ring: Vec::new(),
            wants: None,
            name: Default::default(),
            apart_from: Vec::new(),
            member: None,
            address: None,
            is_on_member: false,
            named: None,
            is_renamed: false,
            is_of_earlier: key.starts_with(EARLIER),
            employed: None,
        }
    }

    /// Whether they wait, directly or through others, for the very address that this person should give up, so that
    /// nobody can go first.
    #[must_use]
    pub fn changes_places_with(&self, document: &Document) -> bool {
        let has = address_given_up(document);
        !self.ring.is_empty() || (self.moves_away && has.is_some() && self.wants == has)
    }

    /// The SCIM id of a leaver's account that may still have the address this person needs. Only for a person with an
    /// account of their own, who cannot take over the leaver's: they can have the address if that account is gone, or
    /// has another one by now.
    #[must_use]
    pub fn account_in_the_way(&self, document: &Document) -> Option<&str> {
        let id =
            self.member.as_deref().filter(|_| self.has_left && self.is_on_member && self.key.starts_with("address:"));
        id.filter(|theirs| id_of(document).is_some_and(|own| own != *theirs))
    }

    /// Removes accounts that turned out not to have the address.
    #[must_use]
    pub fn without(self, accounts: &BTreeSet<String>) -> Self {
        let is_gone = self.member.as_ref().is_some_and(|id| accounts.contains(id));
        Self { is_on_member: self.is_on_member && !is_gone, ..self }
    }

    /// Whether the member is handed over: the owner has left, or it is the same human being under another id (the
    /// same name, as after a rehire). A person with a member of their own is somebody else with the same name, and cannot
    /// get an address while another member has it.
    #[must_use]
    pub fn hands_over_to(&self, document: &Document, now: UnixMs) -> bool {
        if id_of(document).is_some_and(|id| self.member.as_deref() != Some(id)) {
            return self.has_left && !self.is_on_member;
        }
        if self.was_named_after(document) && !self.may_be_one_with(document) && !self.may_have_account_of(document) {
            return false;
        }
        // An owner who is moving to another address will be there in a moment.
        let is_moving = self.moves_away && !self.is_blocked;
        self.has_left || (!is_moving && self.may_be_one_with(document) && self.counts_for(document, now))
    }

    /// Whether they may be one human being: both names are known, and the same, and HR has not shown that they are
    /// two people.
    #[must_use]
    pub fn may_be_one_with(&self, document: &Document) -> bool {
        let is_apart = self.apart_from.contains(&document.person) || document.apart_from.contains(&self.person);
        !is_apart && !self.name.1.is_empty() && self.name == folded_name(document)
    }

    /// Whether what HR says under another id (that they work there, or that they did and have left) applies to the
    /// owner's member. It must be newer than what HR says about the owner: otherwise it is about an earlier employment.
    /// Somebody whom HR has never called employed takes nothing from somebody whom it calls employed.
    fn counts_for(&self, document: &Document, now: UnixMs) -> bool {
        let hired = hired(document);
        if document.record.membership(now) == Some(EmploymentState::Left) {
            // The end of an employment that began before the owner's is no leave of the owner.
            return hired.is_some() && hired > self.employed && self.is_asked_to_leave(document, now);
        }
        // Before their first day, they take nothing from somebody who works there: that employment may go on, or end first.
        let has_begun = document.record.membership(now).is_some();
        self.is_leaving || self.employed.is_none() || (has_begun && hired > self.employed)
    }

    /// Whether HR asks for a leave that is newer than what it says about the owner. A record that only lists them as
    /// gone does not ask: it may be about an earlier employment.
    fn is_asked_to_leave(&self, document: &Document, now: UnixMs) -> bool {
        let word = document.record.employment.at(now).filter(|word| word.state == EmploymentState::Left);
        let is_newer = |word: EmploymentWord| self.employed.is_none_or(|employed| word.stamp > employed);
        !document.record.is_out_of_scope(now) && word.is_some_and(|word| !word.is_of_row && is_newer(word))
    }

    /// Whether a person leaves under an id that HR has never reported as employed. It may be another id of the
    /// owner's, or one that is no longer in use; the bridge cannot know.
    #[must_use]
    pub fn may_be_left_by(&self, document: &Document, now: UnixMs) -> bool {
        self.is_asked_to_leave(document, now) && hired(document).is_none()
    }
}

/// HR's newest statement that they are employed, in effect or not, and not withdrawn.
fn hired(document: &Document) -> Option<Stamp> {
    let words = document.record.employment.counting();
    words.filter(|word| word.state == EmploymentState::Employed).map(|word| word.stamp).max()
}

fn id_of(document: &Document) -> Option<&str> {
    document.member.as_ref().and_then(|member| member.id.as_deref())
}

/// The claim on the member's current address, which a change of address gives up.
#[must_use]
pub fn address_given_up(document: &Document) -> Option<String> {
    document.member.as_ref().map(|member| address_key(&member.user_name))
}

fn folded_name(document: &Document) -> (String, String) {
    let record = &document.record;
    let member = document.member.as_ref();
    let given = record.given_name().or(member.and_then(|member| member.given_name.as_deref()));
    let family = record.family_name().or(member.and_then(|member| member.family_name.as_deref()));
    folded(given, family)
}

/// Given and family name, folded for comparison.
pub(super) fn folded(given: Option<&str>, family: Option<&str>) -> (String, String) {
    (given.unwrap_or_default().to_lowercase(), family.unwrap_or_default().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::{Event, EventKind, Facts, Record, samples};

    fn somebody(id: &str, state: EmploymentState) -> Document {
        samples::ada(id, None, "King", state)
    }

    #[test]
    fn a_rehire_takes_over_and_a_leaver_of_the_same_name_does_not() {
        let now = UnixMs(2_000);
        let (works, mut left) = (somebody("E-1", EmploymentState::Employed), somebody("E-2", EmploymentState::Left));
        let key = address_key("ada@example.com");
        let told = |id: &str, at, kind, state| {
            let facts = Facts { employment: Some((state, None)), ..Facts::default() };
            Event { person: somebody(id, state).person, kind, at: Some(UnixMs(at)), facts }
        };
        let nobody = |id: &str| {
            let mut nobody = Document { record: Record::default(), ..somebody(id, EmploymentState::Employed) };
            nobody.record.given_name.clone_from(&works.record.given_name);
            nobody.record.family_name.clone_from(&works.record.family_name);
            nobody
        };
        let hired_at = |id: &str, at| {
            let mut hired = nobody(id);
            hired.record.fold(&told(id, at, EventKind::Hire, EmploymentState::Employed), now, 2);
            hired
        };
        assert!(Owner::of(&works, &key, now).hands_over_to(&hired_at("E-3", 1_100), now));
        let moving = samples::ada("E-1", Some("ada.king@example.com"), "King", EmploymentState::Employed);
        let moving = Owner::of(&moving, &key, now);
        assert!(moving.moves_away && !moving.hands_over_to(&hired_at("E-3", 1_100), now), "the address is free soon");
        assert!(!Owner::of(&works, &key, now).hands_over_to(&left, now));
        // A former employment whose events come late, and an id that HR has never called employed, take nothing.
        assert!(!Owner::of(&works, &key, now).hands_over_to(&hired_at("E-3", 500), now));
        assert!(!Owner::of(&works, &key, now).hands_over_to(&nobody("E-3"), now));
        assert!(Owner::of(&nobody("E-1"), &key, now).hands_over_to(&nobody("E-3"), now), "neither was called employed");
        // A person with a member of their own is somebody else of that name.
        let mut namesake = hired_at("E-5", 1_100);
        namesake.member = Some(samples::member("5", Some(true)));
        assert!(!Owner::of(&works, &key, now).hands_over_to(&namesake, now));
        let owner = Document { member: namesake.member.clone(), ..works.clone() };
        assert!(Owner::of(&owner, &key, now).hands_over_to(&namesake, now), "it is the same member");
        // A person who worked there under another id leaves under it, if that is newer; a row that lists them as gone
        // asks for nothing.
        for (hired, left_at, hands_over) in
            [(Some(1_100), 1_200, true), (Some(500), 600, false), (Some(500), 1_200, false), (None, 1_200, false)]
        {
            let mut leaver = hired.map_or_else(|| nobody("E-2"), |at| hired_at("E-2", at));
            leaver.record.fold(&told("E-2", left_at, EventKind::Leave, EmploymentState::Left), now, 3);
            let owner = Owner::of(&works, &key, now);
            let expected = (hands_over, hired.is_none());
            assert_eq!((owner.hands_over_to(&leaver, now), owner.may_be_left_by(&leaver, now)), expected, "{left_at}");
        }
        // A leaver hands over once they are switched off, or cannot be.
        let leaving = Owner::of(&left, &key, now);
        let other = samples::ada("E-4", None, "Byron", EmploymentState::Employed);
        assert!(leaving.gives_it_up() && !leaving.hands_over_to(&other, now));
        assert!(leaving.followed().hands_over_to(&other, now));
        left.not_followed_since = Some(now);
        assert!(Owner::of(&left, &key, now).hands_over_to(&other, now), "nobody switches off whose leave is discarded");
        left.not_followed_since = None;
        left.employment_done = left.record.employment.at(now).map(|word| word.stamp);
        assert!(Owner::of(&left, &key, now).hands_over_to(&other, now));
    }
}
