//! Looking a person up by `userName`. Postman's filter minds the case, so several spellings are
//! tried, and then, within a bound, all members are paged through and compared without case.

use super::reply::Listing;
use super::scim::{Member, Request};

/// Members on a page: the most that Postman gives.
pub const PAGE_MEMBERS: u32 = 100;

/// A look-up under way. Replies are learnt; the next step follows from them.
#[derive(Debug, Clone, Default)]
pub struct Search {
    asked: Vec<String>,
    pages: u32,
    /// `startIndex` of the next page; none once the last page was seen.
    paged_to_the_end: bool,
    next_index: u32,
    found: Vec<Member>,
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
    Nobody,
}

impl Search {
    /// Takes in a listing that `request` brought. Whom it fits is judged here, not by the target:
    /// a filter that was passed over must not make a stranger of the list's first member.
    pub fn learn(&mut self, request: &Request, listing: Listing) {
        match request {
            Request::Find { user_name } => self.asked.push(user_name.clone()),
            Request::Page { start_index } => {
                self.pages += 1;
                self.next_index = start_index.saturating_add(listing.listed);
                let beyond_total = listing.total.is_some_and(|total| self.next_index > total);
                self.paged_to_the_end = listing.listed == 0 || beyond_total;
            }
            Request::Create(_)
            | Request::Get { .. }
            | Request::Replace { .. }
            | Request::Activate { .. }
            | Request::Probe
            | Request::Discover => return,
        }
        for member in listing.members {
            if !self.found.iter().any(|known| known.id == member.id) {
                self.found.push(member);
            }
        }
    }

    /// The next step of a look-up for any of `spellings`, with at most `pages_max` pages.
    #[must_use]
    pub fn next(&self, spellings: &[String], pages_max: u32) -> Step<'_> {
        let folded: Vec<String> = spellings.iter().map(|spelling| spelling.to_lowercase()).collect();
        let mut hits = self.found.iter().filter(|member| folded.contains(&member.user_name.to_lowercase()));
        match (hits.next(), hits.next()) {
            (Some(member), None) => return Step::Ended(Found::One(member)),
            (Some(_), Some(_)) => return Step::Ended(Found::Several),
            (None, _) => {}
        }
        if let Some(spelling) = spellings.iter().find(|spelling| !self.asked.contains(spelling)) {
            return Step::Send(Request::Find { user_name: spelling.clone() });
        }
        let may_page = !spellings.is_empty() && self.pages < pages_max && !self.paged_to_the_end;
        if may_page {
            return Step::Send(Request::Page { start_index: self.next_index.max(1) });
        }
        Step::Ended(Found::Nobody)
    }
}
