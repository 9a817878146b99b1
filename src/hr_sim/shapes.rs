//! Each system's requests, credentials and responses, following the vendors' documentation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::message::{Request, Response};
use super::person::{HrLogin, HrPerson, HrStatus};

/// The HR systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    BambooHr,
    HiBob,
    PersonioPerson,
    PersonioEmployments,
    Gusto,
    Rippling,
    Deel,
    Remote,
    FinchIndividual,
    FinchEmployment,
    Kombo,
    Factorial,
    Workable,
    Paylocity,
    Lever,
    Ashby,
    Humaans,
    Merge,
}

/// What a request asks for.
pub(super) struct Asked {
    pub(super) system: System,
    /// The person's id; none: a list.
    pub(super) id: Option<String>,
}

/// Parses a request; none if no system has such a path.
pub(super) fn asked(request: &Request) -> Option<Asked> {
    let path: Vec<&str> = request.path().trim_start_matches('/').split('/').collect();
    let (system, id) = match (request.method.as_str(), path.as_slice()) {
        ("GET", ["api", "v1", "employees", id]) => (System::BambooHr, Some(*id)),
        ("POST", ["v1", "people", id]) => (System::HiBob, Some(*id)),
        ("GET", ["v2", "persons", id]) => (System::PersonioPerson, Some(*id)),
        ("GET", ["v2", "persons", id, "employments"]) => (System::PersonioEmployments, Some(*id)),
        ("GET", ["v1", "employees", id]) => (System::Gusto, Some(*id)),
        ("GET", ["workers", id] | ["platform", "api", "employees", id]) => (System::Rippling, Some(*id)),
        ("GET", ["rest", "v2", "people", id]) => (System::Deel, Some(*id)),
        ("GET", ["v1", "employments", id]) => (System::Remote, Some(*id)),
        ("POST", ["employer", "individual"]) => (System::FinchIndividual, None),
        ("POST", ["employer", "employment"]) => (System::FinchEmployment, None),
        ("GET", ["api", _, "resources", "employees", "employees", id]) => (System::Factorial, Some(*id)),
        ("GET", ["spi", "v3", "employees", id]) => (System::Workable, Some(*id)),
        ("GET", ["api", "v2", "companies", _, "employees", id]) => (System::Paylocity, Some(*id)),
        ("GET", ["v1", "opportunities", id]) => (System::Lever, Some(*id)),
        ("POST", ["candidate.info"]) => (System::Ashby, None),
        ("GET", ["api", "people", id]) => (System::Humaans, Some(*id)),
        ("GET", ["api", "hris", "v1", "employees", id]) => (System::Merge, Some(*id)),
        _ => return None,
    };
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let in_body = match system {
        System::FinchIndividual | System::FinchEmployment => body["requests"][0]["individual_id"].as_str(),
        System::Ashby => body["id"].as_str(),
        _ => None,
    };
    let decoded = |id: &str| percent_decoded(id);
    let id = id.map(decoded).or_else(|| in_body.map(str::to_owned));
    // A request without an id finds nobody.
    Some(Asked { system, id: Some(id.unwrap_or_default()) })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex = |bytes: &mut std::str::Bytes<'_>| {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        };
        decoded.push(if byte == b'%' { hex(&mut bytes).unwrap_or(byte) } else { byte });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

impl System {
    /// Whether a request has the credentials that this system requires.
    pub(super) fn lets_in(self, request: &Request, login: &HrLogin, issued: &BTreeSet<String>) -> bool {
        let basic = request.basic();
        let bearer = request.bearer();
        let by_issued = bearer.is_some_and(|token| issued.contains(token));
        match self {
            Self::BambooHr => basic.is_some_and(|(user, _)| user == login.token),
            Self::Lever | Self::Ashby => {
                basic.is_some_and(|(user, password)| user == login.token && password.is_empty())
            }
            Self::HiBob => basic.is_some_and(|(user, password)| user == login.username && password == login.password),
            Self::PersonioPerson | Self::PersonioEmployments | Self::Paylocity => by_issued,
            Self::Gusto => by_issued && request.header("x-gusto-api-version").is_some(),
            Self::Rippling | Self::Deel | Self::Remote | Self::Workable | Self::Humaans => {
                bearer == Some(&login.token) || by_issued
            }
            Self::FinchIndividual | Self::FinchEmployment => {
                bearer == Some(&login.token) && request.header("finch-api-version").is_some()
            }
            Self::Kombo => bearer == Some(&login.token) && request.header("x-integration-id").is_some(),
            Self::Merge => bearer == Some(&login.token) && request.header("x-account-token").is_some(),
            Self::Factorial => request.header("x-api-key") == Some(&login.token),
        }
    }
}

/// A person in the system's format; none: its response for an unknown person.
pub(super) fn person(asked: &Asked, person: Option<&HrPerson>) -> Response {
    let Some(person) = person else { return nobody(asked.system) };
    let body = match asked.system {
        System::Kombo => {
            json!({ "status": "success", "data": { "results": [shape(asked.system, person)], "next": null } })
        }
        System::FinchIndividual | System::FinchEmployment => {
            let body = shape(asked.system, person);
            json!({ "responses": [{ "individual_id": person.id, "code": 200, "body": body }] })
        }
        system => shape(system, person),
    };
    Response::json(200, body.to_string())
}

fn nobody(system: System) -> Response {
    match system {
        System::FinchIndividual | System::FinchEmployment => {
            let error = json!({ "code": 404, "message": "Individual not found", "name": "not_found_error" });
            Response::json(
                200,
                json!({ "responses": [{ "individual_id": "?", "code": 404, "body": error }] }).to_string(),
            )
        }
        System::Ashby => {
            Response::json(200, json!({ "success": false, "errors": ["candidate_not_found"] }).to_string())
        }
        System::PersonioPerson | System::PersonioEmployments => {
            Response::of(404, "application/problem+json", json!({ "title": "Not Found", "status": 404 }).to_string())
        }
        _ => Response::json(404, json!({ "error": "not found" }).to_string()),
    }
}

/// A person in a system's format.
pub(super) fn shape(system: System, p: &HrPerson) -> Value {
    let works = p.status == HrStatus::Working;
    let either = |working: &str, gone: &str| (if works { working } else { gone }).to_owned();
    match system {
        System::BambooHr => json!({
            "id": p.id, "firstName": p.given_name, "lastName": p.family_name, "preferredName": p.preferred_name,
            "workEmail": p.email, "status": either("Active", "Inactive"),
            "terminationDate": p.last_day.clone().unwrap_or_else(|| "0000-00-00".to_owned()), "hireDate": "2020-01-01",
        }),
        System::HiBob => json!({
            "/root/id": { "value": p.id }, "/root/email": { "value": p.email }, "/root/firstName": { "value": p.given_name },
            "/root/surname": { "value": p.family_name }, "/internal/status": { "value": either("Active", "Inactive") },
        }),
        System::PersonioPerson => json!({
            "id": p.id, "email": p.email, "first_name": p.given_name, "last_name": p.family_name,
            "preferred_name": p.preferred_name, "status": either("ACTIVE", "INACTIVE"), "_meta": {},
        }),
        System::PersonioEmployments => json!({
            "_data": [{ "id": "e-1", "person": { "id": p.id }, "status": either("ACTIVE", "INACTIVE"), "employment_end_date": p.last_day }],
            "_meta": { "links": {} },
        }),
        System::Gusto => json!({
            "uuid": p.id, "first_name": p.given_name, "last_name": p.family_name, "preferred_first_name": p.preferred_name,
            "email": p.private_email, "work_email": p.email, "terminated": !works, "onboarded": true,
            "terminations": p.last_day.iter().map(|day| json!({ "effective_date": day, "active": !works })).collect::<Vec<_>>(),
        }),
        System::Rippling => json!({
            "id": p.id, "work_email": p.email, "personal_email": p.private_email, "status": either("ACTIVE", "TERMINATED"), "user_id": "u-1",
            "user": { "id": "u-1", "name": { "given_name": p.given_name, "family_name": p.family_name } },
        }),
        System::Deel => json!({ "data": {
            "id": p.id, "first_name": p.given_name, "last_name": p.family_name, "preferred_first_name": p.preferred_name,
            "emails": [{ "type": "personal", "value": p.private_email }, { "type": "work", "value": p.email }],
            "hiring_status": either("active", "inactive"), "termination_last_day": p.last_day,
            "employments": [{ "id": "c-1", "work_email": p.email, "is_ended": !works }],
        } }),
        System::Remote => json!({ "data": { "employment": {
            "id": p.id, "full_name": format!("{} {}", p.given_name, p.family_name), "work_email": p.email,
            "personal_email": p.private_email, "login_email": p.private_email,
            "status": either("active", "archived"), "user_status": either("active", "inactive"), "termination_date": p.last_day,
        } } }),
        System::FinchIndividual => json!({
            "id": p.id, "first_name": p.given_name, "last_name": p.family_name, "preferred_name": p.preferred_name,
            "emails": [{ "type": "personal", "data": p.private_email }, { "type": "work", "data": p.email }],
        }),
        System::FinchEmployment => json!({
            "id": p.id, "is_active": works, "employment_status": either("active", "terminated"), "end_date": p.last_day,
        }),
        System::Kombo => json!({
            "id": p.id, "remote_id": format!("r-{}", p.id), "first_name": p.given_name, "last_name": p.family_name,
            "work_email": p.email, "personal_email": p.private_email, "employment_status": either("ACTIVE", "INACTIVE"),
            "termination_date": p.last_day.as_ref().map(|day| format!("{day}T00:00:00.000Z")), "remote_deleted_at": null,
        }),
        System::Factorial => json!({
            "id": p.id, "first_name": p.given_name, "last_name": p.family_name, "preferred_name": p.preferred_name,
            "email": p.email, "personal_email": p.private_email, "active": works, "terminated_on": p.last_day,
        }),
        System::Workable => json!({
            "id": p.id, "firstname": p.given_name, "lastname": p.family_name, "preferred_name": p.preferred_name,
            "work_email": p.email, "personal_email": [p.private_email], "status": either("published", "inactive"),
        }),
        System::Paylocity => json!({
            "employeeId": p.id, "firstName": p.given_name, "lastName": p.family_name, "preferredName": p.preferred_name,
            "workAddress": { "emailAddress": p.email }, "homeAddress": { "emailAddress": p.private_email },
            "status": { "employeeStatus": either("A", "T") },
        }),
        System::Lever => json!({ "data": {
            "id": p.id, "name": format!("{} {}", p.given_name, p.family_name), "emails": [p.email],
        } }),
        System::Ashby => json!({ "success": true, "results": {
            "id": p.id, "name": format!("{} {}", p.given_name, p.family_name), "primaryEmailAddress": { "value": p.email },
        } }),
        System::Humaans => json!({
            "id": p.id, "email": p.email, "firstName": p.given_name, "lastName": p.family_name,
            "preferredName": p.preferred_name, "status": either("active", "offboarded"), "employmentEndDate": p.last_day,
        }),
        System::Merge => json!({
            "id": p.id, "first_name": p.given_name, "last_name": p.family_name, "preferred_name": p.preferred_name,
            "work_email": p.email, "personal_email": p.private_email, "employment_status": either("ACTIVE", "INACTIVE"),
            "termination_date": p.last_day.as_ref().map(|day| format!("{day}T00:00:00Z")),
        }),
    }
}
