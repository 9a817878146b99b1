//! The stand-in's logic: a request in, a reply out. No sockets here.

use std::borrow::Cow;
use std::sync::Arc;

use super::call::{Action, Call};
use super::fault::{Fault, Faults, What};
use super::group::Groups;
use super::journal::{Entry, FaultName, Journal, SchemeSeen, Stats};
use super::limits::{Admission, Window};
use super::member::Member;
use super::now::Now;
use super::options::{AuthAccepted, Hint, SimOptions};
use super::replies::{JSON, ReplyName};
use super::response::{Response, page, reply, resource_types, schemas, service_provider_config};
use super::team::Team;
use crate::core::time::UnixMs;

/// What is sent on the connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// A whole reply.
    Reply(Response),
    /// The head of a reply and half of its body, then a close.
    Half(Response),
    /// These bytes, then a close.
    Bytes(&'static [u8]),
    /// A TCP reset.
    Reset,
    /// A clean close.
    Close,
    /// Nothing, until the client hangs up.
    Hang,
}

/// A call that has been judged but not carried out.
pub(super) struct Pending {
    seq: u64,
    call: Call,
    fault: Option<Arc<Fault>>,
    refuse: Option<Response>,
    if_match: Option<String>,
}

impl Pending {
    /// How far the reply lags behind, if it does.
    fn lag_us(&self) -> Option<u64> {
        let fault = self.fault.as_ref().filter(|fault| fault.what == What::Lag)?;
        Some(fault.by_ms.saturating_mul(1000))
    }

    /// Milliseconds to wait before and after carrying it out.
    pub(super) fn delays_ms(&self) -> (u64, u64) {
        match &self.fault {
            Some(fault) if fault.after => (0, fault.delay_ms),
            Some(fault) => (fault.delay_ms, 0),
            None => (0, 0),
        }
    }
}

/// Everything that changes while the stand-in runs.
pub(super) struct World {
    pub(super) options: SimOptions,
    pub(super) team: Team,
    pub(super) groups: Groups,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    pub(super) rng: fastrand::Rng,
    writes: Window,
    reads: Window,
}

/// What a request's headers say about the sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) authorization: Option<&'a [u8]>,
    pub(super) x_api_key: bool,
    pub(super) if_match: Option<&'a [u8]>,
}

