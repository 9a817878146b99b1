//! Looking a person up by `userName`. Postman's filter is case-sensitive, so every spelling of the address is asked
//! for; then, within a bound, all members are paged through. Whether a row matches is decided here: if a target
//! ignores the filter, the first member of the list must not count as a match.

use std::collections::BTreeSet;

use super::listing::Listing;
use super::request::{Member, Request};
use crate::core::person::email::compare_key;

/// Members on a page: the most that Postman gives.
pub const PAGE_MEMBERS: u32 = 100;
/// A target may show fewer members on a page than requested; with fewer than this, paging is given up.
pub const PAGE_MEMBERS_MIN: u32 = 10;

/// A look-up in progress. It learns from each reply, and says what to ask next.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Search {
    asked: Vec<String>,
    has_no_filter: bool,
    /// The filter counted a match, but showed none.
    has_withheld: bool,
    pages: u32,
    next_index: u32,
    /// The members that pages have shown.
    rows: BTreeSet<u64>,
    /// How many there are, if a page said that there are more than its own rows.
    total: Option<u32>,
    is_paged_to_the_end: bool,
    /// The last page was full, and had been shown before: there may be more members.
    is_stuck: bool,
    found: Vec<Member>,
    has_asked_external_id: bool,
    found_by_external_id: Vec<Member>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Make this request.
    Send(Request),
    /// The look-up has ended.
    Ended(Found<'a>),
}

/// What a look-up found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Exactly one.
    One(&'a Member),
    /// More than one: this cannot be decided here.
    Several,
    /// Nobody, as far as the search went.
    Nobody {
        /// Whether all members were paged through, to the last one or up to the bound. If not, only the filter was
        /// asked, or nothing at a target without filters.
        paged: bool,
        /// Whether everybody was looked at, as far as can be known.
        complete: bool,
    },
}

/// How many members were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// This many.
    pub seen: usize,
    /// Out of this many, if the target said so.
    pub total: Option<u32>,
    /// The target had more to show.
    pub has_more: bool,
}

impl Search {
    /// Takes in a page that `request` brought.
    pub fn learn(&mut self, request: &Request, listing: Listing) {
        match request {
            Request::Find { user_name } => {
                self.asked.push(user_name.clone());
                self.has_withheld |= listing.listed == 0 && listing.total.is_some_and(|total| total > 0);
            }
            Request::FindExternalId { .. } => {
                self.has_asked_external_id = true;
                self.found_by_external_id = listing.members;
                return;
            }
            Request::Page { start_index } => self.learn_page(*start_index, &listing),
            Request::Create(_)
            | Request::Get { .. }
            | Request::Replace { .. }
            | Request::SetActive { .. }
            | Request::SetUserName { .. }
            | Request::SetNames { .. }
            | Request::Probe
            | Request::Discover
            | Request::Group(_) => return,
        }
        for member in listing.members {
            if self.found.iter().all(|known| known.id != member.id) {
                self.found.push(member);
            }
        }
    }

    fn learn_page(&mut self, start_index: u32, listing: &Listing) {
        self.pages += 1;
        self.next_index = start_index.saturating_add(listing.listed);
        let known = self.rows.len();
        self.rows.extend(&listing.rows);
        // A server that ignores `startIndex` shows the same page for ever.
        let is_repeated = self.rows.len() == known;
        // A total that equals the number of rows may count only this page.
        let total = listing.total.filter(|total| *total > listing.listed);
        self.total = total.or(self.total);
        self.is_stuck = is_repeated && listing.listed == PAGE_MEMBERS;
        self.is_paged_to_the_end =
            is_repeated || (total.is_some_and(|total| self.next_index > total) && self.has_all());
    }

    /// Whether the pages have shown as many members as the target says that there are.
    fn has_all(&self) -> bool {
        self.total.is_none_or(|total| usize::try_from(total).is_ok_and(|total| total <= self.rows.len()))
    }

    /// How many members were looked at.
    #[must_use]
    pub fn extent(&self) -> Extent {
        Extent { seen: self.rows.len(), total: self.total, has_more: !self.is_paged_to_the_end }
    }

