//! A user with the permissions in the documentation, and with fewer.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use scim_bridge::core::code::Code;
use scim_bridge::core::limiter::CallKind;
use scim_bridge::store::{DeadFilter, LaneState, Own, Page};

use crate::on_both;
use crate::servers::{Make, Server};
use crate::stage::{accept, claim, fold, now, open, person};

on_both! {
    the_documented_rights_are_enough
    a_missing_right_is_reported_before_anything_is_written
    a_revoked_right_is_reported_and_leaves_nothing_half_written
}

/// What `read.lua` can be asked for.
const READS: [&str; 14] = [
    "get", "getrange", "hget", "hgetall", "hkeys", "hmget", "lrange", "lindex", "llen", "smembers", "zcard", "zcount",
    "zrange", "zrank",
];

/// The ACL rule in `docs/redis.md`, for the key prefix `scim-bridge`.
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

async fn the_documented_rights_are_enough(make: Make) {
    let (server, rights) = with_documented_user(make);
    let password = rights.iter().find_map(|word| word.strip_prefix('>')).unwrap();
    let url = server.url().replace("://", &format!("://bridge:{password}@"));
    let keys: &[_] = if make == Make::Valkey { &[("durability", "fsynced")] } else { &[] };
    let store = open(&url, keys);
    let id = accept(store.as_ref()).await.unwrap();
    let woken = tokio::spawn({
        let store = store.clone();
        async move { store.woken().await }
    });
    // The first wake-up shows that the subscription works.
    tokio::time::timeout(std::time::Duration::from_secs(10), woken).await.unwrap().unwrap();
    let claimed = claim(store.as_ref()).await.unwrap();
    store.renew(now(), &claimed[0].lease, 60_000).await.unwrap().unwrap();
    let own = Own { keys: vec!["id:1".to_owned()], from: None };
    store.own(now(), &claimed[0].lease, own).await.unwrap();
    fold(store.as_ref(), &claimed[0]).await.unwrap();
    assert!(store.owner("id:1").await.unwrap().is_some());
    store.put_shared("holds", 0, "held".into()).await.unwrap();
    store.shared("holds").await.unwrap();
    store.release(now(), "all", 1).await.unwrap();
    store.back_off(now(), now()).await.unwrap();
    store.take_token(now(), CallKind::Read).await.unwrap();
    let page = Page { rows_max: 10, after: None };
    store.dead(&DeadFilter::default(), &page).await.unwrap();
    for state in LaneState::ALL {
        store.lanes(state, &page).await.unwrap();
    }
    store.people(&page).await.unwrap();
    store.search("ada", &page).await.unwrap();
    store.story(id.person()).await.unwrap();
    store.discard_unmapped(id).await.unwrap();
    store.stats().await.unwrap();
    store.tidy(now()).await.unwrap();
    store.end_leases(now()).await.unwrap();
    store.check().await.unwrap();
    store.erase(now(), &person("E-1"), &["all".to_owned()]).await.unwrap();
    let log = server.ask(&["ACL", "LOG"]);
    assert!(log.is_empty(), "refused: {log}");
}

/// The commands in the scripts' sources.
fn script_commands() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/redis/lua");
    let mut commands = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for begin in ["call('", "try('"] {
            commands.extend(text.split(begin).skip(1).map(|rest| rest.split('\'').next().unwrap().to_lowercase()));
        }
    }
    // What `read.lua` can be asked for.
    commands.extend(READS.map(str::to_owned));
    assert!(commands.contains("zadd") && commands.contains("publish"), "{commands:?}");
    commands
}

#[test]
fn the_documented_rights_are_those_in_use() {
    let mut used = script_commands();
    // What is sent besides scripts.
    used.extend(["evalsha", "eval", "info", "ping", "select", "subscribe", "waitaof"].map(str::to_owned));
    let listed = documented_rights().iter().filter_map(|word| word.strip_prefix('+')).map(str::to_owned).collect();
    assert_eq!(used, listed);
}

