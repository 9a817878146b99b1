//! Webhooks as an HR system sends them: signed as in Standard Webhooks, 1 KB, each about a new person.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use scim_bridge::clock::Clock;
use scim_bridge::core::signature::{Scheme, ToSign, sign};
use secrecy::SecretString;

type Failed = Box<dyn Error + Send + Sync>;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const BODY_BYTES: usize = 1024;
const PATH: &str = "/webhooks/hr";

#[derive(serde::Deserialize)]
struct Preset {
    signature: Scheme,
}

/// The Standard Webhooks scheme.
pub(crate) fn scheme() -> Result<Scheme, Failed> {
    let preset = include_str!("../../config/presets/standard-webhooks.toml");
    Ok(toml::from_str::<Preset>(preset)?.signature)
}

/// The request with the `n`th person's hire, byte for byte.
pub(crate) fn request(scheme: &Scheme, secret: &SecretString, n: usize) -> Result<Vec<u8>, Failed> {
    let body = body(n);
    let id = format!("msg_{n:024}");
    let what = ToSign { method: "POST", url: PATH, body: body.as_bytes(), id: &id, at: Clock::System.now() };
    let mut request = format!(
        "POST {PATH} HTTP/1.1\r\nhost: bridge\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in sign(scheme, secret, &what)? {
        request.extend([&name, ": ", &value, "\r\n"]);
    }
    request.push_str("\r\n");
    request.push_str(&body);
    Ok(request.into_bytes())
}

/// The e-mail address of the `n`th person.
pub(crate) fn email(n: usize) -> String {
    format!("person{n:08}@example.com")
}

/// Sends a request and reads the whole answer; an error if it is not a 200.
pub(crate) fn exchange(socket: &mut TcpStream, request: &[u8]) -> Result<(), Failed> {
    socket.write_all(request)?;
    let (mut answer, mut read) = ([0; 4096], 0);
    while !is_whole(&answer[..read])? {
        match socket.read(&mut answer[read..])? {
            0 => return Err("the intake hung up".into()),
            bytes => read += bytes,
        }
    }
    Ok(())
}

/// Whether an answer has arrived completely; an error if it is not a 200.
pub(crate) fn is_whole(answer: &[u8]) -> Result<bool, Failed> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(false) };
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(format!("answered {}", String::from_utf8_lossy(answer)).into());
    }
    let length = std::str::from_utf8(&answer[..head])?
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .ok_or("an answer without a length")?;
    Ok(answer.len() >= head + 4 + length.1.parse::<usize>()?)
}

/// A hire in the default payload, padded to 1 KB with unused fields.
fn body(n: usize) -> String {
    let with = |note: &str| {
        serde_json::json!({
            "type": "employee.hired",
            "timestamp": "2026-11-22T10:00:00Z",
            "data": {
                "employee_id": format!("E-{n:08}"),
                "email": email(n),
                "first_name": "Ada",
                "last_name": "Lovelace",
                "note": note,
            },
        })
        .to_string()
    };
    let bare = with("").len();
    with(&"x".repeat(BODY_BYTES.saturating_sub(bare)))
}
