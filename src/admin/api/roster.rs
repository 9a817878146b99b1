//! The roster: import, plan, apply.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::web;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::handlers::{ApiResult, By, State};
use crate::admin::error::{AdminError, ErrorBody, not_found};
use crate::admin::service::Noted;
use crate::core::audit::Act;
use crate::core::code::Code;
use crate::core::person::SourceName;
use crate::core::roster::{Change, PlanReport, Selection};
use crate::core::time::UnixMs;
use crate::roster::{Applied, ApplyRequest, Imported, RosterError};

/// Largest file accepted: 200,000 rows of some 300 bytes.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// The roster to import.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct ImportQuery {
    /// The source's name.
    source: String,
    /// Whether the rows are added to what is staged already, instead of replacing it.
    #[serde(default)]
    add: bool,
    /// As of when the rows hold, usually when the file was written (RFC 3339, or a day such as `2026-11-22`); by
    /// default, now. What HR has said since then counts.
    as_of: Option<String>,
}

/// What happens to members who are not in HR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::admin) enum Strangers {
    /// They are switched off.
    Deactivate,
}

/// What to plan.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct PlanQuery {
    /// `deactivate`: members who are not in HR are switched off. They are left alone without it.
    #[param(inline)]
    strangers: Option<Strangers>,
}

/// What to apply. An empty body is everything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::admin) struct ApplyBody {
    /// Only people all of whose changes are among these: `create`, `switch_on`, `rename`, `readdress`,
    /// `deactivate`, `adopt`.
    #[schema(value_type = Option<Vec<String>>)]
    only: Option<BTreeSet<Change>>,
    /// Only these: `{source}/{employee id}`, an employee id, an address, or a SCIM id.
    people: Option<BTreeSet<String>>,
    /// `deactivate`: members who are not in HR are switched off.
    strangers: Option<Strangers>,
    /// A plan as it was returned: if it has changed since then, nothing is applied (409).
    #[schema(value_type = Option<Object>)]
    plan: Option<Box<PlanReport>>,
}

/// The result of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct ImportedBody {
    /// Rows of the file.
    rows: u64,
    /// Rows that are staged: they do not reach Postman before they are applied.
    staged: u64,
    /// Rows that are refused; at most the first hundred.
    refused: Vec<RefusedRowBody>,
    /// How many rows were refused in all.
    refused_rows: u64,
    /// Required fields without a column.
    missing_columns: Vec<String>,
    /// For some of these, the column of the file that is called nearly so.
    close_columns: BTreeMap<String, String>,
    /// Rows that repeat another one word for word.
    repeated: u64,
    /// Rows of people whom the mapping's conditions leave out.
    left_out: u64,
    /// Columns by which the mapping selects people, but which no row has: they excluded nobody.
    unjudged: Vec<String>,
    /// Columns that the mapping does not use; at most the first fifty.
    not_followed: Vec<String>,
}

/// A row that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct RefusedRowBody {
    /// Its number, from 1, the header not counted.
    row: u64,
    /// The field and the shape of its value.
    reason: String,
}

/// What an apply has started.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct AppliedBody {
    /// People who are processed: because of their staged row, or because the plan has changes for them.
    applied: u64,
    /// Of these, members who are not in HR and are switched off.
    strangers: u64,
    /// People who have changes beyond those that were selected: they are left as they are.
    left_out: u64,
    /// The names given that match nobody in the plan.
    not_found: Vec<String>,
    /// Who they are, as `source/id`: the people to wait for.
    people: Vec<String>,
}

impl From<Applied> for AppliedBody {
    fn from(Applied { applied, strangers, left_out, not_found, people }: Applied) -> Self {
        Self { applied, strangers, left_out, not_found, people }
    }
}

/// An instant, or the day that begins with it.
pub(super) fn instant_of(name: &str, text: &str) -> Result<UnixMs, AdminError> {
    let text = text.trim();
    let instant = UnixMs::parse_rfc3339(text).or_else(|| UnixMs::parse_rfc3339(&format!("{text}T00:00:00Z")));
    instant.ok_or_else(|| {
        AdminError::advised(
            format!("`{name}` is not an instant"),
            "Give one such as 2026-11-22T10:00:00Z, or a day such as 2026-11-22.",
        )
    })
}

/// When a file was written. It may already be tomorrow where its writer is; a later day is a mistake.
fn past_instant_of(text: &str, now: UnixMs) -> Result<UnixMs, AdminError> {
    let as_of = instant_of("as_of", text)?;
    if as_of > now.plus_ms(DAY_MS) {
        return Err(AdminError::advised(
            format!("`as_of` is in the future: {as_of}"),
            "Give the time at which the file was written, or leave it out: then it is now.",
        ));
    }
    Ok(as_of)
}

impl From<Imported> for ImportedBody {
    fn from(imported: Imported) -> Self {
        let refused = imported.refused.into_iter().map(|row| RefusedRowBody { row: row.row, reason: row.reason });
        Self {
            rows: imported.rows,
            staged: imported.staged,
            refused: refused.collect(),
            refused_rows: imported.refused_rows,
            missing_columns: imported.missing_columns,
            close_columns: imported.close_columns,
            repeated: imported.repeated,
            left_out: imported.left_out,
            unjudged: imported.unjudged,
            not_followed: imported.not_followed,
        }
    }
}

