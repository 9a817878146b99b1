//! The API's description of itself.

use actix_web::web;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{captures, dead, deliveries, drift, fetches, handlers, roster, trial};
use crate::admin::health;

/// `/api/openapi.json`
#[derive(OpenApi)]
#[openapi(
    info(
        title = "scim-bridge admin API",
        description = "What waits, what failed, where each person stands, and what an operator can do about it."
    ),
    paths(
        health::livez,
        health::readyz,
        health::metrics,
        document,
        handlers::status,
        handlers::jobs,
        handlers::job,
        dead::list,
        dead::replay_all,
        dead::discard_all,
        dead::show,
        dead::replay,
        dead::discard,
        deliveries::list,
        handlers::people,
        handlers::person,
        handlers::person_by_query,
        trial::live,
        trial::explain,
        handlers::erase,
        handlers::try_now,
        handlers::holds,
        handlers::set_hold,
        handlers::lift_hold,
        handlers::allow,
        roster::import,
        fetches::order,
        fetches::show,
        roster::plan,
        roster::apply,
        drift::show,
        drift::compare,
        captures::list,
        captures::on,
        captures::off,
        captures::show,
        handlers::audit,
    ),
    modifiers(&Bearer)
)]
struct Description;

/// Declares the admin token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        openapi.components.get_or_insert_default().add_security_scheme("admin_token", SecurityScheme::Http(bearer));
    }
}

/// Returns this description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "description", responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)))]
pub(super) async fn document() -> web::Json<utoipa::openapi::OpenApi> {
    web::Json(Description::openapi())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn routes_and_descriptions_match_exactly() {
        let description = serde_json::to_value(Description::openapi()).unwrap();
        let described: BTreeSet<(String, String)> = description["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(|method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served = crate::admin::api::entries();
        let served: BTreeSet<_> = served.iter().map(|e| (e.path.to_owned(), e.method.to_string())).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn routes_that_need_the_token_say_so_and_share_one_error_shape() {
        let description = serde_json::to_value(Description::openapi()).unwrap();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for operation in methods.as_object().unwrap().values() {
                let secured = operation["security"][0].get("admin_token").is_some();
                assert_eq!(secured, path.starts_with("/api/v1"), "{path}");
                if secured {
                    let schema = &operation["responses"]["401"]["content"]["application/problem+json"]["schema"];
                    assert_eq!(schema["$ref"], "#/components/schemas/ErrorBody", "{path}");
                }
            }
        }
    }
}
