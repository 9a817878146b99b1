//! Which column means what: a column is named like the last name in one of the mapping's paths.

use super::rows::{ReadRow, Row, is_close};
use super::spreadsheet;
use crate::core::mapping::{Lookups, Mapping, Names, RowRules};
use crate::core::person::label::{FurtherFacts, Label, distinct};
use crate::core::person::{
    Email, EmploymentState, Event, EventKind, Facts, InvalidField, Locale, Name, Person, Problem, SourceName, Stated,
};
use crate::core::time::UnixMs;

/// The status that means "works here" if the mapping lists no values.
const USUAL_ACTIVE_VALUES: [&str; 4] = ["active", "employed", "true", "yes"];

/// The fields that everybody needs, as reports call them.
const NEEDED: [(Field, &str); 3] =
    [(Field::Email, "email"), (Field::GivenName, "first_name"), (Field::FamilyName, "last_name")];

/// A field that a roster can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The employee id, which every row must have.
    EmployeeId,
    /// The address.
    Email,
    /// The preferred name, if the mapping uses it.
    PreferredGivenName,
    /// The given name.
    GivenName,
    /// The family name.
    FamilyName,
    /// The locale.
    Locale,
    /// Whether they are employed, by the mapping's values.
    Status,
}

impl Field {
    /// The field in the words of the default payload.
    fn key(self) -> &'static str {
        match self {
            Self::EmployeeId => "employee_id",
            Self::Email => "email",
            Self::PreferredGivenName => "preferred_name",
            Self::GivenName => "first_name",
            Self::FamilyName => "last_name",
            Self::Locale => "locale",
            Self::Status => "status",
        }
    }
}

/// The columns of a source's rosters.
#[derive(Debug, Clone)]
pub struct Columns {
    names: Vec<(Field, Vec<String>)>,
    /// Further facts, by name.
    facts: Vec<(String, Vec<String>)>,
    active_values: Vec<String>,
    left_values: Vec<String>,
    other_values: Vec<String>,
    address_domains: Vec<String>,
    rules: RowRules,
}

/// What a row means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowEvent {
    /// What it states.
    pub event: Event,
    /// When the person will leave, if the row announces that.
    pub leaves_at: Option<UnixMs>,
}

impl Columns {
    /// The columns that follow from a mapping.
    #[must_use]
    pub fn of(mapping: &Mapping) -> Self {
        let mut fields = vec![
            (Field::EmployeeId, &mapping.employee_id, "employee_id"),
            (Field::Email, &mapping.email, "email"),
            (Field::GivenName, &mapping.given_name, "first_name"),
            (Field::FamilyName, &mapping.family_name, "last_name"),
            (Field::Locale, &mapping.locale, "locale"),
            (Field::Status, &mapping.status, "status"),
        ];
        if mapping.names == Names::Preferred {
            fields.push((Field::PreferredGivenName, &mapping.preferred_given_name, "preferred_name"));
        }
        let names = fields.into_iter().map(|(field, lookups, fallback)| (field, columns_of(lookups, fallback)));
        let says_nothing = mapping.active_values.is_empty() && mapping.left_values.is_empty();
        let usual = || USUAL_ACTIVE_VALUES.map(str::to_owned).to_vec();
        Self {
            names: names.collect(),
            facts: mapping.facts.iter().map(|(name, lookups)| (name.clone(), columns_of(lookups, name))).collect(),
            active_values: if says_nothing { usual() } else { mapping.active_values.clone() },
            left_values: mapping.left_values.clone(),
            other_values: mapping.other_values.clone(),
            address_domains: mapping.address_domains.clone(),
            rules: RowRules::of(mapping),
        }
    }

    /// The names that the column of a field may have, the most likely first.
    #[must_use]
    pub fn names(&self, field: Field) -> &[String] {
        self.names.iter().find(|(known, _)| *known == field).map_or(&[], |(_, names)| names)
    }

