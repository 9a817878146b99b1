//! Promise 1, 2, 3, 7 and 8 at once: the real binary is ended at random points under load, again and
//! again, and in the end every accepted event is applied once in effect, in order per person.

use std::time::Duration;

use rustix::process::Signal;
use scim_bridge::postman_sim::Fault;

use crate::oracle::{Accepted, every_event_is_applied_once_and_in_order};
use crate::process::{Bridge, Home, http, payload, post, sim};

const ROUNDS: u32 = 50;
/// Names the run: another one is another run, the same one the same faults and moments.
const SEED: u64 = 20_261_122;
const SENDERS: u64 = 6;

/// A sender of one HR system: for each of its people a hire, then renames, each sent until its 200.
struct Sender {
    number: u64,
    chance: fastrand::Rng,
    /// Events accepted so far, for each person.
    accepted: Accepted,
    /// Sent, and not answered yet: sent again with the same id.
    open: Option<(String, u32)>,
}

impl Sender {
    fn new(number: u64) -> Self {
        Self { number, chance: fastrand::Rng::with_seed(SEED + number), accepted: Accepted::new(), open: None }
    }

    /// Sends until the bridge is gone.
    async fn send_until_gone(&mut self, listen: &str) {
        let client = http();
        loop {
            let (person, n) = self.open.clone().unwrap_or_else(|| self.next());
            self.open = Some((person.clone(), n));
            let kind = if n == 0 { "employee.hired" } else { "employee.renamed" };
            let body = payload(kind, &person, &format!("Name{n}"), "Of");
            match post(&client, listen, &format!("{person}-{n}"), &body).await {
                Some((200, answer)) => {
                    let status = answer["status"].as_str().unwrap();
                    assert!(matches!(status, "accepted" | "duplicate"), "{answer}");
                    self.accepted.insert(person, n + 1);
                    self.open = None;
                }
                Some((503, _)) => tokio::time::sleep(Duration::from_millis(5)).await,
                Some(other) => panic!("{other:?}"),
                None => return,
            }
        }
    }

    /// Somebody new, or the next rename of somebody.
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

/// Sends under load until the process is gone; tells how it ended.
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
async fn whatever_is_accepted_is_applied_once_and_in_order_however_the_process_ends() {
    let sim = sim();
    for fault in ["any:create-failed:3%", "write:reset:3%:after", "any:reset:2%", "write:close:2%"] {
        sim.order(fault.parse::<Fault>().unwrap()).unwrap();
    }
    let home = Home::new(&sim, "[worker]\ntake_overs_max = 100\nconcurrency = 8");
    let mut chance = fastrand::Rng::with_seed(SEED);
    let mut senders: Vec<_> = (0..SENDERS).map(Sender::new).collect();
    for _ in 0..ROUNDS {
        let signal = if chance.bool() { Signal::KILL } else { Signal::TERM };
        let after = Duration::from_millis(chance.u64(0..250));
        load_until_gone(home.serve(), &mut senders, signal, after).await;
    }
    // What was cut off is sent again, as an HR system does; then everything settles.
    let bridge = home.serve();
    let client = http();
    for sender in &mut senders {
        if let Some((person, n)) = sender.open.take() {
            let kind = if n == 0 { "employee.hired" } else { "employee.renamed" };
            let body = payload(kind, &person, &format!("Name{n}"), "Of");
            let (status, _) = post(&client, &bridge.listen, &format!("{person}-{n}"), &body).await.unwrap();
            assert_eq!(status, 200);
            sender.accepted.insert(person, n + 1);
        }
    }
    bridge.settled().await;
    assert_eq!(bridge.jobs(&["dead", "parked"]).await, 0, "{}", bridge.api("/api/v1/dead").await);

    let mut accepted = Accepted::new();
    for sender in &mut senders {
        accepted.append(&mut sender.accepted);
    }
    let events = every_event_is_applied_once_and_in_order(&sim, &accepted);
    let people = sim.members().len();
    println!("seed {SEED}: {ROUNDS} rounds, {people} people, {events} events, {} calls", sim.stats().calls);
    assert!(events > ROUNDS, "there was hardly any load: {events} events");
}
