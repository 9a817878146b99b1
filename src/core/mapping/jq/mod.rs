//! jq filters, for what paths and transforms cannot say: checked and compiled when the configuration is read,
//! and run on one record.
//!
//! jq cannot be stopped by a step counter, so filters are bounded before they run. They may only use the functions in
//! `functions`, none of which loops, reads the environment or reads files; and `cost` bounds the steps and bytes for
//! a record of a given size. A record for which that is too much is not filtered.

use std::fmt;
use std::sync::Arc;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Ctx, Filter, Vars, data};
use jaq_json::Val;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use self::cost::Cost;
use crate::core::json::Json;
use crate::core::person::Problem;

mod cost;
mod functions;
mod growth;
mod values;

#[cfg(test)]
mod tests;

type Data = data::JustLut<Val>;

/// The most bytes of a filter.
const FILTER_BYTES_MAX: usize = 1_000;
/// The most brackets, operators and branches of a filter.
const FILTER_PARTS_MAX: usize = 100;

/// A filter.
#[derive(Clone)]
pub(super) struct Jq {
    text: String,
    compiled: Arc<Compiled>,
}

struct Compiled {
    cost: Cost,
    filter: Filter<Data>,
}

impl Jq {
    /// Checks and compiles a filter.
    ///
    /// # Errors
    /// A part that is not allowed, or where it is malformed.
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(format!("the filter has {} bytes, at most {FILTER_BYTES_MAX}", text.len()));
        }
        let parts = parts(text);
        if parts > FILTER_PARTS_MAX {
            return Err(format!("the filter has {parts} brackets, operators and branches, at most {FILTER_PARTS_MAX}"));
        }
        let term = jaq_core::load::parse(text, |parser| parser.term()).ok_or_else(|| malformed(text))?;
        let cost = Cost::of(&term)?;
        Ok(Self { text: text.to_owned(), compiled: Arc::new(Compiled { cost, filter: compile(text)? }) })
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Its first result, if any.
    ///
    /// # Errors
    /// It fails, or the record is too large for it. Contains no values.
    pub(super) fn first(&self, record: &Json<'_>) -> Result<Option<Json<'static>>, Problem> {
        self.run(record, |results| results.next().transpose())
    }

    /// All its results.
    ///
    /// # Errors
    /// As for [`Self::first`].
    pub(super) fn all(&self, record: &Json<'_>) -> Result<Vec<Json<'static>>, Problem> {
        self.run(record, |results| results.collect())
    }

    fn run<T>(
        &self,
        record: &Json<'_>,
        take: impl FnOnce(&mut dyn Iterator<Item = Result<Json<'static>, Problem>>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let size = values::size(record);
        let Compiled { cost, filter } = &*self.compiled;
        if !cost.allows(size) {
            return Err(Problem::TooLargeToFilter { values: size.values });
        }
        let ctx = Ctx::<Data>::new(&filter.lut, Vars::new([]));
        // jq's error messages contain values, so only the fact that there was one is reported.
        let mut results = filter
            .id
            .run((ctx, values::to_jq(record)))
            .map(|result| result.ok().as_ref().and_then(values::from_jq).ok_or(Problem::FilterFailed));
        take(&mut results)
    }
}

/// How many brackets, operators and branches a filter has. The parser and the compiler go no deeper than that.
fn parts(text: &str) -> usize {
    let marks = text.matches(|c: char| "([{|,+-*/%<>=?.:".contains(c)).count();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let opening = ["if", "elif", "try", "catch", "and", "or", "as", "def", "reduce", "foreach", "label"];
    marks + words.filter(|word| opening.contains(word)).count()
}

fn compile(text: &str) -> Result<Filter<Data>, String> {
    let defs = jaq_core::load::parse(functions::DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
    // Not all of jaq's definitions: some read the environment or the clock, or log.
    let funs = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let modules = Loader::new(jaq_core::defs().chain(defs))
        .load(&arena, File { code: text, path: () })
        .map_err(|_| malformed(text))?;
    jaq_core::Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
        let names = errors.iter().flat_map(|(_, undefined)| undefined).map(|(name, _)| format!("`{name}`"));
        format!("the filter uses something that does not exist: {}", names.collect::<Vec<_>>().join(", "))
    })
}

/// The place at which a filter is malformed, as far as known.
fn malformed(text: &str) -> String {
    let at = match jaq_core::load::lex::Lexer::new(text).lex() {
        Err(errors) => errors.first().map_or(0, |(_, rest)| text.len().saturating_sub(rest.len())),
        Ok(tokens) => {
            let errors = jaq_core::load::parse::Parser::new(&tokens).parse(jaq_core::load::parse::Parser::term).err();
            let found = errors.into_iter().flatten().find_map(|(_, found)| found);
            found.map_or(text.len(), |token| jaq_core::load::span(text, token.0).start)
        }
    };
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("not a jq filter: something is wrong or missing at its line {line}, column {column}")
}

impl PartialEq for Jq {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Jq {}

impl fmt::Debug for Jq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Jq {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