    /// Which needed fields have no column in the file, as far as this row shows.
    #[must_use]
    pub fn lacking(&self, row: &Row) -> Vec<&'static str> {
        let lacks = |field| !self.names(field).iter().any(|name| row.has(name));
        NEEDED.into_iter().filter(|(field, _)| lacks(*field)).map(|(_, name)| name).collect()
    }

    /// Whether a column may be meant for this needed field, although it is not called like it.
    #[must_use]
    pub fn may_mean(&self, column: &str, needed: &str) -> bool {
        let fields = NEEDED.into_iter().filter(|(_, name)| *name == needed);
        fields.flat_map(|(field, _)| self.names(field)).any(|name| is_close(name, column))
    }

    /// The columns by which the mapping selects people, and that this row lacks. If all rows lack one, everybody counts.
    #[must_use]
    pub fn unjudged(&self, row: &Row) -> Vec<String> {
        self.rules.lacking(|name| row.has(name))
    }

    /// The columns by which the mapping selects people, and that none of these rows has.
    pub(crate) fn unasked(&self, rows: impl Iterator<Item = ReadRow>) -> Vec<String> {
        let mut unasked: Option<Vec<String>> = None;
        for row in rows.flatten() {
            let unknown = self.unjudged(&row);
            unasked.get_or_insert_with(|| unknown.clone()).retain(|name| unknown.contains(name));
            if unasked.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
        }
        unasked.unwrap_or_default()
    }

    /// Whether a column of this name is used: otherwise its content is ignored.
    #[must_use]
    pub fn follows(&self, column: &str) -> bool {
        let fields = self.names.iter().map(|(_, names)| names);
        let mut names = fields.chain(self.facts.iter().map(|(_, names)| names)).flatten();
        names.any(|name| name.eq_ignore_ascii_case(column)) || self.rules.follows(column)
    }

    /// The first column of a field with a value; otherwise an empty one, if there is one.
    fn value<'r>(&self, row: &'r Row, field: Field) -> Result<Option<&'r str>, InvalidField> {
        let (mut empty, mut wrong) = (None, None);
        for name in self.names(field) {
            match row.value(name) {
                Ok(Some(value)) if !value.trim().is_empty() => return Ok(Some(value)),
                Ok(value) => empty = empty.or(value),
                Err(found) => wrong = wrong.or(Some(found)),
            }
        }
        let problem = |found| Problem::WrongType { expected: "text or a whole number", found }.of(field.key());
        wrong.map_or(Ok(empty), |found| Err(problem(found)))
    }

    /// The address in a row, if it can be used.
    #[must_use]
    pub fn address(&self, row: &Row) -> Option<Email> {
        Email::parse(self.value(row, Field::Email).ok()??.trim()).ok()
    }

    /// The further facts of a row. `;` separates several values; an empty column says that there are none.
    fn further(&self, row: &Row) -> FurtherFacts<Vec<Label>> {
        let value = |names: &[String]| names.iter().find_map(|name| row.value(name).ok().flatten());
        let texts = self.facts.iter().filter_map(|(name, columns)| Some((name.clone(), value(columns)?)));
        texts.map(|(name, text)| (name, distinct(text.split(';').filter_map(Label::parse)))).collect()
    }

    /// What a row says as of `at`, in a file whose rows all lack the `unasked` columns: that the person is employed (or has
    /// left, by the status), and their facts. None if the mapping excludes the person.
    ///
    /// # Errors
    /// What is wrong with the row: the field and the shape of its value.
    pub fn event(
        &self,
        source: &SourceName,
        row: &Row,
        at: UnixMs,
        unasked: &[String],
    ) -> Result<Option<RowEvent>, InvalidField> {
        let id = self.value(row, Field::EmployeeId)?;
        id.and_then(spreadsheet::problem_of_id).map_or(Ok(()), |problem| Err(problem.of("employee_id")))?;
        self.check_cells(row)?;
        let person = Person::parse(source.clone(), id.ok_or_else(|| Problem::Missing.of("employee_id"))?)?;
        // A person with an unlisted status may be out of scope, so that is checked first.
        let status = self.employment(row);
        let of_status = status.clone().unwrap_or_default();
        let Some(word) = self.rules.judge(|name| row.value(name), of_status, at, unasked)? else {
            return Ok(None);
        };
        status?;
        if word.is_leave_alone {
            let facts = Facts { employment: word.employment, asks_nothing: true, ..Facts::default() };
            let event = Event { person, kind: EventKind::Update, at: None, facts };
            return Ok(Some(RowEvent { event, leaves_at: None }));
        }
        let name = |field: Field| -> Result<Option<Stated<Name>>, InvalidField> {
            let Some(raw) = self.value(row, field)? else { return Ok(None) };
            Ok(Some(Name::parse(field.key(), raw)?.map_or(Stated::None, Stated::Is)))
        };
        let email = match self.value(row, Field::Email)?.map(str::trim) {
            None | Some("") => None,
            Some(raw) => Some(Email::parse(raw)?).filter(|email| self.takes(email)),
        };
        let facts = Facts {
            day_ends: None,
            is_status: false,
            asks_nothing: false,
            is_other_status: false,
            employment: word.employment,
            tells_end: false,
            beside_end: word.beside_end,
            starts: None,
            scope: word.scope.map(|scope| (scope, None)),
            email,
            unusable_email: false,
            given_name: name(Field::GivenName)?,
            preferred_given_name: name(Field::PreferredGivenName)?,
            family_name: name(Field::FamilyName)?,
            locale: self.value(row, Field::Locale)?.and_then(Locale::parse),
            further: self.further(row),
        };
        let event = Event { person, kind: EventKind::Update, at: None, facts };
        Ok(Some(RowEvent { event, leaves_at: word.leaves_at }))
    }

    /// A formula or an error of a spreadsheet is not a value. In a column that selects people, it would exclude them.
    fn check_cells(&self, row: &Row) -> Result<(), InvalidField> {
        let in_column = |name: &str| row.value(name).ok().flatten().and_then(spreadsheet::problem_of);
        let of_fields =
            self.names.iter().flat_map(|(field, names)| names.iter().map(|name| (field.key(), name.as_str())));
        let of_facts = self.facts.iter().flat_map(|(_, names)| names.iter().map(|name| ("facts", name.as_str())));
        for (key, name) in of_fields.chain(of_facts) {
            in_column(name).map_or(Ok(()), |problem| Err(problem.of(key)))?;
        }
        let mut others = row.columns().filter(|name| self.rules.follows(name));
        others.find_map(in_column).map_or(Ok(()), |problem| Err(problem.of("only_if")))
    }

    /// A person in the list works here, unless their status says otherwise. An unlisted status is not guessed: an
    /// export may contain everybody who ever worked here.
    fn employment(&self, row: &Row) -> Result<Option<EmploymentState>, InvalidField> {
        let status = self.value(row, Field::Status)?.map(str::trim).unwrap_or_default();
        let is_in = |values: &[String]| values.iter().any(|value| value.eq_ignore_ascii_case(status));
        if status.is_empty() || is_in(&self.active_values) {
            Ok(Some(EmploymentState::Employed))
        } else if is_in(&self.left_values) {
            Ok(Some(EmploymentState::Left))
        } else if is_in(&self.other_values) {
            Ok(None)
        } else {
            Err(Problem::UnknownValue { chars: status.chars().count() }.of("status"))
        }
    }

    /// Private addresses are left out if the source says which domains are the company's.
    fn takes(&self, email: &Email) -> bool {
        self.address_domains.is_empty()
            || self.address_domains.iter().any(|domain| domain.eq_ignore_ascii_case(email.domain()))
    }
}

