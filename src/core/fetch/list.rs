//! A list of people, page by page: `[fetch.list]` of a preset, and how one page leads to the next.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;

use super::body::Body;
use super::request::Method;
use super::template::{Slot, Template};
use crate::core::json::Json;
use crate::core::mapping::{Path, Place};

/// Pages at the most, unless told: a list that goes on beyond them has no end.
const PAGES_MAX: u32 = 5_000;

/// How a list is asked for. At most one of `cursor_at`, `link_at`, `page_from` and `offset_from` says how its pages
/// follow one another; without any it is one answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListRules {
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// The path, from the host on.
    pub path: Template,
    /// The query, with `{since}` and what the page is asked for by. What lacks a value is left out.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Headers. What lacks a value is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The JSON to send.
    #[serde(default)]
    pub body: Option<Body>,
    /// Where on a page the people are, where that is elsewhere than the mapping's `records`.
    #[serde(default)]
    pub records: Option<Path>,
    /// Where the next page's cursor is; nothing there: it was the last.
    #[serde(default)]
    pub cursor_at: Option<Path>,
    /// Where the next page's address is, of the same host; nothing there: it was the last.
    #[serde(default)]
    pub link_at: Option<Path>,
    /// Pages have numbers, from this one on; one without people ends the list.
    #[serde(default)]
    pub page_from: Option<u32>,
    /// Pages begin at a number of people before them, the first at this one; one without people ends the list.
    #[serde(default)]
    pub offset_from: Option<u32>,
    /// Where it says how many people there are in all.
    #[serde(default)]
    pub total_at: Option<Path>,
    /// The header that says it, where no field does.
    #[serde(default)]
    pub total_header: Option<String>,
    /// The list says who there is, and little of them: everybody is read by themselves.
    #[serde(default)]
    pub each: bool,
    /// Pages at the most.
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

    pub(super) fn slots(&self) -> Vec<&Slot> {
        let texts = std::iter::once(&self.path).chain(self.query.values()).chain(self.headers.values());
        texts.flat_map(Template::slots).chain(self.body.iter().flat_map(Body::slots)).collect()
    }

    /// The names of the source's own values without which it cannot be asked for.
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
                "asks for no page: {cursor}, {page} or {offset} stands where the page is told",
            ),
            (slots.iter().any(|slot| matches!(slot, Slot::Id)), "path", "{id} is of a `step`"),
            (
                slots.iter().any(|slot| matches!(slot, Slot::Credential(_))),
                "headers",
                "what belongs to a login stands under `auth`",
            ),
            (self.each && !has_steps, "each", "needs a `step`, by which everybody is read"),
            (self.pages_max == 0, "pages_max", "is 1 at the least"),
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

/// Where in a list a read is.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    /// What the next page is asked for by.
    pub(super) cursor: Option<String>,
    /// The next page's address.
    pub(super) link: Option<String>,
    count: u32,
    records: u64,
    /// What pages were asked for by, as hashes.
    asked: HashSet<u64>,
}

impl Pages {
    /// At the beginning.
    pub(super) fn new(list: &ListRules) -> Self {
        let cursor = list.page_from.or(list.offset_from).map(|from| from.to_string());
        Self { cursor, link: None, count: 0, records: 0, asked: HashSet::new() }
    }