impl World {
    pub(super) fn new(options: SimOptions) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(options.seed),
            options,
            team: Team::default(),
            groups: Groups::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            writes: Window::default(),
            reads: Window::default(),
        }
    }

    /// Judges an arrival: limits first, since every attempt counts; then the key; then faults.
    pub(super) fn arrive(&mut self, call: Call, sender: Sender<'_>, now: Now) -> Pending {
        let (scheme, known) = self.judge_key(sender.authorization);
        let options = &self.options;
        let (window, limit) = if call.operation.is_write() {
            (&mut self.writes, options.writes)
        } else {
            (&mut self.reads, options.reads)
        };
        let admission = window.arrive(now.at_us, limit, options.window_ms);
        let mut struck = None;
        let refuse = match admission {
            Admission::Over { wait_ms } => {
                if call.operation.is_write() {
                    self.journal.stats.write_violations += 1;
                } else {
                    self.journal.stats.read_violations += 1;
                }
                let mut response = Response::from(ReplyName::RateLimited);
                add_hints(&mut response, &options.hints, now.at, wait_ms, limit);
                Some(response)
            }
            Admission::Within if !known => Some(ReplyName::BadKey.into()),
            Admission::Within => {
                struck = self.strike(&call);
                None
            }
        };
        let (fault, label) = struck.unzip();
        self.journal.stats.faults += u64::from(fault.is_some());
        let entry = entry(&call, scheme, sender.x_api_key, label, matches!(admission, Admission::Over { .. }), now);
        let seq = self.journal.push(entry, self.options.journal_max);
        let if_match = sender.if_match.map(|version| String::from_utf8_lossy(version).into_owned());
        Pending { seq, call, fault, refuse, if_match }
    }

    /// Carries out a call, as far as its fault allows.
    pub(super) fn carry_out(&mut self, pending: &Pending, now: Now) -> Outgoing {
        if let Some(response) = &pending.refuse {
            return self.note(pending, Outgoing::Reply(response.clone()));
        }
        let Some(fault) = &pending.fault else {
            let response = self.act(pending, now);
            return self.note(pending, Outgoing::Reply(response));
        };
        let truth = (fault.after || fault.what.spoils_the_true_reply()).then(|| self.act(pending, now));
        let mut outgoing = spoil(&fault.what, truth.as_ref());
        if let Outgoing::Reply(response) = &mut outgoing {
            let limit = if pending.call.operation.is_write() { self.options.writes } else { self.options.reads };
            add_hints(response, &fault.hints, now.at, 60_000, limit);
        }
        self.note(pending, outgoing)
    }

    /// The totals so far.
    pub(super) fn stats(&self) -> Stats {
        Stats { max_writes_in_window: self.writes.max(), max_reads_in_window: self.reads.max(), ..self.journal.stats() }
    }

    /// Resets the totals.
    pub(super) fn clear_stats(&mut self) {
        self.journal.clear_stats();
        self.writes.forget_max();
        self.reads.forget_max();
    }

    fn judge_key(&self, authorization: Option<&[u8]>) -> (SchemeSeen, bool) {
        let Some(sent) = authorization else { return (SchemeSeen::None, false) };
        let key = self.options.key.as_bytes();
        let (scheme, spelt, accepted) = match sent.split_at_checked(7) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(b"bearer ") => {
                (SchemeSeen::Bearer, rest, self.options.auth != AuthAccepted::Raw)
            }
            _ if sent.contains(&b' ') => (SchemeSeen::Other, sent, false),
            _ => (SchemeSeen::Raw, sent, self.options.auth != AuthAccepted::Bearer),
        };
        (scheme, accepted && spelt == key)
    }

    fn strike(&mut self, call: &Call) -> Option<(Arc<Fault>, FaultName)> {
        let team = &self.team;
        let is_about = |who: &str| {
            let who_is = |name: &str| name.to_lowercase() == who.to_lowercase();
            call.id.as_deref() == Some(who)
                || call.user_name().is_some_and(who_is)
                || call.id.as_deref().and_then(|id| team.get(id)).is_some_and(|m| who_is(&m.user_name))
        };
        self.faults.strike(call.operation, is_about, &mut self.rng)
    }

    /// Carries out the action, and returns the reply.
    fn act(&mut self, pending: &Pending, now: Now) -> Response {
        let options = &self.options;
        let id = pending.call.id.as_deref().unwrap_or_default();
        let versions = options.versions;
        let shown = |member: &Member| reply(200, member, versions);
        let team = &mut self.team;
        let mut created = None;
        let is_stale = versions
            && pending
                .if_match
                .as_deref()
                .is_some_and(|version| version != "*" && team.get(id).is_some_and(|member| member.etag() != version));
        let done = match &pending.call.action {
            Action::Replace(_) | Action::Switch(_) | Action::Readdress(_) if is_stale => {
                Err(ReplyName::VersionConflict)
            }
            Action::Create(user) => {
                let made = team.create(user, options, now, &mut self.rng);
                created = made.as_ref().ok().map(|m| m.id.clone());
                made.map(|m| reply(201, &m, versions))
            }
            Action::Replace(user) => team.replace(id, user, options, now).map(shown),
            Action::Switch(active) => team.switch(id, *active, options, now).map(|m| shown(m)),
            Action::Readdress(user_name) => team.readdress(id, user_name, options, now).map(shown),
            Action::Get => match pending.lag_us() {
                Some(lag_us) => self.then(now, lag_us).into_iter().find(|m| &*m.id == id),
                None => self.team.get(id),
            }
            .ok_or(ReplyName::NotMember404)
            .map(shown),
            Action::Find(user_name) => {
                let found: Vec<&Member> = match pending.lag_us() {
                    Some(lag_us) => {
                        self.then(now, lag_us).into_iter().filter(|m| *m.user_name == **user_name).collect()
                    }
                    None => self.team.find(user_name).collect(),
                };
                Ok(page(found.len(), 1, 100, &found, versions))
            }
            Action::Page { active, start, count } => {
                let members = match pending.lag_us() {
                    Some(lag_us) => self.then(now, lag_us),
                    None => self.team.members().iter().collect(),
                };
                Ok(page_of(&members, *active, (*start, *count), versions))
            }
            Action::Group(action) => self.groups.act(id, action, team, &mut self.rng),
            Action::ServiceProviderConfig => Ok(Response::json(200, service_provider_config(versions))),
            Action::ResourceTypes => Ok(Response::json(200, resource_types())),
            Action::Schemas => Ok(Response::json(200, schemas())),
            Action::Refuse(why) => Err(*why),
        };
        let applied = done.is_ok() && pending.call.operation.is_write();
        if applied {
            self.journal.stats.applied += 1;
            if let Some(entry) = self.journal.get_mut(pending.seq) {
                entry.applied = true;
                entry.id = created.or(entry.id.take()).filter(|id| !id.is_empty());
            }
        }
        done.unwrap_or_else(Response::from)
    }

    /// The members as they were that long ago.
    fn then(&self, now: Now, lag_us: u64) -> Vec<&Member> {
        self.team.members_at(now.at_us.saturating_sub(lag_us))
    }

    fn note(&mut self, pending: &Pending, outgoing: Outgoing) -> Outgoing {
        if let Outgoing::Reply(response) | Outgoing::Half(response) = &outgoing {
            self.journal.answered(pending.seq, response.status);
        }
        outgoing
    }
}

