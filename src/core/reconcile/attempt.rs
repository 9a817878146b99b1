//! What an attempt knows, and how it learns from each answer.

use super::capabilities::Capabilities;
use super::groups::{self, GroupsState};
use super::owner;
use super::reply::Outcome;
use super::request::{Active, Member, Operation, Request};
use super::rules::{PlanRules, address_to_look_for, within};
use super::search::Search;
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::person::document::{JoinedGroup, Standstill, Unconfirmed, UnknownCreate};
use crate::core::person::job::Finished;
use crate::core::person::{Document, Email, EmploymentState, KnownMember, Person};
use crate::core::time::UnixMs;

/// How often a member may have changed between our look and our write before we wait.
const CHANGED_MAX: u32 = 5;

/// In so many attempts a write may be refused for a conflict that no version explains.
const CONFLICTS_MAX: u32 = 5;

/// How many values from before our own writes are kept, for a read that lags behind. Writes are paced: few are enough.
const BEFORE_MAX: usize = 8;

/// What is brought in line, each with trouble of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aspect {
    /// Whether they are in the team and switched on.
    Membership,
    /// The address.
    Address,
    /// The names.
    Names,
    /// The groups.
    Groups,
}

/// What shows a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The reply to a write.
    Written,
    /// A read, which may lag behind what was written.
    Read {
        /// By so much.
        lag_ms: u64,
    },
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The member is as HR says.
    InLine(Finished),
    /// HR has not said enough: the facts that are missing.
    Incomplete(Vec<&'static str>),
    /// It cannot be done until something changes.
    Blocked {
        /// Why.
        code: Code,
        /// Fields, shapes, ids of employees.
        detail: String,
        /// The claim that somebody else has: a commit that gives it up heals this.
        wants: Option<String>,
    },
    /// Passing trouble, of the target or of the way to it.
    TryAgain {
        /// Which.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
        /// Nobody's failure: a wait for what is known to come.
        patient: bool,
    },
    /// A refusal that nobody documents.
    Suspect {
        /// Of which call.
        operation: Operation,
        /// Its status.
        status: Option<u16>,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
    /// 429.
    RateLimited {
        /// When calls are welcome again.
        until: UnixMs,
    },
    /// The target refuses everybody.
    Hold {
        /// What.
        scope: HoldScope,
        /// Why.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
    },
}

/// The groups of a member who is taken over.
#[derive(Debug, Clone, Default)]
pub struct FormerGroups {
    joined: Vec<JoinedGroup>,
    unsure: Vec<String>,
}

impl FormerGroups {
    /// Those of whoever had the member.
    #[must_use]
    pub fn of(former: &Document) -> Self {
        Self { joined: former.groups.clone(), unsure: former.groups_unsure.clone() }
    }
}

/// What a claim on a member or an address came to.
#[derive(Debug, Clone)]
pub enum Claimed {
    /// It is this person's.
    Ours,
    /// It was taken over from somebody, in one step with a word into their inbox.
    TakenFrom {
        /// Whose it was.
        person: Person,
        /// The member as they last read or wrote it.
        member: Option<Box<KnownMember>>,
        /// What went with it, besides what was asked for.
        along: Vec<String>,
        /// The groups that they put the member into, or may have.
        groups: FormerGroups,
    },
    /// It is somebody else's.
    Others(owner::Owner),
}

/// What an attempt knows. The document is the person's own, with the inbox folded in; what is learnt
/// of the member is written into it as it is learnt.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct AttemptState {
    /// The document, as it will be committed.
    pub document: Document,
    /// The member as known at the start, by whose id and address replies are judged.
    pub(super) known: Option<KnownMember>,
    /// The member as shown by the newest reply of this attempt.
    pub(super) shown: Option<Member>,
    /// The look-up.
    pub(super) search: Search,
    /// The target says that the person is a member already.
    pub(super) already_member: bool,
    /// A create of unknown outcome may be ours: look before posting.
    pub(super) may_have_created: bool,
    /// Addresses before HR's present one under which a create of ours may have gone out.
    pub(super) former_addresses: Vec<Email>,
    /// The known id, which turned out to be nobody's, or somebody else's.
    pub(super) stale_id: Option<String>,
    /// The known id shows an address that neither HR nor we gave.
    pub(super) in_doubt: bool,
    /// Claims that are this person's, as far as this attempt asked.
    pub(super) claims: Vec<String>,
    /// What was written and shown in this attempt.
    pub(super) wrote: Vec<Operation>,
    /// A write whose effect the reply did not show: a read has to.
    pub(super) unshown: Option<Operation>,
    pub(super) created: bool,
    pub(super) adopted: bool,
    pub(super) refused: Vec<(Aspect, Code, String)>,
    /// The address was refused as every write may be.
    address_is_in_doubt: bool,
    changed: u32,
    /// A worker died in the middle of an earlier attempt, and what it may have done is not noted yet.
    pub(super) is_taken_over: bool,
    /// What is known of groups.
    pub(super) groups: GroupsState,
    /// What the target can do, where it is known.
    pub capabilities: Option<Capabilities>,
    /// The calls made.
    pub calls: u32,
    pub(super) end: Option<Conclusion>,
}

