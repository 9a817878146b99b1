//! Promises 1, 2, 3, 7 and 8 at once: the real binary is killed at random points under load, again and again. In the
//! end everything accepted has ended, and the newest value of each fact is in effect, once.

use std::time::Duration;

use rustix::process::Signal;
use scim_bridge::postman_sim::Fault;

use crate::oracle::{Accepted, the_newest_facts_took_effect_once};
use crate::process::{Bridge, Home, http, job_id, post, sim};
use crate::words::body;

const ROUNDS: u32 = 50;
/// The seed of the run: the same seed makes the same faults and moments.
const SEED: u64 = 20_261_122;
const SENDERS: u64 = 6;

/// A sender of one HR system: it sends the events of each of its people in order, each until it gets 200.
struct Sender {
    number: u64,
    chance: fastrand::Rng,
    /// Events accepted so far, for each person.
    accepted: Accepted,
    /// The ids returned for them.
    jobs: Vec<String>,
    /// Sent but not answered yet: sent again with the same id.
    open: Option<(String, u32)>,
}

impl Sender {
    fn new(number: u64) -> Self {
        let chance = fastrand::Rng::with_seed(SEED + number);
        Self { number, chance, accepted: Accepted::new(), jobs: Vec::new(), open: None }
    }

    /// Sends until the bridge is gone.
    async fn send_until_gone(&mut self, listen: &str) {
        let client = http();
        loop {
            let (person, n) = self.open.clone().unwrap_or_else(|| self.next());
            if self.send(&client, listen, person, n).await.is_none() {
                return;
            }
        }
    }

    /// Sends an event until it is answered 200; none if nobody answers.
    async fn send(&mut self, client: &reqwest::Client, listen: &str, person: String, n: u32) -> Option<()> {
        self.open = Some((person.clone(), n));
        loop {
            match post(client, listen, &format!("{person}-{n}"), &body(&person, n)).await? {
                (200, answer) => {
                    let status = answer["status"].as_str().unwrap();
                    assert!(matches!(status, "accepted" | "duplicate"), "{answer}");
                    self.jobs.push(job_id(&answer).to_owned());
                    self.accepted.insert(person, n + 1);
                    self.open = None;
                    return Some(());
                }
                // As HR systems do, it pauses before it sends again.
                (503, _) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => panic!("{other:?}"),
            }
        }
    }

    /// A new person, or the next event about a known one.
    fn next(&mut self) -> (String, u32) {
        let people = u64::try_from(self.accepted.len()).unwrap();
        if people < 5 || self.chance.u8(..) < 40 {
            return (format!("S{}P{people}", self.number), 0);
        }
        let index = usize::try_from(self.chance.u64(..people)).unwrap();
        let (person, n) = self.accepted.iter().nth(index).unwrap();
        (person.clone(), *n)
    }
}

/// Sends under load until the process is gone: it is signalled after a random time, wherever it then is.
async fn load_until_gone(bridge: Bridge, senders: &mut [Sender], signal: Signal, after: Duration) {
    let listen = bridge.listen.clone();
    let sending = futures_util::future::join_all(senders.iter_mut().map(|sender| sender.send_until_gone(&listen)));
    let ending = async {
        tokio::time::sleep(after).await;
        bridge.signal(signal);
        tokio::task::spawn_blocking(move || bridge.ended()).await.unwrap()
    };
    let (_, (status, log)) = tokio::join!(sending, ending);
    if signal == Signal::TERM {
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_deliveries_take_effect_once_however_the_process_ends() {
    let sim = sim();
    for fault in ["any:create-failed:3%", "write:reset:3%:after", "any:reset:2%", "write:close:2%"] {
        sim.inject(fault.parse::<Fault>().unwrap()).unwrap();
    }
    let home = Home::new(&sim, "[worker]\ntake_overs_max = 100\nconcurrency = 8");
    let mut chance = fastrand::Rng::with_seed(SEED);
    let mut senders: Vec<_> = (0..SENDERS).map(Sender::new).collect();
    for _ in 0..ROUNDS {
        let signal = if chance.bool() { Signal::KILL } else { Signal::TERM };
        let after = Duration::from_millis(chance.u64(0..250));
        load_until_gone(home.serve(), &mut senders, signal, after).await;
    }
    // Whatever was cut off is sent again, as an HR system does; then everything settles.
    let bridge = home.serve();
    let client = http();
    for sender in &mut senders {
        if let Some((person, n)) = sender.open.take() {
            sender.send(&client, &bridge.listen, person, n).await.unwrap();
        }
    }
    bridge.settled().await;
    // Those whose writes were not answered, or made by a worker that died, are looked at once more.
    bridge.until("scheduled", 0).await;
    assert_eq!(bridge.jobs(&["dead", "scheduled", "incomplete"]).await, 0, "{}", bridge.api("/api/v1/dead").await);

    let mut accepted = Accepted::new();
    for sender in &mut senders {
        bridge.all_have_ended(&sender.jobs).await;
        accepted.append(&mut sender.accepted);
    }
    let words = the_newest_facts_took_effect_once(&sim, &accepted);
    let people = accepted.len();
    println!("seed {SEED}: {ROUNDS} rounds, {people} people, {words} words, {} calls", sim.stats().calls);
    assert!(words > ROUNDS, "there was hardly any load: {words} words");
}
