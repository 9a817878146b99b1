//! Who we are to the server: passwords, least rights, certificates.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use scim_bridge::app;
use scim_bridge::config::{Config, StoreUrl};
use scim_bridge::core::code::Code;
use scim_bridge::core::event::{Person, SourceName};
use scim_bridge::core::hold::HoldScope;
use scim_bridge::core::job::DirectoryEntry;
use scim_bridge::store::Record;
use scim_bridge::store::copy::{CopyError, CopyOptions, copy};

use crate::on_both;
use crate::servers::{Make, Server, free_port};
use crate::stage::{accept, accepts_at_last, claim, code, config, fails_with, now, open, settle};

on_both! {
    a_password_is_needed_and_a_changed_one_is_taken_from_its_file
    a_password_is_rotated_as_the_documentation_says
    the_rights_that_the_documentation_lists_are_enough
    a_right_that_is_missing_is_told_before_anything_is_written
    a_right_that_is_taken_away_is_told_and_leaves_nothing_half_written
}

async fn a_password_is_needed_and_a_changed_one_is_taken_from_its_file(make: Make) {
    let mut server = Server::start(make, &[]);
    server.ask(&["CONFIG", "SET", "requirepass", "first"]);
    server.login("default", "first");
    assert_eq!(code(open(&server.url(), &[]).ping().await), Code::StoreAuth);
    assert_eq!(code(open(&server.url(), &[("password", "wrong")]).ping().await), Code::StoreAuth);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "first\n").unwrap();
    let mut config = config(&server.url(), &[("STORE__PASSWORD__FILE", file.to_str().unwrap())]);
    let store = scim_bridge::app::open_store(&config).unwrap();
    accept(store.as_ref()).await.unwrap();
    server.ask(&["CONFIG", "SET", "requirepass", "second"]);
    server.login("default", "second");
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    fails_with(store.as_ref(), Code::StoreAuth).await;
    fs::write(&file, "second\n").unwrap();
    assert_eq!(config.secret_files.refresh().changed, ["store.password"]);
    accepts_at_last(store.as_ref()).await;
}

async fn a_password_is_rotated_as_the_documentation_says(make: Make) {
    let server = Server::start(make, &["--appendfsync", "everysec"]);
    server.ask(&["ACL", "SETUSER", "bridge", "on", ">one", "~*", "&*", "+@all"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "one").unwrap();
    let mut keys = vec![("STORE__USERNAME", "bridge"), ("STORE__PASSWORD__FILE", file.to_str().unwrap())];
    if make == Make::Valkey {
        keys.push(("durability", "fsynced"));
    }
    let mut config = config(&server.url(), &keys);
    let store = scim_bridge::app::open_store(&config).unwrap();
    accept(store.as_ref()).await.unwrap();
    server.ask(&["ACL", "SETUSER", "bridge", ">two"]);
    fs::write(&file, "two").unwrap();
    assert_eq!(config.secret_files.refresh().changed, ["store.password"]);
    server.ask(&["ACL", "SETUSER", "bridge", "<one"]);
    // The connections that wait for disks break one by one, while the shared one stays.
    if make == Make::Valkey {
        let clients = server.ask(&["CLIENT", "LIST"]);
        let waited = clients.lines().filter(|line| line.contains(" cmd=waitaof "));
        let ids: Vec<&str> = waited.filter_map(|line| line.strip_prefix("id=")?.split(' ').next()).collect();
        assert!(!ids.is_empty(), "{clients}");
        for id in ids {
            assert_eq!(server.ask(&["CLIENT", "KILL", "ID", id]), "1");
        }
        accept(store.as_ref()).await.unwrap();
    }
    // And the shared one.
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    accepts_at_last(store.as_ref()).await;
}

/// The rule that `docs/redis.md` gives, for a key prefix of `scim-bridge`.
fn documented_rights() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/redis.md")).unwrap();
    let rule = text.lines().find_map(|line| line.strip_prefix("ACL SETUSER bridge ")).expect("the rule is documented");
    rule.split_whitespace().map(str::to_owned).collect()
}

fn set_user(server: &Server, rights: &[String]) {
    let mut command = vec!["ACL", "SETUSER", "bridge", "reset"];
    command.extend(rights.iter().map(String::as_str).filter(|word| *word != "reset"));
    let answer = server.ask(&command);
    assert_eq!(answer, "OK", "{command:?}");
}

