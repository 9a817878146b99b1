//! The responses of the systems' APIs, in the vendors' own formats, and what each preset reads from them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use scim_bridge::config::presets;
use scim_bridge::core::fetch::{Api, Asked, Credential, FetchRules, HrReply, NextRead, ReadEnd, ReadState};
use scim_bridge::core::person::{EmploymentState, Person, SourceName, Stated};
use serde_json::{Value, json};

use crate::rig::NOW;

#[derive(serde::Deserialize)]
struct Preset {
    fetch: FetchRules,
}

/// The facts read about `E-1`, in one line, if the preset's requests get these responses (null: 404).
fn read(preset: &str, answers: &[Value]) -> String {
    read_of(preset, "E-1", answers)
}

fn read_of(preset: &str, id: &str, answers: &[Value]) -> String {
    let path = format!("{}/config/presets/{preset}.toml", env!("CARGO_MANIFEST_DIR"));
    let Preset { fetch } = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let given: BTreeSet<_> =
        [Credential::Token, Credential::Username, Credential::Password, Credential::ClientId, Credential::ClientSecret]
            .into();
    let values =
        ["subdomain", "company_id", "account_token", "member_id", "host"].map(|name| (name.to_owned(), "x".to_owned()));
    let api = Api::new(fetch, Some("http://127.0.0.1:1"), BTreeMap::from(values), &given).unwrap();
    let person = Person::parse(SourceName::parse("hr").unwrap(), id).unwrap();
    let mut state = ReadState::new(person.source.clone(), Asked::Person { person }, NOW);
    for answer in answers {
        assert!(matches!(state.next(&api), NextRead::Send(_)), "{preset}: {:?}", state.next(&api));
        let (status, body) = (if answer.is_null() { 404 } else { 200 }, Bytes::from(answer.to_string()));
        state.learn(&api, &HrReply::Http { status, headers: Vec::new(), body, body_complete: true }, NOW);
    }
    match state.next(&api) {
        NextRead::Done(ReadEnd::Person(found)) => {
            let mut line = Vec::new();
            for facts in found.events.iter().map(|event| &event.facts) {
                line.extend(facts.employment.map(|(state, from)| {
                    let word = if state == EmploymentState::Employed { "employed" } else { "left" };
                    from.map_or(word.to_owned(), |from| format!("{word} from {from}"))
                }));
                line.extend(facts.email.as_ref().map(|email| email.lower().to_owned()));
                for (what, name) in [("given", facts.given_name_that_counts()), ("family", facts.family_name.as_ref())]
                {
                    if let Some(Stated::Is(name)) = name {
                        line.push(format!("{what} {}", name.as_str()));
                    }
                }
            }
            line.extend(
                found.lost.map(|(code, detail)| format!("{code} {}", detail.split(':').next().unwrap_or_default())),
            );
            line.join(", ")
        }
        NextRead::Done(ReadEnd::TryAgain { code, .. }) => format!("again: {code}"),
        NextRead::Done(end) => end.meaning().to_owned(),
        next => panic!("{preset}: {next:?}"),
    }
}

/// NOW is 22 November 2026.
const ADA: &str = "employed, ada@example.com, given Ada, family King";

#[test]
fn gusto_the_latest_termination_counts_unless_a_hire_follows() {
    let of = |terminated: bool, terminations: Value, hired: &str| {
        let employee = json!({"uuid": "E-1", "first_name": "Augusta", "preferred_first_name": "Ada", "last_name": "King", "email": "ada@home.example",
            "work_email": "ada@example.com", "terminated": terminated, "onboarded": true, "jobs": [{"hire_date": hired}], "terminations": terminations});
        read("gusto", &[employee])
    };
    let rest = "ada@example.com, given Ada, family King";
    let end = |active: bool, day: &str| json!({"active": active, "effective_date": day});
    assert_eq!(of(false, json!([]), "2020-01-20"), ADA);
    assert_eq!(
        of(true, json!([end(true, "2026-11-20")]), "2020-01-20"),
        format!("left from 2026-11-21T00:00:00Z, {rest}")
    );
    let both = [end(true, "2021-01-01"), end(false, "2026-12-31")];
    let ahead = format!("{ADA}, left from 2027-01-01T00:00:00Z");
    assert_eq!(of(true, json!(both), "2022-01-01"), ahead, "a second end, in the future");
    assert_eq!(of(true, json!([both[1], both[0]]), "2022-01-01"), ahead, "in any order");
    assert_eq!(of(false, json!([end(true, "2026-11-20")]), "2026-11-21"), ADA, "hired again");
    assert_eq!(
        of(false, json!([end(false, "2026-12-31")]), "2020-01-20"),
        format!("{ADA}, left from 2027-01-01T00:00:00Z")
    );
    assert_eq!(
        of(true, json!([end(false, "2026-12-31")]), "2020-01-20"),
        ahead,
        "`terminated` is true as soon as an end is entered: until then they work here"
    );
    assert_eq!(of(true, json!([]), "2020-01-20"), format!("left, {rest}"));
    for over in [true, false] {
        let late = of(over, json!([end(false, "2026-11-20")]), "2020-01-20");
        assert_eq!(
            late,
            format!("{rest}, left from 2026-11-21T00:00:00Z"),
            "the day counts, not when Gusto follows it"
        );
    }
    let again = of(false, json!([end(false, "2026-11-20")]), "2026-11-21");
    assert_eq!(again, ADA, "hired again, although the end was never in effect");
}

