//! A roster from an HR system's own list: requested by an operator, read page by page by a process that has the
//! login, within the source's rate, and staged once it is complete. A list that breaks off stages nothing; if the
//! process dies, another starts over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::patience::{PATIENCE, patiently};
use super::{Roster, RosterError};
use crate::clock;
use crate::core::code::Code;
use crate::core::fetch::login::{AccessToken, NoToken};
use crate::core::fetch::pace::Pace;
use crate::core::fetch::{
    Api, Asked, HrReply, HrRequest, ListFailure, ListStep, ListedFacts, ListedRow, Listing, NextRead, PageEnd, ReadEnd,
    ReadState,
};
use crate::core::hold::HoldScope;
use crate::core::person::{Email, Person, SourceName};
use crate::core::roster::{FETCHES, Fetch, FetchEnd, FetchFailure, Fetches};
use crate::core::time::UnixMs;
use crate::hr::{self, HrSystem, Logins, TokenDesk};
use crate::store::{StoreError, documents, holds};

/// How often a request is repeated after a temporary failure.
const TRIES: u32 = 6;
/// The longest time in total that a fetch waits for limits and temporary failures; then it fails, which is reported.
const WAITED_MS_MAX: u64 = 1_800_000;
/// The longest time between two heartbeats of a fetch.
const BEAT: Duration = Duration::from_secs(30);
/// The shortest time between two heartbeats.
const BEAT_LEAST: Duration = Duration::from_millis(500);
/// How often a list that changes while it is read is read in total.
const READINGS_MAX: u32 = 3;
/// How often to look whether a hold was lifted.
const HOLD_LOOK_MS: u64 = 5_000;
/// If this many people in a row may not be read by the login, everybody is affected.
const FORBIDDEN_MAX: u32 = 5;

/// The HR systems' APIs, by source: what can be listed, and how, in a process that has the logins.
#[derive(Default)]
pub struct HrLists {
    apis: BTreeMap<SourceName, Api>,
    accounts: BTreeMap<SourceName, Account>,
}

struct Account {
    system: HrSystem,
    logins: Logins,
}

impl HrLists {
    /// What is configured; `systems` only in processes that have their logins.
    #[must_use]
    pub fn new(apis: BTreeMap<SourceName, Api>, systems: BTreeMap<SourceName, HrSystem>) -> Self {
        let account = |system| Account { system, logins: Logins::default() };
        Self { apis, accounts: systems.into_iter().map(|(source, system)| (source, account(system))).collect() }
    }
}

/// A row to stage.
enum Row {
    /// It says this.
    Says(Box<ListedFacts>),
    /// It is refused, and why.
    Refused(String),
    /// It is about a person whom the mapping excludes, with this address.
    LeftOut(Option<Email>),
}

/// Why a row is refused of which only the id can be seen: an employee who is not staged would seem not to be in HR.
const UNSEEN: &str =
    "the API shows nothing of them that the mapping follows: may the login see address, names and status?";

impl Row {
    /// The row of a record; none if the person must be read.
    fn of(row: ListedRow) -> Option<Self> {
        Some(match row {
            ListedRow::Says(facts) => Self::Says(facts),
            ListedRow::Bad(reason) => Self::Refused(reason),
            ListedRow::LeftOut(email) => Self::LeftOut(email),
            ListedRow::Nothing => Self::Refused(UNSEEN.to_owned()),
            ListedRow::Names(_) => return None,
        })
    }
}

/// Why a fetch failed.
enum Stopped {
    /// It failed, and this is reported.
    Failed(ListFailure),
    /// Another process has taken it over.
    Lost,
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RosterError> for Stopped {
    fn from(error: RosterError) -> Self {
        match error {
            RosterError::Store(error) => Self::Store(error),
            other => failed(Code::FetchList, &other.to_string()),
        }
    }
}

impl Roster {
    /// Whether a source's people can be listed, or who changed.
    ///
    /// # Errors
    /// Why not.
    fn can_list(&self, source: &SourceName, changes_only: bool) -> Result<(), RosterError> {
        if !self.columns.contains_key(source) {
            return Err(RosterError::NoSource(source.clone()));
        }
        let cannot = |why: String| RosterError::NoList { of: source.clone(), why };
        let api = self.lists.apis.get(source).ok_or_else(|| {
            cannot(
                "it has no `[source.fetch]` here with a login for its HR system's API: give it one, or export a file, and give that by `--file`"
                    .to_owned(),
            )
        })?;
        api.can_list(changes_only).map_err(cannot)
    }