/// A server with the documented user, and the configuration for it.
fn with_documented_user(make: Make) -> (Server, Vec<String>) {
    let server = Server::start(make, &["--appendfsync", "always"]);
    // Redis 7.0 has no `WAITAOF` to allow.
    let known = |right: &String| make == Make::Valkey || right != "+waitaof";
    let mut rights: Vec<String> = documented_rights().into_iter().filter(known).collect();
    // Documented for durability settings that wait for disks.
    rights.extend((make == Make::Valkey).then(|| "+config|get".to_owned()));
    set_user(&server, &rights);
    (server, rights)
}

/// The server's URL, including the user.
fn url(server: &Server) -> String {
    server.url().replace("://", "://bridge:change-me@")
}

async fn a_missing_right_is_reported_before_anything_is_written(make: Make) {
    let (server, rights) = with_documented_user(make);
    let keys: &[_] = if make == Make::Valkey { &[("durability", "fsynced")] } else { &[] };
    let mut removed = 0;
    for command in rights.iter().filter_map(|right| right.strip_prefix('+')) {
        // Only needed for databases other than 0; without `config|get` there is only a warning.
        if matches!(command, "select" | "config|get") {
            continue;
        }
        server.ask(&["SCRIPT", "FLUSH"]);
        server.ask(&["ACL", "SETUSER", "bridge", &format!("-{command}")]);
        let store = open(&url(&server), keys);
        for error in [accept(store.as_ref()).await.unwrap_err(), store.check().await.unwrap_err()] {
            assert_eq!(error.code(), Some(Code::StoreNoPerm), "{command}: {error}");
            assert!(error.to_string().contains(command), "{command}: {error}");
        }
        assert_eq!(server.ask(&["DBSIZE"]), "0", "something was written without {command}");
        server.ask(&["ACL", "SETUSER", "bridge", &format!("+{command}")]);
        removed += 1;
    }
    assert!(removed >= 25, "{removed}");
    accept(open(&url(&server), keys).as_ref()).await.unwrap();
}

async fn a_revoked_right_is_reported_and_leaves_nothing_half_written(make: Make) {
    let (server, _) = with_documented_user(make);
    let mut store = open(&url(&server), &[]);
    accept(store.as_ref()).await.unwrap();
    // Everything that accepting a delivery writes to.
    let figures = || {
        let names = ["fresh", "ctl", "entries"].map(|name| format!("{{scim-bridge}}:{name}"));
        let counts = [
            server.ask(&["LLEN", &names[0]]),
            server.ask(&["HGET", &names[1], "seq"]),
            server.ask(&["HGET", &names[2], "hr"]),
        ];
        (counts, server.ask(&["DBSIZE"]))
    };
    let (mut refused, before) = (0, figures());
    for command in script_commands() {
        server.ask(&["ACL", "SETUSER", "bridge", &format!("-{command}")]);
        // Not ready without any of them.
        let error = store.check().await.unwrap_err();
        assert_eq!(error.code(), Some(Code::StoreNoPerm), "{command}: {error}");
        assert!(error.to_string().contains(&command), "{error}");
        // If accepting needs the command, the whole delivery is refused.
        if let Err(error) = accept(store.as_ref()).await {
            refused += 1;
            assert_eq!(error.code(), Some(Code::StoreNoPerm), "{command}: {error}");
            assert_eq!(figures(), before, "half written without {command}");
        } else {
            server.ask(&["FLUSHALL"]);
            server.ask(&["ACL", "SETUSER", "bridge", &format!("+{command}")]);
            store = open(&url(&server), &[]);
            accept(store.as_ref()).await.unwrap();
        }
        server.ask(&["ACL", "SETUSER", "bridge", &format!("+{command}")]);
        store.check().await.unwrap();
    }
    assert!(refused > 8, "{refused}");
}
