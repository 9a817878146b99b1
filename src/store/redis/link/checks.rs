//! Checks that a server is configured not to lose data. On every new connection: after a failover, the server may have
//! another configuration. And now and then on one in use: somebody may change it.

use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Value};
use tracing::warn;

use super::dial::ask;
use super::options::{Durability, LinkOptions};
use super::trouble::LinkError;
use crate::core::code::Code;

/// Whether the connection is new, or was checked before: then what is tolerated has been logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is new.
    First,
    /// It is in use.
    Again,
}

/// What a connection has shown that its user may not do: it is not tried again, or the server's log of refusals would
/// fill.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// `CONFIG GET`.
    no_config: AtomicBool,
}

/// Checks a server.
///
/// # Errors
/// A setting that would lose accepted events, or that makes the configured durability impossible.
pub(super) async fn check(
    options: &LinkOptions,
    connection: &mut MultiplexedConnection,
    rights: &Rights,
    look: Look,
) -> Result<(), LinkError> {
    let tolerate = |trouble: LinkError| tolerate(options, look, trouble);
    // `INFO` instead of `CONFIG GET`: managed Redis often lacks it, and a user with least rights should not need it.
    let info = match ask(connection, &redis::cmd("INFO")).await? {
        Value::VerbatimString { text, .. } => text,
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => return Err(LinkError::new(Code::StoreError, "the answer to INFO is not a text")),
    };
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    };
    if field("role").as_deref() == Some("slave") {
        return Err(LinkError::new(Code::StoreReadOnly, "role: replica"));
    }
    if field("loading").as_deref() == Some("1") {
        return Err(LinkError::new(Code::StoreLoading, "LOADING"));
    }
    let policy = field("maxmemory_policy").unwrap_or_else(|| "unknown".to_owned());
    if policy != "noeviction" {
        tolerate(LinkError::new(Code::StoreEviction, format!("maxmemory-policy {policy}")))?;
    }
    let kept = field("aof_enabled").as_deref() == Some("1");
    if !kept {
        tolerate(LinkError::new(Code::StoreNoAof, "aof_enabled 0"))?;
    }
    if options.durability.disks().is_some() {
        // Without an append-only file nothing is ever on a disk, and `WAITAOF` is an error.
        if !kept {
            return Err(LinkError::new(Code::StoreNoAof, "`[store] durability` needs it"));
        }
        let mut cmd = redis::cmd("WAITAOF");
        cmd.arg(0).arg(0).arg(1);
        ask(connection, &cmd).await.map_err(|trouble| match trouble.code {
            Code::StoreError => LinkError::new(Code::StoreNoWaitaof, trouble.detail),
            _ => trouble,
        })?;
        // Valkey reports a `redis_version` of 7.
        let major = field("redis_version").and_then(|version| version.split('.').next()?.parse().ok());
        if major.is_none_or(|major: u32| major < REDIS_THAT_WAITS) {
            check_appendfsync(connection, rights).await?.map_or(Ok(()), tolerate)?;
        }
    }
    // A primary lists the field only while it counts its replicas before it takes a write.
    if matches!(options.durability, Durability::Replicated { .. }) && field("min_slaves_good_slaves").is_none() {
        let trouble = LinkError::new(Code::StoreMinReplicas, "min-replicas-to-write 0");
        match look {
            // Nothing that was accepted is lost, so deliveries are still accepted; the next check reports it.
            Look::First => warn!(code = %trouble.code, "{} {}", trouble.code.title(), trouble.code.advice()),
            Look::Again => tolerate(trouble)?,
        }
    }
    Ok(())
}

/// Earlier versions, and every Valkey so far, answer `WAITAOF` before the flush unless `appendfsync` is `always`.
/// redis/redis#13793 fixed it.
const REDIS_THAT_WAITS: u32 = 8;

async fn check_appendfsync(
    connection: &mut MultiplexedConnection,
    rights: &Rights,
) -> Result<Option<LinkError>, LinkError> {
    if rights.no_config.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let mut cmd = redis::cmd("CONFIG");
    cmd.arg("GET").arg("appendfsync");
    match ask(connection, &cmd).await {
        Ok(answer) => match last_text(&answer) {
            Some(value) if value != "always" => {
                Ok(Some(LinkError::new(Code::StoreEverysec, format!("appendfsync {value}"))))
            }
            _ => Ok(None),
        },
        // A user with least rights may not run it, and managed Redis often lacks it.
        Err(trouble) if matches!(trouble.code, Code::StoreNoPerm | Code::StoreError) => {
            rights.no_config.store(true, Ordering::Relaxed);
            warn!(
                code = %Code::StoreEverysec,
                "`[store] durability` needs `appendfsync always` on this server, which cannot be checked: \
                 `+config|get` is not granted."
            );
            Ok(None)
        }
        Err(trouble) => Err(trouble),
    }
}

/// The last text in an answer: the value of the one setting that was asked for.
fn last_text(value: &Value) -> Option<String> {
    match value {
        Value::Array(parts) => last_text(parts.last()?),
        Value::Map(pairs) => last_text(&pairs.last()?.1),
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

fn tolerate(options: &LinkOptions, look: Look, trouble: LinkError) -> Result<(), LinkError> {
    if !options.insecure_ok {
        return Err(trouble);
    }
    if look == Look::Again {
        return Ok(());
    }
    warn!(code = %trouble.code, detail = trouble.detail, "{} Tolerated because of `[store] insecure_ok`.", trouble.code.title());
    Ok(())
}
