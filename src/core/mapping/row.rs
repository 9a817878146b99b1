//! What a row of a roster says besides address and names: whether it counts, and from when until when somebody works
//! there. A row has columns where a payload has paths: a path leads to the column with its last name.

use std::borrow::Cow;

use super::condition::Condition;
use super::facts::Reader;
use super::lookup::Lookups;
use super::path::{Path, Place};
use super::{Invite, Mapping, OutOfScope};
use crate::core::json::Json;
use crate::core::person::{BesideEnd, EmploymentState, EventKind, Facts, InvalidField, Problem, Scope};
use crate::core::time::UnixMs;

/// A mapping's rules for rows.
#[derive(Debug, Clone)]
pub struct RowRules {
    mapping: Mapping,
    /// The paths of conditions and dates that a column can stand for.
    paths: Vec<Path>,
}

/// What a row that counts says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowWord {
    /// Whether the person is in scope, if rows out of scope count as a leave.
    pub scope: Option<Scope>,
    /// Whether they work there, and from when on, if that is in the future.
    pub employment: Option<(EmploymentState, Option<UnixMs>)>,
    /// What a stated end that is over means for it.
    pub beside_end: Option<BesideEnd>,
    /// When they will leave.
    pub leaves_at: Option<UnixMs>,
    /// They are out of scope, and nothing counts but that they have left.
    pub is_leave_alone: bool,
}

impl RowRules {
    /// The rules of a mapping.
    #[must_use]
    pub fn of(mapping: &Mapping) -> Self {
        let dates = [&mapping.starts_at, &mapping.ends_at, &mapping.effective_at];
        let of_dates = dates.into_iter().flat_map(plain_paths);
        let of_conditions = conditions(mapping).filter_map(|condition| condition.plain_path().cloned());
        Self { mapping: mapping.clone(), paths: of_conditions.chain(of_dates).collect() }
    }

    /// The columns that a file lacks: those by which the mapping selects rows, and the first day of work if people are
    /// invited on it. `has` says whether a column is there.
    pub fn lacking(&self, has: impl Fn(&str) -> bool) -> Vec<String> {
        let is_there = |path: &Path| names(path).into_iter().any(|name| has(&name));
        let lacks = |condition: &Condition| match condition.plain_path() {
            Some(path) => (!is_there(path)).then(|| last_name(path)),
            None => Some(condition.to_string()),
        };
        let mut lacking: Vec<String> = conditions(&self.mapping).filter_map(lacks).collect();
        let starts: Vec<_> = plain_paths(&self.mapping.starts_at).collect();
        if self.mapping.invite == Invite::AtStart && !starts.iter().any(is_there) {
            lacking.push(starts.first().map_or_else(|| "starts_at".to_owned(), last_name));
        }
        lacking.sort();
        lacking.dedup();
        lacking
    }

    /// Whether a column of this name is looked at.
    #[must_use]
    pub fn follows(&self, column: &str) -> bool {
        self.paths.iter().any(|path| names(path).iter().any(|name| name.eq_ignore_ascii_case(column)))
    }

