//! Asks the target on demand what it has about a person now, within the rate that all workers share. Every call is
//! returned.

use std::time::{Duration, Instant};

use super::error::AdminError;
use super::service::AdminState;
use crate::core::hold::HoldScope;
use crate::core::limiter::CallKind;
use crate::core::person::{Document, Email};
use crate::core::reconcile::refusal::detail_for_story;
use crate::core::reconcile::reply::Outcome;
use crate::core::reconcile::request::{Member, Operation, Request};
use crate::core::reconcile::search::{Found, Search, Step};
use crate::core::time::UnixMs;
use crate::store::{TOKEN_LOOK_MAX, Token};
use crate::telemetry::scim_call::ScimCall;

/// How long a user waits for a token of the limiter.
const TOKEN_WAIT_MAX: Duration = Duration::from_secs(5);

/// One call and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveCall {
    /// The operation.
    pub operation: Operation,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// What it meant, in a word or a code.
    pub meaning: String,
    /// How long it took.
    pub ms: u64,
    /// The target's own words for a refusal.
    pub detail: Option<String>,
}

/// What the target has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Has {
    /// This member.
    Member(Box<Member>),
    /// Nobody has the known id, and its filters find nobody.
    Nobody,
    /// Several members with HR's address.
    Several,
    /// Unknown: the last call says why.
    Unknown,
}

/// What the target has, and how that was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveLook {
    /// When it happened.
    pub at: UnixMs,
    /// The calls, in order.
    pub calls: Vec<LiveCall>,
    /// What it has.
    pub has: Has,
}

impl AdminState {
    /// Asks the target for a person's member: by the known id, else by `externalId` if it has a filter for that, else
    /// by HR's address.
    pub async fn look_live(&self, document: &Document) -> Result<LiveLook, AdminError> {
        let mut calls = Vec::new();
        let has = self.find_live(document, &mut calls).await?;
        Ok(LiveLook { at: self.now(), calls, has })
    }

    async fn find_live(&self, document: &Document, calls: &mut Vec<LiveCall>) -> Result<Has, AdminError> {
        let known = document.member.as_ref();
        if let Some(id) = known.and_then(|known| known.id.clone()).or_else(|| document.listed_as.clone()) {
            match self.ask_live(&Request::Get { id }, calls).await? {
                Outcome::Member(member) => return Ok(Has::Member(member)),
                Outcome::NotMember => {}
                _ => return Ok(Has::Unknown),
            }
        }
        let mut search = Search::default();
        if self.live.rules.target.finds_by_external_id {
            loop {
                match search.next_by_external_id(&document.person.employee_id) {
                    Step::Ended(Found::One(member)) => return Ok(Has::Member(Box::new(member.clone()))),
                    Step::Ended(Found::Several) => return Ok(Has::Several),
                    Step::Ended(Found::Nobody { .. }) => break,
                    Step::Send(request) => match self.ask_live(&request, calls).await? {
                        Outcome::Members(listing) => search.learn(&request, listing),
                        Outcome::NoFilter => search.learn_no_filter(&request),
                        _ => return Ok(Has::Unknown),
                    },
                }
            }
        }
        let known_address = || Email::parse(&known?.user_name).ok();
        let Some(email) = document.record.email().cloned().or_else(known_address) else { return Ok(Has::Nobody) };
        let spellings = email.spellings();
        loop {
            // No paging: only workers do that, since it takes long.
            let request = match search.next(&spellings, email.key(), 0) {
                Step::Ended(Found::One(member)) => return Ok(Has::Member(Box::new(member.clone()))),
                Step::Ended(Found::Several) => return Ok(Has::Several),
                Step::Ended(Found::Nobody { .. }) => return Ok(Has::Nobody),
                Step::Send(request) => request,
            };
            match self.ask_live(&request, calls).await? {
                Outcome::Members(listing) => search.learn(&request, listing),
                // This includes a target without such a filter: it has not searched.
                _ => return Ok(Has::Unknown),
            }
        }
    }

    async fn ask_live(&self, request: &Request, calls: &mut Vec<LiveCall>) -> Result<Outcome, AdminError> {
        let Some(client) = &self.live.client else { return Err(AdminError::NoKey) };
        // A target that refuses everybody is only called by probes, at their pace.
        if let Some(hold) = self.holds().await?.get(&HoldScope::All) {
            return Err(AdminError::Held(hold.code));
        }
        self.live_token().await?;
        let call = ScimCall::begin(&self.activity, request.operation(), self.now());
        let reply = client.send(request).await;
        // A 429 is shown here, but does not slow the shared pace: a read-only user must not stop the work. The
        // workers get their own.
        let outcome = self.live.rules.target.classify(request, &[], &reply, self.now());
        let took = call.ended(self.now(), &reply, &outcome);
        calls.push(LiveCall {
            operation: request.operation(),
            status: reply.status(),
            meaning: outcome.meaning().to_owned(),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            detail: detail_for_story(&reply),
        });
        Ok(outcome)
    }

    async fn live_token(&self) -> Result<(), AdminError> {
        let began = Instant::now();
        while let Token::NotBefore(at) = self.store.take_token(self.now(), CallKind::Read).await? {
            let wait = Duration::from_millis(at.ms_since(self.now()).max(1));
            if began.elapsed() + wait > TOKEN_WAIT_MAX {
                return Err(AdminError::RateUsedUp);
            }
            tokio::time::sleep(wait.min(TOKEN_LOOK_MAX)).await;
        }
        Ok(())
    }
}
