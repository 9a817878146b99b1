//! The overall plan: what would be done for everybody, and what it would cost.
//!
//! People are read twice, one by one: first what each of them has, so that the plan meets the same
//! refusals as the worker, then what would be done for each. No document is kept in memory.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::members::{ListedMember, MemberList};
use super::plan_report::PlanReport;
use super::planned::PlannedPerson;
use super::selection::{Change, Selection};
use crate::core::code::Code;
use crate::core::guard::GuardOptions;
use crate::core::limiter::Rate;
use crate::core::person::fold::fold;
use crate::core::person::{Document, Email, EmploymentState, Entry, KnownMember, Person, Word};
use crate::core::reconcile::claims::Turn;
use crate::core::reconcile::owner::{self, Owner, id_key};
use crate::core::reconcile::plan::PlanRules;
use crate::core::reconcile::preview::{Claims, Preview, preview_in};
use crate::core::reconcile::request::{Active, Member};
use crate::core::time::UnixMs;

/// How many people who were created or invited are marked as shown by one list at most; the next list marks the rest.
const SHOWN_MAX: usize = 1_000;
/// Up to this many members, or a tenth of the roster's rows, change their owner without somebody having seen the plan: now and
/// then a person gets another id.
const TAKEN_UNSEEN_MAX: u64 = 2;
/// How many of them a warning names.
const TAKEN_NAMED: usize = 3;
/// The source of members who are not in HR and were switched off for an operator. No configured source can have this
/// name.
pub const NOT_IN_HR: &str = "not-in-hr";

/// What to do for a person of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The import of their row, if they have one that is not applied.
    pub import: Option<String>,
    /// The SCIM id of the member that the list has for them.
    pub member: Option<String>,
    /// The people to whom the plan gives a member or an address before this person claims it.
    pub after: Vec<Person>,
}

/// What planning for one person came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// They wait for what somebody gives up who is not planned for yet.
    Later,
    /// What an apply must do, if it covers them.
    Now(Option<Planned>),
}

/// A member who is not in HR, to be switched off for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The SCIM id.
    pub id: String,
    /// `userName`
    pub user_name: String,
}

/// The input of a plan.
#[derive(Debug, Clone)]
pub struct PlanTerms<'t> {
    /// How calls are planned.
    pub rules: &'t PlanRules,
    /// What the guard lets through.
    pub guard: GuardOptions,
    /// The target's limits, for writes and for reads.
    pub rates: (Rate, Rate),
    /// The current import of each source; rows of other imports do not count. Empty for a drift report.
    pub imports: BTreeMap<String, String>,
    /// Whether HR's side is completely known: each import was complete and every row was accepted. Otherwise a person
    /// missing there may still work there.
    pub hr_is_whole: bool,
    /// The people whom an `apply` covers.
    pub selection: &'t Selection,
    /// The ids of all groups at the target, if they are known.
    pub groups: Option<BTreeSet<String>>,
    /// Whether to leave out people with work under way, and people who are reported elsewhere.
    pub only_idle: bool,
    /// The current time.
    pub now: UnixMs,
}

/// The result of planning.
#[derive(Debug)]
pub struct PlanOutcome {
    /// The plan.
    pub report: PlanReport,
    /// Strangers in the selection.
    pub strangers: Vec<Stranger>,
    /// Why an apply must be confirmed by somebody who has seen the plan.
    pub must_be_seen: Option<String>,
    /// People who have changes beyond those that were selected, and are left as they are.
    pub left_out: u64,
    /// Names that match nobody in the plan.
    pub not_found: Vec<String>,
    /// People whose member is not as HR says.
    pub different: u64,
    /// People who were not compared, because a dead letter blocks them or was discarded.
    pub not_compared: u64,
    /// People whom so far only the reply to their create had shown and who are in the list of members, with their ids
    /// there.
    pub shown: Vec<(Person, String)>,
    /// Since when each person in the list `invited` is.
    pub invited_since: Vec<UnixMs>,
    /// Whether the list of members is reliable: complete, and not much smaller than what is known.
    pub is_reliable: bool,
    /// Whether members who are not in HR can be determined: both sides must be complete.
    pub knows_strangers: bool,
}

