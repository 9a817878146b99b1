//! How each system lists its employees, following the vendors' documentation.

use serde_json::{Value, json};

use super::message::{Request, Response};
use super::person::HrPerson;
use super::shapes::{System, shape};

/// Page size, in systems with pages.
const PAGE: usize = 2;

/// The system whose list a request asks for; none if it asks for anything else.
pub(super) fn asked(request: &Request) -> Option<System> {
    let path: Vec<&str> = request.path().trim_start_matches('/').split('/').collect();
    Some(match (request.method.as_str(), path.as_slice()) {
        ("GET", ["api", "v1", "employees"]) => System::BambooHr,
        ("POST", ["v1", "people", "search"]) => System::HiBob,
        ("GET", ["v2", "persons"]) => System::PersonioPerson,
        ("GET", ["v1", "companies", _, "employees"]) => System::Gusto,
        ("GET", ["rest", "v2", "people"]) => System::Deel,
        ("GET", ["v1", "employments"]) => System::Remote,
        ("GET", ["employer", "directory"]) => System::FinchIndividual,
        ("GET", ["v1", "hris", "employees"]) => System::Kombo,
        ("GET", ["api", _, "resources", "employees", "employees"]) => System::Factorial,
        ("GET", ["spi", "v3", "employees"]) => System::Workable,
        ("GET", ["api", "v2", "companies", _, "employees"]) => System::Paylocity,
        ("GET", ["api", "hris", "v1", "employees"]) => System::Merge,
        _ => return None,
    })
}

/// One page of the list of these people, in this order.
pub(super) fn page(system: System, request: &Request, people: &[&HrPerson]) -> Response {
    let number = |name: &str| request.query(name).and_then(|text| text.parse::<usize>().ok());
    let begins = match system {
        System::Gusto | System::Remote | System::Factorial => (number("page").unwrap_or(1).max(1) - 1) * PAGE,
        System::Paylocity => number("pagenumber").unwrap_or(0) * PAGE,
        System::Deel | System::FinchIndividual | System::Workable => number("offset").unwrap_or(0),
        System::BambooHr => number("page[after]").unwrap_or(0),
        _ => number("cursor").unwrap_or(0),
    };
    let size = if system == System::HiBob { people.len() } else { PAGE };
    let shown: Vec<&HrPerson> = people.iter().skip(begins).take(size).copied().collect();
    let ends = begins + shown.len();
    let next = (ends < people.len()).then(|| ends.to_string());
    let items: Vec<Value> = shown.iter().map(|person| item(system, person)).collect();
    let host = request.header("host").unwrap_or_default();
    let link = |query: &str| next.as_ref().map(|next| format!("http://{host}{}?{query}{next}", request.path()));
    let total = people.len();
    let body = match system {
        System::BambooHr => json!({
            "data": items, "meta": { "total": total }, "_links": { "next": { "href": link("page%5Bafter%5D=") } },
        }),
        System::HiBob => json!({ "employees": items }),
        System::Workable => json!({ "employees": items, "totalCount": total }),
        System::PersonioPerson => {
            json!({ "_data": items, "_meta": { "links": { "next": link("cursor=").map(|href| json!({ "href": href })) } } })
        }
        System::Gusto | System::Paylocity => Value::from(items),
        System::Deel => json!({ "data": items, "page": { "offset": begins, "total_rows": total } }),
        System::Remote => json!({ "data": { "employments": items, "total_count": total } }),
        System::FinchIndividual => json!({ "individuals": items, "paging": { "count": total, "offset": begins } }),
        System::Factorial => json!({ "data": items, "meta": { "total": total } }),
        System::Merge => json!({ "next": next, "previous": null, "results": items }),
        _ => json!({ "status": "success", "data": { "results": items, "next": next } }),
    };
    let mut response = Response::json(200, body.to_string());
    let counts = match system {
        System::Gusto => Some("X-Total-Count"),
        System::Paylocity => Some("X-Pcty-Total-Count"),
        _ => None,
    };
    response.headers.extend(counts.map(|name| (name.to_owned(), total.to_string())));
    response
}

/// What a list shows of each person; in many systems, little.
fn item(system: System, person: &HrPerson) -> Value {
    let whole = shape(system, person);
    match system {
        System::BambooHr => {
            json!({ "employeeId": person.id, "firstName": person.given_name, "status": whole["status"] })
        }
        System::PersonioPerson => json!({ "id": person.id, "employments": [{ "id": "e-1" }], "_meta": {} }),
        System::Deel => whole["data"].clone(),
        System::Remote => json!({ "id": person.id, "full_name": person.given_name, "status": "active" }),
        System::FinchIndividual => json!({ "id": person.id, "first_name": person.given_name, "is_active": true }),
        System::Workable => json!({ "id": person.id, "name": person.given_name }),
        System::Paylocity => json!({ "employeeId": person.id, "statusCode": "A" }),
        _ => whole,
    }
}