#[test]
fn factorial_and_greenhouse_onboarding_the_end_date_decides_a_leave() {
    let factorial = |active: bool, day: Value| {
        let employee = json!({"id": "E-1", "first_name": "Ada", "last_name": "King", "email": "ada@example.com", "active": active, "terminated_on": day});
        assert_eq!(read("factorial", &[json!({"data": employee})]), read("factorial", std::slice::from_ref(&employee)));
        read("factorial", &[employee])
    };
    let greenhouse = |status: Value, day: Value| {
        let employee = json!({"id": 7, "email": "ada@example.com", "firstName": "Ada", "lastName": "King", "preferredFirstName": null,
            "startDate": "2024-01-01", "dateOfTermination": day, "employmentStatus": status});
        read_of("greenhouse-onboarding", "7", &[json!({"data": {"employee": employee}})])
    };
    let left = "ada@example.com, given Ada, family King, left from 2026-11-21T00:00:00Z";
    let ahead = format!("{ADA}, left from 2027-01-01T00:00:00Z");
    let all: [&dyn Fn(Value) -> String; 3] =
        [&|day| factorial(true, day), &|day| greenhouse(json!("Full-time"), day), &|day| greenhouse(Value::Null, day)];
    for of in all {
        assert_eq!(of(Value::Null), ADA);
        assert_eq!(of(json!("2026-11-20")), left);
        assert_eq!(of(json!("2026-12-31")), ahead);
    }
    assert_eq!(factorial(false, Value::Null), ADA.replace("employed", "left"));
    let began = |day: &str| {
        let employee = json!({"id": "E-1", "first_name": "Ada", "last_name": "King", "email": "ada@example.com", "active": true,
            "terminated_on": "2026-10-31", "seniority_calculation_date": day});
        let onboarded = json!({"id": 7, "email": "ada@example.com", "firstName": "Ada", "lastName": "King", "startDate": day,
            "dateOfTermination": "2026-10-31", "employmentStatus": "Full-time"});
        [
            read("factorial", &[employee]),
            read_of("greenhouse-onboarding", "7", &[json!({"data": {"employee": onboarded}})]),
        ]
    };
    assert_eq!(began("2026-11-02"), [ADA, ADA], "they began again after that end");
    let left = "ada@example.com, given Ada, family King, left from 2026-11-01T00:00:00Z";
    assert_eq!(began("2020-01-01"), [left, left]);
}

#[test]
fn paylocity_a_date_may_have_its_month_first() {
    let of = |status: Value| {
        let employee = json!({"employeeId": "E-1", "firstName": "Ada", "lastName": "King", "homeAddress": {"emailAddress": "ada@home.example"},
            "workAddress": {"emailAddress": "ada@example.com"}, "status": status});
        read("paylocity", &[employee])
    };
    let left = ADA.replace("employed", "left from 2026-11-21T00:00:00Z");
    for day in ["2026-11-20T00:00:00", "11/20/2026", "11/20/2026 12:00:00 AM"] {
        assert_eq!(of(json!({"employeeStatus": "T", "effectiveDate": day, "terminationDate": null})), left, "{day}");
        assert_eq!(of(json!({"employeeStatus": "T", "terminationDate": day})), left, "{day}");
        assert_eq!(of(json!({"employeeStatus": "A", "effectiveDate": day})), ADA, "{day}: a raise, or a move");
    }
    let ahead = of(json!({"employeeStatus": "A", "terminationDate": "1/31/2027"}));
    assert_eq!(ahead, format!("{ADA}, left from 2027-02-01T00:00:00Z"));
}

