//! Peak memory of the real process at its bounds, as the kernel counts it. The limits hold for a debug build, too.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use scim_bridge::descriptors;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use crate::process::{Bridge, Home, PATIENCE, eventually, http, payload, post, signature, sim, until};

const MIB: usize = 1024 * 1024;
/// What the chart gives the intake.
const INTAKE_MIB: usize = 256;

fn resident_mib(bridge: &Bridge) -> usize {
    bridge.memory_kib("VmRSS") / 1024
}

fn peak_mib(bridge: &Bridge) -> usize {
    bridge.memory_kib("VmHWM") / 1024
}

/// The head of a delivery, with the blank line after it.
fn head(id: &str, body_bytes: usize, signature: &str, now: i64) -> String {
    format!(
        "POST /webhooks/hr HTTP/1.1\r\nhost: bridge\r\nconnection: close\r\ncontent-type: application/json\r\n\
         webhook-id: {id}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n\
         content-length: {body_bytes}\r\n\r\n"
    )
}

/// A hire of 1 MiB, most of it an unused array of `unit`s.
fn padded(n: usize, unit: &str) -> String {
    let hire = payload("employee.hired", &format!("E-{n}"), "Ada", "Lovelace");
    let open = hire.strip_suffix('}').unwrap();
    let (before, after) = (format!(r#"{open},"x":["#), "0]}");
    let room = MIB - before.len() - after.len();
    format!("{before}{}{after}", unit.repeat(room / unit.len()))
}

/// The status of the answer; none if there is no answer.
fn status(mut socket: &TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    // An answer sent before the whole body was read may be followed by a reset.
    let _ = socket.read_to_end(&mut answer);
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

/// Sends this many bodies of 1 MiB at once, all but the last byte first, then the last bytes; returns the answers.
fn at_once(bridge: &Bridge, bodies: usize, unit: &str) -> Vec<Option<u16>> {
    let ready = Barrier::new(bodies);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..bodies)
            .map(|n| {
                let (ready, listen) = (&ready, &bridge.listen);
                scope.spawn(move || {
                    let (id, body) = (format!("m{n}"), padded(n, unit));
                    let (signature, now) = signature(&id, &body);
                    let mut socket = TcpStream::connect(listen).unwrap();
                    socket.set_read_timeout(Some(PATIENCE)).unwrap();
                    let (most, last) = body.as_bytes().split_at(body.len() - 1);
                    // Some lose their share of memory to later ones, and get a 503.
                    let sent = socket.write_all(head(&id, body.len(), &signature, now).as_bytes());
                    let sent = sent.and_then(|()| socket.write_all(most));
                    ready.wait();
                    let _ = sent.and_then(|()| socket.write_all(last));
                    status(&socket)
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    })
}

async fn is_taken(bridge: &Bridge, id: &str) -> bool {
    let body = payload("employee.hired", id, "Ada", "Lovelace");
    post(&http(), &bridge.listen, id, &body).await.is_some_and(|(status, _)| status == 200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_bodies_of_1_mib_of_the_worst_json_at_once_stay_under_256_mib_and_give_it_back() {
    let sim = sim();
    let nested = format!("{}0{},", r#"{"":"#.repeat(100), "}".repeat(100));
    for unit in [r#"{"":0},"#, &nested] {
        let home = Home::new(&sim, "");
        let bridge = home.serve();
        let idle = resident_mib(&bridge);
        let answers = at_once(&bridge, 60, unit);
        let peak = peak_mib(&bridge);
        let shown = &unit[..unit.len().min(12)];
        println!("60 bodies of {shown}…: {idle} MiB idle, {peak} MiB at most");
        assert!(peak < INTAKE_MIB, "{shown}: {peak} MiB, {idle} when idle");
        assert!(answers.contains(&Some(200)), "{shown}: {answers:?}");
        let is_fair = |answer: &Option<u16>| answer.is_none_or(|status| [200, 503].contains(&status));
        assert!(answers.iter().all(is_fair), "{shown}: {answers:?}");
        assert!(is_taken(&bridge, "after").await, "{shown}");
        eventually(async || match resident_mib(&bridge) {
            mib if mib <= idle + 64 => Ok(()),
            mib => Err(format!("{shown}: {mib} MiB stay, {idle} when idle")),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_unfinished_bodies_with_a_wrong_signature_stay_under_256_mib() {
    const CONNECTIONS: usize = 2_000;
    assert!(descriptors::raise_limit() > CONNECTIONS + 200, "`ulimit -Hn` must allow more files for this test");
    let sim = sim();
    // Long enough that none is cut off while the others still connect.
    let home = Home::new(&sim, "[server]\nbody_timeout_s = 300");
    let bridge = home.serve();
    let idle = resident_mib(&bridge);
    let (signature, now) = signature("another", "body");
    let head = Arc::new(head("m", MIB, &signature, now));
    let body = Arc::new(vec![b' '; MIB - 1]);
    let (began, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let address = bridge.listen.parse().unwrap();
    let mut strangers = tokio::task::JoinSet::new();
    for n in 0..CONNECTIONS {
        let (head, body, began, sent) = (head.clone(), body.clone(), began.clone(), sent.clone());
        strangers.spawn(async move {
            let socket = TcpSocket::new_v4().unwrap();
            // Each peer has 500 of the 1,000 connections that it may have.
            socket.bind((Ipv4Addr::new(127, 0, 1, u8::try_from(n % 4).unwrap()), 0).into()).unwrap();
            let mut socket = socket.connect(address).await.unwrap();
            let whole = async {
                socket.write_all(head.as_bytes()).await?;
                began.fetch_add(1, Ordering::Relaxed);
                socket.write_all(&body).await?;
                sent.fetch_add(1, Ordering::Relaxed);
                // Until it is cut off, or the test ends.
                socket.read_to_end(&mut Vec::new()).await
            };
            let _ = whole.await;
        });
    }
    let since = Instant::now();
    let mut taken = 0;
    while began.load(Ordering::Relaxed) < CONNECTIONS || taken < 5 {
        let began = began.load(Ordering::Relaxed);
        assert!(since.elapsed() < PATIENCE, "{began} of {CONNECTIONS} began, {taken} genuine deliveries were taken");
        // How quickly is measured by `benches/strangers`: a debug build next to other tests is slow. The sender tries
        // again, as any sender does that got no answer in time.
        taken += usize::from(is_taken(&bridge, &format!("E-{taken}")).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (peak, sent) = (peak_mib(&bridge), sent.load(Ordering::Relaxed));
    println!("2,000 unfinished bodies, {sent} sent to the last byte but one: {idle} MiB idle, {peak} MiB at most");
    assert!(peak < INTAKE_MIB, "{peak} MiB, {idle} when idle; {sent} sent to the last byte but one");
    assert!(sent >= 8, "{sent} of {CONNECTIONS} were sent: there was no flood");
    strangers.abort_all();
}

/// A target that knows everybody already, and whose answer to a search by address is 4 MiB of `row`; the first
/// `at_once` answers are sent at the same time.
fn talkative_target(row: &'static str, at_once: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
    let replies = Arc::new(AtomicUsize::new(0));
    let (asked, answered) = (Arc::new(AtomicUsize::new(0)), replies.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (asked, answered) = (asked.clone(), answered.clone());
            // A client that hangs up ends only its own thread.
            std::thread::spawn(move || answer(stream.unwrap(), row, at_once, &asked, &answered));
        }
    });
    (url, replies)
}

fn answer(
    stream: TcpStream,
    row: &str,
    at_once: usize,
    asked: &AtomicUsize,
    answered: &AtomicUsize,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let (mut first, mut line) = (String::new(), String::new());
    lines.read_line(&mut first)?;
    let mut length = 0;
    while lines.read_line(&mut line)? > 2 {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    lines.read_exact(&mut vec![0; length])?;
    let mut stream = lines.into_inner();
    let (status, body) = if first.starts_with("POST ") {
        ("409 Conflict", r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"409","scimType":"uniqueness","detail":"User already exists"}"#.to_owned())
    } else if first.contains("filter=") {
        let since = Instant::now();
        asked.fetch_add(1, Ordering::SeqCst);
        while asked.load(Ordering::SeqCst) < at_once && since.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        let rows = (4 * MIB - 200) / row.len();
        ("200 OK", format!(r#"{{"totalResults":1,"Resources":[{}0]}}"#, row.repeat(rows)))
    } else {
        ("200 OK", r#"{"totalResults":0,"Resources":[]}"#.to_owned())
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/scim+json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    if length > MIB {
        answered.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_replies_of_4_mib_at_once_stay_under_128_mib_above_idle() {
    const REPLIES: usize = 8;
    for row in [r#"{"":0},"#, r#"{"id":1,"userName":"bob@example.com"},"#] {
        let (url, replies) = talkative_target(row, REPLIES);
        let home = Home::at(&url, "[postman]\ntimeout_s = 280\n[worker]\nlease_s = 300\nconcurrency = 8");
        let bridge = home.serve();
        let idle = resident_mib(&bridge);
        for n in 0..REPLIES {
            assert!(is_taken(&bridge, &format!("E-{n}")).await);
        }
        until("all replies are sent and read", async || {
            replies.load(Ordering::SeqCst) >= REPLIES && bridge.jobs(&["running"]).await == 0
        })
        .await;
        let peak = peak_mib(&bridge);
        println!("8 replies of {row}…: {idle} MiB idle, {peak} MiB at most");
        assert!(peak - idle < 128, "{row}: {peak} MiB, {idle} when idle");
    }
}
