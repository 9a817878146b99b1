//! What it takes to say what would be done: the mappings, the plan's rules, and a way to ask the target.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::mapping::{Explanation, Show};
use crate::core::person::SourceName;
use crate::core::reconcile::plan::PlanRules;
use crate::scim::Client;

/// Shows what a source's mapping makes of a payload; none if the source is not configured.
pub type Explain = Arc<dyn Fn(&SourceName, &Bytes, Show) -> Option<Explanation> + Send + Sync>;

/// How the target is asked, and how calls are planned.
pub struct Live {
    /// None in a process that does not know the key.
    pub client: Option<Client>,
    /// How calls are planned.
    pub rules: PlanRules,
}