    /// Goes on after a page with so many records, which came with these headers. Whether there is another one.
    ///
    /// # Errors
    /// Why the list can have no good end.
    pub(super) fn turn(
        &mut self,
        list: &ListRules,
        page: &Json<'_>,
        headers: &[(String, String)],
        records: usize,
    ) -> Result<bool, String> {
        self.count = self.count.saturating_add(1);
        self.records = self.records.saturating_add(u64::try_from(records).unwrap_or(u64::MAX));
        let place = Place { root: page, record: page, key: None };
        let told = |path: &Option<Path>| {
            let text = path.as_ref()?.find(place)?.scalar()?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let in_headers = || {
            let wanted = list.total_header.as_ref()?;
            let (_, total) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some(total.trim().to_owned())
        };
        let total: Option<u64> = told(&list.total_at).or_else(in_headers).and_then(|total| total.parse().ok());
        let (cursor, link) = match (list.page_from, list.offset_from) {
            (None, None) => (told(&list.cursor_at), told(&list.link_at)),
            _ if records == 0 || total.is_some_and(|total| self.records >= total) => (None, None),
            (Some(from), _) => (Some(u64::from(from).saturating_add(u64::from(self.count)).to_string()), None),
            (None, Some(from)) => (Some(u64::from(from).saturating_add(self.records).to_string()), None),
        };
        let Some(next) = cursor.as_ref().or(link.as_ref()) else {
            return match total {
                Some(total) if total > self.records => {
                    Err(format!("the list tells of {total} people and shows {}", self.records))
                }
                Some(_) | None => Ok(false),
            };
        };
        let mut hasher = DefaultHasher::new();
        next.hash(&mut hasher);
        if !self.asked.insert(hasher.finish()) {
            return Err("the list does not end: it names a page again that was shown already".to_owned());
        }
        if self.count >= list.pages_max {
            return Err(format!("the list does not end: there are more than {} pages", list.pages_max));
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

    /// What pages are asked for by, and how it ends.
    fn asked(list: &ListRules, pages: &[(&str, usize)]) -> (Vec<String>, Result<bool, String>) {
        let mut at = Pages::new(list);
        let mut asked = Vec::new();
        let total = [("x-total-count".to_owned(), "9".to_owned())];
        for (page, records) in pages {
            asked.push(at.cursor.clone().or(at.link.clone()).unwrap_or_default());
            match at.turn(list, &Json::parse(page).unwrap(), &total, *records) {
                Ok(true) => {}
                end => return (asked, end),
            }
        }
        (asked, Ok(true))
    }

    #[test]
    fn pages_follow_one_another_by_cursor_link_number_and_offset() {
        for (toml, pages, expected) in [
            ("", [("{}", 2), ("{}", 0)].as_slice(), [""].as_slice()),
            (
                "cursor_at = '/next'\nquery = { c = '{cursor}' }",
                &[(r#"{"next":"b"}"#, 2), (r#"{"next":7}"#, 0), (r#"{"next":null}"#, 1)],
                &["", "b", "7"],
            ),
            ("link_at = '/next'", &[(r#"{"next":"/b"}"#, 2), (r#"{"next":" "}"#, 1)], &["", "/b"]),
            ("page_from = 0\nquery = { p = '{page}' }", &[("{}", 2), ("{}", 1), ("{}", 0)], &["0", "1", "2"]),
            ("offset_from = 0\nquery = { o = '{offset}' }", &[("{}", 2), ("{}", 1), ("{}", 0)], &["0", "2", "3"]),
            (
                "page_from = 1\ntotal_at = '/total'\nquery = { p = '{page}' }",
                &[(r#"{"total":3}"#, 2), (r#"{"total":"3"}"#, 1)],
                &["1", "2"],
            ),
        ] {
            let list = rules(toml);
            assert_eq!(list.validate(false), [], "{toml}");
            let (asked, end) = asked(&list, pages);
            assert_eq!((asked, end), (expected.iter().map(|at| (*at).to_owned()).collect(), Ok(false)), "{toml}");
        }
    }

    #[test]
    fn a_list_that_stands_still_goes_on_for_ever_or_lacks_somebody_is_told() {
        let page = r#"{"next":"b","total":9}"#;
        for (toml, pages, expected) in [
            ("cursor_at = '/next'", [(page, 2), (page, 2), (page, 2)].as_slice(), "shown already"),
            ("page_from = 1\npages_max = 2", &[("{}", 2), ("{}", 2), ("{}", 2)], "more than 2 pages"),
            ("offset_from = 0\ntotal_at = '/total'", &[(page, 2), (page, 0)], "tells of 9 people and shows 2"),
            ("total_at = '/total'", &[(page, 2)], "tells of 9 people and shows 2"),
            ("page_from = 1\ntotal_header = 'X-Total-Count'", &[("[]", 2), ("[]", 0)], "tells of 9 people and shows 2"),
        ] {
            let problem = asked(&rules(toml), pages).1.unwrap_err();
            assert!(problem.contains(expected), "{toml}: {problem}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_named() {
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
