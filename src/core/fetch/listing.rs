//! Reads an HR system's list of everybody, page by page; each record becomes a row, like one of a file.

use super::api::Api;
use super::facts::{self, ListedRow};
use super::list::{Pages, ShownPage, Unlisted};
use super::reply::{HrReply, Judging, Said};
use super::request::HrRequest;
use crate::core::code::Code;
use crate::core::json::Json;
use crate::core::person::SourceName;
use crate::core::time::UnixMs;

/// How many rows a list may have: as many as an imported file.
const ROWS_MAX: usize = 200_000;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListStep {
    /// Send this, and learn from the reply.
    Send(HrRequest),
    /// The list is complete.
    Whole,
    /// It cannot go on.
    Failed(ListFailure),
}

/// Why a list, or a request, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFailure {
    /// The code of the failure.
    pub code: Code,
    /// What, without values.
    pub detail: String,
}

/// The result of requesting a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageEnd {
    /// Its rows, in order.
    Rows(Vec<ListedRow>),
    /// Temporary trouble: the same page may be requested again.
    Again {
        /// The code of the trouble.
        code: Code,
        /// When, if the system said so.
        not_before: Option<UnixMs>,
    },
    /// The system asks everybody to wait until then.
    Limited {
        /// The end of the pause.
        until: UnixMs,
    },
    /// The token was not accepted; a new one may be.
    Renew,
    /// People may be missing: another read, from the first page, may be complete.
    Changed(String),
    /// It cannot go on.
    Failed(ListFailure),
}

/// A list that is being read.
#[derive(Debug, Clone)]
pub struct Listing {
    source: SourceName,
    since: Option<UnixMs>,
    began_at: UnixMs,
    pages: Option<Pages>,
    rows: usize,
    /// Whether any row named a person, or said anything about one.
    says_something: bool,
    is_over: bool,
}

impl Listing {
    /// A list whose reading begins now.
    #[must_use]
    pub fn new(api: &Api, source: SourceName, since: Option<UnixMs>, began_at: UnixMs) -> Self {
        let pages = api.rules().list.as_ref().map(Pages::new);
        Self { source, since, began_at, pages, rows: 0, says_something: false, is_over: false }
    }

    /// What comes next.
    #[must_use]
    pub fn next(&self, api: &Api) -> ListStep {
        if self.is_over {
            return ListStep::Whole;
        }
        match &self.pages {
            Some(pages) => match api.list_request(self.since, pages) {
                Ok(request) => ListStep::Send(request),
                Err(detail) => ListStep::Failed(failed(detail)),
            },
            None => ListStep::Failed(failed("nothing says how to list everybody".to_owned())),
        }
    }

    /// Processes the reply to the request of [`Self::next`].
    pub fn learn(&mut self, api: &Api, reply: &HrReply, now: UnixMs) -> PageEnd {
        let refused = |code, detail: &str| PageEnd::Failed(ListFailure { code, detail: detail.to_owned() });
        match (Judging { step: None }.judge(reply, now)) {
            Said::Answer(text) => match self.learn_page(api, &text, reply.headers()) {
                Ok(rows) => PageEnd::Rows(rows),
                Err(Unlisted::Changed(detail)) => PageEnd::Changed(detail),
                Err(Unlisted::Unusable(detail)) => PageEnd::Failed(failed(detail)),
            },
            Said::NotFound | Said::Refused { code: Code::FetchRefused, .. } if self.is_beyond(api) => {
                self.is_over = true;
                PageEnd::Rows(Vec::new())
            }
            Said::NotFound => refused(Code::FetchRefused, "the list is not there (404)"),
            Said::Unauthorized if api.auth().token_rules().is_some() => PageEnd::Renew,
            Said::Unauthorized => refused(Code::HoldFetch, "the login is not accepted (401)"),
            Said::Forbidden { .. } => refused(Code::HoldFetch, "the login may not read the list (403)"),
            Said::Elsewhere { what } => refused(Code::HoldFetch, &format!("{what} was answered")),
            Said::Limited { until } => PageEnd::Limited { until },
            Said::Passing { code, not_before } => PageEnd::Again { code, not_before },
            // A truncated page may be complete the next time.
            Said::Refused { code: code @ Code::FetchUnreadable, .. } => PageEnd::Again { code, not_before: None },
            Said::Refused { code, detail } => PageEnd::Failed(ListFailure { code, detail }),
        }
    }

    /// Whether all people were shown before the current page.
    fn is_beyond(&self, api: &Api) -> bool {
        let list = api.rules().list.as_ref().zip(self.pages.as_ref());
        self.says_something && list.is_some_and(|(list, pages)| pages.is_beyond(list))
    }

    fn learn_page(&mut self, api: &Api, text: &str, headers: &[(String, String)]) -> Result<Vec<ListedRow>, Unlisted> {
        let (Some(list), Some(pages)) = (api.rules().list.as_ref(), self.pages.as_mut()) else {
            return Err(Unlisted::Unusable("nothing says how to list everybody".to_owned()));
        };
        let (people, mut rows) = facts::of_list(api.list_mapping(), &self.source, text, list.each, self.began_at)
            .map_err(Unlisted::Unusable)?;
        let was_beyond = pages.is_beyond(list);
        let turned = Json::with(text, |json| pages.turn(list, ShownPage { json, headers, people: &people }));
        let not_json = |error| Unlisted::Unusable(format!("the page is not JSON: {error}"));
        self.is_over = !turned.map_err(not_json)??;
        if self.is_over && was_beyond {
            rows.clear();
        }
        self.rows = self.rows.saturating_add(rows.len());
        if self.rows > ROWS_MAX {
            return Err(Unlisted::Unusable(format!("the list has more than {ROWS_MAX} people")));
        }
        // A list in which no row says anything has no employees, or has lost them all.
        self.says_something |= rows.iter().any(|row| !matches!(row, ListedRow::Nothing | ListedRow::LeftOut(_)));
        if self.is_over && !self.says_something && self.since.is_none() {
            return Err(Unlisted::Unusable("the list is empty".to_owned()));
        }
        Ok(rows)
    }
}

fn failed(detail: String) -> ListFailure {
    ListFailure { code: Code::FetchList, detail }
}