/// A plan in the making.
pub struct Planner<'t> {
    terms: PlanTerms<'t>,
    list: MemberList,
    claims: Claims,
    taken: HashSet<usize>,
    known: u64,
    gone: u64,
    left_out: u64,
    different: u64,
    not_compared: u64,
    /// People whose dead letter was discarded.
    discarded: u64,
    /// People without an address who may be any of the members.
    unaddressed: u64,
    shown: Vec<(Person, String)>,
    /// For people who seem to have one member together with somebody else: who.
    shared: BTreeMap<Person, Person>,
    /// The selected people who would take over somebody's member, and from whom.
    taking: Vec<(Person, Person)>,
    /// The selected people who would get the member of somebody of another name who has left.
    inheriting: Vec<(Person, Person)>,
    /// People with a row.
    rows: u64,
    invited_since: Vec<UnixMs>,
    /// The hashed addresses of people whom a roster names, and whom the mapping excludes.
    spared: HashSet<u32>,
    found: HashSet<String>,
    reads: u64,
    writes: u64,
    digest: u64,
    report: PlanReport,
}

impl<'t> Planner<'t> {
    /// A plan against this list of members.
    #[must_use]
    pub fn new(terms: PlanTerms<'t>, list: MemberList) -> Self {
        Self {
            terms,
            list,
            claims: Claims::new(),
            taken: HashSet::new(),
            known: 0,
            gone: 0,
            left_out: 0,
            different: 0,
            not_compared: 0,
            discarded: 0,
            unaddressed: 0,
            shown: Vec::new(),
            shared: BTreeMap::new(),
            taking: Vec::new(),
            inheriting: Vec::new(),
            rows: 0,
            invited_since: Vec::new(),
            spared: HashSet::new(),
            found: HashSet::new(),
            reads: 0,
            writes: 0,
            digest: 0,
            report: PlanReport::default(),
        }
    }

    /// Collects warnings before the plan is applied.
    pub fn warn(&mut self, warning: String) {
        self.report.warnings.push(warning);
    }

    /// Members with these hashed addresses ([`KnownMember::address_hash`]) are no strangers.
    pub fn spare(&mut self, addresses: impl IntoIterator<Item = u32>) {
        self.spared.extend(addresses);
    }

    fn is_of_hr(document: &Document) -> bool {
        document.record.closed.is_none() && document.person.source.as_str() != NOT_IN_HR
    }

    /// Notes a person's claims, and what their row makes of these. This is done for everybody before anybody is planned
    /// for.
    pub fn note(&mut self, mut document: Document) {
        let Some(member) = document.member.clone().filter(|_| Self::is_of_hr(&document)) else { return };
        if let Some(id) = &member.id {
            self.known += 1;
            self.gone += u64::from(!self.list.has(id));
        }
        if self.is_named(&document) {
            self.staged(&mut document);
        }
        for key in owner::claims_on(&member) {
            let owner = Owner::of(&document, &key, self.terms.now);
            let is_id = member.id.as_ref().is_some_and(|id| id_key(id) == key);
            let before = self.claims.insert(key, owner).filter(|_| is_id).map(|owner| owner.person);
            if let Some(other) = before.filter(|other| *other != document.person) {
                self.shared.insert(document.person.clone(), other.clone());
                self.shared.insert(other, document.person.clone());
            }
        }
    }

    /// Whether the selection may cover a person: it names nobody, or them.
    fn is_named(&self, document: &Document) -> bool {
        let named = || {
            let id = document.member.as_ref().and_then(|member| member.id.clone());
            !self.terms.selection.names(&planned_person(document, id)).is_empty()
        };
        self.terms.selection.people.is_none() || named()
    }

