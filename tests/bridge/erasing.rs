//! A person who was erased is no longer in any file of the store.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::process::{Bridge, Home, eventually, http, payload, post, sim, until};
use crate::redis_server::RedisServer;

/// Words that occur in nobody else's record.
const NAMES: [&str; 4] = ["Zerlinda", "Quartzheimer", "Perpetua", "xylophon"];

/// How a word looks in base64, as captured bodies are stored: it may start at any of three offsets.
fn in_base64(word: &str) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let shifted = [&vec![b' '; before], word.as_bytes()].concat();
        let encoded = data_encoding::BASE64_NOPAD.encode(&shifted);
        // Only the characters that do not depend on neighbouring bytes.
        encoded[(before * 8).div_ceil(6)..shifted.len() * 8 / 6].to_owned()
    })
}

/// Which of the words occur in files of this folder, each with the file.
fn found(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(self::found(&path));
            continue;
        }
        // Redis renames files while it rewrites its log: then search again.
        let Ok(bytes) = fs::read(&path) else {
            found.push(format!("{} is somewhere else", path.display()));
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let holds = |word: &str| text.contains(&word.to_ascii_lowercase());
        found.extend(NAMES.iter().filter(|word| holds(word)).map(|word| format!("{word} in {}", path.display())));
        let is_captured = |word: &&&str| in_base64(word).iter().any(|encoded| holds(encoded));
        found.extend(NAMES.iter().filter(is_captured).map(|word| format!("captured {word} in {}", path.display())));
    }
    found
}

/// Hires, renames, moves a person, sends a record about them that cannot be mapped, all among many others, and then
/// erases the person.
async fn lived_and_erased(home: &Home, bridge: &Bridge, kept_in: &Path) {
    let client = http();
    let send = async |id: &str, body: &str| {
        assert_eq!(post(&client, &bridge.listen, id, body).await.unwrap().0, 200, "{id}");
    };
    let run = |arguments: &[&str]| {
        home.command(arguments).env("SCIM_BRIDGE__SERVER__ADMIN_LISTEN", &bridge.admin).output().unwrap()
    };
    assert!(run(&["capture", "on", "--source", "hr", "--keep", "50"]).status.success());
    until("something is captured", async || {
        send("before", &payload("employee.hired", "E-0", "Ada", "Lovelace")).await;
        !bridge.api("/api/v1/captures").await["captures"].as_array().unwrap().is_empty()
    })
    .await;
    for n in 0..60 {
        send(&format!("other-{n}"), &payload("employee.hired", &format!("E-{n}"), "Ada", "Lovelace")).await;
        if n == 30 {
            let hire = payload("employee.hired", "xylophon", "Zerlinda", "Quartzheimer");
            send("hire", &hire).await;
            send("rename", &hire.replace("hired", "renamed").replace("Zerlinda", "Perpetua")).await;
            send("moved", &hire.replace("hired", "renamed").replace("@example", "@mail.example")).await;
            send("broken", &hire.replace("@example.com", "#example.com")).await;
        }
    }
    bridge.settled().await;
    // Otherwise the test would search the wrong place.
    eventually(async || {
        let found = found(kept_in);
        let has = |kind: &str, name: &str| found.iter().any(|found| found.starts_with(&format!("{kind}{name}")));
        let is_kept = NAMES.iter().all(|name| has("", name) && has("captured ", name));
        if is_kept { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    let output = run(&["person", "erase", "hr/xylophon", "--yes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let who = bridge.api("/api/v1/people?search=Quartzheimer").await;
    assert_eq!(who["people"].as_array().map(Vec::len), Some(0), "{who}");
    let audit: Value = bridge.api("/api/v1/audit").await;
    assert!(audit.to_string().contains("rase"), "the audit log has it: {audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_leaves_nothing_in_the_embedded_stores_files() {
    let sim = sim();
    let home = Home::new(&sim, "");
    let bridge = home.serve();
    let data = home.path().join("data");
    lived_and_erased(&home, &bridge, &data).await;
    assert_eq!(found(&data), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_person_leaves_nothing_in_rediss_files_once_its_log_is_rewritten() {
    let sim = sim();
    let redis = RedisServer::start();
    let token = "[server]\nadmin_token = \"a-token-that-nobody-guesses\"\n[store]\nurl = ";
    let home = Home::new(&sim, &format!("{token}\"{}\"", redis.url()));
    let bridge = home.serve();
    lived_and_erased(&home, &bridge, redis.folder()).await;
    redis.command(&["BGREWRITEAOF"]);
    until("nothing is found", async || found(redis.folder()).is_empty()).await;
}
