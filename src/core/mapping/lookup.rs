//! The paths to a field, and how its value is transformed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::condition::{Condition, all_and_none, text};
use super::jq::Jq;
use super::moment::Zone;
use super::path::{Path, Place, is_something};
use crate::core::braces::{Piece, pieces};
use crate::core::json::Json;
use crate::core::person::Problem;

/// The key in a [`Lookup::table`] for everything it does not name.
const ANYTHING_ELSE: &str = "*";

/// One lookup of a field: a path, a template or a jq filter, and how the value is transformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    from: From,
    options: Options,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    Path(Path),
    Template(Template),
    Jq(Jq),
}

/// How it is transformed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Options {
    lower: bool,
    day: bool,
    split_name: Option<NamePart>,
    table: BTreeMap<String, String>,
    format: Option<String>,
    zone: Option<Zone>,
    only_if: Vec<Condition>,
    except_if: Vec<Condition>,
    private: bool,
}

/// Which part of a full name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum NamePart {
    /// All words but the last; of a single word, that word.
    Given,
    /// The last word; of one word, nothing.
    Family,
}

#[derive(Deserialize)]
struct Raw {
    path: Option<Path>,
    template: Option<Template>,
    jq: Option<Jq>,
    #[serde(default)]
    lower: bool,
    /// Whether a time at midnight means a day.
    #[serde(default)]
    day: bool,
    split_name: Option<NamePart>,
    #[serde(default)]
    table: BTreeMap<String, String>,
    format: Option<String>,
    zone: Option<Zone>,
    #[serde(default)]
    only_if: Vec<Condition>,
    #[serde(default)]
    except_if: Vec<Condition>,
    /// An address that may be private: accepted only in the domains of `address_domains`.
    #[serde(default)]
    private: bool,
}

impl TryFrom<Raw> for Lookup {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, &'static str> {
        let from = match (raw.path, raw.template, raw.jq) {
            (Some(path), None, None) => From::Path(path),
            (None, Some(template), None) => From::Template(template),
            (None, None, Some(filter)) => From::Jq(filter),
            _ => return Err("expected exactly one of `path`, `template` and `jq`"),
        };
        let options = Options {
            lower: raw.lower,
            day: raw.day,
            split_name: raw.split_name,
            table: raw.table,
            format: raw.format,
            zone: raw.zone,
            only_if: raw.only_if,
            except_if: raw.except_if,
            private: raw.private,
        };
        Ok(Self { from, options })
    }
}

impl From {
    fn as_str(&self) -> &str {
        match self {
            Self::Path(path) => path.as_str(),
            Self::Template(template) => &template.text,
            Self::Jq(filter) => filter.as_str(),
        }
    }
}

impl Lookup {
    fn of(path: Path) -> Self {
        Self { from: From::Path(path), options: Options::default() }
    }

