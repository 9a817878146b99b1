//! Producers that wait for each of their deliveries, and the ways in which these travel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Pipeline, Value};
use deadpool_redis::{Config, Pool, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::place::Place;
use crate::scripts::{Hire, Script, count_jobs};
use crate::{Failed, cpu, figures};

const PRODUCERS: usize = 32;
pub(crate) const DELIVERIES: usize = 50_000;
/// Most deliveries that share a round trip; as many as there are producers never wait longer.
const GROUP_MAX: usize = 256;

/// How deliveries travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Shared,
    Pool,
    Pipeline,
    Looped,
    Grouped,
}

impl Way {
    pub(crate) const ALL: [Self; 5] = [Self::Shared, Self::Pool, Self::Pipeline, Self::Looped, Self::Grouped];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Pool => "pool",
            Self::Pipeline => "pipeline",
            Self::Looped => "looped",
            Self::Grouped => "grouped",
        }
    }

    fn script(self) -> Script {
        match self {
            Self::Shared | Self::Pool | Self::Pipeline => Script::one(),
            Self::Looped => Script::looped(),
            Self::Grouped => Script::grouped(),
        }
    }
}

/// What a round came to.
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Of this process, for each delivery.
    pub(crate) cpu: Duration,
    /// Of the server, for each delivery.
    pub(crate) server_cpu: Duration,
    /// Deliveries in a round trip.
    pub(crate) a_trip: f64,
}

/// The way to the server that a producer has.
#[derive(Clone)]
enum Path {
    Shared(MultiplexedConnection, Script),
    Pool(Pool, Script),
    Collected(mpsc::Sender<Waiting>),
}

/// A delivery that waits for its round trip.
struct Waiting {
    hire: Hire,
    done: oneshot::Sender<()>,
}

pub(crate) async fn round(place: &Place, way: Way) -> Result<Round, Failed> {
    let mut connection = redis::Client::open(place.url())?.get_multiplexed_async_connection().await?;
    let script = way.script();
    redis::cmd("SCRIPT").arg("LOAD").arg(&script.text).exec_async(&mut connection).await?;
    let trips = Arc::new(AtomicUsize::new(0));
    let path = match way {
        Way::Shared => Path::Shared(connection.clone(), script.clone()),
        Way::Pool => {
            let pool = Config::from_url(place.url()).builder()?.max_size(PRODUCERS).runtime(Runtime::Tokio1);
            Path::Pool(pool.build()?, script.clone())
        }
        Way::Pipeline | Way::Looped | Way::Grouped => {
            let (path, waiting) = mpsc::channel(PRODUCERS);
            tokio::spawn(collect(way, connection.clone(), script.clone(), waiting, trips.clone()));
            Path::Collected(path)
        }
    };
    let server = || place.server_cpu().map(Option::unwrap_or_default);
    let (cpu_before, server_before, began) = (cpu::of_process(), server()?, Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    for producer in 0..PRODUCERS {
        tasks.spawn(produce(path.clone(), producer));
    }
    let mut latencies = Vec::with_capacity(DELIVERIES);
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    let took = began.elapsed();
    let (cpu_after, server_after) = (cpu::of_process(), server()?);
    let jobs: usize = count_jobs().query_async(&mut connection).await?;
    if jobs != DELIVERIES {
        return Err(format!("{jobs} jobs are there of {DELIVERIES}").into());
    }
    latencies.sort_unstable();
    let deliveries = u32::try_from(DELIVERIES)?;
    // Without a collector, every delivery is a trip of its own.
    let trips = u32::try_from(trips.load(Ordering::Relaxed))?;
    Ok(Round {
        per_second: f64::from(deliveries) / took.as_secs_f64(),
        p50: figures::percentile(&latencies, 50),
        p99: figures::percentile(&latencies, 99),
        cpu: cpu_after.saturating_sub(cpu_before) / deliveries,
        server_cpu: server_after.saturating_sub(server_before) / deliveries,
        a_trip: f64::from(deliveries) / f64::from(if trips == 0 { deliveries } else { trips }),
    })
}

/// One producer's deliveries, one after the other; how long each took.
async fn produce(path: Path, first: usize) -> Result<Vec<Duration>, Failed> {
    let mut latencies = Vec::with_capacity(DELIVERIES / PRODUCERS + 1);
    for n in (first..DELIVERIES).step_by(PRODUCERS) {
        let began = Instant::now();
        let hire = Hire::of(n);
        match &path {
            Path::Shared(connection, script) => {
                stored(&connection.clone().send_packed_command(&script.call(&hire)).await?)?;
            }
            Path::Pool(pool, script) => {
                stored(&pool.get().await?.send_packed_command(&script.call(&hire)).await?)?;
            }
            Path::Collected(path) => {
                let (done, answer) = oneshot::channel();
                path.send(Waiting { hire, done }).await.map_err(|_| "the collector ended")?;
                answer.await.map_err(|_| "a group was refused: it is told on standard error")?;
            }
        }
        latencies.push(began.elapsed());
    }
    Ok(latencies)
}

/// Sends what has queued while the last round trip was out, in one.
async fn collect(
    way: Way,
    mut connection: MultiplexedConnection,
    script: Script,
    mut waiting: mpsc::Receiver<Waiting>,
    trips: Arc<AtomicUsize>,
) {
    while let Some(first) = waiting.recv().await {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        trips.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = carry(way, &mut connection, &script, &group).await {
            eprintln!("{}: {error}", way.name());
            return;
        }
        for one in group {
            // A producer that failed does not wait any more.
            let _ = one.done.send(());
        }
    }
}

async fn carry(
    way: Way,
    connection: &mut MultiplexedConnection,
    script: &Script,
    group: &[Waiting],
) -> Result<(), Failed> {
    let hires = group.iter().map(|one| &one.hire);
    let answers = if way == Way::Pipeline {
        let mut pipeline = Pipeline::with_capacity(group.len());
        for hire in hires {
            pipeline.add_command(script.call(hire));
        }
        connection.send_packed_commands(&pipeline, 0, group.len()).await?
    } else {
        match connection.send_packed_command(&script.call_for(hires)).await? {
            Value::Array(answers) => answers,
            other => return Err(format!("answered {other:?}").into()),
        }
    };
    if answers.len() != group.len() {
        return Err("not as many answers as deliveries".into());
    }
    answers.iter().try_for_each(stored)
}

/// Whether a delivery was stored: `accept.lua` says `s` then.
fn stored(answer: &Value) -> Result<(), Failed> {
    match answer {
        Value::Array(words) if words.as_slice() == [Value::BulkString(b"s".to_vec())] => Ok(()),
        other => Err(format!("answered {other:?}").into()),
    }
}