fn page_of(members: &[&Member], active: Option<bool>, (start, count): (usize, usize), versions: bool) -> Response {
    let fit = || members.iter().filter(|m| active.is_none_or(|active| m.active == active));
    let shown: Vec<&Member> = fit().skip(start - 1).take(count).copied().collect();
    page(fit().count(), start, count, &shown, versions)
}

fn add_hints(response: &mut Response, hints: &[Hint], now: UnixMs, wait_ms: u64, limit: u32) {
    for hint in hints {
        let (name, value) = hint.header(now, wait_ms, limit);
        response.headers.push((Cow::Borrowed(name), value));
    }
}

fn entry(call: &Call, auth: SchemeSeen, x_api_key: bool, fault: Option<FaultName>, violation: bool, now: Now) -> Entry {
    let (given_name, family_name, active) = match &call.action {
        Action::Create(user) | Action::Replace(user) => (user.given_name(), user.family_name(), user.active),
        Action::Switch(active) => (None, None, Some(*active)),
        _ => (None, None, None),
    };
    Entry {
        seq: 0,
        at: now.at,
        at_us: now.at_us,
        operation: call.operation,
        user_name: call.user_name().map(Into::into),
        id: call.id.clone(),
        given_name: given_name.map(Into::into),
        family_name: family_name.map(Into::into),
        active,
        auth,
        x_api_key,
        status: None,
        fault,
        violation,
        applied: false,
    }
}

const HTML_PAGE: &[u8] = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>\
<body><center><h1>502 Bad Gateway</h1></center><hr></body></html>\n";

