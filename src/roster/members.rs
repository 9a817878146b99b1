//! The list of members, read in full within the limits that all workers share.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::warn;

use super::{PEOPLE_AT_ONCE, Roster, RosterError};
use crate::core::code::Code;
use crate::core::hold::is_caused_by_key;
use crate::core::limiter::CallKind;
use crate::core::reconcile::group::{GroupCall, GroupOutcome};
use crate::core::reconcile::listing::everybody;
use crate::core::reconcile::reply::{Outcome, Reply};
use crate::core::reconcile::request::Request;
use crate::core::roster::{ListedMember, MemberList};
use crate::core::target_name::said;
use crate::scim::Client;
use crate::store::{Page as StorePage, Token};

/// How many pages of members are read at most: a hundred members each.
const PAGES_MAX: u32 = 10_000;
/// The longest that an operator waits for a target that accepts no more calls.
const BACK_OFF_MS_MAX: u64 = 120_000;
/// How many pages of groups are read at most.
const GROUP_PAGES_MAX: u32 = 100;
/// How many times a page is requested at most.
const PAGE_TRIES: u32 = 5;
/// How many times the list is read at most, if it changes meanwhile or is incomplete.
const LIST_TRIES: u32 = 3;

/// How long to wait before an empty list is read again if members are known: temporary trouble is over by then.
const EMPTY_AGAIN: Duration = Duration::from_secs(2);

/// A list, and its total as the target reported it.
struct Pass {
    list: MemberList,
    /// `totalResults` of the last page.
    total: Option<u32>,
    /// Whether it was the same on all pages.
    is_steady: bool,
}

impl Pass {
    fn has_all(&self) -> bool {
        self.total.is_none_or(|total| self.list.len() >= usize::try_from(total).unwrap_or(usize::MAX))
    }
}

impl Roster {
    /// The list of members; it says so if some are missing.
    pub(super) async fn members(&self) -> Result<MemberList, RosterError> {
        let Some(client) = &self.client else {
            return Err(RosterError::NoKey);
        };
        let mut seen: Option<MemberList> = None;
        let mut total = None;
        for n in 1..=LIST_TRIES {
            let pass = self.pass(client).await?;
            if pass.list.is_empty() && n < LIST_TRIES {
                warn!(total = pass.total, "the list of members is empty: it is read again");
                if self.knows_members().await? {
                    tokio::time::sleep(EMPTY_AGAIN).await;
                }
                continue;
            }
            if pass.is_steady && pass.has_all() && (seen.is_none() || !pass.list.is_empty()) {
                return Ok(pass.list);
            }
            // A member removed while the list is read moves another one onto a page that was read already.
            warn!(members = pass.list.len(), total = pass.total, "the list of members is not complete, or has changed");
            total = pass.total;
            match &mut seen {
                Some(seen) => seen.merge(pass.list),
                None => seen = Some(pass.list),
            }
        }
        let mut list = seen.unwrap_or_default();
        let shown = list.len();
        if let Some(total) = total.filter(|total| shown < usize::try_from(*total).unwrap_or(usize::MAX)) {
            list.is_lacking(format!("the list of members says {total} and shows {shown}"));
        }
        Ok(list)
    }

    /// The ids of all groups; none if no rule is about groups, or if the list is not known to be complete.
    pub(super) async fn group_ids(&self) -> Result<Option<BTreeSet<String>>, RosterError> {
        let Some(client) = self.client.as_ref().filter(|_| !self.rules.groups.is_empty()) else { return Ok(None) };
        let mut ids = BTreeSet::new();
        let mut start_index = 1_u32;
        for _ in 0..GROUP_PAGES_MAX {
            while let Token::NotBefore(at) = self.store.take_token(self.clock.now(), CallKind::Read).await? {
                tokio::time::sleep(Duration::from_millis(at.ms_since(self.clock.now()).max(1))).await;
            }
            let asked = Request::Group(GroupCall::Page { start_index });
            let (reply, now) = (client.send(&asked).await, self.clock.now());
            match self.rules.target.classify(&asked, &[], &reply, now) {
                Outcome::Group(GroupOutcome::Rows { rows, listed, total }) => {
                    let before = ids.len();
                    ids.extend(rows.into_iter().map(|row| row.id));
                    if listed == 0 {
                        // Some servers count only the page, so that the total alone does not show the end.
                        let counted = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                        let is_whole = total.map_or(counted > 0, |total| total <= counted);
                        if is_whole {
                            return Ok(Some(ids));
                        }
                        break;
                    }
                    // It shows the same page again and again.
                    if ids.len() == before {
                        break;
                    }
                    start_index = start_index.saturating_add(listed);
                }
                Outcome::RateLimited { until } => {
                    self.store.back_off(now, until).await?;
                    if until.ms_since(now) > BACK_OFF_MS_MAX {
                        let what = format!("the rate limit allows no call before {until}");
                        return Err(RosterError::Members { what, code: Some(Code::ScimRateLimited) });
                    }
                    break;
                }
                _ => break,
            }
        }
        warn!(groups = ids.len(), "the list of groups cannot be read completely: it is not compared");
        Ok(None)
    }