impl AttemptState {
    /// What is known at the start. `taken_over`: a worker died in the middle of an earlier attempt.
    #[must_use]
    pub fn new(mut document: Document, taken_over: bool, now: UnixMs) -> Self {
        let unknown_id = document.member.as_ref().is_none_or(|member| member.id.is_none());
        if taken_over && unknown_id && document.progress.create_unknown.is_none() {
            document.progress.create_unknown = Some(UnknownCreate::guessed(now, true));
        }
        Self {
            may_have_created: document.progress.create_unknown.is_some() || document.progress.made_unshown,
            former_addresses: Vec::new(),
            known: document.member.clone(),
            document,
            shown: None,
            search: Search::default(),
            already_member: false,
            stale_id: None,
            in_doubt: false,
            claims: Vec::new(),
            wrote: Vec::new(),
            unshown: None,
            created: false,
            adopted: false,
            refused: Vec::new(),
            address_is_in_doubt: false,
            changed: 0,
            capabilities: None,
            is_taken_over: taken_over,
            groups: GroupsState::default(),
            calls: 0,
            end: None,
        }
    }

    /// The addresses that a create may have gone out under that nobody noted, where this person has their claims, as
    /// no create is made before its claim: those before HR's present one, and that one where a worker stopped in the
    /// middle.
    #[must_use]
    pub fn addresses_in_doubt(&self) -> Vec<Email> {
        let document = &self.document;
        if document.member.as_ref().is_some_and(|member| member.id.is_some()) {
            return Vec::new();
        }
        let is_guessed = document.progress.create_unknown.is_some_and(|unknown| unknown.is_guess);
        let before = document.addresses.iter().filter(|email| !self.is_present(email));
        before.chain(document.record.email().filter(|_| is_guessed)).cloned().collect()
    }

    fn is_present(&self, email: &Email) -> bool {
        self.document.record.email().is_some_and(|present| present.key() == email.key())
    }

    /// Whether this person has the claim on such an address. Without it, no create went out.
    pub fn learn_address_in_doubt(&mut self, email: Email, is_theirs: bool, now: UnixMs) {
        if self.is_present(&email) {
            self.claims.extend(is_theirs.then(|| owner::address_key(email.lower())));
            return;
        }
        if !is_theirs {
            self.document.addresses.retain(|noted| noted.key() != email.key());
            return;
        }
        self.claims.push(owner::address_key(email.lower()));
        self.former_addresses.push(email);
        self.may_have_created = true;
        self.document.progress.create_unknown.get_or_insert(UnknownCreate::guessed(now, true));
    }

