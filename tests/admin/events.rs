//! The stream that a page of the console listens to: it says that something changed, for as long as the session lasts.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::console::Visitor;
use crate::stage::{LOOKER, Stage, TOKEN, hire};

/// Far above the second within which a change is announced.
const PATIENCE: Duration = Duration::from_mins(1);
/// The same as in `console/events.rs`.
const STREAMS_MAX: usize = 32;

/// An open stream of events.
struct Stream {
    socket: TcpStream,
    heard: String,
}

impl Stream {
    /// Opens a stream, which must be accepted.
    async fn open(to: SocketAddr, cookie: &str) -> Self {
        Self::try_open(to, cookie).await.unwrap()
    }

    /// Opens a stream; none if there are too many.
    async fn try_open(to: SocketAddr, cookie: &str) -> Option<Self> {
        let mut socket = TcpStream::connect(to).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: {to}\r\nCookie: {cookie}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut stream = Self { socket, heard: String::new() };
        let head = stream.until("\r\n\r\n").await;
        head.starts_with("HTTP/1.1 200 ").then_some(stream)
    }

    /// Reads on; returns whether anything came.
    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = timeout(PATIENCE, self.socket.read(&mut bytes)).await.unwrap().unwrap_or(0);
        self.heard += std::str::from_utf8(&bytes[..read]).unwrap();
        read > 0
    }

    /// Reads until this text comes, and drops everything before it.
    async fn until(&mut self, text: &str) -> String {
        while !self.heard.contains(text) {
            assert!(self.more().await, "the stream has ended: {}", self.heard);
        }
        let (before, after) = self.heard.split_once(text).unwrap();
        let before = before.to_owned();
        self.heard = after.to_owned();
        before
    }

    /// Reads until the stream ends: its last chunk is empty.
    async fn end(mut self) {
        while !self.heard.ends_with("0\r\n\r\n") && self.more().await {}
    }
}

#[tokio::test]
async fn a_viewer_is_notified_of_a_change_without_its_content() {
    let stage = Stage::set();
    let mut streams = Vec::new();
    for token in [TOKEN, LOOKER] {
        let visitor = Visitor::log_in_with(&stage, token).await;
        let mut stream = Stream::open(stage.address, visitor.cookie()).await;
        stream.until("retry: 3000").await;
        streams.push(stream);
    }
    // The first event may be about a change before the stream was opened.
    for n in 0..3 {
        stage.accept(vec![hire(&format!("E-{n}"), "Ada", "Lovelace")]).await;
        for stream in &mut streams {
            let before = stream.until("data: changed\n").await;
            assert!(!before.contains("Ada") && !before.contains("E-"), "{before}");
        }
    }
}

#[tokio::test]
async fn nobody_else_is_notified() {
    let stage = Stage::set();
    assert_eq!(stage.get("/events").await.header("location"), Some("/login"));
    assert_eq!(stage.api("GET", "/events", "").await.status, 303);
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let stage = Stage::set();
    let (leaves, stays) = (Visitor::log_in(&stage).await, Visitor::log_in(&stage).await);
    let ends = Stream::open(stage.address, leaves.cookie()).await;
    let mut goes_on = Stream::open(stage.address, stays.cookie()).await;
    assert_eq!(leaves.submit("/logout", "").await.status, 303);
    ends.end().await;
    goes_on.until("data: changed\n").await;
    stage.accept(vec![hire("E-1", "Ada", "Lovelace")]).await;
    goes_on.until("data: changed\n").await;
    stage.clock.advance_ms(8 * 3_600_000);
    stage.accept(vec![hire("E-2", "Grace", "Hopper")]).await;
    goes_on.end().await;
}

#[tokio::test]
async fn streams_are_bounded_leave_room_for_others_and_end_when_the_process_stops() {
    let stage = Stage::set();
    let visitor = Visitor::log_in(&stage).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_MAX {
        streams.push(Stream::open(stage.address, visitor.cookie()).await);
    }
    let refused = visitor.get("/events").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
    assert_eq!(visitor.get("/").await.status, 200);
    // Closing a stream makes room for another, once the server has noticed.
    streams.pop();
    let again = async {
        loop {
            if let Some(stream) = Stream::try_open(stage.address, visitor.cookie()).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    streams.push(timeout(2 * PATIENCE, again).await.expect("no room was made"));
    stage.lifecycle.stop();
    for stream in streams {
        timeout(Duration::from_secs(2), stream.end()).await.expect("a stream did not end");
    }
    assert_eq!(visitor.get("/events").await.status, 503);
    stage.stop.cancel();
}
