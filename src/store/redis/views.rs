//! What people look at. A page is put together of bounded pieces, so that nobody else waits for it;
//! each piece is of one moment, not the whole.

use std::collections::BTreeMap;

use super::link::Arg;
use super::reply::Reply;
use super::rows::{View, blob, summary};
use super::{Redis, claim, local, scripts, signed};
use crate::core::event::Person;
use crate::core::job::{DeadLetter, JobId, JobState};
use crate::core::time::UnixMs;
use crate::store::{DeadSummary, JobView, Page, PersonView, Stats, StoreError};

/// Rows that one script looks at.
const PIECE: usize = 256;

impl Redis {
    pub(super) async fn find_job(&self, id: JobId) -> Result<Option<JobView>, StoreError> {
        let view = self.views_of(&[id]).await?.pop();
        view.map(View::into_job).transpose().map(Option::flatten)
    }

    pub(super) async fn find_dead(&self, id: JobId) -> Result<Option<DeadLetter>, StoreError> {
        let view = self.views_of(&[id]).await?.pop();
        view.map(View::into_letter).transpose().map(Option::flatten)
    }

    pub(super) async fn list_jobs(&self, state: JobState, page: &Page) -> Result<Vec<JobView>, StoreError> {
        let list = match state {
            JobState::Running => return self.list_running(page).await,
            JobState::Waiting | JobState::Parked => "live",
            JobState::Dead => "dead",
            JobState::Done => "done",
        };
        let views = self.list(list, page, |view| view.state() == Some(state)).await?;
        Ok(views.into_iter().map(View::into_job).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    pub(super) async fn list_dead(&self, page: &Page) -> Result<Vec<DeadSummary>, StoreError> {
        let views = self.list("dead", page, |_| true).await?;
        let letters = views.into_iter().map(View::into_letter).collect::<Result<Vec<_>, _>>()?;
        Ok(letters.iter().flatten().map(summary).collect())
    }

    /// Few run at a time (as many as the workers have hands), among very many that wait: they are looked
    /// up by their leases.
    async fn list_running(&self, page: &Page) -> Result<Vec<JobView>, StoreError> {
        let mut ids = Vec::new();
        for kind in ["h", "r"] {
            for skipped in (0..).step_by(PIECE) {
                let args = vec![kind.into(), signed(skipped).into(), signed(PIECE as u64).into()];
                let found = Reply::of(self.run(&scripts::VIEW_RUNNING, UnixMs::default(), args).await?)?;
                let found = found.all_bytes()?;
                let count = found.len();
                for id in found {
                    ids.push(super::reply::id_of(&id)?);
                }
                if count < PIECE {
                    break;
                }
            }
        }
        ids.retain(|id| page.before.is_none_or(|before| *id < before));
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        ids.dedup();
        ids.truncate(page.rows_max);
        let mut found = Vec::new();
        for piece in ids.chunks(PIECE) {
            for view in self.views_of(piece).await? {
                found.extend(view.into_job()?.filter(|view| view.state == JobState::Running));
            }
        }
        Ok(found)
    }

    async fn views_of(&self, ids: &[JobId]) -> Result<Vec<View>, StoreError> {
        let args = ids.iter().map(|id| blob(*id).into()).collect();
        let reply = Reply::of(self.run(&scripts::VIEW_IDS, UnixMs::default(), args).await?)?;
        let views = reply.lists().map(|one| View::read(one?)).collect::<Result<Vec<_>, _>>()?;
        Ok(views.into_iter().filter_map(|(_, view)| view).collect())
    }

    /// A page of a list of ids, newest first, of those that are wanted.
    async fn list(&self, list: &str, page: &Page, wanted: impl Fn(&View) -> bool) -> Result<Vec<View>, StoreError> {
        let mut found = Vec::new();
        let mut before = page.before.map(blob).unwrap_or_default();
        // As many as are wanted; more where few of those that were looked at are.
        let mut piece = page.rows_max.min(PIECE);
        while found.len() < page.rows_max {
            let args: Vec<Arg<'_>> = vec![list.into(), before.into(), signed(piece as u64).into()];
            let reply = Reply::of(self.run(&scripts::VIEW_LIST, UnixMs::default(), args).await?)?;
            let mut looked_at = 0;
            let mut oldest = None;
            for one in reply.lists() {
                looked_at += 1;
                let (id, view) = View::read(one?)?;
                oldest = Some(id);
                found.extend(view.filter(|view| found.len() < page.rows_max && wanted(view)));
            }
            let Some(oldest) = oldest.filter(|_| looked_at == piece) else { break };
            before = blob(oldest);
            piece = (piece * 4).min(PIECE);
        }
        Ok(found)
    }

    pub(super) async fn find_person(&self, person: &Person) -> Result<Option<PersonView>, StoreError> {
        let key = person.to_string();
        let mut views: BTreeMap<JobId, View> = BTreeMap::new();
        let mut after: [Vec<u8>; 3] = Default::default();
        let mut directory;
        loop {
            let mut args: Vec<Arg<'_>> = vec![key.as_str().into(), signed(PIECE as u64).into()];
            args.extend(after.iter().map(|member| member.as_slice().into()));
            let mut reply = Reply::of(self.run(&scripts::VIEW_PERSON, UnixMs::default(), args).await?)?;
            directory = claim::directory(&reply.text()?)?;
            let mut found = vec![reply.list()?];
            let mut is_all = true;
            for last in &mut after {
                let members = reply.list()?.all_bytes()?;
                is_all &= members.len() < PIECE;
                if let Some(member) = members.into_iter().next_back() {
                    *last = member;
                }
                found.extend(reply.list()?.lists().collect::<Result<Vec<_>, _>>()?);
            }
            for one in found.into_iter().filter(|one| !one.is_empty()) {
                let (id, view) = View::read(one)?;
                views.extend(view.map(|view| (id, view)));
            }
            if is_all {
                break;
            }
        }
        if views.is_empty() && directory.is_none() {
            return Ok(None);
        }
        let (mut jobs, mut dead) = (Vec::new(), Vec::new());
        for view in views.into_values().rev() {
            match view.state() {
                None => dead.extend(view.into_letter()?.as_ref().map(summary)),
                Some(state) => {
                    if state == JobState::Dead {
                        dead.extend(view.clone().into_letter()?.as_ref().map(summary));
                    }
                    jobs.extend(view.into_job()?);
                }
            }
        }
        jobs.sort_by_key(|view| view.job.seq);
        Ok(Some(PersonView { person: person.clone(), directory, jobs, dead }))
    }

    pub(super) async fn count(&self, now: UnixMs) -> Result<Stats, StoreError> {
        let mut reply = Reply::of(self.run(&scripts::STATS, now, Vec::new()).await?)?;
        let (live, running, parked) = (reply.unsigned()?, reply.unsigned()?, reply.unsigned()?);
        let (dead, done) = (reply.unsigned()?, reply.unsigned()?);
        let jobs = [
            (JobState::Waiting, live.saturating_sub(running + parked)),
            (JobState::Running, running),
            (JobState::Parked, parked),
            (JobState::Dead, dead),
            (JobState::Done, done),
        ];
        let (lanes, people) = (reply.unsigned()?, reply.unsigned()?);
        let (oldest_due_at, server_now) = (reply.optional_time()?, reply.time()?);
        Ok(Stats {
            jobs: jobs.into_iter().map(|(state, number)| (state.as_str().to_owned(), number)).collect(),
            lanes,
            people,
            oldest_due_at: oldest_due_at.map(|at| local(at, server_now, now)),
        })
    }
}