    /// The claims of this attempt, however it ends: those on groups, which its end gives up, and those on members and
    /// addresses.
    #[must_use]
    pub fn claims(&self) -> (Vec<String>, Vec<String>) {
        let others = self.claims.iter().filter(|key| !groups::is_claim(key)).cloned().collect();
        (self.groups.claims(&self.document, &self.claims), others)
    }

    /// Whether an address was refused as every write may be, and no write of this attempt shows otherwise.
    pub(super) fn doubts_address(&self) -> bool {
        self.address_is_in_doubt && self.wrote.is_empty() && !self.created
    }

    /// The addresses that are looked for, in the form that all spellings of each share: HR's present one, and those
    /// before it under which they may be.
    #[must_use]
    pub fn sought(&self) -> Vec<String> {
        let Some(email) = address_to_look_for(&self.document) else { return Vec::new() };
        let former = self.may_be_under(&email);
        former.iter().chain([&email]).map(|email| email.key().to_owned()).collect()
    }

    /// The addresses before this one under which a create of ours may have gone out, or did, or under which they were
    /// last known.
    pub(super) fn may_be_under(&self, present: &Email) -> Vec<Email> {
        let made = self.document.member.as_ref().filter(|known| known.id.is_none());
        let made = made.and_then(|known| Email::parse(&known.user_name).ok());
        let former = self.former_addresses.iter().cloned().chain(made).chain(self.last_known_address());
        former.filter(|former| former.key() != present.key()).collect()
    }

    /// The address under which a member was last known whose id is nobody's: they may have been removed, and added again
    /// by hand; or a 404 was not Postman's.
    pub(super) fn last_known_address(&self) -> Option<Email> {
        let known = self.document.member.as_ref().filter(|known| known.id.is_some() && known.id == self.stale_id);
        known.filter(|_| !self.in_doubt).and_then(|known| Email::parse(&known.user_name).ok())
    }

    /// Takes in what came of a claim.
    pub fn learn_claim(&mut self, keys: &[String], claimed: Claimed, now: UnixMs) {
        match claimed {
            Claimed::Ours => self.claims.extend_from_slice(keys),
            // Somebody is making this group, or writing it: soon they are done.
            Claimed::Others(_) if keys.iter().any(|key| groups::is_claim(key)) => {
                self.end = Some(try_again(Code::ScimMoving, None, true));
            }
            Claimed::TakenFrom { person: _, member, along, groups } => {
                self.claims.extend_from_slice(keys);
                self.claims.extend(along);
                // They may have written between our look and our claim: it is read again, by its id, and what they
                // wrote last counts against a read that lags behind.
                let is_claimed = |known: &KnownMember| {
                    let id = known.id.as_deref().map(owner::id_key);
                    let address = owner::address_key(&known.user_name);
                    id.is_some_and(|id| keys.iter().any(|key| *key == id || *key == address))
                };
                if let Some(member) = member.filter(|known| is_claimed(known))
                    && self.known.as_ref().is_none_or(|known| known.id.is_none())
                {
                    self.take_groups(&member, groups);
                    self.document.member = Some(*member);
                }
                self.shown = None;
                self.search = Search::default();
            }
            // Nothing of theirs to switch off: the account is somebody's who works there.
            Claimed::Others(owner)
                if self.leaves_with_nothing(now) && owner.keeps_it() && !owner.may_be_left_by(&self.document, now) =>
            {
                self.end = Some(Conclusion::InLine(Finished::NotAMember));
            }
            Claimed::Others(owner) => self.end = Some(self.kept_by(&owner, now)),
        }
    }

    /// The groups that the former record put the member into are this one's to take them out of.
    fn take_groups(&mut self, member: &KnownMember, groups: FormerGroups) {
        let FormerGroups { joined, unsure } = groups;
        self.document.groups.extend(joined.into_iter().filter(|group| Some(&group.member) == member.id.as_ref()));
        self.document.groups_unsure.extend(unsure);
    }