/// What a fault turns a call into; `truth` is the real reply if the change was made.
fn spoil(what: &What, truth: Option<&Response>) -> Outgoing {
    let spoilt = |change: fn(&mut Response)| {
        let mut response = truth.cloned().unwrap_or_else(|| ReplyName::CreateFailed.into());
        change(&mut response);
        response
    };
    match what {
        What::Reply(name) => Outgoing::Reply((*name).into()),
        What::Custom(custom) => Outgoing::Reply(Response {
            status: custom.status,
            content_type: custom.content_type.clone().map_or(Cow::Borrowed(JSON), Cow::Owned),
            headers: custom.headers.iter().map(|(k, v)| (Cow::Owned(k.clone()), v.clone())).collect(),
            body: Cow::Owned(custom.body.clone().into_bytes()),
        }),
        What::Reset => Outgoing::Reset,
        What::Close => Outgoing::Close,
        What::Hang => Outgoing::Hang,
        What::HalfBody => Outgoing::Half(spoilt(|_| {})),
        What::Empty => Outgoing::Reply(spoilt(|r| r.body = Cow::Borrowed(b""))),
        What::WrongType => Outgoing::Reply(spoilt(|r| r.content_type = Cow::Borrowed("text/plain"))),
        What::NotJson => Outgoing::Reply(spoilt(|r| r.body = Cow::Borrowed(b"{\"schemas\": [\x00\xff not JSON"))),
        What::Html => Outgoing::Reply(Response {
            status: 502,
            content_type: Cow::Borrowed("text/html"),
            headers: Vec::new(),
            body: Cow::Borrowed(HTML_PAGE),
        }),
        What::Redirect => Outgoing::Reply(Response {
            status: 302,
            content_type: Cow::Borrowed("text/plain"),
            headers: vec![(Cow::Borrowed("Location"), "/scim/v2/elsewhere".to_owned())],
            body: Cow::Borrowed(b"Found"),
        }),
        What::Garbage => Outgoing::Bytes(b"\x16\x03\x01 this is not HTTP \x00\xff\r\n\r\n"),
        What::Delay | What::Lag => Outgoing::Reply(spoilt(|_| {})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Sender<'static> = Sender { authorization: Some(b"Bearer sim-key"), x_api_key: false, if_match: None };

    fn at(ms: u64) -> Now {
        Now { at: UnixMs(0).plus_ms(ms), at_us: ms * 1000 }
    }

    fn get(world: &mut World, now: Now) -> u16 {
        let pending = world.arrive(Call::read("GET", "/Users", "", b""), KEY, now);
        match world.carry_out(&pending, now) {
            Outgoing::Reply(response) => response.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_window_slides_with_the_clock() {
        let mut world = World::new(SimOptions { reads: 2, ..SimOptions::default() });
        let statuses = [0, 30_000, 59_999, 60_000, 90_000, 150_000].map(|ms| get(&mut world, at(ms)));
        // The attempt at 59,999 is refused but counts, so the one at 60,000 is over the limit as well.
        assert_eq!(statuses, [200, 200, 429, 429, 429, 200]);
        assert_eq!((world.stats().read_violations, world.stats().max_reads_in_window), (3, 3));
    }

    #[test]
    fn a_limit_comes_before_a_fault_and_leaves_it_for_later() {
        let mut world = World::new(SimOptions { reads: 1, ..SimOptions::default() });
        assert_eq!(get(&mut world, at(0)), 200);
        world.faults.inject("page:spike-503".parse().unwrap()).unwrap();
        assert_eq!(get(&mut world, at(1)), 429);
        assert_eq!(get(&mut world, at(70_000)), 503);
    }

    #[test]
    fn a_call_without_the_key_uses_up_no_fault() {
        let mut world = World::new(SimOptions::default());
        world.faults.inject("page:spike-503".parse().unwrap()).unwrap();
        let stranger = Sender { authorization: None, x_api_key: true, if_match: None };
        let pending = world.arrive(Call::read("GET", "/Users", "", b""), stranger, at(0));
        assert!(matches!(world.carry_out(&pending, at(0)), Outgoing::Reply(r) if r.status == 401));
        assert_eq!(get(&mut world, at(1)), 503);
    }

    #[test]
    fn an_answer_to_a_call_that_the_journal_forgot_is_no_harm() {
        let mut world = World::new(SimOptions { journal_max: 1, ..SimOptions::default() });
        let first = world.arrive(Call::read("GET", "/Users", "", b""), KEY, at(0));
        assert_eq!(get(&mut world, at(1)), 200);
        world.carry_out(&first, at(2));
        let left: Vec<_> = world.journal.since(0, 9).map(|e| (e.seq, e.status)).collect();
        assert_eq!(left, [(2, Some(200))]);
    }
}