    /// Requests a source's roster from its HR system.
    pub async fn order_fetch(
        &self,
        source: &SourceName,
        since: Option<UnixMs>,
        added: bool,
    ) -> Result<Fetch, RosterError> {
        self.can_list(source, since.is_some())?;
        let now = self.clock.now();
        if since.is_some_and(|since| since > now) {
            let why = "`since` is in the future: name a past instant".to_owned();
            return Err(RosterError::NoList { of: source.clone(), why });
        }
        let id = clock::new_name();
        let order = |fetches: &mut Fetches| {
            if fetches.get(source.as_str()).is_some_and(|fetch| !fetch.gives_way(now)) {
                return None;
            }
            // People who are not among the changed ones stay as they were.
            let fetch = Fetch::new(id.clone(), since, added || since.is_some(), now);
            fetches.insert(source.to_string(), fetch.clone());
            Some(fetch)
        };
        let ordered = documents::change(self.store.as_ref(), FETCHES, order).await?;
        ordered.ok_or_else(|| RosterError::Fetching(source.clone()))
    }

    /// The last fetch of each source that is configured.
    pub async fn fetches(&self) -> Result<Fetches, StoreError> {
        let (mut fetches, _): (Fetches, _) = documents::read(self.store.as_ref(), FETCHES).await?;
        fetches.retain(|source, _| self.is_configured(source));
        Ok(fetches)
    }

    /// A process that is alone on its store starts: no other process can be running a fetch.
    pub async fn let_go_of_fetches(&self) -> Result<(), StoreError> {
        let let_go = |fetches: &mut Fetches| {
            let held = fetches.values_mut().map(Fetch::let_go).filter(|was_held| *was_held).count();
            (held > 0).then_some(())
        };
        documents::change(self.store.as_ref(), FETCHES, let_go).await.map(|_| ())
    }

    /// Runs a requested fetch that no other process is running. Returns whether there was one.
    pub async fn fetch_if_ordered(&self) -> Result<bool, StoreError> {
        if self.lists.accounts.is_empty() {
            return Ok(false);
        }
        let (fetches, now, by) = (self.fetches().await?, self.clock.now(), clock::new_name());
        let may_take = |fetch: &Fetch| {
            let mut fetch = fetch.clone();
            fetch.give_up(now) || fetch.take(&by, now)
        };
        let Some((source, account)) =
            self.lists.accounts.iter().find(|(source, _)| fetches.get(source.as_str()).is_some_and(may_take))
        else {
            return Ok(false);
        };
        let take = |fetches: &mut Fetches| {
            let fetch = fetches.get_mut(source.as_str())?;
            (fetch.give_up(now) || fetch.take(&by, now)).then(|| fetch.clone())
        };
        let Some(fetch) = documents::change(self.store.as_ref(), FETCHES, take).await? else { return Ok(false) };
        if fetch.end.is_some() {
            warn!(%source, taken = fetch.taken, "the HR system's list is given up: no process finished it");
            return Ok(true);
        }
        info!(%source, since = fetch.since.map(|since| since.to_string()), "the HR system's list is read");
        let (token, first_path_serves, waited_ms, beaten) = (None, false, 0, Some(Instant::now()));
        let run = Run { roster: self, source, account, by, fetch, token, first_path_serves, waited_ms, beaten };
        run.end().await?;
        Ok(true)
    }
}

/// A fetch that this process is running.
struct Run<'r> {
    roster: &'r Roster,
    source: &'r SourceName,
    account: &'r Account,
    /// The name under which this process took it.
    by: String,
    fetch: Fetch,
    token: Option<AccessToken>,
    /// Whether a person was found at the first path of a step that has an alternative.
    first_path_serves: bool,
    waited_ms: u64,
    /// When progress was last written; none: write it now.
    beaten: Option<Instant>,
}

