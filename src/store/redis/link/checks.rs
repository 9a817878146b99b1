//! Whether a server is configured to keep what it is given. Checked on every new connection: a
//! failover may lead to a server with another configuration.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Value};
use tracing::warn;

use super::dial::ask;
use super::options::LinkOptions;
use super::trouble::Trouble;
use crate::core::code::Code;

/// Looks at a server.
///
/// # Errors
/// What would lose accepted events, or makes the configured durability impossible.
pub(super) async fn check(options: &LinkOptions, connection: &mut MultiplexedConnection) -> Result<(), Trouble> {
    // `INFO` and not `CONFIG GET`: managed Redis often has none, and least rights should not hold it.
    let info = match ask(connection, &redis::cmd("INFO")).await? {
        Value::VerbatimString { text, .. } => text,
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => return Err(Trouble::new(Code::StoreError, "INFO is answered with something else")),
    };
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned())
    };
    if field("role").as_deref() == Some("slave") {
        return Err(Trouble::new(Code::StoreReadOnly, "role: replica"));
    }
    if field("loading").as_deref() == Some("1") {
        return Err(Trouble::new(Code::StoreLoading, "LOADING"));
    }
    let policy = field("maxmemory_policy").unwrap_or_else(|| "unknown".to_owned());
    if policy != "noeviction" {
        tolerate(options, Trouble::new(Code::StoreEviction, format!("maxmemory-policy {policy}")))?;
    }
    let kept = field("aof_enabled").as_deref() == Some("1");
    if !kept {
        tolerate(options, Trouble::new(Code::StoreNoAof, "aof_enabled 0"))?;
    }
    if options.durability.disks().is_some() {
        // Without an append-only file nothing is ever on a disk, and `WAITAOF` is an error.
        if !kept {
            return Err(Trouble::new(Code::StoreNoAof, "`[store] durability` needs it"));
        }
        let mut cmd = redis::cmd("WAITAOF");
        cmd.arg(0).arg(0).arg(1);
        ask(connection, &cmd).await.map_err(|trouble| match trouble.code {
            Code::StoreError => Trouble::new(Code::StoreNoWaitaof, trouble.detail),
            _ => trouble,
        })?;
        // Valkey answers as Redis 7.
        let major = field("redis_version").and_then(|version| version.split('.').next()?.parse().ok());
        if major.is_none_or(|major: u32| major < REDIS_THAT_WAITS) {
            check_appendfsync(options, connection).await?;
        }
    }
    Ok(())
}

/// Before this one, and in every Valkey so far, `WAITAOF` is answered before the flush unless `appendfsync` is `always`:
/// redis/redis#13793 mended it.
const REDIS_THAT_WAITS: u32 = 8;

async fn check_appendfsync(options: &LinkOptions, connection: &mut MultiplexedConnection) -> Result<(), Trouble> {
    let mut cmd = redis::cmd("CONFIG");
    cmd.arg("GET").arg("appendfsync");
    match ask(connection, &cmd).await {
        Ok(told) => match last_text(&told) {
            Some(value) if value != "always" => {
                tolerate(options, Trouble::new(Code::StoreEverysec, format!("appendfsync {value}")))
            }
            _ => Ok(()),
        },
        // Least rights do not hold it, and managed Redis often has none.
        Err(trouble) if matches!(trouble.code, Code::StoreNoPerm | Code::StoreError) => {
            warn!(
                code = %Code::StoreEverysec,
                "Whether `appendfsync` is `always`, as `[store] durability` needs it with this server, cannot be seen: \
                 `+config|get` is not granted."
            );
            Ok(())
        }
        Err(trouble) => Err(trouble),
    }
}

/// The last text of an answer: the value of the only name that was asked for.
fn last_text(value: &Value) -> Option<String> {
    match value {
        Value::Array(parts) => last_text(parts.last()?),
        Value::Map(pairs) => last_text(&pairs.last()?.1),
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

fn tolerate(options: &LinkOptions, trouble: Trouble) -> Result<(), Trouble> {
    if !options.insecure_ok {
        return Err(trouble);
    }
    warn!(code = %trouble.code, detail = trouble.detail, "{} Tolerated because of `[store] insecure_ok`.", trouble.code.title());
    Ok(())
}
