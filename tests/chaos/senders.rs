//! HR systems that send until they are answered 200, to whichever intake answers: some events twice, some out of order.

use std::sync::Arc;
use std::sync::RwLock;
use std::time::Duration;

use serde_json::Value;

use crate::oracle::Accepted;
use crate::process::{http, post};
use crate::words::{body, has_times};

/// The current addresses of the intakes.
pub(crate) type Intakes = Arc<RwLock<Vec<String>>>;

/// What was answered 200.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) accepted: Accepted,
    /// The ids in the answers.
    pub(crate) jobs: Vec<String>,
}

impl Sent {
    pub(crate) fn add(&mut self, mut other: Self) {
        self.accepted.append(&mut other.accepted);
        self.jobs.append(&mut other.jobs);
    }
}

/// Sends everything about `people` persons: `words` words each.
pub(crate) async fn send_all(number: u64, seed: u64, people: u32, words: u32, intakes: Intakes) -> Sent {
    let mut chance = fastrand::Rng::with_seed(seed ^ (number << 32));
    let client = http();
    // The people's next words in random order, so that many lanes are busy at once.
    let mut open: Vec<(String, Vec<u32>)> = (0..people).map(|n| still_to_say(number, n, words, &mut chance)).collect();
    let mut posted: Vec<(String, u32)> = Vec::new();
    let mut sent = Sent::default();
    while !open.is_empty() {
        let index = chance.usize(..open.len());
        let (person, left) = &mut open[index];
        let (person, n) = (person.clone(), left.pop().unwrap());
        if left.is_empty() {
            open.swap_remove(index);
        }
        let answer = send(&client, &mut chance, &intakes, &person, n).await;
        sent.jobs.extend(answer["jobs"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        sent.accepted.insert(person.clone(), words);
        posted.push((person, n));
        // One in ten is delivered again, sometimes much later.
        if chance.u8(..) < 25 {
            let (person, n) = posted[chance.usize(..posted.len())].clone();
            let again = send(&client, &mut chance, &intakes, &person, n).await;
            assert_eq!(again["status"], "duplicate", "{person}-{n}");
        }
    }
    sent
}

/// A person and the words about them, the first one last. In order, unless they carry the time at which they became so.
fn still_to_say(number: u64, n: u32, words: u32, chance: &mut fastrand::Rng) -> (String, Vec<u32>) {
    let person = format!("S{number}P{n}");
    let mut left: Vec<u32> = (0..words).rev().collect();
    if has_times(&person) {
        chance.shuffle(&mut left);
    }
    (person, left)
}

/// Sends one word until it is answered 200.
async fn send(client: &reqwest::Client, chance: &mut fastrand::Rng, intakes: &Intakes, person: &str, n: u32) -> Value {
    let body = body(person, n);
    loop {
        let intake = {
            let known = intakes.read().unwrap();
            known[chance.usize(..known.len())].clone()
        };
        match post(client, &intake, &format!("{person}-{n}"), &body).await {
            Some((200, answer)) => return answer,
            Some((503, _)) | None => tokio::time::sleep(Duration::from_millis(20)).await,
            Some(other) => panic!("{other:?}"),
        }
    }
}
