//! `[store] url`: which engine, and where. No error here ever shows the URL: it may contain a password.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

use crate::peer::is_this_machine;

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Which store, and where.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub enum StoreUrl {
    /// Files in a directory of the local disk, for one process: `embedded:./data`.
    Embedded {
        /// The directory; created if it is missing.
        dir: PathBuf,
    },
    /// Redis or Valkey, for any number of processes.
    Redis(RedisUrl),
}

/// Which Redis, and our login there.
#[derive(Debug, Clone)]
pub struct RedisUrl {
    /// Which servers.
    pub topology: RedisTopology,
    /// Whether to speak TLS with all of them.
    pub tls: bool,
    /// The number of the database.
    pub database: u32,
    /// The user, if the URL has one.
    pub username: Option<SecretString>,
    /// The password, if the URL has one.
    pub password: Option<SecretString>,
}

/// Which servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisTopology {
    /// One server: `redis://host:6379/0`.
    Standalone(RedisHost),
    /// A primary that sentinels know: `redis+sentinel://host:26379,host:26379/name/0`.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<RedisHost>,
        /// What they call the primary.
        primary: String,
    },
    /// A cluster, with some of its nodes: `redis-cluster://host:6379,host:6379`.
    Cluster(Vec<RedisHost>),
}

impl RedisUrl {
    /// Whether the connection to Redis crosses a network unencrypted.
    #[must_use]
    pub fn is_open_to_the_network(&self) -> bool {
        !self.tls && self.topology.hosts().any(|host| !is_this_machine(&host.host))
    }
}

impl RedisTopology {
    /// Every host in it.
    fn hosts(&self) -> impl Iterator<Item = &RedisHost> {
        match self {
            Self::Standalone(host) => std::slice::from_ref(host),
            Self::Sentinel { sentinels: hosts, .. } | Self::Cluster(hosts) => hosts.as_slice(),
        }
        .iter()
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisHost {
    /// A name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl TryFrom<String> for StoreUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        if let Some(dir) = url.strip_prefix("embedded:").filter(|dir| !dir.is_empty()) {
            return Ok(Self::Embedded { dir: PathBuf::from(dir) });
        }
        let (scheme, rest) = url.split_once("://").unwrap_or((&url, ""));
        let (tls, kind) = match scheme {
            "redis" => (false, Kind::Standalone),
            "rediss" => (true, Kind::Standalone),
            "redis+sentinel" => (false, Kind::Sentinel),
            "rediss+sentinel" => (true, Kind::Sentinel),
            "redis-cluster" => (false, Kind::Cluster),
            "rediss-cluster" => (true, Kind::Cluster),
            _ => return Err(no_such_store(&url)),
        };
        read(kind, tls, rest).map(Self::Redis).map_err(str::to_owned)
    }
}

/// What is wrong with a URL of another kind. It may be a secret that was put into the wrong place, so the message
/// repeats only its scheme.
fn no_such_store(url: &str) -> String {
    const KINDS: &str = "there are two kinds: a file on this machine, `embedded:` and a directory; and Redis or Valkey, a URL \
                         that begins with redis://, rediss://, redis+sentinel:// or redis-cluster://";
    let is_word = |scheme: &&str| scheme.len() <= 16 && scheme.bytes().all(|b| b.is_ascii_lowercase() || b == b'+');
    let is_path = url.starts_with(['/', '.', '~']);
    match url.split_once("://").map(|(scheme, _)| scheme).filter(is_word) {
        Some(scheme) => format!("`{scheme}` is not a kind of store; {KINDS}"),
        None if is_path => format!("a path alone is not enough: put `embedded:` before it; {KINDS}"),
        None => format!("not the URL of a store; {KINDS}"),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Standalone,
    Sentinel,
    Cluster,
}

fn read(kind: Kind, tls: bool, rest: &str) -> Result<RedisUrl, &'static str> {
    if rest.contains(['?', '#']) {
        return Err(
            "a store URL has no query and no fragment (a `?`, `#`, `/` or `@` in a password is written in percent-encoding)",
        );
    }
    let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
    let (username, password) = login.map_or(Ok((None, None)), read_login)?;
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut path = path.trim_end_matches('/').split('/').filter(|part| !part.is_empty());
    let port = if matches!(kind, Kind::Sentinel) { SENTINEL_PORT } else { REDIS_PORT };
    let mut hosts = hosts.split(',').map(|host| read_host(host, port)).collect::<Result<Vec<_>, _>>()?;
    let topology = match kind {
        Kind::Standalone if hosts.len() == 1 => RedisTopology::Standalone(hosts.remove(0)),
        Kind::Standalone => return Err("several hosts need redis+sentinel:// or redis-cluster://"),
        Kind::Sentinel => {
            let primary = path.next().ok_or("a sentinel URL ends with the primary's name, such as `/mymaster`")?;
            RedisTopology::Sentinel { sentinels: hosts, primary: primary.to_owned() }
        }
        Kind::Cluster => RedisTopology::Cluster(hosts),
    };
    let database = match path.next() {
        None => 0,
        Some(number) => number.parse().map_err(|_| "the database is a number")?,
    };
    if path.next().is_some() {
        return Err("there is more in the URL's path than belongs there");
    }
    if database != 0 && matches!(kind, Kind::Cluster) {
        return Err("a cluster has only database 0");
    }
    Ok(RedisUrl { topology, tls, database, username, password })
}