    /// Whether the target filters, as far as is known.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        !self.has_no_filter
    }

    /// The target does not support this filter, or any: page through the rest.
    pub fn learn_no_filter(&mut self, request: &Request) {
        match request {
            Request::FindExternalId { .. } => self.has_asked_external_id = true,
            _ => self.has_no_filter = true,
        }
    }

    /// The target does not filter at all.
    pub(super) fn never_filter(&mut self) {
        self.has_no_filter = true;
        self.has_asked_external_id = true;
    }

    /// The next step of a look-up by `externalId`.
    #[must_use]
    pub fn next_by_external_id(&self, external_id: &str) -> Step<'_> {
        if !self.has_asked_external_id {
            return Step::Send(Request::FindExternalId { external_id: external_id.to_owned() });
        }
        Step::Ended(match &self.found_by_external_id[..] {
            [] => Found::Nobody { paged: false, complete: true },
            [member] => Found::One(member),
            [_, _, ..] => Found::Several,
        })
    }

    /// The next step of a look-up for `spellings` of the address whose key is `key`. It pages through up to
    /// `rows_max` members.
    #[must_use]
    pub fn next(&self, spellings: &[String], key: &str, rows_max: u32) -> Step<'_> {
        let mut hits = self.found.iter().filter(|member| compare_key(&member.user_name) == key);
        match (hits.next(), hits.next()) {
            (Some(member), None) => return Step::Ended(Found::One(member)),
            (Some(_), Some(_)) => return Step::Ended(Found::Several),
            (None, _) => {}
        }
        let unasked = spellings.iter().find(|spelling| !self.has_no_filter && !self.asked.contains(spelling));
        if let Some(spelling) = unasked {
            return Step::Send(Request::Find { user_name: spelling.clone() });
        }
        let has_room = usize::try_from(rows_max).is_ok_and(|max| self.rows.len() < max);
        if has_room && self.pages < rows_max.div_ceil(PAGE_MEMBERS_MIN) && !self.is_paged_to_the_end {
            return Step::Send(Request::Page { start_index: self.next_index.max(1) });
        }
        let complete = match rows_max {
            0 => self.has_filter() && !self.has_withheld,
            _ => self.is_paged_to_the_end && self.has_all() && !self.is_stuck,
        };
        Step::Ended(Found::Nobody { paged: self.pages > 0, complete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::email::Email;

    use crate::core::reconcile::judge::classify;
    use crate::core::reconcile::reply::{HttpReply, Outcome, Reply};
    use crate::core::time::UnixMs;

    /// A target that answers as given, and how many calls a look-up costs there.
    struct Target<F: Fn(&Request) -> (u16, String)>(F);

    impl<F: Fn(&Request) -> (u16, String)> Target<F> {
        fn look_up(&self, address: &str) -> (String, Vec<String>) {
            let email = Email::parse(address).unwrap();
            let (mut search, mut calls) = (Search::default(), Vec::new());
            loop {
                let request = match search.next(&email.spellings(), email.key(), 50) {
                    Step::Send(request) => request,
                    Step::Ended(Found::One(member)) => return (member.id.clone(), calls),
                    Step::Ended(Found::Several) => return ("several".to_owned(), calls),
                    Step::Ended(Found::Nobody { complete, .. }) => {
                        return (if complete { "nobody" } else { "not seen" }.to_owned(), calls);
                    }
                };
                calls.push(match &request {
                    Request::Page { start_index } => format!("page {start_index}"),
                    other => other.operation().as_str().to_owned(),
                });
                let (status, body) = (self.0)(&request);
                let reply = HttpReply { status, body: body.into(), body_complete: true, ..HttpReply::default() };
                match classify(&request, &[email.key().to_owned()], &Reply::Http(reply), UnixMs(0)) {
                    Outcome::Members(listing) => search.learn(&request, listing),
                    Outcome::NoFilter => search.learn_no_filter(&request),
                    other => return (other.meaning().to_owned(), calls),
                }
            }
        }
    }

    fn page(rows: &[(u32, &str)], total: usize) -> (u16, String) {
        let rows: Vec<_> = rows.iter().map(|(id, name)| serde_json::json!({ "id": id, "userName": name })).collect();
        (200, serde_json::json!({ "totalResults": total, "Resources": rows }).to_string())
    }

    fn nobody() -> (u16, String) {
        page(&[], 0)
    }

    fn start_of(request: &Request) -> Option<u32> {
        if let Request::Page { start_index } = request { Some(*start_index) } else { None }
    }

    #[test]
    fn every_spelling_is_tried_before_paging() {
        let target = Target(|request| match request {
            Request::Find { user_name } if user_name == "ada@xn--bcher-kva.example" => page(&[(7, user_name)], 1),
            _ => nobody(),
        });
        assert_eq!(target.look_up("Ada@Bücher.example"), ("7".to_owned(), vec!["find".to_owned(); 3]));
        let paged = Target(|request| match start_of(request) {
            Some(1) => page(&[(1, "bob@example.com"), (2, "ADA@Example.com")], 2),
            _ => nobody(),
        });
        assert_eq!(paged.look_up("ada@example.com").0, "2");
    }

    #[test]
    fn a_target_that_ignores_the_filter_makes_no_stranger_the_member() {
        let target = Target(|_| page(&[(1, "bob@example.com")], 1));
        assert_eq!(target.look_up("ada@example.com").0, "nobody");
    }

    #[test]
    fn two_members_of_one_address_are_several_and_one_listed_twice_is_one() {
        let two = Target(|_| page(&[(1, "ada@example.com"), (2, "Ada@example.com")], 2));
        assert_eq!(two.look_up("ada@example.com").0, "several");
        let twice = Target(|_| page(&[(1, "ada@example.com"), (1, "ada@example.com")], 2));
        assert_eq!(twice.look_up("ada@example.com").0, "1");
    }

    #[test]
    fn a_target_without_a_filter_is_paged() {
        for refusal in
            [(404, "{}"), (400, r#"{"scimType":"invalidFilter"}"#), (403, r#"{"scimType":"tooMany"}"#), (501, "")]
        {
            let target = Target(|request| match start_of(request) {
                Some(1) => page(&[(3, "ada@example.com")], 1),
                Some(_) => nobody(),
                None => (refusal.0, refusal.1.to_owned()),
            });
            assert_eq!(
                target.look_up("Ada@example.com"),
                ("3".to_owned(), vec!["find".to_owned(), "page 1".to_owned()])
            );
        }
    }

    #[test]
    fn a_total_that_counts_only_the_page_does_not_end_the_look_up() {
        let target = Target(|request| match start_of(request) {
            Some(1) => page(&[(1, "a@x.com"), (2, "b@x.com")], 2),
            Some(3) => page(&[(3, "ada@example.com")], 1),
            _ => nobody(),
        });
        assert_eq!(target.look_up("ada@example.com").0, "3");
    }

    #[test]
    fn paging_ends_at_the_total_at_an_empty_page_at_a_repeated_one_and_at_the_bound() {
        let pages = |target: &dyn Fn(&Request) -> (u16, String)| Target(target).look_up("ada@example.com").1.len() - 1;
        let told = |request: &Request| match start_of(request) {
            Some(1) => page(&[(1, "a@x.com"), (2, "b@x.com")], 3),
            Some(_) => page(&[(3, "c@x.com")], 3),
            None => nobody(),
        };
        assert_eq!(pages(&told), 2);
        let repeated =
            |request: &Request| if start_of(request).is_some() { page(&[(1, "a@x.com")], 900) } else { nobody() };
        assert_eq!(pages(&repeated), 2);
        let endless = |request: &Request| match start_of(request) {
            Some(start) => page(&[(start, "a@x.com")], 900),
            None => nobody(),
        };
        assert_eq!(pages(&endless), 5);
        let refused_behind_the_last = |request: &Request| match start_of(request) {
            Some(1) => page(&[(1, "a@x.com")], 1),
            Some(_) => (400, "{}".to_owned()),
            None => nobody(),
        };
        assert_eq!(pages(&refused_behind_the_last), 2);
    }

    #[test]
    fn a_look_up_proves_that_nobody_is_there_only_if_everybody_was_shown() {
        type Answer = fn(&dyn Fn(u32, u32) -> Vec<(u32, &'static str)>, u32) -> (u16, String);
        let rows = |from: u32, to: u32| -> Vec<(u32, &'static str)> { (from..=to).map(|n| (n, "a@x.com")).collect() };
        let ways: [(&str, &str, Answer); 7] = [
            ("told of somebody, showed nobody", "not seen", |_, _| page(&[], 1)),
            ("an empty page before the last", "not seen", |rows, start| match start {
                1 => page(&rows(1, 20), 45),
                _ => page(&[], 45),
            }),
            ("an empty page that tells nothing, before the last", "not seen", |rows, start| match start {
                1 => page(&rows(1, 20), 45),
                _ => page(&[], 0),
            }),
            ("a page before the last is refused", "not seen", |rows, start| match start {
                1 => page(&rows(1, 20), 45),
                _ => (404, "{}".to_owned()),
            }),
            ("always the first page", "not seen", |rows, _| page(&rows(1, 20), 45)),
            ("more than the bound", "not seen", |rows, start| page(&rows(start, start + 19), 70)),
            ("small pages", "nobody", |rows, start| page(&rows(start, (start + 9).min(45)), 45)),
        ];
        for (way, expected, answer) in ways {
            let target = Target(|request| start_of(request).map_or_else(nobody, |start| answer(&rows, start)));
            assert_eq!(target.look_up("ada@example.com").0, expected, "{way}");
        }
    }

    #[test]
    fn a_full_page_that_is_shown_again_may_not_be_all() {
        for (rows, complete) in [(0..100, false), (0..99, true)] {
            let (mut search, spellings) = (Search { has_no_filter: true, ..Search::default() }, [String::new()]);
            let listed = rows.end;
            let page =
                Listing { listed, total: Some(listed), rows: rows.map(u64::from).collect(), ..Listing::default() };
            for start_index in [1, listed + 1] {
                assert_eq!(search.next(&spellings, "", 500), Step::Send(Request::Page { start_index }));
                search.learn(&Request::Page { start_index }, page.clone());
            }
            assert_eq!(search.next(&spellings, "", 500), Step::Ended(Found::Nobody { paged: true, complete }));
        }
    }

    #[test]
    fn without_permission_to_page_only_the_filter_is_used() {
        let (mut search, spellings) = (Search::default(), ["ada@example.com".to_owned()]);
        let find = Request::Find { user_name: spellings[0].clone() };
        search.learn(&find, Listing::default());
        assert_eq!(
            search.next(&spellings, "ada@example.com", 0),
            Step::Ended(Found::Nobody { paged: false, complete: true })
        );
        let withheld = Listing { total: Some(1), ..Listing::default() };
        search.learn(&find, withheld);
        assert_eq!(
            search.next(&spellings, "ada@example.com", 0),
            Step::Ended(Found::Nobody { paged: false, complete: false })
        );
    }
}