async fn the_rights_that_the_documentation_lists_are_enough(make: Make) {
    let (server, rights) = with_documented_user(make);
    let password = rights.iter().find_map(|word| word.strip_prefix('>')).unwrap();
    let mut keys = vec![("username", "bridge"), ("password", password)];
    if make == Make::Valkey {
        keys.push(("durability", "fsynced"));
    }
    let store = open(&server.url(), &keys);
    let id = accept(store.as_ref()).await.unwrap();
    let woken = tokio::spawn({
        let store = store.clone();
        async move { store.woken().await }
    });
    // The first wake-up says that the subscription stands.
    tokio::time::timeout(std::time::Duration::from_secs(10), woken).await.unwrap().unwrap();
    let claimed = claim(store.as_ref()).await.unwrap();
    store.renew(now(), &claimed[0].lease, 60_000).await.unwrap().unwrap();
    settle(store.as_ref(), &claimed[0]).await.unwrap();
    store.set_hold(now(), HoldScope::All, Code::HoldKey).await.unwrap();
    store.holds().await.unwrap();
    store.lift_hold(now(), None).await.unwrap();
    store.back_off(now(), now()).await.unwrap();
    store.take_token(now(), scim_bridge::core::limiter::CallKind::Read).await.unwrap();
    let page = scim_bridge::store::Page { rows_max: 10, before: None };
    store.dead_letters(&page).await.unwrap();
    store.jobs(scim_bridge::core::job::JobState::Done, &page).await.unwrap();
    let view = store.job(id).await.unwrap().unwrap();
    store.person(&view.job.event.person).await.unwrap().unwrap();
    store.discard(now(), id).await.unwrap();
    store.replay(now(), id).await.unwrap();
    store.stats(now()).await.unwrap();
    store.tidy(now()).await.unwrap();
    store.ping().await.unwrap();
    // It listens for wake-ups; a store that somebody works on is not copied.
    drop(store);
    copies(&config(&server.url(), &keys)).await;
    let log = server.ask(&["ACL", "LOG"]);
    assert!(log.is_empty(), "refused: {log}");
}

/// Copies the store out, and tries to copy it back.
async fn copies(config: &Config) {
    let folder = tempfile::tempdir().unwrap();
    let embedded = StoreUrl::Embedded { dir: folder.path().to_owned() };
    let from = app::open_other_store(config, &config.store.url, None).unwrap();
    let between = app::open_other_store(config, &embedded, None).unwrap();
    accept(from.as_ref()).await.unwrap();
    let settled = claim(from.as_ref()).await.unwrap();
    settle(from.as_ref(), &settled[0]).await.unwrap();
    from.import(now(), 0, vec![person()]).await.unwrap();
    let how = CopyOptions { hold_source: false, fresh_id: [7; 16] };
    // The connection that listened takes a moment to go.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let copied = loop {
        match copy(from.as_ref(), between.as_ref(), now, how, |_, _, _| {}).await {
            Err(CopyError::InUse { .. }) if std::time::Instant::now() < deadline => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert!(copied.is_whole() && !copied.is_empty(), "{copied:?}");
    // The store that it came from has its own events: everything is known there, and it takes no other's.
    let back = copy(between.as_ref(), from.as_ref(), now, CopyOptions { fresh_id: [8; 16], ..how }, |_, _, _| {}).await;
    assert!(matches!(back, Err(CopyError::Newer)), "{back:?}");
}

/// Somebody in the directory.
fn person() -> Record {
    let person = Person::parse(SourceName::parse("hr").unwrap(), "E-1").unwrap();
    let entry = DirectoryEntry {
        scim_id: Some("1".to_owned()),
        user_name: "ada@example.com".to_owned(),
        in_line_at: now(),
        occurred_at: None,
        seq: 1,
    };
    Record::Person(person, entry)
}

/// The commands that the scripts call, by their sources.
fn script_commands() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/redis/lua");
    let mut commands = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for begin in ["call('", "write('"] {
            commands.extend(text.split(begin).skip(1).map(|rest| rest.split('\'').next().unwrap().to_lowercase()));
        }
    }
    assert!(commands.contains("zadd") && commands.contains("publish"), "{commands:?}");
    commands
}

#[test]
fn the_rights_that_the_documentation_lists_are_those_that_are_used() {
    let mut used = script_commands();
    // What is sent besides scripts.
    used.extend(["evalsha", "eval", "info", "ping", "select", "subscribe", "waitaof"].map(str::to_owned));
    let listed = documented_rights().iter().filter_map(|word| word.strip_prefix('+')).map(str::to_owned).collect();
    assert_eq!(used, listed);
}

/// A server with the documented user, and what the configuration needs for it.
fn with_documented_user(make: Make) -> (Server, Vec<String>) {
    let server = Server::start(make, &["--appendfsync", "always"]);
    // Redis 7.0 has no `WAITAOF` to allow.
    let known = |right: &String| make == Make::Valkey || right != "+waitaof";
    let rights: Vec<String> = documented_rights().into_iter().filter(known).collect();
    set_user(&server, &rights);
    (server, rights)
}