type LoginParts = (Option<SecretString>, Option<SecretString>);

fn read_login(login: &str) -> Result<LoginParts, &'static str> {
    let (username, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let part = |text: &str| percent_decoded(text).map(|text| (!text.is_empty()).then(|| SecretString::from(text)));
    Ok((part(username)?, password.map(part).transpose()?.flatten()))
}

fn read_host(text: &str, default_port: u16) -> Result<RedisHost, &'static str> {
    const PROBLEM: &str = "a host is missing or malformed: `host`, `host:port` or `[IPv6]:port`";
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(PROBLEM)?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(PROBLEM)?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let wrong = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '{' | '}' | '%');
    if host.is_empty() || host.contains(wrong) {
        return Err(PROBLEM);
    }
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| PROBLEM))?;
    Ok(RedisHost { host: host.to_owned(), port })
}

fn percent_decoded(text: &str) -> Result<String, &'static str> {
    const PROBLEM: &str = "user and password are written in percent-encoding";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(PROBLEM) };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).ok_or(PROBLEM);
        let byte = digit(high)? * 16 + digit(low)?;
        bytes.push(u8::try_from(byte).map_err(|_| PROBLEM)?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| PROBLEM)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn an_unknown_store_scheme_is_refused_with_the_two_known_ones() {
        for (url, expected) in [
            ("postgres://app:hunter2@db/bridge", "`postgres` is not a kind of store"),
            ("http://redis:6379", "`http` is not a kind of store"),
            ("/var/lib/scim-bridge", "put `embedded:` before it"),
            ("./data", "put `embedded:` before it"),
            ("embedded:", "not the URL of a store"),
            ("hunter2", "not the URL of a store"),
        ] {
            let error = StoreUrl::try_from(url.to_owned()).unwrap_err();
            assert!(error.starts_with(expected) || error.contains(expected), "{url}: {error}");
            assert!(error.contains("`embedded:` and a directory") && error.contains("redis://"), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }

    fn redis(url: &str) -> RedisUrl {
        match StoreUrl::try_from(url.to_owned()) {
            Ok(StoreUrl::Redis(url)) => url,
            other => panic!("{other:?}"),
        }
    }

    fn host(host: &str, port: u16) -> RedisHost {
        RedisHost { host: host.to_owned(), port }
    }

    #[test]
    fn a_server_is_given_by_host_port_and_database() {
        let url = redis("redis://cache");
        assert_eq!((url.topology, url.tls, url.database), (RedisTopology::Standalone(host("cache", 6379)), false, 0));
        let url = redis("rediss://[::1]:7000/3");
        assert_eq!((url.topology, url.tls, url.database), (RedisTopology::Standalone(host("::1", 7000)), true, 3));
    }

    #[test]
    fn sentinels_and_clusters_are_lists_of_hosts() {
        let url = redis("redis+sentinel://a,b:1/mymaster/2");
        let sentinels = vec![host("a", 26379), host("b", 1)];
        assert_eq!(url.topology, RedisTopology::Sentinel { sentinels, primary: "mymaster".to_owned() });
        assert_eq!(url.database, 2);
        let url = redis("rediss-cluster://a:1,b:2");
        assert_eq!((url.topology, url.tls), (RedisTopology::Cluster(vec![host("a", 1), host("b", 2)]), true));
    }

    #[test]
    fn a_login_is_percent_decoded_and_never_shown() {
        let url = redis("redis://app:p%40ss%2Fw@cache:1/0");
        assert_eq!(url.username.as_ref().unwrap().expose_secret(), "app");
        assert_eq!(url.password.as_ref().unwrap().expose_secret(), "p@ss/w");
        assert!(!format!("{url:?}").contains("p@ss"));
        let url = redis("redis://:secret@cache");
        assert!(url.username.is_none());
        assert_eq!(url.password.unwrap().expose_secret(), "secret");
    }

    #[test]
    fn an_invalid_store_url_is_refused_without_being_shown() {
        for url in [
            "",
            "embedded:",
            "redis:cache",
            "http://tell",
            "redis://",
            "redis://a,b",
            "redis://a:port",
            "redis://a/tell",
            "redis://a/1/2",
            "redis://a?tell=1",
            "redis://u:%zz@a",
            "redis+sentinel://a",
            "redis-cluster://a/1",
            "redis://[::1",
        ] {
            let problem = StoreUrl::try_from(url.to_owned()).unwrap_err();
            assert!(!problem.contains("tell"), "{url}: {problem}");
        }
    }
}