    /// Plans for a person.
    pub fn plan(&mut self, mut document: Document, turn: Turn) -> Decided {
        let is_idle = document.open.is_empty() && document.trouble.is_none() && document.owed_read.is_none();
        if document.person.source.as_str() == NOT_IN_HR {
            return Decided::Now(None);
        }
        let claims_before = document.member.as_ref().map(owner::claims_on).unwrap_or_default();
        let import = self.staged(&mut document);
        if document.record.closed.is_some() {
            return Decided::Now(self.plan_closed(&document, import));
        }
        if let Some(groups) = &self.terms.groups {
            // Nobody is in a group that was deleted.
            document.groups.retain(|joined| groups.contains(&joined.id));
        }
        let places = self.list.of(&document, self.terms.rules.target.finds_by_external_id);
        let listed = places.iter().filter_map(|place| self.list.at(*place)).map(|listed| listed.member.clone());
        let listed: Vec<Member> = listed.collect();
        if self.terms.only_idle && (!is_idle || document.not_followed_since.is_some()) {
            let is_stuck = document.trouble.is_some() || document.not_followed_since.is_some();
            self.not_compared += u64::from(is_stuck);
            self.taken.extend(&places);
            self.report.people += 1;
            return Decided::Now(None);
        }
        if !self.terms.only_idle && document.not_followed_since.is_some() {
            return Decided::Now(self.plan_discarded(&document, import, &places));
        }
        let has_left = document.record.membership(self.terms.now) == Some(EmploymentState::Left);
        if turn == Turn::First && has_left && document.member.is_none() && !listed.is_empty() {
            // Whoever works there under that address has the member.
            return Decided::Later;
        }
        self.claims.begin(turn);
        let (rules, now) = (self.terms.rules, self.terms.now);
        let previewed = preview_in(document.clone(), listed.clone(), &self.list, &mut self.claims, rules, now);
        let Some((preview, after, members)) = previewed else {
            self.claims.undo();
            return Decided::Later;
        };
        self.taken.extend(&places);
        self.report.people += 1;
        self.rows += u64::from(import.is_some());
        if is_idle {
            self.note_shown(&document);
        }
        let planned =
            planned_person(&document, if let [member] = &listed[..] { Some(member.id.clone()) } else { None });
        self.digest = self.digest.wrapping_add(digest_of(&document, &listed));
        let person = document.person.clone();
        let is_shared = self.note_shared(&document, &planned);
        let invited = listed.is_empty().then(|| invited(&document)).flatten();
        self.unaddressed += u64::from(listed.is_empty() && is_unaddressed(&document, self.terms.now));
        let changes: Vec<Change> = Change::ALL.into_iter().filter(|change| is_made(&preview, *change)).collect();
        for change in &changes {
            self.report.list(*change).push(planned.clone());
        }
        if preview.incomplete {
            self.report.incomplete.push(planned.clone());
        }
        if preview.switched_off {
            self.report.switched_off.push(planned.clone());
        }
        if let Some((since, detail)) = invited.filter(|_| changes.is_empty() && preview.blocked.is_none()) {
            self.invited_since.push(since);
            self.report.invited.push(PlannedPerson { detail: Some(detail), ..planned.clone() });
        }
        let waits = preview.waits_for.filter(|_| import.is_some()).map(|other| {
            (Code::ScimMoving, format!("{person} waits for {other} to give it up, whom this does not cover"))
        });
        let blocked = preview.blocked.clone().or(waits);
        let differs =
            changes.iter().any(|change| change.is_write()) || preview.switched_off || preview.blocked.is_some();
        self.different += u64::from(differs || is_shared);
        let is_selected = self.select(&planned, &changes, import.is_some() || is_shared);
        let is_row = import.is_some() && !is_shared;
        if let Some(from) = preview.taken_from.filter(|_| is_row) {
            self.note_taken(&planned, (person.clone(), from), is_selected);
        }
        if let Some(from) = preview.left_behind_by.filter(|_| is_row) {
            self.note_inherited(&planned, (person.clone(), from), is_selected);
        }
        if let Some((code, detail)) = blocked {
            let (code, detail) = (Some(code.to_string()), Some(detail));
            self.report.blocked.push(PlannedPerson { code, detail, ..planned.clone() });
        }
        // Whom an apply leaves as they are takes nothing from others, and gives nothing up.
        if !is_selected && (import.is_some() || !changes.is_empty()) {
            self.claims.undo();
            return Decided::Now(None);
        }
        let met = self.claims.take_met();
        self.claims.settle(&claims_before, &after, preview.blocked.is_some(), self.terms.now);
        self.list.update(members);
        if !is_selected {
            return Decided::Now(None);
        }
        self.reads += u64::from(preview.reads);
        self.writes += u64::from(preview.writes);
        // A member is given to one person.
        let is_theirs = |id: &String| self.claims.owner(&id_key(id)).is_none_or(|owner| *owner == person);
        Decided::Now(Some(Planned { import, member: planned.id.filter(is_theirs), after: met }))
    }

