//! The API's read-only trials: what a payload would do, and what the target has now.

use actix_web::web;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::handlers::{ApiResult, PersonQuery, State, meant};
use super::shapes::{PersonRef, RecordBody};
use crate::admin::error::{AdminError, ErrorBody};
use crate::admin::live::{Has, LiveCall, LiveLook};
use crate::admin::trial::{PersonTried, Trial, Tried};
use crate::core::person::{Document, SourceName};
use crate::core::reconcile::request::Member;

/// What to try.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialBody {
    /// The source whose mapping to use.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    pub source: String,
    /// The body of a delivery, as text.
    #[schema(max_length = 200_000)]
    pub payload: String,
    /// Show the values that were found.
    #[serde(default)]
    pub values: bool,
    /// Ask Postman for the members as they are now, for the first three people; this counts against its rate.
    #[serde(default)]
    pub live: bool,
}

/// What a payload would do. Nothing was done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TriedBody {
    /// Record by record and field by field, as `scim-bridge explain --json` prints it.
    #[schema(value_type = Object)]
    pub mapping: serde_json::Value,
    /// What would be done for each person, in order of appearance.
    pub people: Vec<PersonTriedBody>,
    /// People beyond those.
    pub left_out: usize,
}

/// What it would do for one person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PersonTriedBody {
    /// The person.
    pub person: PersonRef,
    /// Whether the bridge knew them already.
    pub is_known: bool,
    /// Their record, as it would be.
    pub record: RecordBody,
    /// The facts that would be news.
    pub news: Vec<String>,
    /// What Postman has, if it was asked: for the first three people.
    pub live: Option<LiveBody>,
    /// The calls that would be made if all goes well, in order.
    pub calls: Vec<CallBody>,
    /// Why it would fail.
    pub blocked: Option<String>,
    /// HR has not said enough.
    pub incomplete: bool,
}

/// A call that would be made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CallBody {
    /// Method and path.
    #[schema(example = "POST /Users")]
    pub call: String,
    /// The JSON that would be sent.
    pub body: Option<String>,
}

/// What Postman has for a person at this moment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LiveBody {
    /// When it was asked.
    pub at: String,
    /// `member`, `nobody`, `several` (with HR's address) or `unknown` (the last call says why).
    pub has: String,
    /// The member.
    pub member: Option<LiveMemberBody>,
    /// The calls that were made.
    pub calls: Vec<LiveCallBody>,
}

/// A member as Postman shows them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LiveMemberBody {
    /// The SCIM `id`.
    pub id: String,
    /// `userName`
    pub user_name: String,
    /// `name.givenName`
    pub given_name: Option<String>,
    /// `name.familyName`
    pub family_name: Option<String>,
    /// `active`; null if it is not shown.
    pub active: Option<bool>,
}

/// A call that was made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LiveCallBody {
    /// Method and path.
    pub call: String,
    /// The HTTP status; null without an answer.
    pub status: Option<u16>,
    /// What it meant, in a word or a code.
    pub meaning: String,
    /// How long it took.
    pub duration_ms: u64,
    /// Postman's own words for a refusal.
    pub detail: Option<String>,
}

impl From<&LiveLook> for LiveBody {
    fn from(look: &LiveLook) -> Self {
        let (has, member) = match &look.has {
            Has::Member(member) => ("member", Some(LiveMemberBody::from(&**member))),
            Has::Nobody => ("nobody", None),
            Has::Several => ("several", None),
            Has::Unknown => ("unknown", None),
        };
        let calls = look.calls.iter().map(LiveCallBody::from).collect();
        Self { at: look.at.to_string(), has: has.to_owned(), member, calls }
    }
}

impl From<&Member> for LiveMemberBody {
    fn from(member: &Member) -> Self {
        Self {
            id: member.id.clone(),
            user_name: member.user_name.clone(),
            given_name: member.given_name.clone(),
            family_name: member.family_name.clone(),
            active: member.active.known(),
        }
    }
}

impl From<&LiveCall> for LiveCallBody {
    fn from(call: &LiveCall) -> Self {
        Self {
            call: call.operation.as_http().to_owned(),
            status: call.status,
            meaning: call.meaning.clone(),
            duration_ms: call.ms,
            detail: call.detail.clone(),
        }
    }
}

impl From<&PersonTried> for PersonTriedBody {
    fn from(tried: &PersonTried) -> Self {
        let calls = tried.calls.iter().map(|call| CallBody { call: call.line.clone(), body: call.body.clone() });
        let blocked = tried.preview.blocked.as_ref();
        Self {
            person: PersonRef::from(&tried.person),
            is_known: tried.is_known,
            record: RecordBody::from(&tried.document),
            news: tried.news.clone(),
            live: tried.live.as_ref().map(LiveBody::from),
            calls: calls.collect(),
            blocked: blocked.map(|(code, detail)| format!("{code}: {} {detail}", code.title()).trim_end().to_owned()),
            incomplete: tried.preview.incomplete,
        }
    }
}

impl TriedBody {
    fn of(tried: &Tried) -> Result<Self, AdminError> {
        let mapping = serde_json::to_value(&tried.mapping);
        Ok(Self {
            mapping: mapping.map_err(|_| AdminError::Internal("an explanation is not JSON"))?,
            people: tried.people.iter().map(PersonTriedBody::from).collect(),
            left_out: tried.left_out,
        })
    }
}

/// Shows what a payload would do: how it is mapped, what the record would be, which calls would be made. Changes
/// nothing, so a read-only token is enough.
#[utoipa::path(post, path = "/api/v1/explain", tag = "people", request_body = TrialBody, security(("admin_token" = [])), responses(
    (status = 200, description = "What it would do.", body = TriedBody),
    (status = 400, description = "The body cannot be understood, or there is no such source.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 409, description = "Postman should be asked, but this process does not know the key, or all work is held.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached, or Postman's rate is used up.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn explain(state: State, body: web::Bytes) -> ApiResult<TriedBody> {
    let trial: TrialBody = serde_json::from_slice(&body).map_err(|error| AdminError::BadRequest(error.to_string()))?;
    let trial = Trial {
        source: SourceName::parse(&trial.source).map_err(AdminError::BadRequest)?,
        payload: Bytes::from(trial.payload),
        values: trial.values,
        live: trial.live,
    };
    Ok(web::Json(TriedBody::of(&state.try_payload(&trial).await?)?))
}

/// Asks Postman what it has for a person now, within the shared rate; 409 if several people match, if this process
/// does not know the key, or while all work is held.
#[utoipa::path(get, path = "/api/v1/person/live", tag = "people", params(PersonQuery), security(("admin_token" = [])), responses(
    (status = 200, description = "What Postman has.", body = LiveBody),
    (status = 400, description = "Not a source or an id.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 401, description = "No token, or not the right one.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 404, description = "The bridge does not know them.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 409, description = "Several people match, this process does not know the key, or all work is held.", body = ErrorBody, content_type = "application/problem+json"),
    (status = 503, description = "The store cannot be reached, or Postman's rate is used up.", body = ErrorBody, content_type = "application/problem+json"),
))]
pub(super) async fn live(state: State, query: web::Query<PersonQuery>) -> ApiResult<LiveBody> {
    let whole = meant(&state, &query).await?;
    let document = whole.view.document.unwrap_or_else(|| Document::new(whole.view.person));
    Ok(web::Json(LiveBody::from(&state.look_live(&document).await?)))
}
