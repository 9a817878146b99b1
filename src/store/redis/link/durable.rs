//! Durable writes: answered when they are on disk, by `WAITAOF`.
//!
//! `WAITAOF` blocks its connection, and concerns that connection's own writes. So writes go in
//! groups: a group's scripts and one `WAITAOF` are sent together on a connection of the pool. With
//! `appendfsync everysec` a group takes up to a second or two, and many are in flight at once.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Object, PoolError};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Cmd, Pipeline, RedisError, Value};
use futures_util::future::try_join;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use super::script::Script;
use super::session::{POOL_SIZE, Session, Shared};
use super::trouble::{LinkError, is_noscript, reply};
use crate::core::code::Code;
use crate::failpoint;
use crate::telemetry::metrics as metric;

/// The most writes in one group: this many scripts keep the server busy for some milliseconds.
const GROUP_MAX: usize = 256;
/// This many groups start at once when there is something to send; further ones
const AT_ONCE: usize = 4;
/// start at this interval, so that the pool's connections last through the second of `everysec`.
const GROUP_INTERVAL: Duration = Duration::from_millis(20);

/// A write in progress.
pub(super) struct Write {
    pub(super) script: &'static Script,
    pub(super) call: Cmd,
    pub(super) done: oneshot::Sender<Result<Value, LinkError>>,
}

/// Sends groups for as long as anybody can ask for a write.
pub(super) async fn dispatch(shared: Arc<Shared>, waiting: Arc<Mutex<mpsc::Receiver<Write>>>) {
    let mut waiting = waiting.lock().await;
    let slots = Arc::new(Semaphore::new(POOL_SIZE));
    let mut started: Option<Instant> = None;
    while let Some(first) = waiting.recv().await {
        failpoint::at("durable");
        if let Some(started) = started
            && POOL_SIZE - slots.available_permits() >= AT_ONCE
        {
            tokio::time::sleep_until(started + GROUP_INTERVAL).await;
        }
        let Ok(permit) = slots.clone().acquire_owned().await else { return };
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(write) = waiting.try_recv()
        {
            group.push(write);
        }
        started = Some(Instant::now());
        metrics::gauge!(metric::STORE_POOL_WAITING).set(f64::from(u32::try_from(waiting.len()).unwrap_or(u32::MAX)));
        let shared = shared.clone();
        tokio::spawn(async move {
            send_group(&shared, group).await;
            drop(permit);
        });
    }
}

/// Sends a group to the primary; what it refuses because it is no longer the primary is sent once to its successor.
async fn send_group(shared: &Shared, mut group: Vec<Write>) {
    for last in [false, true] {
        let (answers, session) = match shared.session().await {
            Ok(session) => (send_once(shared, &session, &group).await, Some(session)),
            Err(trouble) => (Err(trouble), None),
        };
        let answers = answers.unwrap_or_else(|trouble| vec![Err(trouble); group.len()]);
        let of_the_connection =
            answers.iter().any(|answer| answer.as_ref().is_err_and(LinkError::is_of_the_connection));
        if let Some(session) = session
            && of_the_connection
        {
            shared.discard(&session);
        }
        let mut again = Vec::new();
        for (write, answer) in group.into_iter().zip(answers) {
            match answer {
                Err(trouble) if !last && trouble.is_worth_another_primary() => again.push(write),
                // Perhaps nobody waits any more.
                answer => drop(write.done.send(answer)),
            }
        }
        if again.is_empty() {
            return;
        }
        group = again;
    }
}

/// One try: an answer for each write. A connection on which anything went wrong is not used again.
async fn send_once(
    shared: &Shared,
    session: &Session,
    group: &[Write],
) -> Result<Vec<Result<Value, LinkError>>, LinkError> {
    let options = &shared.options;
    let Some(pool) = &session.pool else { return Err(LinkError::new(Code::StoreError, "no pool")) };
    let to = session.address.to_string();
    // With a hung server the pool would try its idle connections in turn, each for a timeout.
    let limit = options.connect_timeout.max(options.response_timeout);
    let got = tokio::time::timeout(limit, pool.get()).await;
    let got = got.map_err(|_| LinkError::silence(&to, limit))?;
    let mut connection = got.map_err(|error| match error {
        PoolError::Backend(trouble) => trouble,
        PoolError::Timeout(_) => LinkError::silence(&to, limit),
        PoolError::Closed => LinkError::new(Code::StoreLost, "another primary is looked for"),
        PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
            LinkError::new(Code::StoreError, "no connection")
        }
    })?;
    if !pool.is_closed() {
        let size = u32::try_from(pool.status().size).unwrap_or(u32::MAX);
        metrics::gauge!(metric::STORE_CONNECTIONS, metric::USE => "durable").set(f64::from(size));
    }
    // Once the server is known to be gone or hanging, nobody waits for its disks any longer.
    let asked = session.closed.run_until_cancelled(ask(shared, &mut connection, group)).await;
    let answers = asked.unwrap_or_else(|| Err(LinkError::new(Code::StoreLost, "the connections were dropped")));
    let well = answers.as_ref().is_ok_and(|answers| answers.iter().all(Result::is_ok));
    if !well {
        drop(Object::take(connection));
    }
    answers
}

