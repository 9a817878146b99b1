use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use bytes::Bytes;

use super::super::group::{GroupCall, GroupOutcome};
use super::super::listing::Listing;
use super::super::request::{Active, Carrier, UserToCreate};
use super::*;

const NOW: UnixMs = UnixMs(1_795_341_600_000);
const HOUR_MS: u64 = 3_600_000;

fn http(status: u16, body: &str) -> Reply {
    Reply::Http(HttpReply {
        status,
        body: Bytes::copy_from_slice(body.as_bytes()),
        body_complete: true,
        ..HttpReply::default()
    })
}

fn cut(status: u16, body: &str) -> Reply {
    hinted(status, body, &[], false)
}

fn hinted(status: u16, body: &str, hints: &[(&str, &str)], body_complete: bool) -> Reply {
    let hints = hints.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Reply::Http(HttpReply { status, hints, body: Bytes::copy_from_slice(body.as_bytes()), body_complete, etag: None })
}

fn retry_after(status: u16, body: &str, seconds: u64) -> Reply {
    hinted(status, body, &[("retry-after", &seconds.to_string())], true)
}

fn meaning(asked: &Request, reply: &Reply) -> Outcome {
    classify(asked, &[], reply, NOW)
}

fn create() -> Request {
    Request::Create(UserToCreate {
        user_name: "ada@example.com".to_owned(),
        given_name: None,
        family_name: None,
        external_id: "E-1".to_owned(),
        locale: None,
    })
}

fn replace(if_match: Option<&str>) -> Request {
    Request::Replace { id: "7".to_owned(), body: String::new(), if_match: if_match.map(str::to_owned) }
}

fn get() -> Request {
    Request::Get { id: "7".to_owned() }
}

fn find() -> Request {
    Request::Find { user_name: "ada@example.com".to_owned() }
}

fn page() -> Request {
    Request::Page { start_index: 1 }
}

fn set_active(active: bool) -> Request {
    Request::SetActive { id: "7".to_owned(), active, by: Carrier::Patch }
}

fn set_user_name() -> Request {
    Request::SetUserName { id: "7".to_owned(), user_name: "new@example.com".to_owned(), by: Carrier::Patch }
}

fn set_names() -> Request {
    Request::SetNames { id: "7".to_owned(), given_name: None, family_name: None, by_path: false }
}

fn writes_to_a_member() -> [Request; 5] {
    [replace(None), set_active(true), set_active(false), set_user_name(), set_names()]
}

fn reads() -> [Request; 4] {
    [get(), find(), page(), Request::Probe]
}

fn all() -> Vec<Request> {
    let others = [create(), Request::Discover];
    writes_to_a_member().into_iter().chain(reads()).chain(others).collect()
}

fn suspect(status: u16) -> Outcome {
    Outcome::Suspect { not_before: None, status }
}

fn refused_by_all() -> Outcome {
    Outcome::Hold(HoldScope::All, Code::HoldRefused, None)
}

fn passing_with(code: Code) -> Outcome {
    Outcome::Passing { code, not_before: None }
}

/// Trouble after which a write may be in effect.
fn trouble_with(request: &Request, code: Code) -> Outcome {
    let is_write = *request == create() || writes_to_a_member().contains(request);
    if is_write { Outcome::Unknown { code, not_before: None } } else { passing_with(code) }
}

