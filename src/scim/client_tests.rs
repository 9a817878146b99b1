use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::core::reconcile::request::UserToCreate;

pub(super) fn options(base_url: &str) -> ClientOptions {
    ClientOptions {
        base_url: Url::parse(base_url).unwrap(),
        key: LiveSecret::new("PMAK-secret".to_owned().into()),
        auth: Auth::Bearer,
        x_api_key: false,
        locale: "en-US".to_owned(),
        timeout: Duration::from_millis(500),
        connect_timeout: Duration::from_millis(500),
        ca_pem: None,
    }
}

fn client(base_url: &str) -> Client {
    Client::new(options(base_url)).unwrap()
}

/// Answers one connection with `answer`, and returns what was asked.
fn serve_once(answer: impl Into<Vec<u8>>) -> (String, std::thread::JoinHandle<String>) {
    let answer = answer.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0_u8; 8192];
        let n = stream.read(&mut asked).unwrap();
        // A client that has read enough may be gone.
        let _ = stream.write_all(&answer);
        String::from_utf8_lossy(&asked[..n]).into_owned()
    });
    (url, asked)
}

fn create() -> Request {
    Request::Create(UserToCreate {
        user_name: "ada@example.com".to_owned(),
        given_name: Some("Ada".to_owned()),
        family_name: Some("Lovelace".to_owned()),
        external_id: "E-1".to_owned(),
        locale: None,
    })
}

