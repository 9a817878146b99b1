//! What to call next: `plan(event, what we know) -> next request | how it ends`. After each reply
//! the outcome is learnt, and the plan is asked again. Pure, so a test can walk every path.
//!
//! A repeated attempt begins from nothing but the job, its progress and the directory: whatever an
//! earlier attempt did at Postman is found by looking, not by remembering.

use super::code::Code;
use super::event::{Change, Event};
use super::hold::HoldScope;
use super::job::{DirectoryEntry, Finished, Job};
use super::reply::{Listing, Outcome};
use super::scim::{Member, Operation, Request, UserToSend};
use super::search::{Found, Search, Step};
use super::time::UnixMs;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Make this call, and tell what came of it with [`Known::learn`].
    Send(Request),
    /// The attempt ends.
    Finish(Conclusion),
}

/// How an attempt ends. [`super::verdict::decide`] makes a verdict of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conclusion {
    /// The team is as the event wants it.
    Done {
        /// How that came about.
        finished: Finished,
        /// The person as they are at Postman now; none leaves the directory as it is.
        at_postman: Option<AtPostman>,
    },
    /// It cannot succeed as it is.
    Dead {
        /// Why.
        code: Code,
        /// What exactly, without personal data.
        detail: String,
        /// A create of ours may have taken effect: a replay must look first.
        create_unknown: bool,
    },
    /// Nobody is there to rename (yet).
    NobodyFound,
    /// The username could not be updated this time.
    UsernameRefused,
    /// Passing trouble.
    TryAgain {
        /// Which.
        code: Code,
        /// The target asks not to be called before then.
        not_before: Option<UnixMs>,
        /// A create of ours may have taken effect.
        create_unknown: bool,
    },
    /// 429: nobody may call before then.
    RateLimited {
        /// When calls are welcome again.
        until: UnixMs,
    },
    /// The target refuses everything, or every create.
    Hold {
        /// What is held.
        scope: HoldScope,
        /// Why.
        code: Code,
    },
}

impl Conclusion {
    /// The code of what was wrong; none where nothing was.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Done { .. } => None,
            Self::Dead { code, .. } | Self::TryAgain { code, .. } | Self::Hold { code, .. } => Some(*code),
            Self::NobodyFound => Some(Code::ScimNotMember),
            Self::UsernameRefused => Some(Code::ScimUsername),
            Self::RateLimited { .. } => Some(Code::ScimRateLimited),
        }
    }
}

/// Where a person is at Postman: what the directory keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtPostman {
    /// SCIM `id`, where known.
    pub scim_id: Option<String>,
    /// `userName` as Postman spells it.
    pub user_name: String,
}

/// Everything that is known when the next step is planned.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, learnt or not")]
pub struct Known {
    directory: Option<DirectoryEntry>,
    /// A create of ours went out, and its outcome is unknown.
    create_unknown: bool,
    /// A worker died in the middle of this job: nobody knows what it had sent.
    taken_over: bool,
    /// The job has failed for so long that it is given up, if it alone fails.
    at_wits_end: bool,
    /// The job is older than the last change applied.
    stale: bool,
    /// The look-up may page through all members where the filter finds nobody.
    thorough: bool,
    pages_max: u32,
    search: Search,
    /// The member as last read or written.
    member: Option<Member>,
    /// An id that turned out not to be in the team.
    stale_id: Option<String>,
    already_member: bool,
    activated: bool,
    replaced: bool,
    suspect: bool,
    /// What a job at its wits' end failed of.
    given_up_for: Option<Code>,
    end: Option<Conclusion>,
}

/// How much care an attempt takes. See [`super::verdict::RetryRules::care`].
#[derive(Debug, Clone, Copy)]
pub struct Care {
    /// The look-up may page through all members where the filter finds nobody.
    pub thorough: bool,
    /// Up to so many pages.
    pub pages_max: u32,
    /// The job has failed for so long that it is given up, if it alone fails.
    pub at_wits_end: bool,
}

impl Known {
    /// What is known when an attempt at `job` begins.
    #[must_use]
    pub fn at_start(job: &Job, directory: Option<DirectoryEntry>, care: Care) -> Self {
        let stale = directory.as_ref().is_some_and(|entry| is_older(job, entry));
        Self {
            create_unknown: job.progress.create_unknown,
            taken_over: job.take_overs > 0,
            at_wits_end: care.at_wits_end,
            stale,
            thorough: care.thorough,
            pages_max: care.pages_max,
            search: Search::default(),
            directory,
            member: None,
            stale_id: None,
            already_member: false,
            activated: false,
            replaced: false,
            suspect: false,
            given_up_for: None,
            end: None,
        }
    }

