//! The plan against a team in memory: what is called, how the member ends, and the permutation
//! property (whatever the order, the batching, the duplicates, the crashes and the replies: the same
//! record, the same member).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::attempt::{AttemptState, Claimed, Conclusion, FormerGroups};
use super::groups::GroupRule;
use super::owner::{self, Owner, address_key};
use super::plan::{PlanRules, Step, plan};
use super::reply::Outcome;
use super::request::{Operation, Request, UserToCreate};
use super::suspicion::Suspicions;
use super::target::{TargetKind, TargetRules};
use super::team_tests::{Fault, Team};
use super::verdict::{Ending, RetryRules, Standing, decide};
use crate::core::code::Code;
use crate::core::hold::HoldScope;
use crate::core::limiter::CallKind;
use crate::core::person::document::UnknownCreate;
use crate::core::person::fold::fold;
use crate::core::person::inbox::{Entry, Word};
use crate::core::person::job::{Finished, JobId};
use crate::core::person::label::{self, Label};
use crate::core::person::{
    Document, Email, EmploymentState, Event, EventKind, Facts, Name, Person, Scope, SourceName, Stated,
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
        updates_create: std::collections::BTreeSet::new(),
        unscoped: std::collections::BTreeSet::new(),
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
    claims: BTreeMap<String, String>,
    suspicions: Suspicions,
    pub(super) now: UnixMs,
    seq: u64,
    pub(super) faults: Vec<Fault>,
    /// After so many calls a worker dies, before it commits.
    pub(super) crashes: Vec<usize>,
    crashed: bool,
    /// Words that come while somebody waits: one after each attempt that is not the last.
    arriving: Vec<Event>,
    /// Whether the source's rules tell who is in scope.
    pub(super) has_scope: bool,
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

    /// Folds a batch of one person's events and works on them until they stand somewhere.
    pub(super) fn tell(&mut self, events: &[Event]) -> Ending {
        let entries: Vec<_> = events.iter().map(|event| self.entry(event)).collect();
        self.work(&events[0].person, &entries)
    }

    fn entry(&mut self, event: &Event) -> (u64, Entry) {
        self.seq += 1;
        let job = JobId::about(u128::from(self.seq) << 64, event.person.id());
        let word = Word::Event { job, event: Box::new(event.clone()) };
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
            let is_owed = groups_are_due || is_guessed || !document.open.is_empty();
            let needed = folding.calls_for_attempt || (is_followed && is_owed);
            if !needed {
                let ending = Ending::of_folding(document.clone(), self.now);
                self.people.insert(who.to_string(), document);
                return ending;
            }
            let taken_over = std::mem::take(&mut self.crashed);
            let Some(ending) = self.attempt(document, taken_over) else {
                // The worker died: nothing is committed, the lane is taken over after its lease.
                self.crashed = true;
                self.now = self.now.plus_ms(60_000);
                inbox.extend(self.next_arrival());
                continue;
            };
            inbox.clear();
            self.people.insert(who.to_string(), ending.document.clone());
            for key in ending.gives_up(&before) {
                self.claims.remove(&key);
            }
            match &ending.standing {
                Standing::Retry { at } | Standing::Read { at } => self.now = (*at).max(self.now.plus_ms(1)),
                Standing::Held { .. } => self.now = self.now.plus_ms(60_000),
                Standing::Idle
                | Standing::Scheduled { .. }
                | Standing::Incomplete { .. }
                | Standing::Blocked { .. } => {
                    return ending;
                }
            }
            inbox.extend(self.next_arrival());
        }
        panic!("no end in sight: {:?}", self.team.calls.iter().rev().take(12).collect::<Vec<_>>());
    }

    /// The first attempt for somebody of whom nothing is known.
    fn begin(&mut self, event: &Event) -> Ending {
        let who = event.person.clone();
        let mut document = Document::new(who.clone());
        self.seq += 1;
        let job = JobId::about(u128::from(self.seq) << 64, who.id());
        let word = Word::Event { job, event: Box::new(event.clone()) };
        fold(&mut document, vec![(self.seq, Entry { accepted_at: self.now, word, trace: None })], self.now);
        let ending = self.attempt(document, false).unwrap();
        self.people.insert(who.to_string(), ending.document.clone());
        ending
    }

    fn attempt(&mut self, document: Document, taken_over: bool) -> Option<Ending> {
        let me = document.person.to_string();
        let mut rules = rules(self.target, self.groups.clone());
        if !self.has_scope {
            rules.unscoped.insert(SourceName::parse("hr").unwrap());
        }
        let mut state = AttemptState::new(document, taken_over, self.now);
        for email in state.addresses_in_doubt() {
            let is_theirs = self.claims.get(&address_key(email.lower())) == Some(&me);
            state.learn_address_in_doubt(email, is_theirs, self.now);
        }
        let conclusion = loop {
            match plan(&mut state, &rules, self.now) {
                Step::Finish(conclusion) => break conclusion,
                Step::Own(keys) => {
                    let claimed = self.own(&me, &keys, &state.document);
                    state.learn_claim(&keys, claimed, self.now);
                }
                Step::Send(request) => {
                    let is_put_by = match self.faults.first() {
                        Some(Fault::Username | Fault::Taken) => request.operation().call_kind() == CallKind::Read,
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

    fn own(&mut self, me: &str, keys: &[String], document: &Document) -> Claimed {
        let other = keys.iter().find_map(|key| Some((key, self.claims.get(key).filter(|owner| *owner != me)?.clone())));
        let claimed = match other {
            None => Claimed::Ours,
            Some((key, owner)) => {
                let Some(theirs) = self.people.get(&owner) else {
                    panic!("{owner} owns {key}, and there is no document");
                };
                let owner_is = Owner::of(theirs, key, self.now);
                if !owner_is.hands_over_to(document, self.now) {
                    return Claimed::Others(owner_is);
                }
                let member = theirs.member.clone().map(Box::new);
                let groups = FormerGroups::of(theirs);
                Claimed::TakenFrom { person: theirs.person.clone(), member, along: Vec::new(), groups }
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

#[test]
fn a_hire_is_one_post() {
    let mut world = World::new();
    let ending = world.tell(&[hire(10, "Ada@Example.com", "Ada", "Lovelace")]);
    assert_eq!(world.calls(), ["POST /Users"]);
    assert_eq!(ending.ended[0].1, Finished::Created);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

#[test]
fn a_created_and_updated_pair_of_a_new_person_is_one_post() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace"), update(11, "-", "-", "King")]);
    assert_eq!(world.calls(), ["POST /Users"]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn ten_updates_that_waited_are_one_read_and_one_write() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.team.calls.clear();
    world.now = world.now.plus_ms(120_000);
    let updates: Vec<_> = (1..=10).map(|n| update(20 + n, "-", "-", &format!("No{n}"))).collect();
    let ending = world.tell(&updates);
    assert_eq!(world.calls(), ["GET /Users/{id}", "PUT /Users/{id}"]);
    assert_eq!(ending.ended.len(), 10);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "No10", true));
}

#[test]
fn a_leaver_is_switched_off_and_a_change_of_name_never_switches_them_on() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let ending = world.tell(&[leave(20)]);
    assert_eq!(ending.ended[0].1, Finished::Deactivated);
    world.tell(&[update(30, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
    world.tell(&[hire(40, "ada@example.com", "Ada", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn a_switch_off_that_is_refused_for_the_username_is_told_after_the_tries_allowed() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.team.calls.clear();
    world.faults = [Fault::None, Fault::Username].repeat(10);
    let ending = world.tell(&[leave(20)]);
    assert!(matches!(ending.standing, Standing::Blocked { .. }), "{:?}", ending.standing);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimUsername);
    assert_eq!(world.calls(), ["GET /Users/{id}", "PATCH /Users/{id} active"].repeat(3));
    world.faults.clear();
    world.tell(&[update(30, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
}

#[test]
fn an_address_that_came_to_nothing_is_free_for_somebody_else() {
    let mut world = World::new();
    // A create that is refused as it stands.
    world.faults = vec![Fault::Username];
    let ending = world.tell(&[hire(10, "typo@example.com", "Ada", "Lovelace")]);
    assert!(matches!(ending.standing, Standing::Blocked { .. }), "{:?}", ending.standing);
    assert!(world.claims.contains_key("address:typo@example.com"), "{:?}", world.claims);
    world.tell(&[update(30, "ada@example.com", "-", "-")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    assert!(!world.claims.contains_key("address:typo@example.com"), "{:?}", world.claims);
    assert!(world.claims.contains_key("address:ada@example.com"), "{:?}", world.claims);
}

#[test]
fn whoever_is_refused_under_many_addresses_keeps_the_claim_on_the_last_one_only() {
    let mut world = World::new();
    world.faults = [Fault::Username].repeat(100);
    world.tell(&[hire(10, "ada0@example.com", "Ada", "Lovelace")]);
    for n in 1..40 {
        let ending = world.tell(&[update(10 + n, &format!("ada{n}@example.com"), "-", "-")]);
        assert!(matches!(ending.standing, Standing::Blocked { .. }), "{:?}", ending.standing);
        assert!(ending.document.addresses.is_empty(), "{}", ending.document.addresses.len());
        let claims: Vec<_> = world.claims.keys().cloned().collect();
        assert_eq!(claims, [format!("address:ada{n}@example.com")]);
    }
}

#[test]
fn a_redelivered_old_hire_brings_no_leaver_back() {
    let mut world = World::new();
    let first = hire(10, "ada@example.com", "Ada", "Lovelace");
    world.tell(std::slice::from_ref(&first));
    world.tell(&[leave(20)]);
    world.team.calls.clear();
    let ending = world.tell(&[first]);
    assert_eq!(world.calls(), [""; 0]);
    assert_eq!(ending.standing, Standing::Idle);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
}

#[test]
fn somebody_switched_off_at_the_target_is_reported_and_not_undone_until_a_newer_hire() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.team.users[0]["active"] = json!(false);
    let ending = world.tell(&[update(20, "-", "-", "King")]);
    assert!(ending.document.switched_off_elsewhere);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false));
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "King")]);
    assert!(!ending.document.switched_off_elsewhere);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn an_address_change_keeps_the_member_and_frees_the_old_address() {
    let mut world = World::new();
    world.tell(&[hire(10, "j.smith@example.com", "John", "Smith")]);
    let id = world.team.users[0]["id"].clone();
    world.tell(&[update(20, "john.sj@example.com", "-", "Smith-Jones")]);
    assert_eq!(world.team.users[0]["id"], id);
    assert_eq!(world.team.users[0]["userName"], "john.sj@example.com");
    let mut jane = hire(30, "j.smith@example.com", "Jane", "Smith");
    jane.person = person("E-2");
    let ending = world.tell(&[jane]);
    assert_eq!(ending.ended[0].1, Finished::Created);
    assert_eq!(world.team.users.len(), 2);
}

#[test]
fn a_member_of_another_employee_is_a_dead_letter_that_names_both() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let mut adam = hire(20, "ada@example.com", "Adam", "Smith");
    adam.person = person("E-2");
    let ending = world.tell(&[adam]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-1") && trouble.detail.contains("hr/E-2"), "{}", trouble.detail);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

#[test]
fn the_leave_of_somebody_whose_hire_found_another_employees_account_ends_the_dead_letter() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let of_adam = |event: Event| Event { person: person("E-2"), ..event };
    let ending = world.tell(&[of_adam(hire(20, "ada@example.com", "Adam", "Smith"))]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimOwned);
    let ending = world.tell(&[of_adam(leave(30))]);
    assert_eq!((ending.ended.last().unwrap().1, ending.document.trouble), (Finished::NotAMember, None));
    // Whether a leave that gives the address under an id that HR never called hired is of the same human, nobody knows.
    let mut stranger = Event { person: person("E-3"), ..leave(40) };
    stranger.facts.email = Email::parse("ada@example.com").ok();
    let trouble = world.tell(std::slice::from_ref(&stranger)).document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-1") && trouble.detail.contains("hr/E-3"), "{}", trouble.detail);
    // One from before the owner's time is none of theirs.
    let before = Event { person: person("E-4"), at: Some(UnixMs(5)), ..stranger };
    let ending = world.tell(&[before]);
    assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::NotAMember, None));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

#[test]
fn whoever_is_hired_again_under_a_new_id_and_leaves_is_switched_off_in_whatever_batches_it_comes() {
    let again = |event: Event| Event { person: person("E-2"), ..event };
    let words = [again(hire(20, "ada@example.com", "Ada", "Lovelace")), again(leave(30))];
    for batches in [vec![&words[..1], &words[1..]], vec![&words[..]]] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        for batch in batches {
            world.tell(batch);
        }
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false), "{:?}", world.calls());
    }
}

#[test]
fn the_address_of_a_leavers_member_is_nothing_to_move_to_and_the_leaver_may_come_back() {
    let mut world = World::new();
    let second = |event: Event| Event { person: person("E-2"), ..event };
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[second(hire(10, "bob@example.com", "Bob", "Byron"))]);
    world.tell(&[leave(20)]);
    let ending = world.tell(&[second(update(30, "ada@example.com", "-", "-"))]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-1") && trouble.detail.contains("hr/E-2"), "{}", trouble.detail);
    let ending = world.tell(&[second(update(40, "bob@example.com", "-", "-"))]);
    assert_eq!(ending.document.trouble, None);
    world.tell(&[hire(50, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true), "{:?}", world.calls());
}

#[test]
fn a_conflict_without_a_word_is_read_and_tried_again_and_a_dead_letter_only_if_it_stays() {
    let changes: [(Event, Finished); 3] = [
        (update(20, "-", "-", "King"), Finished::Updated),
        (update(20, "ada.king@example.com", "-", "-"), Finished::Updated),
        (leave(20), Finished::Deactivated),
    ];
    for (change, finished) in changes {
        for status in [409, 412, 404] {
            // Of an address it says that somebody has it.
            if status == 409 && change.facts.email.is_some() {
                continue;
            }
            for times in [1, 3] {
                let mut world = World::new();
                world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
                world.now = world.now.plus_ms(120_000);
                world.faults = [Fault::None, Fault::Wordless(status)].repeat(times);
                let ending = world.tell(std::slice::from_ref(&change));
                assert_eq!(
                    ending.standing,
                    Standing::Idle,
                    "{status} {:?} {:?}",
                    ending.document.trouble,
                    world.calls()
                );
                assert_eq!((ending.ended[0].1, ending.document.progress.conflicts), (finished, 0), "{status}");
            }
            let mut world = World::new();
            world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
            world.now = world.now.plus_ms(120_000);
            world.faults = [Fault::None, Fault::Wordless(status)].repeat(40);
            let ending = world.tell(std::slice::from_ref(&change));
            assert!(matches!(ending.standing, Standing::Blocked { .. }), "{status} {:?}", ending.standing);
            assert!(world.calls().len() < 30, "{status} {:?}", world.calls());
        }
    }
}

#[test]
fn whose_known_id_is_nobodys_is_looked_for_under_the_address_that_was_last_known_too() {
    let moved = "ada.king@example.com";
    let with_address = |event: Event| {
        let facts = Facts { email: Email::parse(moved).ok(), ..event.facts };
        Event { facts, ..event }
    };
    let words = [
        (with_address(leave(20)), Finished::Deactivated, false),
        (update(20, moved, "-", "-"), Finished::Updated, true),
        (hire(20, moved, "Ada", "Lovelace"), Finished::Updated, true),
    ];
    for (word, finished, active) in words {
        // They were added again by hand, under another id; or a 404 was not the target's.
        for is_added_again in [true, false] {
            let mut world = World::new();
            world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
            world.now = world.now.plus_ms(120_000);
            if is_added_again {
                world.team.users[0]["id"] = json!("of-another-invitation");
            } else {
                world.faults = vec![Fault::Wordless(404)];
            }
            let ending = world.tell(std::slice::from_ref(&word));
            assert_eq!(ending.ended[0].1, finished, "{:?} {:?}", ending.document.trouble, world.calls());
            assert_eq!(world.team.users.len(), 1, "{:?}", world.calls());
            assert_eq!(world.team.users[0]["active"], active, "{:?}", world.calls());
        }
    }
}

#[test]
fn whoever_got_the_last_known_address_since_is_somebody_else() {
    for word in [leave(20), hire(20, "-", "Ada", "Lovelace")] {
        let facts = Facts { email: Email::parse("ada.king@example.com").ok(), ..word.facts };
        let word = Event { facts, ..word };
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.now = world.now.plus_ms(120_000);
        // She was removed, and somebody else was invited by hand.
        world.team.users.clear();
        world.team.add("ada@example.com", "Adam", "Smith", true, &json!({}));
        world.tell(std::slice::from_ref(&word));
        assert_eq!(shown(&world.team.users[0]), ada("Adam", "Smith", true), "{:?}", world.calls());
    }
}

#[test]
fn a_rehire_under_a_new_id_takes_the_leavers_member_over() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[leave(20)]);
    let mut again = hire(30, "ada@example.com", "Ada", "King");
    again.person = person("E-2");
    let ending = world.tell(&[again]);
    assert_eq!(ending.ended[0].1, Finished::Adopted);
    assert_eq!(world.team.users.len(), 1);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn who_is_taken_over_is_looked_at_again_and_a_read_may_lag_behind_what_the_former_record_wrote() {
    let mut world = World::new();
    world.team.lag_ms = 30_000;
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.now = world.now.plus_ms(120_000);
    world.tell(&[leave(20)]);
    world.team.calls.clear();
    let mut again = hire(30, "ada@example.com", "Ada", "Lovelace");
    again.person = person("E-2");
    world.tell(&[again]);
    assert_eq!(
        shown(&world.team.users[0]),
        ada("Ada", "Lovelace", true),
        "the read shows them on: {:?}",
        world.calls()
    );
    assert_eq!(world.calls()[0], "GET /Users/{id}", "whose the member is, is known");
}

#[test]
fn updates_of_somebody_who_is_not_in_the_team_end_so_and_are_kept() {
    let mut world = World::new();
    let ending = world.tell(&[update(20, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.ended[0].1, Finished::NotAMember);
    assert_eq!(world.team.writes(), 0);
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
}

#[test]
fn who_turns_out_to_be_no_member_was_not_made_by_a_worker_that_was_killed() {
    let mut world = World::new();
    world.tell(&[update(20, "ada@example.com", "Ada", "King")]);
    let cut_off = Entry { accepted_at: world.now, word: Word::CutOff, trace: None };
    let ending = world.work(&person("E-1"), &[(100, cut_off)]);
    assert_eq!((ending.standing, ending.document.progress.create_unknown), (Standing::Idle, None));
    // Known to be nobody of ours: whoever is there belongs to another team.
    world.team.calls.clear();
    world.faults = vec![Fault::Taken];
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimElsewhere);
    assert_eq!(world.calls()[0], "POST /Users");
}

#[test]
fn a_create_that_was_lost_is_not_forgotten_with_a_leave() {
    let mut world = World::new();
    world.faults = vec![Fault::LostBefore, Fault::LostBefore];
    let mut document = Document::new(person("E-1"));
    document.progress.create_unknown = Some(UnknownCreate::made(world.now, false));
    world.people.insert("hr/E-1".to_owned(), document);
    let mut leaves = leave(20);
    leaves.facts.email = Email::parse("ada@example.com").ok();
    let ending = world.tell(&[leaves]);
    assert_eq!(ending.ended[0].1, Finished::NotAMember);
    assert!(ending.document.progress.create_unknown.is_some(), "an invitation is found by no look-up");
}

#[test]
fn a_create_that_a_killed_worker_made_is_not_forgotten_with_a_leave() {
    let mut world = World::new();
    // An invitation, which no look-up finds; and the worker dies before it notes that.
    world.faults = vec![Fault::Bare];
    world.crashes = vec![1];
    world.arriving = vec![leave(20)];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(ending.ended.last().unwrap().1, Finished::NotAMember);
    assert!(ending.document.progress.create_unknown.is_some_and(|unknown| !unknown.is_guess));
    assert_eq!(ending.standing, Standing::Idle);
    world.faults = vec![Fault::Taken];
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(ending.ended[0].1, Finished::Invited, "{:?} {:?}", ending.document.trouble, world.calls());
}

#[test]
fn the_leave_of_somebody_of_whom_no_address_is_known_waits_for_it_and_is_told() {
    // Where rules tell who is in scope, they may have been out of it all the time.
    let mut world = World::new();
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
    assert_eq!(world.tell(&[leave(20)]).ended[0].1, Finished::NotAMember);
    let mut world = World::new();
    world.has_scope = false;
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
    let ending = world.tell(&[leave(20)]);
    assert_eq!(
        (ending.standing, ending.document.missing),
        (Standing::Incomplete { at: None }, vec!["email".to_owned()])
    );
    assert_eq!(world.calls(), [""; 0]);
    let ending = world.tell(&[update(30, "ada@example.com", "-", "-")]);
    assert_eq!(ending.ended.len(), 2);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
    // Whom HR called hired, and gave no address, was never made.
    let mut world = World::new();
    world.tell(&[hire(10, "-", "Ada", "Lovelace")]);
    let ending = world.tell(&[leave(20)]);
    assert_eq!((ending.standing, ending.ended[0].1), (Standing::Idle, Finished::NotAMember));
    // Nor does a roster ask for anything that lists who left long ago.
    let mut world = World::new();
    let job = JobId::about(7 << 64, person("E-1").id());
    let (import, event) = ("i".to_owned(), Box::new(leave(20)));
    let words =
        [Word::Staged { import: import.clone(), job, event, leaves_at: None }, Word::Apply { import, member: None }];
    let now = world.now;
    let entry = |(word, n)| (n, Entry { accepted_at: now, word, trace: None });
    let entries: Vec<_> = words.into_iter().zip(1..).map(entry).collect();
    let ending = world.work(&person("E-1"), &entries);
    assert_eq!((ending.standing, ending.ended[0].1), (Standing::Idle, Finished::NotAMember));
}

#[test]
fn who_leaves_soon_after_a_create_of_unknown_outcome_is_looked_for_as_long_as_reads_lag() {
    for fault in [Fault::ErrorAfter, Fault::LostAfter, Fault::BareAfter] {
        let mut world = World::new();
        world.team.lag_ms = 25_000;
        world.faults = vec![fault];
        let ending = world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
        assert!(matches!(ending.standing, Standing::Retry { .. }), "{fault:?} {:?}", ending.standing);
        let ending = world.tell(&[leave(20)]);
        assert_eq!(ending.ended.last().unwrap().1, Finished::Created, "{fault:?}");
        assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false), "{fault:?} {:?}", world.calls());
        assert_eq!((world.team.users.len(), world.team.writes()), (1, 2), "{fault:?} {:?}", world.calls());
    }
}

#[test]
fn another_address_soon_after_a_create_of_unknown_outcome_makes_no_second_member() {
    for fault in [Fault::ErrorAfter, Fault::LostAfter, Fault::BareAfter] {
        let unfiltered = World::of_a_provider(Team { no_filter: true, ..Team::default() });
        // A provider is asked what it can do first.
        for (mut world, faults) in [(World::new(), vec![fault]), (unfiltered, vec![Fault::None, fault])] {
            world.team.lag_ms = 25_000;
            world.faults = faults;
            world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
            let ending = world.tell(&[update(20, "ada.king@example.com", "-", "-")]);
            assert_eq!(ending.standing, Standing::Idle, "{fault:?} {:?}", ending.document.trouble);
            let addresses: Vec<_> = world.team.users.iter().map(|user| &user["userName"]).collect();
            assert_eq!(addresses, ["ada.king@example.com"], "{fault:?} {:?}", world.calls());
        }
    }
}

#[test]
fn where_nothing_is_filtered_and_the_list_is_too_long_nobody_is_made_twice_and_it_is_told() {
    let mut world = World::of_a_provider(Team { no_filter: true, ..Team::default() });
    for n in 1..=2_100 {
        world.team.add(&format!("p{n}@example.com"), "Ada", "Lovelace", true, &json!({}));
    }
    world.faults = vec![Fault::None, Fault::LostAfter];
    world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
    let ending = world.tell(&[update(20, "ada.king@example.com", "-", "-")]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!((trouble.code, world.team.users.len()), (Code::ScimLookUp, 2_101), "{}", trouble.detail);
}

#[test]
fn a_quota_that_refuses_a_create_made_nobody_and_one_told_by_an_error_may_have() {
    let create = Request::Create(UserToCreate {
        user_name: "ada@example.com".to_owned(),
        given_name: None,
        family_name: None,
        external_id: "E-1".to_owned(),
        locale: None,
    });
    let now = UnixMs(1_000);
    let until = Some(now.plus_ms(7_200_000));
    for (outcome, may_be_made) in [
        (Outcome::Hold(HoldScope::All, Code::HoldQuota, until), false),
        (Outcome::Unknown { code: Code::HoldQuota, not_before: until }, true),
    ] {
        let rules = rules(TargetRules::default(), Vec::new());
        let mut state = AttemptState::new(Document::new(person("E-1")), false, now);
        state.learn(&rules, &create, outcome, now);
        let Step::Finish(Conclusion::Hold { code: Code::HoldQuota, not_before, .. }) = plan(&mut state, &rules, now)
        else {
            panic!("no hold");
        };
        assert_eq!((not_before, state.document.progress.create_unknown.is_some()), (until, may_be_made));
    }
}

#[test]
fn a_201_that_shows_nobody_is_looked_at_once_more() {
    let mut world = World::new();
    world.faults = vec![Fault::BareAfter];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(world.calls(), ["POST /Users", "GET /Users?filter=userName"]);
    assert_eq!((ending.ended[0].1, ending.document.progress.made_unshown), (Finished::Created, false));
    for (change, end) in [
        (update(20, "-", "-", "King"), ("ada@example.com", "King")),
        (update(20, "ada.king@example.com", "-", "-"), ("ada.king@example.com", "Lovelace")),
    ] {
        let mut world = World::new();
        world.team.lag_ms = 25_000;
        world.faults = vec![Fault::BareAfter];
        world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
        let ending = world.tell(&[change]);
        assert_eq!(ending.standing, Standing::Idle, "{:?} {:?}", ending.document.trouble, world.calls());
        let (address, family) = end;
        assert_eq!(shown(&world.team.users[0]), (address.to_owned(), "Ada".to_owned(), family.to_owned(), true));
        assert_eq!(world.team.users.len(), 1);
    }
}

#[test]
fn a_201_after_which_nobody_is_ever_shown_is_an_invitation_and_no_second_post() {
    let mut world = World::new();
    world.faults = vec![Fault::Bare];
    let began = world.now;
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!((ending.ended[0].1, world.team.writes()), (Finished::Invited, 1), "{:?}", world.calls());
    assert!(world.now.ms_since(began) >= 60_000);
    // Under another address by now, nobody says that it is right.
    let mut world = World::new();
    world.faults = vec![Fault::Bare];
    world.begin(&hire(10, "ada@example.com", "Ada", "Lovelace"));
    let ending = world.tell(&[update(20, "ada.king@example.com", "-", "-")]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimNotMember);
    assert_eq!(world.team.writes(), 1, "{:?}", world.calls());
}

/// Somebody whom the bridge does not know, the `n`th member of a team, in other letters than HR has.
fn in_a_large_team(n: usize, members: usize) -> World {
    let mut world = World::new();
    for place in 1..=members {
        let other = format!("p{place}@example.com");
        let address = if place == n { "Ada@Example.com" } else { &other };
        world.team.add(address, "Ada", "Lovelace", true, &json!({}));
    }
    world
}

fn leave_by_address() -> Event {
    let mut event = leave(20);
    event.facts.email = Email::parse("ada@example.com").ok();
    event
}

#[test]
fn a_leave_pages_on_where_a_hire_would_not_and_says_where_it_has_to_stop() {
    let mut world = in_a_large_team(2_101, 2_101);
    let ending = world.tell(&[leave_by_address()]);
    assert_eq!(ending.ended[0].1, Finished::Adopted, "{:?}", ending.document.trouble);
    assert_eq!(world.team.member("Ada@Example.com").unwrap()["active"], false);
    let mut world = in_a_large_team(0, 10_001);
    let ending = world.tell(&[leave_by_address()]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimLookUp);
    assert!(trouble.detail.contains("look_up_pages_max"), "{}", trouble.detail);
    assert_eq!(world.calls().len(), 101);
}

#[test]
fn a_list_that_hides_members_is_asked_again_and_makes_no_leaver_a_stranger() {
    let mut world = in_a_large_team(3, 3);
    world.team.hides = (2, 3);
    let ending = world.tell(&[leave_by_address()]);
    assert_eq!(ending.ended[0].1, Finished::Adopted, "{:?}", world.calls());
    assert_eq!(world.team.member("Ada@Example.com").unwrap()["active"], false);
    let mut world = in_a_large_team(3, 3);
    world.team.hides = (2, 100);
    let ending = world.tell(&[leave_by_address()]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!((trouble.code, trouble.detail.as_str()), (Code::ScimLookUp, "2 of 3 members were looked at"));
    assert_eq!(world.calls().len(), 5 * 3, "{:?}", world.calls());
}

#[test]
fn a_leave_looks_at_everybody_though_somebody_did_so_lately() {
    let mut provider = World::of_a_provider(Team { no_filter: true, ..Team::default() });
    for world in [&mut World::new(), &mut provider] {
        let ending = world.tell(&[update(10, "ada@example.com", "Ada", "Lovelace")]);
        assert_eq!(ending.ended[0].1, Finished::NotAMember);
        world.team.add("Ada@Example.com", "Ada", "Lovelace", true, &json!({}));
        let ending = world.tell(&[leave(20)]);
        assert_eq!(ending.ended[0].1, Finished::Adopted, "{:?}", world.calls());
        assert_eq!(world.team.member("Ada@Example.com").unwrap()["active"], false);
    }
}

#[test]
fn the_leave_of_somebody_whose_invitation_may_be_open_is_told_and_a_replay_finds_who_has_joined() {
    let mut world = World::new();
    world.faults = vec![Fault::Bare];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(ending.ended[0].1, Finished::Invited);
    let ending = world.tell(&[leave(20)]);
    assert_eq!(ending.document.trouble.unwrap().code, Code::ScimInvited);
    world.team.add("ada@example.com", "Ada", "Lovelace", true, &json!({}));
    let again = Entry { accepted_at: world.now, word: Word::TryAgain { by: "test".to_owned() }, trace: None };
    let ending = world.work(&person("E-1"), &[(100, again)]);
    assert_eq!((ending.ended[0].1, ending.document.trouble), (Finished::Adopted, None));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
}

#[test]
fn a_hire_without_an_address_waits_for_it() {
    let mut world = World::new();
    let ending = world.tell(&[hire(10, "-", "Ada", "Lovelace")]);
    assert_eq!(ending.standing, Standing::Incomplete { at: None });
    assert_eq!(ending.document.missing, ["email"]);
    let ending = world.tell(&[update(20, "ada@example.com", "-", "-")]);
    assert_eq!(ending.ended.len(), 2);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
}

/// A hire whose address is there and cannot be used.
fn hire_under_a_bad_address(at: i64) -> Event {
    let mut event = hire(at, "-", "Ada", "Lovelace");
    event.facts.unusable_email = true;
    event
}

#[test]
fn whoever_is_hired_under_an_address_that_cannot_be_used_waits_for_the_next_one() {
    let waits = |ending: &Ending| {
        assert_eq!(ending.standing, Standing::Incomplete { at: None });
        assert_eq!(ending.document.missing, ["email"]);
    };
    let mut world = World::new();
    waits(&world.tell(&[hire_under_a_bad_address(10)]));
    world.tell(&[update(20, "ada@example.com", "-", "-")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    // Whoever is in the team stays there, under the address that they have.
    let ending = world.tell(&[hire_under_a_bad_address(30)]);
    assert_eq!((ending.standing, ending.ended[0].1), (Standing::Idle, Finished::Unchanged));
    // Whoever has left is not switched on under the address before.
    world.tell(&[leave(40)]);
    world.now = world.now.plus_ms(120_000);
    waits(&world.tell(&[hire_under_a_bad_address(50)]));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", false));
    world.tell(&[update(60, "ada.king@example.com", "-", "-")]);
    let expected = ("ada.king@example.com".to_owned(), "Ada".to_owned(), "Lovelace".to_owned(), true);
    assert_eq!(world.team.users.iter().map(shown).collect::<Vec<_>>(), [expected]);
    // Nor is anybody invited under one that was told before.
    let mut world = World::new();
    world.tell(&[update(10, "ada@example.com", "Ada", "Lovelace")]);
    waits(&world.tell(&[hire_under_a_bad_address(20)]));
    assert!(world.team.users.is_empty());
    world.tell(&[leave(30)]);
    assert!(world.team.users.is_empty());
}

#[test]
fn a_leave_ahead_of_time_waits_and_is_withdrawn_by_a_newer_word() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let mut ahead = leave(20);
    ahead.facts.employment = Some((EmploymentState::Left, Some(world.now.plus_ms(3_600_000))));
    let ending = world.tell(&[ahead]);
    assert!(matches!(ending.standing, Standing::Scheduled { .. }));
    assert_eq!(ending.document.open.len(), 1, "the leave is open until it takes effect");
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    world.tell(&[update(25, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true), "it blocks nothing");
    let ending = world.tell(&[hire(30, "ada@example.com", "Ada", "King")]);
    assert_eq!(ending.standing, Standing::Idle);
    assert!(ending.document.open.is_empty());
}

#[test]
fn a_leave_that_was_announced_outlives_the_discard_of_what_blocks_them() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let day = world.now.plus_ms(3_600_000);
    let mut ahead = leave(20);
    ahead.facts.employment = Some((EmploymentState::Left, Some(day)));
    world.tell(&[ahead]);
    world.faults = vec![Fault::None, Fault::Taken];
    let ending = world.tell(&[update(30, "ada.king@example.com", "-", "-")]);
    assert_eq!(ending.document.trouble.map(|trouble| trouble.code), Some(Code::ScimAddress));
    let discard = Word::Discard { by: "test".to_owned(), reason: None };
    let ending = world.work(&person("E-1"), &[(100, Entry { accepted_at: world.now, word: discard, trace: None })]);
    assert_eq!((ending.standing, ending.document.open.len()), (Standing::Scheduled { at: day }, 1));
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Lovelace", true));
    world.now = day;
    let ending = world.work(&person("E-1"), &[]);
    assert_eq!((ending.ended[0].1, ending.document.not_followed_since), (Finished::Deactivated, None));
    assert_eq!(world.team.users[0]["active"], false);
}

#[test]
fn two_of_one_name_keep_their_own_members_whatever_address_is_given_to_one_by_mistake() {
    let mut world = World::new();
    let second = |event: Event| Event { person: person("E-2"), ..event };
    world.tell(&[hire(10, "ada1@example.com", "Ada", "King")]);
    world.tell(&[second(hire(10, "ada2@example.com", "Ada", "King"))]);
    let ending = world.tell(&[update(20, "ada2@example.com", "-", "-")]);
    let trouble = ending.document.trouble.unwrap();
    assert_eq!(trouble.code, Code::ScimOwned);
    assert!(trouble.detail.contains("hr/E-2"), "{}", trouble.detail);
    let ending = world.tell(&[update(30, "ada1@example.com", "-", "-")]);
    assert_eq!(ending.document.trouble, None);
    let ending = world.tell(&[second(leave(40))]);
    assert_eq!(ending.ended[0].1, Finished::Deactivated);
    let active: Vec<_> = world.team.users.iter().map(|user| user["active"] == true).collect();
    assert_eq!(active, [true, false]);
}

#[test]
fn what_the_bridge_does_not_know_survives_a_change_of_name() {
    let mut world = World::new();
    let more =
        json!({"title": "Analyst", "roles": [{"value": "admin"}], "urn:x:1.0:User": {"a": 1.5}, "locale": "de-DE"});
    world.team.add("ada@example.com", "Ada", "Byron", true, &more);
    world.tell(&[hire(10, "ada@example.com", "Ada", "King")]);
    let user = world.team.member("ada@example.com").unwrap();
    for (key, value) in more.as_object().unwrap() {
        assert_eq!(&user[key], value, "{key}");
    }
    assert_eq!(shown(user), ada("Ada", "King", true));
}

#[test]
fn the_outcome_of_a_lost_post_is_looked_for_before_another() {
    let mut world = World::new();
    world.faults = vec![Fault::LostAfter];
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(world.calls(), ["POST /Users", "GET /Users?filter=userName"]);
    assert_eq!(ending.ended[0].1, Finished::Created);
    let mut world = World::new();
    world.faults = vec![Fault::LostBefore];
    let began = world.now;
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    assert_eq!(world.team.writes(), 2);
    assert!(world.now.ms_since(began) >= 10_000, "nobody found soon after a create is no proof");
}

#[test]
fn an_address_that_a_worker_wrote_and_did_not_live_to_tell_of_is_the_members() {
    for end in [hire(60, "-", "-", "-"), leave(60)] {
        let mut world = World::new();
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.tell(&[leave(20)]);
        world.crashes = vec![world.team.calls.len() + 2];
        world.arriving = vec![update(50, "ada.byron@example.com", "-", "-"), end.clone()];
        // The read that is to show it fails, and what was folded by then counts all the same.
        world.faults = vec![Fault::None, Fault::None, Fault::Error];
        let ending = world.tell(&[update(40, "ada.king@example.com", "-", "-")]);
        assert!(matches!(ending.standing, Standing::Idle), "{:?}", ending.standing);
        let is_employed = end.kind == EventKind::Hire;
        let byron = ("ada.byron@example.com".to_owned(), "Ada".to_owned(), "Lovelace".to_owned(), is_employed);
        assert_eq!(world.team.users.iter().map(shown).collect::<Vec<_>>(), [byron], "{:?}", world.calls());
    }
}

#[test]
fn groups_that_a_worker_took_them_out_of_and_did_not_live_to_tell_of_are_joined_again() {
    let mut world = World::new().with_groups();
    world.tell(&[of_department(hire(10, "ada@example.com", "Ada", "Lovelace"), "Engineering")]);
    // Out of two, into one; then the worker dies, and the change is taken back.
    world.crashes = vec![world.team.calls.len() + 7];
    world.arriving = vec![of_department(update(40, "-", "-", "-"), "Engineering")];
    world.tell(&[of_department(update(30, "-", "-", "-"), "Sales")]);
    assert_eq!(world.groups_of("ada@example.com"), ["Builders", "Engineering"], "{:?}", world.calls());
}

#[test]
fn whoever_is_hired_again_is_looked_for_where_the_known_id_is_somebody_elses() {
    let mut world = World::new();
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.tell(&[leave(20)]);
    world.team.users[0]["userName"] = "somebody.else@example.com".into();
    let ending = world.tell(&[hire(30, "-", "-", "-")]);
    let code = ending.document.trouble.map(|trouble| trouble.code);
    assert_eq!(code, Some(Code::ScimDoubt), "{:?}", world.calls());
    assert_eq!(world.team.users.len(), 1, "{:?}", world.calls());
}

#[test]
fn what_was_written_last_counts_against_a_read_that_lags_behind() {
    let mut world = World::new();
    world.team.lag_ms = 30_000;
    world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    world.now = world.now.plus_ms(120_000);
    for (at, family) in [(20, "King"), (21, "Byron"), (22, "Lovelace")] {
        world.tell(&[update(at, "-", "-", family)]);
        assert_eq!(shown(&world.team.users[0]), ada("Ada", family, true));
    }
    for (at, email) in [(30, "ada2@example.com"), (31, "ada3@example.com"), (32, "ada@example.com")] {
        world.tell(&[update(at, email, "-", "-")]);
        assert_eq!(world.team.users[0]["userName"], email);
    }
    world.now = world.now.plus_ms(120_000);
    world.tell(&[leave(40)]);
    world.tell(&[update(41, "-", "-", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", false), "the read shows them on");
    world.tell(&[hire(42, "ada@example.com", "Ada", "King")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "King", true));
    world.now = world.now.plus_ms(120_000);
    world.tell(&[leave(50)]);
    world.now = world.now.plus_ms(120_000);
    world.tell(&[hire(51, "ada@example.com", "Ada", "King")]);
    let ending = world.tell(&[update(52, "-", "-", "Byron")]);
    assert_eq!(shown(&world.team.users[0]), ada("Ada", "Byron", true), "the read shows them off");
    assert!(!ending.document.switched_off_elsewhere);
}

#[test]
fn a_reply_that_shows_another_member_harms_nobody_and_ends() {
    for operation in [Operation::Get, Operation::SetActive, Operation::Replace, Operation::SetUserName] {
        let mut world = World::new();
        world.team.add("bob@example.com", "Bob", "Byron", true, &json!({}));
        world.team.add("ada@example.com", "Ada", "Lovelace", false, &json!({}));
        world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
        world.now = world.now.plus_ms(120_000);
        world.tell(&[leave(20)]);
        world.now = world.now.plus_ms(120_000);
        world.team.shows_another = vec![operation];
        // Under a new address, nobody could tell whose the known id is.
        let address = if operation == Operation::Get { "ada@example.com" } else { "ada.king@example.com" };
        world.tell(&[hire(30, address, "Ada", "King")]);
        let mut members: Vec<_> = world.team.users.iter().map(shown).collect();
        members.sort();
        let expected = [(address, "Ada", "King"), ("bob@example.com", "Bob", "Byron")];
        let expected = expected.map(|(address, given, family)| (address.into(), given.into(), family.into(), true));
        assert_eq!(members, expected, "{operation:?} {:?}", world.calls());
        assert!(world.calls().len() < 40, "{operation:?} {:?}", world.calls());
    }
}

#[test]
fn an_attempt_that_calls_without_end_is_broken_off() {
    let mut world = World::new();
    let ending = world.tell(&[hire(10, "ada@example.com", "Ada", "Lovelace")]);
    let mut state = AttemptState::new(ending.document, false, world.now);
    state.calls = 2_000;
    let rules = rules(TargetRules::default(), Vec::new());
    let Step::Finish(Conclusion::TryAgain { patient: false, .. }) = plan(&mut state, &rules, world.now) else {
        panic!("it goes on");
    };
}

/// Kind, and which of three addresses, given names, family names, departments (or none), and of scope.
pub(super) type Told = (u8, u8, u8, u8, u8, u8);

pub(super) fn any_event() -> impl Strategy<Value = Told> {
    (0_u8..4, 0_u8..4, 0_u8..4, 0_u8..4, 0_u8..4, 0_u8..5)
}

/// The same event, telling a department, too; `-`: nothing of it, empty: none.
pub(super) fn of_department(mut event: Event, department: &str) -> Event {
    if department != "-" {
        let labels = Label::parse(department).into_iter().collect();
        event.facts.further.insert("department".to_owned(), labels);
    }
    event
}

pub(super) fn event_of(n: usize, (kind, email, given, family, department, scope): Told) -> Event {
    let at = 100 + i64::try_from(n).unwrap();
    let email = ["-", "ada@example.com", "ada.king@example.com", "ada.byron@example.com"][usize::from(email)];
    let given = ["-", "Ada", "Augusta", ""][usize::from(given)];
    let family = ["-", "Lovelace", "King", "Byron"][usize::from(family)];
    let mut event = match kind {
        0 => leave(at),
        1 | 2 => hire(at, email, given, family),
        _ => update(at, email, given, family),
    };
    event.facts.scope = [None, None, None, Some((Scope::In, None)), Some((Scope::Out, None))][usize::from(scope)];
    of_department(event, ["-", "Engineering", "Sales", ""][usize::from(department)])
}

pub(super) fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::LostBefore),
        1 => Just(Fault::LostAfter),
        1 => Just(Fault::Error),
        1 => Just(Fault::ErrorAfter),
        1 => Just(Fault::Limited),
        1 => Just(Fault::Html),
        1 => Just(Fault::Refused),
    ]
}

/// Postman, and providers that can do all, or as little as the RFC allows.
fn any_world() -> impl Strategy<Value = World> {
    let provider =
        |no_patch, no_filter| World::of_a_provider(Team { no_patch, no_filter, ..Team::default() }).with_groups();
    prop_oneof![
        2 => Just(World::new()),
        2 => Just(World::new().with_groups()),
        1 => Just(provider(false, false)),
        1 => Just(provider(true, false)),
        1 => Just(provider(true, true)),
    ]
}

/// Address, names, employment and scope as recorded; and the members, each with address, names and whether active, and
/// the groups that have members.
pub(super) type End = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<EmploymentState>,
    bool,
    Vec<(String, String, String, bool)>,
    BTreeSet<String>,
);

/// What counts of how a story ends: the record's facts, and the member.
pub(super) fn end_of(world: &World) -> End {
    let record = &world.people["hr/E-1"].record;
    let text = |text: Option<&str>| text.map(str::to_owned);
    // Who has left before anybody was made of them is as good as switched off.
    let mut team: Vec<_> = world.team.users.iter().map(shown).filter(|(.., active)| *active).collect();
    team.sort();
    (
        record.email().map(|email| email.key().to_owned()),
        text(record.given_name()),
        text(record.family_name()),
        record.employment.at(world.now).map(|word| word.state),
        record.is_out_of_scope(world.now),
        team,
        world.team.groups.iter().filter(|(_, members)| !members.is_empty()).map(|(name, _)| name.clone()).collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Promise 3, where reads show what was so half a minute ago, and no word waits for them.
    #[test]
    fn however_far_reads_lag_behind_the_member_ends_as_the_record_says(
        mut events in prop::collection::vec(any_event(), 1..=6),
        gaps in prop::collection::vec(0_u64..40_000, 6),
        lag_ms in 0_u64..40_000,
    ) {
        events[0] = (1, 1, 1, 1, 1, 0);
        let events: Vec<Event> = events.into_iter().enumerate().map(|(n, event)| event_of(n, event)).collect();
        let (mut plain, mut lagging) = (World::new(), World::new());
        lagging.team.lag_ms = lag_ms;
        for (event, gap_ms) in events.iter().zip(gaps) {
            plain.tell(std::slice::from_ref(event));
            plain.now = plain.now.plus_ms(120_000);
            lagging.tell(std::slice::from_ref(event));
            lagging.now = lagging.now.plus_ms(gap_ms);
        }
        prop_assert!(lagging.team.users.len() <= 1, "no duplicate member");
        prop_assert_eq!(end_of(&plain), end_of(&lagging));
    }

    /// Promise 3, where addresses of hires cannot be used, and the last word has one that can.
    #[test]
    fn whatever_the_order_the_next_address_completes_a_hire_under_one_that_cannot_be_used(
        mut events in prop::collection::vec(any_event(), 1..=4),
        unusable in prop::collection::vec(any::<bool>(), 4),
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        batches in prop::collection::vec(1_usize..4, 5),
        again in prop::collection::vec(0_usize..5, 0..4),
    ) {
        events[0] = (1, 1, 1, 1, 1, 0);
        let mut events: Vec<Event> = events.into_iter().enumerate().map(|(n, event)| event_of(n, event)).collect();
        for (event, is_unusable) in events.iter_mut().zip(unusable) {
            if event.kind == EventKind::Hire && is_unusable {
                (event.facts.email, event.facts.unusable_email) = (None, true);
            }
        }
        events.push(update(200, "ada.king@example.com", "Ada", "King"));
        let mut plain = World::new();
        for event in &events {
            plain.tell(std::slice::from_ref(event));
            plain.now = plain.now.plus_ms(120_000);
        }
        let mut other = World::new();
        let mut turned: Vec<Event> = order.iter().filter_map(|&n| events.get(n).cloned()).collect();
        turned.extend(again.iter().filter_map(|&n| events.get(n).cloned()));
        for size in batches.iter().cycle() {
            if turned.is_empty() { break; }
            let rest = turned.split_off((*size).min(turned.len()));
            other.tell(&turned);
            other.now = other.now.plus_ms(120_000);
            turned = rest;
        }
        prop_assert!(other.team.users.len() <= 1, "no duplicate member: {:?}", other.team.calls);
        prop_assert!(!other.people["hr/E-1"].record.waits_for_email());
        prop_assert_eq!(end_of(&plain), end_of(&other));
    }

    /// Promise 3.
    #[test]
    fn whatever_the_order_the_record_and_the_member_end_the_same(
        mut events in prop::collection::vec(any_event(), 1..=5),
        order in Just((0..5_usize).collect::<Vec<_>>()).prop_shuffle(),
        batches in prop::collection::vec(1_usize..4, 5),
        again in prop::collection::vec(0_usize..5, 0..4),
        faults in prop::collection::vec(any_fault(), 0..12),
        crashes in prop::collection::vec(1_usize..25, 0..3),
        come_meanwhile in any::<bool>(),
        world in any_world(),
    ) {
        // Somebody whose address HR never told can be found by nobody.
        events[0] = (1, 1, 1, 1, 1, 0);
        let events: Vec<Event> = events.into_iter().enumerate().map(|(n, event)| event_of(n, event)).collect();
        let mut plain = world.clone();
        for event in &events {
            plain.tell(std::slice::from_ref(event));
            plain.now = plain.now.plus_ms(120_000);
        }
        let mut other = world;
        let mut crashes = crashes;
        crashes.sort_unstable();
        (other.faults, other.crashes) = (faults, crashes);
        let mut turned: Vec<Event> = order.iter().filter_map(|&n| events.get(n).cloned()).collect();
        turned.extend(again.iter().filter_map(|&n| events.get(n).cloned()));
        for size in batches.iter().cycle() {
            if turned.is_empty() { break; }
            let rest = turned.split_off((*size).min(turned.len()));
            other.arriving = if come_meanwhile { rest.clone() } else { Vec::new() };
            other.tell(&turned);
            other.now = other.now.plus_ms(120_000);
            turned = if come_meanwhile { std::mem::take(&mut other.arriving) } else { rest };
        }
        other.faults.clear();
        other.crashes.clear();
        // What was blocked or refused on the way is tried once more, as an operator would.
        let retry = Entry { accepted_at: other.now, word: Word::TryAgain { by: "test".to_owned() }, trace: None };
        other.work(&person("E-1"), &[(u64::MAX, retry)]);
        prop_assert!(other.team.users.len() <= 1, "no duplicate member: {:?}", other.team.calls);
        prop_assert_eq!(end_of(&plain), end_of(&other));
    }
}
