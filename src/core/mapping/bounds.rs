//! How large a mapping may be; a larger one would be a program, or a mistake. The bounds of a filter are in `jq`.

use super::Mapping;
use super::condition::Condition;
use super::lookup::{Lookup, Lookups};

/// Rows of a `table`.
const TABLE_ROWS_MAX: usize = 1_000;
/// Bytes of a path, a template, or a row of a table.
const TEXT_BYTES_MAX: usize = 1_000;
/// Paths for a field, conditions in a list, values of a condition, and rules under `kinds`.
const ENTRIES_MAX: usize = 100;
/// Values in a list, such as the types under `ignore`.
const VALUES_MAX: usize = 1_000;

/// What is too large: the key below `mapping`, and the problem.
pub(super) fn exceeded(mapping: &Mapping) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut most = |key: &'static str, what: &str, count: usize, max: usize| {
        if count > max {
            found.push((key, format!("{what}: {count}, and at most {max} are allowed")));
        }
    };
    most("records", "the path's bytes", mapping.records.as_str().len(), TEXT_BYTES_MAX);
    let further = mapping.facts.values().map(|lookups| ("facts", lookups));
    most("facts", "facts", mapping.facts.len(), ENTRIES_MAX);
    for (key, lookups) in super::read::fields(mapping).into_iter().chain(further) {
        most(key, "lookups", lookups.as_slice().len(), ENTRIES_MAX);
        most(key, "rows of a `table`", of_lookups(lookups, Lookup::table_rows), TABLE_ROWS_MAX);
        most(
            key,
            "bytes of a path, a `template` or a row of a `table`",
            of_lookups(lookups, Lookup::longest),
            TEXT_BYTES_MAX,
        );
        let conditions = lookups.as_slice().iter().flat_map(Lookup::conditions);
        conditions.for_each(|list| of_conditions(key, list, &mut most));
    }
    let lists =
        [("only_if", &mapping.only_if), ("except_if", &mapping.except_if), ("in_scope_if", &mapping.in_scope_if)];
    for (key, list) in lists {
        of_conditions(key, list, &mut most);
    }
    most("kinds", "rules", mapping.kinds.len(), ENTRIES_MAX);
    for list in mapping.kinds.iter().flat_map(|rule| [&rule.only_if, &rule.except_if]) {
        of_conditions("kinds", list, &mut most);
    }
    for (key, types, _) in mapping.types() {
        most(key, "values", types.values().len(), VALUES_MAX);
    }
    for (key, values) in [
        ("address_domains", &mapping.address_domains),
        ("active_values", &mapping.active_values),
        ("left_values", &mapping.left_values),
        ("other_values", &mapping.other_values),
    ] {
        most(key, "values", values.len(), VALUES_MAX);
    }
    found
}

fn of_lookups(lookups: &Lookups, count: impl Fn(&Lookup) -> usize) -> usize {
    lookups.as_slice().iter().map(count).max().unwrap_or_default()
}

fn of_conditions(key: &'static str, list: &[Condition], most: &mut impl FnMut(&'static str, &str, usize, usize)) {
    most(key, "conditions", list.len(), ENTRIES_MAX);
    most(key, "values of a condition", list.iter().map(Condition::values).max().unwrap_or_default(), ENTRIES_MAX);
    most(
        key,
        "bytes of a condition's path",
        list.iter().map(Condition::path_bytes).max().unwrap_or_default(),
        TEXT_BYTES_MAX,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(toml: &str) -> Vec<(&'static str, String)> {
        toml::from_str::<Mapping>(toml).unwrap().validate()
    }

    #[test]
    fn every_list_of_a_mapping_has_a_bound_that_names_its_key() {
        let many = |count: usize, each: &str| vec![each; count].join(", ");
        let rows = |count: usize| (0..count).map(|n| format!("r{n} = 'x'")).collect::<Vec<_>>().join(", ");
        let long = "/x".repeat(501);
        for (key, toml) in [
            ("email", format!("email = {{ path = '/e', table = {{ {} }} }}", rows(1_001))),
            ("email", format!("email = [{}]", many(101, "'/e'"))),
            ("email", format!("email = '{long}'")),
            ("email", format!("email = {{ template = '{}' }}", "x".repeat(1_001))),
            (
                "status",
                format!(
                    "status = {{ path = '/s', only_if = [{}] }}\nactive_values = ['a']",
                    many(101, "{ path = '/e', exists = true }")
                ),
            ),
            (
                "facts",
                format!("facts = {{ {} }}", (0..101).map(|n| format!("f{n} = '/f'")).collect::<Vec<_>>().join(", ")),
            ),
            ("only_if", format!("only_if = [{}]", many(101, "{ path = '/e', exists = true }"))),
            ("in_scope_if", format!("in_scope_if = [{{ path = '/e', in = [{}] }}]", many(101, "1"))),
            ("except_if", format!("except_if = [{{ path = '{long}', exists = true }}]")),
            ("kinds", format!("kinds = [{}]", many(101, "{ is = 'hire' }"))),
            ("ignore", format!("ignore = [{}]", many(1_001, "'a'"))),
            ("left_values", format!("left_values = [{}]", many(1_001, "'a'"))),
            ("records", format!("records = '{long}'")),
        ] {
            let found = problems(&toml);
            assert!(found.iter().any(|(named, _)| *named == key), "{key}: {found:?}");
            assert!(found.iter().all(|(_, problem)| problem.contains("at most")), "{found:?}");
        }
        assert_eq!(problems(&format!("email = {{ path = '/e', table = {{ {} }} }}", rows(1_000))), []);
    }
}
