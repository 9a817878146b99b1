//! Finds the primary with our keys: by the URL, sentinels, or a cluster's nodes.
//!
//! All keys have one hash tag and so are in one slot, on one node. So a cluster, like a set of
//! sentinels, only has to be asked for an address; calls need no routing of their own.

use std::pin::Pin;
use std::time::Duration;

use deadpool_redis::redis::{self, Value};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::dial::{Callee, ask, connect};
use super::options::{Address, LinkOptions, Topology};
use super::trouble::LinkError;
use crate::core::code::Code;

/// How much longer to wait for other sentinels once an address has turned out wrong.
const OTHERS_MAX: Duration = Duration::from_millis(500);

type AddressFuture<'a> = Pin<Box<dyn Future<Output = Result<Address, LinkError>> + Send + 'a>>;

/// The servers that may be the primary, in the order in which sentinels name them. All are asked at once, so one that
/// hangs does not delay the others. Only the server itself can confirm it: a sentinel that was cut off still names
/// the former primary.
pub(super) struct Candidates<'a> {
    asked: FuturesUnordered<AddressFuture<'a>>,
    named: Vec<Address>,
    /// The last failure; any other replaces "unreachable", which says less.
    trouble: LinkError,
}

/// Asks who the primary is.
pub(super) fn candidates(options: &LinkOptions) -> Candidates<'_> {
    let asked: FuturesUnordered<AddressFuture<'_>> = match &options.topology {
        Topology::Standalone(address) => {
            [Box::pin(async { Ok(address.clone()) }) as AddressFuture<'_>].into_iter().collect()
        }
        Topology::Sentinel { sentinels, primary } => sentinels
            .iter()
            .map(|sentinel| Box::pin(ask_sentinel(options, sentinel, primary)) as AddressFuture<'_>)
            .collect(),
        Topology::Cluster(nodes) => {
            let slot = slot_of(&options.key_prefix);
            nodes.iter().map(|node| Box::pin(ask_node(options, node, slot)) as AddressFuture<'_>).collect()
        }
    };
    Candidates { asked, named: Vec::new(), trouble: LinkError::new(Code::StoreUnreachable, "nobody to ask") }
}

impl Candidates<'_> {
    /// The next address that is new; none if no sentinel names another.
    pub(super) async fn next(&mut self) -> Option<Address> {
        if self.named.is_empty() {
            return self.another().await;
        }
        tokio::time::timeout(OTHERS_MAX, self.another()).await.ok().flatten()
    }

    async fn another(&mut self) -> Option<Address> {
        while let Some(answer) = self.asked.next().await {
            match answer {
                Ok(address) if self.named.contains(&address) => {}
                Ok(address) => {
                    self.named.push(address.clone());
                    return Some(address);
                }
                Err(trouble) => self.failed(trouble),
            }
        }
        None
    }

    /// Notes a failure of asking, or of an address from a sentinel.
    pub(super) fn failed(&mut self, trouble: LinkError) {
        let tells = |trouble: &LinkError| !matches!(trouble.code, Code::StoreUnreachable | Code::StoreTimeout);
        if tells(&trouble) || !tells(&self.trouble) {
            self.trouble = trouble;
        }
    }

    /// Why there is no primary.
    pub(super) fn trouble(self) -> LinkError {
        self.trouble
    }
}

async fn ask_sentinel(options: &LinkOptions, sentinel: &Address, primary: &str) -> Result<Address, LinkError> {
    let (mut connection, _) = connect(options, sentinel, Callee::Sentinel).await?;
    let mut cmd = redis::cmd("SENTINEL");
    cmd.arg("GET-MASTER-ADDR-BY-NAME").arg(primary);
    let unknown = || LinkError::new(Code::StoreNoPrimary, format!("sentinel {sentinel} knows no primary {primary}"));
    let Value::Array(answer) = ask(&mut connection, &cmd).await? else { return Err(unknown()) };
    let (Some(host), Some(port)) = (answer.first().and_then(text), answer.get(1).and_then(text)) else {
        return Err(unknown());
    };
    let port = port.parse().map_err(|_| unknown())?;
    Ok(Address { host, port })
}

async fn ask_node(options: &LinkOptions, node: &Address, slot: u16) -> Result<Address, LinkError> {
    let (mut connection, _) = connect(options, node, Callee::Server).await?;
    let mut cmd = redis::cmd("CLUSTER");
    cmd.arg("SLOTS");
    let unknown = || LinkError::new(Code::StoreNoPrimary, format!("node {node} knows no primary of slot {slot}"));
    let Value::Array(ranges) = ask(&mut connection, &cmd).await? else { return Err(unknown()) };
    ranges.iter().find_map(|range| owner(range, slot, node)).ok_or_else(unknown)
}

/// The primary of a range `[first, last, [host, port, …], …]`, if it contains the slot. A node that does not know its
/// own name leaves it out: then it is the node that we asked.
fn owner(range: &Value, slot: u16, asked: &Address) -> Option<Address> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = range.as_slice() else { return None };
    let [host, Value::Int(port), ..] = node.as_slice() else { return None };
    if !(*first..=*last).contains(&i64::from(slot)) {
        return None;
    }
    let host = text(host).filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| asked.host.clone());
    Some(Address { host, port: u16::try_from(*port).ok()? })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

/// The slot of a hash tag: CRC16 (XMODEM) modulo 16,384, as the cluster specification has it.
fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8)
            .fold(crc ^ (u16::from(byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        // The specification's own check value: 0x31C3.
        assert_eq!(slot_of("123456789"), 0x31C3);
        // As `CLUSTER KEYSLOT` answers.
        assert_eq!(slot_of("foo"), 12_182);
    }

    #[test]
    fn the_owner_of_a_slot_is_read_with_and_without_its_name() {
        let asked = Address { host: "seed".to_owned(), port: 7000 };
        let range = |host: Value| {
            let node = Value::Array(vec![host, Value::Int(7001), Value::BulkString(b"id".to_vec())]);
            Value::Array(vec![Value::Int(100), Value::Int(200), node])
        };
        let named = owner(&range(Value::BulkString(b"10.0.0.1".to_vec())), 150, &asked).unwrap();
        assert_eq!(named.to_string(), "10.0.0.1:7001");
        assert_eq!(owner(&range(Value::Nil), 200, &asked).unwrap().to_string(), "seed:7001");
        assert_eq!(owner(&range(Value::Nil), 201, &asked), None);
    }
}