impl Run<'_> {
    /// Reads and stages, and records how it ended.
    async fn end(mut self) -> Result<(), StoreError> {
        let staged = match self.rows().await {
            Ok((rows, began_at)) => self.stage(rows, began_at).await,
            Err(stopped) => Err(stopped),
        };
        let failure = match staged {
            Ok(()) => None,
            Err(Stopped::Failed(ListFailure { code, detail })) => Some(FetchFailure { code: code.to_string(), detail }),
            Err(Stopped::Lost) => {
                warn!(source = %self.source, "another process is reading the HR system's list");
                return Ok(());
            }
            Err(Stopped::Store(error)) => return Err(error),
        };
        if let Some(FetchFailure { code, detail }) = &failure {
            warn!(source = %self.source, code, detail, "the HR system's list is incomplete: nothing was staged");
        }
        let end = FetchEnd { at: self.roster.clock.now(), failure };
        let Fetch { calls, listed, read, .. } = self.fetch;
        let ended = |fetch: &mut Fetch| {
            (fetch.calls, fetch.listed, fetch.read) = (calls, listed, read);
            fetch.end = Some(end.clone());
        };
        patiently(PATIENCE, || self.note(ended)).await.map(|_| ())
    }

    /// Records a change of the fetch, if this process is still running it. Returns whether it is.
    async fn note(&self, note: impl Fn(&mut Fetch)) -> Result<bool, StoreError> {
        let change = |fetches: &mut Fetches| {
            let fetch = fetches.get_mut(self.source.as_str()).filter(|fetch| fetch.is_of(&self.fetch.id, &self.by))?;
            note(fetch);
            Some(())
        };
        Ok(documents::change(self.roster.store.as_ref(), FETCHES, change).await?.is_some())
    }

    /// Records a heartbeat and the progress.
    async fn beat(&mut self) -> Result<(), Stopped> {
        if self.beaten.is_some_and(|beaten| beaten.elapsed() < BEAT_LEAST) {
            return Ok(());
        }
        self.beaten = Some(Instant::now());
        let now = self.roster.clock.now();
        let Fetch { calls, listed, read, .. } = self.fetch;
        let note = |fetch: &mut Fetch| {
            fetch.heard_at = Some(now);
            (fetch.calls, fetch.listed, fetch.read) = (calls, listed, read);
        };
        if patiently(PATIENCE, || self.note(note)).await? { Ok(()) } else { Err(Stopped::Lost) }
    }

    /// Stages all rows, unless another process took the fetch over.
    async fn stage(&mut self, rows: Vec<Row>, began_at: UnixMs) -> Result<(), Stopped> {
        self.beaten = None;
        self.beat().await?;
        let Fetch { added, since, .. } = self.fetch;
        let mut staging = self.roster.stage(self.source, added, began_at, since, PATIENCE).await?;
        for row in &rows {
            if let Row::Says(facts) = row {
                staging.expect(&facts.event, facts.leaves_at);
            }
        }
        for (number, row) in (1_u64..).zip(rows) {
            match row {
                Row::Says(facts) => staging.take(number, Ok((facts.event, facts.leaves_at))).await?,
                Row::Refused(reason) => staging.take(number, Err(reason)).await?,
                Row::LeftOut(email) => staging.leave_out(email.as_ref()),
            }
            self.beat().await?;
        }
        staging.end().await?;
        Ok(())
    }

    /// All rows of the list, and when the reading that completed it began.
    async fn rows(&mut self) -> Result<(Vec<Row>, UnixMs), Stopped> {
        let mut tries = 0;
        let (listed, began_at) = loop {
            let began_at = self.roster.clock.now();
            match self.listed(began_at).await? {
                Ok(listed) => break (listed, began_at),
                Err(detail) if tries + 1 < READINGS_MAX => {
                    info!(source = %self.source, detail, "the HR system's list is incomplete: it is read again");
                    self.pause(&mut tries, Code::FetchList, None).await?;
                }
                Err(detail) => {
                    return Err(failed(Code::FetchList, &format!("{detail} (read {READINGS_MAX} times)")));
                }
            }
        };
        let (mut rows, mut forbidden) = (Vec::new(), 0);
        for row in listed {
            match row {
                ListedRow::Names(person) => {
                    rows.push(self.person(&person, began_at, &mut forbidden).await?);
                    self.beat().await?;
                }
                row => rows.extend(Row::of(row)),
            }
        }
        Ok((rows, began_at))
    }

    /// The list, page by page. Each person is read only once the list is complete, so that it has less time to change.
    /// Or the reason why people may be missing in it.
    async fn listed(&mut self, began_at: UnixMs) -> Result<Result<Vec<ListedRow>, String>, Stopped> {
        let api = self.account.system.api();
        let mut listing = Listing::new(api, self.source.clone(), self.fetch.since, began_at);
        let mut listed = Vec::new();
        loop {
            let request = match listing.next(api) {
                ListStep::Send(request) => request,
                ListStep::Whole => return Ok(Ok(listed)),
                ListStep::Failed(failure) => return Err(Stopped::Failed(failure)),
            };
            match self.page(&mut listing, &request).await? {
                Ok(rows) => listed.extend(rows),
                Err(detail) => return Ok(Err(detail)),
            }
            self.fetch.listed = u64::try_from(listed.len()).unwrap_or(u64::MAX);
            self.beat().await?;
        }
    }

    /// A page, requested until it arrives or there were too many failures. Or the reason why the list must be read
    /// again.
    async fn page(
        &mut self,
        listing: &mut Listing,
        request: &HrRequest,
    ) -> Result<Result<Vec<ListedRow>, String>, Stopped> {
        let (mut tries, mut is_renewed) = (0, false);
        loop {
            let reply = self.ask(request).await?;
            match listing.learn(self.account.system.api(), &reply, self.roster.clock.now()) {
                PageEnd::Rows(rows) => return Ok(Ok(rows)),
                PageEnd::Changed(detail) => return Ok(Err(detail)),
                PageEnd::Again { code, not_before } => self.pause(&mut tries, code, not_before).await?,
                PageEnd::Limited { until } => self.back_off(until).await?,
                PageEnd::Renew if !is_renewed => {
                    is_renewed = true;
                    self.renew().await?;
                }
                PageEnd::Renew => return Err(failed(Code::HoldFetch, "the login is not accepted (401)")),
                PageEnd::Failed(failure) => return Err(Stopped::Failed(failure)),
            }
        }
    }

    /// The row of a person named by the list.
    async fn person(&mut self, person: &Person, began_at: UnixMs, forbidden: &mut u32) -> Result<Row, Stopped> {
        let (mut tries, api) = (0, self.account.system.api());
        loop {
            let asked = Asked::Person { person: person.clone() };
            let mut state = ReadState::new(self.source.clone(), asked, began_at);
            let end = loop {
                match state.next(api) {
                    NextRead::Send(request) => {
                        let reply = self.ask(&request).await?;
                        state.learn(api, &reply, self.roster.clock.now());
                        self.first_path_serves |= state.found_first();
                    }
                    NextRead::Renew => {
                        self.renew().await?;
                        state.renewed();
                    }
                    NextRead::Done(end) => break end.knowing(self.first_path_serves),
                }
            };
            match end {
                ReadEnd::TryAgain { code, not_before } => self.pause(&mut tries, code, not_before).await?,
                ReadEnd::Later { at } => self.wait_until(at, Code::FetchPaced).await?,
                ReadEnd::Limited { until } => self.back_off(until).await?,
                ReadEnd::Hold { detail, may_be_own, .. } => {
                    *forbidden += 1;
                    if !may_be_own || *forbidden > FORBIDDEN_MAX {
                        return Err(failed(Code::HoldFetch, &detail));
                    }
                    self.fetch.read += 1;
                    return Ok(Row::Refused(detail));
                }
                ReadEnd::NotFound | ReadEnd::Listed(_) => {
                    self.fetch.read += 1;
                    return Ok(Row::Refused("the list names somebody whom the API does not know (404)".to_owned()));
                }
                ReadEnd::Person(_) | ReadEnd::Refused { .. } => {
                    *forbidden = 0;
                    self.fetch.read += 1;
                    let unseen = if let ReadEnd::Refused { code, detail } = end {
                        format!("{code}: {detail}")
                    } else {
                        UNSEEN.to_owned()
                    };
                    let mut rows = state.rows(api).unwrap_or_default().into_iter();
                    let row = rows.find(|row| *row != ListedRow::Nothing).and_then(Row::of);
                    return Ok(row.unwrap_or(Row::Refused(unseen)));
                }
            }
        }
    }

    /// Makes one request, within the rate.
    async fn ask(&mut self, request: &HrRequest) -> Result<HrReply, Stopped> {
        let name = Pace::name(self.source);
        let (now, rate) = (self.roster.clock.now(), self.account.system.api().rules().rate.rate());
        let store = self.roster.store.as_ref();
        let turn = || documents::change(store, &name, |pace: &mut Pace| Some(pace.turn(rate, 1, now)));
        let turn = patiently(PATIENCE, turn).await?.unwrap_or(now);
        self.sleep_until(turn).await?;
        self.wait_for_hold().await?;
        if self.token.is_none() {
            self.token = self.got_token(None).await?;
        }
        let access = self.token.as_ref().map(|token| token.token.as_str());
        let began = Instant::now();
        let reply = self.account.system.ask(request, access).await;
        hr::count(self.source, &reply, began.elapsed());
        self.fetch.calls += 1;
        self.beat().await?;
        Ok(reply)
    }

    /// A hold on the source, by an operator or the worker, is respected before every request. What has been read so far
    /// is worth the wait.
    async fn wait_for_hold(&mut self) -> Result<(), Stopped> {
        let scope = HoldScope::Fetch(self.source.clone());
        loop {
            let in_force = patiently(PATIENCE, || holds::read(self.roster.store.as_ref())).await?;
            if in_force.get(&scope).is_none() {
                return Ok(());
            }
            if self.fetch.calls == 0 || self.waited_ms >= WAITED_MS_MAX {
                let detail = format!("the HR system's API is held (`{scope}`): lift that first");
                return Err(failed(Code::HoldFetch, &detail));
            }
            self.wait_until(self.roster.clock.now().plus_ms(HOLD_LOOK_MS), Code::HoldFetch).await?;
            self.beat().await?;
        }
    }

    async fn renew(&mut self) -> Result<(), Stopped> {
        let refused = self.token.take();
        self.token = self.got_token(refused.as_ref().map(|token| token.token.as_str())).await?;
        Ok(())
    }

    async fn got_token(&mut self, refused: Option<&str>) -> Result<Option<AccessToken>, Stopped> {
        let (account, roster) = (self.account, self.roster);
        let desk =
            TokenDesk { system: &account.system, source: self.source, store: &roster.store, clock: &roster.clock };
        let mut tries = 0;
        loop {
            match patiently(PATIENCE, || account.logins.token(desk, refused)).await? {
                Ok(token) => return Ok(token),
                Err(NoToken::Refused { detail }) => return Err(failed(Code::HoldFetch, &detail)),
                Err(NoToken::TryAgain { code, not_before }) => self.pause(&mut tries, code, not_before).await?,
                Err(NoToken::Later { at }) => self.wait_until(at, Code::FetchPaced).await?,
            }
        }
    }

    /// Temporary trouble: waits, longer each time.
    async fn pause(&mut self, tries: &mut u32, code: Code, not_before: Option<UnixMs>) -> Result<(), Stopped> {
        *tries += 1;
        if *tries >= TRIES {
            return Err(failed(code, &format!("tried {TRIES} times")));
        }
        let at = self.roster.clock.now().plus_ms(500 << *tries);
        self.wait_until(not_before.map_or(at, |not_before| at.max(not_before)), code).await
    }

    /// The system asks everybody to wait.
    async fn back_off(&mut self, until: UnixMs) -> Result<(), Stopped> {
        let now = self.roster.clock.now();
        let back_off = |pace: &mut Pace| pace.back_off(now, until).then_some(());
        let (store, name) = (self.roster.store.as_ref(), Pace::name(self.source));
        patiently(PATIENCE, || documents::change(store, &name, back_off)).await?;
        self.wait_until(until, Code::FetchRateLimited).await
    }

    /// Waits, unless the total wait gets too long.
    async fn wait_until(&mut self, at: UnixMs, code: Code) -> Result<(), Stopped> {
        let wait_ms = at.ms_since(self.roster.clock.now());
        self.waited_ms = self.waited_ms.saturating_add(wait_ms);
        if self.waited_ms > WAITED_MS_MAX {
            return Err(failed(code, &format!("the HR system asks us to wait until {at}")));
        }
        self.sleep_until(at).await
    }

    async fn sleep_until(&mut self, at: UnixMs) -> Result<(), Stopped> {
        loop {
            let left = Duration::from_millis(at.ms_since(self.roster.clock.now()));
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(BEAT)).await;
            if left > BEAT {
                self.beat().await?;
            }
        }
    }
}

fn failed(code: Code, detail: &str) -> Stopped {
    Stopped::Failed(ListFailure { code, detail: detail.to_owned() })
}

/// Shared by all clones of a roster.
pub(super) type Lists = Arc<HrLists>;
