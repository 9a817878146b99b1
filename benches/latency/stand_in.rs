//! The stand-in, and the times at which calls reached it, by this process's clock.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use scim_bridge::postman_sim::{PostmanSim, SimOptions};

use crate::Failed;

/// How many calls of our own determine the clock offset: the fastest of so many takes about 20 us.
const CALLS: usize = 200;
/// The bench gives up if no call comes for this long.
const STUCK: Duration = Duration::from_secs(30);

pub(crate) struct StandIn {
    pub(crate) sim: PostmanSim,
    /// When its journal's clock started: at this instant, or up to `uncertain` earlier.
    zero: Instant,
    pub(crate) uncertain: Duration,
    /// The journal's number of our last call.
    own: u64,
}

impl StandIn {
    /// Starts it, without limits, and determines its clock offset: each of our calls arrived between the time we sent
    /// it and the time we read its answer.
    pub(crate) fn start() -> Result<Self, Failed> {
        let sim = PostmanSim::start(SimOptions { writes: 0, reads: 0, ..SimOptions::default() })?;
        let mut socket = TcpStream::connect(sim.address())?;
        socket.set_nodelay(true)?;
        let (mut earliest, mut latest, mut own) = (None, None, 0);
        for _ in 0..CALLS {
            let sent = Instant::now();
            socket.write_all(b"GET /scim/v2/ServiceProviderConfig HTTP/1.1\r\nhost: postman\r\n\r\n")?;
            if socket.read(&mut [0; 4096])? == 0 {
                return Err("the stand-in hung up".into());
            }
            let heard = Instant::now();
            let entry = sim.journal_since(own).pop().ok_or("the stand-in recorded nothing")?;
            let at = Duration::from_micros(entry.at_us);
            own = entry.seq;
            earliest = earliest.max(sent.checked_sub(at));
            latest = match (latest, heard.checked_sub(at)) {
                (Some(known), Some(new)) => Some(std::cmp::min(known, new)),
                (known, new) => known.or(new),
            };
        }
        let (Some(earliest), Some(latest)) = (earliest, latest) else {
            return Err("the clock offset could not be measured".into());
        };
        Ok(Self { sim, zero: latest, uncertain: latest.saturating_duration_since(earliest), own })
    }

    /// Waits until there was a call about each of this many people; returns the time of the first one for each.
    pub(crate) fn first_calls(&self, people: usize) -> Result<HashMap<String, Instant>, Failed> {
        let mut called = HashMap::with_capacity(people);
        let (mut last, mut moved) = (self.own, Instant::now());
        while called.len() < people {
            for entry in self.sim.journal_since(last) {
                (last, moved) = (entry.seq, Instant::now());
                let Some(person) = entry.user_name else { continue };
                called.entry(person.into_string()).or_insert(self.zero + Duration::from_micros(entry.at_us));
            }
            if moved.elapsed() > STUCK {
                return Err(format!("stuck at {} of {people} people", called.len()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(called)
    }
}