    /// Takes in what came of `request`.
    pub fn learn(&mut self, event: &Event, request: &Request, outcome: Outcome) {
        match outcome {
            Outcome::Created { id, user_name } => {
                let user_name = user_name.unwrap_or_else(|| create_user_name(event).to_owned());
                let at_postman = Some(AtPostman { scim_id: id, user_name });
                self.end = Some(Conclusion::Done { finished: Finished::Created, at_postman });
            }
            Outcome::Member(member) => self.learn_member(request.operation(), Some(member)),
            Outcome::Applied => self.learn_member(request.operation(), None),
            Outcome::Members(listing) => self.learn_members(request, listing),
            Outcome::Served => {}
            Outcome::AlreadyMember => {
                self.already_member = true;
                self.search = Search::default();
            }
            Outcome::NotMember => {
                self.stale_id = self.member.take().map(|member| member.id).or_else(|| request_id(request));
            }
            Outcome::UsernameRefused => self.end = Some(Conclusion::UsernameRefused),
            Outcome::Permanent(code) => self.end = Some(self.dead(code, request.operation())),
            Outcome::Hold(scope, code) => self.end = Some(Conclusion::Hold { scope, code }),
            Outcome::Suspect => self.suspect = true,
            Outcome::RateLimited { until } => self.end = Some(Conclusion::RateLimited { until }),
            Outcome::Passing { code, not_before } => self.learn_trouble(request, code, not_before, false),
            Outcome::Unknown { code, not_before } => self.learn_trouble(request, code, not_before, true),
        }
    }

    /// Whether a create may have taken effect without our knowing.
    #[must_use]
    pub fn create_unknown(&self) -> bool {
        self.create_unknown
    }

    /// Passing trouble ends the attempt. A job at its wits' end is given up for it, but only where a
    /// probe is served: an outage of the target is nobody's fault, however long it lasts.
    fn learn_trouble(&mut self, request: &Request, code: Code, not_before: Option<UnixMs>, create_unknown: bool) {
        self.create_unknown |= create_unknown;
        if self.at_wits_end && *request != Request::Probe {
            self.suspect = true;
            self.given_up_for = Some(code);
        } else {
            let code = self.given_up_for.unwrap_or(code);
            let create_unknown = self.create_unknown;
            self.end = Some(Conclusion::TryAgain { code, not_before, create_unknown });
        }
    }

    fn learn_member(&mut self, operation: Operation, member: Option<Member>) {
        self.activated |= operation == Operation::Activate;
        self.replaced |= operation == Operation::Replace;
        if member.is_some() {
            self.member = member;
        }
    }

    fn learn_members(&mut self, request: &Request, listing: Listing) {
        if *request == Request::Probe {
            // The target serves us, so the refusal was the job's own.
            self.suspect = false;
            self.end = Some(match self.given_up_for {
                Some(code) => Conclusion::Dead {
                    code: Code::ScimGaveUp,
                    detail: format!("the last attempt failed with {code}; others are served"),
                    create_unknown: self.create_unknown,
                },
                None => self.dead(Code::ScimRejected, Operation::Probe),
            });
        } else {
            self.search.learn(request, listing);
        }
    }

    fn dead(&self, code: Code, operation: Operation) -> Conclusion {
        let detail = format!("after {}", operation.as_http());
        Conclusion::Dead { code, detail, create_unknown: self.create_unknown }
    }

    /// The id to go by, unless it turned out stale.
    fn usable_id(&self) -> Option<&str> {
        let id = self.directory.as_ref()?.scim_id.as_deref()?;
        (self.stale_id.as_deref() != Some(id)).then_some(id)
    }
}

/// The next step for `event`, given what is known.
#[must_use]
pub fn plan(event: &Event, known: &Known) -> Next {
    if let Some(end) = &known.end {
        return Next::Finish(end.clone());
    }
    if known.suspect {
        return Next::Send(Request::Probe);
    }
    if known.stale {
        return Next::Finish(Conclusion::Done { finished: Finished::Stale, at_postman: None });
    }
    if let Some(member) = &known.member {
        return bring_in_line(event, known, member);
    }
    if let Some(id) = known.usable_id() {
        return Next::Send(Request::Get { id: id.to_owned() });
    }
    match event.change {
        Change::Hire { .. } => plan_hire(event, known),
        Change::Rename { .. } => plan_rename(event, known),
    }
}

/// Nobody is known by id: make the member, unless one may be there already.
fn plan_hire(event: &Event, known: &Known) -> Next {
    let create = || Next::Send(Request::Create(user_to_create(event)));
    if !known.already_member && !known.create_unknown && !known.taken_over {
        return create();
    }
    // A look-up before a repeated POST asks for what we posted; only a 409 is worth paging for.
    let pages_max = if known.already_member { known.pages_max } else { 0 };
    match known.search.next(&user_names(event, known), pages_max) {
        Step::Send(request) => Next::Send(request),
        Step::Ended(Found::One(member)) => bring_in_line(event, known, member),
        Step::Ended(Found::Several) => Next::Finish(known.dead(Code::ScimAmbiguous, Operation::Find)),
        Step::Ended(Found::Nobody) if !known.already_member => create(),
        Step::Ended(Found::Nobody) if known.create_unknown => Next::Finish(Conclusion::Done {
            finished: Finished::Invited,
            at_postman: Some(AtPostman { scim_id: None, user_name: create_user_name(event).to_owned() }),
        }),
        // After a crash it may be our own invitation, but nobody knows: somebody has to look.
        Step::Ended(Found::Nobody) => Next::Finish(known.dead(Code::ScimElsewhere, Operation::Create)),
    }
}

