//! One read, request by request: what to send next, and what the replies mean together.

use super::api::{Api, Unaskable};
use super::facts::{self, ListedRow, PersonRead};
use super::list::{Pages, ShownPage, Unlisted};
use super::reply::{HrReply, Judging, Said};
use super::request::HrRequest;
use crate::core::code::Code;
use crate::core::json::Json;
use crate::core::mapping::{Record, named};
use crate::core::person::{Person, SourceName};
use crate::core::time::UnixMs;

/// A list is read from a little before the last time: what changed while it was read is not missed.
const OVERLAP_MS: u64 = 300_000;
/// The most people of a list in one read.
const PEOPLE_MAX: usize = 50_000;

/// Who or what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// One person.
    Person {
        /// The person.
        person: Person,
    },
    /// Everybody who changed.
    List {
        /// Since when; none: everybody.
        since: Option<UnixMs>,
    },
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextRead {
    /// Send this, and learn from the reply.
    Send(HrRequest),
    /// The login was not accepted: get a new token, call [`ReadState::renewed`], and go on.
    Renew,
    /// It has ended.
    Done(ReadEnd),
}

/// How a read ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadEnd {
    /// What the person's record states.
    Person(PersonRead),
    /// What a list says, with the moment of the read: events, and records that could not be mapped.
    Listed(Vec<Record>),
    /// Nobody has this id.
    NotFound,
    /// Passing trouble.
    TryAgain {
        /// The code of the trouble.
        code: Code,
        /// When to come back, where the system said so.
        not_before: Option<UnixMs>,
    },
    /// Not now: the login is just being renewed, or a hold was set between two requests.
    Later {
        /// When to look again.
        at: UnixMs,
    },
    /// The system asks everybody to wait.
    Limited {
        /// When it ends.
        until: UnixMs,
    },
    /// The system refuses everybody.
    Hold {
        /// What was answered.
        detail: String,
        /// When to come back, where the system said so.
        not_before: Option<UnixMs>,
        /// Perhaps only this person is refused: while others are served, the trouble is theirs. Never for a list or a login.
        may_be_own: bool,
        /// It was refused at a step's other path, after a 404 at its first one with the same login.
        at_other_path: bool,
    },
    /// The request for this person is refused, or the answer cannot be used.
    Refused {
        /// The reason.
        code: Code,
        /// Fields and shapes, never values.
        detail: String,
    },
}

impl ReadEnd {
    /// Its meaning if somebody was found earlier at a step's first path: then the login is valid, and a refusal at
    /// the other path only means that the person is not there either.
    #[must_use]
    pub fn knowing(self, first_path_serves: bool) -> Self {
        match self {
            Self::Hold { at_other_path: true, .. } if first_path_serves => Self::NotFound,
            end => end,
        }
    }

    /// Its name in metrics and stories.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Person(_) | Self::Listed(_) => "read",
            Self::NotFound => "not_found",
            Self::TryAgain { code, .. } | Self::Refused { code, .. } => code.as_str(),
            Self::Later { .. } => Code::FetchPaced.as_str(),
            Self::Limited { .. } => Code::FetchRateLimited.as_str(),
            Self::Hold { .. } => Code::HoldFetch.as_str(),
        }
    }

    /// Whether it shows that the person has a record, even an unusable one.
    pub(super) fn shows_record(&self) -> bool {
        matches!(self, Self::Person(_) | Self::Refused { code: Code::MapField | Code::MapShape, .. })
    }

    /// Whether it shows that the system serves this login.
    #[must_use]
    pub fn is_served(&self) -> bool {
        match self {
            Self::Person(_) | Self::Listed(_) | Self::NotFound => true,
            Self::Refused { code, .. } => !matches!(code, Code::FetchUnreadable | Code::FetchRefused),
            Self::TryAgain { .. } | Self::Later { .. } | Self::Limited { .. } | Self::Hold { .. } => false,
        }
    }
}