    /// Notes somebody who has one member together with somebody else. Returns whether they do.
    fn note_shared(&mut self, document: &Document, planned: &PlannedPerson) -> bool {
        let Some(other) = self.shared.get(&document.person).filter(|_| document.member.is_some()) else { return false };
        let (code, detail) = (Some(Code::ScimOwned.to_string()), Some(format!("{other} has the same member")));
        self.report.shared.push(PlannedPerson { code, detail, ..planned.clone() });
        true
    }

    /// Drops those whose member is not the other's any more: it was handed over while people were read.
    fn keep_shared(&mut self) {
        let named: HashSet<_> = self.report.shared.iter().filter_map(|planned| planned.person.clone()).collect();
        let is_named = |person: &str| {
            Person::from_key(person)
                .and_then(|person| self.shared.get(&person))
                .is_some_and(|other| named.contains(&other.to_string()))
        };
        let before = self.report.shared.len();
        self.report.shared.retain(|planned| planned.person.as_deref().is_some_and(is_named));
        let dropped = before - self.report.shared.len();
        self.different = self.different.saturating_sub(u64::try_from(dropped).unwrap_or_default());
    }

    /// Notes somebody who would take over another person's member.
    fn note_taken(&mut self, planned: &PlannedPerson, (person, from): (Person, Person), is_selected: bool) {
        let mut hasher = DefaultHasher::new();
        (person.to_string(), from.to_string()).hash(&mut hasher);
        self.digest = self.digest.wrapping_add(hasher.finish());
        let detail = Some(format!("from {from}"));
        self.report.take_over.push(PlannedPerson { detail, ..planned.clone() });
        if is_selected {
            self.taking.push((person, from));
        }
    }

    /// Notes somebody who would get the member of a leaver of another name.
    fn note_inherited(&mut self, planned: &PlannedPerson, (person, from): (Person, Person), is_selected: bool) {
        let detail = Some(format!("from {from}, who has left and has another name"));
        self.report.take_over.push(PlannedPerson { detail, ..planned.clone() });
        if is_selected {
            self.inheriting.push((person, from));
        }
    }

    /// Notes that the list shows somebody who was created or invited: they are not waited for any longer.
    fn note_shown(&mut self, document: &Document) {
        let unshown = document.member.as_ref().filter(|member| member.is_unshown);
        let id = unshown.and_then(|member| member.id.clone()).filter(|id| self.list.has(id));
        if let Some(id) = id.filter(|_| self.shown.len() < SHOWN_MAX) {
            self.shown.push((document.person.clone(), id));
        }
    }

