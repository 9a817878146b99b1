use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::verdict::{Circumstances, OwedRead, ReadRetry, ReadVerdict, judge};
use super::{
    Api, Asked, Credential, FetchRules, HrReply, ListStep, ListedRow, Listing, NextRead, PageEnd, ReadEnd, ReadState,
};
use crate::core::code::Code;
use crate::core::mapping::{Mapping, Record, remap};
use crate::core::person::fold::{fold, fold_read};
use crate::core::person::job::JobId;
use crate::core::person::{Document, EmploymentState, Entry, Event, EventKind, Facts, Person, SourceName, Word};
use crate::core::time::UnixMs;

const GRAPHQL: &str = r#"
host = "https://{values.subdomain}.example.com"
auth = [{ kind = "bearer" }]

[[step]]
method   = "POST"
path     = "/graphql"
body     = { query = "query($id: ID!) { employee(id: $id) { id email } }", variables = { id = "{id}" } }
error_at = "/errors"
found_if = [{ path = "/data/employee", exists = true }]

[mapping]
records       = "/answer/data/employee"
employee_id   = ["/id", "root:/asked/id"]
email         = "/email"
status        = "/status"
active_values = ["active"]
left_values   = ["left"]
ends_at       = "/last_day"
"#;

/// 2026-11-22T10:00:00Z
const NOW: UnixMs = UnixMs(1_795_341_600_000);
const DAY: u64 = 86_400_000;
const RETRY: ReadRetry = ReadRetry { first_ms: 1_000, max_ms: 900_000, give_up_after_ms: 3_600_000 };

fn api(base_url: Option<&str>) -> Api {
    let rules: FetchRules = toml::from_str(GRAPHQL).unwrap();
    let values = BTreeMap::from([("subdomain".to_owned(), "acme".to_owned())]);
    Api::new(rules, base_url, values, &BTreeSet::from([Credential::Token])).unwrap()
}

fn ada() -> Person {
    Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap()
}

fn reply(status: u16, body: &str) -> HrReply {
    HrReply::Http { status, headers: Vec::new(), body: Bytes::copy_from_slice(body.as_bytes()), body_complete: true }
}

