//! A list of people, page by page: `[fetch.list]` of a preset, and how one page leads to the next.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;

use super::body::Body;
use super::request::Method;
use super::template::{Slot, Template};
use crate::core::json::Json;
use crate::core::mapping::{Path, Place};
use crate::core::person::PersonId;

/// The default maximum: a list with more pages has no end.
const PAGES_MAX: u32 = 5_000;

/// How to request a list. At most one of `cursor_at`, `link_at`, `page_from` and `offset_from` says how its pages
/// follow one another; without any, the list is a single answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRules {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The path, from the host on.
    pub path: Template,
    /// The query, with `{since}` and the page's placeholder. Entries without a value are left out.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Headers. Entries without a value are left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The JSON to send.
    #[serde(default)]
    pub body: Option<Body>,
    /// Where on a page the people are, if that is elsewhere than the mapping's `records`.
    #[serde(default)]
    pub records: Option<Path>,
    /// Where the next page's cursor is; if there is none, it was the last page.
    #[serde(default)]
    pub cursor_at: Option<Path>,
    /// Where the next page's address is, on the same host; if there is none, it was the last page.
    #[serde(default)]
    pub link_at: Option<Path>,
    /// Pages have numbers, from this one on. Only a page without people ends the list.
    #[serde(default)]
    pub page_from: Option<u32>,
    /// Pages begin at an offset, the first at this one. Only a page without people ends the list.
    #[serde(default)]
    pub offset_from: Option<u32>,
    /// The path to the total number of people: it is compared with how many are listed.
    #[serde(default)]
    pub total_at: Option<Path>,
    /// The header with the total, if no field has it.
    #[serde(default)]
    pub total_header: Option<String>,
    /// The list says little about people, so everybody is read one by one.
    #[serde(default)]
    pub each: bool,
    /// The most pages.
    #[serde(default = "pages_max")]
    pub pages_max: u32,
}

fn pages_max() -> u32 {
    PAGES_MAX
}

impl ListRules {
    /// Whether it can say who changed since a time.
    #[must_use]
    pub fn lists_changes(&self) -> bool {
        self.slots().iter().any(|slot| matches!(slot, Slot::Since))
    }

    /// Whether pages have numbers or offsets: then only a page without people ends the list.
    fn is_numbered(&self) -> bool {
        self.page_from.is_some() || self.offset_from.is_some()
    }

    pub(super) fn slots(&self) -> Vec<&Slot> {
        let texts = std::iter::once(&self.path).chain(self.query.values()).chain(self.headers.values());
        texts.flat_map(Template::slots).chain(self.body.iter().flat_map(Body::slots)).collect()
    }

    /// The source's own values that it needs.
    pub(super) fn value_names(&self) -> impl Iterator<Item = &str> {
        let slots = self.path.slots().chain(self.body.iter().flat_map(Body::slots));
        slots.filter_map(Slot::value_name)
    }

    /// What is wrong with it: the key below `list`, and the problem.
    pub(super) fn validate(&self, has_steps: bool) -> Vec<(&'static str, &'static str)> {
        let ways =
            [self.cursor_at.is_some(), self.link_at.is_some(), self.page_from.is_some(), self.offset_from.is_some()];
        let slots = self.slots();
        let names_page = slots.iter().any(|slot| matches!(slot, Slot::Cursor));
        let asks_by_page = self.cursor_at.is_some() || self.page_from.is_some() || self.offset_from.is_some();
        let checks = [
            (!self.path.as_str().starts_with('/'), "path", "begins with `/`"),
            (self.method == Method::Get && self.body.is_some(), "body", "belongs to a POST"),
            (
                ways.into_iter().filter(|is| *is).count() > 1,
                "cursor_at",
                "pages follow one another in one way: `cursor_at`, `link_at`, `page_from` or `offset_from`",
            ),
            (self.link_at.is_some() && self.method == Method::Post, "link_at", "belongs to a GET"),
            (
                asks_by_page && !names_page,
                "query",
                "asks for no page: put {cursor}, {page} or {offset} where the page goes",
            ),
            (slots.iter().any(|slot| matches!(slot, Slot::Id)), "path", "{id} belongs in a `step`"),
            (
                slots.iter().any(|slot| matches!(slot, Slot::Credential(_))),
                "headers",
                "the fields of a login belong under `auth`",
            ),
            (self.each && !has_steps, "each", "needs a `step`, by which everybody is read"),
            (self.pages_max == 0, "pages_max", "must be at least 1"),
            (
                self.total_header.as_ref().is_some_and(|name| !is_header_name(name)),
                "total_header",
                "is the name of a header",
            ),
        ];
        checks.into_iter().filter(|(is_wrong, ..)| *is_wrong).map(|(_, key, problem)| (key, problem)).collect()
    }
}