    /// Plans for somebody whose member was handed over. A row about them is applied even so: `status` then reports that
    /// nothing was done about it.
    fn plan_closed(&mut self, document: &Document, import: Option<String>) -> Option<Planned> {
        let closed = document.record.closed.as_ref()?;
        let is_listed = import.is_some() && document.record.works_here();
        if !is_listed && !document.record.lacks_member() {
            return None;
        }
        self.report.people += 1;
        self.digest = self.digest.wrapping_add(digest_of(document, &[]));
        let planned = planned_person(document, None);
        let detail = format!("{}: HR says that they work there, and {}", document.person, closed.describe());
        self.different += 1;
        let is_selected = self.select(&planned, &[], import.is_some());
        let code = Some(Code::ScimOwned.to_string());
        self.report.blocked.push(PlannedPerson { code, detail: Some(detail), ..planned });
        import.filter(|_| is_selected).map(|import| Planned { import: Some(import), member: None, after: Vec::new() })
    }

    /// Plans for somebody whose dead letter an operator discarded, and about whom HR has said nothing new since: their row
    /// is taken in, and that is all.
    fn plan_discarded(&mut self, document: &Document, import: Option<String>, places: &[usize]) -> Option<Planned> {
        self.taken.extend(places);
        self.report.people += 1;
        self.rows += u64::from(import.is_some());
        self.discarded += 1;
        self.digest = self.digest.wrapping_add(digest_of(document, &[]));
        let is_selected = self.select(&planned_person(document, None), &[], import.is_some());
        import.filter(|_| is_selected).map(|import| Planned { import: Some(import), member: None, after: Vec::new() })
    }

    /// Folds in the row that waits for an apply; returns its import.
    fn staged(&self, document: &mut Document) -> Option<String> {
        let import = document.staged.as_ref().map(|staged| staged.import.clone())?;
        if self.terms.imports.get(document.person.source.as_str()) != Some(&import) {
            return None;
        }
        let word = Word::Apply { import: import.clone(), member: None, after: Vec::new() };
        fold(document, vec![(0, Entry { accepted_at: self.terms.now, word, trace: None })], self.terms.now);
        Some(import)
    }

    fn select(&mut self, planned: &PlannedPerson, changes: &[Change], is_staged: bool) -> bool {
        let selection = self.terms.selection;
        let named = selection.names(planned);
        self.found.extend(named.iter().map(|name| (*name).clone()));
        if selection.people.is_some() && named.is_empty() {
            return false;
        }
        let is_left_out = selection.takes_some(changes) && !selection.takes_all(changes);
        self.left_out += u64::from(is_left_out);
        selection.takes_all(changes) && (changes.iter().any(|change| change.is_write()) || is_staged)
    }

    /// The plan, once everybody was planned for.
    #[must_use]
    pub fn finish(mut self) -> PlanOutcome {
        self.report.members = u64::try_from(self.list.len()).unwrap_or(u64::MAX);
        let is_reliable = self.judge_list();
        let taken = taking_over(&self.taking, self.rows).filter(|_| !self.terms.only_idle);
        self.report.warnings.extend(taken.clone());
        self.report.warnings.extend(inherited(&self.inheriting));
        if self.discarded > 0 {
            let warning = format!(
                "people left as they are, because their dead letter was discarded and HR has said nothing new since: {}",
                self.discarded
            );
            self.report.warnings.push(warning);
        }
        let count = u64::try_from(self.taking.len()).unwrap_or(u64::MAX);
        let is_large = count > TAKEN_UNSEEN_MAX && count.saturating_mul(10) > self.rows;
        self.keep_shared();
        let knows_strangers = is_reliable && self.terms.hr_is_whole && self.report.people > 0 && self.unaddressed == 0;
        let switched_off = self.strangers(knows_strangers);
        let (write_rate, read_rate) = self.terms.rates;
        self.report.calls = self.reads + self.writes;
        self.report.minutes = minutes(self.writes, write_rate).max(minutes(self.reads, read_rate));
        self.report.digest = format!("{:016x}", self.digest);
        let named = self.terms.selection.people.iter().flatten();
        let not_found = named.filter(|name| !self.found.contains(*name)).cloned().collect();
        let (left_out, different, not_compared) = (self.left_out, self.different, self.not_compared);
        PlanOutcome {
            report: self.report,
            strangers: switched_off,
            must_be_seen: taken.filter(|_| is_large && self.terms.selection.people.is_none()),
            left_out,
            not_found,
            different,
            not_compared,
            shown: self.shown,
            invited_since: self.invited_since,
            is_reliable,
            knows_strangers,
        }
    }