fn http(reply: Reply) -> HttpReply {
    match reply {
        Reply::Http(http) => http,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_key_is_sent_as_configured_and_no_encoding_is_asked_for() {
    for (auth, x_api_key, expected) in [
        (Auth::Bearer, false, "authorization: Bearer PMAK-secret\r\n"),
        (Auth::Raw, true, "authorization: PMAK-secret\r\n"),
    ] {
        let (url, asked) =
            serve_once("HTTP/1.1 201 Created\r\ncontent-length: 2\r\nRetry-After: 5\r\nETag: W/\"1\"\r\n\r\n{}");
        let client = Client::new(ClientOptions { auth, x_api_key, ..options(&url) }).unwrap();
        let reply = http(client.send(&create()).await);
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /scim/v2/Users HTTP/1.1"), "{asked}");
        assert!(asked.contains(expected), "{asked}");
        assert!(asked.contains("accept-encoding: identity\r\n"), "{asked}");
        assert_eq!(asked.contains("x-api-key: PMAK-secret"), x_api_key);
        assert_eq!((reply.status, reply.body_complete, reply.etag.as_deref()), (201, true, Some("W/\"1\"")));
        assert_eq!(reply.hints, [("retry-after".to_owned(), "5".to_owned())]);
    }
}

#[tokio::test]
async fn an_id_of_dots_stays_an_id_and_a_version_goes_along() {
    for (id, path) in
        [("..", "/scim/v2/Users/%2E%2E"), (".", "/scim/v2/Users/%2E"), ("a//b", "/scim/v2/Users/a%2F%2Fb")]
    {
        let (url, asked) = serve_once("HTTP/1.1 204 No Content\r\n\r\n");
        let replace =
            Request::Replace { id: id.to_owned(), body: "{}".to_owned(), if_match: Some("W/\"7\"".to_owned()) };
        assert_eq!(client(&url).send(&replace).await.status(), Some(204));
        let asked = asked.join().unwrap();
        assert!(asked.starts_with(&format!("PUT {path} HTTP/1.1\r\n")), "{asked}");
        assert!(asked.contains("if-match: W/\"7\"\r\n"), "{asked}");
    }
}

#[tokio::test]
async fn half_a_body_keeps_its_status() {
    let (url, asked) = serve_once("HTTP/1.1 201 Created\r\ncontent-length: 200\r\n\r\n{\"id\":");
    let reply = http(client(&url).send(&create()).await);
    asked.join().unwrap();
    assert_eq!((reply.status, reply.body_complete, reply.body.as_ref()), (201, false, b"{\"id\":".as_slice()));
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    for (bytes, is_complete) in [(body::REPLY_BYTES_MAX, true), (body::REPLY_BYTES_MAX + 1, false)] {
        let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").into_bytes();
        answer.resize(answer.len() + bytes, b' ');
        let (url, asked) = serve_once(answer);
        let client = Client::new(ClientOptions { timeout: Duration::from_secs(20), ..options(&url) }).unwrap();
        let reply = http(client.send(&Request::Probe).await);
        asked.join().unwrap();
        assert_eq!(reply.body_complete, is_complete);
        assert!(reply.body.len() <= body::REPLY_BYTES_MAX);
    }
}

#[tokio::test]
async fn an_unencoded_body_is_read_whatever_its_encoding_header_says() {
    for (encoding, body, is_complete) in [
        ("identity", "{}", true),
        ("Identity", "{}", true),
        ("", "{}", true),
        ("utf-8", " {}", true),
        ("GZIP", "{}", false),
        ("identity, br", "{}", false),
    ] {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {length}\r\n\r\n{body}");
        let (url, asked) = serve_once(answer.into_bytes());
        let reply = http(client(&url).send(&Request::Probe).await);
        asked.join().unwrap();
        assert_eq!(reply.body_complete, is_complete, "{encoding} {body:?}");
    }
}

#[tokio::test]
async fn a_large_reply_waits_until_the_others_are_given_back() {
    let answer = || {
        let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1024 * 1024).into_bytes();
        answer.resize(answer.len() + 1024 * 1024, b' ');
        answer
    };
    let client = |url: &str, timeout| Client::new(ClientOptions { timeout, ..options(url) }).unwrap();
    let first = client("http://127.0.0.1:9", Duration::from_secs(20));
    let elsewhere = |url: &str, timeout| Client { budget: first.budget.clone(), ..client(url, timeout) };
    let mut held = Vec::new();
    for _ in 0..8 {
        let (url, _asked) = serve_once(answer());
        held.push(http(elsewhere(&url, Duration::from_secs(20)).send(&Request::Probe).await));
    }
    assert!(held.iter().all(|reply| reply.body_complete));
    let (url, _asked) = serve_once(answer());
    let late = http(elsewhere(&url, Duration::from_millis(300)).send(&Request::Probe).await);
    assert_eq!((late.status, late.body_complete), (200, false));
    held.pop();
    let (url, _asked) = serve_once(answer());
    assert!(http(elsewhere(&url, Duration::from_secs(20)).send(&Request::Probe).await).body_complete);
}

#[tokio::test]
async fn a_reply_in_an_encoding_that_was_not_asked_for_is_not_whole() {
    let (url, _asked) = serve_once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-encoding: gzip\r\n\r\n{}");
    assert!(!http(client(&url).send(&Request::Probe).await).body_complete);
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_lost_and_a_refused_one_is_not_sent() {
    let (url, asked) = serve_once("");
    assert_eq!(client(&url).send(&create()).await, Reply::Lost { reason: NoReply::Closed });
    asked.join().unwrap();
    // Nobody listens there; a port that was just given up may be another test's by now.
    assert_eq!(client("http://127.0.0.1:1/").send(&create()).await, Reply::NotSent { reason: NoReply::Refused });
    let unknown = Reply::NotSent { reason: NoReply::NoSuchHost };
    assert_eq!(client("http://no-such-host.invalid/").send(&create()).await, unknown);
    let (url, _asked) = serve_once("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    assert_eq!(client(&url).send(&create()).await, Reply::Lost { reason: NoReply::NotHttp });
}

#[tokio::test]
async fn a_target_that_never_answers_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    assert_eq!(client(&url).send(&Request::Probe).await, Reply::Lost { reason: NoReply::TimedOut });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (url, asked) = serve_once("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    let reply = client(&url).send(&Request::Probe).await;
    asked.join().unwrap();
    assert_eq!(reply.status(), Some(302));
}

#[tokio::test]
async fn a_key_that_no_header_can_carry_sends_nothing() {
    let client = client("http://127.0.0.1:9/");
    client.options.key.replace("a\nb".to_owned().into());
    assert_eq!(client.send(&Request::Probe).await, Reply::NotSent { reason: NoReply::KeyUnusable });
    assert!(!format!("{client:?}").contains("a\nb"));
}

#[tokio::test]
async fn a_target_on_this_machine_has_no_proxy() {
    assert_eq!(client("http://127.0.0.1:9/").proxy_in_use(), None);
}
