//! Makes one connection: address, TLS, login, timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed;
use deadpool_redis::redis::aio::{MultiplexedConnection, PubSub};
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, TlsCertificates, Value,
};
use secrecy::ExposeSecret;

use super::options::{Address, LinkOptions, Login, TlsFiles};
use super::trouble::{LinkError, reply};
use crate::core::code::Code;
use crate::files::SharedReading;
use crate::peer::is_this_machine;

/// Set when its connection has broken.
pub(super) type Gone = Arc<AtomicBool>;

/// The server to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callee {
    /// A server that holds data.
    Server,
    /// A server that holds data, for subscribing to what is published.
    Channel,
    /// A sentinel.
    Sentinel,
}

/// The client options for this address, with files and secrets as they are now.
async fn client(options: &LinkOptions, to: &Address, callee: Callee) -> Result<Client, LinkError> {
    let (login, database, protocol) = match callee {
        // Only with RESP3 does the library report a connection that broke between calls.
        Callee::Server => (&options.login, options.database, ProtocolVersion::RESP3),
        Callee::Channel => (&options.login, options.database, ProtocolVersion::RESP2),
        Callee::Sentinel => (&options.sentinel_login, 0, ProtocolVersion::RESP3),
    };
    if options.tls.is_none() && !options.allow_plain && !is_this_machine(&to.host) {
        return Err(LinkError::new(Code::StorePlain, to.to_string()));
    }
    let addr = match &options.tls {
        None => ConnectionAddr::Tcp(to.host.clone(), to.port),
        Some(_) => ConnectionAddr::TcpTls { host: to.host.clone(), port: to.port, insecure: false, tls_params: None },
    };
    let info = addr.into_connection_info().map_err(|error| LinkError::of_dial(&error, to, false))?;
    let info = info
        .set_redis_settings(settings(login, database, protocol))
        .set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let made = match &options.tls {
        None => Client::open(info),
        Some(files) => {
            // If one is installed already, that is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            Client::build_with_tls(info, certificates(files).await?)
        }
    };
    made.map_err(|error: RedisError| match error.kind() {
        ErrorKind::InvalidClientConfig if options.tls.is_some() => LinkError::new(Code::StoreTls, error.to_string()),
        _ => LinkError::of_dial(&error, to, options.tls.is_some()),
    })
}

fn settings(login: &Login, database: u32, protocol: ProtocolVersion) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default()
        .set_db(database.into())
        .set_protocol(protocol)
        // It would be an extra command for every connection, which a user with few rights may not run.
        .set_skip_set_lib_name();
    if let Some(username) = &login.username {
        settings = settings.set_username(username.current().expose_secret());
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(password.current().expose_secret());
    }
    settings
}

async fn certificates(tls: &TlsFiles) -> Result<TlsCertificates, LinkError> {
    let read = async |file: &SharedReading| {
        let read = file.again().await;
        read.map(|pem| pem.to_vec()).map_err(|error| LinkError::new(Code::StoreTls, error.to_string()))
    };
    Ok(TlsCertificates {
        client_tls: match &tls.client {
            Some((cert, key)) => Some(ClientTlsConfig { client_cert: read(cert).await?, client_key: read(key).await? }),
            None => None,
        },
        root_cert: match &tls.ca {
            Some(ca) => Some(read(ca).await?),
            None => None,
        },
    })
}

/// The options of connections; `response` is how long an answer may take.
fn config(options: &LinkOptions, response: Duration) -> AsyncConnectionConfig {
    // The library's own defaults are 1 s and 500 ms, and its errors do not say which one was exceeded.
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(options.connect_timeout))
        .set_response_timeout(Some(response))
}

/// Makes a connection that many calls can share.
pub(super) async fn connect(
    options: &LinkOptions,
    to: &Address,
    callee: Callee,
) -> Result<(MultiplexedConnection, Gone), LinkError> {
    connect_for(options, to, callee, options.response_timeout).await
}

/// Makes such a connection for answers that may take this long.
async fn connect_for(
    options: &LinkOptions,
    to: &Address,
    callee: Callee,
    response: Duration,
) -> Result<(MultiplexedConnection, Gone), LinkError> {
    let gone = Gone::default();
    let flag = gone.clone();
    // So that a connection is not reused after the server closed it while idle.
    let config = config(options, response).set_push_sender(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection {
            flag.store(true, Ordering::Release);
        }
        Ok::<(), std::convert::Infallible>(())
    });
    let client = client(options, to, callee).await?;
    let dial = client.get_multiplexed_async_connection_with_config(&config);
    let made = within(options.connect_timeout, to, dial).await?;
    let connection = made.map_err(|error| LinkError::of_dial(&error, to, options.tls.is_some()))?;
    Ok((connection, gone))
}

/// Makes the connections of the pool, each with the current files and secrets.
pub(super) struct Dialler {
    pub(super) options: LinkOptions,
    pub(super) to: Address,
}

impl managed::Manager for Dialler {
    type Type = MultiplexedConnection;
    type Error = LinkError;

    async fn create(&self) -> Result<MultiplexedConnection, LinkError> {
        // `WAITAOF` answers by the end of its own timeout.
        let response = self.options.durable_timeout + self.options.response_timeout;
        let (connection, _) = connect_for(&self.options, &self.to, Callee::Server, response).await?;
        Ok(connection)
    }

    /// Asks whether the connection is alive: one that a load balancer has dropped shows it only by not answering.
    async fn recycle(
        &self,
        connection: &mut MultiplexedConnection,
        _: &managed::Metrics,
    ) -> managed::RecycleResult<LinkError> {
        ask(connection, &redis::cmd("PING")).await?;
        Ok(())
    }
}

/// Makes a connection that subscribes to what is published.
pub(super) async fn subscribe(options: &LinkOptions, to: &Address, channel: &str) -> Result<PubSub, LinkError> {
    let client = client(options, to, Callee::Channel).await?;
    let dial = async {
        let mut heard = client.get_async_pubsub().await?;
        heard.subscribe(channel).await?;
        Ok(heard)
    };
    let made: Result<PubSub, RedisError> = within(options.connect_timeout, to, dial).await?;
    made.map_err(|error| LinkError::of_dial(&error, to, options.tls.is_some()))
}

/// Sends one command; an error reply is an error.
pub(super) async fn ask(connection: &mut MultiplexedConnection, cmd: &Cmd) -> Result<Value, LinkError> {
    let value = connection.send_packed_command(cmd).await.map_err(|error| LinkError::of_call(&error))?;
    reply(value)
}

/// The library's timeouts do not cover every step (TLS and login of a subscription, a name that does
/// not resolve), so each is bounded here, too.
async fn within<F: Future>(limit: Duration, to: &Address, work: F) -> Result<F::Output, LinkError> {
    // A little longer, so that the library's own error, which says more, comes first.
    let limit = limit + Duration::from_millis(100);
    tokio::time::timeout(limit, work).await.map_err(|_| LinkError::silence(&to.to_string(), limit))
}