/// How a read with this answer ends.
fn read(reply: &HrReply) -> ReadEnd {
    let api = api(None);
    let mut state = ReadState::new(ada().source, Asked::Person { person: ada() }, NOW);
    state.learn(&api, reply, NOW);
    match state.next(&api) {
        NextRead::Done(end) => end,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_built_from_the_rules_and_the_sources_values() {
    let state = ReadState::new(ada().source, Asked::Person { person: ada() }, NOW);
    for (base_url, url) in [(None, "https://acme.example.com/graphql"), (Some("http://gw/hr"), "http://gw/hr/graphql")]
    {
        let NextRead::Send(request) = state.next(&api(base_url)) else { panic!() };
        assert_eq!(request.url, url);
        let (media_type, body) = request.body.unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((media_type, &body["variables"]["id"]), ("application/json", &serde_json::json!("E-1")));
        assert_eq!(body["query"], "query($id: ID!) { employee(id: $id) { id email } }");
    }
}

#[test]
fn errors_and_an_empty_answer_are_no_success() {
    assert!(matches!(
        read(&reply(200, r#"{"errors":[{"message":"too complex"}]}"#)),
        ReadEnd::Refused { code: Code::FetchRefused, .. }
    ));
    assert_eq!(read(&reply(200, r#"{"data":{"employee":null}}"#)), ReadEnd::NotFound);
    assert_eq!(read(&reply(404, "")), ReadEnd::NotFound);
    for refused in [reply(302, ""), reply(401, ""), reply(403, ""), reply(200, "<html></html>")] {
        assert!(matches!(read(&refused), ReadEnd::Hold { may_be_own: true, .. }), "{refused:?}");
    }
    let odd = format!(
        r#"{{"n":1e400,"d":{}{},"data":{{"employee":{{"email":"a@example.com"}}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert!(matches!(read(&reply(200, &odd)), ReadEnd::Person(found) if found.events.len() == 1));
    assert!(
        matches!(read(&reply(200, "\u{feff}{\"data\":{\"employee\":{\"email\":\"a@example.com\"}}}")), ReadEnd::Person(found) if found.events.len() == 1)
    );
}

#[test]
fn an_employee_has_no_past_end_and_may_have_a_future_one() {
    let found = |last_day: &str| {
        let body = format!(r#"{{"data":{{"employee":{{"id":"E-1","status":"active","last_day":"{last_day}"}}}}}}"#);
        let ReadEnd::Person(found) = read(&reply(200, &body)) else { panic!() };
        found.events.iter().filter_map(|event| event.facts.employment).collect::<Vec<_>>()
    };
    assert_eq!(found("2026-11-20"), [(EmploymentState::Employed, None)]);
    let ahead = found("2026-11-24");
    assert_eq!(ahead.len(), 2);
    assert_eq!(ahead[1].1.unwrap().to_string(), "2026-11-25T00:00:00Z");
}

#[test]
fn a_past_end_is_no_leave_for_somebody_who_started_again_later() {
    let rules = format!("{GRAPHQL}past_end = 'left'\nstarts_at = '/start'\n");
    let rules: FetchRules = toml::from_str(&rules).unwrap();
    let values = BTreeMap::from([("subdomain".to_owned(), "acme".to_owned())]);
    let api = Api::new(rules, None, values, &BTreeSet::from([Credential::Token])).unwrap();
    let last_word = |records: &str| {
        let mut state = ReadState::new(ada().source, Asked::Person { person: ada() }, NOW);
        state.learn(&api, &reply(200, &format!(r#"{{"data":{{"employee":[{records}]}}}}"#)), NOW);
        let NextRead::Done(ReadEnd::Person(found)) = state.next(&api) else { panic!("{records}") };
        found.events.iter().filter_map(|event| event.facts.employment).next_back().unwrap().0
    };
    let record = |more: &str| format!(r#"{{"id":"E-1","status":"active","last_day":"2026-10-31"{more}}}"#);
    let again = r#"{"id":"E-1","status":"active"}"#;
    for (records, state) in [
        (record(""), EmploymentState::Left),
        (record(r#","start":"2020-01-01""#), EmploymentState::Left),
        (record(r#","start":"2026-11-01""#), EmploymentState::Employed),
        (format!("{},{again}", record("")), EmploymentState::Employed),
        (format!("{again},{}", record("")), EmploymentState::Left),
    ] {
        assert_eq!(last_word(&records), state, "{records}");
    }
}

fn seen(has_left: bool, others_were_served: bool) -> Circumstances {
    Circumstances { has_left, others_were_served, now: NOW, jitter: 0.5 }
}

fn owed() -> OwedRead {
    let mut owed = None;
    OwedRead::note(&mut owed, NOW, false);
    owed.unwrap()
}

#[test]
fn an_unknown_id_is_retried_and_for_a_leaver_it_confirms_the_leave() {
    let mut waits = owed();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let ReadVerdict::Again { at, code: Code::FetchNotFound } =
            judge(ReadEnd::NotFound, &ada(), &mut waits, RETRY, seen(false, true))
        else {
            panic!()
        };
        pauses.push(at.ms_since(NOW));
    }
    assert_eq!(pauses[..4], [750, 1_500, 3_000, 6_000]);
    assert!(matches!(
        judge(ReadEnd::NotFound, &ada(), &mut waits, RETRY, seen(false, true)),
        ReadVerdict::Block { code: Code::FetchNotFound, .. }
    ));
    let ReadVerdict::Fold(found) = judge(ReadEnd::NotFound, &ada(), &mut owed(), RETRY, seen(true, true)) else {
        panic!()
    };
    assert_eq!(found.events[0].facts.employment, Some((EmploymentState::Left, None)));
}

#[test]
fn an_unlisted_status_is_reported_and_the_rest_counts() {
    let body = r#"{"data":{"employee":{"id":"E-1","email":"a@example.com","status":"sabbatical"}}}"#;
    let ReadEnd::Person(found) = read(&reply(200, body)) else { panic!() };
    assert_eq!(found.events[0].facts.employment, None);
    assert!(found.events[0].facts.email.is_some());
    let (code, detail) = found.lost.unwrap();
    assert!(code == Code::MapField && detail.contains("status") && !detail.contains("sabbatical"), "{detail}");
}

#[test]
fn an_answer_without_the_mapped_status_is_reported() {
    for (employee, lacks) in [
        (r#"{"id":"E-1"}"#, true),
        (r#"{"id":"E-1","email":"a@example.com","status":null}"#, true),
        (r#"{"id":"E-1","email":"a@example.com","status":"active"}"#, false),
        (r#"{"id":"E-1","email":"a@example.com","status":"sabbatical"}"#, false),
    ] {
        let ReadEnd::Person(found) = read(&reply(200, &format!(r#"{{"data":{{"employee":{employee}}}}}"#))) else {
            panic!("{employee}")
        };
        assert_eq!(found.lacks_employment, lacks, "{employee}");
    }
}

#[test]
fn a_record_that_a_later_one_supersedes_is_reported_and_not_lost() {
    let found = |records: &str| {
        let ReadEnd::Person(found) = read(&reply(200, &format!(r#"{{"data":{{"employee":[{records}]}}}}"#))) else {
            panic!("{records}")
        };
        found
    };
    let now = r#"{"id":"E-1","status":"active","email":"a@example.com"}"#;
    for former in [
        r#"{"id":"E-1","status":"left","last_day":"in spring"}"#,
        r#"{"id":"E-1","status":"emeritus"}"#,
        r#"{"id":"E-1","status":"active","email":"none"}"#,
        "null",
    ] {
        let outdone = found(&format!("{former},{now}"));
        assert_eq!(outdone.lost, None, "{former}");
        assert_eq!(outdone.events.last().unwrap().facts.employment, Some((EmploymentState::Employed, None)));
        let detail = outdone.outdone.unwrap();
        assert!(!["spring", "emeritus", "none"].iter().any(|value| detail.contains(value)), "{detail}");
        let newest = found(&format!("{now},{former}"));
        assert!(newest.lost.is_some() && newest.outdone.is_none(), "{former}: it may be the newest");
    }
    let unknown = r#"{"id":"E-1","status":"emeritus"}"#;
    let left = found(&format!(r#"{unknown},{{"id":"E-1","status":"left","last_day":"2026-11-01"}}"#));
    assert!(left.lost.is_some() && left.outdone.is_none(), "the leave may be the older one");
    let lost = found(r#"{"id":"E-1","status":"active","email":"none"},{"id":"E-1","status":"active"}"#);
    assert!(lost.lost.unwrap().1.contains("email") && lost.outdone.is_none(), "no later record tells an address");
}

#[test]
fn a_removal_is_undone_by_an_answer_with_the_record_and_by_a_later_notice() {
    let removed = || {
        let mut owed = None;
        OwedRead::note(&mut owed, NOW, true);
        owed.unwrap()
    };
    let refused = |code| ReadEnd::Refused { code, detail: String::new() };
    let down = ReadEnd::TryAgain { code: Code::FetchUnavailable, not_before: None };
    for (end, stays) in [
        (refused(Code::MapField), false),
        (refused(Code::MapShape), false),
        (refused(Code::FetchUnreadable), true),
        (down, true),
    ] {
        let mut owed = removed();
        let what = format!("{end:?}");
        let _: ReadVerdict = judge(end, &ada(), &mut owed, RETRY, seen(true, true));
        assert_eq!(owed.removed, stays, "{what}");
    }
    let mut owed = Some(removed());
    OwedRead::note(&mut owed, NOW.plus_ms(1), false);
    assert!(!owed.unwrap().removed);
}

const TWO_PATHS: &str = r#"
host = "https://api.example.com"
auth = [{ kind = "client_credentials", token_url = "https://api.example.com/token" }]

[[step]]
path    = "/people/{id}"
or_path = "/leavers/{id}"

[mapping]
records     = "/answer"
employee_id = "/id"
"#;

#[test]
fn a_401_at_a_steps_alternative_path_requests_no_new_token() {
    let rules: FetchRules = toml::from_str(TWO_PATHS).unwrap();
    let given = BTreeSet::from([Credential::ClientId, Credential::ClientSecret]);
    let api = Api::new(rules, None, BTreeMap::new(), &given).unwrap();
    let after = |statuses: &[u16]| {
        let mut state = ReadState::new(ada().source, Asked::Person { person: ada() }, NOW);
        for status in statuses {
            state.learn(&api, &reply(*status, ""), NOW);
        }
        state.next(&api)
    };
    assert_eq!(after(&[401]), NextRead::Renew);
    assert!(matches!(after(&[404, 401]), NextRead::Done(ReadEnd::Hold { at_other_path: true, .. })));
}

const LIST_ONLY: &str = r#"
host = "https://api.example.com"
auth = [{ kind = "bearer" }]

[list]
path      = "/people"
query     = { p = "{page}" }
records   = "/people"
page_from = 1
total_at  = "/total"

[mapping]
records       = "/people"
employee_id   = "/id"
status        = "/status"
active_values = ["active"]
left_values   = ["left"]
ends_at       = "/last_day"
"#;

#[test]
fn a_list_of_changes_counts_records_and_ignores_their_content() {
    let rules: FetchRules = toml::from_str(LIST_ONLY).unwrap();
    let api = Api::new(rules, None, BTreeMap::new(), &BTreeSet::from([Credential::Token])).unwrap();
    let mut state = ReadState::new(ada().source, Asked::List { since: None }, NOW);
    let page = |people: &str| reply(200, &format!(r#"{{"total":4,"people":[{people}]}}"#));
    // Two events of each; then nothing of one.
    state.learn(
        &api,
        &page(
            r#"{"id":1,"status":"active","last_day":"2030-01-01"},{"id":2,"status":"active","last_day":"2030-01-01"}"#,
        ),
        NOW,
    );
    assert!(matches!(state.next(&api), NextRead::Send(_)), "two of four were shown");
    state.learn(&api, &page(r#"{"id":3,"status":"active"},{"id":4}"#), NOW);
    let mut not_there = state.clone();
    state.learn(&api, &page(""), NOW);
    not_there.learn(&api, &reply(404, ""), NOW);
    assert_eq!(state.next(&api), not_there.next(&api), "what is beyond the last page may not be a page");
    let NextRead::Done(ReadEnd::Listed(records)) = state.next(&api) else { panic!("{:?}", state.next(&api)) };
    assert_eq!(records.len(), 5);
}

#[test]
fn a_202_is_tried_again() {
    assert!(matches!(read(&reply(202, "{}")), ReadEnd::TryAgain { code: Code::FetchUnavailable, .. }));
}

#[test]
fn a_403_is_the_persons_own_only_while_others_are_served() {
    let forbidden =
        || ReadEnd::Hold { detail: String::new(), not_before: None, may_be_own: true, at_other_path: false };
    assert!(matches!(judge(forbidden(), &ada(), &mut owed(), RETRY, seen(false, false)), ReadVerdict::Hold { .. }));
    let mut owed = owed();
    let verdicts: Vec<_> = (0..5).map(|_| judge(forbidden(), &ada(), &mut owed, RETRY, seen(false, true))).collect();
    assert!(verdicts[..4].iter().all(|verdict| matches!(verdict, ReadVerdict::Again { .. })));
    assert!(matches!(verdicts[4], ReadVerdict::Block { code: Code::FetchRefused, .. }));
}

#[test]
fn a_429_closes_the_source_unless_others_were_served_since_the_last_one() {
    let limited = || ReadEnd::Limited { until: NOW.plus_ms(30_000) };
    let mut owed = owed();
    let mut judged = |others| judge(limited(), &ada(), &mut owed, RETRY, seen(false, others));
    // A read served before it proves nothing.
    assert!(matches!(judged(true), ReadVerdict::BackOff { .. }));
    assert!(matches!(judged(false), ReadVerdict::BackOff { .. }));
    let ReadVerdict::Again { at, code: Code::FetchRateLimited } = judged(true) else { panic!() };
    assert_eq!(at, NOW.plus_ms(30_000));
    for _ in 0..100 {
        assert!(matches!(judged(true), ReadVerdict::Again { .. }), "nobody is blocked by it soon");
    }
}

#[test]
fn passing_trouble_blocks_nobody_unless_others_are_served_for_long() {
    let down = || ReadEnd::TryAgain { code: Code::FetchUnavailable, not_before: None };
    let mut owed = owed();
    for _ in 0..100 {
        assert!(matches!(judge(down(), &ada(), &mut owed, RETRY, seen(false, true)), ReadVerdict::Again { .. }));
    }
    let later = |others| Circumstances { now: NOW.plus_ms(3_600_000), ..seen(false, others) };
    assert!(matches!(judge(down(), &ada(), &mut owed, RETRY, later(false)), ReadVerdict::Again { .. }));
    assert!(matches!(judge(down(), &ada(), &mut owed, RETRY, later(true)), ReadVerdict::Block { .. }));
}

#[test]
fn a_notice_that_the_system_does_not_show_yet_gets_a_read_of_its_own() {
    let mut owed = owed();
    owed.last_at = NOW.plus_ms(10_000);
    assert_eq!(owed.due(20_000, false), NOW.plus_ms(30_000));
    assert_eq!(owed.due(20_000, true), owed.last_at);
    let rest = owed.clone().after_read(NOW.plus_ms(25_000), 20_000).unwrap();
    assert_eq!(rest.due(20_000, true), NOW.plus_ms(30_000));
    assert_eq!(owed.clone().after_read(NOW.plus_ms(30_000), 20_000), None);
    assert_eq!(owed.after_read(NOW, 0), None);
}

const LISTED: &str = r#"
host = "https://api.example.com"
auth = [{ kind = "bearer" }]

[[step]]
path = "/people/{id}"

[list]
path    = "/people"
records = "/people"
link_at = "/next"

[mapping]
records       = "/answer"
employee_id   = "/id"
email         = "/email"
status        = "/status"
active_values = ["active"]
left_values   = ["left"]
ends_at       = "/last_day"
"#;

fn listing(base_url: Option<&str>) -> (Api, Listing) {
    let rules: FetchRules = toml::from_str(LISTED).unwrap();
    let api = Api::new(rules, base_url, BTreeMap::new(), &BTreeSet::from([Credential::Token])).unwrap();
    let listing = Listing::new(&api, ada().source, None, NOW);
    (api, listing)
}

fn next_url(api: &Api, listing: &Listing) -> Result<String, String> {
    match listing.next(api) {
        ListStep::Send(request) => Ok(request.url),
        ListStep::Whole => Ok(String::new()),
        ListStep::Failed(failure) => Err(failure.detail),
    }
}

#[test]
fn a_row_gives_the_current_state_and_the_day_of_a_future_leave() {
    let (api, mut listing) = listing(None);
    let page = r#"{"people":[
        {"id":1,"status":"active","last_day":"2020-01-01"},
        {"id":2,"status":"active","last_day":"2030-01-01"},
        {"id":3,"status":"left","last_day":"2020-01-01"},
        {"id":4,"status":"left","last_day":"2030-01-01"},
        {"id":5,"email":"ada@example.com"},
        {"id":6,"status":"sabbatical"},
        {"id":7,"status":"active","email":"no address"},
        {"status":"active"},
        {"id":9}
    ]}"#;
    let PageEnd::Rows(rows) = listing.learn(&api, &reply(200, page), NOW) else { panic!("no rows") };
    let (employed, left) = (Some((EmploymentState::Employed, None)), Some((EmploymentState::Left, None)));
    let expected = [(employed, false), (employed, true), (left, false), (None, true), (None, false)];
    for (row, expected) in rows.iter().zip(expected) {
        let ListedRow::Says(facts) = row else { panic!("{row:?}") };
        assert_eq!((facts.event.facts.employment, facts.leaves_at.is_some()), expected, "{row:?}");
        assert_eq!(facts.event.at, None);
    }
    for (row, expected) in rows[5..8].iter().zip(["status:", "email", "employee_id"]) {
        let ListedRow::Bad(reason) = row else { panic!("{row:?}") };
        assert!(reason.contains(expected) && !reason.contains("sabbatical"), "{reason}");
    }
    assert_eq!(rows[8], ListedRow::Nothing);
    assert_eq!(listing.next(&api), ListStep::Whole);
}

/// An announced end, and the night after it, in which the status has not been changed yet.
#[test]
fn a_late_status_brings_nobody_back_whichever_way_it_comes_in() {
    let (announced_at, end) = (NOW.minus_ms(9 * DAY), UnixMs::parse_rfc3339("2026-11-22T00:00:00Z").unwrap());
    let document = || {
        let mut document = Document::new(ada());
        let word = |facts, kind| Event { person: ada(), kind, at: Some(announced_at), facts };
        let said = |state, from| Facts { employment: Some((state, from)), ..Facts::default() };
        document.record.fold(&word(said(EmploymentState::Employed, None), EventKind::Hire), announced_at, 1);
        document.record.fold(&word(said(EmploymentState::Left, Some(end)), EventKind::Leave), announced_at, 2);
        document
    };
    let employee = r#"{"id":"E-1","status":"active","last_day":"2026-11-21","at":"2026-11-22T09:00:00Z"}"#;
    let state = |document: &Document, now| document.record.membership(now);
    // A read after a notice.
    let mut read_one = document();
    let ReadEnd::Person(told) = read(&reply(200, &format!(r#"{{"data":{{"employee":{employee}}}}}"#))) else {
        panic!()
    };
    fold_read(&mut read_one, told.events, NOW, 3);
    assert_eq!(state(&read_one, NOW), Some(EmploymentState::Left));
    assert_eq!(read_one.next_change(NOW), Some(end.plus_ms(7 * DAY)), "then the status is read again");
    // The list of `import --fetch`.
    let mut imported = document();
    let (api, mut listing) = listing(None);
    let page = reply(200, &format!(r#"{{"people":[{employee}]}}"#));
    let PageEnd::Rows(rows) = listing.learn(&api, &page, NOW) else { panic!("no rows") };
    let [ListedRow::Says(facts)] = rows.as_slice() else { panic!("{rows:?}") };
    let job = JobId::about(1 << 64, ada().id());
    let event = Box::new(facts.event.clone());
    let staged = Word::Staged { import: "i".to_owned(), job, event, leaves_at: facts.leaves_at };
    let apply = Word::Apply { import: "i".to_owned(), member: None, after: Vec::new() };
    let entries = [(3, staged), (4, apply)].map(|(seq, word)| (seq, Entry { accepted_at: NOW, word, trace: None }));
    fold(&mut imported, entries.to_vec(), NOW);
    assert_eq!(state(&imported, NOW), Some(EmploymentState::Left));
    // A webhook.
    let mut told = document();
    let webhook = r#"
        assume = "update"
        employee_id = "/id"
        status = "/status"
        active_values = ["active"]
        ends_at = "/last_day"
        occurred_at = "/at"
        starts_at = "/first_day""#;
    let mapping: Mapping = toml::from_str(webhook).unwrap();
    let fold_webhook = |document: &mut Document, body: &str| {
        for (seq, record) in (3..).zip(remap(&mapping, &ada().source, &Bytes::copy_from_slice(body.as_bytes()))) {
            let Record::Event { event, .. } = record else { panic!("{record:?}") };
            document.record.fold(&event, NOW, seq);
        }
    };
    fold_webhook(&mut told, employee);
    assert_eq!(state(&told, NOW), Some(EmploymentState::Left));
    // Whoever began again after it works there, whenever people are invited.
    fold_webhook(&mut told, &employee.replace("\"at\"", "\"first_day\":\"2026-11-22\",\"at\"").replace("T09", "T10"));
    assert_eq!(state(&told, NOW), Some(EmploymentState::Employed));
    // Without a time of its own, and an end long ago, which is that of a former employment.
    let mut untimed = document();
    fold_webhook(&mut untimed, r#"{"id":"E-1","status":"active","last_day":"2024-11-21"}"#);
    assert_eq!(state(&untimed, NOW), Some(EmploymentState::Employed));
}

/// Somebody leaves in three days, and the next employment begins two days later.
#[test]
fn an_end_before_the_next_start_ends_nothing_but_the_days_between() {
    let (day, starts) = (UnixMs::parse_rfc3339("2026-11-26T00:00:00Z").unwrap(), "2026-11-28");
    let employee = format!(r#"{{"id":"E-1","status":"active","last_day":"2026-11-25","start":"{starts}"}}"#);
    for (invite, past_end) in [("at_record", "former"), ("at_start", "former"), ("at_start", "left")] {
        let rules = format!("{GRAPHQL}starts_at = '/start'\ninvite = '{invite}'\npast_end = '{past_end}'\n");
        let rules: FetchRules = toml::from_str(&rules).unwrap();
        let values = BTreeMap::from([("subdomain".to_owned(), "acme".to_owned())]);
        let api = Api::new(rules, None, values, &BTreeSet::from([Credential::Token])).unwrap();
        let read_at = |document: &mut Document, now: UnixMs, seq| {
            let mut state = ReadState::new(ada().source, Asked::Person { person: ada() }, now);
            state.learn(&api, &reply(200, &format!(r#"{{"data":{{"employee":{employee}}}}}"#)), now);
            let NextRead::Done(ReadEnd::Person(told)) = state.next(&api) else { panic!("{invite}") };
            fold_read(document, told.events, now, seq);
        };
        let days = [NOW, day, day.plus_ms(DAY), day.plus_ms(2 * DAY), day.plus_ms(30 * DAY)];
        let (employed, left) = (Some(EmploymentState::Employed), Some(EmploymentState::Left));
        let mut document = Document::new(ada());
        read_at(&mut document, NOW, 1);
        let states = days.map(|now| document.record.membership(now));
        assert_eq!(states, [employed, left, left, employed, employed], "{invite} {past_end}");
        // Read again while they are away, and once they are back.
        read_at(&mut document, day.plus_ms(3 * DAY), 9);
        assert_eq!(document.record.membership(day.plus_ms(3 * DAY)), employed, "{invite} {past_end}");
    }
}

#[test]
fn a_list_continues_only_below_its_own_address() {
    let page = |next: &str| reply(200, &format!(r#"{{"people":[{{"id":1,"status":"active"}}],"next":"{next}"}}"#));
    for (base_url, next, expected) in [
        (None, "https://api.example.com/people?page=2", Some("https://api.example.com/people?page=2")),
        (None, "/people?page=2", Some("https://api.example.com/people?page=2")),
        (Some("http://proxy/hr"), "https://api.example.com/people?page=2", Some("http://proxy/hr/people?page=2")),
        (Some("http://proxy/hr"), "http://proxy/hr/people?page=2", Some("http://proxy/hr/people?page=2")),
        (None, "https://evil.example.com/people", None),
        (None, "https://api.example.com.evil.example/people", None),
        (None, "https://api.example.com@evil.example/people", None),
        (None, "//evil.example/people", None),
        (None, "people?page=2", None),
    ] {
        let (api, mut listing) = listing(base_url);
        listing.learn(&api, &page(next), NOW);
        assert_eq!(next_url(&api, &listing).ok().as_deref(), expected, "{next}");
    }
}