/// RFC 9110 §5.6.2, as far as anybody uses it.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Why a list is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// It changed while it was read, or its order changes each time: people may be missing, and another read may be
    /// complete.
    Changed(String),
    /// It cannot be used.
    Unusable(String),
}

/// What matters about a page for the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownPage<'p> {
    pub(super) json: &'p Json<'p>,
    pub(super) headers: &'p [(String, String)],
    /// The person that each of its records is about, if it says.
    pub(super) people: &'p [Option<PersonId>],
}

/// The position of a read in a list.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    /// What identifies the next page.
    pub(super) cursor: Option<String>,
    /// The next page's address.
    pub(super) link: Option<String>,
    count: u32,
    records: u64,
    /// Records about people that no earlier page showed.
    shown: u64,
    seen: HashSet<PersonId>,
    total: Total,
    /// Hashes of what identified the earlier pages.
    asked: HashSet<u64>,
}

/// Totals that the pages gave.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    first: Option<u64>,
    /// Pages with records so far, and how many of them gave exactly their own number of records.
    pages: u32,
    pages_counting_themselves: u32,
}

impl Total {
    /// The total, if known. If each of several pages only gives its own number of records, that is not a total.
    fn in_all(self) -> Option<u64> {
        let is_of_pages = self.pages > 1 && self.pages_counting_themselves == self.pages;
        self.first.filter(|_| !is_of_pages)
    }

