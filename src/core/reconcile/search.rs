//! Looking a person up by `userName`. Postman's filter is case-sensitive, so every spelling of the
//! address is asked for; then, within a bound, all members are paged through. Whether a row matches is
//! judged here, not by the target: a filter that was ignored must not make the list's first member a
//! match.

use super::listing::Listing;
use super::request::{Member, Request};
use crate::core::person::email::compare_key;

/// Members on a page: the most that Postman gives.
pub const PAGE_MEMBERS: u32 = 100;

/// A look-up under way. Replies are learnt; the next step follows from them.
#[derive(Debug, Clone, Default)]
pub struct Search {
    asked: Vec<String>,
    has_no_filter: bool,
    pages: u32,
    next_index: u32,
    last_page: Option<u64>,
    is_paged_to_the_end: bool,
    found: Vec<Member>,
    has_asked_external_id: bool,
    found_by_external_id: Vec<Member>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Ask this.
    Send(Request),
    /// The look-up has ended.
    Ended(Found<'a>),
}

/// What a look-up found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Exactly one.
    One(&'a Member),
    /// More than one: not to be decided here.
    Several,
    /// Nobody, as far as was looked.
    Nobody {
        /// All members were paged through, to the last one or as far as the bound goes. Else only the
        /// filter was asked; and where the target has none, nobody was looked at.
        paged: bool,
    },
}

impl Search {
    /// Takes in a page that `request` brought.
    pub fn learn(&mut self, request: &Request, listing: Listing) {
        match request {
            Request::Find { user_name } => self.asked.push(user_name.clone()),
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
        // A total that is no more than the page's own rows may count only these.
        let is_behind_total = listing.total.is_some_and(|total| total > listing.listed && self.next_index > total);
        // A server that passes over `startIndex` shows the same page for ever.
        let is_repeated = self.last_page.replace(listing.fingerprint) == Some(listing.fingerprint);
        self.is_paged_to_the_end = listing.listed == 0 || is_behind_total || is_repeated;
    }

    /// The target does not filter, or not this: the rest is paged.
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
            [] => Found::Nobody { paged: false },
            [member] => Found::One(member),
            [_, _, ..] => Found::Several,
        })
    }

    /// The next step of a look-up for `spellings` of the address whose key is `key`, with at most
    /// `pages_max` pages.
    #[must_use]
    pub fn next(&self, spellings: &[String], key: &str, pages_max: u32) -> Step<'_> {
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
        if self.pages < pages_max && !self.is_paged_to_the_end {
            return Step::Send(Request::Page { start_index: self.next_index.max(1) });
        }
        Step::Ended(Found::Nobody { paged: self.pages > 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::person::email::Email;

    use crate::core::reconcile::judge::classify;
    use crate::core::reconcile::reply::{HttpReply, Outcome, Reply};
    use crate::core::time::UnixMs;

    /// A target that answers as told, and how many calls a look-up costs there.
    struct Target<F: Fn(&Request) -> (u16, String)>(F);

    impl<F: Fn(&Request) -> (u16, String)> Target<F> {
        fn look_up(&self, address: &str) -> (String, Vec<String>) {
            let email = Email::parse(address).unwrap();
            let (mut search, mut calls) = (Search::default(), Vec::new());
            loop {
                let request = match search.next(&email.spellings(), email.key(), 5) {
                    Step::Send(request) => request,
                    Step::Ended(Found::One(member)) => return (member.id.clone(), calls),
                    Step::Ended(Found::Several) => return ("several".to_owned(), calls),
                    Step::Ended(Found::Nobody { paged }) => {
                        return (if paged { "nobody" } else { "not found" }.to_owned(), calls);
                    }
                };
                calls.push(match &request {
                    Request::Page { start_index } => format!("page {start_index}"),
                    other => other.operation().as_str().to_owned(),
                });
                let (status, body) = (self.0)(&request);
                let reply = HttpReply { status, body: body.into(), body_complete: true, ..HttpReply::default() };
                match classify(&request, Some(email.key()), &Reply::Http(reply), UnixMs(0)) {
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
    fn every_spelling_is_asked_for_before_all_are_paged_through() {
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
    fn a_filter_that_is_passed_over_makes_no_stranger_the_member() {
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
    fn a_total_that_counts_the_page_only_does_not_end_the_look_up() {
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
    fn without_leave_to_page_only_the_filter_was_asked() {
        let (mut search, spellings) = (Search::default(), ["ada@example.com".to_owned()]);
        let find = Request::Find { user_name: spellings[0].clone() };
        search.learn(&find, Listing::default());
        assert_eq!(search.next(&spellings, "ada@example.com", 0), Step::Ended(Found::Nobody { paged: false }));
    }
}