    /// Whether the list is complete, and not much smaller than what is known, by the guard's limits.
    fn judge_list(&mut self) -> bool {
        if let Some(problem) = self.list.problem() {
            self.report.warnings.push(problem);
        }
        // An empty list is not trusted while any member is known, even if the guard's limits would allow so few to go.
        let is_empty = self.list.is_empty() && self.known > 0;
        let is_shrunken = is_empty || (self.gone > 0 && self.gone > self.terms.guard.leaves_at_once(self.known));
        if is_shrunken {
            let (gone, known) = (self.gone, self.known);
            let warning = format!("the list of members lacks {gone} of {known} known members: is it complete?");
            self.report.warnings.push(warning);
        }
        self.list.problem().is_none() && !is_shrunken
    }

    fn strangers(&mut self, knows_strangers: bool) -> Vec<Stranger> {
        let selection = self.terms.selection;
        let mut switched_off = Vec::new();
        let may = selection.strangers && knows_strangers;
        let (mut spared, mut without_address) = (0_u64, 0_u64);
        if selection.strangers && self.unaddressed > 0 {
            let warning = format!(
                "people in HR without a usable address: {}; they may be among the members who seem not to be in HR",
                self.unaddressed
            );
            self.report.warnings.push(warning);
        }
        if selection.strangers && !may {
            let warning = "members who are not in HR are left alone: the list of members, or HR's, is not complete";
            self.report.warnings.push(warning.to_owned());
        }
        for (place, listed) in self.list.all().enumerate() {
            if self.taken.contains(&place) {
                continue;
            }
            if self.spared.contains(&KnownMember::address_hash(&listed.member.user_name)) {
                spared += 1;
                continue;
            }
            let mut planned = stranger(listed);
            let named = selection.names(&planned);
            self.found.extend(named.iter().map(|name| (*name).clone()));
            let is_named = selection.people.is_none() || !named.is_empty();
            let can_be_found = Email::parse(&listed.member.user_name).is_ok();
            if may && listed.member.active != Active::Off && !can_be_found {
                without_address += 1;
                planned.detail = Some("its userName is not an e-mail address: switch it off by hand".to_owned());
            } else if may && listed.member.active != Active::Off {
                self.digest = self.digest.wrapping_add(digest_of_member(&listed.member));
                self.report.deactivate.push(planned.clone());
                if is_named && selection.takes_all(&[Change::Deactivate]) {
                    self.reads += 1;
                    self.writes += 1;
                    let (id, user_name) = (listed.member.id.clone(), listed.member.user_name.clone());
                    switched_off.push(Stranger { id, user_name });
                }
            }
            self.report.strangers.push(planned);
        }
        for (count, who) in [
            (spared, "whom a roster names, and the mapping's conditions leave out"),
            (without_address, "who are not in HR, and whose userName is not an e-mail address"),
        ] {
            if selection.strangers && count > 0 {
                self.report.warnings.push(format!("members {who}: {count}; they are left alone"));
            }
        }
        switched_off
    }
}

fn planned_person(document: &Document, id: Option<String>) -> PlannedPerson {
    PlannedPerson {
        person: Some(document.person.to_string()),
        email: document.record.email().map(|email| email.lower().to_owned()),
        id,
        code: None,
        detail: None,
    }
}

/// The warning about people who would get the member of somebody of another name who has left.
fn inherited(inheriting: &[(Person, Person)]) -> Option<String> {
    let count = inheriting.len();
    (count > 0).then(|| {
        format!(
            "people who would get the account of somebody of another name who has left, with all that is in it, because HR gives them that address: {count} ({}); if that is not meant, change the former account's address first",
            named(inheriting)
        )
    })
}

