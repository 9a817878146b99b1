use std::path::Path;

use super::*;

const NOW: UnixMs = UnixMs(1_795_341_600_000);

fn http(status: u16, body: &str) -> Reply {
    Reply::Http(HttpReply {
        status,
        hints: Vec::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        body_complete: true,
    })
}

fn cut(status: u16, body: &str) -> Reply {
    match http(status, body) {
        Reply::Http(reply) => Reply::Http(HttpReply { body_complete: false, ..reply }),
        other => other,
    }
}

const WRITES: [Operation; 3] = [Operation::Create, Operation::Replace, Operation::Activate];
const READS: [Operation; 4] = [Operation::Get, Operation::Find, Operation::Page, Operation::Probe];

/// Every example reply of the published samples, body as it stands there, against the table of
/// what it means.
#[test]
fn every_documented_reply_means_what_the_table_says() {
    let hold_all = |code| Outcome::Hold(HoldScope::All, code);
    let id = "405775fe15ed41872a8eea4c8aa2b38cda9749812cc55c99".to_owned();
    let table = [
        (
            "create-201-user-creation-successful",
            Outcome::Created { id: Some(id.clone()), user_name: Some("testUser@postman.local".to_owned()) },
        ),
        ("create-400-invalid-request-body", Outcome::Permanent(Code::ScimSyntax)),
        ("create-400-not-enterprise", hold_all(Code::HoldPlan)),
        ("create-400-no-slots", Outcome::Hold(HoldScope::Creates, Code::HoldSeats)),
        ("create-400-invalid-team", hold_all(Code::HoldTeamGone)),
        ("create-401-invalid-api-key", hold_all(Code::HoldKey)),
        ("create-403-admin-team-mismatch", hold_all(Code::HoldAdminLeft)),
        ("create-409-user-already-exists", Outcome::AlreadyMember),
        ("create-429-rate-limit-exceeded", Outcome::RateLimited { until: NOW.plus_ms(60_000) }),
        ("create-500-something-went-wrong", Outcome::Unknown { code: Code::ScimUnavailable, not_before: None }),
        (
            "replace-200-ok",
            Outcome::Member(Member {
                id,
                user_name: "test.user@okta.local".to_owned(),
                given_name: Some("Test".to_owned()),
                family_name: Some("User".to_owned()),
                active: Some(true),
            }),
        ),
        ("replace-400-cant-update-username", Outcome::UsernameRefused),
        ("replace-400-invalid-payload", Outcome::Permanent(Code::ScimSyntax)),
        ("replace-400-invalid-team", hold_all(Code::HoldTeamGone)),
        ("replace-401-invalid-api-key", hold_all(Code::HoldKey)),
        ("replace-403-admin-action-not-allowed", Outcome::Permanent(Code::ScimNotAllowed)),
        ("replace-403-admin-team-mismatch", hold_all(Code::HoldAdminLeft)),
        ("replace-403-user-not-in-team", Outcome::NotMember),
        ("replace-404-user-not-found", Outcome::NotMember),
        ("replace-429-rate-limit-exceeded", Outcome::RateLimited { until: NOW.plus_ms(60_000) }),
        ("replace-500-something-went-wrong", Outcome::Passing { code: Code::ScimUnavailable, not_before: None }),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/postman");
    let files = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(files, table.len(), "every fixture has its row");
    for (name, expected) in table {
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let fixture: Value = serde_json::from_str(&text).unwrap();
        let operation = match fixture["operation"].as_str().unwrap() {
            "create" => Operation::Create,
            "replace" => Operation::Replace,
            other => panic!("{name}: {other}"),
        };
        let status = u16::try_from(fixture["code"].as_u64().unwrap()).unwrap();
        let body = fixture["body"].as_str().unwrap();
        assert_eq!(classify(operation, &http(status, body), NOW), expected, "{name}");
        // The other published copies have plain quotes and dashes.
        let plain = body.replace('\u{2019}', "'").replace('\u{2014}', "-");
        assert_eq!(classify(operation, &http(status, &plain), NOW), expected, "{name}, plain");
    }
}

#[test]
fn a_201_is_as_good_as_its_word_whatever_its_body() {
    let made = Outcome::Created { id: None, user_name: None };
    for reply in [http(201, ""), http(201, "<html>"), http(201, "{\"id\":\"4"), cut(201, "{\"id\":"), http(201, "{}")] {
        assert_eq!(classify(Operation::Create, &reply, NOW), made);
    }
    for reply in [
        http(200, ""),
        http(200, "<html>hello</html>"),
        cut(200, "{"),
        http(200, "{\"status\":\"error\"}"),
        http(202, "{\"message\":\"queued\"}"),
    ] {
        let outcome = classify(Operation::Create, &reply, NOW);
        assert_eq!(outcome, Outcome::Unknown { code: Code::ScimUnreadable, not_before: None });
    }
}

#[test]
fn a_success_that_cannot_be_read_is_tried_again_and_never_taken_for_nobody() {
    let unreadable = Outcome::Passing { code: Code::ScimUnreadable, not_before: None };
    for operation in READS.into_iter().chain([Operation::Replace, Operation::Activate]) {
        for body in
            ["", "<html>", "[]", "null", "{\"Resources\":7}", "{\"error\":{\"name\":\"NotFound\"}}", "{\"id\":\"\"}"]
        {
            assert_eq!(classify(operation, &http(200, body), NOW), unreadable, "{operation:?} {body}");
        }
        assert_eq!(classify(operation, &cut(200, "{\"totalResults\":0"), NOW), unreadable);
    }
    assert_eq!(classify(Operation::Get, &http(204, ""), NOW), unreadable);
    assert_eq!(classify(Operation::Activate, &http(204, ""), NOW), Outcome::Applied);
    assert_eq!(classify(Operation::Replace, &http(204, ""), NOW), Outcome::Applied);
}

#[test]
fn a_reply_of_another_content_type_is_judged_by_its_body() {
    // `application/scim+json`, `text/plain`: the header is not even kept. What is no JSON may come
    // from somebody between here and Postman, so it accuses nobody before a probe.
    for status in [400, 401, 403, 404, 422] {
        for body in ["", "<html>403 Forbidden</html>", "Forbidden", "\u{feff}{}", "{\"detail\":"] {
            for operation in [Operation::Create, Operation::Get, Operation::Find, Operation::Replace] {
                assert_eq!(classify(operation, &http(status, body), NOW), Outcome::Suspect, "{status} {body}");
            }
        }
    }
}

#[test]
fn a_refusal_that_is_cut_off_is_asked_for_again() {
    for operation in WRITES.into_iter().chain(READS) {
        let outcome = classify(operation, &cut(400, "{\"detail\":\"No slots avail"), NOW);
        assert_eq!(outcome, Outcome::Passing { code: Code::ScimUnreadable, not_before: None });
    }
    assert_eq!(classify(Operation::Create, &cut(409, ""), NOW), Outcome::AlreadyMember);
}

#[test]
fn a_lack_of_seats_holds_only_what_takes_a_seat() {
    let body = r#"{"detail":"No slots available on your Postman team."}"#;
    for operation in [Operation::Create, Operation::Activate] {
        let outcome = classify(operation, &http(400, body), NOW);
        assert_eq!(outcome, Outcome::Hold(HoldScope::Creates, Code::HoldSeats));
    }
    for operation in [Operation::Replace, Operation::Get, Operation::Find] {
        assert_eq!(classify(operation, &http(400, body), NOW), Outcome::Suspect);
    }
}

#[test]
fn a_redirect_is_not_followed_and_holds_everything() {
    for status in [301, 302, 303, 307, 308] {
        for operation in WRITES.into_iter().chain(READS) {
            let outcome = classify(operation, &http(status, ""), NOW);
            assert_eq!(outcome, Outcome::Hold(HoldScope::All, Code::HoldRedirect));
        }
    }
}

#[test]
fn a_non_scim_404_about_a_member_means_not_a_member_elsewhere_it_is_suspect() {
    let body = r#"{"error":{"name":"NotFound"},"status":"error"}"#;
    for operation in [Operation::Get, Operation::Replace, Operation::Activate] {
        assert_eq!(classify(operation, &http(404, body), NOW), Outcome::NotMember);
    }
    for operation in [Operation::Create, Operation::Find, Operation::Page] {
        assert_eq!(classify(operation, &http(404, body), NOW), Outcome::Suspect);
    }
    assert_eq!(classify(Operation::Probe, &http(404, body), NOW), Outcome::Hold(HoldScope::All, Code::HoldRefused));
}

#[test]
fn unknown_4xx_are_permanent_except_those_that_a_key_or_an_address_can_cause() {
    let body = r#"{"schemas":[],"detail":"Something new.","status":"4xx"}"#;
    for status in [400, 406, 410, 411, 412, 413, 414, 415, 422, 451] {
        assert_eq!(classify(Operation::Create, &http(status, body), NOW), Outcome::Permanent(Code::ScimRejected));
    }
    for status in [401, 402, 403, 404, 405, 407] {
        assert_eq!(classify(Operation::Create, &http(status, body), NOW), Outcome::Suspect);
        assert_eq!(
            classify(Operation::Probe, &http(status, body), NOW),
            Outcome::Hold(HoldScope::All, Code::HoldRefused)
        );
    }
}

#[test]
fn what_breaks_is_unknown_for_a_create_and_passing_for_the_rest() {
    for (reply, code) in [
        (Reply::Lost, Code::ScimUnknownOutcome),
        (http(500, "oops"), Code::ScimUnavailable),
        (http(502, "<html>"), Code::ScimUnavailable),
        (http(503, "{\"detail\":\"unexpected spike\"}"), Code::ScimUnavailable),
        (http(504, ""), Code::ScimUnavailable),
        (http(408, ""), Code::ScimUnavailable),
        (http(999, ""), Code::ScimUnreadable),
    ] {
        assert_eq!(classify(Operation::Create, &reply, NOW), Outcome::Unknown { code, not_before: None });
        for operation in READS.into_iter().chain([Operation::Replace, Operation::Activate]) {
            assert_eq!(classify(operation, &reply, NOW), Outcome::Passing { code, not_before: None });
        }
    }
    let refused = Outcome::Passing { code: Code::ScimUnreachable, not_before: None };
    assert_eq!(classify(Operation::Create, &Reply::NotSent, NOW), refused);
}

#[test]
fn a_hint_is_the_floor_of_the_next_try() {
    let hinted = |status| {
        Reply::Http(HttpReply {
            status,
            hints: vec![("retry-after".to_owned(), "7".to_owned())],
            body: Bytes::new(),
            body_complete: true,
        })
    };
    let until = NOW.plus_ms(7000);
    assert_eq!(classify(Operation::Get, &hinted(429), NOW), Outcome::RateLimited { until });
    assert_eq!(
        classify(Operation::Get, &hinted(503), NOW),
        Outcome::Passing { code: Code::ScimUnavailable, not_before: Some(until) }
    );
}

#[test]
fn a_list_is_read_leniently() {
    let body = r#"{"totalResults":"2","Resources":[{"id":7,"userName":"a@b.c"},{"id":"x"}]}"#;
    let Outcome::Members(listing) = classify(Operation::Find, &http(200, body), NOW) else { panic!() };
    assert_eq!((listing.members.len(), listing.listed, listing.total), (1, 2, Some(2)));
    assert_eq!(listing.members[0].id, "7");
    assert_eq!(listing.members[0].active, None);
    let empty = classify(Operation::Find, &http(200, r#"{"totalResults":0}"#), NOW);
    assert_eq!(empty, Outcome::Members(Listing { members: vec![], listed: 0, total: Some(0) }));
}