    /// Notes the number that a page with this many records gives.
    fn note(&mut self, total: Option<u64>, records: u64) -> Result<(), Unlisted> {
        self.pages += u32::from(records > 0);
        self.pages_counting_themselves += u32::from(records > 0 && total == Some(records));
        // A page beyond the last one may give 0.
        let Some(total) = total.filter(|total| records > 0 || *total > 0) else { return Ok(()) };
        self.first.get_or_insert(total);
        match self.in_all() {
            Some(before) if before != total => Err(Unlisted::Changed(format!(
                "the list's total was {before}, and then {total}: it changed while it was read"
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

impl Pages {
    /// Before the first page.
    pub(super) fn new(list: &ListRules) -> Self {
        let cursor = list.page_from.or(list.offset_from).map(|from| from.to_string());
        Self {
            cursor,
            link: None,
            count: 0,
            records: 0,
            shown: 0,
            seen: HashSet::new(),
            total: Total::default(),
            asked: HashSet::new(),
        }
    }

    /// Whether numbered pages have shown as many people as there are in all: there is no page beyond them, and a
    /// request for one may get a 404.
    pub(super) fn is_beyond(&self, list: &ListRules) -> bool {
        list.is_numbered() && self.count > 0 && self.total.in_all() == Some(self.shown)
    }

    /// Continues after a page. Returns whether there is another one.
    ///
    /// A total never ends a list with numbered pages: it may be the page's own. It is only compared with how many
    /// were listed.
    pub(super) fn turn(&mut self, list: &ListRules, page: ShownPage<'_>) -> Result<bool, Unlisted> {
        let records = u64::try_from(page.people.len()).unwrap_or(u64::MAX);
        let is_known = |person: &&Option<PersonId>| person.is_some_and(|person| self.seen.contains(&person));
        let again = u64::try_from(page.people.iter().filter(is_known).count()).unwrap_or(u64::MAX);
        let shows_nobody_new = records > 0 && again == records;
        let place = Place { root: page.json, record: page.json, key: None };
        let text_at = |path: &Option<Path>| {
            let text = path.as_ref()?.find(place)?.scalar()?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let in_headers = || {
            let wanted = list.total_header.as_ref()?;
            let (_, total) = page.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some(total.trim().to_owned())
        };
        let total: Option<u64> = text_at(&list.total_at).or_else(in_headers).and_then(|total| total.parse().ok());
        // Some servers show the last page, or the only one, again for every number beyond it.
        if shows_nobody_new && self.is_beyond(list) && total.is_none_or(|total| total == self.shown) {
            return Ok(false);
        }
        self.count = self.count.saturating_add(1);
        self.records = self.records.saturating_add(records);
        self.shown = self.shown.saturating_add(records - again);
        self.seen.extend(page.people.iter().flatten());
        self.total.note(total, records)?;
        let (cursor, link) = match (list.page_from, list.offset_from) {
            (None, None) => (text_at(&list.cursor_at), text_at(&list.link_at)),
            _ if records == 0 => (None, None),
            (Some(from), _) => (Some(u64::from(from).saturating_add(u64::from(self.count)).to_string()), None),
            (None, Some(from)) => (Some(u64::from(from).saturating_add(self.records).to_string()), None),
        };
        let Some(next) = cursor.as_ref().or(link.as_ref()) else {
            return match self.total.in_all() {
                Some(total) if total != self.shown => {
                    Err(Unlisted::Changed(format!("the list's total is {total}, and it shows {}", self.shown)))
                }
                Some(_) | None => Ok(false),
            };
        };
        let mut hasher = DefaultHasher::new();
        next.hash(&mut hasher);
        if !self.asked.insert(hasher.finish()) {
            return Err(Unlisted::Unusable("the list does not end: it repeats a page".to_owned()));
        }
        if shows_nobody_new {
            return Err(Unlisted::Changed("a page shows nobody new".to_owned()));
        }
        // A person who took the place of one that moved to a later page may not have been on any.
        if again > 0 && list.is_numbered() {
            return Err(Unlisted::Changed(
                "a page repeats somebody from an earlier page: the list changed while it was read, or has no order"
                    .to_owned(),
            ));
        }
        if self.count >= list.pages_max {
            return Err(Unlisted::Unusable(format!(
                "the list does not end: there are more than {} pages",
                list.pages_max
            )));
        }
        (self.cursor, self.link) = (cursor, link);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(toml: &str) -> ListRules {
        toml::from_str(&format!("path = '/people'\n{toml}")).unwrap()
    }

    /// Pages, each with the people of its records; 0: the record does not say.
    type Shown<'s> = &'s [(&'s str, &'s [u64])];

    /// What identifies the pages, and how it ends.
    fn asked(list: &ListRules, pages: Shown<'_>) -> (Vec<String>, Result<bool, Unlisted>) {
        let mut at = Pages::new(list);
        let mut asked = Vec::new();
        let headers = [("x-total-count".to_owned(), "9".to_owned())];
        for (page, people) in pages {
            asked.push(at.cursor.clone().or(at.link.clone()).unwrap_or_default());
            let people: Vec<_> = people.iter().map(|n| (*n > 0).then_some(PersonId(*n))).collect();
            let page = Json::parse(page).unwrap();
            match at.turn(list, ShownPage { json: &page, headers: &headers, people: &people }) {
                Ok(true) => {}
                end => return (asked, end),
            }
        }
        (asked, Ok(true))
    }

    const PAGE: &str = "query = { p = '{page}' }";

    #[test]
    fn pages_follow_one_another_by_cursor_link_number_and_offset() {
        let numbered = format!("page_from = 1\ntotal_at = '/total'\n{PAGE}");
        for (toml, pages, expected) in [
            ("", [("{}", [1, 2].as_slice()), ("{}", &[])].as_slice(), [""].as_slice()),
            (
                "cursor_at = '/next'\nquery = { c = '{cursor}' }",
                &[(r#"{"next":"b"}"#, &[1, 2]), (r#"{"next":7}"#, &[]), (r#"{"next":null}"#, &[2])],
                &["", "b", "7"],
            ),
            ("link_at = '/next'", &[(r#"{"next":"/b"}"#, &[1, 2]), (r#"{"next":" "}"#, &[3])], &["", "/b"]),
            (&format!("page_from = 0\n{PAGE}"), &[("{}", &[1, 2]), ("{}", &[3]), ("{}", &[])], &["0", "1", "2"]),
            (
                "offset_from = 0\nquery = { o = '{offset}' }",
                &[("{}", &[1, 2]), ("{}", &[3]), ("{}", &[])],
                &["0", "2", "3"],
            ),
            (
                &numbered,
                &[(r#"{"total":3}"#, &[1, 2]), (r#"{"total":"3"}"#, &[3]), (r#"{"total":0}"#, &[])],
                &["1", "2", "3"],
            ),
            // How many the page itself shows.
            (
                &numbered,
                &[(r#"{"total":2}"#, &[1, 2]), (r#"{"total":2}"#, &[3, 4]), (r#"{"total":1}"#, &[5]), ("{}", &[])],
                &["1", "2", "3", "4"],
            ),
            // The last page again, for every number beyond it.
            (&numbered, &[(r#"{"total":2}"#, &[1, 2]), (r#"{"total":2}"#, &[1, 2])], &["1", "2"]),
            // Two records of one person, and two that do not say whose they are.
            (&numbered, &[(r#"{"total":5}"#, &[1, 1, 0]), (r#"{"total":5}"#, &[0, 2]), ("{}", &[])], &["1", "2", "3"]),
        ] {
            let list = rules(toml);
            assert_eq!(list.validate(false), [], "{toml}");
            let (asked, end) = asked(&list, pages);
            assert_eq!((asked, end), (expected.iter().map(|at| (*at).to_owned()).collect(), Ok(false)), "{toml}");
        }
    }

    #[test]
    fn a_list_that_stalls_or_never_ends_is_reported() {
        for (toml, pages, expected) in [
            (
                "cursor_at = '/next'",
                [(r#"{"next":"b"}"#, [1, 2].as_slice()), (r#"{"next":"b"}"#, &[3])].as_slice(),
                "repeats a page",
            ),
            ("page_from = 1\npages_max = 2", &[("{}", &[1]), ("{}", &[2]), ("{}", &[3])], "more than 2 pages"),
        ] {
            let end = asked(&rules(toml), pages).1;
            assert!(matches!(&end, Err(Unlisted::Unusable(detail)) if detail.contains(expected)), "{toml}: {end:?}");
        }
    }

    #[test]
    fn a_list_that_changes_or_lacks_somebody_is_read_again() {
        let nine = r#"{"next":"b","total":9}"#;
        let four = r#"{"total":4}"#;
        for (toml, pages, expected) in [
            ("offset_from = 0\ntotal_at = '/total'", [(nine, [1, 2].as_slice()), (nine, &[])].as_slice(), "total is 9"),
            ("total_at = '/total'", &[(nine, &[1, 2])], "total is 9, and it shows 2"),
            ("page_from = 1\ntotal_header = 'X-Total-Count'", &[("[]", &[1, 2]), ("[]", &[])], "total is 9"),
            // A person left, a person came, and a person came while another left.
            (
                "page_from = 1\ntotal_at = '/total'",
                &[(four, &[1, 2]), (r#"{"total":3}"#, &[4])],
                "total was 4, and then 3",
            ),
            (
                "page_from = 1\ntotal_at = '/total'",
                &[(four, &[1, 2]), (r#"{"total":5}"#, &[3, 4])],
                "total was 4, and then 5",
            ),
            ("offset_from = 0\ntotal_at = '/total'", &[(four, &[1, 2]), (four, &[4]), (four, &[])], "it shows 3"),
            ("offset_from = 0\ntotal_at = '/total'", &[(four, &[1, 2]), (four, &[3, 4, 5]), (four, &[])], "it shows 5"),
            // The same with the person counted twice: of four, three were shown.
            (
                "cursor_at = '/next'\ntotal_at = '/total'",
                &[(r#"{"next":"b","total":4}"#, &[1, 2]), (four, &[2, 3])],
                "shows 3",
            ),
            ("page_from = 1", &[("{}", &[1, 2]), ("{}", &[2, 3])], "has no order"),
            ("page_from = 1", &[("{}", &[1, 2]), ("{}", &[1, 2])], "nobody new"),
        ] {
            let end = asked(&rules(toml), pages).1;
            assert!(matches!(&end, Err(Unlisted::Changed(detail)) if detail.contains(expected)), "{toml}: {end:?}");
        }
    }

    #[test]
    fn an_impossible_request_is_named() {
        for (toml, key) in [
            ("cursor_at = '/next'\npage_from = 1\nquery = { p = '{page}' }", "cursor_at"),
            ("page_from = 1", "query"),
            ("each = true", "each"),
            ("method = 'POST'\nlink_at = '/next'", "link_at"),
            ("body = { a = 1 }", "body"),
            ("query = { a = '{id}' }", "path"),
            ("headers = { a = '{token}' }", "headers"),
            ("total_header = 'X Total'", "total_header"),
        ] {
            let problems = rules(toml).validate(false);
            assert_eq!(problems.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key], "{toml}");
        }
    }
}
