//! A primary that dies and a replica that sentinels promote.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scim_bridge::core::code::Code;
use scim_bridge::core::person::job::JobId;
use scim_bridge::store::Store;

use crate::servers::{Make, Server, eventually};
use crate::stage::{accept, accepts_at_last, code, is_there, open};

/// Three sentinels that watch a primary.
fn sentinels(primary: &Server) -> Vec<Server> {
    let mut sentinels: Vec<Server> = (0..3).map(|_| Server::prepared(Make::Valkey)).collect();
    for sentinel in &mut sentinels {
        sentinel.configure(&format!(
            "sentinel monitor main 127.0.0.1 {} 2\nsentinel down-after-milliseconds main 500\n\
             sentinel failover-timeout main 3000\n",
            primary.port()
        ));
        sentinel.arg(&["--sentinel"]);
        sentinel.run();
    }
    let knows_all = |sentinel: &Server| {
        let master = sentinel.ask(&["SENTINEL", "MASTER", "main"]);
        let of = |field: &str| master.lines().skip_while(|line| *line != field).nth(1).map(str::to_owned);
        of("num-other-sentinels").as_deref() == Some("2") && of("num-slaves").as_deref() == Some("2")
    };
    assert!(eventually(|| sentinels.iter().all(knows_all)), "the sentinels do not find each other");
    sentinels
}

pub(crate) fn replica_of(primary: &Server) -> Server {
    let port = primary.port().to_string();
    let replica = Server::start(Make::Valkey, &["--appendfsync", "always", "--replicaof", "127.0.0.1", &port]);
    assert!(eventually(|| replica.ask(&["INFO", "replication"]).contains("master_link_status:up")));
    replica
}

fn url(sentinels: &[Server]) -> String {
    let hosts: Vec<_> = sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    format!("redis+sentinel://{}/main", hosts.join(","))
}

/// Accepts until it is stopped; returns what was acknowledged.
pub(crate) async fn accept_until(store: Arc<dyn Store>, stop: Arc<AtomicBool>) -> Vec<JobId> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Acquire) {
        acknowledged.extend(accept(store.as_ref()).await);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_under_load_loses_no_write_acknowledged_as_replicated() {
    let mut primary = Server::start(Make::Valkey, &["--appendfsync", "always"]);
    let replicas = [replica_of(&primary), replica_of(&primary)];
    let sentinels = sentinels(&primary);
    let store = open(&url(&sentinels), &[("durability", "replicated")]);
    accepts_at_last(store.as_ref()).await;

    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..8).map(|_| tokio::spawn(accept_until(store.clone(), stop.clone()))).collect();
    let written = |server: &Server| server.info("total_commands_processed").unwrap_or_default();
    let before = written(&primary);
    assert!(eventually(|| written(&primary) > before + 100));
    primary.kill();
    let promoted = |server: &Server| server.ask(&["INFO", "replication"]).contains("role:master");
    assert!(eventually(|| replicas.iter().any(promoted)), "no replica is promoted");
    accepts_at_last(store.as_ref()).await;
    stop.store(true, Ordering::Release);
    let mut acknowledged = 0;
    for sender in senders {
        for id in sender.await.unwrap() {
            acknowledged += 1;
            assert!(is_there(store.as_ref(), id).await, "{id} was acknowledged and is lost");
        }
    }
    assert!(acknowledged > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_do_not_know_the_primary_are_reported() {
    let primary = Server::start(Make::Valkey, &[]);
    let _replicas = [replica_of(&primary), replica_of(&primary)];
    let mut sentinels = sentinels(&primary);
    let wrong = url(&sentinels).replace("/main", "/other");
    assert_eq!(code(open(&wrong, &[]).check().await), Code::StoreNoPrimary);
    // Sentinels that are gone or hang delay nobody.
    sentinels[0].kill();
    sentinels[1].hang();
    accept(open(&url(&sentinels), &[]).as_ref()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_and_servers_may_have_different_passwords() {
    let mut primary = Server::start(Make::Valkey, &[]);
    primary.ask(&["CONFIG", "SET", "requirepass", "server's own"]);
    primary.login("default", "server's own");
    let mut sentinel = Server::prepared(Make::Valkey);
    let conf = format!("sentinel monitor main 127.0.0.1 {} 1\nrequirepass theirs\n", primary.port());
    sentinel.configure(&conf);
    sentinel.arg(&["--sentinel"]);
    sentinel.login("default", "theirs");
    sentinel.run();
    let hosts = [sentinel];
    let url = url(&hosts).replace("://", "://:server's%20own@");
    accept(open(&url, &[("sentinel_password", "theirs")]).as_ref()).await.unwrap();
    assert_eq!(code(open(&url, &[]).check().await), Code::StoreAuth);
}

/// A sentinel that always announces this port, after a pause; returns its own port.
fn fixed_sentinel(primary: u16, pause: std::time::Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Ends when the bridge closes the connection.
            std::thread::spawn(move || answer_as_sentinel(stream.unwrap(), primary, pause));
        }
    });
    port
}

fn answer_as_sentinel(stream: TcpStream, primary: u16, pause: std::time::Duration) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = Vec::new();
        for _ in 0..line[1..].trim().parse::<usize>().unwrap() {
            let mut length = String::new();
            stream.read_line(&mut length)?;
            let mut word = vec![0; length[1..].trim().parse::<usize>().unwrap() + 2];
            stream.read_exact(&mut word)?;
            words.push(String::from_utf8(word).unwrap().trim().to_uppercase());
        }
        let answer = match words[0].as_str() {
            "HELLO" => "%1\r\n$5\r\nproto\r\n:3\r\n".to_owned(),
            "SENTINEL" => {
                std::thread::sleep(pause);
                let primary = primary.to_string();
                format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{primary}\r\n", primary.len())
            }
            _ => "+OK\r\n".to_owned(),
        };
        stream.get_mut().write_all(answer.as_bytes())?;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_names_the_former_primary_does_not_override_one_that_knows_better() {
    let primary = Server::start(Make::Valkey, &[]);
    let former = replica_of(&primary);
    let gone = crate::servers::free_port();
    for wrong in [former.port(), gone] {
        let quick = fixed_sentinel(wrong, std::time::Duration::ZERO);
        let right = fixed_sentinel(primary.port(), std::time::Duration::from_millis(50));
        let url = format!("redis+sentinel://127.0.0.1:{quick},127.0.0.1:{right}/main");
        // At the very first call, and after every break.
        let store = open(&url, &[]);
        accept(store.as_ref()).await.unwrap();
        primary.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        let (_, refused) = accepts_at_last(store.as_ref()).await;
        assert!(refused <= 1, "{refused}: the call that was interrupted");
        // No sentinel knows better: the error is about the announced primary.
        let alone = open(&format!("redis+sentinel://127.0.0.1:{quick}/main"), &[]);
        let refusal = code(accept(alone.as_ref()).await);
        assert_eq!(refusal, if wrong == gone { Code::StoreUnreachable } else { Code::StoreReadOnly });
    }
}
