use super::*;
use crate::core::event::{Email, Names, Person, SourceName};
use crate::core::job::{JobId, Progress};

const THOROUGH: Care = Care { thorough: true, pages_max: 2, at_wits_end: false };

fn event(change: Change) -> Event {
    let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
    Event { person, change, locale: None, occurred_at: None }
}

fn names(given: &str, family: &str) -> Names {
    Names::parse(Some(given), Some(family)).unwrap()
}

fn hire() -> Event {
    event(Change::Hire { email: Email::parse("Ada@Example.com").unwrap(), names: names("Ada", "Lovelace") })
}

fn rename() -> Event {
    event(Change::Rename { email: Some(Email::parse("Ada@Example.com").unwrap()), names: names("Ada", "King") })
}

fn job(event: Event) -> Job {
    Job {
        id: JobId(1),
        seq: 10,
        event,
        accepted_at: UnixMs(1_000_000),
        attempts: 0,
        take_overs: 0,
        first_attempt_at: None,
        progress: Progress::default(),
        history: Vec::new(),
    }
}

fn entry(scim_id: Option<&str>) -> DirectoryEntry {
    DirectoryEntry {
        scim_id: scim_id.map(str::to_owned),
        user_name: "ada@example.com".to_owned(),
        in_line_at: UnixMs(0),
        occurred_at: None,
        seq: 5,
    }
}

fn ada(given: &str, family: &str) -> Member {
    Member {
        id: "u1".to_owned(),
        user_name: "ada@example.com".to_owned(),
        given_name: Some(given.to_owned()),
        family_name: Some(family.to_owned()),
        active: Some(true),
    }
}

fn members(members: Vec<Member>) -> Outcome {
    let listed = u32::try_from(members.len()).unwrap();
    Outcome::Members(Listing { members, listed, total: Some(listed) })
}

/// Walks a plan: each planned call is written down as `operation argument`, and answered by the next
/// outcome. Ends with the conclusion; the outcomes must be used up.
fn walk(job: &Job, directory: Option<DirectoryEntry>, outcomes: Vec<Outcome>) -> (Vec<String>, Conclusion) {
    walk_with(job, Known::at_start(job, directory, THOROUGH), outcomes)
}

fn walk_with(job: &Job, mut known: Known, outcomes: Vec<Outcome>) -> (Vec<String>, Conclusion) {
    let mut calls = Vec::new();
    let mut outcomes = outcomes.into_iter();
    loop {
        match plan(&job.event, &known) {
            Next::Finish(conclusion) => {
                assert_eq!(outcomes.next(), None, "after {calls:?}");
                return (calls, conclusion);
            }
            Next::Send(request) => {
                calls.push(match &request {
                    Request::Create(user) => format!("create {}", user.user_name),
                    Request::Get { id } => format!("get {id}"),
                    Request::Find { user_name } => format!("find {user_name}"),
                    Request::Page { start_index } => format!("page {start_index}"),
                    Request::Replace { id, user } => {
                        let name = |part: &Option<String>| part.clone().unwrap_or_default();
                        let active = user.active.map_or("absent".to_owned(), |active| active.to_string());
                        let (given, family) = (name(&user.given_name), name(&user.family_name));
                        format!("replace {id} {} {given} {family} active={active}", user.user_name)
                    }
                    Request::Activate { id } => format!("activate {id}"),
                    Request::Probe => "probe".to_owned(),
                    Request::Discover => "discover".to_owned(),
                });
                let outcome = outcomes.next().unwrap_or_else(|| panic!("no outcome left after {calls:?}"));
                known.learn(&job.event, &request, outcome);
            }
        }
    }
}

fn done(conclusion: &Conclusion) -> Finished {
    match conclusion {
        Conclusion::Done { finished, .. } => *finished,
        other => panic!("{other:?}"),
    }
}

