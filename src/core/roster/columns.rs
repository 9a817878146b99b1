//! Which column says what: a column has the last name of one of the mapping's paths.

use super::rows::Row;
use crate::core::mapping::{Lookups, Mapping};
use crate::core::person::{
    Email, EmploymentState, Event, EventKind, Facts, InvalidField, Locale, Name, Person, Problem, SourceName, Stated,
};

/// A field that a roster can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Whose row it is. Every row has one.
    EmployeeId,
    /// The address.
    Email,
    /// The given name.
    GivenName,
    /// The family name.
    FamilyName,
    /// The locale.
    Locale,
    /// Whether they are employed, by the mapping's values.
    Status,
}

/// The columns of a source's rosters.
#[derive(Debug, Clone)]
pub struct Columns {
    names: Vec<(Field, Vec<String>)>,
    left_values: Vec<String>,
    address_domains: Vec<String>,
}

impl Columns {
    /// The columns that a mapping leads to.
    #[must_use]
    pub fn of(mapping: &Mapping) -> Self {
        let fields = [
            (Field::EmployeeId, &mapping.employee_id, "employee_id"),
            (Field::Email, &mapping.email, "email"),
            (Field::GivenName, &mapping.given_name, "first_name"),
            (Field::FamilyName, &mapping.family_name, "last_name"),
            (Field::Locale, &mapping.locale, "locale"),
            (Field::Status, &mapping.status, "status"),
        ];
        let names = fields.into_iter().map(|(field, lookups, fallback)| (field, last_names(lookups, fallback)));
        Self {
            names: names.collect(),
            left_values: mapping.left_values.clone(),
            address_domains: mapping.address_domains.clone(),
        }
    }

    /// The names that the column of a field may have, likeliest first.
    #[must_use]
    pub fn names(&self, field: Field) -> &[String] {
        self.names.iter().find(|(known, _)| *known == field).map_or(&[], |(_, names)| names)
    }

    fn value<'r>(&self, row: &'r Row, field: Field) -> Option<&'r str> {
        self.names(field).iter().find_map(|name| row.value(name))
    }

    /// What a row says: that somebody is employed (or has left, by the status), and their facts.
    ///
    /// # Errors
    /// What is wrong with the row: the field and the shape of its value.
    pub fn event(&self, source: &SourceName, row: &Row) -> Result<Event, InvalidField> {
        let id = self.value(row, Field::EmployeeId).ok_or_else(|| Problem::Missing.of("employee_id"))?;
        let person = Person::parse(source.clone(), id)?;
        let name = |field, key| -> Result<Option<Stated<Name>>, InvalidField> {
            let Some(raw) = self.value(row, field) else { return Ok(None) };
            Ok(Some(Name::parse(key, raw)?.map_or(Stated::None, Stated::Is)))
        };
        let email = match self.value(row, Field::Email).map(str::trim) {
            None | Some("") => None,
            Some(raw) => Some(Email::parse(raw)?).filter(|email| self.takes(email)),
        };
        let status = self.value(row, Field::Status).map(str::trim).unwrap_or_default();
        let has_left = self.left_values.iter().any(|value| value.eq_ignore_ascii_case(status));
        let state = if has_left { EmploymentState::Left } else { EmploymentState::Employed };
        let facts = Facts {
            employment: Some((state, None)),
            email,
            given_name: name(Field::GivenName, "first_name")?,
            family_name: name(Field::FamilyName, "last_name")?,
            locale: self.value(row, Field::Locale).and_then(Locale::parse),
        };
        Ok(Event { person, kind: EventKind::Update, at: None, facts })
    }

    /// Private addresses stay out, where the source says which domains are the company's.
    fn takes(&self, email: &Email) -> bool {
        self.address_domains.is_empty()
            || self.address_domains.iter().any(|domain| domain.eq_ignore_ascii_case(email.domain()))
    }
}

/// The last names of the paths to a field; the usual one where there is none.
fn last_names(lookups: &Lookups, fallback: &str) -> Vec<String> {
    let last = |path: &str| path.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = lookups.as_slice().iter().map(|lookup| last(lookup.as_str())).collect();
    names.push(fallback.to_owned());
    names.retain(|name| !name.is_empty() && !name.contains(['{', '[']));
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}