const BRIDGE: [(&str, &str); 2] = [("username", "bridge"), ("password", "change-me")];

async fn a_right_that_is_missing_is_told_before_anything_is_written(make: Make) {
    let (server, rights) = with_documented_user(make);
    let mut keys = BRIDGE.to_vec();
    if make == Make::Valkey {
        keys.push(("durability", "fsynced"));
    }
    let mut removed = 0;
    for command in rights.iter().filter_map(|right| right.strip_prefix('+')) {
        // Only for another database than 0.
        if command == "select" {
            continue;
        }
        server.ask(&["SCRIPT", "FLUSH"]);
        server.ask(&["ACL", "SETUSER", "bridge", &format!("-{command}")]);
        let store = open(&server.url(), &keys);
        for error in [accept(store.as_ref()).await.unwrap_err(), store.ping().await.unwrap_err()] {
            assert_eq!(error.code(), Some(Code::StoreNoPerm), "{command}: {error}");
            assert!(error.to_string().contains(command), "{command}: {error}");
        }
        assert_eq!(server.ask(&["DBSIZE"]), "0", "something was written without {command}");
        server.ask(&["ACL", "SETUSER", "bridge", &format!("+{command}")]);
        removed += 1;
    }
    assert!(removed >= 25, "{removed}");
    accept(open(&server.url(), &keys).as_ref()).await.unwrap();
}

async fn a_right_that_is_taken_away_is_told_and_leaves_nothing_half_written(make: Make) {
    let (server, _) = with_documented_user(make);
    let store = open(&server.url(), &BRIDGE);
    accept(store.as_ref()).await.unwrap();
    // All that an acceptance writes in.
    let figures = || {
        let hashes =
            ["job", "lane", "live", "seen"].map(|name| server.ask(&["HLEN", &format!("{{scim-bridge}}:{name}")]));
        let orders = ["due:h", "live:order"];
        let orders = orders.map(|name| server.ask(&["ZCARD", &format!("{{scim-bridge}}:{name}")]));
        (hashes, orders, server.ask(&["HMGET", "{scim-bridge}:ctl", "live", "seq"]))
    };
    let (mut refused, before) = (0, figures());
    for command in script_commands() {
        server.ask(&["ACL", "SETUSER", "bridge", &format!("-{command}")]);
        // Not ready, whichever it is.
        let error = store.ping().await.unwrap_err();
        assert_eq!(error.code(), Some(Code::StoreNoPerm), "{command}: {error}");
        assert!(error.to_string().contains(&command), "{error}");
        // Where accepting needs it, it is refused whole.
        if let Err(error) = accept(store.as_ref()).await {
            refused += 1;
            assert_eq!(error.code(), Some(Code::StoreNoPerm), "{command}: {error}");
            assert_eq!(figures(), before, "half written without {command}");
        } else {
            server.ask(&["FLUSHALL"]);
            server.ask(&["ACL", "SETUSER", "bridge", &format!("+{command}")]);
            accept(store.as_ref()).await.unwrap();
        }
        server.ask(&["ACL", "SETUSER", "bridge", &format!("+{command}")]);
        store.ping().await.unwrap();
    }
    assert!(refused > 8, "{refused}");
}

/// An authority, and two certificates that it signed.
fn certificates(folder: &Path) {
    let script = "set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt
        for name in server client; do
          openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
          printf 'subjectAltName=IP:127.0.0.1' > ext
          openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name.crt
        done";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).stderr(Stdio::piped()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// On Redis alone: the Valkey that the tests install is built without TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_trusts_our_own_authority_and_shows_our_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let port = free_port().to_string();
    let (ca, cert, key) = (path("ca.crt"), path("server.crt"), path("server.key"));
    let _server = Server::start(
        Make::Redis,
        &[
            "--tls-port",
            &port,
            "--tls-ca-cert-file",
            &ca,
            "--tls-cert-file",
            &cert,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            "yes",
        ],
    );
    let url = format!("rediss://127.0.0.1:{port}");
    let (client, client_key) = (path("client.crt"), path("client.key"));
    let all = [("ca_file", ca.as_str()), ("cert_file", client.as_str()), ("key_file", client_key.as_str())];
    let store = open(&url, &all);
    accept(store.as_ref()).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), store.woken()).await.unwrap();
    // Without our certificate, and without trust in theirs.
    assert_eq!(code(open(&url, &all[..1]).ping().await), Code::StoreTls);
    assert_eq!(code(open(&url, &[]).ping().await), Code::StoreTls);
    let elsewhere = format!("rediss://localhost:{port}");
    assert_eq!(code(open(&elsewhere, &all).ping().await), Code::StoreTls);
}