    /// Whether HR says that they have left, or are out of scope, and no member was ever theirs, or may be.
    fn leaves_with_nothing(&self, now: UnixMs) -> bool {
        let has_left = self.document.record.membership(now) == Some(EmploymentState::Left);
        has_left && self.document.member.is_none() && !self.may_have_created
    }

    /// How the attempt ends where somebody else has what is wanted.
    fn kept_by(&mut self, owner: &owner::Owner, now: UnixMs) -> Conclusion {
        let me = self.document.person.to_string();
        let blocked = |detail| Conclusion::Blocked { code: Code::ScimOwned, detail, wants: Some(owner.key.clone()) };
        let standstill = self.document.progress.standstill.take();
        if owner.ring.len() > 1 {
            let others: Vec<_> = owner.ring.iter().map(ToString::to_string).collect();
            return blocked(format!(
                "{me}, {} change places: each is to have the next one's address",
                others.join(", ")
            ));
        }
        if owner.changes_places_with(&self.document) {
            return blocked(format!("{me} and {} change places: each is to have the other's address", owner.person));
        }
        if !owner.gives_it_up() {
            return blocked(format!("{me} is to have the member of {}", owner.person));
        }
        let looked = if owner.stands_still { Some(Standstill::again(standstill, &owner.key, now)) } else { standstill };
        let is_over = owner.stands_still && looked.as_ref().is_some_and(|looked| looked.is_over(now));
        self.document.progress.standstill = looked;
        if is_over {
            let other = &owner.person;
            return blocked(format!("{me} waits for {other}, who is to give it up, and for whom no work is pending"));
        }
        try_again(Code::ScimMoving, None, true)
    }

    /// Takes in what came of `request`.
    pub fn learn(&mut self, rules: &PlanRules, request: &Request, outcome: Outcome, now: UnixMs) {
        self.calls += 1;
        let operation = request.operation();
        if let Request::Group(call) = request
            && !matches!(outcome, Outcome::Group(_) | Outcome::NoPatch)
        {
            self.groups.note_in_doubt(&mut self.document, call);
        }
        match outcome {
            Outcome::Created(member) => self.learn_created(request, member.map(|member| *member), now),
            Outcome::Member(member) => self.learn_member(rules, request, *member, now),
            Outcome::Applied => {
                self.unshown = Some(operation);
                self.shown = None;
            }
            Outcome::Members(listing) => self.search.learn(request, listing),
            Outcome::NoFilter => self.search.learn_no_filter(request),
            Outcome::NoPatch if matches!(request, Request::Group(_)) => self.groups.learn_no_patch(),
            Outcome::NoPatch => {
                let capabilities = self.capabilities.unwrap_or(Capabilities::UNTOLD);
                self.capabilities = Some(Capabilities { patch: false, ..capabilities });
            }
            Outcome::Served(capabilities) => self.capabilities = Some(capabilities),
            Outcome::Group(outcome) => {
                if let Request::Group(call) = request {
                    self.groups.learn(&mut self.document, call, outcome, operation.as_http());
                }
            }
            Outcome::AlreadyMember => {
                self.already_member = true;
                self.search = Search::default();
            }
            Outcome::NotMember if operation == Operation::Get => self.learn_nobody(),
            Outcome::Changed if request.replaces() == Some(true) => {
                self.shown = None;
                self.changed += 1;
                if self.changed > CHANGED_MAX {
                    self.end = Some(try_again(Code::ScimLag, None, false));
                }
            }
            // A read tells whether they are there, and what they are by now.
            Outcome::NotMember | Outcome::Changed => self.learn_conflict(operation),
            Outcome::UsernameRefused => {
                self.document.progress.username_refused += 1;
                if self.document.progress.username_refused >= rules.username_tries {
                    self.learn_refusal(operation, Code::ScimUsername);
                } else {
                    self.end = Some(try_again(Code::ScimUsername, None, false));
                }
            }
            Outcome::AddressRefused { is_taken, status } => {
                self.address_is_in_doubt = !is_taken && status == 403;
                self.refuse(Aspect::Address, Code::ScimAddress, operation);
            }
            Outcome::Permanent(code) => self.learn_refusal(operation, code),
            Outcome::Hold(scope, code, not_before) => {
                self.end = Some(Conclusion::Hold { scope, code, not_before });
            }
            Outcome::Suspect { not_before, status } => {
                self.end = Some(Conclusion::Suspect { operation, status: Some(status), not_before });
            }
            Outcome::RateLimited { until } => self.end = Some(Conclusion::RateLimited { until }),
            Outcome::Passing { code, not_before } => self.end = Some(try_again(code, not_before, false)),
            Outcome::Unknown { code, not_before } => {
                let answered = matches!(code, Code::ScimUnavailable | Code::HoldQuota);
                self.document.progress.create_unknown = Some(UnknownCreate::made(now, answered));
                self.end = Some(match code {
                    Code::HoldQuota => Conclusion::Hold { scope: HoldScope::All, code, not_before },
                    _ => try_again(code, not_before, false),
                });
            }
        }
    }

