//! `[[group]]`: groups at the target, derived from a fact.

use serde::Deserialize;

use super::error::Findings;
use super::source::SourceConfig;
use crate::core::person::label;

/// `[[group]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct GroupConfig {
    /// The group's name at the target. If it contains `{value}`, there is a group for each value.
    pub name: String,
    /// The fact, as `[source.mapping.facts]` names it.
    pub fact: String,
    /// Which values of the fact make somebody a member of it; empty: all of them.
    pub values: Vec<String>,
}

const NAME_CHARS_MAX: usize = 100;

/// Checks all `[[group]]` sections.
pub(super) fn check(groups: &[GroupConfig], sources: &[SourceConfig], findings: &mut Findings) {
    for (n, group) in groups.iter().enumerate() {
        let key = |name: &str| format!("group[{n}].{name}");
        let has_name = !group.name.trim().is_empty()
            && group.name.chars().count() <= NAME_CHARS_MAX
            && !group.name.chars().any(char::is_control);
        findings.when(
            !has_name,
            &key("name"),
            "is not a valid name",
            "Give 1 to 100 characters, such as \"Engineering\" or \"{value}\".",
        );
        let is_mapped = sources.iter().any(|source| source.mapping.facts.contains_key(&group.fact));
        findings.when(
            !is_mapped,
            &key("fact"),
            "is read by no source",
            "Name one of `[source.mapping.facts]`, such as `department = \"/data/department\"` there.",
        );
        let is_blank = group.values.iter().any(|value| label::Label::parse(value).is_none());
        findings.when(is_blank, &key("values"), "has an invalid value", "Give values of 1 to 100 characters.");
        let is_twice = groups[..n]
            .iter()
            .any(|other| label::key(&other.name) == label::key(&group.name) && other.fact == group.fact);
        findings.when(is_twice, &key("name"), "occurs twice for the same fact", "Give all its `values` in one place.");
    }
}
