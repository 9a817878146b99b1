//! For the tests of the plan: a team in memory, the documents of its people, who owns what, and a worker that may die.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::attempt::AttemptState;
use super::claim_result::ClaimResult;
use super::groups::GroupRule;
use super::owner::{self, Owner, address_key};
use super::plan::{PlanRules, Step, plan};
use super::suspicion::Suspicions;
use super::target::{TargetKind, TargetRules};
use super::team_tests::{Fault, Team};
use super::verdict::{Ending, NextState, RetryRules, decide};
use crate::core::limiter::CallKind;
use crate::core::person::document::Groups;
use crate::core::person::fold::fold;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::JobId;
use crate::core::person::label::{self, Label};
use crate::core::person::{
    Aspect, Document, Email, EmploymentState, Event, EventKind, Facts, Name, Person, SourceName, Stated,
};
use crate::core::time::UnixMs;

pub(crate) const RULES: RetryRules = RetryRules {
    first_ms: 1_000,
    max_ms: 900_000,
    give_up_after_ms: 72 * 3_600_000,
    suspicion_ms: 120_000,
    take_overs_max: 100,
};

pub(crate) fn rules(target: TargetRules, groups: Vec<GroupRule>) -> PlanRules {
    PlanRules {
        read_lag_ms: 60_000,
        changes_addresses: true,
        updates_create: BTreeSet::new(),
        unscoped: BTreeSet::new(),
        pages_max: 20,
        username_tries: 3,
        locale: "en-US".to_owned(),
        target,
        groups,
    }
}

pub(super) fn person(id: &str) -> Person {
    Person::parse(SourceName::parse("hr").unwrap(), id).unwrap()
}

fn name(raw: &str) -> Stated<Name> {
    Name::parse("given_name", raw).unwrap().map_or(Stated::None, Stated::Is)
}

/// Facts by their values; `-` says nothing.
fn facts(employment: Option<EmploymentState>, email: &str, given: &str, family: &str) -> Facts {
    let told = |raw: &str| (raw != "-").then(|| name(raw));
    Facts {
        employment: employment.map(|state| (state, None)),
        scope: None,
        email: (email != "-").then(|| Email::parse(email).unwrap()),
        given_name: told(given),
        family_name: told(family),
        locale: None,
        ..Facts::default()
    }
}

pub(crate) fn hire(at: i64, email: &str, given: &str, family: &str) -> Event {
    let facts = facts(Some(EmploymentState::Employed), email, given, family);
    Event { person: person("E-1"), kind: EventKind::Hire, at: Some(UnixMs(at)), facts }
}

pub(crate) fn update(at: i64, email: &str, given: &str, family: &str) -> Event {
    let facts = facts(None, email, given, family);
    Event { person: person("E-1"), kind: EventKind::Update, at: Some(UnixMs(at)), facts }
}

pub(crate) fn leave(at: i64) -> Event {
    let facts = facts(Some(EmploymentState::Left), "-", "-", "-");
    Event { person: person("E-1"), kind: EventKind::Leave, at: Some(UnixMs(at)), facts }
}