    /// A call was cut off in the middle: a create may have taken effect.
    pub fn learn_cut_off(&mut self, request: &Request, now: UnixMs) {
        if request.operation() == Operation::Create {
            self.document.progress.create_unknown = Some(UnknownCreate::made(now, false));
        }
        if let Request::Group(call) = request {
            self.groups.note_in_doubt(&mut self.document, call);
        }
    }

    fn learn_created(&mut self, request: &Request, member: Option<Member>, now: UnixMs) {
        let Request::Create(asked) = request else { return };
        self.created = true;
        let Some(mut member) = member else {
            // A 201 is believed; whom it made is to be shown by a look-up.
            self.document.member = Some(KnownMember {
                id: None,
                user_name: asked.user_name.clone(),
                given_name: asked.given_name.clone(),
                family_name: asked.family_name.clone(),
                active: Some(true),
                seen_at: now,
                created_at: Some(now),
                user_name_written_at: Some(now),
                user_names_before: Vec::new(),
                names_before: Vec::new(),
                names_written_at: Some(now),
                active_written_at: Some(now),
            });
            self.document.progress.made_unshown = true;
            self.document.progress.create_unknown = None;
            self.may_have_created = true;
            self.stale_id = None;
            self.search = Search::default();
            return;
        };
        if owner::address_key(&member.user_name) != owner::address_key(&asked.user_name) {
            let detail = "the reply to the create shows another userName than the one posted".to_owned();
            self.end = Some(Conclusion::Blocked { code: Code::ScimDoubt, detail, wants: None });
            return;
        }
        // A reply that leaves the names or the switch out has nothing to say against what was asked.
        if member.given_name.is_none() && member.family_name.is_none() {
            member.given_name.clone_from(&asked.given_name);
            member.family_name.clone_from(&asked.family_name);
        }
        if member.active == Active::Unknown {
            member.active = Active::On;
        }
        self.note_shown(member, Shown::Written, now);
        if let Some(known) = &mut self.document.member {
            known.created_at = Some(now);
            known.user_name_written_at = Some(now);
            known.names_written_at = Some(now);
        }
        self.document.progress.create_unknown = None;
    }

