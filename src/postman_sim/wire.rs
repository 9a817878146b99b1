//! HTTP/1.1 on a bare socket. A framework would write valid HTTP only, but resets, half bodies and bytes that are not
//! HTTP need the socket itself.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::response::Response;
use super::world::Outgoing;

const HEAD_MAX: usize = 32 * 1024;
const BODY_MAX: usize = 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// A whole request.
#[derive(Default)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) authorization: Option<Vec<u8>>,
    pub(super) x_api_key: bool,
    pub(super) if_match: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
    keep_alive: bool,
}

/// The result of reading from the socket.
enum Read {
    Request(Request),
    /// The client has hung up.
    End,
    /// Not HTTP, or too large: answered with this status, then closed.
    Bad(u16),
}

/// How the body of a request is delimited.
enum Framing {
    Length(usize),
    Chunked,
}

/// Whatever answers requests.
pub(super) trait RequestHandler {
    /// The reply to a request, after the delays that it asks for.
    fn answer(&self, request: Request) -> impl Future<Output = Outgoing> + Send;
}

/// Serves one connection until it ends.
pub(super) async fn serve<A: RequestHandler>(mut socket: TcpStream, answer: Arc<A>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    let mut out = Vec::with_capacity(1024);
    loop {
        let request = match read(&mut socket, &mut buffer).await? {
            Read::Request(request) => request,
            Read::End => return Ok(()),
            Read::Bad(status) => {
                let response = Response::json(status, b"{}".to_vec());
                write_head(&mut out, &response, response.body.len(), false);
                socket.write_all(&out).await?;
                return socket.shutdown().await;
            }
        };
        let keep_alive = request.keep_alive;
        let head_only = request.method == "HEAD";
        out.clear();
        match answer.answer(request).await {
            Outgoing::Reply(response) => {
                write_head(&mut out, &response, response.body.len(), keep_alive);
                if !head_only {
                    out.extend_from_slice(&response.body);
                }
                socket.write_all(&out).await?;
                if !keep_alive {
                    return socket.shutdown().await;
                }
            }
            Outgoing::Half(response) => {
                write_head(&mut out, &response, response.body.len().max(2), keep_alive);
                out.extend_from_slice(response.body.get(..response.body.len() / 2).unwrap_or_default());
                socket.write_all(&out).await?;
                return socket.shutdown().await;
            }
            Outgoing::Bytes(bytes) => {
                socket.write_all(bytes).await?;
                return socket.shutdown().await;
            }
            // With a linger of zero, closing sends RST and discards unsent bytes.
            Outgoing::Reset => return socket.set_zero_linger(),
            Outgoing::Close => return socket.shutdown().await,
            Outgoing::Hang => loop {
                buffer.clear();
                if socket.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            },
        }
    }
}

async fn read(socket: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Read> {
    let (head_len, mut request, framing, expects) = loop {
        if !buffer.is_empty() {
            match parse_head(buffer) {
                Ok(Some(parsed)) => break parsed,
                Ok(None) if buffer.len() > HEAD_MAX => return Ok(Read::Bad(431)),
                Ok(None) => {}
                Err(status) => return Ok(Read::Bad(status)),
            }
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(Read::End);
        }
    };
    buffer.advance(head_len);
    if expects {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    match framing {
        Framing::Length(n) if n > BODY_MAX => return Ok(Read::Bad(413)),
        Framing::Length(n) => {
            while buffer.len() < n {
                if socket.read_buf(buffer).await? == 0 {
                    return Ok(Read::End);
                }
            }
            request.body = buffer.split_to(n).to_vec();
        }
        Framing::Chunked => loop {
            match httparse::parse_chunk_size(buffer) {
                Err(_) => return Ok(Read::Bad(400)),
                Ok(httparse::Status::Complete((at, len))) => {
                    let Ok(len) = usize::try_from(len) else { return Ok(Read::Bad(413)) };
                    if len.saturating_add(request.body.len()) > BODY_MAX {
                        return Ok(Read::Bad(413));
                    }
                    // The chunk and its CRLF; no trailers are expected after the last one.
                    if let Some(chunk) = buffer.get(at..at + len + 2) {
                        request.body.extend_from_slice(chunk.get(..len).unwrap_or_default());
                        buffer.advance(at + len + 2);
                        if len == 0 {
                            break;
                        }
                        continue;
                    }
                }
                Ok(httparse::Status::Partial) => {}
            }
            if socket.read_buf(buffer).await? == 0 {
                return Ok(Read::End);
            }
        },
    }
    Ok(Read::Request(request))
}

type Head = (usize, Request, Framing, bool);

/// Parses the head of a request once it is complete; an error is the status to refuse it with.
fn parse_head(bytes: &[u8]) -> Result<Option<Head>, u16> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(431),
        Err(_) => return Err(400),
    };
    let target = parsed.path.unwrap_or_default();
    // The absolute form, as sent to proxies, is reduced to its path.
    let target = target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        keep_alive: parsed.version == Some(1),
        ..Request::default()
    };
    let (mut framing, mut expects) = (Framing::Length(0), false);
    for header in parsed.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let says = |word: &[u8]| header.value.eq_ignore_ascii_case(word);
        if is("content-length") {
            let n = std::str::from_utf8(header.value).ok().and_then(|v| v.trim().parse().ok()).ok_or(400_u16)?;
            if !matches!(framing, Framing::Chunked) {
                framing = Framing::Length(n);
            }
        } else if is("transfer-encoding") {
            framing = if says(b"chunked") { Framing::Chunked } else { return Err(501) };
        } else if is("connection") {
            request.keep_alive = says(b"keep-alive") || (request.keep_alive && !says(b"close"));
        } else if is("authorization") {
            request.authorization = Some(header.value.to_vec());
        } else if is("x-api-key") {
            request.x_api_key = true;
        } else if is("if-match") {
            request.if_match = Some(header.value.to_vec());
        } else if is("expect") {
            expects = says(b"100-continue");
        }
    }
    Ok(Some((len, request, framing, expects)))
}

fn write_head(out: &mut Vec<u8>, response: &Response, length: usize, keep_alive: bool) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    if !response.content_type.is_empty() {
        let _ = write!(out, "content-type: {}\r\n", response.content_type);
    }
    for (name, value) in &response.headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    // RFC 9110 §6.4.1: these have no content, and a 204 has no content length either.
    if !matches!(response.status, 204 | 304) {
        let _ = write!(out, "content-length: {length}\r\n");
    }
    let _ = write!(out, "{}\r\n", if keep_alive { "" } else { "connection: close\r\n" });
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Other",
    }
}