/// Every example reply of the published samples, body as it stands there, against the table of
/// what it means.
#[test]
fn every_documented_reply_means_what_the_table_says() {
    let hold_all = |code| Outcome::Hold(HoldScope::All, code, None);
    let table = [
        ("create-400-invalid-request-body", Outcome::Permanent(Code::ScimSyntax)),
        ("create-400-not-enterprise", hold_all(Code::HoldPlan)),
        ("create-400-no-slots", Outcome::Hold(HoldScope::Creates, Code::HoldSeats, None)),
        ("create-400-invalid-team", hold_all(Code::HoldTeamGone)),
        ("create-401-invalid-api-key", hold_all(Code::HoldKey)),
        ("create-403-admin-team-mismatch", hold_all(Code::HoldAdminLeft)),
        ("create-409-user-already-exists", Outcome::AlreadyMember { is_told: true }),
        ("create-429-rate-limit-exceeded", Outcome::RateLimited { until: NOW.plus_ms(60_000) }),
        ("create-500-something-went-wrong", Outcome::Unknown { code: Code::ScimUnavailable, not_before: None }),
        ("replace-400-cant-update-username", Outcome::UsernameRefused),
        ("replace-400-invalid-payload", Outcome::Permanent(Code::ScimSyntax)),
        ("replace-400-invalid-team", hold_all(Code::HoldTeamGone)),
        ("replace-401-invalid-api-key", hold_all(Code::HoldKey)),
        ("replace-403-admin-action-not-allowed", Outcome::Permanent(Code::ScimNotAllowed)),
        ("replace-403-admin-team-mismatch", hold_all(Code::HoldAdminLeft)),
        ("replace-403-user-not-in-team", Outcome::NotMember),
        ("replace-404-user-not-found", Outcome::NotMember),
        ("replace-429-rate-limit-exceeded", Outcome::RateLimited { until: NOW.plus_ms(60_000) }),
        ("replace-500-something-went-wrong", Outcome::Unknown { code: Code::ScimUnavailable, not_before: None }),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/postman");
    let successes = ["create-201-user-creation-successful", "replace-200-ok"];
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let has_a_row = table.iter().any(|(row, _)| *row == name);
        assert!(has_a_row || successes.contains(&name), "{}: give it a row in this table", file.display());
    }
    for (name, expected) in table {
        let (request, status, body) = fixture(name);
        assert_eq!(meaning(&request, &http(status, &body)), expected, "{name}");
        // The other published copies have plain quotes and dashes.
        let plain = body.replace('\u{2019}', "'").replace('\u{2014}', "-");
        assert_eq!(meaning(&request, &http(status, &plain)), expected, "{name}, plain");
    }
}

fn fixture(name: &str) -> (Request, u16, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/postman").join(format!("{name}.json"));
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let request = match fixture["operation"].as_str().unwrap() {
        "create" => create(),
        "replace" => replace(None),
        other => panic!("{name}: `operation` is create or replace, not {other}"),
    };
    let status = u16::try_from(fixture["code"].as_u64().unwrap()).unwrap();
    (request, status, fixture["body"].as_str().unwrap().to_owned())
}

#[test]
fn the_documented_successes_show_the_member() {
    let id = "405775fe15ed41872a8eea4c8aa2b38cda9749812cc55c99";
    let (request, status, body) = fixture("create-201-user-creation-successful");
    let Outcome::Created(Some(member)) = meaning(&request, &http(status, &body)) else { panic!() };
    assert_eq!((member.id.as_str(), member.user_name.as_str()), (id, "testUser@postman.local"));
    let (request, status, body) = fixture("replace-200-ok");
    let Outcome::Member(member) = meaning(&request, &http(status, &body)) else { panic!() };
    assert_eq!((member.id.as_str(), member.user_name.as_str()), (id, "test.user@okta.local"));
    assert_eq!((member.given_name.as_deref(), member.family_name.as_deref()), (Some("Test"), Some("User")));
    assert_eq!(member.active, Active::On);
}