/// One world: a team, people's documents, and who owns what.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) team: Team,
    target: TargetRules,
    pub(super) groups: Vec<GroupRule>,
    pub(super) people: BTreeMap<String, Document>,
    pub(super) claims: BTreeMap<String, String>,
    suspicions: Suspicions,
    pub(super) now: UnixMs,
    seq: u64,
    pub(super) faults: Vec<Fault>,
    /// After this many calls a worker dies, before it commits.
    pub(super) crashes: Vec<usize>,
    crashed: bool,
    /// Events that arrive while somebody waits: one after each attempt that is not the last.
    pub(super) arriving: Vec<Event>,
    /// Whether the source has rules for who is in scope.
    pub(super) has_scope: bool,
    /// How many more claims meet an owner whose document is just changing.
    pub(super) busy: u32,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            team: Team::default(),
            target: TargetRules::default(),
            groups: Vec::new(),
            people: BTreeMap::new(),
            claims: BTreeMap::new(),
            suspicions: Suspicions::default(),
            now: UnixMs(1_000_000_000),
            seq: 0,
            faults: Vec::new(),
            crashes: Vec::new(),
            crashed: false,
            arriving: Vec::new(),
            has_scope: true,
            busy: 0,
        }
    }

    /// With another provider than Postman.
    pub(super) fn of_a_provider(team: Team) -> Self {
        let target = TargetRules { kind: TargetKind::GenericScim, finds_by_external_id: true };
        Self { team: Team { patches_names: true, ..team }, target, ..Self::new() }
    }

    /// With groups by department.
    pub(super) fn with_groups(self) -> Self {
        let rule = |name: &str, values: Option<&str>| GroupRule {
            name: name.to_owned(),
            fact: "department".to_owned(),
            values: values.map(|value| [label::key(value)].into()),
        };
        Self { groups: vec![rule("{value}", None), rule("Builders", Some("Engineering"))], ..self }
    }

    /// The groups that somebody is in, by their `userName`.
    pub(super) fn groups_of(&self, user_name: &str) -> Vec<&str> {
        let id = self.team.member(user_name).and_then(|user| user["id"].as_str()).unwrap_or_default();
        let mut names: Vec<_> = self
            .team
            .groups
            .iter()
            .filter(|(_, members)| members.iter().any(|m| m == id))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names
    }

    /// Folds a batch of one person's events and works on them until an attempt is the last.
    pub(super) fn tell(&mut self, events: &[Event]) -> Ending {
        let entries: Vec<_> = events.iter().map(|event| self.entry(event)).collect();
        self.work(&events[0].person, &entries)
    }

    /// Time passes, in which nobody says anything, and looks that are due are made.
    pub(super) fn pass(&mut self, ms: u64) -> Ending {
        let end = self.now.plus_ms(ms);
        loop {
            self.team.now = self.now;
            self.team.land();
            let ending = self.work(&person("E-1"), &[]);
            match ending.next_state {
                NextState::Scheduled { at } if at <= end => self.now = at.max(self.now),
                _ => {
                    self.now = end.max(self.now);
                    self.team.now = self.now;
                    self.team.land();
                    return ending;
                }
            }
        }
    }

    fn entry(&mut self, event: &Event) -> (u64, Entry) {
        self.seq += 1;
        let job = JobId::about(u128::from(self.seq) << 64, event.person.id());
        let word = Word::Event { job, event: Box::new(event.clone()), letter: None };
        (self.seq, Entry { accepted_at: self.now, word, trace: None })
    }

    fn next_arrival(&mut self) -> Option<(u64, Entry)> {
        let event = (!self.arriving.is_empty()).then(|| self.arriving.remove(0))?;
        Some(self.entry(&event))
    }

    pub(super) fn work(&mut self, who: &Person, entries: &[(u64, Entry)]) -> Ending {
        let mut inbox = entries.to_vec();
        for _ in 0..400 {
            let known = self.people.get(&who.to_string()).cloned();
            let mut document = known.unwrap_or_else(|| Document::new(who.clone()));
            let before = owner::claims(&document);
            let folding = fold(&mut document, inbox.clone(), self.now);
            document.heed_scope(self.has_scope, self.now);
            let groups_are_due = document.groups_wait.is_some_and(|wait| wait.due <= self.now);
            let is_guessed = document.progress.create_unknown.is_some_and(|unknown| unknown.is_guess);
            let is_followed = document.not_followed_since.is_none();
            let look_is_due = document.second_look(self.now).is_some_and(|at| at <= self.now);
            let is_owed = groups_are_due || look_is_due || is_guessed || !document.open.is_empty();
            let needed = folding.calls_for_attempt || (is_followed && is_owed);
            if !needed {
                let ending = Ending::of_folding(document.clone(), self.now);
                self.people.insert(who.to_string(), document);
                return ending;
            }
            let taken_over = std::mem::take(&mut self.crashed);
            let Some(ending) = self.attempt(document, taken_over.then_some(&folding.wishes)) else {
                // The worker died: nothing is committed, the lane is taken over after its lease.
                self.crashed = true;
                self.now = self.now.plus_ms(60_000);
                inbox.extend(self.next_arrival());
                continue;
            };
            inbox.clear();
            let known = self.people.insert(who.to_string(), ending.document.clone());
            for key in ending.gives_up(&before) {
                self.claims.retain(|claimed, owner| *claimed != key || *owner != who.to_string());
            }
            self.check_claimed(known.as_ref(), &ending);
            match &ending.next_state {
                NextState::Retry { at, .. } | NextState::Read { at } => self.now = (*at).max(self.now.plus_ms(1)),
                NextState::Held { .. } => self.now = self.now.plus_ms(60_000),
                NextState::Idle
                | NextState::Scheduled { .. }
                | NextState::Incomplete { .. }
                | NextState::Blocked { .. } => {
                    return ending;
                }
            }
            inbox.extend(self.next_arrival());
        }
        panic!("no end in sight: {:?}", self.team.calls.iter().rev().take(12).collect::<Vec<_>>());
    }

    /// One owner a member: nobody gets one, or is in sync with one, without the claim.
    fn check_claimed(&self, before: Option<&Document>, ending: &Ending) {
        let id_of = |document: &Document| document.member.as_ref().and_then(|member| member.id.clone());
        let Some(id) = id_of(&ending.document) else { return };
        let is_settled = matches!(ending.next_state, NextState::Idle | NextState::Scheduled { .. });
        if is_settled || before.and_then(id_of).as_ref() != Some(&id) {
            let owner = self.claims.get(&owner::id_key(&id));
            assert_eq!(owner, Some(&ending.document.person.to_string()), "{:?}", self.team.calls);
        }
    }

    /// The first attempt for an unknown person.
    pub(super) fn begin(&mut self, event: &Event) -> Ending {
        self.once(&event.person, std::slice::from_ref(event))
    }

    /// One attempt for somebody, after folding these events.
    pub(super) fn once(&mut self, who: &Person, events: &[Event]) -> Ending {
        let known = self.people.get(&who.to_string()).cloned();
        let mut document = known.unwrap_or_else(|| Document::new(who.clone()));
        let before = owner::claims(&document);
        let entries = events.iter().map(|event| self.entry(event)).collect();
        fold(&mut document, entries, self.now);
        let ending = self.attempt(document, None).unwrap();
        self.people.insert(who.to_string(), ending.document.clone());
        for key in ending.gives_up(&before) {
            self.claims.retain(|claimed, owner| *claimed != key || *owner != who.to_string());
        }
        ending
    }

    /// `wishes`: a worker died during an earlier attempt, and may have written these.
    fn attempt(&mut self, document: Document, wishes: Option<&Vec<(Aspect, u32)>>) -> Option<Ending> {
        let me = document.person.to_string();
        let mut rules = rules(self.target, self.groups.clone());
        if !self.has_scope {
            rules.unscoped.insert(SourceName::parse("hr").unwrap());
        }
        let mut state = AttemptState::new(document, wishes.is_some(), self.now);
        if let Some(wishes) = wishes {
            state.guess_writes(wishes, &rules, self.now);
        }
        for email in state.addresses_in_doubt() {
            let is_theirs = self.claims.get(&address_key(email.lower())) == Some(&me);
            state.learn_address_in_doubt(email, is_theirs, self.now);
        }
        let conclusion = loop {
            match plan(&mut state, &rules, self.now) {
                Step::Finish(conclusion) => break conclusion,
                Step::Own(keys) => {
                    let claimed = self.own(&me, &keys, &state);
                    state.learn_claim(&rules, &keys, claimed, self.now);
                }
                Step::Send(request) => {
                    let is_put_by = match self.faults.first() {
                        Some(Fault::Username | Fault::Content | Fault::Taken) => {
                            request.operation().call_kind() == CallKind::Read
                        }
                        Some(_) => false,
                        None => true,
                    };
                    let fault = if is_put_by { Fault::None } else { self.faults.remove(0) };
                    self.team.now = self.now;
                    let reply = self.team.answer(&request, fault);
                    if self.crashes.first().is_some_and(|after| self.team.calls.len() >= *after) {
                        self.crashes.remove(0);
                        return None;
                    }
                    self.now = self.now.plus_ms(10);
                    let outcome = self.target.classify(&request, &state.sought(), &reply, self.now);
                    state.learn(&rules, &request, outcome, self.now);
                    assert!(self.team.calls.len() < 4_000, "calls without end");
                }
            }
        };
        Some(decide(state, &conclusion, &mut self.suspicions, &RULES, self.now, 0.5))
    }

    fn own(&mut self, me: &str, keys: &[String], state: &AttemptState) -> ClaimResult {
        let document = &state.document;
        let other = keys.iter().find_map(|key| Some((key, self.claims.get(key).filter(|owner| *owner != me)?.clone())));
        let claimed = match other {
            None => ClaimResult::Ours,
            Some((key, owner)) => {
                let Some(theirs) = self.people.get(&owner) else {
                    panic!("{owner} owns {key}, and there is no document");
                };
                if self.busy > 0 {
                    self.busy -= 1;
                    return ClaimResult::Others(Owner::in_between(theirs.person.clone(), key, false));
                }
                let owner_is = Owner::of(theirs, key, self.now).without(&state.gone);
                if !owner_is.hands_over_to(document, self.now) {
                    return ClaimResult::Others(owner_is);
                }
                let member = theirs.member.clone().map(Box::new);
                let groups = Groups::of(theirs);
                ClaimResult::TakenFrom { person: theirs.person.clone(), member, along: Vec::new(), groups }
            }
        };
        for key in keys {
            self.claims.insert(key.clone(), me.to_owned());
        }
        claimed
    }

    pub(super) fn calls(&self) -> Vec<&str> {
        self.team.calls.iter().map(String::as_str).collect()
    }
}

pub(crate) fn shown(user: &Value) -> (String, String, String, bool) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = &user["name"];
    (text(&user["userName"]), text(&name["givenName"]), text(&name["familyName"]), user["active"] == true)
}

pub(super) fn ada(given: &str, family: &str, active: bool) -> (String, String, String, bool) {
    ("ada@example.com".to_owned(), given.to_owned(), family.to_owned(), active)
}

/// Adds a department to an event; `-`: not stated, empty: none.
pub(super) fn of_department(mut event: Event, department: &str) -> Event {
    if department != "-" {
        let labels = Label::parse(department).into_iter().collect();
        event.facts.further.insert("department".to_owned(), labels);
    }
    event
}
