//! Captured deliveries, as the API shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::capture::Capture;

/// The sources being captured, and what was captured.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CapturesBody {
    /// The sources that are captured now.
    pub sources: Vec<CapturedSourceBody>,
    /// Captured deliveries, oldest first.
    pub captures: Vec<CaptureRowBody>,
}

/// A source that is captured.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CapturedSourceBody {
    /// The source.
    pub source: String,
    /// When it ends.
    pub until: String,
    /// How many of its last deliveries are kept.
    pub keep: usize,
}

/// A captured delivery in a list, without its contents.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CaptureRowBody {
    /// Its id.
    pub id: String,
    /// The source that it was posted to.
    pub source: String,
    /// When it came.
    pub at: String,
    /// From where.
    pub client: String,
    /// The method.
    pub method: String,
    /// Its result, such as `accepted`, `ignored`, `forged`.
    pub result: String,
    /// Why it was not accepted, in the words of `status`.
    pub reason: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// How long its body is; none if the body was not kept.
    pub body_bytes: Option<usize>,
}

/// A captured delivery in full.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CaptureBody {
    /// What the list shows of it.
    #[serde(flatten)]
    pub row: CaptureRowBody,
    /// Path and query.
    pub url: String,
    /// Names in lower case, in order.
    pub headers: Vec<CapturedHeaderBody>,
    /// The body, in base64; none if it was not kept.
    pub body_base64: Option<String>,
}

/// A header.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CapturedHeaderBody {
    /// In lower case.
    pub name: String,
    /// As it was sent.
    pub value: String,
}

/// What to capture.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaptureOnBody {
    /// The source.
    pub source: String,
    /// How many of its last deliveries are kept: 1 to 50, 10 if it is not given.
    #[schema(minimum = 1, maximum = 50)]
    pub keep: Option<usize>,
}

/// How many captured deliveries were deleted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CaptureOffBody {
    /// How many.
    pub forgotten: usize,
}

impl From<&Capture> for CaptureRowBody {
    fn from(capture: &Capture) -> Self {
        Self {
            id: capture.id.clone(),
            source: capture.source.clone(),
            at: capture.at.to_string(),
            client: capture.client.clone(),
            method: capture.method.clone(),
            result: capture.result.clone(),
            reason: capture.reason.clone(),
            status: capture.status,
            body_bytes: capture.body.as_ref().map(|coded| coded.trim_end_matches('=').len() * 3 / 4),
        }
    }
}