    fn learn_member(&mut self, rules: &PlanRules, request: &Request, member: Member, now: UnixMs) {
        let operation = request.operation();
        let shows_it = match request {
            Request::SetActive { active, .. } => match member.active {
                // Not shown in the reply: a read may show it, and where none does, the status has to do.
                Active::Unknown => true,
                shown => shown.known() == Some(*active),
            },
            Request::SetUserName { user_name, .. } => {
                owner::address_key(&member.user_name) == owner::address_key(user_name)
            }
            Request::Replace { .. } | Request::SetNames { .. } => has_names(&member, &self.wanted_names(&member)),
            Request::Create(_)
            | Request::Get { .. }
            | Request::Find { .. }
            | Request::FindExternalId { .. }
            | Request::Page { .. }
            | Request::Probe
            | Request::Discover
            | Request::Group(_) => {
                self.note_shown(member, Shown::Read { lag_ms: rules.read_lag_ms }, now);
                return;
            }
        };
        // A reply that shows somebody else says nothing of the member that was written.
        if !shows_it || request.member_id() != Some(&*member.id) {
            // The reply is not believed; a read shows how it is.
            self.unshown = Some(operation);
            self.shown = None;
            return;
        }
        self.wrote.push(operation);
        self.unshown = None;
        let mut member = member;
        if let (Request::SetActive { active, .. }, Active::Unknown) = (request, member.active) {
            member.active = if *active { Active::On } else { Active::Off };
        }
        let before = self.document.member.clone();
        self.note_shown(member, Shown::Written, now);
        self.note_written(operation, now);
        let (Some(before), Some(known)) = (before, &mut self.document.member) else { return };
        if operation == Operation::SetUserName {
            let lags = within(before.user_name_written_at, rules.read_lag_ms, now);
            known.user_names_before = with_one_more(before.user_names_before, lags, before.user_name);
        } else if matches!(operation, Operation::Replace | Operation::SetNames) {
            let lags = within(before.names_written_at, rules.read_lag_ms, now);
            known.names_before = with_one_more(before.names_before, lags, (before.given_name, before.family_name));
        }
    }

    /// A write has been shown to be in effect.
    pub(super) fn note_written(&mut self, operation: Operation, now: UnixMs) {
        self.document.progress.unconfirmed = None;
        let Some(known) = &mut self.document.member else { return };
        match operation {
            Operation::SetActive => known.active_written_at = Some(now),
            Operation::SetUserName => known.user_name_written_at = Some(now),
            Operation::Replace | Operation::SetNames => known.names_written_at = Some(now),
            Operation::Create
            | Operation::Get
            | Operation::Find
            | Operation::Page
            | Operation::Probe
            | Operation::Discover
            | Operation::FindGroup
            | Operation::GetGroup
            | Operation::CreateGroup
            | Operation::AddToGroup
            | Operation::RemoveFromGroup => {}
        }
    }

    /// A reply shows the member: they are known so from now on. A read may lag behind what was written: within
    /// that time one that shows what was before says nothing. Any other value is newer than ours.
    pub(super) fn note_shown(&mut self, member: Member, how: Shown, now: UnixMs) {
        let before = self
            .document
            .member
            .take()
            .filter(|known| known.id.is_none() || known.id.as_deref() == Some(member.id.as_str()));
        let written = |at: fn(&KnownMember) -> Option<UnixMs>| before.as_ref().and_then(at);
        let wrote_lately = |at: fn(&KnownMember) -> Option<UnixMs>| match how {
            Shown::Written => None,
            Shown::Read { lag_ms } => before.as_ref().filter(|known| within(at(known), lag_ms, now)),
        };
        let user_name = wrote_lately(|known| known.user_name_written_at)
            .filter(|known| {
                let shown = owner::address_key(&member.user_name);
                known.user_names_before.iter().any(|before| owner::address_key(before) == shown)
            })
            .map(|known| known.user_name.clone());
        let names = wrote_lately(|known| known.names_written_at)
            .filter(|known| {
                let shown = (&member.given_name, &member.family_name);
                known.names_before.iter().any(|(given, family)| (given, family) == shown)
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
            user_name_written_at: written(|known| known.user_name_written_at),
            user_names_before: before.as_ref().map(|known| known.user_names_before.clone()).unwrap_or_default(),
            names_written_at: written(|known| known.names_written_at),
            names_before: before.as_ref().map(|known| known.names_before.clone()).unwrap_or_default(),
            active_written_at: written(|known| known.active_written_at),
        });
        self.shown = Some(member);
    }