    /// What a row says as of `at`, if this is its status; none if the mapping leaves such people out. `value` gives a
    /// column's text. Conditions on `unasked` columns, since no row of the file has them, are not checked.
    ///
    /// # Errors
    /// The field that cannot be read; `only_if` if the column of a condition or a date does not hold text.
    pub fn judge<'r>(
        &self,
        value: impl Fn(&str) -> Result<Option<&'r str>, &'static str>,
        status: Option<EmploymentState>,
        at: UnixMs,
        unasked: &[String],
    ) -> Result<Option<RowWord>, InvalidField> {
        let mut record = Json::Object(Vec::new());
        for path in &self.paths {
            let found = names(path).iter().map(|name| value(name)).find(|found| *found != Ok(None));
            let wrong = |found| Problem::WrongType { expected: "text or a whole number", found }.of("only_if");
            if let Some(text) = found.unwrap_or(Ok(None)).map_err(wrong)? {
                put(&mut record, &path.plain_names().unwrap_or_default(), text);
            }
        }
        let place = Place { root: &record, record: &record, key: None };
        let is_asked =
            |condition: &&Condition| condition.plain_path().is_some_and(|path| !unasked.contains(&last_name(path)));
        let mapping = &self.mapping;
        for (conditions, wanted) in [(&mapping.only_if, true), (&mapping.except_if, false)] {
            for condition in conditions.iter().filter(is_asked) {
                let holds = condition.judge(place).map_err(|problem| problem.of("only_if"))?;
                if (holds == Some(true)) != wanted {
                    return Ok(None);
                }
            }
        }
        let judged = mapping.in_scope_if.iter().filter(is_asked).map(|condition| condition.judge(place));
        let judged: Vec<_> = judged.collect::<Result<_, _>>().map_err(|problem| problem.of("in_scope_if"))?;
        let all_known = judged.len() == mapping.in_scope_if.len() && !judged.contains(&None);
        let is_out = judged.contains(&Some(false));
        let scope = match (is_out, mapping.out_of_scope) {
            (true, OutOfScope::Leave) => Some(Scope::Out),
            (false, OutOfScope::Leave) if !judged.is_empty() && all_known => Some(Scope::In),
            (_, OutOfScope::Ignore | OutOfScope::Leave) => None,
        };
        let is_leave_alone = is_out && mapping.out_of_scope == OutOfScope::Ignore;
        if is_leave_alone && status != Some(EmploymentState::Left) {
            return Ok(None);
        }
        let mut reader = Reader::new(mapping, place);
        let stated = reader.employment_of(status, EventKind::Leave, Some(at))?;
        let mut facts = Facts { employment: stated.state, beside_end: stated.beside_end, ..Facts::default() };
        facts.settle_end(at);
        let Facts { employment, beside_end, .. } = facts;
        if let Some(problem) = reader.dropped.into_iter().next() {
            return Err(problem);
        }
        // A date in the past only says that it is so now.
        let ahead = |from: UnixMs| from > at;
        let employment = employment.map(|(state, from)| (state, from.filter(|from| ahead(*from))));
        let leaves_at = stated.announced.ends_at;
        Ok(Some(RowWord { scope, employment, beside_end, leaves_at, is_leave_alone }))
    }
}

fn conditions(mapping: &Mapping) -> impl Iterator<Item = &Condition> {
    mapping.only_if.iter().chain(&mapping.except_if).chain(&mapping.in_scope_if)
}

fn plain_paths(lookups: &Lookups) -> impl Iterator<Item = Path> {
    let plain = lookups.as_slice().iter().filter(|lookup| lookup.is_plain());
    plain.filter_map(|lookup| Path::parse(lookup.as_str()).ok()).filter(|path| path.plain_names().is_some())
}

fn last_name(path: &Path) -> String {
    path.plain_names().and_then(|names| names.last().map(|name| (*name).to_owned())).unwrap_or_default()
}

/// The names that a path's column may have: its last name, or the whole path where the row is deep.
fn names(path: &Path) -> [String; 2] {
    [last_name(path), path.pointer().to_owned()]
}

/// Puts a text where these names lead.
fn put<'r>(within: &mut Json<'r>, names: &[&str], text: &'r str) {
    let (Json::Object(members), Some((first, rest))) = (within, names.split_first()) else { return };
    if rest.is_empty() {
        members.push((Cow::Owned((*first).to_owned()), Json::Text(Cow::Borrowed(text))));
        return;
    }
    let place = members.iter().position(|(name, value)| name == first && matches!(value, Json::Object(_)));
    let place = place.unwrap_or_else(|| {
        members.push((Cow::Owned((*first).to_owned()), Json::Object(Vec::new())));
        members.len() - 1
    });
    if let Some((_, deeper)) = members.get_mut(place) {
        put(deeper, rest, text);
    }
}