    /// The path, template or filter as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.from.as_str()
    }

    /// Whether the value is the field unchanged, except for its case.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !matches!(self.from, From::Jq(_)) && self.options.split_name.is_none() && self.options.table.is_empty()
    }

    /// How many rows its table has.
    pub(super) fn table_rows(&self) -> usize {
        self.options.table.len()
    }

    /// The length of its longest text, in bytes.
    pub(super) fn longest(&self) -> usize {
        let rows = self.options.table.iter().map(|(from, to)| from.len().max(to.len()));
        rows.chain([self.as_str().len(), self.options.format.as_deref().map_or(0, str::len)]).max().unwrap_or_default()
    }

    /// Its lists of conditions.
    pub(super) fn conditions(&self) -> [&[Condition]; 2] {
        [&self.options.only_if, &self.options.except_if]
    }

    /// `strptime` directives, if it has its own.
    pub(super) fn format(&self) -> Option<&str> {
        self.options.format.as_deref()
    }

    /// The zone, if it has its own.
    pub(super) fn zone(&self) -> Option<&Zone> {
        self.options.zone.as_ref()
    }

    /// Whether its value is the record itself.
    fn is_whole_record(&self) -> bool {
        matches!(&self.from, From::Path(path) if path.is_whole_record())
    }

    fn counts(&self, place: Place<'_>) -> Result<bool, Problem> {
        all_and_none(&self.options.only_if, &self.options.except_if, place)
    }

    /// The value, null included.
    fn look<'v>(&self, place: Place<'v>) -> Result<Option<Cow<'v, Json<'v>>>, Problem> {
        if !self.counts(place)? {
            return Ok(None);
        }
        let found = match &self.from {
            From::Path(path) => path.find(place).map(Cow::Borrowed),
            From::Template(template) => template.fill(place).map(|text| Cow::Owned(Json::Text(Cow::Owned(text)))),
            From::Jq(filter) => filter.first(place.record)?.map(Cow::Owned),
        };
        Ok(found.and_then(|found| self.made(found)))
    }

    /// All values, if the path leads to several, or the filter returns several.
    fn look_all<'v>(&self, place: Place<'v>) -> Result<Vec<Cow<'v, Json<'v>>>, Problem> {
        let all: Vec<Cow<'v, Json<'v>>> = match &self.from {
            From::Path(path) if path.chooses() && self.counts(place)? => {
                path.find_all(place).into_iter().map(Cow::Borrowed).collect()
            }
            From::Jq(filter) if self.counts(place)? => filter.all(place.record)?.into_iter().map(Cow::Owned).collect(),
            From::Path(_) | From::Template(_) | From::Jq(_) => return Ok(self.look(place)?.into_iter().collect()),
        };
        Ok(all.into_iter().filter_map(|found| self.made(found)).collect())
    }

    fn made<'v>(&self, found: Cow<'v, Json<'v>>) -> Option<Cow<'v, Json<'v>>> {
        let options = &self.options;
        if !options.lower && !options.day && options.split_name.is_none() && options.table.is_empty() {
            return Some(found);
        }
        // A time given as a number stays a number.
        if options.day && matches!(&*found, Json::Number(_)) {
            return Some(found);
        }
        let Some(mut made) = text(&found).map(|text| text.trim().to_owned()) else { return Some(found) };
        if let Some(part) = options.split_name {
            made = part.of(&made).to_owned();
        }
        if !options.table.is_empty() {
            let of_any_case =
                || options.table.iter().find(|(key, _)| key.eq_ignore_ascii_case(&made)).map(|(_, to)| to);
            let replaced = options.table.get(&made).or_else(of_any_case).or_else(|| options.table.get(ANYTHING_ELSE));
            made = replaced?.clone();
        }
        if options.lower {
            made = made.to_lowercase();
        }
        if let Some(day) = day_of(&made).filter(|_| options.day) {
            made = day.to_owned();
        }
        Some(Cow::Owned(Json::Text(Cow::Owned(made))))
    }
}

/// The day of a time at midnight, in whatever zone: some systems write days like that.
fn day_of(text: &str) -> Option<&str> {
    let (day, time) = text.trim().split_at_checked(10)?;
    let rest = time.strip_prefix(['T', ' '])?.strip_prefix("00:00")?;
    let rest = rest.strip_prefix(":00").unwrap_or(rest);
    let zone = rest.strip_prefix('.').map_or(rest, |fraction| fraction.trim_start_matches('0'));
    (zone.is_empty() || zone == "Z" || zone.starts_with(['+', '-'])).then_some(day)
}

impl NamePart {
    fn of(self, name: &str) -> &str {
        let (given, family) = name.trim().rsplit_once(char::is_whitespace).unwrap_or((name, ""));
        match self {
            Self::Given => given.trim_end(),
            Self::Family => family,
        }
    }
}

/// Lookups of a field in order of preference. In TOML: one path, one table, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lookups(Vec<Lookup>);