/// The first of those who would take a member, and from whom.
fn named(taking: &[(Person, Person)]) -> String {
    let named: Vec<_> = taking.iter().take(TAKEN_NAMED).map(|(person, from)| format!("{person} from {from}")).collect();
    let more = if taking.len() > TAKEN_NAMED { ", ..." } else { "" };
    format!("{}{more}", named.join(", "))
}

/// The warning about people who would take over others' members.
fn taking_over(taking: &[(Person, Person)], rows: u64) -> Option<String> {
    let bare = |person: &Person| person.employee_id.trim_start_matches('0').to_owned();
    let (same, others): (Vec<_>, Vec<_>) = taking.iter().partition(|(person, from)| person.source == from.source);
    let has_lost_zeros = same.iter().any(|(person, from)| bare(person) == bare(from));
    let question = if has_lost_zeros {
        "has the column of ids lost its leading zeros?"
    } else if same.len() > others.len() {
        "do these people have new ids in HR?"
    } else {
        "is this the HR system that counts for them now?"
    };
    let count = taking.len();
    (count > 0).then(|| {
        format!(
            "{count} of {rows} people with a row would take over the member of another person, whom HR does not report as gone, and whose later events are then not applied: {}; {question}",
            named(taking)
        )
    })
}

fn stranger(listed: &ListedMember) -> PlannedPerson {
    PlannedPerson {
        person: None,
        email: Some(listed.member.user_name.clone()),
        id: Some(listed.member.id.clone()),
        code: None,
        detail: None,
    }
}

/// Since when a person who works here has been invited, if no read or list has ever shown them as a member.
fn invited(document: &Document) -> Option<(UnixMs, String)> {
    let member = document.member.as_ref().filter(|member| !member.is_shown())?;
    if !document.record.works_here() {
        return None;
    }
    let detail = member.created_at.map_or_else(|| "invited".to_owned(), |at| format!("invited at {at}"));
    Some((member.created_at.unwrap_or(member.seen_at), detail))
}

/// Whether they may be any of the members: HR has given no usable address of theirs, and they have not left.
fn is_unaddressed(document: &Document, now: UnixMs) -> bool {
    let has_left = document.record.employment.at(now).is_some_and(|word| word.state == EmploymentState::Left);
    document.record.email().is_none() && document.member.is_none() && !has_left
}

fn is_made(preview: &Preview, change: Change) -> bool {
    match change {
        Change::Create => preview.create,
        Change::SwitchOn => preview.switch_on,
        Change::Rename => preview.rename,
        Change::Readdress => preview.readdress,
        Change::Deactivate => preview.deactivate,
        Change::Regroup => preview.regroup,
        Change::Adopt => preview.adopt,
    }
}

/// A digest of what HR says about a person and of the members that may be theirs. All are added up, so that their order does not matter.
fn digest_of(document: &Document, members: &[Member]) -> u64 {
    let mut hasher = DefaultHasher::new();
    document.person.to_string().hash(&mut hasher);
    // A struct of strings and numbers always serialises.
    serde_json::to_vec(&document.record).unwrap_or_default().hash(&mut hasher);
    members.iter().map(digest_of_member).collect::<Vec<_>>().hash(&mut hasher);
    hasher.finish()
}

fn digest_of_member(member: &Member) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&member.id, &member.user_name, &member.given_name, &member.family_name).hash(&mut hasher);
    member.active.known().hash(&mut hasher);
    hasher.finish()
}

#[expect(clippy::cast_precision_loss, reason = "a rough estimate")]
fn minutes(calls: u64, rate: Rate) -> f64 {
    if rate.calls == 0 {
        return 0.0;
    }
    let windows = calls as f64 / f64::from(rate.calls);
    windows * rate.window_ms as f64 / 60_000.0
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