    /// Whether the bridge has ever seen a member.
    async fn knows_members(&self) -> Result<bool, RosterError> {
        let mut page = StorePage { rows_max: PEOPLE_AT_ONCE, after: None };
        while let Some(documents) = self.people(&mut page).await? {
            if documents.iter().any(|document| document.member.as_ref().is_some_and(|member| member.id.is_some())) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn pass(&self, client: &Client) -> Result<Pass, RosterError> {
        let mut pass = Pass { list: MemberList::default(), total: None, is_steady: true };
        let mut start_index = 1_u32;
        for n in 0..PAGES_MAX {
            let (page, listed, total) = self.page(client, start_index).await?;
            pass.is_steady &= n == 0 || listed == 0 || pass.total == total;
            pass.total = total.or(pass.total);
            let new = pass.list.add(page);
            start_index = start_index.saturating_add(listed);
            // Some servers give the size of the page as the total, and one without paging returns the same list again
            // and again.
            let is_past = total.is_none_or(|total| start_index > total);
            let is_last = listed == 0 || (is_past && total.is_some_and(|total| total > listed));
            if is_last || (new == 0 && is_past) {
                return Ok(pass);
            }
        }
        Err(RosterError::Members { what: format!("more than {PAGES_MAX} pages"), code: None })
    }

    async fn page(
        &self,
        client: &Client,
        start_index: u32,
    ) -> Result<(Vec<ListedMember>, u32, Option<u32>), RosterError> {
        let (mut problem, mut code) = (String::new(), None);
        for attempt in 0..PAGE_TRIES {
            while let Token::NotBefore(at) = self.store.take_token(self.clock.now(), CallKind::Read).await? {
                tokio::time::sleep(Duration::from_millis(at.ms_since(self.clock.now()).max(1))).await;
            }
            let asked = Request::Page { start_index };
            let (reply, now) = (client.send(&asked).await, self.clock.now());
            let outcome = self.rules.target.classify(&asked, &[], &reply, now);
            if let Outcome::RateLimited { until } = outcome {
                // As after a worker's call: nobody calls before then.
                self.store.back_off(now, until).await?;
                if until.ms_since(now) > BACK_OFF_MS_MAX {
                    let what = format!("the rate limit allows no call before {until}");
                    return Err(RosterError::Members { what, code: Some(Code::ScimRateLimited) });
                }
            }
            match reply {
                Reply::Http(http) if http.status == 200 && http.body_complete => {
                    if let Some(page) = everybody(&http.body) {
                        return Ok(page);
                    }
                    problem = "a page is not what SCIM promises".to_owned();
                }
                Reply::Http(http) => problem = format!("{} {}", said("Postman answered"), http.status),
                Reply::NotSent { reason } | Reply::Lost { reason } => problem = reason.to_string(),
            }
            code = (!matches!(outcome, Outcome::Members(_))).then(|| outcome.refusal());
            // A key that is refused is not accepted a moment later.
            if code.is_some_and(is_caused_by_key) && matches!(outcome, Outcome::Hold(..)) {
                break;
            }
            warn!(start_index, problem, "a page of members could not be read");
            tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
        }
        if let Some(code) = code {
            problem = format!("{problem} ({code}: {})", code.title());
        }
        Err(RosterError::Members { what: problem, code })
    }
}