/// What the lookups of a field found.
#[derive(Debug, Clone)]
pub(super) enum Got<'m, 'v> {
    /// It is not there.
    Absent,
    /// It is null in every place.
    Null,
    /// It is empty.
    Blank,
    /// This value, by this lookup.
    Is(&'m Lookup, Cow<'v, Json<'v>>),
    /// A filter failed, and no other lookup found anything.
    Failed(Problem),
}

impl Lookups {
    /// Whether there are no lookups, so that the field is never read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order of preference.
    #[must_use]
    pub fn as_slice(&self) -> &[Lookup] {
        &self.0
    }

    /// Whether one of the lookups gives the record itself. A record that has fields is never the value of one of them.
    pub(super) fn has_whole_record(&self) -> bool {
        self.0.iter().any(Lookup::is_whole_record)
    }

    /// The first value found; if there is none, whether the field is empty or null.
    pub(super) fn read<'m, 'v>(&'m self, place: Place<'v>) -> Got<'m, 'v> {
        let mut got = Got::Absent;
        let mut nested = None;
        let mut failed = None;
        for lookup in &self.0 {
            let found = match lookup.look(place) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(problem) => {
                    failed.get_or_insert(problem);
                    continue;
                }
            };
            let holds_others = matches!(&*found, Json::List(_) | Json::Object(_));
            if is_something(&found) && !holds_others {
                return Got::Is(lookup, found);
            }
            match (&got, &*found) {
                (Got::Absent, Json::Null) => got = Got::Null,
                (Got::Absent | Got::Null, Json::Text(_)) => got = Got::Blank,
                _ if is_something(&found) => {
                    nested.get_or_insert((lookup, found));
                }
                _ => {}
            }
        }
        // A path that leads to an object belongs to another shape of the payload. It is reported only if no other
        // path finds anything.
        match (got, nested, failed) {
            (_, _, Some(problem)) => Got::Failed(problem),
            (Got::Absent, Some((lookup, found)), None) => Got::Is(lookup, found),
            (got, _, None) => got,
        }
    }

    /// Lookups that failed.
    pub(super) fn failing<'m>(&'m self, place: Place<'m>) -> impl Iterator<Item = &'m Lookup> {
        self.0.iter().filter(move |lookup| lookup.look(place).is_err())
    }

    /// Every value found, and whether it is private; private ones only if they are asked for.
    ///
    /// # Errors
    /// No value was found, and a filter failed.
    pub(super) fn all<'v>(&self, place: Place<'v>, private: bool) -> Result<Vec<(bool, Cow<'v, Json<'v>>)>, Problem> {
        let mut all = Vec::new();
        let mut failed = None;
        for lookup in self.0.iter().filter(|lookup| private || !lookup.options.private) {
            match lookup.look_all(place) {
                Ok(found) => {
                    let is_private = lookup.options.private;
                    all.extend(found.into_iter().filter(|found| is_something(found)).map(|found| (is_private, found)));
                }
                Err(problem) => failed = Some(problem),
            }
        }
        if let (true, Some(problem)) = (all.is_empty(), failed) {
            return Err(problem);
        }
        let is_plain = |(_, found): &(bool, Cow<'v, Json<'v>>)| !matches!(&**found, Json::List(_) | Json::Object(_));
        if all.iter().any(is_plain) {
            all.retain(is_plain);
        }
        Ok(all)
    }
}

impl Lookups {
    /// The texts of the first lookup that finds a value: no texts if it is empty, or if it is null and `null_clears` is
    /// set. None if no lookup finds one.
    ///
    /// # Errors
    /// An earlier filter failed.
    pub(super) fn texts(&self, place: Place<'_>, null_clears: bool) -> Result<Option<Vec<String>>, Problem> {
        let mut is_empty = false;
        for lookup in &self.0 {
            let mut texts = Vec::new();
            for found in lookup.look_all(place)? {
                match &*found {
                    Json::Null => is_empty |= null_clears,
                    Json::List(items) => {
                        is_empty = true;
                        texts.extend(items.iter().filter_map(text).map(Cow::into_owned));
                    }
                    other => {
                        is_empty = true;
                        texts.extend(text(other).map(Cow::into_owned));
                    }
                }
            }
            texts.retain(|text| !text.trim().is_empty());
            if !texts.is_empty() {
                return Ok(Some(texts));
            }
        }
        Ok(is_empty.then(Vec::new))
    }
}

