//! `[target]`: what kind of SCIM provider the bridge calls. Connection, key and limits are those of `[postman]` for
//! every kind.

use serde::Deserialize;

use super::error::Findings;
use super::postman::PostmanConfig;

/// `[target]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TargetConfig {
    /// What kind of provider.
    pub kind: TargetChoice,
    /// Its name in texts, such as `Slack`; none for Postman.
    pub name: Option<String>,
}

/// A kind of SCIM provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetChoice {
    /// Postman.
    #[default]
    Postman,
    /// Any provider of SCIM 2.0.
    GenericScim,
}

impl TargetConfig {
    pub(super) fn check(&self, postman: &PostmanConfig, findings: &mut Findings) {
        let is_named = |name: &String| {
            !name.trim().is_empty() && name.chars().count() <= 50 && !name.chars().any(char::is_control)
        };
        let wrong_name = self.name.as_ref().is_some_and(|name| !is_named(name));
        findings.when(wrong_name, "target.name", "is not a valid name", "Give 1 to 50 characters.");
        let is_generic = self.kind == TargetChoice::GenericScim;
        findings.when(
            self.name.is_some() && !is_generic,
            "target.name",
            "is only for a target other than Postman",
            "Remove it, or give `kind = \"generic-scim\"`.",
        );
        findings.when(
            is_generic && postman.is_at_postman(),
            "target.kind",
            "is `generic-scim`, and `postman.base_url` is Postman's own",
            "Let `postman.base_url` name the provider's SCIM base URL, the one before `/Users`.",
        );
    }
}