impl From<RosterError> for AdminError {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Store(error) => Self::Store(error),
            RosterError::Changed(_) => Self::OutOfDate {
                what: error.to_string(),
                action: "Make the plan again, look at it, and apply that one.",
            },
            RosterError::Unsure(_) => Self::OutOfDate {
                what: error.to_string(),
                action: "Correct what it names: import a complete roster of every source, with an address for everybody. Or apply without `--strangers deactivate`.",
            },
            RosterError::Unseen(_) => Self::OutOfDate {
                what: error.to_string(),
                action: "Correct the ids in the file, and import it again. If they are right, apply the plan that says so: `scim-bridge plan --json > FILE`, then `scim-bridge apply --plan FILE`.",
            },
            RosterError::Fetching(_) => Self::OutOfDate {
                what: error.to_string(),
                action: "Wait until it has ended: `scim-bridge status` shows how far it is.",
            },
            RosterError::Overtaken(_) => Self::OutOfDate {
                what: error.to_string(),
                action: "`scim-bridge plan` shows what the other import would do; import this one again if it should count.",
            },
            RosterError::File(problem) => Self::Advised { what: problem.to_string(), action: problem.advice() },
            RosterError::Members { code, .. } => Self::Target {
                what: error.to_string(),
                action: code.map_or("Run `scim-bridge check`, and ask again.", Code::advice),
            },
            RosterError::NoKey => Self::Target { what: error.to_string(), action: Self::NoKey.fixed_action() },
            RosterError::NoSource(_) => Self::advised(error.to_string(), not_found("source")),
            RosterError::NoList { .. } => Self::advised(
                error.to_string(),
                "Import a file that the HR system exports: `scim-bridge import --source SOURCE --file FILE`; or make it listable, restart, and ask again.",
            ),
            RosterError::Full => {
                Self::advised(error.to_string(), "See what waits with `scim-bridge status`, and import again then.")
            }
        }
    }
}

/// Stages the rows of a file (CSV with a header, a JSON array, or an object a line) as a source's roster.
#[utoipa::path(post, path = "/api/v1/roster", tag = "roster", params(ImportQuery), request_body(content = Vec<u8>, content_type = "text/csv"), security(("admin_token" = [])), responses(
    (status = 200, description = "What is staged, and what was refused.", body = ImportedBody),
    (status = 400, description = "The file cannot be read, or there is no such source.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn import(
    state: State,
    by: By,
    query: web::Query<ImportQuery>,
    payload: web::Payload,
) -> ApiResult<ImportedBody> {
    let source = SourceName::parse(&query.source).map_err(AdminError::BadRequest)?;
    let as_of = query.as_of.as_deref().map(|as_of| past_instant_of(as_of, state.now())).transpose()?;
    let file = whole(payload).await?;
    let imported = state.roster.import(&source, &file, query.add, as_of).await?;
    let what = Noted { count: Some(imported.staged), ..Noted::of(source.as_str()) };
    state.note(&by, Act::Import, what).await?;
    Ok(web::Json(imported.into()))
}

async fn whole(mut payload: web::Payload) -> Result<Vec<u8>, AdminError> {
    let mut file = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| AdminError::advised("the file is incomplete", "Send it again."))?;
        if file.len() + chunk.len() > FILE_BYTES_MAX {
            let what = format!("the file has more than {FILE_BYTES_MAX} bytes");
            return Err(AdminError::advised(what, "Cut it into parts, and import each with `--add` (`add=true`)."));
        }
        file.extend_from_slice(&chunk);
    }
    Ok(file)
}

/// Shows what applying everything staged would do. Reads the whole list of members.
#[utoipa::path(get, path = "/api/v1/roster/plan", tag = "roster", params(PlanQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "The plan. A person may be in several lists.", body = serde_json::Value),
    (status = 400, description = "The list of members cannot be read.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn plan(state: State, query: web::Query<PlanQuery>) -> ApiResult<PlanReport> {
    Ok(web::Json(state.plan(query.strangers.is_some()).await?))
}

/// Applies what is staged, and everything else in the plan, at Postman's rate; rows count as of the time of the
/// import.
#[utoipa::path(post, path = "/api/v1/roster/apply", tag = "roster", request_body = ApplyBody, security(("admin_token" = [])), responses(
    (status = 200, description = "How many people it is about.", body = AppliedBody),
    (status = 400, description = "The list of members cannot be read.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 403, description = "The token is read-only.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 409, description = "The given plan is out of date, the list of members is incomplete, or so many people would take over others' members that the plan must be given.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn apply(state: State, by: By, payload: web::Payload) -> ApiResult<AppliedBody> {
    let body = whole(payload).await?;
    let ApplyBody { only, people, strangers, plan } = match body.as_slice() {
        [] => ApplyBody::default(),
        body => serde_json::from_slice(body)
            .map_err(|error| AdminError::BadRequest(format!("the body does not say what to apply: {error}")))?,
    };
    let selection = Selection { only, people, strangers: strangers.is_some() };
    let applied = state.apply(&by, &ApplyRequest { selection, plan, digest: None }).await?;
    Ok(web::Json(applied.into()))
}