/// Which path of a step is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepPath {
    /// The first one.
    First,
    /// The other one, because nobody was found at the first.
    Other,
}

/// A read in progress.
#[derive(Debug, Clone)]
pub struct ReadState {
    source: SourceName,
    asked: Asked,
    began_at: UnixMs,
    /// Answers so far: a step's name, and JSON text; none if a 404 says nothing.
    answers: Vec<(String, String)>,
    /// For a list: what it stated so far, and the position in it; none: at the beginning.
    listed: Vec<Record>,
    pages: Option<Pages>,
    /// Which path the present step requests.
    at: StepPath,
    /// A step with two paths found a person at its first one.
    found_first: bool,
    is_renewed: bool,
    wants_token: bool,
    end: Option<ReadEnd>,
}

impl ReadState {
    /// Begins a read.
    #[must_use]
    pub fn new(source: SourceName, asked: Asked, began_at: UnixMs) -> Self {
        Self {
            source,
            asked,
            began_at,
            answers: Vec::new(),
            listed: Vec::new(),
            pages: None,
            at: StepPath::First,
            found_first: false,
            is_renewed: false,
            wants_token: false,
            end: None,
        }
    }

    /// When it began: what it states holds from then on.
    #[must_use]
    pub fn began_at(&self) -> UnixMs {
        self.began_at
    }

    /// Whether a step with two paths found a person at its first one, so that this login does not need the other.
    #[must_use]
    pub fn found_first(&self) -> bool {
        self.found_first
    }

    /// What comes next.
    #[must_use]
    pub fn next(&self, api: &Api) -> NextRead {
        if let Some(end) = &self.end {
            return NextRead::Done(end.clone());
        }
        if self.wants_token {
            return NextRead::Renew;
        }
        let request = match &self.asked {
            Asked::List { since } => {
                let since = since.map(|since| since.minus_ms(OVERLAP_MS));
                match (&self.pages, &api.rules().list) {
                    (Some(pages), _) => api.list_request(since, pages),
                    (None, Some(list)) => api.list_request(since, &Pages::new(list)),
                    (None, None) => Err("nothing says what to list".to_owned()),
                }
            }
            Asked::Person { person } => match api.rules().step.get(self.answers.len()) {
                Some(step) => {
                    let path = step.or_path.as_ref().filter(|_| self.at == StepPath::Other).unwrap_or(&step.path);
                    api.step_request(step, path, &person.employee_id)
                }
                None => Err(Unaskable),
            }
            .map_err(|Unaskable| "no address can be made of this employee id".to_owned()),
        };
        match request {
            Ok(request) => NextRead::Send(request),
            Err(detail) => NextRead::Done(ReadEnd::Refused { code: Unaskable::CODE, detail }),
        }
    }

    /// There is a new token.
    pub fn renewed(&mut self) {
        self.wants_token = false;
        self.is_renewed = true;
    }

    /// Takes in the reply to the request of [`Self::next`].
    pub fn learn(&mut self, api: &Api, reply: &HrReply, now: UnixMs) {
        let step = match &self.asked {
            Asked::List { .. } => None,
            Asked::Person { .. } => api.rules().step.get(self.answers.len()),
        };
        let said = Judging { step }.judge(reply, now);
        let at_other_path = self.at == StepPath::Other;
        let may_be_own = matches!(self.asked, Asked::Person { .. });
        self.end = match said {
            Said::Answer(text) => self.learn_answer(api, text, reply.headers()),
            Said::NotFound | Said::Refused { code: Code::FetchRefused, .. } if self.is_beyond(api) => {
                Some(ReadEnd::Listed(std::mem::take(&mut self.listed)))
            }
            Said::NotFound if !at_other_path && step.is_some_and(|step| step.or_path.is_some()) => {
                self.at = StepPath::Other;
                None
            }
            Said::NotFound if step.is_some_and(|step| step.may_be_absent) => {
                self.learn_answer(api, "null".to_owned(), &[])
            }
            Said::NotFound => Some(ReadEnd::NotFound),
            // The token may just have expired. Not at a step's other path: the first one has just accepted it.
            Said::Unauthorized if api.auth().token_rules().is_some() && !self.is_renewed && !at_other_path => {
                self.wants_token = true;
                None
            }
            Said::Unauthorized => Some(ReadEnd::Hold {
                detail: "the login is not accepted (401)".to_owned(),
                not_before: None,
                may_be_own,
                at_other_path,
            }),
            Said::Forbidden { not_before } => Some(ReadEnd::Hold {
                detail: "the login may not read this (403)".to_owned(),
                not_before,
                may_be_own,
                at_other_path,
            }),
            Said::Elsewhere { what } => Some(ReadEnd::Hold {
                detail: format!("{what} was answered"),
                not_before: None,
                may_be_own,
                at_other_path,
            }),
            Said::Limited { until } => Some(ReadEnd::Limited { until }),
            Said::Passing { code, not_before } => Some(ReadEnd::TryAgain { code, not_before }),
            Said::Refused { code, detail } => Some(ReadEnd::Refused { code, detail }),
        };
    }