fn dead_code(conclusion: &Conclusion) -> Code {
    match conclusion {
        Conclusion::Dead { code, .. } => *code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hire_of_somebody_unknown_is_one_post() {
    let made = Outcome::Created { id: Some("u1".into()), user_name: Some("ada@example.com".into()) };
    let (calls, end) = walk(&job(hire()), None, vec![made]);
    assert_eq!(calls, ["create ada@example.com"]);
    assert_eq!(
        end,
        Conclusion::Done {
            finished: Finished::Created,
            at_postman: Some(AtPostman { scim_id: Some("u1".into()), user_name: "ada@example.com".into() })
        }
    );
}

#[test]
fn a_created_member_without_an_id_is_remembered_by_user_name() {
    let (_, end) = walk(&job(hire()), None, vec![Outcome::Created { id: None, user_name: None }]);
    let Conclusion::Done { finished: Finished::Created, at_postman: Some(at) } = end else { panic!("{end:?}") };
    assert_eq!(at, AtPostman { scim_id: None, user_name: "ada@example.com".into() });
}

#[test]
fn a_hire_of_a_member_is_adopted_and_brought_in_line() {
    let found = vec![Outcome::AlreadyMember, members(vec![]), members(vec![ada("Ada", "Byron")])];
    let after = Outcome::Member(ada("Ada", "Lovelace"));
    let (calls, end) = walk(&job(hire()), None, [found, vec![after]].concat());
    assert_eq!(
        calls,
        [
            "create ada@example.com",
            "find Ada@Example.com",
            "find ada@example.com",
            "replace u1 ada@example.com Ada Lovelace active=true"
        ]
    );
    assert_eq!(done(&end), Finished::Adopted);
}

#[test]
fn a_member_in_other_letters_is_found_by_paging_within_bounds() {
    let mut shouting = ada("Ada", "Lovelace");
    shouting.user_name = "ADA@example.com".to_owned();
    let page = |listed, found: Vec<Member>| Outcome::Members(Listing { members: found, listed, total: Some(250) });
    let (calls, end) = walk(
        &job(hire()),
        None,
        vec![Outcome::AlreadyMember, members(vec![]), members(vec![]), page(100, vec![]), page(100, vec![shouting])],
    );
    assert_eq!(&calls[3..], ["page 1", "page 101"]);
    assert_eq!(done(&end), Finished::Adopted);
    let (calls, end) = walk(
        &job(hire()),
        None,
        vec![Outcome::AlreadyMember, members(vec![]), members(vec![]), page(100, vec![]), page(100, vec![])],
    );
    assert_eq!(calls.len(), 5, "two pages at the most");
    assert_eq!(dead_code(&end), Code::ScimElsewhere);
}

#[test]
fn paging_ends_with_the_last_page() {
    let last = Outcome::Members(Listing { members: vec![], listed: 30, total: None });
    let none = Outcome::Members(Listing { members: vec![], listed: 0, total: None });
    let already = vec![Outcome::AlreadyMember, members(vec![]), members(vec![])];
    let (calls, _) = walk(&job(hire()), None, [already, vec![last, none]].concat());
    assert_eq!(&calls[3..], ["page 1", "page 31"]);
}

#[test]
fn a_filter_that_was_passed_over_makes_no_stranger_a_hit() {
    let mut stranger = ada("Eve", "Stranger");
    stranger.user_name = "eve@example.com".to_owned();
    let none = members(vec![]);
    let (_, end) = walk(
        &job(hire()),
        None,
        vec![Outcome::AlreadyMember, members(vec![stranger.clone()]), members(vec![stranger]), none],
    );
    assert_eq!(dead_code(&end), Code::ScimElsewhere);
}

#[test]
fn several_hits_are_refused() {
    let mut twin = ada("Ada", "Lovelace");
    twin.id = "u2".to_owned();
    twin.user_name = "ADA@EXAMPLE.COM".to_owned();
    for event in [hire(), rename()] {
        let first =
            if event.kind() == crate::core::event::EventKind::Hire { vec![Outcome::AlreadyMember] } else { vec![] };
        let both = members(vec![ada("Ada", "Lovelace"), twin.clone()]);
        let (_, end) = walk(&job(event), None, [first, vec![both]].concat());
        assert_eq!(dead_code(&end), Code::ScimAmbiguous);
    }
}

#[test]
fn an_unknown_create_ends_the_attempt_and_the_next_one_looks_first() {
    let lost = Outcome::Unknown { code: Code::ScimUnknownOutcome, not_before: None };
    let (_, end) = walk(&job(hire()), None, vec![lost]);
    assert!(matches!(end, Conclusion::TryAgain { create_unknown: true, .. }), "{end:?}");

    let mut again = job(hire());
    again.progress.create_unknown = true;
    let (calls, end) = walk(&again, None, vec![members(vec![ada("Ada", "Lovelace")])]);
    assert_eq!(calls, ["find Ada@Example.com"]);
    assert_eq!(done(&end), Finished::Created);

    let made = Outcome::Created { id: Some("u1".into()), user_name: None };
    let (calls, end) = walk(&again, None, vec![members(vec![]), members(vec![]), made]);
    assert_eq!(calls, ["find Ada@Example.com", "find ada@example.com", "create ada@example.com"]);
    assert_eq!(done(&end), Finished::Created);
}

#[test]
fn a_worker_that_died_may_have_posted() {
    let mut taken_over = job(hire());
    taken_over.take_overs = 1;
    let (calls, _) = walk(&taken_over, None, vec![members(vec![ada("Ada", "Lovelace")])]);
    assert_eq!(calls, ["find Ada@Example.com"]);
    // Or not: what no look-up finds is for somebody to see, not to be taken for our invitation.
    let nobody = || vec![members(vec![]), members(vec![])];
    let conflict = vec![Outcome::AlreadyMember];
    let (_, end) = walk(&taken_over, None, [nobody(), conflict, nobody(), vec![members(vec![])]].concat());
    assert_eq!(dead_code(&end), Code::ScimElsewhere);
}

#[test]
fn a_job_at_its_wits_end_is_given_up_only_where_others_are_served() {
    let spike = || Outcome::Unknown { code: Code::ScimUnavailable, not_before: None };
    let down = || Outcome::Passing { code: Code::ScimUnreachable, not_before: None };
    let job = job(hire());
    let at_wits_end = || Known::at_start(&job, None, Care { at_wits_end: true, ..THOROUGH });
    let (calls, end) = walk_with(&job, at_wits_end(), vec![spike(), members(vec![])]);
    assert_eq!(calls, ["create ada@example.com", "probe"]);
    let Conclusion::Dead { code: Code::ScimGaveUp, create_unknown: true, .. } = end else { panic!("{end:?}") };
    let (_, end) = walk_with(&job, at_wits_end(), vec![spike(), down()]);
    let expected = Conclusion::TryAgain { code: Code::ScimUnavailable, not_before: None, create_unknown: true };
    assert_eq!(end, expected, "an outage kills nobody");
}

#[test]
fn our_own_invitation_is_done_as_invited_and_anybody_elses_is_dead() {
    let mut again = job(hire());
    again.progress.create_unknown = true;
    let nobody = || vec![members(vec![]), members(vec![])];
    let conflict = vec![Outcome::AlreadyMember];
    let paged = vec![members(vec![])];
    let (_, end) = walk(&again, None, [nobody(), conflict.clone(), nobody(), paged.clone()].concat());
    let Conclusion::Done { finished: Finished::Invited, at_postman: Some(at) } = end else { panic!("{end:?}") };
    assert_eq!(at.scim_id, None);
    let (_, end) = walk(&job(hire()), None, [conflict, nobody(), paged].concat());
    assert_eq!(dead_code(&end), Code::ScimElsewhere);
}

#[test]
fn a_hire_switches_a_former_member_on_again_and_then_says_so_in_the_replace() {
    let mut off = ada("Ada", "Byron");
    off.active = Some(false);
    for reply in [Outcome::Applied, Outcome::Member(ada("Ada", "Byron"))] {
        let (calls, end) =
            walk(&job(hire()), None, vec![Outcome::AlreadyMember, members(vec![off.clone()]), reply, Outcome::Applied]);
        assert_eq!(&calls[2..], ["activate u1", "replace u1 ada@example.com Ada Lovelace active=true"]);
        assert_eq!(done(&end), Finished::Adopted);
    }
}

#[test]
fn a_rename_never_switches_anybody_on() {
    for (active, sent) in [(Some(false), "active=false"), (None, "active=absent"), (Some(true), "active=true")] {
        let mut member = ada("Ada", "Lovelace");
        member.active = active;
        let (calls, end) =
            walk(&job(rename()), Some(entry(Some("u1"))), vec![Outcome::Member(member), Outcome::Applied]);
        assert_eq!(calls[0], "get u1");
        assert!(calls[1].ends_with(sent), "{calls:?}");
        assert_eq!(done(&end), Finished::Updated);
    }
}

#[test]
fn a_rename_that_is_so_already_writes_nothing() {
    let (calls, end) = walk(&job(rename()), Some(entry(Some("u1"))), vec![Outcome::Member(ada("Ada", " King "))]);
    assert_eq!(calls, ["get u1"]);
    assert_eq!(done(&end), Finished::Unchanged);
}

#[test]
fn a_rename_that_tells_one_name_keeps_the_other() {
    let one = event(Change::Rename { email: None, names: Names::parse(None, Some("King")).unwrap() });
    let (calls, _) = walk(
        &job(one),
        Some(entry(Some("u1"))),
        vec![Outcome::Member(ada("Augusta Ada", "Lovelace")), Outcome::Applied],
    );
    assert_eq!(calls[1], "replace u1 ada@example.com Augusta Ada King active=true");
}

#[test]
fn a_stale_id_is_looked_up_again() {
    let mut newer = ada("Ada", "Lovelace");
    newer.id = "u2".to_owned();
    let (calls, end) =
        walk(&job(rename()), Some(entry(Some("u1"))), vec![Outcome::NotMember, members(vec![newer]), Outcome::Applied]);
    assert_eq!(calls, ["get u1", "find Ada@Example.com", "replace u2 ada@example.com Ada King active=true"]);
    assert_eq!(done(&end), Finished::Updated);
}

#[test]
fn a_member_that_is_listed_but_denied_ends_as_nobody_and_does_not_loop() {
    let (calls, end) = walk(&job(rename()), None, vec![members(vec![ada("Ada", "Lovelace")]), Outcome::NotMember]);
    assert_eq!(calls.len(), 2);
    assert_eq!(end, Conclusion::NobodyFound);
    let (_, end) = walk(
        &job(hire()),
        Some(entry(Some("u1"))),
        vec![Outcome::NotMember, Outcome::AlreadyMember, members(vec![ada("Ada", "Lovelace")])],
    );
    assert_eq!(end, Conclusion::NobodyFound);
}

#[test]
fn a_hire_with_a_stale_id_is_a_new_member() {
    let made = Outcome::Created { id: Some("u9".into()), user_name: None };
    let (calls, end) = walk(&job(hire()), Some(entry(Some("u1"))), vec![Outcome::NotMember, made]);
    assert_eq!(calls, ["get u1", "create ada@example.com"]);
    assert_eq!(done(&end), Finished::Created);
}

#[test]
fn a_rename_of_nobody_pages_only_when_it_is_told_to_be_thorough() {
    let job = job(rename());
    let nobody = || vec![members(vec![]), members(vec![])];
    let (calls, end) = walk_with(&job, Known::at_start(&job, None, Care { thorough: false, ..THOROUGH }), nobody());
    assert_eq!((calls.len(), end), (2, Conclusion::NobodyFound));
    let (calls, end) = walk(&job, None, [nobody(), vec![members(vec![])]].concat());
    assert_eq!((calls.last().unwrap().as_str(), end), ("page 1", Conclusion::NobodyFound));
}

#[test]
fn a_rename_without_an_email_goes_by_the_directory_or_by_nothing() {
    let bare = event(Change::Rename { email: None, names: names("Ada", "King") });
    let (calls, _) = walk(&job(bare.clone()), Some(entry(None)), vec![members(vec![ada("Ada", "King")])]);
    assert_eq!(calls, ["find ada@example.com"]);
    let (calls, end) = walk(&job(bare), None, vec![]);
    assert!(calls.is_empty());
    assert_eq!(end, Conclusion::NobodyFound);
}

#[test]
fn what_is_older_than_the_last_change_is_stale_by_its_own_clock_or_else_by_order() {
    let at = |mine: Option<i64>, applied: Option<i64>, seq| {
        let mut entry = entry(Some("u1"));
        entry.occurred_at = applied.map(UnixMs);
        entry.seq = seq;
        let mut job = job(rename());
        job.event.occurred_at = mine.map(UnixMs);
        is_older(&job, &entry)
    };
    assert!(at(Some(5), Some(6), 1), "older by the clock, although accepted later");
    assert!(!at(Some(7), Some(6), 99), "newer by the clock, although accepted earlier (a replay)");
    assert!(at(Some(6), Some(6), 11) && !at(Some(6), Some(6), 9), "the same instant: by order");
    assert!(at(None, Some(6), 11) && !at(Some(6), None, 9), "no instant: by order");
    let mut again = job(hire());
    again.event.occurred_at = Some(UnixMs(6));
    let applied = DirectoryEntry { occurred_at: Some(UnixMs(6)), ..entry(Some("u1")) };
    assert!(is_older(&again, &applied), "the same hire, long after");
    assert!(!at(Some(7), Some(6), 1) && !at(Some(2_000_000), Some(999_999), 1), "ahead of its acceptance");
    assert!(at(Some(2_000_000), Some(1_000_001), 1), "a start date ahead counts from its acceptance");
    for event in [hire(), rename()] {
        let mut stale = job(event);
        stale.seq = 1;
        let (calls, end) = walk(&stale, Some(entry(Some("u1"))), vec![]);
        assert!(calls.is_empty());
        assert_eq!(done(&end), Finished::Stale);
    }
}

#[test]
fn a_suspect_refusal_is_decided_by_a_probe() {
    let (calls, end) = walk(&job(hire()), None, vec![Outcome::Suspect, members(vec![])]);
    assert_eq!(calls, ["create ada@example.com", "probe"]);
    assert_eq!(dead_code(&end), Code::ScimRejected);
    let hold = Outcome::Hold(HoldScope::All, Code::HoldRefused);
    let (_, end) = walk(&job(hire()), None, vec![Outcome::Suspect, hold]);
    assert_eq!(end, Conclusion::Hold { scope: HoldScope::All, code: Code::HoldRefused });
    let passing = Outcome::Passing { code: Code::ScimUnavailable, not_before: None };
    let (_, end) = walk(&job(hire()), None, vec![Outcome::Suspect, passing]);
    assert!(matches!(end, Conclusion::TryAgain { create_unknown: false, .. }));
}

/// Whatever Postman answers, in whatever order: every attempt ends, and soon.
mod any_outcomes {
    use proptest::prelude::*;

    use super::*;

    fn outcome() -> impl Strategy<Value = Outcome> {
        let member = || {
            (0..3_u8, any::<bool>(), prop::sample::select(vec!["King", "Lovelace"])).prop_map(|(id, active, family)| {
                Member { id: format!("u{id}"), active: Some(active), ..ada("Ada", family) }
            })
        };
        prop_oneof![
            Just(Outcome::Created { id: Some("u1".into()), user_name: None }),
            member().prop_map(Outcome::Member),
            Just(Outcome::Applied),
            (prop::collection::vec(member(), 0..3), 0..101_u32)
                .prop_map(|(members, listed)| Outcome::Members(Listing { members, listed, total: None })),
            Just(Outcome::AlreadyMember),
            Just(Outcome::NotMember),
            Just(Outcome::Suspect),
            Just(Outcome::Hold(HoldScope::All, Code::HoldKey)),
            Just(Outcome::Passing { code: Code::ScimUnavailable, not_before: None }),
        ]
    }

    proptest! {
        #[test]
        fn every_attempt_ends(
            outcomes in prop::collection::vec(outcome(), 64),
            is_hire: bool, create_unknown: bool, known: bool,
        ) {
            let mut job = job(if is_hire { hire() } else { rename() });
            job.progress.create_unknown = create_unknown;
            let directory = known.then(|| entry(Some("u1")));
            let mut known = Known::at_start(&job, directory, THOROUGH);
            let mut ended = false;
            for outcome in outcomes {
                match plan(&job.event, &known) {
                    Next::Finish(_) => { ended = true; break }
                    Next::Send(request) => known.learn(&job.event, &request, outcome),
                }
            }
            prop_assert!(ended);
        }
    }
}
