//! What planning needs: the mappings, the plan's rules, and a client of the target.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::mapping::{Explanation, Show};
use crate::core::person::SourceName;
use crate::core::reconcile::plan::PlanRules;
use crate::scim::Client;

/// Shows what a source's mapping makes of a payload; none if the source is not configured.
pub type Explain = Arc<dyn Fn(&SourceName, &Bytes, Show) -> Option<Explanation> + Send + Sync>;

/// The target's client, and the rules for planning calls.
pub struct Live {
    /// None if this process does not know the key.
    pub client: Option<Client>,
    /// How calls are planned.
    pub rules: PlanRules,
}