async fn ask(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    group: &[Write],
) -> Result<Vec<Result<Value, LinkError>>, LinkError> {
    let calls: Vec<&Cmd> = group.iter().map(|write| &write.call).collect();
    let (mut values, mut durable) = send(shared, connection, calls.into_iter()).await?;
    let unknown: Vec<usize> = (0..values.len()).filter(|n| is_noscript(&values[*n])).collect();
    if !unknown.is_empty() {
        let texts: Vec<Cmd> = unknown.iter().map(|n| group[*n].script.by_text(&group[*n].call)).collect();
        let (again, again_durable) = send(shared, connection, texts.iter()).await?;
        // The second `WAITAOF` covers all writes of this connection, including the first group's.
        durable = again_durable;
        for (n, value) in unknown.into_iter().zip(again) {
            values[n] = value;
        }
    }
    let answer = |value| reply(value).and_then(|value| durable.clone().map(|()| value));
    Ok(values.into_iter().map(answer).collect())
}

type Sent = (Vec<Value>, Result<(), LinkError>);

async fn send<'a>(
    shared: &Shared,
    connection: &mut MultiplexedConnection,
    calls: impl Iterator<Item = &'a Cmd>,
) -> Result<Sent, LinkError> {
    let options = &shared.options;
    let (local, replicas) = options.durability.disks().unwrap_or((0, 0));
    let mut pipeline = Pipeline::new();
    for call in calls {
        pipeline.add_command(call.clone());
    }
    // A write of this connection's own, so that `WAITAOF` waits even where the scripts wrote nothing:
    // a duplicate is answered 200 because of what another connection wrote a moment ago.
    let mut mark = redis::cmd("SET");
    mark.arg(options.mark_key()).arg(1);
    pipeline.add_command(mark);
    let mut wait = redis::cmd("WAITAOF");
    let timeout_ms = u64::try_from(options.durable_timeout.as_millis()).unwrap_or(u64::MAX);
    wait.arg(local).arg(replicas).arg(timeout_ms);
    let count = pipeline.len();
    // They are sent together. Only the wait for disks may take longer than an ordinary answer.
    let mut waiting = connection.clone();
    let written = within(options.response_timeout, connection.send_packed_commands(&pipeline, 0, count));
    let waited = within(options.durable_timeout + options.response_timeout, waiting.send_packed_command(&wait));
    let (mut values, waited) = try_join(written, waited).await?;
    if values.len() != count {
        return Err(LinkError::new(Code::StoreLost, "fewer answers than calls"));
    }
    let marked = values.pop().unwrap_or_default();
    let durable = reply(marked).and_then(|_| reply(waited)).and_then(|waited| on_disks(&waited, local, replicas));
    Ok((values, durable))
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, LinkError> {
    let answer = tokio::time::timeout(limit, call).await;
    answer.map_err(|_| LinkError::silence("a durable write", limit))?.map_err(|error| LinkError::of_call(&error))
}

fn on_disks(waited: &Value, local: i64, replicas: i64) -> Result<(), LinkError> {
    if let Value::Array(disks) = waited
        && let [Value::Int(locally), Value::Int(elsewhere)] = disks.as_slice()
    {
        if *locally >= local && *elsewhere >= replicas {
            return Ok(());
        }
        let detail = format!("on {locally} of {local} and {elsewhere} of {replicas} replicas' disks");
        return Err(LinkError::new(Code::StoreNotDurable, detail));
    }
    Err(LinkError::new(Code::StoreError, "WAITAOF is answered with something else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_durable_on_as_many_disks_as_were_asked_for_or_more() {
        let waited = |local, replicas| Value::Array(vec![Value::Int(local), Value::Int(replicas)]);
        assert!(on_disks(&waited(1, 0), 1, 0).is_ok());
        assert!(on_disks(&waited(1, 2), 1, 1).is_ok());
        for (local, replicas) in [(0, 0), (1, 0), (0, 1)] {
            let error = on_disks(&waited(local, replicas), 1, 1).unwrap_err();
            assert_eq!(error.code, Code::StoreNotDurable, "{local} {replicas}");
        }
        assert_eq!(on_disks(&Value::Nil, 1, 0).unwrap_err().code, Code::StoreError);
    }
}
