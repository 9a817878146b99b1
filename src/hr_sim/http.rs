//! HTTP/1.1 on a bare socket: no framework would send a reply that never ends.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::message::{Request, Response};
use super::world::{Outgoing, World};

const HEAD_BYTES_MAX: usize = 32 * 1024;
const BODY_BYTES_MAX: usize = 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// Serves connections until it is stopped.
pub(super) async fn accept(listener: TcpListener, world: Arc<Mutex<World>>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let world = Arc::clone(&world);
                tokio::spawn(async move {
                    // Errors are expected: clients hang up.
                    let _ = serve(socket, world).await;
                });
            }
            // Probably out of file descriptors: wait until some connections close.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn serve(mut socket: TcpStream, world: Arc<Mutex<World>>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    while let Some(request) = read(&mut socket, &mut buffer).await? {
        let outgoing = world.lock().unwrap_or_else(PoisonError::into_inner).answer(&request);
        match outgoing {
            Outgoing::Reply(response) => send(&mut socket, &response).await?,
            Outgoing::Late(response, ms) => {
                tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
                send(&mut socket, &response).await?;
            }
            Outgoing::Endless => {
                socket
                    .write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
                    )
                    .await?;
                let chunk = format!("4000\r\n{}\r\n", "[".repeat(0x4000));
                loop {
                    socket.write_all(chunk.as_bytes()).await?;
                }
            }
            Outgoing::Hang => std::future::pending::<()>().await,
        }
    }
    Ok(())
}

async fn send(socket: &mut TcpStream, response: &Response) -> io::Result<()> {
    let headers: String = response.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (status, length) = (response.status, response.body.len());
    let head = format!("HTTP/1.1 {status} Injected\r\n{headers}content-length: {length}\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(response.body.as_bytes()).await
}

/// The next request; none if the client has hung up, or does not speak HTTP.
async fn read(socket: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<Request>> {
    let (head_len, body_len, mut request) = loop {
        if let Some(parsed) = parse_head(buffer) {
            break parsed;
        }
        if buffer.len() > HEAD_BYTES_MAX || socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    if body_len > BODY_BYTES_MAX {
        return Ok(None);
    }
    buffer.advance(head_len);
    while buffer.len() < body_len {
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer.split_to(body_len).to_vec();
    Ok(Some(request))
}

fn parse_head(buffer: &[u8]) -> Option<(usize, usize, Request)> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_len) = head.parse(buffer).ok()? else { return None };
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let request = Request { method: head.method?.to_owned(), target: head.path?.to_owned(), headers, body: Vec::new() };
    Some((head_len, length.unwrap_or(0), request))
}
