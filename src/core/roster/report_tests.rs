use super::*;
use crate::core::person::job::JobId;
use crate::core::person::{EmploymentState, KnownMember, samples};
use crate::core::reconcile::listing::everybody;
use crate::core::reconcile::target::TargetRules;
use crate::core::reconcile::world_tests;

const NOW: UnixMs = UnixMs(1_000_000);
const FREE: Rate = Rate { calls: 0, window_ms: 60_000 };
const GUARD: GuardOptions = GuardOptions { leaves_max: 2, leaves_percent: 10, address_changes_max: 1, window_ms: 1 };

fn rules() -> PlanRules {
    PlanRules { read_lag_ms: 0, ..world_tests::rules(TargetRules::default(), Vec::new()) }
}

/// `id address family active`, one for each member.
fn list(members: &[&str]) -> MemberList {
    let members = members.iter().map(|member| {
        let [id, address, family, active] = member.split(' ').collect::<Vec<_>>()[..] else { panic!("{member}") };
        format!(
            r#"{{"id":"{id}","userName":"{address}","name":{{"givenName":"Ada","familyName":"{family}"}},"active":{active}}}"#
        )
    });
    let body = format!(r#"{{"Resources":[{}]}}"#, members.collect::<Vec<_>>().join(","));
    let mut list = MemberList::default();
    list.add(everybody(body.as_bytes()).unwrap().0);
    list
}

/// A person with a row of the import `i` that is not applied.
fn staged(id: &str, address: &str, family: &str) -> Document {
    let event = samples::update_of_ada(id, Some(address), family, EmploymentState::Employed);
    let person = event.person.clone();
    let (import, job) = ("i".to_owned(), JobId::about(1, person.id()));
    let mut document = Document::new(person);
    let word = Word::Staged { import, job, event: Box::new(event), leaves_at: None };
    fold(&mut document, vec![(1, Entry { accepted_at: UnixMs(1_000), word, trace: None })], UnixMs(1_000));
    document
}

/// A document with such a row that was applied.
fn applied(id: &str, address: &str, family: &str, member: &str) -> Document {
    let mut document = staged(id, address, family);
    let word = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
    fold(&mut document, vec![(2, Entry { accepted_at: UnixMs(1_000), word, trace: None })], UnixMs(1_000));
    document.open.clear();
    document.employment_done = document.record.employment.newest().map(|word| word.stamp);
    document.member = Some(KnownMember {
        user_name: address.to_owned(),
        given_name: Some("Ada".to_owned()),
        family_name: Some(family.to_owned()),
        seen_at: UnixMs(1_000),
        ..samples::member(member, Some(true))
    });
    document
}

fn planned(people: &[Document], list: MemberList, selection: &Selection) -> (PlanOutcome, Vec<Planned>) {
    planned_with(people, list, selection, true)
}

fn planned_with(
    people: &[Document],
    list: MemberList,
    selection: &Selection,
    hr_is_whole: bool,
) -> (PlanOutcome, Vec<Planned>) {
    planned_beside(people, list, selection, hr_is_whole, &[])
}

/// The terms of a comparison.
fn of_drift<'t>(rules: &'t PlanRules, selection: &'t Selection) -> PlanTerms<'t> {
    PlanTerms {
        rules,
        guard: GUARD,
        rates: (FREE, FREE),
        imports: BTreeMap::new(),
        hr_is_whole: true,
        selection,
        groups: None,
        only_idle: true,
        now: NOW,
    }
}

/// A plan whose mapping leaves people of these addresses out.
fn planned_beside(
    people: &[Document],
    list: MemberList,
    selection: &Selection,
    hr_is_whole: bool,
    left_out: &[&str],
) -> (PlanOutcome, Vec<Planned>) {
    let rules = rules();
    let imports = [("hr".to_owned(), "i".to_owned())].into();
    let terms = PlanTerms { imports, hr_is_whole, only_idle: false, ..of_drift(&rules, selection) };
    let mut planner = Planner::new(terms, list);
    planner.spare(left_out.iter().map(|address| KnownMember::address_hash(address)));
    for document in people {
        planner.note(document.clone());
    }
    let (mut planned, mut people, mut turn) = (Vec::new(), people.to_vec(), Turn::First);
    while !people.is_empty() {
        let (before, mut later) = (people.len(), Vec::new());
        for document in people {
            match planner.plan(document.clone(), turn) {
                Decided::Later => later.push(document),
                Decided::Now(to_do) => planned.extend(to_do),
            }
        }
        turn = if later.len() == before && turn != Turn::First { Turn::Last } else { Turn::Again };
        people = later;
    }
    (planner.finish(), planned)
}

fn only(word: &str) -> Selection {
    Selection { only: Some([Change::parse(word).unwrap()].into()), ..Selection::default() }
}

fn lengths(report: &PlanReport) -> [usize; 7] {
    Change::ALL.map(|change| report.of(change).len())
}

#[test]
fn many_creates_do_not_block_each_other() {
    let people: Vec<_> = (0..20).map(|n| staged(&format!("E-{n}"), &format!("p{n}@x.com"), "King")).collect();
    let (outcome, planned) = planned(&people, list(&[]), &Selection::default());
    assert_eq!((outcome.report.create.len(), outcome.report.blocked.len(), planned.len()), (20, 0, 20));
}

#[test]
fn a_row_of_a_former_import_does_not_count() {
    let mut former = staged("E-1", "ada@x.com", "King");
    former.staged.as_mut().unwrap().import = "before".to_owned();
    let (outcome, planned) = planned(&[former], list(&[]), &Selection::default());
    assert_eq!((lengths(&outcome.report), planned.len()), ([0; 7], 0));
}

#[test]
fn a_repeated_row_undoes_nothing_at_the_target() {
    let mut ada = applied("E-1", "ada@x.com", "King", "m1");
    ada.staged = staged("E-1", "ada@x.com", "King").staged;
    ada.staged.as_mut().unwrap().accepted_at = UnixMs(2_000);
    let off = planned(&[ada.clone()], list(&["m1 ada@x.com King false"]), &Selection::default()).0.report;
    assert_eq!((lengths(&off), off.switched_off.len()), ([0; 7], 1));
    let gone = planned(&[ada], list(&["m2 bob@x.com Stone true"]), &Selection::default()).0.report;
    assert_eq!((gone.create.len(), gone.blocked.len()), (0, 1));
}

#[test]
fn an_apply_covers_waiting_rows_and_differing_people() {
    let people = [
        applied("E-1", "ada@x.com", "King", "m1"),
        applied("E-2", "bob@x.com", "Stone", "m2"),
        staged("E-3", "eve@x.com", "Moor"),
    ];
    let members = ["m1 ada@x.com King true", "m2 bob@x.com Another true", "m3 eve@x.com Moor true"];
    let (outcome, all) = planned(&people, list(&members), &Selection::default());
    assert_eq!((outcome.report.rename.len(), outcome.report.adopt.len(), all.len()), (1, 1, 2));
    let (_, names) = planned(&people, list(&members), &only("names"));
    assert_eq!(names, [Planned { import: None, member: Some("m2".to_owned()), after: Vec::new() }]);
    let named = Selection { people: Some(["E-3".to_owned(), "E-9".to_owned()].into()), ..Selection::default() };
    let (outcome, planned) = planned(&people, list(&members), &named);
    assert_eq!(planned, [Planned { import: Some("i".to_owned()), member: Some("m3".to_owned()), after: Vec::new() }]);
    assert_eq!(outcome.not_found, ["E-9"]);
}

#[test]
fn members_whose_addresses_differ_only_in_case_are_no_strangers() {
    let people = [staged("E-1", "ada@x.com", "King")];
    let selection = Selection { strangers: true, ..Selection::default() };
    // The filter shows the one that is spelled as in HR.
    let (outcome, all) = planned(&people, list(&["m1 Ada@x.com King true", "m2 ada@x.com King false"]), &selection);
    let report = &outcome.report;
    assert_eq!((report.create.len(), report.adopt.len(), report.switch_on.len(), report.blocked.len()), (0, 1, 1, 0));
    assert_eq!((report.strangers.len(), outcome.strangers.len(), all.len()), (0, 0, 1), "{report:?}");
    assert_eq!(all[0].member, None, "the worker looks for itself");
    // Only the list shows these, and the bridge does not guess.
    let (outcome, _) = planned(&people, list(&["m1 Ada@x.com King true", "m2 aDa@x.com King true"]), &selection);
    let report = &outcome.report;
    let code = report.blocked.first().and_then(|blocked| blocked.code.clone());
    assert_eq!((report.create.len(), code.as_deref()), (0, Some("SCIM-AMBIGUOUS")), "{report:?}");
    assert_eq!((report.strangers.len(), outcome.strangers.len()), (0, 0));
}

#[test]
fn members_whom_the_mapping_leaves_out_or_who_cannot_be_looked_for_are_left_alone() {
    let people = [applied("E-1", "ada@x.com", "King", "m1")];
    let members =
        ["m1 ada@x.com King true", "m2 Bob@x.com Stone true", "m3 svc-account Robot true", "m4 eve@x.com Moor true"];
    let selection = Selection { strangers: true, ..Selection::default() };
    let (outcome, _) = planned_beside(&people, list(&members), &selection, true, &["bob@x.com"]);
    let off: Vec<_> = outcome.strangers.iter().map(|stranger| stranger.id.as_str()).collect();
    assert_eq!((off, outcome.report.deactivate.len(), outcome.report.strangers.len()), (vec!["m4"], 1, 2));
    let warnings = outcome.report.warnings.join("; ");
    assert!(warnings.contains("leave out: 1; they are left alone"), "{warnings}");
    assert!(warnings.contains("not an e-mail address: 1; they are left alone"), "{warnings}");
    let service = outcome.report.strangers.iter().find(|planned| planned.id.as_deref() == Some("m3")).unwrap();
    assert!(service.detail.as_ref().unwrap().contains("by hand"), "{service:?}");
}

#[test]
fn strangers_are_switched_off_only_if_asked_for_and_if_the_list_is_complete() {
    let people: Vec<_> =
        (0..5).map(|n| applied(&format!("E-{n}"), &format!("p{n}@x.com"), "K", &format!("m{n}"))).collect();
    let all: Vec<String> = (0..5).map(|n| format!("m{n} p{n}@x.com K true")).collect();
    let members = |n: usize| {
        let mut members: Vec<&str> = all[..n].iter().map(String::as_str).collect();
        members.extend(["s1 eve@x.com Moor true", "s2 old@x.com Moor false"]);
        list(&members)
    };
    let selection = Selection { strangers: true, ..Selection::default() };
    let (outcome, _) = planned(&people, members(5), &Selection::default());
    assert_eq!((outcome.report.strangers.len(), outcome.report.deactivate.len(), outcome.strangers.len()), (2, 0, 0));
    let (outcome, _) = planned(&people, members(5), &selection);
    let off = [Stranger { id: "s1".to_owned(), user_name: "eve@x.com".to_owned() }];
    assert_eq!((outcome.report.deactivate.len(), outcome.strangers), (1, off.to_vec()));
    // Three of five are gone, and the guard would let two go.
    let (outcome, _) = planned(&people, members(2), &selection);
    assert_eq!((outcome.is_reliable, outcome.strangers.len()), (false, 0));
    assert!(outcome.report.warnings[0].contains("lacks 3 of 5"), "{:?}", outcome.report.warnings);
    let (outcome, _) = planned(&[], members(5), &selection);
    assert_eq!(outcome.strangers, []);
    // Somebody is employed, and HR's address for them is missing: they may be any of the members.
    let mut unaddressed = staged("E-9", "zoe@x.com", "Moor");
    unaddressed.staged.as_mut().unwrap().event.facts.email = None;
    let with_them: Vec<_> = people.iter().cloned().chain([unaddressed]).collect();
    let (outcome, _) = planned(&with_them, members(5), &selection);
    assert_eq!((outcome.knows_strangers, outcome.strangers.len()), (false, 0));
    assert!(outcome.report.warnings.iter().any(|warning| warning.contains("without a usable address: 1;")));
    // Some rows were refused: a person missing in HR's list may be in one of those.
    let (outcome, _) = planned_with(&people, members(5), &selection, false);
    assert_eq!((outcome.is_reliable, outcome.knows_strangers, outcome.strangers.len()), (true, false, 0));
}

/// `n` people who are known and employed, and rows that list them under the ids that `renumbered` gives.
fn renumbered(n: usize, renumbered: impl Fn(usize) -> Option<String>) -> (Vec<Document>, MemberList) {
    let mut people = Vec::new();
    let mut members = Vec::new();
    for i in 0..n {
        let (id, address, member) = (format!("{i:05}"), format!("p{i}@x.com"), format!("m{i}"));
        let mut known = applied(&id, &address, "King", &member);
        let row = staged(&renumbered(i).unwrap_or(id), &address, "King");
        if row.person == known.person {
            known.staged = row.staged;
            people.push(known);
        } else {
            let mut row = row;
            row.staged.as_mut().unwrap().accepted_at = UnixMs(2_000);
            people.extend([known, row]);
        }
        members.push(format!("{member} {address} King true"));
    }
    (people, list(&members.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
fn a_roster_under_other_ids_must_be_seen_before_it_takes_members_over() {
    let everybody = Selection::default();
    let (people, members) = renumbered(12, |i| Some(i.to_string()));
    let (outcome, _) = planned(&people, members, &everybody);
    assert_eq!((outcome.report.take_over.len(), outcome.report.adopt.len()), (12, 12), "{:?}", outcome.report);
    let [warning] = &outcome.report.warnings[..] else { panic!("{:?}", outcome.report.warnings) };
    let named = "hr/0 from hr/00000, hr/1 from hr/00001, hr/2 from hr/00002, ...; has the column of ids lost";
    assert!(warning.starts_with("12 of 12 people") && warning.contains(named), "{warning}");
    assert_eq!(outcome.must_be_seen.as_ref(), Some(warning));
    // Who is named was looked at.
    let named = Selection { people: Some((0..12).map(|i| i.to_string()).collect()), ..Selection::default() };
    let (people, members) = renumbered(12, |i| Some(i.to_string()));
    assert_eq!(planned(&people, members, &named).0.must_be_seen, None);
    // Now and then, somebody gets another id.
    for (moved, must_be_seen) in [(1, false), (2, false), (3, true)] {
        let (people, members) = renumbered(20, |i| (i < moved).then(|| format!("N-{i}")));
        let (outcome, _) = planned(&people, members, &everybody);
        assert_eq!((outcome.report.take_over.len(), outcome.must_be_seen.is_some()), (moved, must_be_seen));
        assert!(outcome.report.warnings[0].ends_with("do these people have new ids in HR?"), "{:?}", outcome.report);
    }
    // HR says of the former ids that they have left: that is a rehire, or a proper renumbering.
    let (mut people, members) = renumbered(12, |i| Some(i.to_string()));
    for former in people.iter_mut().step_by(2) {
        let left = samples::update_of_ada(&former.person.employee_id, None, "King", EmploymentState::Left);
        former.record.fold(&left, UnixMs(1_500), 3);
    }
    let (outcome, _) = planned(&people, members, &everybody);
    assert_eq!((outcome.report.take_over.len(), outcome.must_be_seen), (0, None), "{:?}", outcome.report.warnings);
}

#[test]
fn two_people_with_one_member_are_reported_until_that_is_settled() {
    let pair = || [applied("E-1", "ada@x.com", "King", "m1"), applied("E-2", "ada@x.com", "King", "m1")];
    let members = || list(&["m1 ada@x.com King true", "m3 eve@x.com Moor true"]);
    let with_others = |pair: [Document; 2]| [&pair[..], &[applied("E-3", "eve@x.com", "Moor", "m3")]].concat();
    let (outcome, covered) = planned(&with_others(pair()), members(), &Selection::default());
    let shared: Vec<_> = outcome.report.shared.iter().map(|planned| planned.detail.as_deref().unwrap()).collect();
    assert_eq!(shared, ["hr/E-2 has the same member", "hr/E-1 has the same member"]);
    let drift = crate::core::roster::DriftReport::of(&outcome, 0, UnixMs(1));
    assert_eq!((drift.shared.count, drift.different), (2, 2));
    assert_eq!(covered.len(), 2, "an apply has both tried again");
    assert_eq!(planned(&with_others(pair()), members(), &only("names")).1, []);
    // The member was handed over.
    let [mut one, two] = pair();
    let rules = rules();
    let selection = Selection::default();
    let mut planner = Planner::new(of_drift(&rules, &selection), members());
    planner.note(one.clone());
    planner.note(two.clone());
    one.member = None;
    for document in [one, two] {
        planner.plan(document, Turn::First);
    }
    let outcome = planner.finish();
    assert_eq!((outcome.report.shared.len(), outcome.different), (0, 1), "{:?}", outcome.report);
}

#[test]
fn a_plan_is_out_of_date_once_somebodys_record_or_member_changes() {
    let ada = applied("E-1", "ada@x.com", "King", "m1");
    let report = |document: &Document, member: &str| {
        planned(std::slice::from_ref(document), list(&[member]), &Selection::default()).0.report
    };
    let seen = report(&ada, "m1 ada@x.com King true");
    assert_eq!(seen.difference(&report(&ada, "m1 ada@x.com King true")), None);
    assert!(seen.difference(&report(&ada, "m1 ada@x.com Other true")).unwrap().contains("rename 1 now instead of 0"));
    let mut newer = ada.clone();
    newer.record.family_name = staged("E-1", "ada@x.com", "Byron").staged.and_then(|staged| {
        let mut document = Document::new(staged.event.person.clone());
        document.record.fold(&staged.event, UnixMs(9), 9);
        document.record.family_name
    });
    assert!(report(&ada, "m1 ada@x.com Byron true").difference(&report(&newer, "m1 ada@x.com King true")).is_some());
    let read: PlanReport = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
    assert_eq!(read, seen);
}

#[test]
fn a_row_of_a_closed_record_is_blocked_or_reopens_it() {
    use crate::core::person::{Closed, OwnerNow};
    let handed_over = |state, owner: Option<OwnerNow>| {
        let mut former = staged("E-1", "ada@x.com", "King");
        if let Some(staged) = &mut former.staged {
            staged.event.facts.employment = Some((state, None));
        }
        let to = samples::ada("E-2", None, "King", EmploymentState::Employed).person;
        former.record.closed =
            Some(Closed { to, is_another: false, at: UnixMs(500), said_at: None, address_hash: None, owner });
        former
    };
    let selection = Selection::default();
    let (outcome, applied) =
        planned(&[handed_over(EmploymentState::Employed, None)], list(&["m1 ada@x.com King true"]), &selection);
    let [blocked] = &outcome.report.blocked[..] else { panic!("{:?}", outcome.report) };
    assert_eq!(blocked.code.as_deref(), Some("SCIM-OWNED"));
    assert!(blocked.detail.as_ref().unwrap().contains("handed over to hr/E-2"), "{blocked:?}");
    assert_eq!((outcome.different, applied.len()), (1, 1));
    // A row that agrees asks for nothing.
    let (outcome, applied) = planned(&[handed_over(EmploymentState::Left, None)], list(&[]), &selection);
    assert_eq!((outcome.report.blocked.len(), outcome.different, applied.len()), (0, 0, 0));
    // HR says that they are two people.
    let is_another = handed_over(EmploymentState::Employed, Some(OwnerNow { has_moved: true, ..OwnerNow::default() }));
    let (outcome, applied) = planned(&[is_another], list(&["m1 ada2@x.com King true"]), &selection);
    assert_eq!((outcome.report.create.len(), outcome.report.blocked.len(), applied.len()), (1, 0, 1));
}

#[test]
fn a_listed_member_is_noted_where_only_their_create_had_shown_them() {
    let unshown = |id: &str, address: &str, member: &str| {
        let mut document = applied(id, address, "King", member);
        document.member.as_mut().unwrap().is_unshown = true;
        document
    };
    let people = [unshown("E-1", "ada@x.com", "m1"), unshown("E-2", "bob@x.com", "m2")];
    let (outcome, _) = planned(&people, list(&["m1 ada@x.com King true"]), &Selection::default());
    assert_eq!(outcome.shown, [(people[0].person.clone(), "m1".to_owned())]);
    // The other one has not accepted the invitation, or was removed since: nothing is written, but it is reported.
    let invited: Vec<_> = outcome.report.invited.iter().map(|planned| planned.person.as_deref()).collect();
    assert_eq!((invited, outcome.different), (vec![Some("hr/E-2")], 0));
    let report = crate::core::roster::DriftReport::of(&outcome, 0, UnixMs(1));
    assert_eq!((report.invited.count, report.different, report.invited_long), (1, 0, 0));
    let since = people[1].member.as_ref().unwrap().seen_at;
    let report = crate::core::roster::DriftReport::of(&outcome, 0, since.plus_ms(7 * 86_400_000));
    assert_eq!((report.invited_long, report.invited_since), (1, Some(since)));
}

#[test]
fn a_comparison_counts_people_blocked_by_a_dead_letter() {
    let mut blocked = applied("E-1", "ada@x.com", "King", "m1");
    let (id, code, since) = (JobId::about(1, blocked.person.id()), Code::ScimDoubt, UnixMs(1));
    blocked.trouble = Some(crate::core::person::Trouble { id, code, detail: String::new(), since, tried_at: None });
    let mut discarded = applied("E-2", "bob@x.com", "King", "m2");
    discarded.not_followed_since = Some(UnixMs(1));
    let (rules, selection) = (rules(), Selection::default());
    let mut planner =
        Planner::new(of_drift(&rules, &selection), list(&["m1 other@x.com King true", "m2 bob@x.com King false"]));
    for document in [blocked, discarded] {
        assert_eq!(planner.plan(document, Turn::First), Decided::Now(None));
    }
    let outcome = planner.finish();
    assert_eq!((outcome.different, outcome.not_compared), (0, 2));
}

/// Somebody with a member and a row that is not applied.
fn moved(id: &str, from: &str, to: &str, family: &str, member: &str) -> Document {
    let mut document = applied(id, from, family, member);
    document.staged = staged(id, to, family).staged;
    document.staged.as_mut().unwrap().accepted_at = UnixMs(2_000);
    document
}

#[test]
fn a_member_goes_to_the_first_of_two_rows_and_the_other_comes_after_it() {
    let people = [staged("E-1", "p@x.com", "King"), staged("E-2", "p@x.com", "Stone")];
    for members in [&["m1 p@x.com Old true"][..], &[]] {
        let (outcome, planned) = planned(&people, list(members), &Selection::default());
        let report = outcome.report;
        assert_eq!((report.adopt.len() + report.create.len(), report.blocked.len()), (1, 1), "{report:?}");
        assert_eq!(report.blocked[0].detail.as_deref(), Some("hr/E-2 should get the member of hr/E-1"));
        let first = people[0].person.clone();
        assert_eq!((&planned[1].member, &planned[1].after), (&None, &vec![first]), "{planned:?}");
        assert!(planned[0].after.is_empty());
    }
}

#[test]
fn an_address_that_one_row_frees_is_there_for_another() {
    // In whatever order people are read.
    for newcomer in ["A-4", "Z-4"] {
        let mut people = [moved("E-3", "p3@x.com", "new@x.com", "King", "m3"), staged(newcomer, "p3@x.com", "Stone")];
        people.sort_by_key(|document| document.person.to_string());
        let (outcome, planned) = planned(&people, list(&["m3 p3@x.com King true"]), &Selection::default());
        let report = outcome.report;
        assert_eq!((report.readdress.len(), report.create.len(), report.adopt.len()), (1, 1, 0), "{report:?}");
        assert_eq!(report.blocked, []);
        assert_eq!(planned[1].member, None, "it is not that member that they get");
        assert_eq!(planned[1].after.iter().map(ToString::to_string).collect::<Vec<_>>(), ["hr/E-3"]);
    }
}

#[test]
fn a_leavers_account_that_goes_to_somebody_else_is_shown_as_that() {
    for newcomer in ["A-4", "Z-4"] {
        let mut leaver = moved("E-3", "p3@x.com", "p3@x.com", "King", "m3");
        let row = leaver.staged.as_mut().unwrap();
        row.event = samples::update_of_ada("E-3", Some("p3@x.com"), "King", EmploymentState::Left);
        let mut people = [leaver, staged(newcomer, "p3@x.com", "Stone")];
        people.sort_by_key(|document| document.person.to_string());
        let (outcome, planned) = planned(&people, list(&["m3 p3@x.com King true"]), &Selection::default());
        let report = outcome.report;
        assert_eq!((report.deactivate.len(), report.switch_on.len(), report.rename.len()), (1, 1, 1), "{report:?}");
        assert_eq!((report.blocked.len(), report.take_over.len()), (0, 1));
        let told = format!("1 (hr/{newcomer} from hr/E-3)");
        assert!(report.warnings.iter().any(|warning| warning.contains(&told)), "{:?}", report.warnings);
        assert_eq!(planned[1].after.len(), 1);
    }
}

#[test]
fn an_address_that_a_stranger_has_blocks_a_change_to_it() {
    let people = [moved("E-1", "old@x.com", "new@x.com", "King", "m1")];
    let (outcome, _) =
        planned(&people, list(&["m1 old@x.com King true", "m2 new@x.com Hand true"]), &Selection::default());
    assert_eq!((outcome.report.readdress.len(), outcome.report.blocked.len()), (0, 1));
    assert_eq!(outcome.report.blocked[0].code.as_deref(), Some("SCIM-ADDRESS"));
}

#[test]
fn people_who_swap_addresses_in_a_ring_are_blocked_with_the_names_of_all() {
    let people = [
        moved("E-1", "a@x.com", "b@x.com", "King", "m1"),
        moved("E-2", "b@x.com", "c@x.com", "Stone", "m2"),
        moved("E-3", "c@x.com", "a@x.com", "Moor", "m3"),
    ];
    let members = ["m1 a@x.com King true", "m2 b@x.com Stone true", "m3 c@x.com Moor true"];
    let (outcome, _) = planned(&people, list(&members), &Selection::default());
    assert_eq!((outcome.report.readdress.len(), outcome.report.blocked.len()), (0, 3), "{:?}", outcome.report);
    // A chain that ends somewhere is followed from its end.
    let mut chain = people;
    chain[2] = moved("E-3", "c@x.com", "d@x.com", "Moor", "m3");
    let (outcome, planned) = planned(&chain, list(&members), &Selection::default());
    assert_eq!((outcome.report.readdress.len(), outcome.report.blocked.len()), (3, 0), "{:?}", outcome.report);
    assert_eq!(planned.iter().map(|to_do| to_do.after.len()).collect::<Vec<_>>(), [0, 1, 1]);
}

#[test]
fn a_row_that_is_not_applied_frees_nothing() {
    let people = [moved("E-3", "p3@x.com", "new@x.com", "King", "m3"), staged("E-4", "p3@x.com", "Stone")];
    let selection = Selection { people: Some(["hr/E-4".to_owned()].into()), ..Selection::default() };
    let (outcome, planned) = planned(&people, list(&["m3 p3@x.com King true"]), &selection);
    assert_eq!((outcome.report.create.len(), outcome.report.blocked.len(), planned.len()), (0, 1, 1));
}

#[test]
fn a_row_that_repeats_what_was_discarded_plans_nothing() {
    let mut repeated = moved("E-1", "ada@x.com", "ada@x.com", "King", "m1");
    repeated.not_followed_since = Some(UnixMs(1_500));
    let mut news = moved("E-2", "bob@x.com", "bob@x.com", "Stone", "m2");
    news.staged.as_mut().unwrap().event =
        samples::update_of_ada("E-2", Some("bob@x.com"), "Moor", EmploymentState::Employed);
    news.not_followed_since = Some(UnixMs(1_500));
    let members = ["m1 ada@x.com Another true", "m2 bob@x.com Stone true"];
    let (outcome, planned) = planned(&[repeated, news], list(&members), &Selection::default());
    assert_eq!(
        outcome.report.rename.iter().map(|planned| planned.person.clone().unwrap()).collect::<Vec<_>>(),
        ["hr/E-2"]
    );
    assert_eq!((planned.len(), outcome.report.people), (2, 2), "both rows are taken in");
    assert!(outcome.report.warnings[0].contains("discarded"), "{:?}", outcome.report.warnings);
}