/// The last names of the paths to a field, the usual name, and the paths themselves for nested fields.
fn columns_of(lookups: &Lookups, fallback: &str) -> Vec<String> {
    let plain = lookups.as_slice().iter().filter(|lookup| lookup.is_plain());
    let paths = plain.map(|lookup| lookup.as_str().trim_start_matches("root:"));
    let paths: Vec<&str> = paths.filter(|path| !path.contains(['{', '['])).collect();
    let last = paths.iter().map(|path| path.rsplit(['/', ':']).next().unwrap_or_default());
    let mut distinct: Vec<String> = Vec::new();
    for name in last.chain([fallback]).chain(paths.iter().copied()) {
        if !name.is_empty() && !distinct.iter().any(|known| known == name) {
            distinct.push(name.to_owned());
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::EmploymentState::{Employed, Left};
    use super::*;
    use crate::core::person::Scope;
    use crate::core::roster::rows::read;

    fn columns(mapping: &str) -> Columns {
        Columns::of(&toml::from_str(mapping).unwrap())
    }

    /// 20 November 2025.
    const AT: UnixMs = UnixMs(1_763_596_800_000);

    fn rows(columns: &Columns, file: &str) -> Vec<Result<Option<RowEvent>, String>> {
        let source = SourceName::parse("hr").unwrap();
        let all = || read(file, columns.names(Field::EmployeeId)).unwrap();
        let unasked = columns.unasked(all());
        let event = |row: ReadRow| columns.event(&source, &row.unwrap(), AT, &unasked);
        all().map(|row| event(row).map_err(|problem| problem.to_string())).collect()
    }

    fn events(columns: &Columns, file: &str) -> Vec<Result<Event, String>> {
        rows(columns, file).into_iter().map(|row| row.map(|row| row.unwrap().event)).collect()
    }

    fn state(event: &Result<Event, String>) -> Option<EmploymentState> {
        event.as_ref().unwrap().facts.employment.map(|(state, _)| state)
    }

    #[test]
    fn a_status_says_who_is_employed_and_an_unlisted_one_is_refused() {
        let mapping =
            "status = '/data/state'\nactive_values = ['Active']\nleft_values = ['Gone']\nother_values = ['Leave']\n";
        let file = "employee_id,state\nE-1,active\nE-2,GONE\nE-3,leave\nE-4,\nE-5,Retired\n";
        let events = events(&columns(mapping), file);
        let states: Vec<_> = events[..4].iter().map(state).collect();
        let (employed, left) = (Some(EmploymentState::Employed), Some(EmploymentState::Left));
        assert_eq!(states, [employed, left, None, employed]);
        assert!(events[4].as_ref().unwrap_err().starts_with("status:"), "{:?}", events[4]);
    }

    #[test]
    fn without_values_in_the_mapping_only_the_active_are_taken() {
        let events = events(&columns(""), "employee_id,status\nE-1,Active\nE-2,Terminated\n");
        assert_eq!(state(&events[0]), Some(EmploymentState::Employed));
        assert!(events[1].is_err());
    }

    #[test]
    fn the_mapping_excludes_people_from_a_roster_too() {
        let file =
            "employee_id,department,kind\nE-1,Eng,employee\nE-2,Sales,employee\nE-3,Eng,contractor\nE-4,,employee\n";
        let conditions = "only_if = [{ path = '/data/kind', equals = 'employee' }]\nin_scope_if = [{ path = '/data/department', equals = 'Eng' }]\n";
        let counts = |mapping: &str| -> Vec<bool> {
            rows(&columns(mapping), file).iter().map(|row| row.as_ref().unwrap().is_some()).collect()
        };
        // Without a department nobody is excluded by it, as in a payload.
        assert_eq!(counts(conditions), [true, false, false, true]);
        assert_eq!(counts("except_if = [{ path = '/data/kind', equals = 'contractor' }]"), [true, true, false, true]);
        let leave = columns(&format!("{conditions}out_of_scope = 'leave'\n"));
        let scopes: Vec<_> =
            rows(&leave, file).into_iter().map(|row| row.unwrap().and_then(|row| row.event.facts.scope)).collect();
        assert_eq!(scopes, [Some((Scope::In, None)), Some((Scope::Out, None)), None, None]);
    }

    #[test]
    fn a_condition_with_an_unreadable_value_lets_nobody_in() {
        let columns = columns("in_scope_if = [{ path = '/data/department', equals = 'Eng' }]\n");
        for file in
            ["employee_id,department,department\nE-1,Eng,Sales\n", r#"[{"employee_id":"E-1","department":["Sales"]}]"#]
        {
            assert!(rows(&columns, file)[0].is_err(), "{file}");
        }
    }

    #[test]
    fn spreadsheets_leave_many_empty_rows() {
        let file = format!("employee_id,email\nE-1,a@x.com\n{}", ",\n".repeat(200_000));
        assert_eq!(rows(&columns(""), &file).len(), 1);
    }

    #[test]
    fn what_a_spreadsheet_spoilt_is_refused_by_row_and_column() {
        let conditions = "in_scope_if = [{ path = '/data/department', equals = 'Eng' }]\nout_of_scope = 'leave'\n[facts]\nsite = '/data/site'\n";
        let file = "employee_id,email,last_name,department,site,notes\n=\"00002\",a@x.com,King,Eng,Oslo,#N/A\n'3,a@x.com,King,Eng,Oslo,\n\
            1E+05,a@x.com,King,Eng,Oslo,\n1.0,a@x.com,King,Eng,Oslo,\n 5 ,a@x.com,#N/A,Eng,Oslo,\n6,a@x.com,King,#REF!,Oslo,\n\
            7,a@x.com,King,Eng,=B2,\n";
        let rows = rows(&columns(conditions), file);
        assert_eq!(rows[0].as_ref().unwrap().as_ref().unwrap().event.person.to_string(), "hr/00002");
        let refused: Vec<_> =
            rows[1..].iter().map(|row| row.as_ref().unwrap_err().split(':').next().unwrap()).collect();
        assert_eq!(refused, ["employee_id", "employee_id", "employee_id", "last_name", "only_if", "facts"], "{rows:?}");
    }

    #[test]
    fn a_condition_without_its_column_is_named() {
        let columns = columns(
            "in_scope_if = [{ path = '/data/department', equals = 'Eng' }]\ninvite = 'at_start'\nstarts_at = '/data/start'\n",
        );
        let row = read("employee_id\nE-1\n", columns.names(Field::EmployeeId)).unwrap().next().unwrap().unwrap();
        assert_eq!(columns.unjudged(&row), ["department", "start"]);
        let unasked = columns.unjudged(&row);
        assert!(columns.event(&SourceName::parse("hr").unwrap(), &row, AT, &unasked).unwrap().is_some());
    }

    #[test]
    fn a_row_without_a_field_is_judged_like_a_payload_without_it() {
        let file = r#"[{"employee_id":"E-1","kind":"employee","department":"Eng"},{"employee_id":"E-2","department":"Eng"},
            {"employee_id":"E-3","kind":null},{"employee_id":"E-4","kind":"employee"}]"#;
        let mapping = "only_if = [{ path = '/data/kind', equals = 'employee' }]\nin_scope_if = [{ path = '/data/department', equals = 'Eng' }]\n";
        let counts: Vec<bool> =
            rows(&columns(mapping), file).iter().map(|row| row.as_ref().unwrap().is_some()).collect();
        assert_eq!(counts, [true, false, false, true]);
        // None has it.
        let counts = rows(&columns(mapping), r#"[{"employee_id":"E-1"},{"employee_id":"E-2"}]"#);
        assert!(counts.iter().all(|row| row.as_ref().unwrap().is_some()));
    }

    #[test]
    fn of_a_person_out_of_scope_only_a_leave_counts() {
        let mapping = "in_scope_if = [{ path = '/data/department', equals = 'Eng' }]\nstatus = '/data/state'\nactive_values = ['Active']\nleft_values = ['Gone']\n";
        let file = "employee_id,email,department,state\nE-1,a@x.com,Sales,Active\nE-2,b@x.com,Sales,Gone\nE-3,c@x.com,Sales,Odd\n";
        let rows = rows(&columns(mapping), file);
        let facts = |n: usize| rows[n].as_ref().unwrap().as_ref().map(|row: &RowEvent| row.event.facts.clone());
        let left = Facts { employment: Some((Left, None)), asks_nothing: true, ..Facts::default() };
        assert_eq!([facts(0), facts(1), facts(2)], [None, Some(left), None]);
    }

    #[test]
    fn a_row_gives_start_and_end_of_employment() {
        let mapping = "status = '/data/state'\nactive_values = ['Active']\nleft_values = ['Gone']\nstarts_at = '/data/start'\ninvite = 'at_start'\n\
            ends_at = '/data/end'\npast_end = 'left'\n";
        let file = "employee_id,state,start,end\nE-1,Active,2024-01-01,\nE-2,Active,2099-01-01,\nE-3,Active,2024-01-01,2099-01-01\n\
            E-4,Active,2019-01-01,2020-01-01\nE-5,Gone,2019-01-01,2020-01-01\nE-6,Active,soon,\n";
        let rows = rows(&columns(mapping), file);
        let word = |n: usize| {
            let row: &RowEvent = rows[n].as_ref().unwrap().as_ref().unwrap();
            let (state, from) = row.event.facts.employment.unwrap();
            (state, from.is_some(), row.leaves_at.is_some())
        };
        let words: Vec<_> = (0..5).map(word).collect();
        let expected = [
            (Employed, false, false),
            (Employed, true, false),
            (Employed, false, true),
            (Left, false, false),
            (Left, false, false),
        ];
        assert_eq!(words, expected);
        assert!(rows[5].as_ref().unwrap_err().starts_with("starts_at"), "{:?}", rows[5]);
    }

    #[test]
    fn two_columns_of_one_name_are_never_confused() {
        let columns = columns("");
        let all = events(&columns, "employee_id,Email,email,notes,notes\nE-1,ada@example.com,ada@home.example,a,b\n");
        let problem = all[0].as_ref().unwrap_err();
        assert!(problem.starts_with("email:") && problem.contains("two columns"), "{problem}");
        assert!(events(&columns, "employee_id,notes,notes\nE-1,a,b\n,,\n").iter().all(Result::is_ok));
    }

    #[test]
    fn rows_of_json_may_be_as_the_webhooks_payload_is() {
        let file = r#"[{"data":{"employee_id":7,"email":"ada@example.com","first_name":"Ada"}},
            {"employee_id":{"value":"E-1"},"email":"a@example.com"},{"employee_id":1.5}]"#;
        let events = events(&columns(""), file);
        let ada = events[0].as_ref().unwrap();
        assert_eq!((ada.person.to_string().as_str(), ada.facts.email.is_some()), ("hr/7", true));
        for (event, found) in events[1..].iter().zip(["object", "fraction"]) {
            let problem = event.as_ref().unwrap_err();
            assert!(problem.starts_with("employee_id: expected") && problem.contains(found), "{problem}");
        }
    }

    #[test]
    fn a_preferred_name_counts_where_the_mapping_says_so() {
        let file = "employee_id,first_name,nick\nE-1,Augusta,Ada\nE-2,Robert,\n";
        for (names, first) in [("preferred", "Ada"), ("legal", "Augusta")] {
            let mapping = format!("names = '{names}'\npreferred_given_name = '/data/nick'\n");
            let events = events(&columns(&mapping), file);
            let given = |n: usize| events[n].as_ref().unwrap().facts.given_name_that_counts().cloned();
            assert_eq!(given(0), Name::parse("n", first).unwrap().map(Stated::Is));
            assert_eq!(given(1), Name::parse("n", "Robert").unwrap().map(Stated::Is));
        }
    }

    #[test]
    fn missing_required_columns_are_reported() {
        let columns = columns("");
        let row = read("employee_id,e-mail,First_Name\nE-1,a@x.com,Ada\n", columns.names(Field::EmployeeId));
        let row = row.unwrap().next().unwrap().unwrap();
        assert_eq!(columns.lacking(&row), ["email", "last_name"]);
    }
}