#[test]
fn personio_the_end_of_an_employment_is_ignored_beside_a_current_one_and_before_the_next() {
    let of = |employments: Value| {
        let person = json!({"id": "E-1", "email": "ada@example.com", "first_name": "Ada", "last_name": "King", "preferred_name": "", "custom_attributes": []});
        read("personio", &[person, json!({"_data": employments, "_meta": {"links": {}}})])
    };
    let employment = |status: &str, end: Option<&str>| json!({"id": "e", "status": status, "employment_end_date": end});
    let over_tonight = employment("INACTIVE", Some("2026-11-22"));
    assert_eq!(of(json!([over_tonight, employment("ACTIVE", None)])), ADA);
    assert_eq!(of(json!([over_tonight])), "left from 2026-11-23T00:00:00Z, ada@example.com, given Ada, family King");
    assert_eq!(of(json!([employment("LEAVE", Some("2026-12-31"))])), format!("{ADA}, left from 2027-01-01T00:00:00Z"));
    // A transfer, entered before its day.
    for present in ["ACTIVE", "LEAVE"] {
        let transfer = [employment(present, Some("2026-11-22")), employment("ONBOARDING", None)];
        let reversed = [&transfer[1], &transfer[0]];
        assert_eq!((of(json!(transfer)).as_str(), of(json!(reversed)).as_str()), (ADA, ADA), "{present}");
    }
}

#[test]
fn hibob_and_kombo_the_display_name_gives_the_preferred_first_name() {
    let of = |first: &str, surname: &str, shown: Value| {
        let flat = json!({"/root/id": {"value": "E-1"}, "/root/email": {"value": "ada@example.com"}, "/root/firstName": {"value": first},
            "/root/surname": {"value": surname}, "/root/displayName": {"value": shown}, "/internal/status": {"value": "Active"}});
        let nested = json!({"id": "E-1", "email": "ada@example.com", "firstName": first, "surname": surname, "displayName": shown,
            "internal": {"status": "Active"}, "work": {"startDate": "2024-01-01"}});
        let (flat, nested) = (read("hibob", &[flat]), read("hibob", &[nested]));
        assert_eq!(flat, nested);
        flat
    };
    assert_eq!(of("Augusta", "King", json!("Ada King")), ADA);
    assert_eq!(of("Ada", "King", json!("Countess Lovelace")), ADA);
    assert_eq!(of("Ada", "King", Value::Null), ADA);
    assert_eq!(
        of("Anna", "van der Berg", json!("Anna van der Berg")),
        "employed, ada@example.com, given Anna, family van der Berg"
    );
}

#[test]
fn hibob_garden_leave_is_a_leave_at_once() {
    let of = |lifecycle: &str| {
        let name = json!({"/root/id": {"value": "E-1"}, "/root/email": {"value": "ada@example.com"}, "/root/firstName": {"value": "Ada"},
            "/root/surname": {"value": "King"}, "/internal/status": {"value": "Active"},
            "/internal/lifecycleStatus": {"value": lifecycle}, "/internal/terminationDate": {"value": "2026-12-31"}});
        let nested = json!({"id": "E-1", "email": "ada@example.com", "firstName": "Ada", "surname": "King",
            "internal": {"status": "Active", "lifecycleStatus": lifecycle, "terminationDate": "2026-12-31"}});
        let (flat, nested) = (read("hibob", &[name]), read("hibob", &[nested]));
        assert_eq!(flat, nested);
        flat
    };
    for lifecycle in ["garden leave", "Garden leave", "gardenLeave"] {
        assert_eq!(of(lifecycle), ADA.replace("employed", "left"), "{lifecycle}");
    }
    assert_eq!(of("Terminated"), format!("left from 2027-01-01T00:00:00Z{}", ADA.trim_start_matches("employed")));
    assert_eq!(of("Employed"), format!("{ADA}, left from 2027-01-01T00:00:00Z"));
}

#[test]
fn remote_any_of_three_fields_may_mean_a_leave() {
    let of = |status: &str, user: &str, stage: &str| {
        let employment = json!({"id": "E-1", "work_email": "ada@example.com", "login_email": "ada@home.example", "full_name": "Ada King",
            "status": status, "user_status": user, "employment_lifecycle_stage": stage, "termination_date": null});
        read("remote", &[json!({"data": {"employment": employment}})])
    };
    assert_eq!(of("active", "active", "active"), ADA);
    let left = ADA.replace("employed", "left");
    for (status, user, stage) in
        [("archived", "active", "x"), ("active", "inactive", "active"), ("active", "active", "offboarded")]
    {
        assert_eq!(of(status, user, stage), left, "{status} {user} {stage}");
    }
    assert_eq!(of("invited", "created", "onboarding"), "ada@example.com, given Ada, family King");
}