    fn learn_answer(&mut self, api: &Api, text: String, headers: &[(String, String)]) -> Option<ReadEnd> {
        match self.asked.clone() {
            Asked::List { .. } => self.learn_page(api, &text, headers),
            Asked::Person { person } => {
                let step = api.rules().step.get(self.answers.len())?;
                self.found_first |= step.or_path.is_some() && self.at == StepPath::First;
                self.answers.push((step.name.clone(), text));
                self.at = StepPath::First;
                if self.answers.len() < api.rules().step.len() {
                    return None;
                }
                let document = facts::document(&person.employee_id, &self.answers);
                Some(match facts::of_person(&api.rules().mapping, &person, &document, self.began_at) {
                    Ok(answered) => ReadEnd::Person(answered),
                    Err((code, detail)) => ReadEnd::Refused { code, detail },
                })
            }
        }
    }

    /// Whether the list was complete before the present page.
    fn is_beyond(&self, api: &Api) -> bool {
        let list = api.rules().list.as_ref().zip(self.pages.as_ref());
        list.is_some_and(|(list, pages)| pages.is_beyond(list))
    }

    fn learn_page(&mut self, api: &Api, text: &str, headers: &[(String, String)]) -> Option<ReadEnd> {
        let list = api.rules().list.as_ref()?;
        let unreadable = |detail: String| Some(ReadEnd::Refused { code: Code::FetchUnreadable, detail });
        let records = match facts::of_page(api.list_mapping(), &self.source, text, self.began_at) {
            Ok(records) => records,
            Err((code, detail)) => return Some(ReadEnd::Refused { code, detail }),
        };
        let pages = self.pages.get_or_insert_with(|| Pages::new(list));
        let turned = Json::with(text, |page| {
            let people = named(api.list_mapping(), &self.source, page);
            pages.turn(list, ShownPage { json: page, headers, people: &people })
        });
        let Ok(has_more) = turned else { return unreadable("the page is not JSON".to_owned()) };
        self.listed.extend(records);
        match has_more {
            Ok(false) => Some(ReadEnd::Listed(std::mem::take(&mut self.listed))),
            Ok(true) if self.listed.len() > PEOPLE_MAX => unreadable("the list does not end".to_owned()),
            Ok(true) => None,
            Err(Unlisted::Changed(detail) | Unlisted::Unusable(detail)) => unreadable(detail),
        }
    }

    /// What was read about a person, as rows of a list, once the read has ended; none if it ended without an answer.
    #[must_use]
    pub fn rows(&self, api: &Api) -> Option<Vec<ListedRow>> {
        let Asked::Person { person } = &self.asked else { return None };
        let is_answered = self.answers.len() == api.rules().step.len();
        let document = facts::document(&person.employee_id, &self.answers);
        is_answered.then(|| facts::rows_of_person(&api.rules().mapping, person, &document, self.began_at))
    }
}
