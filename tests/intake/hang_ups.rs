//! A sender may hang up at any moment: no delivery is ever remembered without being queued.

use std::io::Write;
use std::net::Shutdown;

use super::{Bridge, eventually, hire, message};

#[test]
fn a_delivery_sent_again_after_any_hang_up_is_applied_once() {
    let bridge = Bridge::start();
    let body = hire("E-0", "ada@example.com");
    let length = message("POST", &bridge.path(), &bridge.signed("msg_000", &body), body.as_bytes()).len();
    let moments: Vec<usize> = (0..=length).step_by(7).chain([length - 1, length]).collect();
    for (n, cut) in moments.iter().enumerate() {
        let id = format!("msg_{n:03}");
        let body = hire(&format!("E-{n}"), "ada@example.com");
        let whole = message("POST", &bridge.path(), &bridge.signed(&id, &body), body.as_bytes());
        let mut socket = bridge.connect();
        socket.write_all(&whole[..(*cut).min(whole.len())]).unwrap();
        // Closed immediately in both directions, without reading: the last cuts may leave the whole delivery in.
        let _ = socket.shutdown(Shutdown::Both);
        drop(socket);
        let again = bridge.post(&id, &body);
        assert_eq!(again.status, 200, "cut at {cut}: {}", again.body);
        let word = again.word("status");
        assert!(word == "accepted" || word == "duplicate", "cut at {cut}: {word}");
        assert_eq!(again.jobs().len(), 1, "remembered and not queued, cut at {cut}");
        assert_eq!(bridge.jobs("waiting"), n as u64 + 1, "cut at {cut}");
    }
}

#[test]
fn half_a_body_is_counted_as_hung_up_and_stores_nothing() {
    let bridge = Bridge::start();
    let body = hire("E-1", "ada@example.com");
    let whole = message("POST", &bridge.path(), &bridge.signed("msg_1", &body), body.as_bytes());
    let mut socket = bridge.connect();
    socket.write_all(&whole[..whole.len() - 5]).unwrap();
    drop(socket);
    eventually("the hang-up is counted", || bridge.counted("hung_up") == 1);
    bridge.undisturbed(0, 0);
}
