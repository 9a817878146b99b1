//! HR systems that send until they are answered 200, to whichever intake answers, and some of it twice.

use std::sync::Arc;
use std::sync::RwLock;
use std::time::Duration;

use crate::oracle::Accepted;
use crate::process::{http, payload, post};

/// Where the intakes are at this moment.
pub(crate) type Intakes = Arc<RwLock<Vec<String>>>;

/// Sends everything about `people` persons: a hire and `renames` renames each.
pub(crate) async fn send_all(number: u64, seed: u64, people: u32, renames: u32, intakes: Intakes) -> Accepted {
    let mut chance = fastrand::Rng::with_seed(seed ^ (number << 32));
    let client = http();
    let mut accepted = Accepted::new();
    // Everybody's next event in a random order, so that many lanes are busy at once.
    let mut open: Vec<(String, u32)> = (0..people).map(|n| (format!("S{number}P{n}"), 0)).collect();
    let mut sent: Vec<(String, u32)> = Vec::new();
    while !open.is_empty() {
        let index = chance.usize(..open.len());
        let (person, n) = open[index].clone();
        send(&client, &mut chance, &intakes, &person, n).await;
        accepted.insert(person.clone(), n + 1);
        if n == renames {
            open.swap_remove(index);
        } else {
            open[index].1 += 1;
        }
        sent.push((person, n));
        // One in ten is delivered again, some of it long after.
        if chance.u8(..) < 25 {
            let (person, n) = sent[chance.usize(..sent.len())].clone();
            let again = send(&client, &mut chance, &intakes, &person, n).await;
            assert_eq!(again, "duplicate", "{person}-{n}");
        }
    }
    accepted
}

/// Sends one event until it is answered 200; tells the status word.
async fn send(client: &reqwest::Client, chance: &mut fastrand::Rng, intakes: &Intakes, person: &str, n: u32) -> String {
    let kind = if n == 0 { "employee.hired" } else { "employee.renamed" };
    let body = payload(kind, person, &format!("Name{n}"), "Of");
    loop {
        let intake = {
            let known = intakes.read().unwrap();
            known[chance.usize(..known.len())].clone()
        };
        match post(client, &intake, &format!("{person}-{n}"), &body).await {
            Some((200, answer)) => return answer["status"].as_str().unwrap().to_owned(),
            Some((503, _)) | None => tokio::time::sleep(Duration::from_millis(20)).await,
            Some(other) => panic!("{other:?}"),
        }
    }
}