impl FromIterator<Path> for Lookups {
    fn from_iter<I: IntoIterator<Item = Path>>(paths: I) -> Self {
        Self(paths.into_iter().map(Lookup::of).collect())
    }
}

impl fmt::Display for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, lookup) in self.0.iter().enumerate() {
            write!(f, "{}`{}`", if n == 0 { "" } else { ", " }, lookup.as_str())?;
        }
        Ok(())
    }
}

const EXPECTED: &str =
    "a path such as \"/data/email\", a table such as { path = \"/name\", split_name = \"given\" }, or a list of them";

impl<'de> Deserialize<'de> for Lookup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrTable;
        impl<'de> Visitor<'de> for PathOrTable {
            type Value = Lookup;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Lookup, E> {
                Path::parse(text).map(Lookup::of).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lookup, A::Error> {
                Raw::deserialize(MapAccessDeserializer::new(map))
                    .and_then(|raw| Lookup::try_from(raw).map_err(A::Error::custom))
            }
        }
        deserializer.deserialize_any(PathOrTable)
    }
}

impl<'de> Deserialize<'de> for Lookups {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Lookups;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Lookups, E> {
                Path::parse(text).map(|path| Lookups(vec![Lookup::of(path)])).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Lookups, A::Error> {
                Lookup::deserialize(MapAccessDeserializer::new(map)).map(|lookup| Lookups(vec![lookup]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Lookups, A::Error> {
                let mut lookups = Vec::new();
                while let Some(lookup) = items.next_element()? {
                    lookups.push(lookup);
                }
                Ok(Lookups(lookups))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// A text made of parts: `{/first}.{/last}@example.com`; none if any part is missing. `{{` and `}}` stand for one
/// brace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value(Path),
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let part = |piece| match piece {
            Piece::Literal(literal) => Ok(Part::Literal(literal)),
            Piece::Slot(path) => Path::parse(path).map(Part::Value),
        };
        let parts = pieces(text)?.into_iter().map(part).collect::<Result<_, String>>()?;
        Ok(Self { text: text.to_owned(), parts })
    }

    fn fill(&self, place: Place<'_>) -> Option<String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => filled.push_str(literal),
                Part::Value(path) => {
                    let value = path.find(place).filter(|value| is_something(value))?;
                    filled.push_str(text(value)?.trim());
                }
            }
        }
        Some(filled)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(toml: &str, body: &str) -> String {
        #[derive(Deserialize)]
        struct One {
            f: Lookups,
        }
        let one: One = toml::from_str(&format!("f = {toml}")).unwrap();
        let root = Json::parse(body).unwrap();
        match one.f.read(Place { root: &root, record: &root, key: None }) {
            Got::Absent => "(absent)".to_owned(),
            Got::Null => "(null)".to_owned(),
            Got::Blank => "(blank)".to_owned(),
            Got::Failed(problem) => format!("({problem})"),
            Got::Is(_, value) => text(&value).unwrap_or(value.type_word().into()).into_owned(),
        }
    }

    #[test]
    fn null_and_blank_fall_back_to_the_next_path_and_stay_distinct() {
        let both = "['/a', '/b']";
        assert_eq!(got(both, r#"{"a":" ","b":"x"}"#), "x");
        assert_eq!(got(both, r#"{"a":null,"b":false}"#), "false");
        assert_eq!(got(both, r#"{"a":null,"b":""}"#), "(blank)");
        assert_eq!(got(both, r#"{"a":"\u200b"}"#), "(blank)");
        assert_eq!(got(both, r#"{"a":null}"#), "(null)");
        assert_eq!(got(both, r#"{"b":[]}"#), "(absent)");
        assert_eq!(got(both, "{}"), "(absent)");
    }

    #[test]
    fn an_object_is_no_value_if_another_path_finds_one() {
        let both = "['/f', '/f/value']";
        assert_eq!(got(both, r#"{"f":{"value":"x"}}"#), "x");
        assert_eq!(got(both, r#"{"f":"y"}"#), "y");
        assert_eq!(got(both, r#"{"f":{"value":null}}"#), "(null)");
        assert_eq!(got(both, r#"{"f":{"value":""}}"#), "(blank)");
        assert_eq!(got(both, r#"{"f":{"other":1}}"#), "object");
    }

    #[test]
    fn a_whole_name_is_split_at_its_last_word() {
        let body = r#"{"name":" Maria van der  Berg "}"#;
        assert_eq!(got("{ path = '/name', split_name = 'given' }", body), "Maria van der");
        assert_eq!(got("{ path = '/name', split_name = 'family' }", body), "Berg");
        assert_eq!(got("{ path = '/name', split_name = 'given' }", r#"{"name":"Cher"}"#), "Cher");
        assert_eq!(got("{ path = '/name', split_name = 'family' }", r#"{"name":"Cher"}"#), "(blank)");
    }

    #[test]
    fn a_value_is_translated_lowercased_and_taken_on_a_condition() {
        let table = "{ path = '/s', table = { A = 'active', '9' = 'left', '*' = 'other' } }";
        assert_eq!(got(table, r#"{"s":"A"}"#), "active");
        assert_eq!(got(table, r#"{"s":9}"#), "left");
        assert_eq!(got(table, r#"{"s":"a"}"#), "active");
        assert_eq!(got(table, r#"{"s":"B"}"#), "other");
        assert_eq!(got("{ path = '/s', table = { A = 'active' } }", r#"{"s":"B"}"#), "(absent)");
        let private = "[{ path = '/mail', except_if = [{ path = '/private', equals = true }] }, '/other']";
        assert_eq!(got(private, r#"{"mail":"a","private":true,"other":"b"}"#), "b");
        assert_eq!(got(private, r#"{"mail":"a","other":"b"}"#), "a");
    }

    #[test]
    fn midnight_means_a_day_if_days_are_written_so() {
        let of = |text: &str| got("{ path = '/d', day = true }", &format!(r#"{{"d":{text}}}"#));
        for midnight in ["", "T00:00:00", " 00:00", "T00:00:00.000Z", "T00:00:00Z", "T00:00:00-07:00", "T00:00:00+0000"]
        {
            assert_eq!(of(&format!("\"2026-12-31{midnight}\"")), "2026-12-31", "{midnight}");
        }
        for other in ["2026-12-31T00:00:01Z", "2026-12-31T00:00:00.5Z", "2026-12-31T17:00:00Z", "soon"] {
            assert_eq!(of(&format!("\"{other}\"")), other);
        }
        assert_eq!((of("1767139200"), of("null")), ("1767139200".to_owned(), "(null)".to_owned()));
    }

    #[test]
    fn a_template_is_filled_or_gives_nothing() {
        let address = "{ template = '{/first}.{/last}@x.co', lower = true }";
        assert_eq!(got(address, r#"{"first":"Ada ","last":"King"}"#), "ada.king@x.co");
        assert_eq!(got(address, r#"{"first":"Ada","last":""}"#), "(absent)");
        assert!(Template::parse("{/a").is_err() && Template::parse("{a}").is_err());
        assert_eq!(got("{ template = '{{{/n}}}' }", r#"{"n":5}"#), "{5}");
    }

    #[test]
    fn a_lookup_without_a_path_is_refused() {
        for wrong in [
            "f = 5",
            "f = {}",
            "f = { path = '/a', template = 'x' }",
            "f = { path = 'a' }",
            "f = { jq = '.a', path = '/a' }",
            "f = { jq = '.a |' }",
            "f = { path = '/a', split_name = 'middle' }",
        ] {
            #[derive(Debug, Deserialize)]
            #[expect(dead_code, reason = "only read")]
            struct One {
                f: Lookups,
            }
            assert!(toml::from_str::<One>(wrong).is_err(), "{wrong}");
        }
    }
}