#[test]
fn deel_a_status_may_be_only_in_the_employment_and_ended_means_no_end_date() {
    let of = |more: Value| {
        let mut person = json!({"id": "E-1", "first_name": "Ada", "last_name": "King", "emails": [{"type": "primary", "value": "ada@home.example"},
            {"type": "work", "value": "ada@example.com"}, {"type": "personal", "value": null}]});
        person.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read("deel", &[json!({"data": person})])
    };
    assert_eq!(of(json!({"employments": [{"is_ended": false, "hiring_status": "active"}]})), ADA);
    assert_eq!(of(json!({"hiring_status": "onboarding_overdue"})), ADA);
    let ended = json!({"is_ended": true, "termination_last_day": "2026-11-22"});
    assert_eq!(of(json!({"hiring_status": "active", "employments": [ended, {"is_ended": false}]})), ADA);
    let last_day = json!({"hiring_status": "active", "termination_last_day": "2026-12-31T00:00:00.000Z"});
    assert_eq!(of(last_day), format!("{ADA}, left from 2027-01-01T00:00:00Z"), "a day written as its midnight");
    assert_eq!(of(json!({"hiring_status": "bench"})), "ada@example.com, given Ada, family King, MAP-FIELD status");
}

#[test]
fn finch_data_that_is_not_ready_is_read_again() {
    let item = |code: u16, body: Value| json!({"responses": [{"individual_id": "E-1", "code": code, "body": body}]});
    let ada = json!({"id": "E-1", "first_name": "Ada", "last_name": "King", "emails": [{"data": "ada@example.com", "type": "work"}]});
    assert_eq!(
        read("finch", &[item(202, json!({"code": 202, "finch_code": "data_sync_in_progress"}))]),
        "again: FETCH-5XX"
    );
    assert_eq!(read("finch", &[item(200, ada.clone()), item(202, json!({}))]), "again: FETCH-5XX");
    assert_eq!(
        read("finch", &[item(200, ada), item(200, json!({"is_active": true, "employment_status": "active"}))]),
        ADA
    );
}

#[test]
fn rippling_apps_have_people_at_another_path() {
    let rest = json!({"id": "E-1", "work_email": "ada@example.com", "status": "ACTIVE", "user": {"name": {"given_name": "Ada", "family_name": "King"}}});
    let app = json!({"id": "E-1", "workEmail": "ada@example.com", "roleState": "ACTIVE", "firstName": "Ada", "lastName": "King"});
    assert_eq!(read("rippling", &[rest]), ADA);
    assert_eq!(read("rippling", &[Value::Null, app]), ADA);
    assert_eq!(read("rippling", &[Value::Null, Value::Null]), "not_found");
}

#[test]
fn merge_a_person_deleted_upstream_has_left() {
    let of = |was_deleted: bool, end: Value| {
        let employee = json!({"id": "E-1", "first_name": "Ada", "last_name": "King", "preferred_name": null, "work_email": "ada@example.com",
            "employment_status": "ACTIVE", "termination_date": end, "remote_was_deleted": was_deleted});
        read("merge", &[employee])
    };
    assert_eq!(of(false, Value::Null), ADA);
    assert_eq!(of(true, Value::Null), ADA.replace("employed", "left"));
    let ended = of(true, json!("2026-11-20T00:00:00Z"));
    assert_eq!(ended, ADA.replace("employed", "left from 2026-11-21T00:00:00Z"));
}

#[test]
fn unconfirmed_presets_read_the_vendors_documented_examples() {
    let employment_hero = |status: &str| {
        json!({"data": {"id": "E-1", "first_name": "Augusta", "known_as": "Ada", "last_name": "King",
            "company_email": "ada@example.com", "personal_email": "ada@home.example", "status": status}})
    };
    let keypay = |status: &str| {
        json!({"id": "E-1", "firstName": "Augusta", "preferredName": "Ada", "surname": "King",
            "emailAddress": "ada@example.com", "status": status})
    };
    let sapling = |state: &str| {
        json!({"user": {"id": "E-1", "first_name": "Augusta", "preferred_name": "Ada", "last_name": "King",
            "company_email": "ada@example.com", "personal_email": "ada@home.example", "state": state}})
    };
    let ukg = |status: &str| {
        json!([{"employeeId": "E-1", "firstName": "Ada", "lastName": "King", "emailAddress": "ada@example.com",
            "employeeStatus": status}])
    };
    let left = ADA.replace("employed", "left");
    for (preset, works, gone) in [
        ("employment-hero", employment_hero("on_leave"), employment_hero("terminated")),
        ("keypay", keypay("Active"), keypay("Terminated")),
        ("sapling", sapling("active"), sapling("departed")),
        ("ukg-pro", ukg("A"), ukg("T")),
    ] {
        assert_eq!(read(preset, &[works]), ADA, "{preset}");
        assert_eq!(read(preset, &[gone]), left, "{preset}");
        assert_eq!(read(preset, &[Value::Null]), "not_found", "{preset}");
    }
}

#[test]
fn the_reads_of_every_thin_preset_are_tested() {
    let tests = [include_str!("answers.rs"), include_str!("journeys.rs"), include_str!("lists.rs")].concat();
    for name in presets::names() {
        let is_thin = presets::about(name).is_some_and(|about| about.thin);
        assert!(!is_thin || tests.contains(&format!("\"{name}\"")), "{name}: no test here uses it");
    }
}