    /// Nobody of the known id is in the team.
    fn learn_nobody(&mut self) {
        self.shown = None;
        let known = self.document.member.as_ref().and_then(|known| known.id.clone());
        self.stale_id = known.or_else(|| self.document.listed_as.take());
        self.search = Search::default();
    }

    /// A write was refused as of a member who is another by now, or nobody: they are read at once, then in later
    /// attempts, until it is a refusal like any other.
    fn learn_conflict(&mut self, operation: Operation) {
        self.shown = None;
        self.changed += 1;
        if self.changed == 1 {
            return;
        }
        self.document.progress.conflicts += 1;
        if self.document.progress.conflicts < CONFLICTS_MAX {
            self.end = Some(try_again(Code::ScimLag, None, false));
        } else {
            self.learn_refusal(operation, Code::ScimRejected);
        }
    }

    fn learn_refusal(&mut self, operation: Operation, code: Code) {
        let aspect = match operation {
            Operation::Replace | Operation::SetNames => Aspect::Names,
            Operation::SetUserName => Aspect::Address,
            Operation::SetActive => Aspect::Membership,
            Operation::Create
            | Operation::Get
            | Operation::Find
            | Operation::Page
            | Operation::Probe
            | Operation::Discover
            | Operation::FindGroup
            | Operation::GetGroup
            | Operation::CreateGroup
            | Operation::AddToGroup
            | Operation::RemoveFromGroup => {
                let detail = format!("after {}", operation.as_http());
                self.end = Some(Conclusion::Blocked { code, detail, wants: None });
                return;
            }
        };
        self.refuse(aspect, code, operation);
    }

    /// One aspect cannot be brought in line; the others go on.
    pub(super) fn refuse(&mut self, aspect: Aspect, code: Code, operation: Operation) {
        self.refused.push((aspect, code, format!("after {}", operation.as_http())));
    }

    /// The groups cannot be brought in line.
    pub(super) fn refuse_groups(&mut self, detail: String) {
        self.refused.push((Aspect::Groups, Code::ScimGroup, detail));
    }

    pub(super) fn is_refused(&self, aspect: Aspect) -> bool {
        self.refused.iter().any(|(refused, _, _)| *refused == aspect)
    }

    pub(super) fn has_claim(&self, key: &str) -> bool {
        self.claims.iter().any(|claim| claim == key)
    }

    /// A write was answered as a success, and a read does not show it.
    pub(super) fn note_unconfirmed(&mut self, now: UnixMs) {
        let writes = self.document.progress.unconfirmed.map_or(0, |unconfirmed| unconfirmed.writes);
        self.document.progress.unconfirmed = Some(Unconfirmed { at: now, writes: writes + 1 });
    }

    /// The names that the member is to have: what HR says, else what they have.
    pub(super) fn wanted_names(&self, member: &Member) -> (Option<String>, Option<String>) {
        let record = &self.document.record;
        let given = record.given_name().map(str::to_owned).or_else(|| member.given_name.clone());
        let family = record.family_name().map(str::to_owned).or_else(|| member.family_name.clone());
        (given, family)
    }
}

pub(super) fn try_again(code: Code, not_before: Option<UnixMs>, patient: bool) -> Conclusion {
    Conclusion::TryAgain { code, not_before, patient }
}

fn has_names(member: &Member, (given, family): &(Option<String>, Option<String>)) -> bool {
    // Trimmed, since a target may trim what it stores; otherwise to the letter.
    let same = |wanted: &Option<String>, shown: &Option<String>| {
        wanted.as_deref().unwrap_or_default().trim() == shown.as_deref().unwrap_or_default().trim()
    };
    same(given, &member.given_name) && same(family, &member.family_name)
}

/// What a read may still show, the newest last: all of the time in which reads lag behind, as far as there is room.
fn with_one_more<T>(mut before: Vec<T>, lags: bool, newest: T) -> Vec<T> {
    if !lags {
        before.clear();
    }
    if before.len() >= BEFORE_MAX {
        before.remove(0);
    }
    before.push(newest);
    before
}