#[test]
fn a_201_counts_whatever_its_body() {
    for reply in [http(201, ""), http(201, "<html>"), http(201, "{\"id\":\"4"), cut(201, "{\"id\":"), http(201, "{}")] {
        assert_eq!(meaning(&create(), &reply), Outcome::Created(None));
    }
    for reply in [
        http(200, ""),
        http(204, ""),
        http(200, "<html>hello</html>"),
        cut(200, "{"),
        http(200, "{\"status\":\"error\"}"),
        http(202, "{\"message\":\"queued\"}"),
    ] {
        let unknown = Outcome::Unknown { code: Code::ScimUnreadable, not_before: None };
        assert_eq!(meaning(&create(), &reply), unknown);
    }
    let upserted = meaning(&create(), &http(200, r#"{"id":"4","userName":"other@example.com"}"#));
    let Outcome::Created(Some(member)) = upserted else { panic!("{upserted:?}") };
    assert_eq!(member.user_name, "other@example.com");
}

#[test]
fn an_unreadable_success_is_retried_and_never_means_nobody() {
    let bodies = ["<html>", "[]", "null", "{\"Resources\":7}", "{\"error\":{\"name\":\"NotFound\"}}", "{\"id\":\"\"}"];
    for request in reads().into_iter().chain(writes_to_a_member()) {
        for body in bodies {
            let unreadable = trouble_with(&request, Code::ScimUnreadable);
            assert_eq!(meaning(&request, &http(200, body)), unreadable, "{request:?} {body}");
        }
        let unreadable = trouble_with(&request, Code::ScimUnreadable);
        assert_eq!(meaning(&request, &cut(200, "{\"totalResults\":0")), unreadable);
        assert_eq!(meaning(&request, &cut(200, "")), unreadable);
    }
    for request in reads() {
        assert_eq!(meaning(&request, &http(204, "")), passing_with(Code::ScimUnreadable));
    }
    for request in writes_to_a_member() {
        for status in [200, 202, 204] {
            assert_eq!(meaning(&request, &http(status, "")), Outcome::Applied);
        }
    }
}

#[test]
fn a_reply_of_another_content_type_is_judged_by_its_body() {
    // `application/scim+json`, `text/plain`: the header is not even kept. A body that is not JSON may come from
    // something between here and Postman, so nobody is blamed until others have been tried.
    for status in [400, 401, 403, 404, 409, 422] {
        for body in ["", "<html>403 Forbidden</html>", "Forbidden", "[]", "{\"detail\":"] {
            for request in [get(), replace(None), set_user_name(), page()] {
                // A look-up comes next; if everything is refused, it is refused, too.
                let expected = match (status, body) {
                    (404, "") if request == get() => Outcome::NotMember,
                    (404, _) if request == get() => Outcome::Nowhere { not_before: None, status },
                    _ => suspect(status),
                };
                assert_eq!(meaning(&request, &http(status, body)), expected, "{status} {body}");
            }
        }
    }
    assert_eq!(meaning(&get(), &http(410, "<html>")), Outcome::Nowhere { not_before: None, status: 410 });
    let of_group = Request::Group(GroupCall::Get { id: "7".to_owned() });
    assert_eq!(meaning(&of_group, &http(404, "<html>")), suspect(404));
    for body in ["", "{}"] {
        assert_eq!(meaning(&of_group, &http(404, body)), Outcome::Group(GroupOutcome::Nobody));
    }
    assert_eq!(meaning(&get(), &http(404, "\u{feff}{}")), Outcome::NotMember);
}

#[test]
fn a_truncated_refusal_is_retried() {
    for request in all() {
        let outcome = meaning(&request, &cut(400, "{\"detail\":\"No slots avail"));
        assert_eq!(outcome, passing_with(Code::ScimUnreadable));
    }
    assert_eq!(meaning(&create(), &cut(409, "")), Outcome::AlreadyMember { is_told: false });
}

#[test]
fn a_lack_of_seats_holds_only_what_takes_a_seat() {
    let no_slots = http(400, r#"{"detail":"No slots available on your Postman team."}"#);
    for request in [create(), set_active(true)] {
        assert_eq!(meaning(&request, &no_slots), Outcome::Hold(HoldScope::Creates, Code::HoldSeats, None));
    }
    for request in [replace(None), get(), set_active(false)] {
        assert_eq!(meaning(&request, &no_slots), suspect(400));
    }
}

#[test]
fn a_redirect_is_not_followed_and_accuses_nobody_yet() {
    for status in [301, 302, 303, 307, 308] {
        for request in [create(), get(), find(), page()].into_iter().chain(writes_to_a_member()) {
            assert_eq!(meaning(&request, &http(status, "")), suspect(status));
        }
        for request in [Request::Probe, Request::Discover] {
            assert_eq!(meaning(&request, &http(status, "")), Outcome::Hold(HoldScope::All, Code::HoldRedirect, None));
        }
    }
}

#[test]
fn a_404_in_json_about_a_member_means_not_a_member_and_elsewhere_it_is_suspect() {
    let not_found = http(404, r#"{"error":{"name":"NotFound"},"status":"error"}"#);
    for request in writes_to_a_member().into_iter().chain([get()]) {
        assert_eq!(meaning(&request, &not_found), Outcome::NotMember);
    }
    for request in [create(), page()] {
        assert_eq!(meaning(&request, &not_found), suspect(404));
    }
    assert_eq!(meaning(&Request::Probe, &not_found), refused_by_all());
}

#[test]
fn a_filter_that_is_refused_is_paged_around_unless_a_key_can_be_the_cause() {
    for (status, body) in [
        (404, "{}"),
        (404, "<html>"),
        (400, "Bad Request"),
        (400, r#"{"scimType":"invalidFilter"}"#),
        (400, r#"{"detail":"You’ve used filter(s) that Postman doesn’t support."}"#),
        (400, r#"{"scimType":"invalidSyntax"}"#),
        (403, r#"{"scimType":"tooMany"}"#),
        (501, ""),
    ] {
        assert_eq!(meaning(&find(), &http(status, body)), Outcome::NoFilter, "{status} {body}");
    }
    assert_eq!(meaning(&find(), &http(403, "{}")), suspect(403));
    let plan = r#"{"detail":"Only Postman teams on the Enterprise plan can use SCIM provisioning."}"#;
    assert_eq!(meaning(&find(), &http(400, plan)), Outcome::Hold(HoldScope::All, Code::HoldPlan, None));
    assert_eq!(meaning(&page(), &http(501, "")), suspect(501));
}

#[test]
fn uniqueness_with_any_status_means_already_a_member() {
    for status in [400, 403, 409, 422] {
        let unique = http(status, r#"{"scimType":"Uniqueness"}"#);
        assert_eq!(meaning(&create(), &unique), Outcome::AlreadyMember { is_told: true });
        assert_eq!(meaning(&set_user_name(), &unique), Outcome::AddressRefused { is_taken: true, status });
        assert_eq!(meaning(&replace(None), &unique), Outcome::Permanent(Code::ScimRejected));
    }
    assert_eq!(meaning(&set_user_name(), &http(409, "{}")), Outcome::AddressRefused { is_taken: true, status: 409 });
}

#[test]
fn a_refused_address_is_that_persons_aspect_unless_it_is_a_hold() {
    for (status, body) in [
        (400, r#"{"detail":"Couldn’t update this team member’s username. Try again."}"#),
        (400, r#"{"scimType":"mutability"}"#),
        (403, r#"{"detail":"The admin is not allowed to perform this action."}"#),
        (403, r#"{"detail":"The domain is not verified."}"#),
        (422, "{}"),
    ] {
        let refused = Outcome::AddressRefused { is_taken: false, status };
        assert_eq!(meaning(&set_user_name(), &http(status, body)), refused, "{status} {body}");
    }
    let admin = r#"{"detail":"Your API key was generated by a Team Admin who is no longer on your team."}"#;
    assert_eq!(meaning(&set_user_name(), &http(403, admin)), Outcome::Hold(HoldScope::All, Code::HoldAdminLeft, None));
    for status in [401, 405, 423] {
        assert_eq!(meaning(&set_user_name(), &http(status, "{}")), suspect(status));
    }
}

#[test]
fn a_stale_version_is_read_again() {
    assert_eq!(meaning(&replace(Some("W/\"1\"")), &http(412, "{}")), Outcome::Changed);
    assert_eq!(meaning(&replace(Some("W/\"1\"")), &http(412, "")), Outcome::Changed);
    assert_eq!(meaning(&replace(Some("W/\"1\"")), &http(409, "{}")), Outcome::Changed);
    // RFC 7644 §3.12: a conflict of versions, whether or not one was named.
    for status in [409, 412] {
        assert_eq!(meaning(&replace(None), &http(status, "{}")), Outcome::Changed, "{status}");
        assert_eq!(meaning(&set_active(false), &http(status, "{}")), Outcome::Changed, "{status}");
    }
    assert_eq!(meaning(&set_user_name(), &http(412, "{}")), Outcome::Changed);
    assert_eq!(meaning(&get(), &http(412, "{}")), suspect(412));
    assert_eq!(meaning(&create(), &http(412, "{}")), suspect(412));
}

#[test]
fn a_4xx_about_the_content_is_permanent_and_any_other_that_nobody_documents_is_suspect() {
    let body = r#"{"schemas":[],"detail":"Something new.","status":"4xx"}"#;
    for status in [413, 414, 416] {
        assert_eq!(meaning(&create(), &http(status, body)), Outcome::Permanent(Code::ScimRejected));
    }
    for (status, scim_type) in [(400, "invalidValue"), (400, "mutability"), (422, "InvalidPath")] {
        let content = http(status, &format!(r#"{{"scimType":"{scim_type}","detail":"Something new."}}"#));
        assert_eq!(meaning(&create(), &content), Outcome::Permanent(Code::ScimRejected), "{scim_type}");
    }
    for status in [400, 401, 402, 403, 404, 405, 406, 407, 410, 411, 412, 415, 421, 422, 423, 426, 428, 431, 451] {
        assert_eq!(meaning(&create(), &http(status, body)), suspect(status));
    }
    for status in [400, 409, 412, 422] {
        assert_eq!(meaning(&page(), &http(status, body)), suspect(status));
    }
    for status in [400, 401, 402, 403, 404, 405, 407, 422] {
        assert_eq!(meaning(&Request::Probe, &http(status, body)), refused_by_all());
        assert_eq!(meaning(&Request::Discover, &http(status, "<html>")), refused_by_all());
    }
}

#[test]
fn a_broken_call_is_unknown_for_a_write_and_transient_otherwise() {
    for (reply, code) in [
        (Reply::Lost { reason: NoReply::TimedOut }, Code::ScimUnknownOutcome),
        (http(500, "oops"), Code::ScimUnavailable),
        (http(502, "<html>"), Code::ScimUnavailable),
        (http(503, "{\"detail\":\"unexpected spike\"}"), Code::ScimUnavailable),
        (http(504, ""), Code::ScimUnavailable),
        (http(408, ""), Code::ScimUnavailable),
        (http(999, ""), Code::ScimUnreadable),
    ] {
        for request in reads().into_iter().chain(writes_to_a_member()).chain([create()]) {
            assert_eq!(meaning(&request, &reply), trouble_with(&request, code));
        }
    }
    let refused = Reply::NotSent { reason: NoReply::Refused };
    assert_eq!(meaning(&create(), &refused), passing_with(Code::ScimUnreachable));
    let no_key = Reply::NotSent { reason: NoReply::KeyUnusable };
    assert_eq!(meaning(&create(), &no_key), Outcome::Hold(HoldScope::All, Code::HoldKey, None));
}

#[test]
fn a_hint_delays_the_next_try_on_every_status() {
    let until = NOW.plus_ms(7000);
    let not_before = Some(until);
    assert_eq!(meaning(&get(), &retry_after(429, "", 7)), Outcome::RateLimited { until });
    assert_eq!(meaning(&get(), &retry_after(429, "", 0)), Outcome::RateLimited { until: NOW }, "at once");
    assert_eq!(meaning(&get(), &retry_after(503, "", 7)), Outcome::Passing { code: Code::ScimUnavailable, not_before });
    assert_eq!(
        meaning(&create(), &retry_after(500, "", 7)),
        Outcome::Unknown { code: Code::ScimUnavailable, not_before }
    );
    for status in [302, 401, 403, 423] {
        assert_eq!(meaning(&create(), &retry_after(status, "{}", 7)), Outcome::Suspect { not_before, status });
    }
    // A target that asks to be called again has not refused for good.
    assert_eq!(meaning(&create(), &retry_after(400, "{}", 7)), Outcome::Suspect { not_before, status: 400 });
    let key = r#"{"detail":"Unable to access the team."}"#;
    assert_eq!(meaning(&get(), &retry_after(401, key, 7)), Outcome::Hold(HoldScope::All, Code::HoldKey, not_before));
}

#[test]
fn a_wait_of_more_than_an_hour_is_a_hold_that_says_so() {
    let quota = Outcome::Hold(HoldScope::All, Code::HoldQuota, Some(NOW.plus_ms(2 * HOUR_MS)));
    for status in [403, 408, 429, 500, 503] {
        assert_eq!(meaning(&find(), &retry_after(status, "{}", 7200)), quota, "{status}");
        // A refusal is certain, and an error is not.
        let until = Some(NOW.plus_ms(2 * HOUR_MS));
        let of_write = match status {
            403 | 429 => quota.clone(),
            _ => Outcome::Unknown { code: Code::HoldQuota, not_before: until },
        };
        for request in writes_to_a_member().into_iter().chain([create()]) {
            assert_eq!(meaning(&request, &retry_after(status, "{}", 7200)), of_write, "{status}");
        }
    }
    let reset = [("x-ratelimit-reset", "1795348800")];
    assert_eq!(meaning(&get(), &hinted(429, "", &reset, true)), quota);
    // The end of a limit's window says nothing about a server error.
    let capped = Outcome::Passing { code: Code::ScimUnavailable, not_before: Some(NOW.plus_ms(HOUR_MS)) };
    assert_eq!(meaning(&get(), &hinted(500, "", &reset, true)), capped);
}

fn listed(body: &str) -> Listing {
    match meaning(&find(), &http(200, body)) {
        Outcome::Members(listing) => listing,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn a_list_is_read_leniently_and_keeps_only_the_person_searched() {
    let body = r#"{"totalResults":"3","Resources":[{"id":7,"userName":"ADA@example.com"},{"id":"x"},{"id":9,"userName":"b@c.de"},0]}"#;
    let page = listed(body);
    assert_eq!((page.members.len(), page.listed, page.total), (1, 4, Some(3)));
    assert_eq!((page.members[0].id.as_str(), page.members[0].active), ("7", Active::Unknown));
    let lower = listed(r#"{"totalresults":1,"resources":[{"ID":"1","username":"ada@example.com","Active":"False"}]}"#);
    assert_eq!((lower.members.len(), lower.total, lower.members[0].active), (1, Some(1), Active::Off));
    let many = format!("{{\"Resources\":[{}]}}", ["{\"id\":1,\"userName\":\"ada@example.com\"}"; 50].join(","));
    assert_eq!((listed(&many).members.len(), listed(&many).listed), (1, 50));
}

#[test]
fn an_empty_page_in_any_form_shows_nobody() {
    for body in [
        r#"{"totalResults":0}"#,
        r#"{"totalResults":0,"Resources":null}"#,
        r#"{"Resources":null}"#,
        r#"{"totalResults":0,"Resources":[]}"#,
        r#"{"Resources":[]}"#,
    ] {
        let page = listed(body);
        assert_eq!((page.members.len(), page.listed), (0, 0), "{body}");
    }
    // A total above zero without a row does not prove that nobody is there, nor does a row without an id.
    for body in [
        r#"{"totalResults":1}"#,
        r#"{"totalResults":1,"Resources":null}"#,
        r#"{"totalResults":1,"Resources":[{"userName":"ada@example.com"}]}"#,
    ] {
        assert_eq!(meaning(&find(), &http(200, body)), passing_with(Code::ScimUnreadable), "{body}");
    }
    let behind = Request::Page { start_index: 101 };
    assert!(matches!(meaning(&behind, &http(200, r#"{"totalResults":100}"#)), Outcome::Members(_)));
}

#[test]
fn judging_a_reply_of_4_mib_is_fast() {
    let long = format!(r#"{{"id":1,"userName":"ada@{}.example"}},"#, "\u{fc}".repeat(500));
    let rows = [
        r#"{"":0},"#,
        r#"{"id":1,"userName":"bob@example.com"},"#,
        r#"{"id":1,"userName":"ada@example.com"},"#,
        "[[[],",
        "0,",
        &long,
    ];
    for row in rows {
        let times = 4 * 1024 * 1024 / row.len();
        let closing = if row == "[[[]," { "]]".repeat(times) } else { String::new() };
        let body = format!("{{\"totalResults\":1,\"Resources\":[{}0{closing}]}}", row.repeat(times));
        let reply = http(200, &body);
        // Anything quadratic would take hours.
        let _ = meaning(&find(), &reply);
    }
}

/// Bodies similar to known ones, and some that are not.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "null",
        "true",
        "0",
        "1e999",
        "\"",
        "\\u0000",
        "\"id\"",
        "\"userName\"",
        "\"name\"",
        "\"active\"",
        "\"Resources\"",
        "\"totalResults\"",
        "\"detail\"",
        "\"scimType\"",
        "\"uniqueness\"",
        "\"7\"",
        "\"ada@example.com\"",
        "\u{feff}",
        "\u{2019}",
    ]);
    let near = prop::collection::vec(word, 0..30).prop_map(|words| words.concat().into_bytes());
    prop_oneof![near, prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn any_reply_is_judged_and_harms_nobody(
        status in prop_oneof![100_u16..600, any::<u16>()],
        body in any_body(),
        body_complete in any::<bool>(),
        hint in "\\PC{0,12}",
    ) {
        let hints = vec![("retry-after".to_owned(), hint)];
        let reply = Reply::Http(HttpReply { status, hints, etag: None, body: body.into(), body_complete });
        for request in all() {
            let outcome = meaning(&request, &reply);
            // Only a success shows members, or an end of the list.
            if matches!(outcome, Outcome::Member(_) | Outcome::Created(_) | Outcome::Applied | Outcome::Served(_)) {
                prop_assert!((200..300).contains(&status));
            }
            // Only an explicit refusal is permanent.
            if matches!(outcome, Outcome::Permanent(_) | Outcome::NotMember | Outcome::AddressRefused { .. }) {
                prop_assert!((400..500).contains(&status) && body_complete);
            }
            prop_assert!(!outcome.meaning().is_empty());
        }
        let _ = super::super::refusal::detail_for_story(&reply);
    }
}