/// Nobody is known by id: look for them.
fn plan_rename(event: &Event, known: &Known) -> Next {
    let pages_max = if known.thorough { known.pages_max } else { 0 };
    match known.search.next(&user_names(event, known), pages_max) {
        Step::Send(request) => Next::Send(request),
        Step::Ended(Found::One(member)) => bring_in_line(event, known, member),
        Step::Ended(Found::Several) => Next::Finish(known.dead(Code::ScimAmbiguous, Operation::Find)),
        Step::Ended(Found::Nobody) => Next::Finish(Conclusion::NobodyFound),
    }
}

/// The member is read: switch them on (a hire only), write the names where they differ, or be done.
fn bring_in_line(event: &Event, known: &Known, member: &Member) -> Next {
    let is_hire = matches!(event.change, Change::Hire { .. });
    // Listed, yet "not a member" when asked by id: as good as not there.
    if known.stale_id.as_deref() == Some(&member.id) {
        return Next::Finish(Conclusion::NobodyFound);
    }
    if is_hire && member.active == Some(false) && !known.activated {
        return Next::Send(Request::Activate { id: member.id.clone() });
    }
    let wanted_given = event.names().given().or(member.given_name.as_deref());
    let wanted_family = event.names().family().or(member.family_name.as_deref());
    let in_line = known.replaced
        || (same(wanted_given, member.given_name.as_deref()) && same(wanted_family, member.family_name.as_deref()));
    if in_line {
        let at_postman = Some(AtPostman { scim_id: Some(member.id.clone()), user_name: member.user_name.clone() });
        return Next::Finish(Conclusion::Done { finished: finished(is_hire, known), at_postman });
    }
    // A replace says everything: what the event does not speak of is sent as it was read.
    let user = UserToSend {
        user_name: member.user_name.clone(),
        given_name: wanted_given.map(str::to_owned),
        family_name: wanted_family.map(str::to_owned),
        external_id: event.person.employee_id.clone(),
        locale: event.locale.clone(),
        active: if known.activated { Some(true) } else { member.active },
    };
    Next::Send(Request::Replace { id: member.id.clone(), user })
}

fn finished(is_hire: bool, known: &Known) -> Finished {
    let wrote = known.replaced || known.activated;
    if is_hire && known.already_member {
        Finished::Adopted
    } else if is_hire && (known.create_unknown || known.taken_over) && known.directory.is_none() {
        // Found by the look-up after our own POST of unknown outcome: it was that POST.
        Finished::Created
    } else if wrote {
        Finished::Updated
    } else {
        Finished::Unchanged
    }
}

/// Trimmed, since Postman may trim what it stores; otherwise to the letter.
fn same(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.unwrap_or_default().trim() == found.unwrap_or_default().trim()
}

/// Older than the last change applied to this person: by the source's clock where both tell it, else
/// by the order in which they were accepted. A hire of the same instant as what was applied is the
/// same hire, sent again long after: it must not bring back who has left since.
fn is_older(job: &Job, entry: &DirectoryEntry) -> bool {
    match (happened_at(job), entry.occurred_at) {
        (Some(mine), Some(applied)) if mine != applied => mine < applied,
        (Some(_), Some(_)) if matches!(job.event.change, Change::Hire { .. }) => true,
        _ => job.seq < entry.seq,
    }
}

/// When the event happened, by its source; not later than it was accepted: a start date that lies
/// ahead must not make everything stale that happens until then.
#[must_use]
pub fn happened_at(job: &Job) -> Option<UnixMs> {
    job.event.occurred_at.map(|at| at.min(job.accepted_at))
}

/// The spellings to look a person up by, likeliest first. Postman's filter minds the case.
fn user_names(event: &Event, known: &Known) -> Vec<String> {
    let email = event.email();
    let spellings = [
        email.map(|email| email.as_received().to_owned()),
        email.map(|email| email.lower().to_owned()),
        known.directory.as_ref().map(|entry| entry.user_name.clone()),
    ];
    let mut distinct = Vec::with_capacity(spellings.len());
    for spelling in spellings.into_iter().flatten() {
        if !distinct.contains(&spelling) {
            distinct.push(spelling);
        }
    }
    distinct
}

fn user_to_create(event: &Event) -> UserToSend {
    UserToSend {
        user_name: create_user_name(event).to_owned(),
        given_name: event.names().given().map(str::to_owned),
        family_name: event.names().family().map(str::to_owned),
        external_id: event.person.employee_id.clone(),
        locale: event.locale.clone(),
        active: Some(true),
    }
}

fn create_user_name(event: &Event) -> &str {
    event.email().map_or("", |email| email.lower())
}

fn request_id(request: &Request) -> Option<String> {
    match request {
        Request::Get { id } | Request::Replace { id, .. } | Request::Activate { id } => Some(id.clone()),
        Request::Create(_) | Request::Find { .. } | Request::Page { .. } | Request::Probe | Request::Discover => None,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
